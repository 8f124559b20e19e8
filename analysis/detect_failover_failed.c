/* detect_failover_failed.c - an election that nobody won, a failed primary for which no replica
 * even asked, and a replica that was told to take over and gave up. Says why, as far as that shows.
 * Source: Redis cluster.c, clusterHandleSlaveFailover and clusterLogCantFailover. */
#include "analysis/detector.h"
#include "analysis/handover_watch.h"
#include "analysis/model_orders.h"
#include "decode/slot_set.h"

#include <inttypes.h>

enum { FAILURES_MAX = 64 /* followed in a run */ };

/* Votes come at once or not at all. A replica asks within a second of FAIL, one more for each
 * replica that is ahead of it, and half a one for each other primary that has failed. */
static const nstime PATIENCE = 2 * NS_PER_SEC, TO_ASK = 3 * NS_PER_SEC,
                    TO_ASK_BY_RANK = 1 * NS_PER_SEC, VOTED_LATELY = 10 * NS_PER_SEC;

/* A primary that was marked failed. */
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

struct failures {
    struct failure list[FAILURES_MAX];
    size_t count;
    struct handover_watch handovers;
};

/* ---- elections that nobody won ---- */

enum reason {
    UNKNOWN,
    NO_QUORUM,
    NO_ELIGIBLE_REPLICA,
    DATA_TOO_OLD,
    SPLIT_VOTE,
    STALE_EPOCH,
    VOTES_LATE,
    NO_ANSWER,
    REPLICA_BEHIND,
    NOT_ASKED
};

static const struct {
    const char *name, *what, *advice;
} reasons[] = {
    [UNKNOWN] = {"unknown",
                 "Why the others did not vote for it does not show: servers mostly "
                 "refuse in silence.",
                 "look into the logs of the primaries for 'Failover auth denied'"},
    [NO_QUORUM] = {"no-quorum",
                   "Fewer primaries than are needed for a majority could be reached, so nobody "
                   "could be elected.",
                   "bring primaries back until most are there; if they are lost for good, promote "
                   "the replica with CLUSTER FAILOVER TAKEOVER"},
    [NO_ELIGIBLE_REPLICA] = {"no-eligible-replica", "It had no replica that could take over.",
                             "bring the primary back; its slots have no other owner"},
    [DATA_TOO_OLD] = {"data-too-old",
                      "Its replica was behind when it failed: one that has not heard of its "
                      "primary for too long does not ask (cluster-replica-validity-factor).",
                      "bring the primary back if that can be done; CLUSTER FAILOVER TAKEOVER on "
                      "the replica gives service again, with the old data"},
    [SPLIT_VOTE] = {"split-vote",
                    "Another candidate had asked as well, and the votes were divided, or had been "
                    "given already: for twice cluster-node-timeout nobody votes for the same "
                    "slots again.",
                    "wait: candidates try again after four times cluster-node-timeout"},
    [STALE_EPOCH] = {"stale-epoch",
                     "What it knew was old: others had a greater epoch, or know another owner of "
                     "its slots.",
                     "see whether it can reach the other nodes both ways; it learns the epoch from "
                     "them and tries again"},
    [VOTES_LATE] = {"votes-late",
                    "Enough primaries gave it their votes, but so late that its election was over: "
                    "after 5 s if it was told to take over, else after twice "
                    "cluster-node-timeout.",
                    "see why the primaries that vote were so slow to answer"},
    [NO_ANSWER] = {"no-answer",
                   "Its primary did not pause its writes, which is the answer, within the 5 s for "
                   "which a replica waits.",
                   "see why the primary did not answer; CLUSTER FAILOVER FORCE does without it, "
                   "and without the writes that the replica does not have yet"},
    [REPLICA_BEHIND] = {"replica-behind",
                        "Its primary paused its writes, and in the 5 s for which a replica tries "
                        "it did not get to where its primary was.",
                        "let the replica catch up (INFO replication), then try again: each try "
                        "pauses the primary's writes for seconds"},
    [NOT_ASKED] = {"unknown",
                   "Its primary paused its writes, and it had all of them as far as its headers "
                   "tell; why it asked nobody for votes does not show.",
                   "look into the replica's log for 'Manual failover'"},
};

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

