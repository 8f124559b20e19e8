/* test_merge.c - several captures as one: the order, what damage does to it, and what cannot be
 * merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "capture/merge.h"
#include "tests/lib/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MICRO = 0xa1b2c3d4, MOST = 8 };

static const struct source_options plainly = {0};

/* Captures of one packet per letter: the n-th letter of the alphabet at second n. */
struct fixture {
    struct merge *merge;
    int fds[MOST];
    size_t count;
};

static struct made letters(const char *text) {
    struct made made = made_pcap(false, MICRO, 1);
    for (; *text; text++)
        made_record(&made, 16, (uint32_t)(*text - 'a'), 0, text, 1, 1);
    return made;
}

static void open_made(struct fixture *fixture, struct made *made, size_t count) {
    char names[MOST][32];
    const char *paths[MOST] = {0};
    struct err err = {{0}};
    fixture->count = count;
    for (size_t i = 0; i < count; i++) {
        fixture->fds[i] = made_fd(&made[i]);
        snprintf(names[i], sizeof names[i], "/proc/self/fd/%d", fixture->fds[i]);
        paths[i] = names[i];
        made_free(&made[i]);
    }
    fixture->merge = merge_open(paths, count, &plainly, &err);
    assert_string_equal(err.text, "");
    assert_non_null(fixture->merge);
}

static void close_all(struct fixture *fixture) {
    merge_close(fixture->merge);
    for (size_t i = 0; i < fixture->count; i++)
        close(fixture->fds[i]);
}

/* The packets in their order as text: letter, source, letter, source ... */
static void check_order(struct fixture *fixture, const char *expected) {
    char text[128] = "";
    struct packet packet;
    struct err err = {{0}};
    size_t len = 0;
    while (merge_next(fixture->merge, &packet, &err) == SOURCE_PACKET) {
        assert_true(len + 2 < sizeof text);
        text[len++] = (char)packet.data.data[0];
        text[len++] = (char)('0' + packet.source);
    }
    assert_string_equal(text, expected);
}

