/* detect_slot_uncovered.c - slots that had an owner, and have none any more that is alive: it is
 * held for failed, or gave them up and nobody claims them.
 *
 * Only what was once covered can be uncovered: a cluster that is being made is not. Who owns what
 * is looked up when a primary fails, when somebody claims uncovered slots, and else once a second
 * after a change. */
#include "analysis/detector.h"
#include "analysis/model_elections.h"
#include "analysis/model_orders.h"
#include "decode/slot_set.h"

enum {
    PERIODS_MAX = 16, /* open at once */
    ORDER_S = 10,     /* from an order until its effect is heard */
};

/* Slots that nobody claims are not told before this: a handover may be seen in halves. */
static const nstime HANDOVER = 2 * NS_PER_SEC;

/* Slots that lost their owner at once. */
struct period {
    uint8_t slots[BUS_SLOT_BYTES], left[BUS_SLOT_BYTES]; /* left: still uncovered */
    uint32_t owner; /* who had them, if it failed; NODE_NONE: given up */
    struct place place;
};

struct coverage {
    uint8_t ever[BUS_SLOT_BYTES], uncovered[BUS_SLOT_BYTES]; /* ever: covered at some time */
    struct period periods[PERIODS_MAX];
    size_t count;
    bool dirty;
    struct place change; /* the last one */
};

/* ---- the finding ---- */

static void explain(const struct detection *detection, struct finding *finding,
                    const struct period *period) {
    char name[ENDPOINT_TEXT];
    model_node_text(detection->model, period->owner, name);
    if (period->owner == NODE_NONE) {
        finding_explain(finding, "Their owner gave them up, and nobody has claimed them since.");
        finding_advise(finding, "find out who removed them (CLUSTER DELSLOTS, FORGET, RESET); "
                                "redis-cli --cluster fix assigns them, but to a node that may not "
                                "have their data");
        return;
    }
    finding_explain(finding,
                    "They belong to %s, which is held for failed. Requests for them get "
                    "CLUSTERDOWN or are sent to a node that does not answer.",
                    name);
    finding_node(finding, model_node(detection->model, period->owner)->id);
}

static void title(const struct detection *detection, struct finding *finding,
                  const struct period *period, const char *duration) {
    char owner[ENDPOINT_TEXT];
    size_t slots = slots_count(period->slots);
    model_node_text(detection->model, period->owner, owner);
    if (period->owner == NODE_NONE)
        finding_title(finding, "%zu slots had no owner for %s", slots, duration);
    else
        finding_title(finding, "%zu slots of %s had no live owner for %s", slots, owner, duration);
}

/* Up to when they are known to have had no owner. Who took them was heard as a replica before that;
 * in a capture with holes it may have been promoted long before it was heard as a primary. */
static nstime known_until(const struct model *model, const struct period *period, nstime end) {
    nstime heard = TIME_NONE;
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        if (e->promoted.time > period->place.time && slots_meet(e->slots, period->slots))
            return earlier(e->replica_until, end);
    }
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (node->replica && node->primary == period->owner && node->last_heard > heard)
            heard = node->last_heard;
    }
    return earlier(heard, end);
}

/* The order by which some node gave them up, a little before it was heard; NULL: none was seen. */
static const struct order *given_up_by(const struct detection *detection,
                                       const struct period *period) {
    nstime to = period->place.time, from = to - ORDER_S * NS_PER_SEC;
    const struct order *order = NULL;
    for (uint32_t i = 0; !order && i < model_node_count(detection->model); i++) {
        order = model_order(detection->model, i, ORDER_UNASSIGN, from, to);
        order = order ? order : model_order(detection->model, i, ORDER_RESET, from, to);
    }
    return order;
}

static void tell(const struct detection *detection, const struct period *period, nstime end) {
    nstime now = end == TIME_NONE ? model_books(detection->model)->last : end;
    nstime length = now - period->place.time;
    nstime critical = (nstime)threshold(detection, THRESHOLD_slot_uncovered) * NS_PER_SEC;
    char duration[DURATION_TEXT];
    if (period->owner == NODE_NONE && length < HANDOVER)
        return;
    nstime known = known_until(detection->model, period, now) - period->place.time;
    struct finding *finding =
        finding_new("slot-uncovered", known >= critical ? SEVERITY_CRITICAL : SEVERITY_NOTICE,
                    period->place.time);
    title(detection, finding, period, finding_duration(length, duration));
    explain(detection, finding, period);
    finding_slots(finding, period->slots);
    finding_evidence(finding, &period->place,
                     period->owner == NODE_NONE ? "they are given up"
                                                : "their owner is marked FAIL");
    value_slots(finding_metrics(finding), "slots", period->slots);
    value_ms(finding_metrics(finding), "duration_ms", length);
    const struct order *order = period->owner == NODE_NONE ? given_up_by(detection, period) : NULL;
    order_tell(order, finding);
    finding_ends(finding, end,
                 order                        ? "administrative"
                 : period->owner == NODE_NONE ? "unassigned"
                                              : "owner-failed");
    detection_report(detection, finding);
}

