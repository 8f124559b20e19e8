/* test_stream.c - one direction of a connection put back into order: against a naive model under
 * random cuts, copies, overlaps and holes; and each rule and each cap by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "decode/stream.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/naive_stream.h"

/* ---- against the naive model ---- */

struct shape {
    const char *name;
    uint32_t base;
    uint32_t reach;                                    /* how far from the position segments lie */
    uint32_t longest;                                  /* segment */
    uint32_t cut_one_in, spoil_one_in, give_up_one_in; /* 0: never */
    bool ranges_only;
};

static const struct shape shapes[] = {
    {.name = "nearly in order", .base = 1, .reach = 30, .longest = 60},
    {.name = "short and far", .base = 77, .reach = 4000, .longest = 20},
    {.name = "long and overlapping", .base = 5, .reach = 3000, .longest = 1448},
    {.name = "over the wrap", .base = 0xfffff000, .reach = 1000, .longest = 200},
    {.name = "with holes", .base = 9, .reach = 1000, .longest = 100, .give_up_one_in = 20},
    {.name = "with a snaplen", .base = 9, .reach = 1000, .longest = 100, .cut_one_in = 5},
    {.name = "copies that differ", .base = 9, .reach = 500, .longest = 100, .spoil_one_in = 4},
    {.name = "ranges only", .base = 0x80000000, .reach = 1000, .longest = 200, .ranges_only = true},
};

enum { STREAM = 200000, SHORTEST_RUN = 20, SEEDS = 25 };

static bool comes_up(struct dice *dice, uint32_t one_in) {
    return one_in && dice_once_in(dice, one_in);
}

static void one_segment(struct naive *n, const struct shape *shape, struct dice *dice) {
    static uint8_t data[2048];
    uint32_t back = dice_below(dice, shape->reach), ahead = dice_below(dice, shape->reach);
    size_t at = n->got + (dice_once_in(dice, 3) ? 0 : ahead);
    at = dice_once_in(dice, 3) && at > back ? at - back : at;
    uint32_t len = 1 + dice_below(dice, shape->longest);
    if (at + len > STREAM)
        return;
    uint8_t spoil = comes_up(dice, shape->spoil_one_in);
    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)((at + i) * 31 + ((at + i) >> 8) + spoil);
    struct bytes view = bytes_of(data, comes_up(dice, shape->cut_one_in) ? len / 2 : len);
    naive_feed(n, at, shape->ranges_only ? bytes_of(NULL, 0) : view, len);
}

static void run_shape(const struct shape *shape, uint64_t seed) {
    struct dice dice = dice_of(seed);
    struct naive *n = naive_new(shape->base, shape->ranges_only);
    for (int i = 0; i < 40000 && n->got < STREAM - 3000 && !n->wrong; i++) {
        one_segment(n, shape, &dice);
        if (comes_up(&dice, shape->give_up_one_in))
            naive_give_up(n, n->got + dice_below(&dice, shape->reach));
    }
    if (!n->wrong)
        naive_flush(n);
    if (n->wrong)
        fail_msg("%s: the stream %s at %zu (naive: %zu); PROP_SEED=%llu", shape->name, n->wrong,
                 n->got, n->told, (unsigned long long)seed);
    assert_false(n->lossy);
    assert_true(n->got > SHORTEST_RUN);
    naive_free(n);
}

