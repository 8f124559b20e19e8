/* election_lost.c - an election that nobody won: who voted, who refused, and why it was not enough,
 * as far as that shows. Source: Redis cluster.c, clusterHandleSlaveFailover and
 * clusterSendFailoverAuthIfNeeded. */
#include "analysis/failover_failed.h"
#include "decode/slot_set.h"

#include <inttypes.h>

/* Votes come at once or not at all. */
static const nstime PATIENCE = 2 * NS_PER_SEC, VOTED_LATELY = 10 * NS_PER_SEC;

static bool seen(const struct place *place) {
    return place->time != TIME_NONE;
}

/* The last time at which the candidate is known to have been a replica still. */
static nstime replica_until(const struct model *model, const struct election *e) {
    const struct node *node = model_node(model, e->candidate);
    nstime until = node->replica ? node->last_heard : TIME_NONE;
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *other = model_election(model, i);
        bool later = other != e && other->candidate == e->candidate && other->epoch > e->epoch;
        if (later && seen(&other->promoted) && other->replica_until > until)
            until = other->replica_until;
        if (later && seen(&other->asked) && other->asked.time > until)
            until = other->asked.time;
    }
    return until;
}

bool election_is_lost(const struct model *model, const struct election *e) {
    return seen(&e->asked) && !seen(&e->promoted) && e->old_primary != NODE_NONE &&
           replica_until(model, e) >= e->asked.time + PATIENCE;
}

/* Another candidate that got votes in the same epoch, or for the same slots at the time or shortly
 * before: for a while nobody votes for them again. NULL: none. */
static const struct election *rival_of(const struct model *model, const struct election *e) {
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *other = model_election(model, i);
        bool asked_well = seen(&other->asked) && (other->granted > 0 || seen(&other->promoted));
        if (other->candidate == e->candidate || !asked_well)
            continue;
        nstime before = e->asked.time - other->asked.time;
        bool lately = before > -PATIENCE && before < VOTED_LATELY;
        if (other->epoch == e->epoch || (lately && slots_meet(e->slots, other->slots)))
            return other;
    }
    return NULL;
}

static uint32_t refusals(const struct election *e, uint64_t one, uint64_t other) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->vote_count; i++)
        count += !e->votes[i].granted && (e->votes[i].reason == one || e->votes[i].reason == other);
    return count;
}

/* Reasons in refusals, as Valkey numbers them. */
enum { NACK_OLD_EPOCH = 2, NACK_VOTED = 3, NACK_STALE_CONFIG = 7 };

/* As many as it needs, the last of them when no election lasts so long. */
static bool has_late_votes(const struct election *e) {
    uint32_t in_time = 0;
    for (uint32_t i = 0; i < e->vote_count; i++)
        in_time += e->votes[i].granted && e->votes[i].place.time - e->asked.time <= PATIENCE;
    return e->granted >= election_votes_needed(e) && in_time < election_votes_needed(e);
}

/* The connections of the candidate to all others who vote were captured. */
static bool all_in_sight(const struct election *e) {
    return e->voters_known && e->in_reach + 1 >= e->voters;
}

/* Nobody but the candidate itself holds anything against its primary, and the others hear it: they
 * look for that before they ask whom they have voted for. */
static bool is_primary_well(const struct election *e) {
    bool alone = e->alarmed && e->alarm.holders == 1 && e->alarm.failed.node == e->candidate;
    bool heard = e->last_sign.time != TIME_NONE && e->asked.time - e->last_sign.time < PATIENCE;
    return !e->forced && heard && all_in_sight(e) && (alone || !e->alarmed);
}

static enum failover_reason reason_of(const struct model *model, const struct election *e) {
    uint32_t needed = election_votes_needed(e);
    if (has_late_votes(e))
        return FAILOVER_VOTES_LATE;
    if (e->behind || seen(&e->stale) || refusals(e, NACK_OLD_EPOCH, NACK_STALE_CONFIG))
        return FAILOVER_STALE_EPOCH;
    if (is_primary_well(e))
        return FAILOVER_PRIMARY_WELL;
    if (refusals(e, NACK_VOTED, NACK_VOTED) || rival_of(model, e))
        return FAILOVER_SPLIT_VOTE;
    if (e->sound < needed || (all_in_sight(e) && e->reached < needed && e->reached < e->sound))
        return FAILOVER_NO_QUORUM;
    return FAILOVER_UNKNOWN;
}

static void tell_votes(const struct detection *detection, struct finding *finding,
                       const struct election *e) {
    char name[ENDPOINT_TEXT];
    model_node_text(detection->model, e->candidate, name);
    finding_evidence(finding, &e->asked, "%s asks for votes in epoch %" PRIu64, name, e->epoch);
    for (uint32_t i = 0; i < e->vote_count; i++) {
        const struct vote *vote = &e->votes[i];
        model_node_text(detection->model, vote->voter, name);
        if (vote->granted)
            finding_evidence(finding, &vote->place, "%s gives its vote", name);
        else
            finding_evidence(finding, &vote->place, "%s refuses its vote, reason %" PRIu64, name,
                             vote->reason);
    }
    finding_evidence(finding, &e->stale, "it is told that its slots are another's");
}

/* When something of the election was seen last. */
static nstime last_of(const struct election *e) {
    nstime last = seen(&e->stale) ? e->stale.time : e->asked.time;
    for (uint32_t i = 0; i < e->vote_count; i++)
        last = e->votes[i].place.time > last ? e->votes[i].place.time : last;
    return last;
}

static void title(struct finding *finding, const struct model *model, const struct election *e,
                  bool votes_late) {
    char candidate[ENDPOINT_TEXT], old[ENDPOINT_TEXT];
    model_node_text(model, e->candidate, candidate);
    model_node_text(model, e->old_primary, old);
    if (votes_late)
        finding_title(finding,
                      "%s asked for votes to take over from %s and was not elected: the votes came "
                      "%.1f s later",
                      candidate, old, (double)(last_of(e) - e->asked.time) / (double)NS_PER_SEC);
    else
        finding_title(finding,
                      "%s asked for votes to take over from %s and was not elected: %" PRIu32
                      " of the %" PRIu32 " votes needed",
                      candidate, old, e->granted, election_votes_needed(e));
}

void election_lost_tell(const struct detection *detection, const struct election *e) {
    const struct model *model = detection->model;
    const struct election *rival = rival_of(model, e);
    bool settled = rival && seen(&rival->promoted) && slots_meet(e->slots, rival->slots);
    enum failover_reason reason = reason_of(model, e);
    struct finding *finding =
        finding_new("failover-failed", settled ? SEVERITY_NOTICE : SEVERITY_WARNING, e->asked.time);
    title(finding, model, e, reason == FAILOVER_VOTES_LATE);
    finding_node(finding, model_node(model, e->candidate)->id);
    finding_node(finding, model_node(model, e->old_primary)->id);
    finding_slots(finding, e->slots);
    value_node(finding_metrics(finding), "candidate", model_node(model, e->candidate)->id);
    value_number(finding_metrics(finding), "epoch", e->epoch);
    failover_failed_tell(
        detection, finding,
        &(struct failover_outcome){
            .reason = reason, .end = last_of(e), .votes = e->granted, .voters = e->voters});
    tell_votes(detection, finding, e);
    if (e->in_reach + 1 < e->voters)
        finding_caveat(finding,
                       "the capture has the candidate's connections to %" PRIu32 " of the %" PRIu32
                       " other primaries: votes elsewhere were not seen",
                       e->in_reach, e->voters - 1);
    detection_report(detection, finding);
}
