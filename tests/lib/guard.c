/* guard.c - a mapping with one page behind it that is nobody's. */
#include "tests/lib/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t *map(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *start =
        mmap(NULL, GUARD_ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + GUARD_ROOM, page, PROT_NONE) != 0) {
        perror("guarded");
        exit(2);
    }
    return start + GUARD_ROOM;
}

struct bytes guarded(struct bytes view) {
    static uint8_t *end;
    if (!end)
        end = map();
    if (view.len > GUARD_ROOM) {
        fprintf(stderr, "guarded: %zu bytes do not fit\n", view.len);
        exit(2);
    }
    if (view.len)
        memcpy(end - view.len, view.data, view.len);
    return bytes_of(end - view.len, view.len);
}