/* Whatever comes, however often and in whatever order: each byte once, in order, the first copy. */
static void like_the_naive_model(void **state) {
    (void)state;
    uint64_t seed = dice_seed();
    print_message("PROP_SEED=%llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < countof(shapes); i++)
        for (uint64_t k = 0; k < SEEDS; k++)
            run_shape(&shapes[i], seed + k);
}

/* ---- single rules: what the sink gets, as text ---- */

static struct stream stream;
static struct pool pool;
static struct buf heard;

static void on_bytes(void *context, struct bytes view, const struct held *held) {
    (void)held;
    (void)context;
    buf_text(&heard, "[");
    buf_wire_text(&heard, view, 40);
    buf_text(&heard, "]");
}

static void on_skip(void *context, uint64_t len, enum stream_skip why, const struct held *held) {
    (void)held;
    (void)context;
    buf_printf(&heard, why == SKIP_LOST ? "(lost %u)" : "(cut %u)", (unsigned)len);
}

static struct stream_sink sink = {.bytes = on_bytes, .skip = on_skip, .pool = &pool};

static int start_stream(void **state) {
    (void)state;
    stream = (struct stream){0};
    pool = (struct pool){.max = CAP_HELD};
    heard = (struct buf){.max = 1 << 24};
    stream_start(&stream, 100, true);
    sink.patient = false;
    return 0;
}

/* Whatever the test did, all memory comes back. */
static int end_stream(void **state) {
    (void)state;
    stream_free(&stream, &pool);
    bool clean = pool.used == 0;
    pool_free(&pool);
    buf_free(&heard);
    return clean ? 0 : -1;
}

static void give_up_all(void) {
    const struct held *last = stream.held_last;
    if (last)
        stream_give_up(&stream, last->seq + last->len, &sink);
}

static void feeds(uint32_t seq, const char *text, unsigned expected_notes) {
    uint32_t len = (uint32_t)strlen(text);
    assert_int_equal(stream_feed(&stream, seq, bytes_of(text, len), len, &sink), expected_notes);
}

/* What was heard since the last time. */
static void assert_heard(const char *expected) {
    buf_text(&heard, "");
    assert_string_equal(heard.data, expected);
    heard.len = 0;
}

static void in_order(void **state) {
    (void)state;
    feeds(100, "abc", 0);
    feeds(103, "de", 0);
    feeds(105, "", 0);
    assert_heard("[abc][de]");
    assert_int_equal(stream.offset, 5);
}

static void early_bytes_wait(void **state) {
    (void)state;
    feeds(106, "gh", STREAM_EARLY);
    feeds(103, "de", STREAM_EARLY);
    assert_heard("");
    feeds(100, "abc", 0);
    assert_heard("[abc][de]");
    feeds(105, "f", 0);
    assert_heard("[f][gh]");
}

/* A later segment fills holes and covers what lies between and behind them. */
static void one_segment_over_all(void **state) {
    (void)state;
    feeds(102, "c", STREAM_EARLY);
    feeds(104, "ef", STREAM_EARLY);
    feeds(100, "abcdefgh", 0);
    assert_heard("[ab][c][d][ef][gh]");
    assert_null(stream.held);
}

static void what_was_there_is_cut_off(void **state) {
    (void)state;
    feeds(100, "abcd", 0);
    feeds(100, "abcd", STREAM_OLD);
    feeds(102, "cdef", STREAM_OLD);
    feeds(101, "b", STREAM_OLD);
    assert_heard("[abcd][ef]");
}

static void keep_alives(void **state) {
    (void)state;
    feeds(100, "abcd", 0);
    feeds(103, "d", STREAM_OLD | STREAM_KEEPALIVE);
    feeds(103, "\377", STREAM_OLD | STREAM_KEEPALIVE); /* some send a byte of garbage */
    feeds(102, "c", STREAM_OLD);
    assert_heard("[abcd]");
}

/* The second copy of a segment differs: said, and the first one stands. */
static void copies_that_differ(void **state) {
    (void)state;
    feeds(100, "abcd", 0);
    feeds(100, "abXd", STREAM_OLD | STREAM_CONFLICT);
    assert_heard("[abcd]");
    feeds(106, "gh", STREAM_EARLY);
    feeds(105, "fGh", STREAM_EARLY | STREAM_CONFLICT);
    feeds(104, "eXXX", STREAM_CONFLICT);
    assert_heard("[e][f][gh]");
}

static void long_copies_that_differ_at_their_ends(void **state) {
    (void)state;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    feeds(100, text, 0);
    feeds(100, text, STREAM_OLD);
    text[0] = 'y';
    feeds(100, text, STREAM_OLD | STREAM_CONFLICT);
    text[0] = 'x', text[999] = 'y';
    feeds(100, text, STREAM_OLD | STREAM_CONFLICT);
}

static void giving_up_a_hole(void **state) {
    (void)state;
    feeds(103, "de", STREAM_EARLY);
    feeds(107, "hi", STREAM_EARLY);
    stream_give_up(&stream, 102, &sink);
    assert_heard("(lost 2)");
    stream_give_up(&stream, 106, &sink);
    assert_heard("(lost 1)[de](lost 1)");
    stream_give_up(&stream, 105, &sink);
    assert_heard("");
    give_up_all();
    assert_heard("(lost 1)[hi]");
    give_up_all();
    assert_heard("");
    assert_int_equal(stream.offset, 9);
}

/* The peer was handed on up to `said`; the next segments were sent by one who had its bytes
 * up to `had`. */
static void be_patient(uint32_t said, uint32_t had) {
    sink.patient = true;
    sink.said = said;
    sink.heard = had;
}

static void what_answers_the_peer_waits_for_it(void **state) {
    (void)state;
    be_patient(500, 510);
    feeds(100, "ab", 0);
    be_patient(500, 520);
    feeds(102, "cd", 0);
    be_patient(500, 500);
    feeds(104, "ef", 0); /* behind what waits */
    assert_heard("");
    sink.said = 510;
    stream_release(&stream, &sink);
    assert_heard("[ab]");
    stream_give_up(&stream, 106, &sink);
    assert_heard("[cd][ef]");
    be_patient(510, 520);
    feeds(106, "gh", 0);
    give_up_all();
    assert_heard("[gh]");
}

/* Nothing in order is lost for want of memory: then it waits no longer, and that is noted. */
static void without_memory_nothing_waits(void **state) {
    (void)state;
    pool.max = 0;
    be_patient(500, 510);
    feeds(100, "ab", STREAM_NOT_HELD);
    assert_heard("[ab]");
    pool.max = CAP_HELD;
    feeds(102, "cd", 0);
    pool.max = pool.used;
    be_patient(500, 510);
    feeds(104, "ef", STREAM_NOT_HELD); /* behind what waits */
    assert_heard("[cd][ef]");
}

/* Likewise beyond the caps on what one stream holds. */
static void too_much_waits(void **state) {
    (void)state;
    for (uint32_t i = 0; i < CAP_REORDER_SEGMENTS; i++) {
        be_patient(500, 510);
        feeds(100 + i, "x", 0);
    }
    assert_int_equal(stream.held_count, CAP_REORDER_SEGMENTS);
    assert_heard("");
    feeds(100 + CAP_REORDER_SEGMENTS, "y", STREAM_WAIT_CAP);
    assert_null(stream.held);
    assert_int_equal(stream.offset, CAP_REORDER_SEGMENTS + 1);
}

static void cut_by_the_snaplen(void **state) {
    (void)state;
    assert_int_equal(stream_feed(&stream, 100, bytes_of("abc", 3), 10, &sink), 0);
    assert_heard("[abc](cut 7)");
    assert_int_equal(stream_feed(&stream, 112, bytes_of("mno", 3), 8, &sink), STREAM_EARLY);
    feeds(110, "kl", 0);
    assert_heard("[kl][mno](cut 5)");
    assert_int_equal(stream.offset, 20);
}

static void only_ranges_are_kept_of_what_nobody_reads(void **state) {
    (void)state;
    stream.ranges_only = true;
    feeds(103, "defghijklmnopqrstuvwxyz", STREAM_EARLY);
    assert_true(pool.used < 64);
    feeds(100, "abc", 0);
    assert_heard("[abc](cut 23)");
}

/* The first segment of a capture that joins in the middle is where the stream starts. */
static void joined_in_the_middle(void **state) {
    (void)state;
    stream = (struct stream){0};
    feeds(5000, "abc", 0);
    feeds(4990, "0123456789a", STREAM_OLD);
    assert_heard("[abc]");
    assert_false(stream.from_start);
}

static void numbers_wrap(void **state) {
    (void)state;
    stream_start(&stream, 0xfffffffe, true);
    feeds(2, "ef", STREAM_EARLY);
    feeds(0xfffffffe, "abcd", 0);
    assert_heard("[abcd][ef]");
    feeds(0xffffffff, "bcdefg", STREAM_OLD);
    assert_heard("[g]");
    assert_int_equal(stream.next, 5);
}

/* ---- caps ---- */

static void feeds_zeros(uint32_t seq, uint32_t len, unsigned expected_notes) {
    static const uint8_t zeros[CAP_REORDER_BYTES + 1];
    assert_int_equal(stream_feed(&stream, seq, bytes_of(zeros, len), len, &sink), expected_notes);
}

/* CAP_REORDER_BYTES are held; one more, and the first hole becomes a gap. */
static void too_many_bytes_early(void **state) {
    (void)state;
    feeds_zeros(200, CAP_REORDER_BYTES, STREAM_EARLY);
    assert_heard("");
    feeds_zeros(200 + CAP_REORDER_BYTES + 50, 1, STREAM_EARLY | STREAM_REORDER_CAP);
    assert_memory_equal(heard.data, "(lost 100)[\\x00", 14);
    assert_int_equal(stream.held_bytes, 1);
    assert_int_equal(stream.next, 200 + CAP_REORDER_BYTES);
}

/* CAP_REORDER_SEGMENTS likewise: with every other byte missing, a hole goes for each new one. */
static void too_many_segments_early(void **state) {
    (void)state;
    uint32_t seq = 101;
    for (int i = 0; i < CAP_REORDER_SEGMENTS; i++, seq += 2)
        feeds(seq, "x", STREAM_EARLY);
    assert_heard("");
    for (int i = 0; i < 3; i++, seq += 2) {
        feeds(seq, "x", STREAM_EARLY | STREAM_REORDER_CAP);
        assert_heard("(lost 1)[x]");
        assert_int_equal(stream.held_count, CAP_REORDER_SEGMENTS);
    }
}

/* A single segment that is longer than the cap and early: the hole before it goes at once. */
static void an_early_segment_longer_than_the_cap(void **state) {
    (void)state;
    feeds_zeros(150, CAP_REORDER_BYTES + 1, STREAM_EARLY | STREAM_REORDER_CAP);
    assert_memory_equal(heard.data, "(lost 50)[", 10);
    assert_null(stream.held);
}

/* The memory of all streams together is used up: what cannot be held is not, and is lost later. */
static void no_memory_to_hold(void **state) {
    (void)state;
    pool.max = 100;
    feeds_zeros(150, 200, STREAM_EARLY | STREAM_NOT_HELD);
    assert_null(stream.held);
    feeds(400, "tail", STREAM_EARLY);
    give_up_all();
    assert_heard("(lost 300)[tail]");
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, start_stream, end_stream)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_the_naive_model),
        STREAM_TEST(in_order),
        STREAM_TEST(early_bytes_wait),
        STREAM_TEST(one_segment_over_all),
        STREAM_TEST(what_was_there_is_cut_off),
        STREAM_TEST(keep_alives),
        STREAM_TEST(copies_that_differ),
        STREAM_TEST(long_copies_that_differ_at_their_ends),
        STREAM_TEST(giving_up_a_hole),
        STREAM_TEST(what_answers_the_peer_waits_for_it),
        STREAM_TEST(without_memory_nothing_waits),
        STREAM_TEST(too_much_waits),
        STREAM_TEST(cut_by_the_snaplen),
        STREAM_TEST(only_ranges_are_kept_of_what_nobody_reads),
        STREAM_TEST(joined_in_the_middle),
        STREAM_TEST(numbers_wrap),
        STREAM_TEST(too_many_bytes_early),
        STREAM_TEST(too_many_segments_early),
        STREAM_TEST(an_early_segment_longer_than_the_cap),
        STREAM_TEST(no_memory_to_hold),
    };
    return RUN_GROUP(argc, argv, tests);
}
