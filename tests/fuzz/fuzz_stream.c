/* fuzz_stream.c - segments, copies, holes, in any order that the input chooses, against the naive
 * model of tests/lib/naive_stream.h.
 *
 * The first five bytes are the first sequence number and options; then each step is six bytes: what
 * (a segment near or far, one that differs, one cut, giving up, flushing), where, how long. */
#include "tests/fuzz/fuzz.h"
#include "tests/lib/naive_stream.h"

#include <stdio.h>

enum { HEAD = 5, STEP = 6, LONGEST = 4096, STEPS_MAX = 2000 };

enum what { NEXT, NEAR, FAR, BEHIND, SPOILT, SHORTENED, GIVE_UP, FLUSH, WHATS };

static void segment(struct naive *n, size_t at, uint32_t len, enum what what) {
    static uint8_t data[LONGEST];
    if (at + len >= NAIVE_BYTES - LONGEST || len == 0)
        return;
    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)((at + i) * 31 + ((at + i) >> 8) + (what == SPOILT));
    uint8_t *exact = malloc(len); /* of exactly its size */
    if (!exact)
        abort();
    memcpy(exact, data, len);
    naive_feed(n, at, bytes_of(exact, what == SHORTENED ? len / 3 : len), len);
    free(exact);
}

static void step(struct naive *n, const uint8_t *op) {
    enum what what = (enum what)(op[0] % WHATS);
    size_t where = load_be16(op + 1);
    uint32_t len = load_be16(op + 3) % LONGEST;
    switch (what) {
    case NEXT:
        segment(n, n->got, len, what);
        break;
    case NEAR:
    case SPOILT:
    case SHORTENED:
        segment(n, n->got + where % 5000, len, what);
        break;
    case FAR:
        segment(n, n->got + where * 8, len % 64, what);
        break;
    case BEHIND:
        segment(n, n->got > where ? n->got - where : 0, len, what);
        break;
    case GIVE_UP:
        if (n->got + where % 9000 < NAIVE_BYTES - LONGEST)
            naive_give_up(n, n->got + where % 9000);
        break;
    case FLUSH:
    case WHATS:
        if (op[5] == 0) /* seldom */
            naive_flush(n);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD)
        return 0;
    struct naive *n = naive_new(load_be32(data), data[4] & 1);
    if (data[4] & 2)
        n->pool.max = 100000;
    const uint8_t *end = data + size;
    data += HEAD;
    for (int i = 0; i < STEPS_MAX && end - data >= STEP && !n->wrong; i++, data += STEP)
        step(n, data);
    if (!n->wrong)
        naive_flush(n);
    if (n->wrong) {
        fprintf(stderr, "the stream %s at %zu (naive: %zu)\n", n->wrong, n->got, n->told);
        abort();
    }
    naive_free(n);
    return 0;
}
