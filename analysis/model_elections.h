/* model_elections.h - how nodes became primaries, or tried to: for each candidate and epoch who
 * asked, who voted, who refused, and what came of it.
 *
 * An election begins with a request for votes, or with the promotion itself when no request was
 * seen: CLUSTER FAILOVER TAKEOVER asks nobody. The rules: Redis and Valkey src/cluster_legacy.c,
 * clusterSendFailoverAuthIfNeeded() and clusterHandleManualFailover(). */
#ifndef BUSTAP_ANALYSIS_MODEL_ELECTIONS_H
#define BUSTAP_ANALYSIS_MODEL_ELECTIONS_H

#include "analysis/model_alarms.h"
#include "analysis/model_clients.h"

struct vote {
    uint32_t voter;
    bool granted;
    uint64_t reason; /* of a refusal, as Valkey numbers them */
    struct place place;
};

struct election {
    uint32_t candidate;
    uint32_t old_primary; /* whose replica it was; NODE_NONE: not known */
    uint64_t epoch;
    bool behind;            /* others had a greater epoch when it asked */
    bool forced;            /* it asked for votes although its primary may be well (FORCEACK) */
    bool says_failed;       /* and said itself that its primary has failed (Valkey 9) */
    struct place asked;     /* its first request; TIME_NONE: none seen */
    struct place handover;  /* it asked the old primary to hand over (MFSTART); likewise */
    struct stamp paused;    /* the old primary last said that its writes are paused; likewise */
    struct place stale;     /* it was told that its slots are another's (UPDATE); likewise */
    struct place promoted;  /* its first word as a primary; likewise */
    nstime replica_until;   /* it was last heard as a replica before that */
    uint64_t epochs_passed; /* that others took since then, or it did in vain */
    bool prompt;            /* a request, had there been one, would have been seen where that was */
    uint8_t slots[BUS_SLOT_BYTES];

    uint32_t voters;    /* primaries with slots, the old one among them; half of them and one win */
    bool voters_known;  /* all slots have an owner that was heard */
    uint32_t in_reach;  /* of the other voters, those whose connections to it were captured */
    uint32_t sound;     /* of the other voters, those against whom nothing was held */
    uint32_t reached;   /* voters who acknowledged its request */
    uint32_t granted;   /* votes */
    struct vote *votes; /* of each voter its last */
    uint32_t vote_count, vote_room;

    struct stamp last_sign; /* the old primary's last message to reach the candidate, or anyone */
    bool alarmed;           /* something was held against the old primary */
    struct alarm alarm;     /* what, when the candidate asked or won */
    struct served served_last[SERVED]; /* by the old primary, when it was followed */
    struct place served;               /* the winner's first good reply; TIME_NONE: none seen */
    struct stamp served_before; /* the old primary's last good reply to that client; likewise */
};

/* When a primary said that its writes are paused, the last time it did: TIME_NONE: never. */
struct write_pause {
    struct stamp first, last;
};

struct write_pause model_write_pause(const struct model *model, uint32_t node);

size_t model_election_count(const struct model *model);
const struct election *model_election(const struct model *model, size_t index); /* by first sign */

/* How many primaries own slots: those who vote. */
uint32_t model_voters(const struct model *model);

static inline uint32_t election_votes_needed(const struct election *election) {
    return election->voters / 2 + 1;
}

/* The last message of the node that reached the other, or anyone if that is not known. */
struct stamp model_last_sign(const struct model *model, uint32_t node, uint32_t other);

#endif
