/* arena.h - memory for many small things that live and die together.
 *
 * Zero-initialised with a `max` it is empty. Nothing in it is freed alone. What does not fit, for
 * want of memory or because the maximum is hit, sets `failed`, and the writer looks once, at the
 * end. */
#ifndef BUSTAP_BASE_ARENA_H
#define BUSTAP_BASE_ARENA_H

#include <stdarg.h>

#include "base/base.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t used, max;           /* bytes, in all blocks */
    bool failed;
};

void arena_free(struct arena *arena);

/* Zeroed, aligned for anything. NULL: see `failed`. */
void *arena_take(struct arena *arena, size_t size);

/* The bytes with a NUL behind them; NULL likewise. */
char *arena_text(struct arena *arena, const void *text, size_t len);

/* NULL likewise. */
char *arena_vprintf(struct arena *arena, const char *format, va_list values) ATTR_PRINTF(2, 0);

#endif
