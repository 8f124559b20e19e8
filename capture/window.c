/* window.c - keeps the part of a record that is there, and reads a block right behind it.
 *
 * The block is read at a page boundary, always at the same place while records are short, so that
 * it stays in the processor's cache. */
#include "capture/window.h"

#include "base/limits.h"

#include <stdlib.h>

enum { BLOCK_LEAST = 64 << 10 };

static uint8_t *make_store(size_t size) {
    return aligned_alloc(STORED_PAGE, (size + STORED_PAGE - 1) & ~(size_t)(STORED_PAGE - 1));
}

/* A megabyte is read a fifth faster than a quarter of it, and still stays in the cache. */
static size_t block_of(size_t together) {
    size_t share = CAP_READ_BLOCK / (together ? together : 1);
    return share > BLOCK_LEAST ? share & ~(size_t)(STORED_PAGE - 1) : BLOCK_LEAST;
}

bool window_init(struct window *window, struct unpack *unpack, size_t together, struct err *err) {
    window->unpack = unpack;
    window->block = block_of(together);
    window->size = 2 * window->block;
    window->store = make_store(window->size);
    window->at = window->end = window->store;
    return window->store ? true : err_no_memory(err);
}

void window_clear(struct window *window) {
    free(window->store);
}

/* Moves what is left so that it ends at a page boundary with room for `need` and a block. */
static bool window_make_room(struct window *window, size_t need) {
    size_t left = window_left(window);
    size_t start = -left & (STORED_PAGE - 1);
    size_t size = start + need + window->block;
    if ((size_t)(window->store + window->size - window->end) >= window->block)
        return true;
    uint8_t *store = size > window->size ? make_store(size) : window->store;
    if (!store)
        return false;
    memmove(store + start, window->at, left);
    if (store != window->store) {
        free(window->store);
        window->store = store;
        window->size = size;
    }
    window->at = store + start;
    window->end = window->at + left;
    return true;
}

const uint8_t *window_fill(struct window *window, size_t need) {
    while (window_left(window) < need) {
        size_t len;
        if (!window_make_room(window, need)) {
            window->unpack->fault = UNPACK_NO_MEMORY;
            return NULL;
        }
        if (!unpack_read(window->unpack, window->end, window->block, &len) || len == 0)
            return NULL;
        window->end += len;
        window->total += len;
    }
    return window->at;
}
