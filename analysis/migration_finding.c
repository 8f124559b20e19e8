/* migration_finding.c - an end of a migration is a node where the address is one's, else the
 * address; a migration is over when nothing was seen of it for some time. */
#include "analysis/migration_finding.h"

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
        endpoint_known_text(end, text);
        value_text(metrics, role, text);
        finding_addr(finding, end);
    }
}

struct migration_finding migration_finding(const struct detection *detection, const char *type,
                                           enum severity severity, nstime start,
                                           const struct endpoint *source,
                                           const struct endpoint *target) {
    struct migration_finding f = {.finding = finding_new(type, severity, start)};
    name_end(detection->model, f.finding, "source", source, f.source);
    name_end(detection->model, f.finding, "target", target, f.target);
    return f;
}

/* Longer than the model's own pause: then it takes what follows for another one. */
static const nstime OVER = 31 * NS_PER_SEC;

const struct migration *migration_next_over(const struct detection *detection,
                                            struct migrations_told *told, nstime now) {
    for (size_t i = 0; i < model_migration_count(detection->model); i++) {
        const struct migration *m = model_migration(detection->model, i);
        if (told->list[i] || m->last > now - OVER)
            continue;
        told->list[i] = true;
        return m;
    }
    return NULL;
}
