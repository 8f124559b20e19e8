/* follower_finding.c - a replica and its primary as a finding's nodes and metrics. */
#include "analysis/follower_finding.h"

static void name_end(const struct model *model, struct finding *finding, const char *role,
                     uint32_t node, const struct endpoint *addr, char text[ENDPOINT_TEXT]) {
    endpoint_known_text(addr, text);
    if (node == NODE_NONE) {
        value_text(finding_metrics(finding), role, text);
        return;
    }
    finding_node(finding, model_node(model, node)->id);
    value_node(finding_metrics(finding), role, model_node(model, node)->id);
}

struct follower_finding follower_finding(const struct detection *detection, const char *type,
                                         enum severity severity, nstime start,
                                         const struct follower *follower) {
    const struct model *model = detection->model;
    const struct endpoint *replica = &follower->replica, *primary = &follower->primary->addr;
    struct follower_finding f = {.finding = finding_new(type, severity, start)};
    name_end(model, f.finding, "replica", model_follower_node(model, follower), replica, f.replica);
    name_end(model, f.finding, "primary", model_followed_node(model, follower), primary, f.primary);
    finding_addr(f.finding, replica);
    return f;
}
