/* failover_failed.h - a failover that came to nothing, in each of its three forms: what is told of
 * each, and why it came to nothing. Who follows them is detect_failover_failed.c. */
#ifndef BUSTAP_ANALYSIS_FAILOVER_FAILED_H
#define BUSTAP_ANALYSIS_FAILOVER_FAILED_H

#include "analysis/detector.h"
#include "analysis/failure_watch.h"
#include "analysis/handover_watch.h"

enum failover_reason {
    FAILOVER_UNKNOWN,
    FAILOVER_NO_QUORUM,
    FAILOVER_NO_ELIGIBLE_REPLICA,
    FAILOVER_DATA_TOO_OLD,
    FAILOVER_PRIMARY_WELL,
    FAILOVER_SPLIT_VOTE,
    FAILOVER_STALE_EPOCH,
    FAILOVER_VOTES_LATE,
    FAILOVER_NO_ANSWER,
    FAILOVER_REPLICA_BEHIND,
    FAILOVER_NOT_ASKED,
    FAILOVER_NOBODY_ASKED
};

struct failover_outcome {
    enum failover_reason reason;
    nstime end;             /* TIME_NONE: it goes on */
    uint32_t votes, voters; /* votes given; those who might have voted */
};

/* Of any of them: the outcome, what it means, and what to do. */
void failover_failed_tell(const struct detection *detection, struct finding *finding,
                          const struct failover_outcome *outcome);

/* The candidate asked for votes, nobody is known to have won, and it stayed a replica. */
bool election_is_lost(const struct model *model, const struct election *election);
void election_lost_tell(const struct detection *detection, const struct election *election);

/* A primary failed, and nobody asked. */
void failure_tell(const struct detection *detection, const struct failure *failure);

/* A replica was told to take over, and gave up. */
void handover_tell(const struct detection *detection, const struct handover *handover);

#endif
