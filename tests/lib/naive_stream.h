/* naive_stream.h - what decode/stream.c must do, done the slow and obvious way: one byte of memory
 * for each byte of the stream, looked at one by one. Header only: fuzz targets share it.
 *
 *   struct naive *n = naive_new(0xffffff00, false);
 *   naive_feed(n, 100, view, 50);            to both; then their positions and bytes are compared
 *   n->wrong                                 NULL, or what the stream did wrong first */
#ifndef BUSTAP_TESTS_NAIVE_STREAM_H
#define BUSTAP_TESTS_NAIVE_STREAM_H

#include "decode/stream.h"

#include <stdlib.h>

enum { NAIVE_BYTES = 1 << 18 };

enum naive_mark { NOT_THERE, THERE, CUT }; /* cut: it was on the wire, but not captured */

struct naive {
    struct stream stream;
    struct pool pool;
    uint32_t base;               /* sequence number of byte 0 */
    size_t high;                 /* after the last byte that was ever there */
    size_t told;                 /* up to here the naive way hands on */
    size_t got;                  /* up to here the stream has handed on */
    bool lossy;                  /* the stream met a cap: it may have lost what was there */
    const char *wrong;           /* what the stream did first that it must not */
    uint8_t marks[NAIVE_BYTES];  /* enum naive_mark */
    uint8_t values[NAIVE_BYTES]; /* of the first copy */
};

static inline struct naive *naive_new(uint32_t base, bool ranges_only) {
    struct naive *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    n->base = base;
    n->pool.max = SIZE_MAX / 2;
    n->stream.ranges_only = ranges_only;
    stream_start(&n->stream, base, true);
    return n;
}

static inline void naive_free(struct naive *n) {
    stream_free(&n->stream, &n->pool);
    pool_free(&n->pool);
    free(n);
}

static inline void naive_claim(struct naive *n, bool holds, const char *otherwise) {
    if (!holds && !n->wrong)
        n->wrong = otherwise;
}

static inline void naive_on_bytes(void *context, struct bytes view, const struct held *held) {
    struct naive *n = context;
    (void)held;
    naive_claim(n, view.len > 0, "handed on an empty view");
    for (size_t i = 0; i < view.len && !n->wrong; i++, n->got++) {
        naive_claim(n, n->got < NAIVE_BYTES && n->marks[n->got] == THERE,
                    "handed on a byte that never came");
        naive_claim(n, n->got < NAIVE_BYTES && (n->lossy || view.data[i] == n->values[n->got]),
                    "handed on a byte that is not the first copy of it");
    }
}

static inline void naive_on_skip(void *context, uint64_t len, enum stream_skip why,
                                 const struct held *held) {
    (void)held;
    struct naive *n = context;
    naive_claim(n, len > 0, "skipped nothing");
    naive_claim(n, n->got + len <= NAIVE_BYTES, "skipped beyond the end");
    for (uint64_t i = 0; i < len && !n->wrong; i++, n->got++) {
        bool known = n->marks[n->got] != NOT_THERE;
        naive_claim(n, why == SKIP_SNAPLEN ? known : !known || n->lossy,
                    why == SKIP_SNAPLEN ? "said of a byte that never came that it was cut"
                                        : "gave up a byte that was there");
    }
}

static inline struct stream_sink naive_sink(struct naive *n) {
    return (struct stream_sink){
        .bytes = naive_on_bytes, .skip = naive_on_skip, .context = n, .pool = &n->pool};
}

static inline void naive_advance(struct naive *n) {
    while (n->told < NAIVE_BYTES && n->marks[n->told] != NOT_THERE)
        n->told++;
}

/* Both have done the same: are they at the same place? */
static inline void naive_compare(struct naive *n) {
    if (n->lossy) /* where a cap was met, the stream has gone further */
        n->told = n->got > n->told ? n->got : n->told;
    naive_claim(n, n->got == n->told || n->lossy, "is not where it should be");
    naive_claim(n, n->stream.offset == n->got, "counts its offset wrongly");
    naive_claim(n, n->stream.next == n->base + (uint32_t)n->got, "counts its numbers wrongly");
    naive_claim(
        n, !n->stream.held == !n->stream.held_bytes && !n->stream.held == !n->stream.held_count,
        "counts what it holds wrongly");
    naive_claim(n, n->stream.held || n->pool.used == 0, "does not give back its memory");
}

static inline void naive_mark(struct naive *n, size_t at, struct bytes view, size_t len) {
    for (size_t i = 0; i < len && at + i < NAIVE_BYTES; i++) {
        if (at + i < n->told || n->marks[at + i] != NOT_THERE)
            continue;
        n->marks[at + i] = i < view.len ? THERE : CUT;
        n->high = at + i >= n->high ? at + i + 1 : n->high;
        n->values[at + i] = i < view.len ? view.data[i] : 0;
    }
}

/* A segment of `len` bytes at stream offset `at`, of which the view was captured. */
static inline unsigned naive_feed(struct naive *n, size_t at, struct bytes view, uint32_t len) {
    struct stream_sink sink = naive_sink(n);
    naive_mark(n, at, view, len);
    naive_advance(n);
    unsigned notes = stream_feed(&n->stream, n->base + (uint32_t)at, view, len, &sink);
    if (notes & (STREAM_REORDER_CAP | STREAM_NOT_HELD))
        n->lossy = true;
    naive_compare(n);
    return notes;
}

static inline void naive_give_up(struct naive *n, size_t until) {
    struct stream_sink sink = naive_sink(n);
    n->told = until > n->told && until <= NAIVE_BYTES ? until : n->told;
    naive_advance(n);
    stream_give_up(&n->stream, n->base + (uint32_t)until, &sink);
    naive_compare(n);
}

static inline void naive_flush(struct naive *n) {
    naive_give_up(n, n->high);
    naive_claim(n, !n->stream.held, "holds something back");
}

#endif
