/* model_migrations.c - MIGRATE, seen from the connection on which it makes RESTORE-ASKING of each
 * key. The source deletes a key once it has read the answer: what is answered after it has closed
 * the connection, at its timeout, is on both sides. */
#include "analysis/model_migrations.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"
#include "decode/key_slot.h"

static struct migration *find(struct model_migrations *migrations, const struct endpoint *source,
                              const struct endpoint *target) {
    for (size_t i = migrations->count; i-- > 0;) {
        struct migration *m = &migrations->list[i];
        if (endpoint_equal(&m->target, target) &&
            memcmp(m->source.ip, source->ip, sizeof source->ip) == 0)
            return m;
    }
    return NULL;
}

static struct migration *add(struct model *model, const struct event *event,
                             const struct endpoint *source, const struct endpoint *target) {
    struct model_migrations *migrations = &model->migrations;
    if (migrations->count == CAP_MIGRATIONS) {
        model->books.migrations_over_cap++;
        return NULL;
    }
    struct migration *list = list_with_room(migrations->list, migrations->count, &migrations->room,
                                            sizeof *migrations->list);
    if (!list)
        return NULL;
    migrations->list = list;
    struct migration *m = &list[migrations->count++];
    *m = (struct migration){.source = *source, .target = *target, .first = place_of(event)};
    m->source.port = 0;
    return m;
}

/* Of the connection that the event is of; `client` is the end that asks. */
static struct migration *migration_of(struct model *model, const struct event *event,
                                      unsigned client) {
    const struct endpoint *ends = event->flow->ends;
    struct migration *m = find(&model->migrations, &ends[client], &ends[!client]);
    return m ? m : add(model, event, &ends[client], &ends[!client]);
}

static bool is_restore(const struct command *command) {
    return command && strcmp(command->name, "restore-asking") == 0;
}

void model_migration_asked(struct model *model, const struct event *event) {
    if (!is_restore(event->write.command) || event->write.key.len == 0)
        return;
    struct migration *m = migration_of(model, event, event->direction);
    uint32_t slot = key_slot(event->write.key);
    if (!m)
        return;
    m->last = place_of(event);
    m->slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
    if (!model->migrations.moved)
        model->migrations.moved = calloc(BUS_SLOTS, sizeof *model->migrations.moved);
    if (model->migrations.moved)
        model->migrations.moved[slot] = event->time;
}

void model_migration_answered(struct model *model, const struct event *event) {
    unsigned client = !event->direction;
    struct migration *m = is_restore(event->reply.command) && !event->reply.error.len
                              ? migration_of(model, event, client)
                              : NULL;
    if (!m)
        return;
    m->keys++;
    m->bytes += event->reply.request_bytes;
    m->late += event->flow->sides[client].fin;
}

void model_migration_unanswered(struct model *model, const struct event *event) {
    struct migration *m =
        is_restore(event->unanswered.command) ? migration_of(model, event, event->direction) : NULL;
    if (m)
        m->unanswered += event->unanswered.count;
}

void model_migrations_free(struct model_migrations *migrations) {
    free(migrations->list);
    free(migrations->moved);
}

size_t model_migration_count(const struct model *model) {
    return model->migrations.count;
}

const struct migration *model_migration(const struct model *model, size_t index) {
    return &model->migrations.list[index];
}

nstime model_slot_moved(const struct model *model, uint32_t slot) {
    return model->migrations.moved ? model->migrations.moved[slot] : 0;
}
