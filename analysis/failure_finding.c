/* failure_finding.c - a primary failed and none of its replicas asked for votes: which there were,
 * and what kept them from it. */
#include "analysis/failover_failed.h"

#include <inttypes.h>

static enum failover_reason reason_of(const struct failure *failure) {
    if (!failure->may)
        return FAILOVER_NO_ELIGIBLE_REPLICA;
    return failure->behind ? FAILOVER_DATA_TOO_OLD : FAILOVER_NOBODY_ASKED;
}

/* None could be heard, perhaps because one node's traffic alone was captured. */
static bool seems_silent(const struct failure *failure) {
    return failure->best == NODE_NONE && failure->replicas && !failure->lost;
}

static bool is_from_afar(const struct model *model, const struct failure *failure) {
    return seems_silent(failure) && model_vantage(model) != NODE_NONE;
}

static void explain_best(const struct model *model, const struct failure *failure,
                         struct finding *finding) {
    char replica[ENDPOINT_TEXT];
    model_node_text(model, failure->best, replica);
    if (!failure->may)
        finding_explain(finding, "%s is configured never to (cluster-replica-no-failover).",
                        replica);
    if (failure->may && failure->heard_it)
        finding_explain(finding,
                        "%s went on hearing its primary: if nobody could tell it that most hold "
                        "that for failed, it had no reason to ask.",
                        replica);
    if (failure->may && failure->behind)
        finding_explain(finding, "%s had %" PRIu64 " bytes less than its primary.", replica,
                        failure->behind);
}

static void explain_replicas(const struct model *model, const struct failure *failure,
                             struct finding *finding) {
    if (failure->best != NODE_NONE)
        explain_best(model, failure, finding);
    else if (failure->lost)
        finding_explain(finding, "Its replicas were held for failed, too.");
    else if (seems_silent(failure))
        finding_explain(finding, "Its replicas were silent, too%s.",
                        is_from_afar(model, failure)
                            ? ", towards the one node whose traffic was captured"
                            : "");
}

void failure_tell(const struct detection *detection, const struct failure *failure) {
    const struct model *model = detection->model;
    const struct node *primary = model_node(model, failure->primary);
    char name[ENDPOINT_TEXT];
    model_node_text(model, failure->primary, name);
    struct finding *finding = finding_new("failover-failed", SEVERITY_WARNING, failure->place.time);
    finding_title(finding, "%s failed, and no replica asked to take over", name);
    finding_node(finding, primary->id);
    finding_slots(finding, primary->slots);
    if (failure->best != NODE_NONE) {
        finding_node(finding, model_node(model, failure->best)->id);
        value_node(finding_metrics(finding), "candidate", model_node(model, failure->best)->id);
    }
    explain_replicas(model, failure, finding);
    failover_failed_tell(detection, finding,
                         &(struct failover_outcome){.reason = reason_of(failure),
                                                    .end = failure->over,
                                                    .voters = failure->voters});
    finding_caveat(finding, "no election began, so there is no epoch of one");
    bool sure = !failure->may && !is_from_afar(model, failure);
    finding_doubt(finding, sure ? CONFIDENCE_CERTAIN : CONFIDENCE_LIKELY);
    finding_evidence(finding, &failure->place, "it is held for failed (FAIL)");
    detection_report(detection, finding);
}
