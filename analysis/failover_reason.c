/* failover_reason.c - why a failover came to nothing: a table of reasons, in words and with what to
 * do about each. Source: Redis cluster.c, clusterHandleSlaveFailover and clusterLogCantFailover. */
#include "analysis/failover_failed.h"

static const struct {
    const char *name, *what, *advice;
} reasons[] = {
    [FAILOVER_UNKNOWN] = {"unknown",
                          "Why the others did not vote for it does not show: servers mostly "
                          "refuse in silence.",
                          "look into the logs of the primaries for 'Failover auth denied'"},
    [FAILOVER_NO_QUORUM] =
        {"no-quorum",
         "Fewer primaries than are needed for a majority could be reached, so nobody "
         "could be elected.",
         "bring primaries back until most are there; if they are lost for good, promote "
         "the replica with CLUSTER FAILOVER TAKEOVER"},
    [FAILOVER_NO_ELIGIBLE_REPLICA] = {"no-eligible-replica",
                                      "It had no replica that could take over.",
                                      "bring the primary back; its slots have no other owner"},
    [FAILOVER_DATA_TOO_OLD] =
        {"data-too-old",
         "Its replica was behind when it failed: one that has not heard of its "
         "primary for too long does not ask (cluster-replica-validity-factor).",
         "bring the primary back if that can be done; CLUSTER FAILOVER TAKEOVER on "
         "the replica gives service again, with the old data"},
    [FAILOVER_PRIMARY_WELL] =
        {"primary-well",
         "It alone held its primary for failed. Those who vote did not, or not any more, and "
         "refuse "
         "in silence then.",
         "wait: it follows its primary again as soon as it hears that it is well; if it asks once "
         "more, see why its connections to the others bring it no news"},
    [FAILOVER_SPLIT_VOTE] =
        {"split-vote",
         "Another candidate had asked as well, and the votes were divided, or had been "
         "given already: for twice cluster-node-timeout nobody votes for the same "
         "slots again.",
         "wait: candidates try again after four times cluster-node-timeout"},
    [FAILOVER_STALE_EPOCH] =
        {"stale-epoch",
         "What it knew was old: others had a greater epoch, or know another owner of "
         "its slots.",
         "see whether it can reach the other nodes both ways; it learns the epoch from "
         "them and tries again"},
    [FAILOVER_VOTES_LATE] =
        {"votes-late",
         "Enough primaries gave it their votes, but so late that its election was over: "
         "after 5 s if it was told to take over, else after twice "
         "cluster-node-timeout.",
         "see why the primaries that vote were so slow to answer"},
    [FAILOVER_NO_ANSWER] =
        {"no-answer",
         "Its primary did not pause its writes, which is the answer, within the 5 s for "
         "which a replica waits.",
         "see why the primary did not answer; CLUSTER FAILOVER FORCE does without it, "
         "and without the writes that the replica does not have yet"},
    [FAILOVER_REPLICA_BEHIND] =
        {"replica-behind",
         "Its primary paused its writes, and in the 5 s for which a replica tries "
         "it did not get to where its primary was.",
         "let the replica catch up (INFO replication), then try again: each try "
         "pauses the primary's writes for seconds"},
    [FAILOVER_NOT_ASKED] =
        {"unknown",
         "Its primary paused its writes, and it had all of them as far as its headers "
         "tell; why it asked nobody for votes does not show.",
         "look into the replica's log for 'Manual failover'"},
    [FAILOVER_NOBODY_ASKED] = {"unknown",
                               "Why none of its replicas asked for votes does not show: servers "
                               "say so in their logs alone.",
                               "look into the logs of its replicas for 'Currently unable to "
                               "failover'"},
};

void failover_failed_tell(const struct detection *detection, struct finding *finding,
                          const struct failover_outcome *outcome) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "votes", outcome->votes);
    value_number(metrics, "votes_needed", outcome->voters / 2 + 1);
    value_text(metrics, "reason", reasons[outcome->reason].name);
    finding_explain(finding, "%s", reasons[outcome->reason].what);
    finding_advise(finding, "%s", reasons[outcome->reason].advice);
    finding_ends(finding, outcome->end, reasons[outcome->reason].name);
    if (detection_missed_bytes(detection)) {
        finding_doubt(finding, CONFIDENCE_POSSIBLE);
        finding_caveat(finding, "the capture has holes: votes may have been missed");
    }
}
