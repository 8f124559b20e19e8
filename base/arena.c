/* arena.c - blocks of memory, handed out from front to back. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 2048, ALIGNMENT = _Alignof(max_align_t) };

struct arena_block {
    struct arena_block *older;
    size_t used, room;
    max_align_t memory[];
};

void arena_free(struct arena *arena) {
    for (struct arena_block *block = arena->blocks, *older; block; block = older) {
        older = block->older;
        free(block);
    }
    arena->blocks = NULL;
    arena->used = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t size) {
    size_t room = size > BLOCK ? size : BLOCK;
    struct arena_block *block = calloc(1, sizeof *block + room);
    if (!block)
        return NULL;
    block->room = room;
    block->older = arena->blocks;
    return arena->blocks = block;
}

void *arena_take(struct arena *arena, size_t size) {
    size_t aligned = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *block = arena->blocks;
    bool fits = aligned >= size && aligned <= arena->max - arena->used;
    if (fits && (!block || block->room - block->used < aligned))
        block = add_block(arena, aligned);
    if (!fits || !block) {
        arena->failed = true;
        return NULL;
    }
    void *taken = (char *)block->memory + block->used;
    block->used += aligned;
    arena->used += aligned;
    return taken;
}

char *arena_text(struct arena *arena, const void *text, size_t len) {
    char *copy = arena_take(arena, len + 1);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list values) {
    va_list again;
    va_copy(again, values);
    int len = vsnprintf(NULL, 0, format, values);
    char *text = len < 0 ? NULL : arena_take(arena, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}
