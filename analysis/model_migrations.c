/* model_migrations.c - who moves slots to whom, and which slots are open meanwhile. */
#include "analysis/model_migrations.h"

#include <stdlib.h>

#include "analysis/model_load.h"
#include "analysis/model_moves.h"
#include "analysis/model_redirects.h"
#include "base/limits.h"

/* What goes on after a longer pause is another migration. */
static const nstime APART = 30 * NS_PER_SEC;

/* An open slot in which nothing moves for less is not remembered. */
static const nstime BRIEF = 1 * NS_PER_SEC;

/* ---- migrations ---- */

/* Of one of them perhaps only the host is known. */
static bool may_be_same(const struct endpoint *a, const struct endpoint *b) {
    return endpoint_same_ip(a, b) && (a->port == b->port || a->port == 0 || b->port == 0);
}

static void learn_port(struct endpoint *known, const struct endpoint *now) {
    if (known->port == 0)
        known->port = now->port;
}

static struct migration *lately(struct model *model, const struct endpoint *source,
                                const struct endpoint *target, bool atomic) {
    const struct model_migrations *migrations = &model->migrations;
    for (uint32_t i = migrations->count; i-- > 0;) {
        struct migration *m = migrations->list[i];
        if (m->atomic == atomic && model->cause->time - m->last < APART &&
            may_be_same(&m->source, source) && may_be_same(&m->target, target))
            return m;
    }
    return NULL;
}

static struct migration *add(struct model *model, const struct endpoint *source,
                             const struct endpoint *target, bool atomic) {
    struct model_migrations *migrations = &model->migrations;
    struct migration **list = list_with_room(migrations->list, migrations->count, &migrations->room,
                                             sizeof(struct migration *));
    if (!list)
        return NULL;
    migrations->list = list;
    struct migration *m = migrations->count < CAP_MIGRATIONS ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
    m->atomic = atomic;
    m->source = *source;
    m->target = *target;
    m->first = m->last = model->cause->time;
    m->place = place_of(model->cause);
    m->failed = m->handed = place_none();
    list[migrations->count++] = m;
    model_load_begin(model, m);
    return m;
}

struct migration *model_migration_at(struct model *model, const struct endpoint *source,
                                     const struct endpoint *target, bool atomic) {
    struct migration *m = lately(model, source, target, atomic);
    if (!m)
        m = add(model, source, target, atomic);
    if (!m) {
        model->books.migrations_over_cap++;
        return NULL;
    }
    learn_port(&m->source, source);
    learn_port(&m->target, target);
    return m;
}

static nstime length_of(const struct pause *pause) {
    return pause->to - pause->from;
}

/* Something of it is seen. While MIGRATE runs keys are on their way, if nothing else is seen. */
static void touch(struct migration *migration, nstime now) {
    struct pause idle = {migration->last, now};
    if (migration->open && !migration->calling && length_of(&idle) > length_of(&migration->idle))
        migration->idle = idle;
    if (now > migration->last)
        migration->last = now;
}

size_t model_migration_count(const struct model *model) {
    return model->migrations.count;
}

const struct migration *model_migration(const struct model *model, size_t index) {
    return model->migrations.list[index];
}

bool model_migration_is_complete(const struct model *model, const struct migration *migration) {
    uint32_t index = model_node_at_address(model, &migration->target);
    const struct node *node = index == NODE_NONE ? NULL : model_node(model, index);
    const uint8_t *claimed = node && !node->replica ? node->slots : NULL;
    uint8_t any = 0;
    for (size_t i = 0; i < BUS_SLOT_BYTES; i++) {
        uint8_t has = migration->given[i] | (claimed ? claimed[i] : 0);
        any |= migration->slots[i];
        if (migration->slots[i] & ~has)
            return false;
    }
    return any;
}

/* ---- open slots ---- */

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
    if (length_of(&pause) > length_of(&slot->idle))
        slot->idle = pause;
}

/* Nothing of it has moved since; keys of other slots of the migration count, for one comes after
 * the other. */
