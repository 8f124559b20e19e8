/* buf.h - growable output text with a maximum.
 *
 * Zero-initialised with a `max` it is empty and owns nothing. Once an allocation fails or the
 * maximum is hit, `failed` is set, nothing more is added, and the writer looks once, at the end. */
#ifndef BUSTAP_BASE_BUF_H
#define BUSTAP_BASE_BUF_H

#include "base/base.h"

struct buf {
    char *data; /* NUL-terminated once anything was added */
    size_t len;
    size_t room; /* allocated */
    size_t max;  /* never longer than this */
    bool failed;
};

void buf_free(struct buf *buf); /* then it is empty, with the same `max` */
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_text(struct buf *buf, const char *text);

/* What it holds as a string, "" if that is nothing: for want of memory, perhaps. */
static inline const char *buf_str(const struct buf *buf) {
    return buf->data ? buf->data : "";
}

/* For short things: what is longer than 511 bytes sets `failed`. */
void buf_printf(struct buf *buf, const char *format, ...) ATTR_PRINTF(2, 3);

/* Wire bytes as text that no terminal obeys: printable ASCII stands as it is, a backslash is
 * doubled, every other byte (controls, DEL, all of 0x80-0xff) becomes \xHH. At most `shown` bytes
 * of the input are shown, then "...". */
void buf_wire_text(struct buf *buf, struct bytes text, size_t shown);

#endif
