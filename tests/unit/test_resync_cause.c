/* test_resync_cause.c - why a link ended and could not be taken up again: a row is a link and what
 * the replica asked for then. And the history of a stream's offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/offset_history.h"
#include "analysis/resync_cause.h"
#include "decode/event.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"

#define S  NS_PER_SEC
#define KB *UINT64_C(1000)

/* ---- causes ---- */

/* Times in seconds: a link that began at 0, was online at 1, and ended at 100. */
static const struct {
    const char *name;
    bool first, left, by_replica, transferring;
    int heard_primary, heard_replica; /* seconds before its end */
    uint64_t held;                    /* bytes; NOT_KNOWN */
    uint64_t unacked;
    uint64_t asked_offset;
    bool other_history;
    enum link_cut cut;
    enum link_end end;
    enum resync_word word;
} rows[] = {
    {.name = "a new replica",
     .first = true,
     .asked_offset = NOT_KNOWN,
     .end = LINK_NONE,
     .word = RESYNC_FIRST},
    {.name = "the primary closes, much waits, ACKs come",
     .held = 2000 KB,
     .heard_replica = 1,
     .asked_offset = 5000,
     .end = LINK_OUTPUT_BUFFER,
     .word = RESYNC_OUTPUT_BUFFER},
    {.name = "likewise within the payload",
     .transferring = true,
     .held = 2000 KB,
     .heard_replica = 1,
     .asked_offset = NOT_KNOWN,
     .end = LINK_OUTPUT_BUFFER,
     .word = RESYNC_OUTPUT_BUFFER},
    {.name = "likewise, and the primary was told to close it",
     .held = 2000 KB,
     .heard_replica = 1,
     .asked_offset = 5000,
     .cut = CUT_NAMED,
     .end = LINK_KILLED,
     .word = RESYNC_BACKLOG},
    {.name = "likewise, and the primary was told to close that of somebody",
     .held = 2000 KB,
     .heard_replica = 1,
     .asked_offset = 5000,
     .cut = CUT_PERHAPS,
     .end = LINK_CLOSED_BY_PRIMARY,
     .word = RESYNC_BACKLOG},
    {.name = "the primary closes, and nothing waits",
     .held = 10 KB,
     .heard_replica = 1,
     .asked_offset = 5000,
     .end = LINK_CLOSED_BY_PRIMARY,
     .word = RESYNC_BACKLOG},
    {.name = "what waits is not known",
     .held = NOT_KNOWN,
     .heard_replica = 1,
     .asked_offset = 5000,
     .end = LINK_CLOSED_BY_PRIMARY,
     .word = RESYNC_BACKLOG},
    {.name = "the primary closes on a replica that is silent",
     .held = 10 KB,
     .heard_replica = 5,
     .asked_offset = 5000,
     .end = LINK_TIMEOUT,
     .word = RESYNC_TIMEOUT},
    {.name = "silent for a moment while much waits: it is the buffer",
     .held = 2000 KB,
     .heard_replica = 5,
     .asked_offset = 5000,
     .end = LINK_OUTPUT_BUFFER,
     .word = RESYNC_OUTPUT_BUFFER},
    {.name = "silent for long: much waits because of that",
     .held = 2000 KB,
     .heard_replica = 60,
     .asked_offset = 5000,
     .end = LINK_TIMEOUT,
     .word = RESYNC_TIMEOUT},
    {.name = "the replica closes on a primary that is silent",
     .by_replica = true,
     .heard_primary = 60,
     .heard_replica = 1,
     .asked_offset = 5000,
     .end = LINK_TIMEOUT,
     .word = RESYNC_TIMEOUT},
    {.name = "ten seconds without a PING are usual",
     .by_replica = true,
     .heard_primary = 10,
     .heard_replica = 1,
     .asked_offset = 5000,
     .end = LINK_CLOSED_BY_REPLICA,
     .word = RESYNC_BACKLOG},
    {.name = "but not with data that did not arrive",
     .by_replica = true,
     .heard_primary = 7,
     .heard_replica = 1,
     .unacked = 100 KB,
     .asked_offset = 5000,
     .end = LINK_TIMEOUT,
     .word = RESYNC_TIMEOUT},
    {.name = "data under way are usual",
     .by_replica = true,
     .heard_replica = 1,
     .unacked = 100 KB,
     .asked_offset = 5000,
     .end = LINK_CLOSED_BY_REPLICA,
     .word = RESYNC_BACKLOG},
    {.name = "a replica that stood still closes when it goes on",
     .by_replica = true,
     .heard_replica = 8,
     .asked_offset = 5000,
     .end = LINK_TIMEOUT,
     .word = RESYNC_TIMEOUT},
    {.name = "the replica closes, and comes again with nothing",
     .by_replica = true,
     .heard_replica = 1,
     .asked_offset = 1,
     .end = LINK_CLOSED_BY_REPLICA,
     .word = RESYNC_RESTART},
    {.name = "the replica gives the payload up",
     .by_replica = true,
     .transferring = true,
     .heard_replica = 1,
     .asked_offset = NOT_KNOWN,
     .end = LINK_CLOSED_BY_REPLICA,
     .word = RESYNC_TRANSFER},
    {.name = "another history",
     .heard_replica = 1,
     .asked_offset = 5000,
     .other_history = true,
     .end = LINK_CLOSED_BY_PRIMARY,
     .word = RESYNC_HISTORY},
    {.name = "nobody closed it",
     .left = true,
     .asked_offset = 5000,
     .end = LINK_LEFT,
     .word = RESYNC_BACKLOG},
};

