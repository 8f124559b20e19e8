/* pool.c - malloc under a common limit. */
#include "base/pool.h"

#include <stdlib.h>

void *pool_take(struct pool *pool, size_t size, size_t *ret_room) {
    size_t room = size < POOL_BLOCK && size > POOL_BLOCK / 4 ? POOL_BLOCK : size;
    if (room > pool->max - pool->used)
        return NULL;
    bool spare = room == POOL_BLOCK && pool->spare_count > 0;
    void *block = spare ? pool->spares[--pool->spare_count] : malloc(room);
    if (!block)
        return NULL;
    pool->used += room;
    *ret_room = room;
    return block;
}

void pool_give(struct pool *pool, void *block, size_t room) {
    pool->used -= room;
    if (room == POOL_BLOCK && pool->spare_count < POOL_SPARES)
        pool->spares[pool->spare_count++] = block;
    else
        free(block);
}

void pool_free(struct pool *pool) {
    assert(pool->used == 0);
    while (pool->spare_count > 0)
        free(pool->spares[--pool->spare_count]);
}
