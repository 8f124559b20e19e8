/* cursor.h - a reader that cannot over-read. Past the end it yields zeros and marks itself bad;
 * the caller reads a whole header and looks at `bad` once. All integers are big-endian. */
#ifndef BUSTAP_CURSOR_H
#define BUSTAP_CURSOR_H

#include "base/base.h"

struct cursor {
    const uint8_t *at, *end;
    bool bad; /* something was asked for that is not there */
};

static inline struct cursor cursor_of(struct bytes view) {
    return (struct cursor){view.data, view.data + view.len, false};
}

static inline size_t cursor_left(const struct cursor *c) {
    return (size_t)(c->end - c->at);
}

static inline const uint8_t *cursor_take(struct cursor *c, size_t len) {
    if (UNLIKELY(cursor_left(c) < len)) {
        c->bad = true;
        c->at = c->end;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += len;
    return p;
}

static inline void cursor_skip(struct cursor *c, size_t len) {
    (void)cursor_take(c, len);
}

static inline uint8_t cursor_u8(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 1);
    return p ? *p : 0;
}
static inline uint16_t cursor_be16(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 2);
    return p ? load_be16(p) : 0;
}
static inline uint32_t cursor_be32(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 4);
    return p ? load_be32(p) : 0;
}
static inline uint64_t cursor_be64(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 8);
    return p ? load_be64(p) : 0;
}

/* What is left, as a view. */
static inline struct bytes cursor_rest(const struct cursor *c) {
    return bytes_of(c->at, cursor_left(c));
}

/* A view of the next `len` bytes; empty and bad if they are not there. */
static inline struct bytes cursor_bytes(struct cursor *c, size_t len) {
    const uint8_t *p = cursor_take(c, len);
    return p ? bytes_of(p, len) : bytes_of(NULL, 0);
}

#endif