static struct link_past past_of(size_t row) {
    struct link_past past = link_past_none();
    past.any = !rows[row].first;
    past.streaming = !rows[row].transferring;
    past.began = 0;
    past.begin_offset = 1000;
    past.online = 1 * S;
    past.heard_primary = (100 - rows[row].heard_primary) * S;
    past.heard_replica = (100 - rows[row].heard_replica) * S;
    past.ended = rows[row].left ? TIME_NONE : 100 * S;
    past.by_primary = !rows[row].by_replica;
    past.cut = rows[row].cut;
    past.unacked = rows[row].unacked;
    past.sent = 5000;
    past.produced = rows[row].held == NOT_KNOWN ? NOT_KNOWN : 5000 + rows[row].held;
    return past;
}

static void causes(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct link_past past = past_of(i);
        struct resync_ask ask = {.asked = 102 * S,
                                 .began = 104 * S,
                                 .asked_offset = rows[i].asked_offset,
                                 .offset = 1000 + 104 * 50,
                                 .same_history = !rows[i].other_history};
        struct resync_cause cause = resync_cause_of(&past, &ask);
        if (cause.end != rows[i].end || resync_word_of(&cause) != rows[i].word)
            fail_msg("%s: %s, %s", rows[i].name, link_end_name(cause.end),
                     resync_word_name(resync_word_of(&cause)));
    }
}

static void numbers_of_a_cause(void **state) {
    (void)state;
    struct link_past past = past_of(1);
    struct resync_ask ask = {.asked = 102 * S,
                             .began = 104 * S,
                             .asked_offset = 5001,
                             .offset = 1000 + 104 * 50,
                             .same_history = true};
    struct resync_cause cause = resync_cause_of(&past, &ask);
    assert_int_equal(cause.held, 2000000);
    assert_int_equal(cause.missed, 1000 + 104 * 50 - 5000);
    assert_int_equal(cause.growth_per_s, 50);
    assert_int_equal(cause.lasted, 99 * S);
    assert_int_equal(cause.silence, 1 * S);
}

/* ---- the history ---- */

static void when_an_offset_was_passed(void **state) {
    (void)state;
    static struct offset_history history;
    history = (struct offset_history){0};
    assert_int_equal(offset_history_passed(&history, 0), TIME_NONE);
    assert_int_equal(offset_history_at(&history, 5 * S), NOT_KNOWN);
    offset_history_note(&history, 1 * S, 100);
    offset_history_note(&history, 3 * S, 300);
    assert_int_equal(offset_history_passed(&history, 99), 1 * S);
    assert_int_equal(offset_history_passed(&history, 100), 3 * S);
    assert_int_equal(offset_history_passed(&history, 299), 3 * S);
    assert_int_equal(offset_history_passed(&history, 300), TIME_NONE);
    assert_int_equal(offset_history_at(&history, 2 * S), 200);
    assert_int_equal(offset_history_at(&history, 1 * S - 1), NOT_KNOWN);
    assert_int_equal(offset_history_at(&history, 9 * S), 300);
    offset_history_note(&history, 4 * S, 250); /* less: late news */
    offset_history_note(&history, 2 * S, 400); /* earlier */
    assert_int_equal(offset_history_passed(&history, 300), TIME_NONE);
}

/* Whatever is forgotten: what was passed is told a tenth of a second too early at most, and too
 * late by no more than a quarter of the time that has gone by since. */
static void the_past_gets_coarser(void **state) {
    (void)state;
    static nstime times[20000]; /* [offset] when the stream reached it */
    static struct offset_history history;
    struct dice dice = dice_of(7);
    history = (struct offset_history){0};
    nstime now = 0;
    for (uint64_t offset = 1; offset < countof(times); offset++) {
        now += dice_below(&dice, 40) * NS_PER_MS;
        times[offset] = now;
        offset_history_note(&history, now, offset);
    }
    for (uint64_t offset = 1; offset + 1 < countof(times); offset++) {
        nstime said = offset_history_passed(&history, offset), is = times[offset + 1];
        assert_true(said >= is - 100 * NS_PER_MS);
        assert_true(said - is <= (now - is) / 4 + 200 * NS_PER_MS);
    }
    assert_true(history.count <= HISTORY_PLACES);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(causes),
        cmocka_unit_test(numbers_of_a_cause),
        cmocka_unit_test(when_an_offset_was_passed),
        cmocka_unit_test(the_past_gets_coarser),
    };
    return RUN_GROUP(argc, argv, tests);
}
