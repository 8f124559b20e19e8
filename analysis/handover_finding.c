/* handover_finding.c - a replica was told to take over, and gave up before it asked for votes: what
 * it waited for in vain. */
#include "analysis/failover_failed.h"
#include "analysis/model_orders.h"

#include <inttypes.h>

static enum failover_reason reason_of(const struct handover *handover) {
    if (!handover_was_answered(handover))
        return FAILOVER_NO_ANSWER;
    return handover->had < handover->wanted ? FAILOVER_REPLICA_BEHIND : FAILOVER_NOT_ASKED;
}

static void tell_pause(struct finding *finding, const struct handover *handover,
                       const char *primary) {
    const struct write_pause *pause = &handover->pause;
    if (pause->first.time == TIME_NONE)
        return;
    struct place first = place_of_stamp(pause->first), last = place_of_stamp(pause->last);
    double after = (double)(pause->first.time - handover->asked.time) / (double)NS_PER_SEC;
    uint64_t ms = (uint64_t)((pause->last.time - pause->first.time) / NS_PER_MS);
    finding_explain(
        finding, "%s said for %.1f s that its writes were paused%s.", primary, (double)ms / 1000,
        handover_was_answered(handover) ? "" : ", when nobody waited for that any more");
    finding_evidence(finding, &first, "%s says that it has paused writes, %.1f s after", primary,
                     after);
    finding_evidence(finding, &last, "it says so for the last time");
    value_number(finding_metrics(finding), "paused_ms", ms);
}

void handover_tell(const struct detection *detection, const struct handover *handover) {
    const struct model *model = detection->model;
    enum failover_reason reason = reason_of(handover);
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
    failover_failed_tell(detection, finding,
                         &(struct failover_outcome){.reason = reason,
                                                    .end = handover->asked.time + HANDOVER_LASTS,
                                                    .voters = model_voters(model)});
    if (reason == FAILOVER_REPLICA_BEHIND)
        finding_explain(finding, "%s still lacked %" PRIu64 " bytes then.", replica,
                        handover->wanted - handover->had);
    finding_caveat(finding, "no election began, so there is no epoch of one");
    finding_evidence(finding, &handover->asked, "%s asks its primary to hand over", replica);
    order_tell(model_order(model, handover->replica, ORDER_FAILOVER,
                           handover->asked.time - NS_PER_SEC, handover->asked.time + NS_PER_SEC),
               finding);
    tell_pause(finding, handover, primary);
    if (reason == FAILOVER_NOT_ASKED)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    detection_report(detection, finding);
}
