/* detect_epoch_collision.c - two primaries with slots have one configuration epoch, and keep it.
 *
 * The greater epoch decides who owns a slot, so between equal ones nobody can decide. Servers
 * resolve it when they hear each other: the one with the smaller id takes a new epoch. What lasts
 * shows that they do not. Epoch 0 is that of a node nobody has given one yet. A node whose address
 * is another's by now speaks to nobody, and collides with nobody. */
#include "analysis/detector.h"
#include "decode/slot_set.h"

#include <inttypes.h>

enum { COLLISIONS_MAX = 32 /* at once */ };

struct collision {
    uint32_t nodes[2];
    uint64_t epoch;
    struct place place; /* of the message that made them equal */
};

struct collisions {
    struct collision list[COLLISIONS_MAX];
    size_t count;
};

static bool claims_slots(const struct node *node) {
    return !node->replica && slots_any(node->slots);
}

static bool collide(const struct model *model, uint32_t one, uint32_t other) {
    const struct node *a = model_node(model, one), *b = model_node(model, other);
    return a->config_epoch == b->config_epoch && a->config_epoch != 0 && claims_slots(a) &&
           claims_slots(b) && !model_is_replaced(model, one) && !model_is_replaced(model, other);
}

/* ---- the finding ---- */

static void tell(const struct detection *detection, const struct collision *collision, nstime end) {
    const struct model *model = detection->model;
    const struct node *a = model_node(model, collision->nodes[0]);
    const struct node *b = model_node(model, collision->nodes[1]);
    char one[ENDPOINT_TEXT], other[ENDPOINT_TEXT];
    bool shared = end == TIME_NONE && slots_meet(a->slots, b->slots);
    model_node_text(model, collision->nodes[0], one);
    model_node_text(model, collision->nodes[1], other);
    struct finding *finding = finding_new(
        "epoch-collision", shared ? SEVERITY_CRITICAL : SEVERITY_WARNING, collision->place.time);
    finding_title(finding, "%s and %s have the same configuration epoch, %" PRIu64, one, other,
                  collision->epoch);
    finding_explain(finding,
                    "The greater epoch decides which primary owns a slot; between equal ones the "
                    "others keep whom they knew, so they may disagree. Primaries that hear each "
                    "other resolve this at once: the one with the smaller id takes a new epoch. "
                    "These did not, so they did not hear each other%s.",
                    shared ? ", and they claim some of the same slots" : "");
    finding_advise(finding, "see whether the two reach each other's bus port, both ways");
    finding_advise(finding, "if they do, CLUSTER BUMPEPOCH on the one that is to own the slots");
    finding_evidence(finding, &collision->place, "from here on the epochs are equal");
    struct value *nodes = value_list(finding_metrics(finding), "nodes");
    for (size_t i = 0; i < 2; i++) {
        const char *id = model_node(model, collision->nodes[i])->id;
        finding_node(finding, id);
        value_node(nodes, NULL, id);
    }
    value_number(finding_metrics(finding), "epoch", collision->epoch);
    finding_ends(finding, end, "unresolved");
    detection_report(detection, finding);
}

/* ---- following them ---- */

static void end_collision(const struct detection *detection, struct collisions *collisions,
                          size_t index, nstime end) {
    nstime least = (nstime)threshold(detection, THRESHOLD_epoch_collision) * NS_PER_SEC;
    nstime now = end == TIME_NONE ? model_books(detection->model)->last : end;
    if (now - collisions->list[index].place.time >= least)
        tell(detection, &collisions->list[index], end);
    collisions->list[index] = collisions->list[--collisions->count];
}

static bool is_known(const struct collisions *collisions, uint32_t a, uint32_t b) {
    for (size_t i = 0; i < collisions->count; i++) {
        const uint32_t *nodes = collisions->list[i].nodes;
        if ((nodes[0] == a && nodes[1] == b) || (nodes[0] == b && nodes[1] == a))
            return true;
    }
    return false;
}

static void end_what_is_over(const struct detection *detection, struct collisions *collisions,
                             nstime now) {
    for (size_t i = collisions->count; i-- > 0;) {
        const uint32_t *nodes = collisions->list[i].nodes;
        if (!collide(detection->model, nodes[0], nodes[1]))
            end_collision(detection, collisions, i, now);
    }
}

static const char *node_of(const struct event *event) {
    return event->type == EV_node_epoch   ? event->node_epoch.node
           : event->type == EV_node_role  ? event->node_role.node
           : event->type == EV_node_slots ? event->node_slots.node
                                          : event->node_heard.node;
}

/* The node has another epoch, role or slots than before. */
static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct collisions *collisions = state;
    const struct model *model = detection->model;
    uint32_t node = model_index_of(model, node_of(event));
    if (node == NODE_NONE)
        return;
    end_what_is_over(detection, collisions, event->time);
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool new = collide(model, i, node) && i != node && !is_known(collisions, i, node);
        if (new && collisions->count < COLLISIONS_MAX)
            collisions->list[collisions->count++] =
                (struct collision){.nodes = {node, i},
                                   .epoch = model_node(model, node)->config_epoch,
                                   .place = place_of(event)};
    }
}

static void finish(const struct detection *detection, void *state) {
    struct collisions *collisions = state;
    while (collisions->count > 0)
        end_collision(detection, collisions, 0, TIME_NONE);
}

const struct detector detect_epoch_collision = {
    .name = "epoch-collision",
    .help = "two primaries keep one configuration epoch",
    .wants = EVENT_BIT(node_epoch) | EVENT_BIT(node_role) | EVENT_BIT(node_slots) |
             EVENT_BIT(node_heard),
    .state = sizeof(struct collisions),
    .event = on_event,
    .finish = finish,
};
