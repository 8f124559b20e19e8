/* model_open_slots.c - slots that are open while they move: since when, until when, and for how
 * long nothing of them moved. SETSLOT tells it, or else ASK, by which the source sends clients on.
 */
#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* An open slot in which nothing moves for less is not remembered. */
static const nstime BRIEF = 1 * NS_PER_SEC;

struct open_state {
    struct open_slot slot;         /* since TIME_NONE: it is not open */
    nstime last;                   /* something of it moved, or it was opened */
    bool source_seen, target_seen; /* as the servers that were told; else from ids */
    bool to_known;
    char to[BUS_NODE_ID];
    struct migration *migration; /* NULL: not known */
};

static struct open_state *state_of(const struct model *model, uint64_t slot) {
    struct open_state **open = model->migrations.open;
    return open && slot < BUS_SLOTS ? open[slot] : NULL;
}

static bool is_open(const struct open_state *state) {
    return state && state->slot.since != TIME_NONE;
}

/* The slot's state, made when it is first asked for. NULL: out of memory. */
static struct open_state *make_state(struct model *model, uint16_t slot) {
    struct model_migrations *migrations = &model->migrations;
    if (!migrations->open)
        migrations->open = calloc(BUS_SLOTS, sizeof(struct open_state *));
    if (!migrations->open)
        return NULL;
    if (!migrations->open[slot]) {
        migrations->open[slot] = calloc(1, sizeof(struct open_state));
        if (migrations->open[slot])
            migrations->open[slot]->slot.since = TIME_NONE;
    }
    return migrations->open[slot];
}

static void open_state(struct model *model, struct open_state *state, uint16_t slot) {
    if (is_open(state))
        return;
    *state = (struct open_state){
        .slot = {.slot = slot,
                 .since = model->cause->time,
                 .closed = TIME_NONE,
                 .place = place_of(model->cause)},
        .last = model->cause->time,
    };
}

static void note_pause(struct open_slot *slot, nstime from, nstime to) {
    struct pause pause = {from > slot->since ? from : slot->since, to};
    if (pause_length(&pause) > pause_length(&slot->idle))
        slot->idle = pause;
}

/* Nothing of it has moved since; keys of other slots of the migration count, for one comes after
 * the other. */
static void note_idle(struct open_state *state, nstime now) {
    const struct migration *m = state->migration;
    if (m)
        note_pause(&state->slot, m->idle.from, m->idle.to);
    if (!m || !m->calling)
        note_pause(&state->slot, m && m->moved > state->last ? m->moved : state->last, now);
}

static void belong_to(struct open_state *state, struct migration *migration) {
    if (state->migration == migration)
        return;
    if (state->migration)
        state->migration->open--;
    state->migration = migration;
    migration->open++;
}

void model_migration_moves(struct model *model, struct migration *migration, uint64_t slot) {
    struct open_state *state = state_of(model, slot);
    nstime now = model->cause->time;
    slots_add(migration->slots, slot);
    if (is_open(state)) {
        note_idle(state, now);
        state->last = now;
        belong_to(state, migration);
    }
    model_migration_moved(migration, now);
}

static bool endpoint_of_id(const struct model *model, const char *id, struct endpoint *ret_addr) {
    uint32_t index = id ? model_index_of(model, id) : NODE_NONE;
    if (index == NODE_NONE || !model_node(model, index)->addr_known)
        return false;
    *ret_addr = model_node(model, index)->addr;
    return true;
}

/* Both ends are known: the slot belongs to their migration. */
static void join_migration(struct model *model, struct open_state *state) {
    struct open_slot *slot = &state->slot;
    if (slot->source.port == 0 || slot->target.port == 0)
        return;
    struct migration *m = model_migration_at(model, &slot->source, &slot->target, false);
    if (!m)
        return;
    slots_add(m->slots, slot->slot);
    slots_remove(m->given, slot->slot);
    if (!m->asked_by_known)
        m->asked_by = model->cause->flow->ends[!model->cause->direction];
    m->asked_by_known = true;
    m->opened = true;
    model_migration_seen(m, model->cause->time);
    belong_to(state, m);
}

