/* bus_unacked.c - a ring of messages that waits for the peer's ACKs. */
#include "base/limits.h"
#include "decode/bus_side.h"

enum { FIRST_ROOM = 16, TYPE_BITS = 4 };

static_assert(BUS_COUNTERS <= 1 << TYPE_BITS, "a type fits beside the offset");

void bus_unacked_free(struct bus_unacked *queue, struct pool *pool) {
    pool_give(pool, queue->ends, queue->size);
    *queue = (struct bus_unacked){0};
}

static bool grow(struct bus_unacked *queue, struct pool *pool) {
    uint32_t room = queue->room ? queue->room * 2 : FIRST_ROOM;
    size_t size;
    uint64_t *ends = room <= CAP_BUS_UNACKED ? pool_take(pool, room * sizeof *ends, &size) : NULL;
    if (!ends)
        return false;
    uint32_t count = queue->count;
    for (uint32_t i = 0; i < count; i++)
        ends[i] = queue->ends[(queue->first + i) & (queue->room - 1)];
    bus_unacked_free(queue, pool);
    *queue = (struct bus_unacked){ends, size, 0, count, room};
    return true;
}

bool bus_unacked_push(struct bus_unacked *queue, uint64_t end, enum bus_type type,
                      struct pool *pool) {
    if (queue->count == queue->room && !grow(queue, pool))
        return false;
    queue->ends[(queue->first + queue->count++) & (queue->room - 1)] = end << TYPE_BITS | type;
    return true;
}

bool bus_unacked_pop(struct bus_unacked *queue, uint64_t offset, enum bus_type *ret_type) {
    if (queue->count == 0)
        return false;
    uint64_t oldest = queue->ends[queue->first];
    if (oldest >> TYPE_BITS > offset)
        return false;
    *ret_type = (enum bus_type)(oldest & ((1 << TYPE_BITS) - 1));
    queue->first = (queue->first + 1) & (queue->room - 1);
    queue->count--;
    return true;
}
