/* pool.h - memory for bytes that wait for others: one limit for many owners, and spare blocks.
 *
 * Per-owner caps alone would multiply: 32 thousand streams of 256 KiB each are no bound at all.
 * Most blocks are small, short-lived and few at a time, so some spare blocks of POOL_BLOCK bytes
 * spare nearly every malloc. */
#ifndef BUSTAP_BASE_POOL_H
#define BUSTAP_BASE_POOL_H

#include "base/base.h"

enum { POOL_BLOCK = 4096, POOL_SPARES = 64 };

/* Zero-initialised with a `max` it is empty. */
struct pool {
    size_t used, max; /* bytes; spare blocks not counted */
    size_t spare_count;
    void *spares[POOL_SPARES]; /* of POOL_BLOCK bytes each */
};

/* A block of at least `size` bytes; its real size is *ret_room, which pool_give wants back. NULL:
 * the limit or the memory does not allow it. */
void *pool_take(struct pool *pool, size_t size, size_t *ret_room);

/* NULL with a room of 0 is fine. */
void pool_give(struct pool *pool, void *block, size_t room);

/* Frees the spare blocks. Every other one must have been given back. */
void pool_free(struct pool *pool);

#endif
