/* detect_node_failed.c - why was this node marked failed? Who said so, how long that took, whether
 * they were enough, and what the packets say of the cause. */
#include "analysis/model_elections.h"
#include "analysis/suspicion.h"

#include <inttypes.h>

static bool is_detection_known(const struct suspicion *suspicion) {
    return suspicion->since != TIME_NONE && suspicion->since <= suspicion->failed.time &&
           !suspicion->late;
}

static void measure(const struct detection *detection, const struct suspicion *suspicion,
                    struct finding *finding) {
    struct value *metrics = finding_metrics(finding);
    value_node(metrics, "node", model_node(detection->model, suspicion->subject)->id);
    if (suspicion->announcer != NODE_NONE)
        value_node(metrics, "announced_by", model_node(detection->model, suspicion->announcer)->id);
    value_number(metrics, "quorum_needed", suspicion->needed);
    value_number(metrics, "quorum_seen", suspicion->agreed);
    if (is_detection_known(suspicion))
        value_ms(metrics, "detection_ms", suspicion->failed.time - suspicion->since);
}

static void tell_caveats(const struct detection *detection, const struct suspicion *suspicion,
                         struct finding *finding) {
    if (suspicion->late)
        finding_caveat(finding, "those who missed it were only heard when it was back: when they "
                                "marked it failed, and how fast, is not known");
    else if (!is_detection_known(suspicion))
        finding_caveat(finding, "when it fell silent was not seen, so how fast that was noticed "
                                "is not known");
    if (suspicion->announcer == NODE_NONE)
        finding_caveat(finding,
                       "no FAIL message was seen: others' gossip tells that it has failed");
    if (suspicion->agreed < suspicion->needed)
        finding_caveat(finding,
                       "votes seen: %" PRIu32 " of %" PRIu32
                       " that are needed; the others spoke where this capture does not reach, or "
                       "had not said so yet",
                       suspicion->agreed, suspicion->needed);
    if (detection_missed_bytes(detection)) {
        finding_caveat(finding, "the capture misses packets: that something was not answered may "
                                "be due to that");
        finding_doubt(finding, CONFIDENCE_LIKELY);
    }
}

static void advise(const struct suspicion *suspicion, struct finding *finding) {
    static const char *const advice[VERDICT_KINDS] = {
        [VERDICT_PROCESS_STALLED] =
            "look at its slow log, at latency of fork, at swap and at CPU steal for this time; do "
            "not raise cluster-node-timeout before the cause is known",
        [VERDICT_HOST_UNREACHABLE] =
            "look at the host and at the network between it and the others",
        [VERDICT_PATH_CUT] = "look at the network between these nodes; writes that it accepts "
                             "meanwhile are lost once somebody has taken over",
        [VERDICT_LOSS_TO] =
            "look for what drops packets towards it: firewall, routing, a full queue",
        [VERDICT_LOSS_FROM] =
            "look for what drops packets from it: firewall, routing, a full queue",
        [VERDICT_BUS_PORT_BLOCKED] = "let the bus port (client port + 10000, unless cluster-port "
                                     "says otherwise) pass in both directions",
        [VERDICT_PROCESS_DIED] = "look at its log and at the kernel's (out of memory, a crash)",
        [VERDICT_HEAD_OF_LINE] = "look at what fills the bus: PUBLISH above all",
        [VERDICT_RECEIVER_NOT_READING] = "look at what kept the process from reading",
        [VERDICT_LOSSY_PATH] = "measure loss on the path between these nodes",
        [VERDICT_ADMINISTRATIVE] =
            "nothing, if this was meant; before a primary is shut down, let a "
            "replica take over (CLUSTER FAILOVER)",
        [VERDICT_REPLACED] = "CLUSTER FORGET the old id on every node, once nothing is left to be "
                             "saved of it",
        [VERDICT_UNKNOWN] = "capture on this node, or on all of them, from before the failure",
    };
    finding_advise(finding, "%s", advice[suspicion->verdict.kind]);
}

/* It was not heard before, but somebody took over from it while it was missed: it had slots. */
static bool was_taken_over(const struct model *model, const struct suspicion *suspicion) {
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        nstime end = suspicion->end.time;
        if (e->old_primary == suspicion->subject && e->promoted.time >= suspicion->begin.time &&
            (end == TIME_NONE || e->promoted.time <= end))
            return true;
    }
    return false;
}

static void tell(const struct detection *detection, struct suspicion *suspicion) {
    char name[ENDPOINT_TEXT];
    bool primary = suspicion->primary || was_taken_over(detection->model, suspicion);
    verdict_settle(detection->model, suspicion->subject, &suspicion->verdict);
    model_node_text(detection->model, suspicion->subject, name);
    struct finding *finding = finding_new(
        "node-failed", primary ? SEVERITY_CRITICAL : SEVERITY_WARNING, suspicion_start(suspicion));
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "%s %s was marked failed: %s", primary ? "Primary" : "Node", name,
                  verdict_word(suspicion->verdict.kind));
    verdict_tell(&suspicion->verdict, finding);
    measure(detection, suspicion, finding);
    suspicion_tell(detection, suspicion, finding);
    finding_evidence(finding, &suspicion->failed, "the first word that it has failed");
    finding_node(finding, model_node(detection->model, suspicion->subject)->id);
    tell_caveats(detection, suspicion, finding);
    advise(suspicion, finding);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct suspicions *suspicions = state;
    for (size_t i = 0; i < suspicions->count; i++)
        if (suspicion_failed(suspicions->list[i]))
            tell(detection, suspicions->list[i]);
}

const struct detector detect_node_failed = {
    .name = "node-failed",
    .help = "a node was marked failed: by whom, after how long, and why",
    .wants = SUSPICION_WANTS,
    .state = sizeof(struct suspicions),
    .event = suspicions_event,
    .tick = suspicions_tick,
    .finish = finish,
    .dispose = suspicions_free,
};
