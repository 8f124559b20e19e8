/* detect_clock_skew.c - a node's clock is off. Gossip tells by the sender's clock when it last
 * heard a PONG; the newest of these times lies a moment back. What all nodes share is the capture's
 * own error, so each is measured against the middle of all. */
#include <stdlib.h>

#include "analysis/detector.h"

/* Times in gossip are whole seconds, and the newest PONG may be a second or two old. */
enum { SAMPLES_MIN = 5 };

static int by_time(const void *a, const void *b) {
    nstime x = *(const nstime *)a, y = *(const nstime *)b;
    return (x > y) - (x < y);
}

/* The middle of all nodes' clocks; false: fewer than three nodes are known well enough. */
static bool middle(const struct model *model, nstime *ret_middle) {
    size_t count = 0, nodes = model_node_count(model);
    nstime *all = malloc((nodes + 1) * sizeof *all);
    for (size_t i = 0; all && i < nodes; i++)
        if (model_node(model, i)->clock_samples >= SAMPLES_MIN)
            all[count++] = model_node(model, i)->clock_ahead;
    if (count >= 3) {
        qsort(all, count, sizeof *all, by_time);
        *ret_middle = all[count / 2];
    }
    free(all);
    return count >= 3;
}

static void tell(const struct detection *detection, size_t index, nstime skew, nstime capture) {
    const struct node *node = model_node(detection->model, index);
    char name[ENDPOINT_TEXT];
    double seconds = (double)skew / (double)NS_PER_SEC;
    model_node_text(detection->model, index, name);
    struct finding *finding = finding_new("clock-skew", SEVERITY_NOTICE, node->first_seen);
    finding_title(finding, "The clock of %s is about %.0f s %s", name,
                  seconds < 0 ? -seconds : seconds, seconds < 0 ? "behind" : "ahead");
    finding_explain(finding,
                    "Its gossip tells when it last heard a PONG, by its own clock: these times are "
                    "%.0f s off from those of the other nodes. The cluster bus itself does not "
                    "need equal clocks, but expiry of keys and the logs do.",
                    seconds);
    finding_doubt(finding, CONFIDENCE_LIKELY);
    if (capture > 2 * NS_PER_SEC || capture < -10 * NS_PER_SEC)
        finding_caveat(finding, "the capturing host's own clock differs from most nodes' as well");
    finding_advise(finding, "check its time synchronisation (chronyc tracking, timedatectl)");
    finding_evidence(finding, &node->clock_place, "the newest time that its gossip tells");
    finding_node(finding, node->id);
    value_node(finding_metrics(finding), "node", node->id);
    value_real(finding_metrics(finding), "skew_s", seconds);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    nstime least = (nstime)threshold(detection, THRESHOLD_clock_skew) * NS_PER_SEC, capture;
    if (!middle(detection->model, &capture))
        return;
    for (size_t i = 0; i < model_node_count(detection->model); i++) {
        const struct node *node = model_node(detection->model, i);
        nstime skew = node->clock_ahead - capture;
        if (node->clock_samples >= SAMPLES_MIN && (skew >= least || skew <= -least))
            tell(detection, i, skew, capture);
    }
}

const struct detector detect_clock_skew = {
    .name = "clock-skew",
    .help = "a node's clock differs from the others'",
    .finish = finish,
};
