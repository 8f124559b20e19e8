/* handover_watch.h - replicas that were told to take over (CLUSTER FAILOVER), from their request to
 * the primary (MFSTART) until their time is up. Source: Redis cluster.c, CLUSTER_MF_TIMEOUT. */
#ifndef BUSTAP_ANALYSIS_HANDOVER_WATCH_H
#define BUSTAP_ANALYSIS_HANDOVER_WATCH_H

#include "analysis/model_elections.h"

enum { HANDOVERS_MAX = 32 /* followed in a run */ };

/* A replica gives up after this (newer Valkeys: cluster-manual-failover-timeout). */
static const nstime HANDOVER_LASTS = 5 * NS_PER_SEC;

struct handover {
    uint32_t replica, primary;
    struct place asked;       /* MFSTART */
    struct write_pause pause; /* of the primary since then; never, if it did not answer */
    uint64_t wanted, had;     /* offsets: of the paused primary, of the replica at the end */
    bool expired;             /* its time was up, and it was a replica still */
};

struct handover_watch {
    struct handover list[HANDOVERS_MAX];
    size_t count;
};

void handover_watch_asked(struct handover_watch *watch, const struct model *model,
                          const struct event *event); /* manual-failover */
void handover_watch_look(struct handover_watch *watch, const struct model *model, nstime now);

/* Its time was up and it had not even asked for votes. */
bool handover_came_to_nothing(const struct handover *handover, const struct model *model);

/* The primary paused its writes while the replica still waited for that. */
bool handover_was_answered(const struct handover *handover);

#endif
