/* failure_watch.h - primaries that were marked failed, from FAIL until somebody asks for votes, or
 * until it is plain that nobody does. */
#ifndef BUSTAP_ANALYSIS_FAILURE_WATCH_H
#define BUSTAP_ANALYSIS_FAILURE_WATCH_H

#include "analysis/model_elections.h"

enum { FAILURES_MAX = 64 /* followed in a run */ };

struct failure {
    uint32_t primary;
    struct place place; /* of FAIL */
    bool decided;       /* it came back, somebody asked, or it was found that nobody does */
    bool nobody_asked;
    nstime over; /* then: it came back, or its slots have another owner; TIME_NONE: not yet */
    bool looked; /* for its replicas, soon after FAIL */
    uint32_t replicas, lost; /* lost: held for failed themselves */
    uint32_t best;   /* of its replicas that spoke then, the one with most data; NODE_NONE: none */
    bool may;        /* one of them may take over */
    bool heard_it;   /* the best one went on hearing its primary */
    uint64_t behind; /* bytes that the best one had less than its primary */
    uint32_t voters;
};

struct failure_watch {
    struct failure list[FAILURES_MAX];
    size_t count;
};

/* node-failed or fail-announced */
void failure_watch_failed(struct failure_watch *watch, const struct model *model,
                          const struct event *event);
void failure_watch_look(struct failure_watch *watch, const struct model *model, nstime now);

#endif
