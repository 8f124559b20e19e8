/* handover_watch.c - a replica that asks its primary to hand over waits until that has paused its
 * writes, then until it has all of them, then it asks for votes; all within five seconds. */
#include "analysis/handover_watch.h"

/* A primary that hears the request late pauses all the same: that is followed for some time. */
static const nstime SLACK = 1 * NS_PER_SEC, FOLLOWED = 20 * NS_PER_SEC;

void handover_watch_asked(struct handover_watch *watch, const struct model *model,
                          const struct event *event) {
    const char *id = event->manual_failover.node;
    uint32_t replica = id ? model_index_of(model, id) : NODE_NONE;
    if (replica == NODE_NONE || watch->count == HANDOVERS_MAX)
        return;
    uint32_t primary = model_node(model, replica)->primary;
    if (primary == NODE_NONE)
        return;
    struct stamp never = {.time = TIME_NONE};
    watch->list[watch->count++] = (struct handover){
        .replica = replica, .primary = primary, .asked = place_of(event), .pause = {never, never}};
}

static void look_at_primary(struct handover *handover, const struct model *model) {
    struct write_pause pause = model_write_pause(model, handover->primary);
    bool again =
        pause.last.time != TIME_NONE && pause.last.time >= handover->asked.time &&
        (handover->pause.last.time == TIME_NONE || pause.last.time > handover->pause.last.time);
    if (!again)
        return;
    if (handover->pause.first.time == TIME_NONE)
        handover->pause.first = pause.first;
    handover->pause.last = pause.last;
    handover->wanted = model_node(model, handover->primary)->repl_offset;
}

static void look_at_replica(struct handover *handover, const struct model *model, nstime now) {
    const struct node *node = model_node(model, handover->replica);
    if (handover->expired || now < handover->asked.time + HANDOVER_LASTS)
        return;
    handover->expired = node->replica && node->primary == handover->primary &&
                        node->last_heard >= handover->asked.time + HANDOVER_LASTS;
    handover->had = node->repl_offset;
}

void handover_watch_look(struct handover_watch *watch, const struct model *model, nstime now) {
    for (size_t i = 0; i < watch->count; i++) {
        struct handover *handover = &watch->list[i];
        if (now - handover->asked.time > FOLLOWED)
            continue;
        look_at_primary(handover, model);
        look_at_replica(handover, model, now);
    }
}

bool handover_came_to_nothing(const struct handover *handover, const struct model *model) {
    if (!handover->expired)
        return false;
    nstime from = handover->asked.time, to = from + HANDOVER_LASTS + SLACK;
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        nstime begun = e->asked.time != TIME_NONE ? e->asked.time : e->promoted.time;
        if (e->candidate == handover->replica && begun >= from && begun <= to)
            return false;
    }
    return true;
}

bool handover_was_answered(const struct handover *handover) {
    nstime first = handover->pause.first.time;
    return first != TIME_NONE && first <= handover->asked.time + HANDOVER_LASTS;
}
