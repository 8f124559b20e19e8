/* table.c - growth and removal of the hash table; the look-up is inline in table.h. */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_SIZE = 64 };

void table_free(struct table *table) {
    free(table->slots);
    *table = (struct table){0};
}

static void place(struct table *table, struct table_slot slot) {
    uint32_t i = slot.hash & table->mask;
    while (table->slots[i].index != TABLE_NONE)
        i = (i + 1) & table->mask;
    table->slots[i] = slot;
}

static bool grow(struct table *table) {
    size_t old_size = table->slots ? (size_t)table->mask + 1 : 0;
    size_t size = old_size ? old_size * 2 : FIRST_SIZE;
    struct table_slot *old = table->slots;
    struct table_slot *slots = malloc(size * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0xff, size * sizeof *slots);
    table->slots = slots;
    table->mask = (uint32_t)(size - 1);
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].index != TABLE_NONE)
            place(table, old[i]);
    }
    free(old);
    return true;
}

bool table_add(struct table *table, uint32_t hash, uint32_t index) {
    bool full = !table->slots || (table->used + 1) * UINT64_C(4) > (table->mask + UINT64_C(1)) * 3;
    if (full && !grow(table))
        return false;
    place(table, (struct table_slot){hash, index});
    table->used++;
    return true;
}

/* Closes the hole at `hole` by moving back every follower that may stand there. */
static void close_hole(struct table *table, uint32_t hole) {
    for (uint32_t i = (hole + 1) & table->mask; table->slots[i].index != TABLE_NONE;
         i = (i + 1) & table->mask) {
        uint32_t home = table->slots[i].hash & table->mask;
        bool may_move = ((i - home) & table->mask) >= ((i - hole) & table->mask);
        if (may_move) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole].index = TABLE_NONE;
}

void table_remove(struct table *table, uint32_t hash, uint32_t index) {
    uint32_t i = hash & table->mask;
    while (table->slots[i].index != index) {
        assert(table->slots[i].index != TABLE_NONE);
        i = (i + 1) & table->mask;
    }
    close_hole(table, i);
    table->used--;
}
