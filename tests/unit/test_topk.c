/* test_topk.c - the heaviest keys against exact counts: the bounds that the header gives hold for
 * every key, kept or not, whatever the order and however many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/topk.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 3000, SIZE = 64 };

static struct bytes key_of(uint32_t number, char text[16]) {
    return bytes_of(text, (size_t)snprintf(text, 16, "key:%u", number));
}

static const struct topk_entry *find(const struct topk *topk, struct bytes key) {
    for (uint32_t i = 0; i < topk->used; i++)
        if (bytes_equal(topk_text(&topk->entries[i]), key))
            return &topk->entries[i];
    return NULL;
}

/* Every key's true weight lies within its bounds. */
static void compare(const struct topk *topk, const uint64_t *exact, uint32_t keys) {
    char text[16];
    uint64_t total = 0;
    for (uint32_t i = 0; i < keys; i++) {
        const struct topk_entry *entry = find(topk, key_of(i, text));
        uint64_t most = entry ? entry->count : topk_least(topk);
        uint64_t least = entry ? entry->count - entry->error : 0;
        if (exact[i] < least || exact[i] > most)
            fail_msg("%s weighs %llu, not %llu to %llu", text, (unsigned long long)exact[i],
                     (unsigned long long)least, (unsigned long long)most);
        assert_true(entry || exact[i] <= topk_least(topk));
        total += exact[i];
    }
    assert_int_equal(topk->total, total);
    assert_true(topk_least(topk) <= total / topk->size);
}

/* Few keys have most of the weight: a key's number is the lesser of two, several times. */
static uint32_t skewed(struct dice *dice, unsigned skew) {
    uint32_t number = dice_below(dice, KEYS);
    for (unsigned i = 0; i < skew; i++)
        number = dice_below(dice, number + 1);
    return number;
}

static void against_exact_counts(uint64_t seed, unsigned skew, uint32_t heaviest) {
    static uint64_t exact[KEYS];
    struct topk topk = {.size = SIZE, .key = {seed, ~seed}};
    struct dice dice = dice_of(seed);
    char text[16];
    memset(exact, 0, sizeof exact);
    for (int i = 0; i < 20000; i++) {
        uint32_t number = skewed(&dice, skew);
        uint64_t weight = dice_below(&dice, heaviest) + 1;
        exact[number] += weight;
        topk_add(&topk, key_of(number, text), weight);
    }
    compare(&topk, exact, KEYS);
    assert_true(topk.used <= SIZE);
    topk_free(&topk);
}

static void bounds_hold_for_every_key(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        against_exact_counts(seed, (unsigned)(seed % 4), seed % 2 ? 1 : 1000);
}

static void few_keys_are_counted_exactly(void **state) {
    (void)state;
    struct topk topk = {.size = SIZE};
    const struct topk_entry *top[SIZE];
    char text[16];
    for (uint32_t i = 0; i < SIZE; i++)
        for (uint32_t times = 0; times <= i; times++)
            topk_add(&topk, key_of(i, text), 2);
    assert_int_equal(topk_top(&topk, top, SIZE), SIZE);
    for (uint32_t i = 0; i < SIZE; i++) {
        assert_true(bytes_equal(topk_text(top[i]), key_of(SIZE - 1 - i, text)));
        assert_int_equal(top[i]->count, 2 * (SIZE - i));
        assert_int_equal(top[i]->error, 0);
    }
    assert_int_equal(topk_top(&topk, top, 3), 3);
    topk_free(&topk);
}

/* A million others, each of them once, do not hide it, though it comes late. */
static void a_million_keys_do_not_hide_a_heavy_one(void **state) {
    (void)state;
    struct topk topk = {.size = 1024};
    const struct topk_entry *top;
    char text[16];
    for (uint32_t i = 0; i < 1000000; i++) {
        topk_add(&topk, key_of(i, text), 1);
        if (i >= 500000 && i % 20 == 0)
            topk_add(&topk, bytes_str("hot"), 1);
    }
    assert_int_equal(topk.used, 1024);
    assert_int_equal(topk_top(&topk, &top, 1), 1);
    assert_true(bytes_equal(topk_text(top), bytes_str("hot")));
    assert_true(top->count >= 25000 && top->count - top->error <= 25000);
    topk_free(&topk);
}

/* The hash's key is drawn anew for each run: what is kept must not depend on it. */
static void the_hash_decides_nothing(void **state) {
    (void)state;
    struct topk one = {.size = 16, .key = {1, 2}}, two = {.size = 16, .key = {3, 4}};
    const struct topk_entry *a[16], *b[16];
    struct dice dice = dice_of(7);
    char text[16];
    for (int i = 0; i < 5000; i++) {
        struct bytes key = key_of(dice_below(&dice, 200), text);
        topk_add(&one, key, 1);
        topk_add(&two, key, 1);
    }
    assert_int_equal(topk_top(&one, a, 16), topk_top(&two, b, 16));
    for (int i = 0; i < 16; i++) {
        assert_true(bytes_equal(topk_text(a[i]), topk_text(b[i])));
        assert_int_equal(a[i]->count, b[i]->count);
    }
    topk_free(&one);
    topk_free(&two);
}

static void long_keys_with_one_beginning_are_different(void **state) {
    (void)state;
    struct topk topk = {.size = 4};
    char text[100];
    memset(text, 'x', sizeof text);
    topk_add(&topk, bytes_of(text, 100), 1);
    topk_add(&topk, bytes_of(text, 99), 1);
    text[99] = 'y';
    topk_add(&topk, bytes_of(text, 100), 1);
    topk_add(&topk, bytes_of(NULL, 0), 1);
    assert_int_equal(topk.used, 4);
    topk_add(&topk, bytes_of(text, 100), 1);
    topk_add(&topk, bytes_of(NULL, 0), 1);
    assert_int_equal(topk.used, 4);
    assert_int_equal(topk_least(&topk), 1);
    topk_free(&topk);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_for_every_key),
        cmocka_unit_test(few_keys_are_counted_exactly),
        cmocka_unit_test(a_million_keys_do_not_hide_a_heavy_one),
        cmocka_unit_test(the_hash_decides_nothing),
        cmocka_unit_test(long_keys_with_one_beginning_are_different),
    };
    return RUN_GROUP(argc, argv, tests);
}
