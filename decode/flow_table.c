/* flow_table.c - flows in chunks that never move, an index by both ends, a list by age per rank. */
#include "decode/flow_table.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/table.h"

enum { CHUNK = 64, CHUNKS = CAP_FLOWS / CHUNK, RECENT = 16384, LARGE = 512, NONE = UINT32_MAX };

struct slot {
    struct flow flow; /* first: a flow's address is its slot's */
    uint64_t born;    /* for flow_each */
    uint32_t index, older, younger;
    bool used;
};

struct flow_list {
    uint32_t oldest, youngest, count;
};

struct flow_table {
    struct siphash_key key;
    struct pool *pool;
    flow_fn *ended;
    void *context;
    struct table index;
    struct slot *chunks[CHUNKS];
    uint32_t made, free; /* slots made so far; list of free ones, linked by `younger` */
    uint64_t born, evicted;
    struct flow_list lists[FLOW_RANKS];
    uint32_t recent[RECENT]; /* indexes found lately, by recent_at(); a guess, always verified */
};

static struct slot *slot_at(const struct flow_table *table, uint32_t index) {
    return &table->chunks[index / CHUNK][index % CHUNK];
}

static struct slot *slot_of(struct flow *flow) {
    return (struct slot *)(void *)flow;
}

struct flow_table *flow_table_new(struct siphash_key key, struct pool *pool, flow_fn *ended,
                                  void *context) {
    struct flow_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->key = key;
    table->pool = pool;
    table->ended = ended;
    table->context = context;
    table->free = NONE;
    memset(table->recent, 0xff, sizeof table->recent);
    for (int i = 0; i < FLOW_RANKS; i++)
        table->lists[i] = (struct flow_list){NONE, NONE, 0};
    return table;
}

/* ---- the lists ---- */

static void unlink_slot(struct flow_table *table, struct slot *slot) {
    struct flow_list *list = &table->lists[slot->flow.list];
    list->count--;
    *(slot->older == NONE ? &list->oldest : &slot_at(table, slot->older)->younger) = slot->younger;
    *(slot->younger == NONE ? &list->youngest : &slot_at(table, slot->younger)->older) =
        slot->older;
}

static void link_youngest(struct flow_table *table, struct slot *slot, enum flow_rank rank) {
    struct flow_list *list = &table->lists[rank];
    list->count++;
    slot->flow.list = (uint8_t)rank;
    slot->older = list->youngest;
    slot->younger = NONE;
    *(list->youngest == NONE ? &list->oldest : &slot_at(table, list->youngest)->younger) =
        slot->index;
    list->youngest = slot->index;
}

void flow_touch(struct flow_table *table, struct flow *flow, enum flow_rank rank) {
    struct slot *slot = slot_of(flow);
    if (slot->flow.list == rank && slot->younger == NONE)
        return;
    unlink_slot(table, slot);
    link_youngest(table, slot, rank);
}

/* ---- the index: both directions have one key, the lesser end first ---- */

struct key {
    struct endpoint ends[2];
};

static unsigned order(const struct endpoint *src, const struct endpoint *dst) {
    int cmp = memcmp(src->ip, dst->ip, sizeof src->ip);
    return cmp > 0 || (cmp == 0 && src->port > dst->port);
}

static unsigned key_of(const struct endpoint *src, const struct endpoint *dst, struct key *ret) {
    unsigned direction = order(src, dst);
    ret->ends[direction] = *src;
    ret->ends[!direction] = *dst;
    return direction;
}

/* IPv4 ends differ in the last four bytes only: the common case hashes 12 bytes instead of 36. */
static uint32_t hash_of(const struct flow_table *table, const struct key *key) {
    uint8_t bytes[36];
    size_t skip = endpoint_is_ipv4(&key->ends[0]) && endpoint_is_ipv4(&key->ends[1]) ? 12 : 0;
    size_t len = 0;
    for (int i = 0; i < 2; i++) {
        memcpy(bytes + len, key->ends[i].ip + skip, 16 - skip);
        len += 16 - skip;
        memcpy(bytes + len, &key->ends[i].port, 2);
        len += 2;
    }
    return (uint32_t)siphash(&table->key, bytes, len);
}

static bool is_between(const struct flow *flow, const struct endpoint *a,
                       const struct endpoint *b) {
    return endpoint_equal(&flow->ends[0], a) && endpoint_equal(&flow->ends[1], b);
}

static bool has_key(const void *owner, uint32_t index, const void *key) {
    const struct key *wanted = key;
    return is_between(&slot_at(owner, index)->flow, &wanted->ends[0], &wanted->ends[1]);
}

/* Where a flow would be in `recent`. Not keyed: an attacker can only make the guess fail, and the
 * keyed index then answers. */
static inline uint32_t recent_at(const struct endpoint *src, const struct endpoint *dst) {
    return endpoints_mix(src->port, src->ip[15], dst->port, dst->ip[15]) % RECENT;
}

