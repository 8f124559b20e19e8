/* model_migrations.c - who moves slots to whom, as requests between servers show it, and the bus.
 */
#include "analysis/model_migrations.h"

#include <stdlib.h>

#include "analysis/model_load.h"
#include "analysis/model_private.h"
#include "base/limits.h"

/* What goes on after a longer pause is another migration. */
static const nstime APART = 30 * NS_PER_SEC;

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
    m->first = m->last = m->moved = model->cause->time;
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

void model_migration_seen(struct migration *migration, nstime now) {
    if (now > migration->last)
        migration->last = now;
}

void model_migration_moved(struct migration *migration, nstime now) {
    struct pause idle = {migration->moved, now};
    if (migration->open && !migration->calling &&
        pause_length(&idle) > pause_length(&migration->idle))
        migration->idle = idle;
    if (now > migration->moved)
        migration->moved = now;
    model_migration_seen(migration, now);
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

/* ---- what the bus tells: slots change hands ---- */

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

void model_slot_kept(struct model *model, uint16_t slot, const struct endpoint *server,
                     bool holds_keys) {
    struct model_migrations *migrations = &model->migrations;
    if (!migrations->keepers && holds_keys)
        migrations->keepers = calloc(BUS_SLOTS, sizeof *migrations->keepers);
    struct endpoint *keeper = migrations->keepers ? &migrations->keepers[slot] : NULL;
    if (keeper && holds_keys)
        *keeper = *server;
    else if (keeper && endpoint_equal(keeper, server))
        *keeper = (struct endpoint){0};
}

/* It would not give the slot away, for it has keys of it. */
static bool keeps(const struct model *model, const struct node *node, uint32_t slot) {
    const struct endpoint *keepers = model->migrations.keepers;
    return keepers && endpoint_equal(&keepers[slot], &node->addr);
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
    m->slots_torn += keeps(model, from, slot);
    if (m->handed.time == TIME_NONE)
        m->handed = place_of(model->cause);
    model_migration_moved(m, model->cause->time);
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
            model_slot_claimed(model, node, slot);
            meet(model, got, gave, node, slot, true);
        } else if (slots_have(lost, slot) && !node->replica)
            meet(model, gave, got, node, slot, false);
    }
}

/* ---- the end ---- */

void model_migrations_free(struct model *model) {
    struct model_migrations *migrations = &model->migrations;
    for (uint32_t i = 0; i < migrations->count; i++) {
        by_word_free(&migrations->list[i]->errors);
        by_word_free(&migrations->list[i]->refusals);
        model_load_free(migrations->list[i]->load);
        free(migrations->list[i]);
    }
    free(migrations->list);
    model_open_slots_free(migrations);
    free(migrations->keepers);
    free(migrations->gained);
    free(migrations->lost);
}