static enum reason reason_of(const struct model *model, const struct election *e) {
    uint32_t needed = election_votes_needed(e);
    if (has_late_votes(e))
        return VOTES_LATE;
    if (e->behind || seen(&e->stale) || refusals(e, NACK_OLD_EPOCH, NACK_STALE_CONFIG))
        return STALE_EPOCH;
    if (refusals(e, NACK_VOTED, NACK_VOTED) || rival_of(model, e))
        return SPLIT_VOTE;
    bool all_in_sight = e->voters_known && e->in_reach + 1 >= e->voters;
    if (e->sound < needed || (all_in_sight && e->reached < needed && e->reached < e->sound))
        return NO_QUORUM;
    return UNKNOWN;
}

static void finish_finding(const struct detection *detection, struct finding *finding,
                           enum reason reason, uint32_t votes, uint32_t voters) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "votes", votes);
    value_number(metrics, "votes_needed", voters / 2 + 1);
    value_text(metrics, "reason", reasons[reason].name);
    finding_explain(finding, "%s", reasons[reason].what);
    finding_advise(finding, "%s", reasons[reason].advice);
    if (detection_missed_bytes(detection)) {
        finding_doubt(finding, CONFIDENCE_POSSIBLE);
        finding_caveat(finding, "the capture has holes: votes may have been missed");
    }
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

static void tell_election(const struct detection *detection, const struct election *e) {
    const struct model *model = detection->model;
    const struct election *rival = rival_of(model, e);
    bool settled = rival && seen(&rival->promoted) && slots_meet(e->slots, rival->slots);
    char candidate[ENDPOINT_TEXT], old[ENDPOINT_TEXT];
    model_node_text(model, e->candidate, candidate);
    model_node_text(model, e->old_primary, old);
    struct finding *finding =
        finding_new("failover-failed", settled ? SEVERITY_NOTICE : SEVERITY_WARNING, e->asked.time);
    enum reason reason = reason_of(model, e);
    if (reason == VOTES_LATE)
        finding_title(finding,
                      "%s asked for votes to take over from %s and was not elected: the votes came "
                      "%.1f s later",
                      candidate, old, (double)(last_of(e) - e->asked.time) / (double)NS_PER_SEC);
    else
        finding_title(finding,
                      "%s asked for votes to take over from %s and was not elected: %" PRIu32
                      " of the %" PRIu32 " votes needed",
                      candidate, old, e->granted, election_votes_needed(e));
    finding_node(finding, model_node(model, e->candidate)->id);
    finding_node(finding, model_node(model, e->old_primary)->id);
    finding_slots(finding, e->slots);
    value_node(finding_metrics(finding), "candidate", model_node(model, e->candidate)->id);
    value_number(finding_metrics(finding), "epoch", e->epoch);
    finish_finding(detection, finding, reason, e->granted, e->voters);
    tell_votes(detection, finding, e);
    if (e->in_reach + 1 < e->voters)
        finding_caveat(finding,
                       "the capture has the candidate's connections to %" PRIu32 " of the %" PRIu32
                       " other primaries: votes elsewhere were not seen",
                       e->in_reach, e->voters - 1);
    finding_ends(finding, last_of(e), reasons[reason].name);
    detection_report(detection, finding);
}

/* ---- failures after which nobody asked ---- */

static void on_failed(const struct detection *detection, struct failures *failures,
                      const char *about, const struct event *event) {
    const struct model *model = detection->model;
    uint32_t index = about ? model_index_of(model, about) : NODE_NONE;
    if (index == NODE_NONE || !model_is_first_failure(model, index, event) ||
        failures->count == FAILURES_MAX || !model_owns_slots(model, index))
        return;
    failures->list[failures->count++] = (struct failure){
        .primary = index, .place = place_of(event), .over = TIME_NONE, .best = NODE_NONE};
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct failures *failures = state;
    if (event->type == EV_manual_failover) {
        handover_watch_asked(&failures->handovers, detection->model, event);
        return;
    }
    const char *about =
        event->type == EV_node_failed ? event->node_failed.about : event->fail_announced.about;
    on_failed(detection, failures, about, event);
}

static bool is_replica_of(const struct model *model, uint32_t index, uint32_t primary) {
    const struct node *node = model_node(model, index);
    return node->replica && node->primary == primary;
}

static bool somebody_asked(const struct model *model, const struct failure *failure) {
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        nstime last = seen(&e->promoted) ? e->promoted.time : e->asked.time;
        if (e->old_primary == failure->primary && last >= failure->place.time)
            return true;
    }
    return false;
}