static void check_merged(const char *const *texts, size_t count, const char *expected) {
    struct made made[MOST];
    struct fixture fixture;
    struct packet packet;
    struct err err = {{0}};
    for (size_t i = 0; i < count; i++)
        made[i] = letters(texts[i]);
    open_made(&fixture, made, count);
    check_order(&fixture, expected);
    assert_int_equal(merge_next(fixture.merge, &packet, &err), SOURCE_END);
    assert_int_equal(merge_count(fixture.merge), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(merge_info(fixture.merge, i)->packets, strlen(texts[i]));
    close_all(&fixture);
}

static void packets_come_by_time(void **state) {
    (void)state;
    check_merged((const char *[]){"adg", "beh", "cfi"}, 3, "a0b1c2d0e1f2g0h1i2");
    check_merged((const char *[]){"xyz", "", "abc", "mno"}, 4, "a2b2c2m3n3o3x0y0z0");
    check_merged((const char *[]){"", ""}, 2, "");
    check_merged((const char *[]){"abc"}, 1, "a0b0c0");
    check_merged(NULL, 0, "");
}

static void of_the_same_time_the_source_named_first(void **state) {
    (void)state;
    check_merged((const char *[]){"ab", "ab", "aab"}, 3, "a0a1a2a2b0b1b2");
}

static void a_source_keeps_its_own_order(void **state) {
    (void)state;
    check_merged((const char *[]){"cab", "bd"}, 2, "b1c0a0b0d1");
}

/* Simple packets: no time of their own. */
static void a_packet_without_a_time_takes_the_one_before(void **state) {
    (void)state;
    for (size_t others = 0; others <= 1; others++) {
        struct made made[2] = {{0}, letters("ad")};
        made_section(&made[0], false);
        made_interface(&made[0], 1, 0);
        made_enhanced(&made[0], 0, 2000000, "c");
        size_t start = made_block(&made[0], 3);
        made_u32(&made[0], 1);
        made_bytes(&made[0], "s", 1);
        made_block_end(&made[0], start);
        struct fixture fixture;
        struct packet packet;
        struct err err = {{0}};
        open_made(&fixture, made, 1 + others);
        for (size_t i = 0; i < 2 + others; i++)
            assert_int_equal(merge_next(fixture.merge, &packet, &err), SOURCE_PACKET);
        assert_memory_equal(packet.data.data, "s", 1);
        assert_int_equal(packet.time, 2 * NS_PER_SEC);
        close_all(&fixture);
        made_free(&made[1]);
    }
}

static void check_failure(struct made *made, size_t count, const char *order, const char *end) {
    struct fixture fixture;
    struct packet packet;
    struct err err = {{0}};
    open_made(&fixture, made, count);
    char first[32];
    snprintf(first, sizeof first, "/proc/self/fd/%d: ", fixture.fds[0]);
    for (size_t i = 0; i < strlen(order) / 2; i++) {
        assert_int_equal(merge_next(fixture.merge, &packet, &err), SOURCE_PACKET);
        assert_int_equal(packet.data.data[0], order[2 * i]);
    }
    assert_int_equal(merge_next(fixture.merge, &packet, &err), SOURCE_FAILED);
    assert_memory_equal(err.text, first, strlen(first));
    assert_string_equal(err.text + strlen(err.text) - strlen(end), end);
    assert_int_equal(merge_next(fixture.merge, &packet, &err), SOURCE_END); /* said once */
    close_all(&fixture);
}

static void damage_is_told_after_the_last_packet(void **state) {
    (void)state;
    struct made two[2] = {letters("ac"), letters("bd")};
    two[0].len--;
    check_failure(two, 2, "a0b1d1", "; what came before has been used");

    struct made three[3] = {letters("af"), letters("bd"), letters("ce")};
    for (size_t i = 0; i < 3; i++)
        three[i].len--;
    check_failure(three, 3, "a0b1c2", "used (and 2 more are damaged)");

    struct made one = letters("ac");
    one.len--;
    check_failure(&one, 1, "a0", "; what came before has been used");
}

static void what_cannot_be_opened_is_named(void **state) {
    (void)state;
    struct made made = letters("a");
    struct err err = {{0}};
    char name[32];
    int fd = made_fd(&made);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    assert_null(merge_open((const char *[]){name, "/nowhere/b"}, 2, &plainly, &err));
    assert_memory_equal(err.text, "/nowhere/b: ", 12);
    close(fd);
    made_free(&made);
}

static void standard_input_is_there_once(void **state) {
    (void)state;
    struct err err = {{0}};
    assert_null(merge_open((const char *[]){"-", "/nowhere/b", "-"}, 3, &plainly, &err));
    assert_string_equal(err.text, "-: standard input is named twice: name it once");
}

static void as_many_sources_as_the_cap(void **state) {
    (void)state;
    struct made made = letters("ab");
    struct err err = {{0}};
    struct packet packet;
    const char *paths[CAP_SOURCES + 1];
    char name[32];
    int fd = made_fd(&made);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < countof(paths); i++)
        paths[i] = name;
    struct merge *merge = merge_open(paths, CAP_SOURCES, &plainly, &err);
    assert_non_null(merge);
    for (size_t i = 0; i < 2 * CAP_SOURCES; i++) {
        assert_int_equal(merge_next(merge, &packet, &err), SOURCE_PACKET);
        assert_int_equal(packet.source, i % CAP_SOURCES);
    }
    assert_int_equal(merge_next(merge, &packet, &err), SOURCE_END);
    merge_close(merge);
    assert_null(merge_open(paths, CAP_SOURCES + 1, &plainly, &err));
    assert_string_equal(err.text,
                        "257 captures: at most 256 are read at once: join some with mergecap");
    close(fd);
    made_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_by_time),
        cmocka_unit_test(of_the_same_time_the_source_named_first),
        cmocka_unit_test(a_source_keeps_its_own_order),
        cmocka_unit_test(a_packet_without_a_time_takes_the_one_before),
        cmocka_unit_test(damage_is_told_after_the_last_packet),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(standard_input_is_there_once),
        cmocka_unit_test(as_many_sources_as_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
