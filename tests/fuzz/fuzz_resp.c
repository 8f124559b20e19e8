/* fuzz_resp.c - any bytes as requests, or as replies: however they are cut, the reader tells the
 * same values of them, and the short ways say what the reader says of all that they take. And any
 * line, split into words.
 *
 * The input: a byte of options, then PIECES sizes of pieces, taken in turn, then the bytes. */
#include "tests/fuzz/fuzz.h"

#include "decode/resp.h"

#include <assert.h>
#include <stdlib.h>

enum { PIECES = 4, HEAD = 1 + PIECES };
enum { REQUESTS = 1, NO_MEMORY = 2 }; /* options */

/* ---- what was said, as a number ---- */

struct said {
    uint64_t values, bytes, errors, sum;
    bool bad;
};

static bool same(const struct said *a, const struct said *b) {
    return a->values == b->values && a->bytes == b->bytes && a->errors == b->errors &&
           a->sum == b->sum && a->bad == b->bad;
}

static void mix(uint64_t *sum, const void *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        *sum = (*sum ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
}

static void mix_value(uint64_t *sum, const struct resp_value *value) {
    uint64_t facts[] = {value->bytes, value->count, value->lost};
    size_t texts = 0;
    mix(sum, facts, sizeof facts);
    assert(value->count <= RESP_ITEMS);
    for (uint32_t i = 0; i < value->count; i++) {
        const struct resp_item *item = &value->items[i];
        uint64_t of_item[] = {(uint64_t)item->number, item->text_len, item->type, item->depth};
        mix(sum, of_item, sizeof of_item);
        mix(sum, item->text, item->text_len);
        assert(item->text_len <= RESP_TEXT && item->depth <= CAP_RESP_DEPTH);
        texts += item->text_len;
    }
    assert(texts <= RESP_TEXTS);
}

static void on_error(void *context, struct bytes text) {
    struct said *said = context;
    said->errors++;
    mix(&said->sum, text.data, text.len);
}

static void say(struct said *said, const struct resp_value *value) {
    said->values++;
    said->bytes += value->bytes;
    mix_value(&said->sum, value);
}

/* ---- the reader ---- */

struct reading {
    struct pool pool;
    struct resp_tools tools;
    struct resp_reader reader;
    struct said said;
};

static struct reading *reading_new(uint8_t options) {
    struct reading *r = calloc(1, sizeof *r);
    assert(r);
    r->pool.max = options & NO_MEMORY ? 0 : CAP_HELD;
    r->tools = (struct resp_tools){.pool = &r->pool, .on_error = on_error, .context = &r->said};
    resp_init(&r->reader, options & REQUESTS);
    return r;
}

static struct said reading_end(struct reading *r) {
    struct said said = r->said;
    resp_reset(&r->reader, &r->tools);
    assert(r->pool.used == 0);
    pool_free(&r->pool);
    free(r);
    return said;
}

/* In a block of exactly their size. */
static uint8_t *copy_of(struct bytes view) {
    uint8_t *exact = malloc(view.len ? view.len : 1);
    assert(exact);
    if (view.len)
        memcpy(exact, view.data, view.len);
    return exact;
}

/* The values of a view, the last one perhaps cut. */
static void read_view(struct reading *r, struct bytes view) {
    enum resp_got got;
    while (view.len && !r->said.bad) {
        size_t used = resp_feed(&r->reader, &r->tools, view, &got);
        assert(used <= view.len && (got != RESP_MORE || used == view.len));
        view = bytes_after(view, used);
        r->said.bad = got == RESP_BAD;
        if (got != RESP_DONE)
            continue;
        say(&r->said, r->reader.value);
        resp_done(&r->reader, &r->tools);
        assert(resp_is_between(&r->reader));
    }
}

static struct said read_cut(uint8_t options, const uint8_t *pieces, struct bytes view) {
    struct reading *r = reading_new(options);
    for (size_t i = 0; view.len; i = (i + 1) % PIECES) {
        struct bytes piece = bytes_first(view, pieces[i] + (size_t)1);
        uint8_t *exact = copy_of(piece);
        read_view(r, bytes_of(exact, piece.len));
        free(exact);
        view = bytes_after(view, piece.len);
    }
    return reading_end(r);
}

static struct said read_whole(uint8_t options, struct bytes view) {
    struct reading *r = reading_new(options);
    uint8_t *exact = copy_of(view);
    read_view(r, bytes_of(exact, view.len));
    free(exact);
    return reading_end(r);
}

/* ---- the short ways ---- */

/* What the reader says of the view's first value. Bytes used; 0: it is not whole, or none. */
static size_t read_first(struct reading *r, struct bytes view, uint64_t *ret_sum) {
    enum resp_got got;
    size_t used = resp_feed(&r->reader, &r->tools, view, &got);
    *ret_sum = 0;
    if (got == RESP_DONE)
        mix_value(ret_sum, r->reader.value);
    resp_reset(&r->reader, &r->tools);
    return got == RESP_DONE ? used : 0;
}

static void check_short_ways(uint8_t options, struct bytes view) {
    struct reading *r = reading_new(options);
    size_t used = 1;
    while (view.len && used) {
        struct resp_value value;
        uint64_t sum, short_sum = 0;
        uint8_t *exact = copy_of(view);
        struct bytes rest = bytes_of(exact, view.len);
        size_t taken =
            options & REQUESTS ? resp_whole_request(rest, &value) : resp_whole_reply(rest, &value);
        if (taken)
            mix_value(&short_sum, &value);
        used = read_first(r, rest, &sum);
        assert(!taken || (taken == used && short_sum == sum));
        free(exact);
        view = bytes_after(view, used);
    }
    (void)reading_end(r);
}

/* ---- lines ---- */

static void split(struct bytes view) {
    struct bytes line = bytes_first(view, RESP_TEXT);
    uint8_t *exact = copy_of(line), *store = malloc(RESP_TEXT);
    struct resp_value value = {0};
    assert(store);
    if (resp_split_inline(bytes_of(exact, line.len), store, &value)) {
        uint64_t sum = 0;
        mix_value(&sum, &value);
        assert(value.count >= 1 && value.items[0].number >= value.count - 1);
    }
    free(store);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t ones[PIECES];
    if (size < HEAD)
        return 0;
    uint8_t options = data[0];
    struct bytes view = bytes_of(data + HEAD, size - HEAD);
    struct said whole = read_whole(options, view), cut = read_cut(options, data + 1, view),
                single = read_cut(options, ones, view);
    if (!(options & NO_MEMORY)) {
        assert(same(&whole, &cut));
        assert(same(&whole, &single));
    }
    check_short_ways(options, view);
    split(view);
    return 0;
}