static nstime time_to_ask(const struct model *model, const struct failure *failure) {
    nstime time = TO_ASK;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct alarm *alarm = model_alarm(model, i);
        bool failed = alarm && alarm->failed.node != NODE_NONE && !model_node(model, i)->replica;
        time += is_replica_of(model, i, failure->primary) ? TO_ASK_BY_RANK : 0;
        time += failed ? TO_ASK_BY_RANK / 2 : 0;
    }
    return time;
}

/* Nothing is held against it any more, or somebody asked, or has its slots. */
static bool is_over(const struct model *model, const struct failure *failure) {
    return somebody_asked(model, failure) || !model_alarm(model, failure->primary);
}

static void find_replica(const struct model *model, struct failure *failure) {
    const struct node *primary = model_node(model, failure->primary), *best = NULL;
    failure->best = NODE_NONE;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (!is_replica_of(model, i, failure->primary))
            continue;
        failure->replicas++;
        if (node->last_heard <= failure->place.time)
            continue;
        if (model_was_failed(model, i)) {
            failure->lost++;
            continue;
        }
        failure->may |= !(node->flags & NODE_NOFAILOVER);
        if (best && best->repl_offset >= node->repl_offset)
            continue;
        best = node;
        failure->best = i;
    }
    if (best && best->repl_offset < primary->repl_offset)
        failure->behind = primary->repl_offset - best->repl_offset;
    struct stamp last = {.time = TIME_NONE};
    if (best && model_link_between(model, failure->primary, failure->best))
        last = model_last_sign(model, failure->primary, failure->best);
    failure->heard_it = last.time != TIME_NONE && last.time > failure->place.time;
}

static void look(const struct model *model, struct failure *failure, nstime now) {
    bool over = is_over(model, failure);
    if (over && failure->nobody_asked && failure->over == TIME_NONE)
        failure->over = now;
    failure->decided |= over;
    if (!failure->looked && now - failure->place.time >= TO_ASK / 2) {
        failure->looked = true;
        find_replica(model, failure);
    }
    if (failure->decided || now - failure->place.time < time_to_ask(model, failure))
        return;
    failure->decided = true;
    failure->nobody_asked = model_owns_slots(model, failure->primary);
    failure->voters = model_voters(model);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct failures *failures = state;
    for (size_t i = 0; i < failures->count; i++)
        if (failures->list[i].over == TIME_NONE)
            look(detection->model, &failures->list[i], now);
    handover_watch_look(&failures->handovers, detection->model, now);
}

static void tell_failure(const struct detection *detection, const struct failure *failure) {
    const struct model *model = detection->model;
    const struct node *primary = model_node(model, failure->primary);
    uint32_t best = failure->best;
    enum reason reason = !failure->may     ? NO_ELIGIBLE_REPLICA
                         : failure->behind ? DATA_TOO_OLD
                                           : UNKNOWN;
    char name[ENDPOINT_TEXT], replica[ENDPOINT_TEXT];
    model_node_text(model, failure->primary, name);
    model_node_text(model, best, replica);
    struct finding *finding = finding_new("failover-failed", SEVERITY_WARNING, failure->place.time);
    finding_title(finding, "%s failed, and no replica asked to take over", name);
    finding_node(finding, primary->id);
    finding_slots(finding, primary->slots);
    if (best != NODE_NONE) {
        finding_node(finding, model_node(model, best)->id);
        value_node(finding_metrics(finding), "candidate", model_node(model, best)->id);
    }
    if (best != NODE_NONE && !failure->may)
        finding_explain(finding, "%s is configured never to (cluster-replica-no-failover).",
                        replica);
    bool lost = best == NODE_NONE && failure->lost;
    bool silent = best == NODE_NONE && failure->replicas && !lost;
    if (lost)
        finding_explain(finding, "Its replicas were held for failed, too.");
    bool from_afar = silent && model_vantage(model) != NODE_NONE;
    if (silent)
        finding_explain(finding, "Its replicas were silent, too%s.",
                        from_afar ? ", towards the one node whose traffic was captured" : "");
    if (failure->may && failure->heard_it)
        finding_explain(finding,
                        "%s went on hearing its primary: if nobody could tell it that most hold "
                        "that for failed, it had no reason to ask.",
                        replica);
    if (failure->may && failure->behind)
        finding_explain(finding, "%s had %" PRIu64 " bytes less than its primary.", replica,
                        failure->behind);
    finish_finding(detection, finding, reason, 0, failure->voters);
    finding_caveat(finding, "no election began, so there is no epoch of one");
    finding_doubt(finding, failure->may || from_afar ? CONFIDENCE_LIKELY : CONFIDENCE_CERTAIN);
    finding_evidence(finding, &failure->place, "it is held for failed (FAIL)");
    finding_ends(finding, failure->over, reasons[reason].name);
    detection_report(detection, finding);
}