/* ---- looking ---- */

/* The period that begins now with this owner's slots; NULL: there is no room. */
static struct period *period_of(struct coverage *coverage, size_t first, const struct model *model,
                                uint32_t owner) {
    for (size_t i = first; i < coverage->count; i++)
        if (coverage->periods[i].owner == owner)
            return &coverage->periods[i];
    if (coverage->count == PERIODS_MAX)
        return NULL;
    struct period *period = &coverage->periods[coverage->count++];
    *period = (struct period){.owner = owner, .place = coverage->change};
    if (owner != NODE_NONE)
        period->place = model_alarm(model, owner)->failed.place;
    return period;
}

static void uncover(struct coverage *coverage, size_t slot, struct period *period) {
    slots_add(coverage->uncovered, slot);
    if (!period)
        return;
    slots_add(period->slots, slot);
    slots_add(period->left, slot);
}

static void cover(struct coverage *coverage, size_t slot) {
    slots_remove(coverage->uncovered, slot);
    for (size_t i = 0; i < coverage->count; i++)
        slots_remove(coverage->periods[i].left, slot);
}

static void end_periods(const struct detection *detection, struct coverage *coverage) {
    for (size_t i = coverage->count; i-- > 0;) {
        if (slots_count(coverage->periods[i].left) > 0)
            continue;
        tell(detection, &coverage->periods[i], coverage->change.time);
        coverage->periods[i] = coverage->periods[--coverage->count];
    }
}

static const nstime LIVELY = 1 * NS_PER_SEC;

/* A replica alone says so of one that is there and well, and nobody has announced it: it stood
 * still itself when that was so, and reads only now what it was sent then. */
static bool is_old_news(const struct model *model, uint32_t owner, nstime now) {
    const struct alarm *alarm = model_alarm(model, owner);
    const struct node *node = model_node(model, owner);
    return alarm->announced.node == NODE_NONE && alarm->most <= 1 &&
           !model_is_voter(model, alarm->failed.node) && node->state == 0 &&
           now - node->last_heard < LIVELY;
}

static bool is_failed(const struct model *model, uint32_t owner, nstime now) {
    return model_is_failed(model, owner) && !is_old_news(model, owner, now);
}

static void look(const struct detection *detection, struct coverage *coverage) {
    const struct model *model = detection->model;
    uint32_t owners[BUS_SLOTS];
    size_t first = coverage->count;
    model_slot_owners(model, owners);
    for (size_t s = 0; s < BUS_SLOTS; s++) {
        bool failed = owners[s] != NODE_NONE && is_failed(model, owners[s], coverage->change.time);
        bool covered = owners[s] != NODE_NONE && !failed, was = slots_have(coverage->uncovered, s);
        if (covered)
            slots_add(coverage->ever, s);
        if (covered && was)
            cover(coverage, s);
        else if (!covered && !was && slots_have(coverage->ever, s))
            uncover(coverage, s, period_of(coverage, first, model, failed ? owners[s] : NODE_NONE));
    }
    end_periods(detection, coverage);
    coverage->dirty = false;
}

/* ---- events ---- */

static bool is_first_failure(const struct model *model, const struct event *event,
                             const char *about) {
    uint32_t index = about ? model_index_of(model, about) : NODE_NONE;
    return index != NODE_NONE && model_is_first_failure(model, index, event);
}

static bool is_urgent(const struct model *model, const struct coverage *coverage,
                      const struct event *event) {
    switch (event->type) {
    case EV_node_failed:
        return is_first_failure(model, event, event->node_failed.about);
    case EV_fail_announced:
        return is_first_failure(model, event, event->fail_announced.about);
    case EV_node_slots:
        return slots_meet(event->node_slots.gained, coverage->uncovered);
    case EV_node_cleared:
        return coverage->count > 0;
    default:
        return false;
    }
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct coverage *coverage = state;
    coverage->dirty = true;
    coverage->change = place_of(event);
    if (is_urgent(detection->model, coverage, event))
        look(detection, coverage);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct coverage *coverage = state;
    (void)now;
    if (coverage->dirty)
        look(detection, coverage);
}

static void finish(const struct detection *detection, void *state) {
    struct coverage *coverage = state;
    if (coverage->dirty)
        look(detection, coverage);
    for (size_t i = 0; i < coverage->count; i++)
        tell(detection, &coverage->periods[i], TIME_NONE);
}

const struct detector detect_slot_uncovered = {
    .name = "slot-uncovered",
    .help = "slots without a live owner",
    .wants = EVENT_BIT(node_failed) | EVENT_BIT(fail_announced) | EVENT_BIT(node_slots) |
             EVENT_BIT(node_cleared) | EVENT_BIT(node_heard) | EVENT_BIT(node_role),
    .state = sizeof(struct coverage),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
