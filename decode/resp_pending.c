/* resp_pending.c - the queue of requests that wait for replies. Most clients wait for each reply
 * before they ask again, so the first few need no memory of their own. */
#include "base/limits.h"
#include "decode/resp_link.h"

enum { FIRST_ROOM = 64 };

static struct pending *ring_of(struct pending_queue *queue) {
    return queue->ring ? queue->ring : queue->few;
}

static uint32_t room_of(const struct pending_queue *queue) {
    return queue->ring ? queue->room : PENDING_INLINE;
}

static struct pending *at(struct pending_queue *queue, uint32_t index) {
    return &ring_of(queue)[(queue->first + index) & (room_of(queue) - 1)];
}

static __attribute__((noinline)) bool grow(struct pending_queue *queue, struct pool *pool) {
    uint32_t room = queue->ring ? queue->room * 2 : FIRST_ROOM;
    size_t size = 0;
    struct pending *ring = room <= CAP_PENDING ? pool_take(pool, room * sizeof *ring, &size) : NULL;
    if (!ring)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = *at(queue, i);
    pool_give(pool, queue->ring, queue->size);
    queue->ring = ring;
    queue->size = size;
    queue->room = room;
    queue->first = 0;
    return true;
}

/* Filled in where it is: a copy would wait for the stores that it is made of. */
struct pending *pending_add(struct pending_queue *queue, struct pool *pool) {
    bool full = queue->uncounted || (queue->count == room_of(queue) && !grow(queue, pool));
    if (LIKELY(!full))
        return at(queue, queue->count++);
    queue->uncounted++;
    return NULL;
}

struct pending *pending_head(struct pending_queue *queue) {
    return queue->count ? at(queue, 0) : NULL;
}

const struct pending *pending_take(struct pending_queue *queue) {
    static const struct pending counted_only = {.sent = TIME_NONE};
    if (UNLIKELY(queue->count == 0)) {
        if (queue->uncounted == 0)
            return NULL;
        queue->uncounted--;
        return &counted_only;
    }
    const struct pending *oldest = at(queue, 0);
    queue->first = (queue->first + 1) & (room_of(queue) - 1);
    queue->count--;
    return oldest;
}

void pending_free(struct pending_queue *queue, struct pool *pool) {
    pool_give(pool, queue->ring, queue->size);
    *queue = (struct pending_queue){0};
}
