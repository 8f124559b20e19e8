/* migration_text.c - a node where the address is one's, else the address. */
#include "analysis/migration_text.h"

#include <stdio.h>

static bool is_nobody(const struct endpoint *end) {
    static const struct endpoint nobody;
    return endpoint_equal(end, &nobody);
}

static void name_end(const struct model *model, struct finding *finding, const char *role,
                     const struct endpoint *end, char text[ENDPOINT_TEXT]) {
    uint32_t index = is_nobody(end) ? NODE_NONE : model_node_at_address(model, end);
    struct value *metrics = finding_metrics(finding);
    if (is_nobody(end)) {
        (void)snprintf(text, ENDPOINT_TEXT, "another server");
        finding_caveat(finding, "the %s was not seen", role);
    } else if (index != NODE_NONE) {
        model_node_text(model, index, text);
        finding_node(finding, model_node(model, index)->id);
        value_node(metrics, role, model_node(model, index)->id);
    } else {
        if (end->port == 0)
            endpoint_ip_text(end, text);
        else
            endpoint_text(end, text);
        value_text(metrics, role, text);
        finding_addr(finding, end);
    }
}

struct migration_ends migration_name_ends(const struct detection *detection,
                                          struct finding *finding, const struct endpoint *source,
                                          const struct endpoint *target) {
    struct migration_ends ends;
    name_end(detection->model, finding, "source", source, ends.source);
    name_end(detection->model, finding, "target", target, ends.target);
    return ends;
}
