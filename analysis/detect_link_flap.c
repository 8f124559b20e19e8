/* detect_link_flap.c - a bus link works, breaks and is opened anew, again and again. A link that
 * does not work in between is none: its node is silent, and that is told elsewhere. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/model_orders.h"
#include "base/list.h"

enum { LEAST = 3 /* times */, WITHIN = 60 /* seconds */ };

struct flaps {
    nstime *since; /* by link: the first of the openings that were too many; 0: none */
    size_t count;
};

static bool room_for(struct flaps *flaps, size_t links) {
    nstime *since = list_up_to(flaps->since, &flaps->count, links, sizeof *since);
    flaps->since = since ? since : flaps->since;
    return since;
}

/* When the link was opened so many times ago. */
static nstime opened_before(const struct link *link, uint32_t times) {
    return link->opened[(link->opens - 1 - times) % countof(link->opened)];
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct flaps *flaps = state;
    size_t links = model_link_count(detection->model);
    if (!room_for(flaps, links))
        return;
    for (size_t i = 0; i < links; i++) {
        const struct link *link = model_link(detection->model, i);
        if (flaps->since[i] == 0 && link->reconnects >= LEAST &&
            now - opened_before(link, LEAST - 1) <= WITHIN * NS_PER_SEC)
            flaps->since[i] = opened_before(link, LEAST - 1);
    }
}

/* For a minute a node keeps off whom it was told to forget. */
enum { FORGOTTEN_S = 60 };

static const struct order *forgotten_by(const struct model *model, const struct link *link,
                                        nstime since) {
    nstime from = since - FORGOTTEN_S * NS_PER_SEC;
    const struct order *order = model_order(model, link->from, ORDER_FORGET, from, since);
    return order ? order : model_order(model, link->to, ORDER_FORGET, from, since);
}

static void tell(const struct detection *detection, const struct link *link, nstime since) {
    const struct model *model = detection->model;
    char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
    model_node_text(model, link->from, from);
    model_node_text(model, link->to, to);
    struct finding *finding = finding_new("link-flap", SEVERITY_NOTICE, since);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    const struct order *forgotten = forgotten_by(model, link, since);
    finding_title(finding, "The bus link of %s to %s was opened anew %" PRIu32 " times", from, to,
                  link->reconnects);
    finding_explain(finding, "It worked in between: PONGs came back on it. A node closes a link "
                             "when a PONG is late by half the node timeout; middle boxes and "
                             "limits on buffers close it, too.");
    finding_node(finding, model_node(model, link->from)->id);
    finding_node(finding, model_node(model, link->to)->id);
    value_node(finding_metrics(finding), "from", model_node(model, link->from)->id);
    value_node(finding_metrics(finding), "to", model_node(model, link->to)->id);
    value_number(finding_metrics(finding), "reconnects", link->reconnects);
    struct place closed = place_of_stamp(
        link->closed[0].time > link->closed[1].time ? link->closed[0] : link->closed[1]);
    finding_evidence(finding, &closed, "the last time that it was closed, by %s",
                     link->closed[0].time > link->closed[1].time ? from : to);
    if (forgotten)
        finding_explain(finding,
                        "Somebody told one of them to forget another node (CLUSTER FORGET) "
                        "shortly before: it closes connections of those that it does not "
                        "know, and whoever was not told goes on calling.");
    order_tell(forgotten, finding);
    finding_advise(finding, forgotten
                                ? "send CLUSTER FORGET to all nodes within a minute, and wait "
                                  "for a minute before the node is met again"
                                : "see who closes it, and after how long");
    finding_rests_on_unseen(finding);
    finding_ends(finding, opened_before(link, 0), forgotten ? "administrative" : NULL);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct flaps *flaps = state;
    for (size_t i = 0; i < flaps->count; i++)
        if (flaps->since[i])
            tell(detection, model_link(detection->model, i), flaps->since[i]);
}

static void dispose(void *state) {
    free(((struct flaps *)state)->since);
}

const struct detector detect_link_flap = {
    .name = "link-flap",
    .help = "a bus link works, breaks and is opened anew, again and again",
    .state = sizeof(struct flaps),
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