void model_slot_opened(struct model *model, uint16_t slot, const struct endpoint *server,
                       bool importing, const char *other) {
    struct open_state *state = make_state(model, slot);
    if (!state)
        return;
    open_state(model, state, slot);
    state->slot.set = true;
    if (importing) {
        state->slot.target = *server;
        state->target_seen = true;
        if (!state->source_seen)
            endpoint_of_id(model, other, &state->slot.source);
    } else {
        state->slot.source = *server;
        state->source_seen = true;
        if (!state->target_seen)
            endpoint_of_id(model, other, &state->slot.target);
        state->to_known = other;
        if (other)
            memcpy(state->to, other, BUS_NODE_ID);
    }
    join_migration(model, state);
}

/* Keeps what was open without need. */
static void keep(struct model *model, const struct open_slot *slot) {
    struct model_migrations *migrations = &model->migrations;
    if (pause_length(&slot->idle) < BRIEF)
        return;
    struct open_slot *kept = migrations->kept_count < CAP_OPEN_SLOTS
                                 ? list_with_room(migrations->kept, migrations->kept_count,
                                                  &migrations->kept_room, sizeof *kept)
                                 : NULL;
    if (!kept) {
        model->books.migrations_over_cap++;
        return;
    }
    migrations->kept = kept;
    kept[migrations->kept_count++] = *slot;
}

static void close_state(struct model *model, struct open_state *state, bool given) {
    note_idle(state, model->cause->time);
    state->slot.closed = model->cause->time;
    if (given && state->migration) {
        slots_add(state->migration->given, state->slot.slot);
        model_migration_moved(state->migration, model->cause->time);
    }
    if (state->migration) {
        model_migration_seen(state->migration, model->cause->time);
        state->migration->open--;
        state->migration->closed_back += !given && !state->slot.taken;
    }
    keep(model, &state->slot);
    state->slot.since = TIME_NONE;
}

void model_slot_closed(struct model *model, uint16_t slot, const struct endpoint *server,
                       const char *owner) {
    struct open_state *state = state_of(model, slot);
    struct endpoint addr;
    if (!is_open(state))
        return;
    bool known = endpoint_of_id(model, owner, &addr);
    bool given = owner && (state->to_known ? memcmp(owner, state->to, BUS_NODE_ID) == 0
                           : known         ? endpoint_equal(&addr, &state->slot.target)
                                           : endpoint_equal(server, &state->slot.target));
    close_state(model, state, given);
}

void model_slot_claimed(struct model *model, const struct node *node, uint32_t slot) {
    struct open_state *state = state_of(model, slot);
    if (!is_open(state))
        return;
    bool given = endpoint_equal(&node->addr, &state->slot.target);
    state->slot.taken = !given && !endpoint_equal(&node->addr, &state->slot.source);
    close_state(model, state, given);
}

/* ---- what clients are told ---- */

/* The source sends a client on to the target: the slot is open, whoever opened it. MOVED from there
 * says that it is no more. */
void model_migration_ask(struct model *model, const struct event *event) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    uint16_t slot = (uint16_t)event->redirect.slot;
    struct open_state *state = state_of(model, slot);
    if (!event->redirect.kind || event->redirect.slot >= BUS_SLOTS)
        return;
    if (event->redirect.kind[0] != 'a') {
        if (is_open(state) && !state->slot.set && endpoint_equal(server, &state->slot.source))
            close_state(model, state, true);
        return;
    }
    state = make_state(model, slot);
    if (!state)
        return;
    if (!is_open(state)) {
        open_state(model, state, slot);
        state->slot.source = *server;
        if (!model_redirect_target(model, event, &state->slot.target))
            state->slot.target = (struct endpoint){0};
    }
    if (state->slot.asks++ == 0)
        state->slot.first_ask = event->time;
    state->slot.last_ask = event->time;
}

void model_open_slots(const struct model *model, nstime end,
                      void (*visit)(void *context, const struct open_slot *slot), void *context) {
    const struct model_migrations *migrations = &model->migrations;
    for (uint32_t i = 0; i < migrations->kept_count; i++)
        visit(context, &migrations->kept[i]);
    for (uint32_t slot = 0; migrations->open && slot < BUS_SLOTS; slot++) {
        if (!is_open(migrations->open[slot]))
            continue;
        struct open_state state = *migrations->open[slot];
        note_idle(&state, end);
        visit(context, &state.slot);
    }
}

void model_open_slots_free(struct model_migrations *migrations) {
    for (uint32_t slot = 0; migrations->open && slot < BUS_SLOTS; slot++)
        free(migrations->open[slot]);
    free(migrations->open);
    free(migrations->kept);
}
