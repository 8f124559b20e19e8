/* flow_table.c - flows in chunks that never move, an index by both ends, a list by age per rank. */
#include "decode/flow_table.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/table.h"

enum { CHUNK = 64, CHUNKS = CAP_FLOWS / CHUNK, RECENT = 16384, NONE = UINT32_MAX };

/* So many decoded flows do not stay in the cache by themselves. */
enum { LARGE = 512 };

struct flow_list {
    uint32_t oldest, youngest, count;
};

struct flow_table {
    struct siphash_key key;
    struct pool *pool;
    flow_fn *ended;
    void *context;
    struct table index;
    struct flow *chunks[CHUNKS];
    uint32_t made, free; /* flows made so far; list of free ones, linked by `younger` */
    uint64_t born, evicted;
    struct flow_list lists[FLOW_RANKS];
    uint32_t recent[RECENT]; /* indexes found lately, by recent_at(); a guess, always verified */
    struct flow *expected;   /* of the next packet; likewise */
};

static struct flow *flow_at(const struct flow_table *table, uint32_t index) {
    return &table->chunks[index / CHUNK][index % CHUNK];
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

static void unlink_flow(struct flow_table *table, struct flow *flow) {
    struct flow_list *list = &table->lists[flow->list];
    list->count--;
    *(flow->older == NONE ? &list->oldest : &flow_at(table, flow->older)->younger) = flow->younger;
    *(flow->younger == NONE ? &list->youngest : &flow_at(table, flow->younger)->older) =
        flow->older;
}

static void link_youngest(struct flow_table *table, struct flow *flow, enum flow_rank rank) {
    struct flow_list *list = &table->lists[rank];
    list->count++;
    flow->list = (uint8_t)rank;
    flow->older = list->youngest;
    flow->younger = NONE;
    *(list->youngest == NONE ? &list->oldest : &flow_at(table, list->youngest)->younger) =
        flow->index;
    list->youngest = flow->index;
}

void flow_touch(struct flow_table *table, struct flow *flow, enum flow_rank rank) {
    if (flow->list == rank && flow->younger == NONE)
        return;
    unlink_flow(table, flow);
    link_youngest(table, flow, rank);
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
    return is_between(flow_at(owner, index), &wanted->ends[0], &wanted->ends[1]);
}

/* Where a flow would be in `recent`. Not keyed: an attacker can only make the guess fail, and the
 * keyed index then answers. */
static inline uint32_t recent_at(const struct endpoint *src, const struct endpoint *dst) {
    return endpoints_mix(src->port, src->ip[15], dst->port, dst->ip[15]) % RECENT;
}

struct flow *flow_expect(struct flow_table *table, uint32_t mix) {
    uint32_t index = table->recent[mix % RECENT];
    table->expected = index < table->made ? flow_at(table, index) : NULL;
    if (!table->expected || table->lists[FLOW_DECODED].count < LARGE)
        return NULL;
    prefetch(table->expected, offsetof(struct flow, sides));
    prefetch(&table->expected->sides[0], FLOW_SIDE_HOT);
    prefetch(&table->expected->sides[1], FLOW_SIDE_HOT);
    return table->expected;
}

/* Is it the flow between these ends? */
static inline bool joins(const struct flow *flow, const struct endpoint *src,
                         const struct endpoint *dst, unsigned *ret_direction) {
    unsigned direction = flow->ends[0].port != src->port;
    *ret_direction = direction;
    if (LIKELY(is_between(flow, direction ? dst : src, direction ? src : dst)))
        return true;
    *ret_direction = 1; /* both ends may have one port */
    return is_between(flow, dst, src);
}

struct flow *flow_find(struct flow_table *table, const struct endpoint *src,
                       const struct endpoint *dst, unsigned *ret_direction) {
    if (LIKELY(table->expected && joins(table->expected, src, dst, ret_direction)))
        return table->expected;
    uint32_t *recent = &table->recent[recent_at(src, dst)];
    if (LIKELY(*recent < table->made)) {
        struct flow *flow = flow_at(table, *recent);
        if (LIKELY(joins(flow, src, dst, ret_direction)))
            return flow;
    }
    struct key key;
    *ret_direction = key_of(src, dst, &key);
    uint32_t index = table_find(&table->index, hash_of(table, &key), has_key, table, &key);
    if (index == TABLE_NONE)
        return NULL;
    *recent = index;
    return flow_at(table, index);
}

/* ---- coming and going ---- */

void flow_remove(struct flow_table *table, struct flow *flow) {
    table->ended(table->context, flow);
    uint32_t *recent = &table->recent[recent_at(&flow->ends[0], &flow->ends[1])];
    if (*recent == flow->index)
        *recent = NONE;
    if (table->expected == flow)
        table->expected = NULL;
    table_remove(&table->index, flow->hash, flow->index);
    unlink_flow(table, flow);
    stream_free(&flow->sides[0].stream, table->pool);
    stream_free(&flow->sides[1].stream, table->pool);
    flow->used = false;
    flow->younger = table->free;
    table->free = flow->index;
}

static void evict(struct flow_table *table) {
    for (int rank = 0; rank < FLOW_RANKS; rank++) {
        uint32_t oldest = table->lists[rank].oldest;
        if (oldest == NONE)
            continue;
        table->evicted += rank != FLOW_IDLE;
        flow_remove(table, flow_at(table, oldest));
        return;
    }
}

static struct flow *free_flow(struct flow_table *table) {
    if (table->free == NONE && table->made == CAP_FLOWS)
        evict(table);
    if (table->free == NONE) {
        struct flow **chunk = &table->chunks[table->made / CHUNK];
        if (!*chunk)
            *chunk = aligned_alloc(CACHE_LINE, CHUNK * sizeof **chunk);
        if (!*chunk)
            return NULL;
        struct flow *flow = flow_at(table, table->made);
        flow->index = table->made++;
        return flow;
    }
    struct flow *flow = flow_at(table, table->free);
    table->free = flow->younger;
    return flow;
}

struct flow *flow_add(struct flow_table *table, const struct endpoint *src,
                      const struct endpoint *dst, unsigned *ret_direction) {
    struct flow *flow = free_flow(table);
    if (!flow)
        return NULL;
    struct key key;
    *ret_direction = key_of(src, dst, &key);
    uint32_t index = flow->index, hash = hash_of(table, &key);
    flow->used = false;
    if (!table_add(&table->index, hash, index)) {
        flow->younger = table->free;
        table->free = index;
        return NULL;
    }
    *flow = (struct flow){
        .ends = {key.ends[0], key.ends[1]},
        .connector = FLOW_CONNECTOR_UNKNOWN,
        .index = index,
        .hash = hash,
        .born = table->born++,
        .used = true,
    };
    link_youngest(table, flow, FLOW_IDLE);
    return flow;
}

static int by_birth(const void *a, const void *b) {
    const struct flow *const *x = a, *const *y = b;
    return (*x)->born < (*y)->born ? -1 : (*x)->born > (*y)->born;
}

void flow_each(struct flow_table *table, flow_fn *visit, void *context) {
    struct flow **flows = malloc((table->index.used + (size_t)1) * sizeof *flows);
    size_t count = 0;
    for (uint32_t i = 0; i < table->made; i++) {
        struct flow *flow = flow_at(table, i);
        if (flow->used && flows)
            flows[count++] = flow;
        else if (flow->used) /* no memory to sort: any order is better than none */
            visit(context, flow);
    }
    if (count)
        qsort(flows, count, sizeof(struct flow *), by_birth);
    for (size_t i = 0; i < count; i++)
        visit(context, flows[i]);
    free(flows);
}

uint64_t flow_evicted(const struct flow_table *table) {
    return table->evicted;
}

void flow_table_free(struct flow_table *table) {
    if (!table)
        return;
    for (uint32_t i = 0; i < table->made; i++) {
        if (flow_at(table, i)->used)
            flow_remove(table, flow_at(table, i));
    }
    for (size_t i = 0; i < CHUNKS; i++)
        free(table->chunks[i]);
    table_free(&table->index);
    free(table);
}
