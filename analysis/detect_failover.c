/* detect_failover.c - a replica became the primary of its primary's slots: by an election after a
 * failure, by a handover that somebody asked for, or without asking anybody. Told with all that led
 * to it, in order, and with how long clients went without. */
#include "analysis/detector.h"
#include "analysis/model_elections.h"
#include "analysis/model_orders.h"

#include <inttypes.h>

enum kind { KIND_UNKNOWN, KIND_BY_HAND, KIND_AUTOMATIC, KIND_MANUAL, KIND_FORCED, KIND_TAKEOVER };

/* What each kind is called, and what is said of it. */
static const struct {
    const char *name, *verdict, *how, *what;
} kinds[] = {
    [KIND_UNKNOWN] = {NULL, "unknown", "", "How that came about was not seen."},
    [KIND_BY_HAND] =
        {NULL, "administrative", ": somebody asked for it",
         "Somebody asked for it (CLUSTER FAILOVER, perhaps with FORCE): it was elected "
         "although nothing was held against the old primary."},
    [KIND_AUTOMATIC] = {"automatic", "primary-failed", ", which was held for failed",
                        "The others held the old primary for failed, so its replica asked for "
                        "votes and was elected."},
    [KIND_MANUAL] =
        {"manual", "administrative", ": a manual failover",
         "Somebody asked for it (CLUSTER FAILOVER): the old primary paused writes until "
         "its replica had them all, then the replica was elected."},
    [KIND_FORCED] = {"forced", "administrative", ": a forced failover",
                     "Somebody forced it (CLUSTER FAILOVER FORCE): the replica was elected without "
                     "waiting for the old primary. Any write that the old primary had "
                     "acknowledged but not yet sent to the replica is lost."},
    [KIND_TAKEOVER] = {"takeover", "administrative", " without asking for votes",
                       "Somebody told the replica to (CLUSTER FAILOVER TAKEOVER): it raised the "
                       "epoch by itself and claimed the slots. No majority agreed, and the old "
                       "primary was not waited for: any write that it had acknowledged but not "
                       "yet sent to the replica is lost."},
};

static bool seen(const struct place *place) {
    return place->time != TIME_NONE;
}

/* The request to hand over goes from the candidate to its primary alone: would we have seen it? */
static bool sees_handover(const struct detection *detection, const struct election *e) {
    const struct link *link = model_link_between(detection->model, e->candidate, e->old_primary);
    return link && link->pings > 0 && !detection_missed_bytes(detection);
}

static bool was_failed(const struct election *e) {
    return e->alarmed && e->alarm.failed.node != NODE_NONE;
}

/* Newer Valkey sets FORCEACK in ordinary elections as well, when all know that the primary has
 * failed: what follows FAIL within this time was asked for by nobody. */
static const nstime AFTER_FAIL = 2 * NS_PER_SEC;

static bool follows_failure(const struct election *e) {
    return was_failed(e) && seen(&e->asked) &&
           e->asked.time - e->alarm.failed.place.time <= AFTER_FAIL;
}

/* Where the voters are not heard: it is suspected, or says nothing itself, so they may hold it for
 * failed. */
static bool may_have_failed(const struct election *e) {
    bool quiet = e->last_sign.time == TIME_NONE || e->asked.time - e->last_sign.time > AFTER_FAIL;
    return !was_failed(e) && e->in_reach + 1 < e->voters && (e->alarmed || quiet);
}

static enum kind kind_of(const struct detection *detection, const struct election *e) {
    if (seen(&e->handover) || (e->forced && e->paused.time != TIME_NONE))
        return KIND_MANUAL;
    if (e->forced && !follows_failure(e) && (e->says_failed || may_have_failed(e)))
        return KIND_UNKNOWN;
    if (e->forced && !follows_failure(e))
        return sees_handover(detection, e) || was_failed(e) ? KIND_FORCED : KIND_BY_HAND;
    if (seen(&e->asked) || (e->granted > 0 && was_failed(e)))
        return KIND_AUTOMATIC;
    bool unasked = e->prompt && e->granted == 0 && !detection_missed_bytes(detection);
    return unasked ? KIND_TAKEOVER : KIND_UNKNOWN;
}

