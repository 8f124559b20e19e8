/* table.h - the one hash table: finds the index of a record by its key.
 *
 * The records and their keys stay with the caller, in an array of his; the table holds indexes and
 * hashes. The caller hashes the key (keyed: see siphash.h) and says which record equals it.
 * Open addressing, linear probing, at most three quarters full, deletion without tombstones, so
 * that a table under churn never degrades. */
#ifndef BUSTAP_BASE_TABLE_H
#define BUSTAP_BASE_TABLE_H

#include "base/base.h"

enum { TABLE_NONE = UINT32_MAX };

struct table_slot {
    uint32_t hash;
    uint32_t index; /* TABLE_NONE: empty */
};

struct table {
    struct table_slot *slots;
    uint32_t mask; /* slots - 1; a power of two less one */
    uint32_t used;
};

/* Zero-initialised is an empty table; it allocates at the first table_add. */
void table_free(struct table *table);

/* Does the record at `index` have the key? */
typedef bool table_equal(const void *owner, uint32_t index, const void *key);

/* The index of the record with this key, or TABLE_NONE. */
static inline uint32_t table_find(const struct table *table, uint32_t hash, table_equal *equal,
                                  const void *owner, const void *key) {
    if (!table->slots)
        return TABLE_NONE;
    for (uint32_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        const struct table_slot *slot = &table->slots[i];
        if (slot->index == TABLE_NONE)
            return TABLE_NONE;
        if (slot->hash == hash && equal(owner, slot->index, key))
            return slot->index;
    }
}

/* Adds an index under a hash whose key is not in the table. False: out of memory, nothing done. */
bool table_add(struct table *table, uint32_t hash, uint32_t index);

/* Removes the index that was added under this hash; it must be there. */
void table_remove(struct table *table, uint32_t hash, uint32_t index);

#endif
