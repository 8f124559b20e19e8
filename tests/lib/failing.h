/* failing.h - malloc and its like, which refuse on demand and count what is not freed.
 *
 * A header, because it replaces the functions in every program that it is part of. Sanitizers bring
 * their own; there, and without glibc, OWN_MALLOC is 0 and the tests say that they are skipped. */
#ifndef BUSTAP_TESTS_FAILING_H
#define BUSTAP_TESTS_FAILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OWN_MALLOC 0
#endif

#ifndef OWN_MALLOC
#define OWN_MALLOC 1

static long allocations_left = -1; /* allocations until one is refused; negative: never */
static bool for_good;              /* every later one is refused too */
static long held;                  /* blocks allocated and not freed */

static bool refuse(void) {
    if (allocations_left < 0)
        return false;
    bool now = allocations_left == 0;
    if (!now || !for_good)
        allocations_left--;
    return now;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

void *malloc(size_t size) {
    void *block = refuse() ? NULL : __libc_malloc(size);
    held += block != NULL;
    return block;
}

void *calloc(size_t count, size_t size) {
    void *block = refuse() ? NULL : __libc_calloc(count, size);
    held += block != NULL;
    return block;
}

void *realloc(void *block, size_t size) {
    void *moved = refuse() ? NULL : __libc_realloc(block, size);
    held += !block && moved;
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size) {
    void *block = refuse() ? NULL : __libc_memalign(alignment, size);
    held += block != NULL;
    return block;
}

void free(void *block) {
    held -= block != NULL;
    __libc_free(block);
}

#endif

#endif
