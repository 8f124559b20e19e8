/* pool.c - malloc under a common limit. */
#include "base/pool.h"

#include <stdlib.h>

void *pool_take(struct pool *pool, size_t size, size_t *ret_room) {
    size_t room = size < POOL_BLOCK && size > POOL_BLOCK / 4 ? POOL_BLOCK : size;
    if (room > pool->max - pool->used)
        return NULL;
    void *block = room == POOL_BLOCK ? pool->spare : NULL;
    if (block)
        pool->spare = NULL;
    else
        block = malloc(room);
    if (!block)
        return NULL;
    pool->used += room;
    *ret_room = room;
    return block;
}

void pool_give(struct pool *pool, void *block, size_t room) {
    pool->used -= room;
    if (room == POOL_BLOCK && !pool->spare)
        pool->spare = block;
    else
        free(block);
}

void pool_free(struct pool *pool) {
    free(pool->spare);
    pool->spare = NULL;
}
