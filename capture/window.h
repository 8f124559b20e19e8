/* window.h - the bytes of a capture as one stretch of memory that moves along it.
 *
 *   p = window_need(&window, 16)   at least 16 bytes at p, or NULL: see unpack.fault, or the end
 *   window.at += 16                done with them
 *
 * Records are parsed where they were read; only the part of a record at the end of a block is
 * ever moved. What window_need() returned is valid until its next call. */
#ifndef BUSTAP_CAPTURE_WINDOW_H
#define BUSTAP_CAPTURE_WINDOW_H

#include "capture/packet.h"
#include "capture/unpack.h"

struct window {
    uint8_t *at, *end; /* what was read and not used yet */
    uint8_t *store;    /* owned */
    size_t size;       /* of the store */
    size_t block;      /* read at once, if there is so much */
    uint64_t total;    /* bytes read so far */
    struct unpack *unpack;
};

/* `together`: so many windows share the memory of one (0 is 1). */
bool window_init(struct window *window, struct unpack *unpack, size_t together, struct err *err);
void window_clear(struct window *window);
const uint8_t *window_fill(struct window *window, size_t need); /* window_need's slow half */

static inline size_t window_left(const struct window *window) {
    return (size_t)(window->end - window->at);
}

/* The offset of window->at in the (decompressed) capture. */
static inline uint64_t window_offset(const struct window *window) {
    return window->total - window_left(window);
}

/* For packet.ahead: what stands `skip` bytes further on, if enough of it was read. */
static inline const uint8_t *window_ahead(const struct window *window, size_t skip) {
    return window_left(window) >= skip + PACKET_AHEAD ? window->at + skip : NULL;
}

static inline const uint8_t *window_need(struct window *window, size_t need) {
    return LIKELY(window_left(window) >= need) ? window->at : window_fill(window, need);
}

#endif
