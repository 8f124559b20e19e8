/* model_doubtful.c - keys that a failed MIGRATE may have left on both sides: all that was asked
 * about each of them since, and what that says together.
 *
 * A key that the target says it has (BUSYKEY), or whose whole request it acknowledged, is on both
 * sides. */
#include <stdlib.h>

#include "analysis/model_migrate.h"

static bool same_key(const struct restore *a, const struct restore *b) {
    return a->key_len == b->key_len && a->key_len > 0 && memcmp(a->key, b->key, a->key_len) == 0;
}

static bool is_same_key(const void *owner, uint32_t index, const void *restore) {
    const struct model_migrations *migrations = owner;
    return same_key(migrations->doubtful[index], restore);
}

static uint32_t find_doubtful(const struct model_migrations *migrations,
                              const struct restore *restore) {
    return table_find(&migrations->doubtful_index, restore->key_hash, is_same_key, migrations,
                      restore);
}

void model_doubt(struct model *model, struct restore *restore) {
    struct model_migrations *migrations = &model->migrations;
    if (restore->doubtful)
        return;
    uint32_t index = find_doubtful(migrations, restore);
    restore->doubtful = true;
    if (index != TABLE_NONE) {
        restore->older = migrations->doubtful[index];
        migrations->doubtful[index] = restore;
        return;
    }
    struct restore **list = list_with_room(migrations->doubtful, migrations->doubtful_count,
                                           &migrations->doubtful_room, sizeof(struct restore *));
    if (list)
        migrations->doubtful = list;
    bool known = restore->key_len > 0;
    if (!list || (known && !table_add(&migrations->doubtful_index, restore->key_hash,
                                      migrations->doubtful_count))) {
        restore->doubtful = false;
        return;
    }
    list[migrations->doubtful_count++] = restore;
}

/* All that was asked about its key, while that is in doubt; NULL: it is not. */
static struct restore *doubtful_of(const struct model_migrations *migrations,
                                   const struct restore *restore) {
    uint32_t index = migrations->doubtful_count ? find_doubtful(migrations, restore) : TABLE_NONE;
    return index == TABLE_NONE ? NULL : migrations->doubtful[index];
}

void model_doubt_refuted(struct model *model, const struct restore *restore) {
    if (restore->replace)
        return;
    for (struct restore *r = doubtful_of(&model->migrations, restore); r; r = r->older)
        r->again |= r != restore;
}

void model_doubt_moved(struct model *model, const struct restore *restore) {
    for (struct restore *r = doubtful_of(&model->migrations, restore); r; r = r->older)
        r->moved = true;
}

/* Was the key on both sides, as this request tells? One that is known by its delivery alone is not
 * believed if the key was not there later. */
static bool was_on_both(const struct restore *restore) {
    return restore->answer == ANSWER_OK || restore->answer == ANSWER_BUSY ||
           (restore->answer == ANSWER_NONE && restore->delivered && !restore->again);
}

static bool is_at_risk(const struct restore *restore) {
    return restore->answer != ANSWER_REFUSED && !(restore->answer == ANSWER_NONE && restore->again);
}

/* What all requests about the key say together. False: it was nowhere but at its source. */
static bool judge(const struct restore *restore, struct doubtful *ret_doubtful) {
    bool at_risk = false;
    *ret_doubtful = (struct doubtful){.slot = restore->slot,
                                      .bytes = restore->bytes,
                                      .gone = true,
                                      .key = bytes_of(restore->key, restore->key_len)};
    for (const struct restore *r = restore; r; r = r->older) {
        at_risk |= is_at_risk(r);
        ret_doubtful->both |= was_on_both(r);
        ret_doubtful->gone &= r->again || r->moved;
    }
    return at_risk;
}

void model_migration_doubtful(const struct model *model, const struct migration *migration,
                              void (*visit)(void *context, const struct doubtful *doubtful),
                              void *context) {
    const struct model_migrations *migrations = &model->migrations;
    struct doubtful doubtful;
    for (uint32_t i = 0; i < migrations->doubtful_count; i++) {
        const struct restore *restore = migrations->doubtful[i];
        if (restore->migration == migration && judge(restore, &doubtful))
            visit(context, &doubtful);
    }
}

void model_doubtful_free(struct model *model) {
    struct model_migrations *migrations = &model->migrations;
    for (uint32_t i = 0; i < migrations->doubtful_count; i++) {
        for (struct restore *r = migrations->doubtful[i], *older; r; r = older) {
            older = r->older;
            r->doubtful = false;
            model_restore_release(model, r);
        }
    }
    free(migrations->doubtful);
    table_free(&migrations->doubtful_index);
}
