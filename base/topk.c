/* topk.c - the entries stand still, a heap of their indexes has the lightest one on top. */
#include "base/topk.h"

#include <stdlib.h>

void topk_free(struct topk *topk) {
    free(topk->entries);
    free(topk->heap);
    table_free(&topk->index);
    topk->entries = NULL;
    topk->heap = NULL;
    topk->used = 0;
}

static bool has_memory(struct topk *topk) {
    if (topk->entries)
        return true;
    topk->entries = calloc(topk->size, sizeof *topk->entries);
    topk->heap = calloc(topk->size, sizeof *topk->heap);
    if (topk->entries && topk->heap)
        return true;
    topk_free(topk);
    return false;
}

/* ---- the heap ---- */

static uint64_t count_at(const struct topk *topk, uint32_t at) {
    return topk->entries[topk->heap[at]].count;
}

static void set(struct topk *topk, uint32_t at, uint32_t index) {
    topk->heap[at] = index;
    topk->entries[index].at = at;
}

static void swap(struct topk *topk, uint32_t a, uint32_t b) {
    uint32_t index = topk->heap[a];
    set(topk, a, topk->heap[b]);
    set(topk, b, index);
}

static void sink(struct topk *topk, uint32_t at) {
    for (;;) {
        uint32_t child = 2 * at + 1, right = child + 1;
        if (child >= topk->used)
            return;
        if (right < topk->used && count_at(topk, right) < count_at(topk, child))
            child = right;
        if (count_at(topk, at) <= count_at(topk, child))
            return;
        swap(topk, at, child);
        at = child;
    }
}

static void rise(struct topk *topk, uint32_t at) {
    while (at > 0 && count_at(topk, at) < count_at(topk, (at - 1) / 2)) {
        swap(topk, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

/* ---- entries ---- */

struct wanted {
    struct bytes key;
    uint64_t hash;
};

static bool is_wanted(const void *owner, uint32_t index, const void *key) {
    const struct topk_entry *entry = &((const struct topk *)owner)->entries[index];
    const struct wanted *wanted = key;
    return entry->hash == wanted->hash && entry->len == wanted->key.len &&
           (entry->len == 0 ||
            memcmp(entry->text, wanted->key.data, min_size(entry->len, TOPK_TEXT)) == 0);
}

/* An unused entry, or the lightest one, of which nothing remains but its count. TABLE_NONE: no
 * memory. */
static uint32_t take_place(struct topk *topk, uint32_t hash) {
    if (topk->used < topk->size) {
        uint32_t index = topk->used;
        if (!table_add(&topk->index, hash, index))
            return TABLE_NONE;
        topk->entries[index].count = 0;
        set(topk, topk->used++, index);
        rise(topk, topk->entries[index].at);
        return index;
    }
    uint32_t index = topk->heap[0];
    table_remove(&topk->index, (uint32_t)topk->entries[index].hash, index);
    (void)table_add(&topk->index, hash, index); /* there is room, for it has just been made */
    return index;
}

static uint32_t add_key(struct topk *topk, const struct wanted *wanted) {
    uint32_t index = has_memory(topk) ? take_place(topk, (uint32_t)wanted->hash) : TABLE_NONE;
    if (index == TABLE_NONE)
        return TABLE_NONE;
    struct topk_entry *entry = &topk->entries[index];
    entry->error = entry->count;
    entry->hash = wanted->hash;
    entry->len = (uint32_t)wanted->key.len;
    if (wanted->key.len > 0)
        memcpy(entry->text, wanted->key.data, min_size(wanted->key.len, TOPK_TEXT));
    return index;
}

void topk_add(struct topk *topk, struct bytes key, uint64_t weight) {
    struct wanted wanted = {key, siphash(&topk->key, key.data, key.len)};
    uint32_t index = table_find(&topk->index, (uint32_t)wanted.hash, is_wanted, topk, &wanted);
    topk->total += weight;
    if (index == TABLE_NONE)
        index = add_key(topk, &wanted);
    if (index == TABLE_NONE)
        return;
    topk->entries[index].count += weight;
    sink(topk, topk->entries[index].at);
}

/* ---- looking at it ---- */

uint64_t topk_least(const struct topk *topk) {
    return topk->used == topk->size && topk->used > 0 ? count_at(topk, 0) : 0;
}

/* The heaviest first; of two that weigh the same the surer one, then by their keys. */
static int by_weight(const void *a, const void *b) {
    const struct topk_entry *x = *(const struct topk_entry *const *)a;
    const struct topk_entry *y = *(const struct topk_entry *const *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->error != y->error)
        return x->error < y->error ? -1 : 1;
    int order = memcmp(x->text, y->text, min_size(min_size(x->len, y->len), TOPK_TEXT));
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

size_t topk_top(const struct topk *topk, const struct topk_entry **ret_top, size_t most) {
    const struct topk_entry **all = calloc(topk->used + 1, sizeof *all);
    if (!all)
        return 0;
    for (uint32_t i = 0; i < topk->used; i++)
        all[i] = &topk->entries[i];
    qsort(all, topk->used, sizeof *all, by_weight);
    size_t count = min_size(most, topk->used);
    memcpy(ret_top, all, count * sizeof *all);
    free(all);
    return count;
}
