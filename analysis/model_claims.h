/* model_claims.h - who claims which slots: a node that goes on claiming slots, or serving them,
 * after another one has claimed them with a config epoch that is no smaller.
 *
 * Such a double claim is a contest. Every handover is one, for milliseconds; one that lasts while
 * both nodes are alive is a split brain. Who is right: Redis and Valkey src/cluster_legacy.c,
 * clusterUpdateSlotsConfigWith(). */
#ifndef BUSTAP_ANALYSIS_MODEL_CLAIMS_H
#define BUSTAP_ANALYSIS_MODEL_CLAIMS_H

#include "analysis/model.h"

/* Things of one kind that the contested node did since it was contested. */
struct contest_acts {
    uint64_t count;
    struct place first, last; /* TIME_NONE: none */
};

struct contest {
    uint32_t node, claimant;             /* indexes: who goes on, and whose slots they are by now */
    uint64_t node_epoch, claimant_epoch; /* config epochs when the contest began */
    uint8_t slots[BUS_SLOT_BYTES];       /* those that both claim */
    struct place claim;                  /* where the claimant was first seen to claim them */
    nstime since;                        /* when that was, or when both were known */
    nstime ended;                        /* the node claims them no more; TIME_NONE: it does */
    struct contest_acts claims;          /* its headers that claim them still */
    struct contest_acts served;          /* of these, while it said that the cluster is ok */
    struct contest_acts writes, refusals; /* its answers to writes, and its errors */
};

/* Contests that lasted, or in which the contested node wrote, and those that last; by their ends,
 * those that last behind them. */
size_t model_contest_count(const struct model *model);
const struct contest *model_contest(const struct model *model, size_t index);

/* How long a handover may take: claims that overlap for less are none that anybody notices. */
static const nstime CONTEST_BRIEF = 1 * NS_PER_SEC;

#endif
