/* detect_slot_stuck.c - a slot stays open: clients are sent on by ASK, and no key of it moves. Half
 * of its keys are here, half there, until somebody ends the migration. */
#include "analysis/detector.h"
#include "analysis/model_migrations.h"
#include "analysis/model_redirects.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct open_slot {
    uint64_t asks;
    nstime last;
    struct place first; /* ASK since a key last moved */
    struct endpoint source, target;
};

struct stuck {
    struct open_slot *slots; /* BUS_SLOTS; NULL: no ASK so far */
};

static uint32_t node_at(const struct model *model, const struct endpoint *addr) {
    for (uint32_t i = 0; i < model_node_count(model); i++)
        if (model_node(model, i)->addr_known && endpoint_equal(&model_node(model, i)->addr, addr))
            return i;
    return NODE_NONE;
}

static void put_end(const struct model *model, struct finding *finding, const char *name,
                    const struct endpoint *addr, char text[ENDPOINT_TEXT]) {
    uint32_t index = node_at(model, addr);
    endpoint_text(addr, text);
    if (index == NODE_NONE)
        return;
    finding_node(finding, model_node(model, index)->id);
    value_node(finding_metrics(finding), name, model_node(model, index)->id);
}

static void tell(const struct detection *detection, uint32_t slot, const struct open_slot *open,
                 nstime end) {
    char source[ENDPOINT_TEXT], target[ENDPOINT_TEXT], lasted[DURATION_TEXT];
    nstime duration = open->last - open->first.time;
    if (duration < (nstime)threshold(detection, THRESHOLD_slot_stuck) * NS_PER_SEC)
        return;
    struct finding *finding = finding_new("slot-stuck", SEVERITY_WARNING, open->first.time);
    put_end(detection->model, finding, "source", &open->source, source);
    put_end(detection->model, finding, "target", &open->target, target);
    finding_title(finding, "Slot %" PRIu32 " stood open between %s and %s for %s, and no key moved",
                  slot, source, target, finding_duration(duration, lasted));
    finding_explain(finding,
                    "%" PRIu64
                    " requests for keys that were not there any more were sent on by ASK. "
                    "Meanwhile no key of the slot was migrated.",
                    open->asks);
    finding_evidence(finding, &open->first, "the first ASK since a key was moved");
    finding_advise(finding,
                   "end the migration: redis-cli --cluster fix, or MIGRATE what is left and "
                   "CLUSTER SETSLOT %" PRIu32 " NODE on both",
                   slot);
    finding_slot(finding, slot);
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "slot", slot);
    value_number(metrics, "asks", open->asks);
    value_number(metrics, "duration_ms", (uint64_t)(duration / NS_PER_MS));
    finding_ends(finding, end, "migration-stopped");
    finding_rests_on_unseen(finding);
    detection_report(detection, finding);
}

static void close_slot(const struct detection *detection, struct stuck *stuck, uint32_t slot,
                       nstime end) {
    struct open_slot *open = &stuck->slots[slot];
    if (open->asks)
        tell(detection, slot, open, end);
    *open = (struct open_slot){0};
}

static void on_ask(const struct detection *detection, struct stuck *stuck,
                   const struct event *event) {
    uint32_t slot = (uint32_t)event->redirect.slot;
    if (!stuck->slots)
        stuck->slots = calloc(BUS_SLOTS, sizeof *stuck->slots);
    if (!stuck->slots)
        return;
    struct open_slot *open = &stuck->slots[slot];
    nstime moved = model_slot_moved(detection->model, slot);
    if (open->asks && moved > open->first.time)
        close_slot(detection, stuck, slot, open->last);
    if (open->asks++ == 0) {
        open->first = place_of(event);
        open->source = event->flow->ends[event->direction];
        (void)redirect_target(event, &open->target);
    }
    open->last = event->time;
}

/* The slot has an owner who says so. */
static void on_slots(const struct detection *detection, struct stuck *stuck,
                     const struct event *event) {
    const uint8_t *gained = event->node_slots.gained;
    for (uint32_t slot = 0; stuck->slots && slot < BUS_SLOTS; slot++)
        if (gained[slot >> 3] & 1u << (slot & 7))
            close_slot(detection, stuck, slot, event->time);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    if (event->type == EV_node_slots)
        on_slots(detection, state, event);
    else if (event->redirect.kind[0] == 'a')
        on_ask(detection, state, event);
}

static void finish(const struct detection *detection, void *state) {
    struct stuck *stuck = state;
    nstime last = model_books(detection->model)->last;
    for (uint32_t slot = 0; stuck->slots && slot < BUS_SLOTS; slot++)
        close_slot(detection, stuck, slot,
                   last - stuck->slots[slot].last < NS_PER_SEC ? TIME_NONE
                                                               : stuck->slots[slot].last);
}

static void dispose(void *state) {
    free(((struct stuck *)state)->slots);
}

const struct detector detect_slot_stuck = {
    .name = "slot-stuck",
    .help = "a slot stays open while no key of it moves",
    .wants = EVENT_BIT(redirect) | EVENT_BIT(node_slots),
    .state = sizeof(struct stuck),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