bool flow_table_is_large(const struct flow_table *table) {
    return table->lists[FLOW_DECODED].count >= LARGE;
}

void flow_prefetch(const struct flow_table *table, uint32_t mix) {
    uint32_t index = table->recent[mix % RECENT];
    if (index >= table->made)
        return;
    const char *at = (const char *)&slot_at(table, index)->flow;
    for (size_t line = 0; line < sizeof(struct flow); line += 64)
        __builtin_prefetch(at + line);
}

struct flow *flow_find(struct flow_table *table, const struct endpoint *src,
                       const struct endpoint *dst, unsigned *ret_direction) {
    uint32_t *recent = &table->recent[recent_at(src, dst)];
    if (LIKELY(*recent < table->made)) {
        struct flow *flow = &slot_at(table, *recent)->flow;
        *ret_direction = flow->ends[1].port == src->port && is_between(flow, dst, src);
        if (LIKELY(*ret_direction || is_between(flow, src, dst)))
            return flow;
    }
    struct key key;
    *ret_direction = key_of(src, dst, &key);
    uint32_t index = table_find(&table->index, hash_of(table, &key), has_key, table, &key);
    if (index == TABLE_NONE)
        return NULL;
    *recent = index;
    return &slot_at(table, index)->flow;
}

/* ---- coming and going ---- */

void flow_remove(struct flow_table *table, struct flow *flow) {
    struct slot *slot = slot_of(flow);
    table->ended(table->context, flow);
    uint32_t *recent = &table->recent[recent_at(&flow->ends[0], &flow->ends[1])];
    if (*recent == slot->index)
        *recent = NONE;
    table_remove(&table->index, flow->hash, slot->index);
    unlink_slot(table, slot);
    stream_free(&flow->sides[0].stream, table->pool);
    stream_free(&flow->sides[1].stream, table->pool);
    slot->used = false;
    slot->younger = table->free;
    table->free = slot->index;
}

static void evict(struct flow_table *table) {
    for (int rank = 0; rank < FLOW_RANKS; rank++) {
        uint32_t oldest = table->lists[rank].oldest;
        if (oldest == NONE)
            continue;
        table->evicted += rank != FLOW_IDLE;
        flow_remove(table, &slot_at(table, oldest)->flow);
        return;
    }
}

static struct slot *free_slot(struct flow_table *table) {
    if (table->free == NONE && table->made == CAP_FLOWS)
        evict(table);
    if (table->free == NONE) {
        struct slot **chunk = &table->chunks[table->made / CHUNK];
        if (!*chunk)
            *chunk = malloc(CHUNK * sizeof **chunk);
        if (!*chunk)
            return NULL;
        struct slot *slot = slot_at(table, table->made);
        slot->index = table->made++;
        return slot;
    }
    struct slot *slot = slot_at(table, table->free);
    table->free = slot->younger;
    return slot;
}

struct flow *flow_add(struct flow_table *table, const struct endpoint *src,
                      const struct endpoint *dst, unsigned *ret_direction) {
    struct slot *slot = free_slot(table);
    if (!slot)
        return NULL;
    struct key key;
    *ret_direction = key_of(src, dst, &key);
    uint32_t index = slot->index, hash = hash_of(table, &key);
    slot->used = false;
    if (!table_add(&table->index, hash, index)) {
        slot->younger = table->free;
        table->free = index;
        return NULL;
    }
    *slot = (struct slot){
        .flow = {.ends = {key.ends[0], key.ends[1]}, .connector = FLOW_CONNECTOR_UNKNOWN},
        .index = index,
        .born = table->born++,
        .used = true,
    };
    slot->flow.hash = hash;
    link_youngest(table, slot, FLOW_IDLE);
    return &slot->flow;
}

static int by_birth(const void *a, const void *b) {
    const struct slot *const *x = a, *const *y = b;
    return (*x)->born < (*y)->born ? -1 : (*x)->born > (*y)->born;
}

void flow_each(struct flow_table *table, flow_fn *visit, void *context) {
    struct slot **slots = malloc((table->index.used + (size_t)1) * sizeof *slots);
    size_t count = 0;
    for (uint32_t i = 0; i < table->made; i++) {
        struct slot *slot = slot_at(table, i);
        if (slot->used && slots)
            slots[count++] = slot;
        else if (slot->used) /* no memory to sort: any order is better than none */
            visit(context, &slot->flow);
    }
    if (count)
        qsort(slots, count, sizeof(struct slot *), by_birth);
    for (size_t i = 0; i < count; i++)
        visit(context, &slots[i]->flow);
    free(slots);
}

uint64_t flow_evicted(const struct flow_table *table) {
    return table->evicted;
}

void flow_table_free(struct flow_table *table) {
    if (!table)
        return;
    for (uint32_t i = 0; i < table->made; i++) {
        if (slot_at(table, i)->used)
            flow_remove(table, &slot_at(table, i)->flow);
    }
    for (size_t i = 0; i < CHUNKS; i++)
        free(table->chunks[i]);
    table_free(&table->index);
    free(table);
}