/* ---- replicas that were told to take over, and gave up ---- */

static void tell_pause(struct finding *finding, const struct handover *handover,
                       const char *primary, bool answered) {
    const struct write_pause *pause = &handover->pause;
    if (pause->first.time == TIME_NONE)
        return;
    struct place first = place_of_stamp(pause->first), last = place_of_stamp(pause->last);
    double after = (double)(pause->first.time - handover->asked.time) / (double)NS_PER_SEC;
    uint64_t ms = (uint64_t)((pause->last.time - pause->first.time) / NS_PER_MS);
    finding_explain(finding, "%s said for %.1f s that its writes were paused%s.", primary,
                    (double)ms / 1000, answered ? "" : ", when nobody waited for that any more");
    finding_evidence(finding, &first, "%s says that it has paused writes, %.1f s after", primary,
                     after);
    finding_evidence(finding, &last, "it says so for the last time");
    value_number(finding_metrics(finding), "paused_ms", ms);
}

static void tell_handover(const struct detection *detection, const struct handover *handover) {
    const struct model *model = detection->model;
    bool answered = handover_was_answered(handover), behind = handover->had < handover->wanted;
    enum reason reason = !answered ? NO_ANSWER : behind ? REPLICA_BEHIND : NOT_ASKED;
    char replica[ENDPOINT_TEXT], primary[ENDPOINT_TEXT];
    model_node_text(model, handover->replica, replica);
    model_node_text(model, handover->primary, primary);
    struct finding *finding =
        finding_new("failover-failed", SEVERITY_WARNING, handover->asked.time);
    finding_title(finding, "%s was told to take over from %s (CLUSTER FAILOVER) and gave up",
                  replica, primary);
    finding_node(finding, model_node(model, handover->replica)->id);
    finding_node(finding, model_node(model, handover->primary)->id);
    finding_slots(finding, model_node(model, handover->primary)->slots);
    value_node(finding_metrics(finding), "candidate", model_node(model, handover->replica)->id);
    finish_finding(detection, finding, reason, 0, model_voters(model));
    if (reason == REPLICA_BEHIND)
        finding_explain(finding, "%s still lacked %" PRIu64 " bytes then.", replica,
                        handover->wanted - handover->had);
    finding_caveat(finding, "no election began, so there is no epoch of one");
    finding_evidence(finding, &handover->asked, "%s asks its primary to hand over", replica);
    order_tell(model_order(model, handover->replica, ORDER_FAILOVER,
                           handover->asked.time - NS_PER_SEC, handover->asked.time + NS_PER_SEC),
               finding);
    tell_pause(finding, handover, primary, answered);
    if (reason == NOT_ASKED)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_ends(finding, handover->asked.time + HANDOVER_LASTS, reasons[reason].name);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct failures *failures = state;
    const struct model *model = detection->model;
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        bool lost = seen(&e->asked) && !seen(&e->promoted) && e->old_primary != NODE_NONE;
        if (lost && replica_until(model, e) >= e->asked.time + PATIENCE)
            tell_election(detection, e);
    }
    for (size_t i = 0; i < failures->count; i++)
        if (failures->list[i].nobody_asked)
            tell_failure(detection, &failures->list[i]);
    const struct handover_watch *watch = &failures->handovers;
    for (size_t i = 0; i < watch->count; i++)
        if (handover_came_to_nothing(&watch->list[i], model))
            tell_handover(detection, &watch->list[i]);
}

const struct detector detect_failover_failed = {
    .name = "failover-failed",
    .help = "an election that nobody won, or a failed primary for which no replica asked",
    .wants = EVENT_BIT(node_failed) | EVENT_BIT(fail_announced) | EVENT_BIT(manual_failover),
    .state = sizeof(struct failures),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