static void note_idle(struct open_state *state, nstime now) {
    const struct migration *m = state->migration;
    if (m)
        note_pause(&state->slot, m->idle.from, m->idle.to);
    if (!m || !m->calling)
        note_pause(&state->slot, m && m->last > state->last ? m->last : state->last, now);
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
    touch(migration, now);
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
    touch(m, model->cause->time);
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
    if (length_of(&slot->idle) < BRIEF)
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
    if (given && state->migration)
        slots_add(state->migration->given, state->slot.slot);
    if (state->migration) {
        touch(state->migration, model->cause->time);
        state->migration->open--;
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

static void close_claimed(struct model *model, const struct node *node, uint32_t slot) {
    struct open_state *state = state_of(model, slot);
    if (is_open(state))
        close_state(model, state, endpoint_equal(&node->addr, &state->slot.target));
}

/* ---- what the bus tells: slots are handed over from one primary to another ---- */

/* Both sides of it are told within that time. */
static const nstime HANDOVER_TIME = 30 * NS_PER_SEC;

struct claim_change {
    const struct node *node; /* NULL: none */
    nstime time;
};

static bool know_changes(struct model_migrations *migrations) {
    if (!migrations->gained)
        migrations->gained = calloc(BUS_SLOTS, sizeof *migrations->gained);
    if (!migrations->lost)
        migrations->lost = calloc(BUS_SLOTS, sizeof *migrations->lost);
    return migrations->gained && migrations->lost;
}

/* An atomic migration between the two is the one; else it is a classic one, perhaps of no keys. */
static void handed_over(struct model *model, const struct node *from, const struct node *to,
                        uint32_t slot) {
    if (!from->addr_known || !to->addr_known)
        return;
    struct migration *m = lately(model, &from->addr, &to->addr, true);
    if (!m || !slots_have(m->slots, slot))
        m = model_migration_at(model, &from->addr, &to->addr, false);
    if (!m)
        return;
    slots_add(m->slots, slot);
    slots_add(m->given, slot);
    if (m->handed.time == TIME_NONE)
        m->handed = place_of(model->cause);
    touch(m, model->cause->time);
}

/* `other` is the other side of the same change of hands, if it was told lately. */
static void meet(struct model *model, struct claim_change *own, struct claim_change *other,
                 const struct node *node, uint32_t slot, bool gained) {
    nstime now = model->cause->time;
    bool met = other->node && other->node != node && now - other->time < HANDOVER_TIME;
    *own = (struct claim_change){node, now};
    if (!met)
        return;
    handed_over(model, gained ? other->node : node, gained ? node : other->node, slot);
    *own = *other = (struct claim_change){0};
}

/* After a failover the former owner is a replica, or silent: that is no migration. */
void model_migration_claimed(struct model *model, const struct node *node, const uint8_t *gained,
                             const uint8_t *lost) {
    struct model_migrations *migrations = &model->migrations;
    if (!know_changes(migrations))
        return;
    for (uint32_t slot = 0; slot < BUS_SLOTS; slot++) {
        if (!(gained[slot >> 3] | lost[slot >> 3])) {
            slot |= 7;
            continue;
        }
        struct claim_change *got = &migrations->gained[slot], *gave = &migrations->lost[slot];
        if (slots_have(gained, slot)) {
            close_claimed(model, node, slot);
            meet(model, got, gave, node, slot, true);
        } else if (slots_have(lost, slot) && !node->replica)
            meet(model, gave, got, node, slot, false);
    }
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
        if (!redirect_target(event, &state->slot.target))
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

/* ---- the end ---- */

void model_migrations_free(struct model *model) {
    struct model_migrations *migrations = &model->migrations;
    for (uint32_t i = 0; i < migrations->count; i++) {
        by_word_free(&migrations->list[i]->errors);
        model_load_free(migrations->list[i]->load);
        free(migrations->list[i]);
    }
    free(migrations->list);
    for (uint32_t slot = 0; migrations->open && slot < BUS_SLOTS; slot++)
        free(migrations->open[slot]);
    free(migrations->open);
    free(migrations->kept);
    free(migrations->gained);
    free(migrations->lost);
}