/* Is another replica known that may have had the slots since the old primary? */
static bool has_sibling(const struct model *model, const struct election *e) {
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (i != e->candidate && i != e->old_primary && node->replica &&
            (node->primary == e->old_primary || node->primary == e->candidate))
            return true;
    }
    return false;
}

/* It was not heard for a while, and meanwhile another of the shard may have come between the two:
 * somebody took an epoch. */
static bool may_be_second(const struct model *model, const struct election *e) {
    return !e->prompt && !seen(&e->asked) && e->epochs_passed > 0 && has_sibling(model, e);
}

/* A request may come after the promotion: to a host that was cut off, from before it was. */
static nstime begin_of(const struct election *e) {
    nstime begin = seen(&e->handover) ? e->handover.time : e->asked.time;
    return begin == TIME_NONE || begin > e->promoted.time ? e->promoted.time : begin;
}

static nstime latest(nstime a, nstime b) {
    return a == TIME_NONE || b > a ? b : a;
}

/* How long nobody served: for the client that the new primary answered first, else between the old
 * one's last sign, or the request to hand over, and the promotion. TIME_NONE: not known. */
static nstime unavailable(const struct election *e) {
    nstime last_sign = e->alarmed ? e->last_sign.time : TIME_NONE;
    if (!e->prompt && !seen(&e->asked))
        return TIME_NONE;
    if (seen(&e->served)) {
        nstime since = latest(last_sign, e->served_before.time);
        since = since == TIME_NONE ? begin_of(e) : since;
        return since < e->served.time ? e->served.time - since : 0;
    }
    nstime since = e->alarmed ? last_sign : e->handover.time;
    return since == TIME_NONE ? TIME_NONE : e->promoted.time - since;
}

static enum severity severity_of(enum kind kind, const struct election *e) {
    bool alarming = kind == KIND_AUTOMATIC || kind == KIND_TAKEOVER || was_failed(e);
    return alarming ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

/* ---- what led to it ---- */

static void told_by(const struct detection *detection, struct finding *finding,
                    const struct place *place, uint32_t node, const char *what) {
    char name[ENDPOINT_TEXT];
    model_node_text(detection->model, node, name);
    finding_evidence(finding, place, "%s %s", name, what);
}

static bool are_linked(const struct model *model, const struct election *e) {
    return model_link_between(model, e->candidate, e->old_primary) ||
           model_link_between(model, e->old_primary, e->candidate);
}

static void tell_alarm(const struct detection *detection, struct finding *finding,
                       const struct election *e) {
    struct place last_sign = place_of_stamp(e->last_sign);
    char old[ENDPOINT_TEXT], candidate[ENDPOINT_TEXT];
    model_node_text(detection->model, e->old_primary, old);
    model_node_text(detection->model, e->candidate, candidate);
    finding_evidence(finding, &last_sign, "%s was last heard by %s", old,
                     are_linked(detection->model, e) ? candidate : "others");
    for (uint32_t i = 0; i < e->alarm.suspects && i < ALARM_SIGNS; i++)
        told_by(detection, finding, &e->alarm.suspected[i].place, e->alarm.suspected[i].node,
                "suspects it (PFAIL)");
    if (e->alarm.announced.node != NODE_NONE)
        told_by(detection, finding, &e->alarm.announced.place, e->alarm.announced.node,
                "announces that it has failed (FAIL)");
    else if (e->alarm.failed.node != NODE_NONE)
        told_by(detection, finding, &e->alarm.failed.place, e->alarm.failed.node,
                "holds it for failed (FAIL)");
}

static void tell_votes(const struct detection *detection, struct finding *finding,
                       const struct election *e) {
    for (uint32_t i = 0; i < e->vote_count; i++)
        told_by(detection, finding, &e->votes[i].place, e->votes[i].voter,
                e->votes[i].granted ? "gives its vote" : "refuses its vote");
}

static const nstime ASKED_BEFORE = 10 * NS_PER_SEC;

/* Was the candidate told to, on a client's connection? A manual failover may take some seconds. */
static const struct order *asked_for(const struct detection *detection, const struct election *e) {
    nstime from = e->prompt ? begin_of(e) : e->replica_until;
    return model_order(detection->model, e->candidate, ORDER_FAILOVER, from - ASKED_BEFORE,
                       e->promoted.time);
}

static void tell_chronology(const struct detection *detection, struct finding *finding,
                            const struct election *e) {
    struct place paused = place_of_stamp(e->paused);
    if (e->alarmed)
        tell_alarm(detection, finding, e);
    order_tell(asked_for(detection, e), finding);
    told_by(detection, finding, &e->handover, e->candidate, "asks the old primary to hand over");
    told_by(detection, finding, &paused, e->old_primary, "says that it has paused writes");
    told_by(detection, finding, &e->asked, e->candidate, "asks for votes");
    tell_votes(detection, finding, e);
    told_by(detection, finding, &e->promoted, e->candidate, "speaks as the primary");
    told_by(detection, finding, &e->served, e->candidate, "serves a client again");
}

/* ---- what was not seen ---- */

static void doubt(const struct detection *detection, struct finding *finding,
                  const struct election *e, enum kind kind) {
    uint32_t needed = election_votes_needed(e);
    if (kind != KIND_TAKEOVER && e->granted < needed) {
        finding_doubt(finding, CONFIDENCE_LIKELY);
        finding_caveat(finding,
                       "votes seen: %" PRIu32 " of the %" PRIu32 " needed; the capture has the "
                       "winner's connections to %" PRIu32 " of the %" PRIu32 " other primaries",
                       e->granted, needed, e->in_reach, e->voters ? e->voters - 1 : 0);
    }
    if (!e->voters_known)
        finding_caveat(finding, "not every primary was heard, so votes_needed may be too low");
    if (kind == KIND_BY_HAND)
        finding_caveat(finding, "manual or forced: the connection on which the old primary would "
                                "be asked to hand over was not seen (whole)");
    else if (kind == KIND_UNKNOWN && e->forced)
        finding_caveat(finding, "it asked the others for votes whether or not they hold the old "
                                "primary for failed: somebody may have forced it, and newer Valkey "
                                "asks so by itself once it has failed, which was not seen");
    else if (kind == KIND_UNKNOWN)
        finding_caveat(finding, "no request for votes was seen, and if there was one it may have "
                                "passed where this capture does not look");
    if (!kinds[kind].name)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (!e->prompt && !seen(&e->asked)) {
        char ago[DURATION_TEXT];
        finding_caveat(finding,
                       "when it happened is not known exactly: it was last heard as a "
                       "replica %s before it was first heard as a primary",
                       finding_duration(e->promoted.time - e->replica_until, ago));
    }
    if (may_be_second(detection->model, e))
        finding_caveat(finding,
                       "whose primary it was last is not known, so old_primary is left out: "
                       "epochs were taken meanwhile, %" PRIu64
                       " at least, so another replica may have come between the two",
                       e->epochs_passed);
    if (detection_missed_bytes(detection))
        finding_caveat(finding, "the capture has holes: something may have been missed");
}

/* ---- the finding ---- */

static void measure(const struct detection *detection, struct finding *finding,
                    const struct election *e, enum kind kind) {
    const struct model *model = detection->model;
    struct value *metrics = finding_metrics(finding);
    nstime out = unavailable(e);
    if (!may_be_second(model, e))
        value_node(metrics, "old_primary", model_node(model, e->old_primary)->id);
    value_node(metrics, "new_primary", model_node(model, e->candidate)->id);
    if (kinds[kind].name)
        value_text(metrics, "kind", kinds[kind].name);
    value_number(metrics, "epoch", e->epoch);
    value_number(metrics, "votes", e->granted);
    value_number(metrics, "votes_needed", election_votes_needed(e));
    if (out != TIME_NONE)
        value_ms(metrics, "unavailable_ms", out);
    else
        finding_caveat(finding, "how long clients went without is not known");
    value_slots(metrics, "slots", e->slots);
}

static void title(const struct detection *detection, struct finding *finding,
                  const struct election *e, enum kind kind) {
    char text[DURATION_TEXT], winner[ENDPOINT_TEXT], old[ENDPOINT_TEXT];
    model_node_text(detection->model, e->candidate, winner);
    model_node_text(detection->model, e->old_primary, old);
    nstime out = unavailable(e);
    if (may_be_second(detection->model, e))
        finding_title(finding, "%s has taken over what were the slots of %s", winner, old);
    else if (kind == KIND_AUTOMATIC && out != TIME_NONE)
        finding_title(finding, "%s took over from %s%s: %s without service", winner, old,
                      kinds[kind].how, finding_duration(out, text));
    else
        finding_title(finding, "%s took over from %s%s", winner, old, kinds[kind].how);
}

static void explain(struct finding *finding, const struct election *e, enum kind kind) {
    char text[DURATION_TEXT];
    nstime out = unavailable(e);
    finding_explain(finding, "%s", kinds[kind].what);
    if (kind != KIND_TAKEOVER && e->granted > 0)
        finding_explain(finding,
                        "In epoch %" PRIu64 " it got %" PRIu32 " votes of %" PRIu32
                        " primaries; it needed %" PRIu32 ".",
                        e->epoch, e->granted, e->voters, election_votes_needed(e));
    else
        finding_explain(finding, "The new epoch is %" PRIu64 ".", e->epoch);
    if (out != TIME_NONE && seen(&e->served))
        finding_explain(finding, "The client that was served first had gone %s without.",
                        finding_duration(out, text));
    else if (out != TIME_NONE && e->alarmed)
        finding_explain(finding, "From the old primary's last sign to the promotion it took %s.",
                        finding_duration(out, text));
}

static void advise(struct finding *finding, enum kind kind) {
    if (kind == KIND_AUTOMATIC)
        finding_advise(finding,
                       "find out why the old primary fell silent before it is made primary "
                       "again; it comes back as a replica by itself");
    else if (kind == KIND_TAKEOVER)
        finding_advise(finding, "make sure that the old primary is a replica now, or is stopped: "
                                "writes that it still takes are lost");
    if (kind == KIND_FORCED || kind == KIND_TAKEOVER)
        finding_advise(finding, "where the old primary is well, use plain CLUSTER FAILOVER: it "
                                "loses nothing");
}

static void tell(const struct detection *detection, const struct election *e) {
    const struct model *model = detection->model;
    enum kind kind = kind_of(detection, e);
    struct finding *finding = finding_new("failover", severity_of(kind, e), begin_of(e));
    title(detection, finding, e, kind);
    explain(finding, e, kind);
    finding_node(finding, model_node(model, e->old_primary)->id);
    finding_node(finding, model_node(model, e->candidate)->id);
    finding_slots(finding, e->slots);
    measure(detection, finding, e, kind);
    tell_chronology(detection, finding, e);
    doubt(detection, finding, e, kind);
    advise(finding, kind);
    finding_ends(finding, e->promoted.time, kinds[kind].verdict);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    for (size_t i = 0; i < model_election_count(detection->model); i++) {
        const struct election *e = model_election(detection->model, i);
        if (seen(&e->promoted) && e->old_primary != NODE_NONE)
            tell(detection, e);
    }
}

const struct detector detect_failover = {
    .name = "failover",
    .help = "a replica took over its primary's slots",
    .finish = finish,
};
