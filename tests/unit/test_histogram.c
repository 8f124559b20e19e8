/* test_histogram.c - percentiles against sorted samples, within the bound that the header gives;
 * and counts by word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/by_word.h"
#include "base/histogram.h"
#include "base/limits.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- histograms ---- */

enum { SAMPLES = 5000 };

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The value of that rank, and what the histogram says, are a sixteenth apart at most. */
static void compare(const struct histogram *histogram, const uint64_t *sorted, size_t count) {
    static const unsigned asked[] = {1, 10, 100, 250, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < countof(asked); i++) {
        uint64_t exact = sorted[(count * asked[i] + 999) / 1000 - 1];
        uint64_t said = histogram_percentile(histogram, asked[i]);
        uint64_t apart = said > exact ? said - exact : exact - said;
        if (apart > exact / HISTOGRAM_STEPS)
            fail_msg("%u per mille: %llu, not %llu", asked[i], (unsigned long long)said,
                     (unsigned long long)exact);
    }
    assert_int_equal(histogram->max, sorted[count - 1]);
    assert_int_equal(histogram->count, count);
}

/* Values of all magnitudes up to 2^bits. */
static void against_samples(uint64_t seed, uint32_t bits) {
    static uint64_t samples[SAMPLES];
    static struct histogram histogram;
    struct dice dice = dice_of(seed);
    histogram = (struct histogram){0};
    for (size_t i = 0; i < SAMPLES; i++) {
        uint32_t magnitude = dice_below(&dice, bits) + 1;
        samples[i] = dice_below(&dice, UINT32_C(1) << magnitude);
        histogram_add(&histogram, samples[i]);
    }
    qsort(samples, SAMPLES, sizeof *samples, by_value);
    compare(&histogram, samples, SAMPLES);
}

static void percentiles_of_samples(void **state) {
    (void)state;
    for (uint32_t bits = 1; bits < 30; bits++)
        against_samples(bits, bits);
}

static void every_value_has_its_bucket(void **state) {
    (void)state;
    size_t before = 0;
    for (uint64_t us = 0; us < 1 << 20; us++) {
        size_t bucket = histogram_bucket(us);
        assert_true(bucket == before || bucket == before + 1);
        before = bucket;
    }
    assert_int_equal(histogram_bucket(15), 15);
    assert_int_equal(histogram_bucket((UINT64_C(1) << 30) - 1), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void one_value(void **state) {
    (void)state;
    struct histogram histogram = {0};
    assert_int_equal(histogram_percentile(&histogram, 500), 0);
    histogram_add(&histogram, 7);
    assert_int_equal(histogram_percentile(&histogram, 500), 7);
    assert_int_equal(histogram_percentile(&histogram, 999), 7);
}

/* What is off the scale is still known by its greatest. */
static void beyond_the_scale(void **state) {
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, UINT64_C(5000000000));
    assert_int_equal(histogram.max, UINT64_C(5000000000));
    assert_true(histogram_percentile(&histogram, 500) <= UINT64_C(5000000000));
    assert_true(histogram_percentile(&histogram, 500) >= UINT64_C(1000000000));
}

static void full_buckets_stay_full(void **state) {
    (void)state;
    struct histogram histogram = {.buckets = {[3] = UINT32_MAX}}, other = {.buckets = {[3] = 9}};
    histogram_add(&histogram, 3);
    assert_int_equal(histogram.buckets[3], UINT32_MAX);
    histogram_merge(&histogram, &other);
    assert_int_equal(histogram.buckets[3], UINT32_MAX);
}

static void merged(void **state) {
    (void)state;
    struct histogram a = {0}, b = {0};
    for (uint64_t us = 0; us < 10; us++)
        histogram_add(us < 5 ? &a : &b, us);
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 10);
    assert_int_equal(a.max, 9);
    assert_int_equal(histogram_percentile(&a, 500), 4);
}

/* What came later is what is left. */
static void taken_away(void **state) {
    (void)state;
    struct histogram all = {0}, before;
    for (uint64_t us = 0; us < 5; us++)
        histogram_add(&all, us);
    before = all;
    for (uint64_t us = 10; us < 15; us++)
        histogram_add(&all, us);
    histogram_subtract(&all, &before);
    assert_int_equal(all.count, 5);
    assert_int_equal(histogram_percentile(&all, 500), 12);
    assert_int_equal(histogram_percentile(&all, 1000), 14);
    histogram_subtract(&all, &all);
    assert_int_equal(all.count, 0);
}

/* ---- words ---- */

static void words_are_counted(void **state) {
    (void)state;
    struct by_word counts = {0};
    by_word_add(&counts, bytes_str("MOVED"), 1);
    by_word_add(&counts, bytes_str("ERR"), 2);
    by_word_add(&counts, bytes_str("MOVED"), 1);
    by_word_add(&counts, bytes_str("MOVE"), 1);
    assert_int_equal(counts.count, 3);
    assert_string_equal(counts.list[0].word, "MOVED");
    assert_int_equal(counts.list[0].count, 2);
    assert_int_equal(counts.list[1].count, 2);
    assert_int_equal(by_word_sum(&counts), 5);
    by_word_free(&counts);
}

static void what_is_no_word_is_other(void **state) {
    static const char *const bad[] = {
        "", "a b", "\x1b[2J", "gr\xc3\xb6", "\"", "12345678901234567890123456789012345678901"};
    (void)state;
    struct by_word counts = {0};
    for (size_t i = 0; i < countof(bad); i++)
        by_word_add(&counts, bytes_str(bad[i]), 1);
    by_word_add(&counts, bytes_of("a\0b", 3), 1);
    assert_int_equal(counts.count, 1);
    assert_string_equal(counts.list[0].word, "other");
    assert_int_equal(counts.list[0].count, countof(bad) + 1);
    by_word_free(&counts);
    assert_true(bytes_is_word(bytes_str("1234567890123456789012345678901234567890")));
    assert_true(bytes_is_word(bytes_str("a_Z.9-")));
}

/* CAP_WORDS different ones are kept. */
static void too_many_words(void **state) {
    (void)state;
    struct by_word counts = {0};
    for (int i = 0; i < CAP_WORDS + 5; i++) {
        char word[16];
        snprintf(word, sizeof word, "E%d", i);
        by_word_add(&counts, bytes_str(word), 1);
    }
    assert_int_equal(counts.count, CAP_WORDS);
    assert_int_equal(counts.over, 5);
    assert_int_equal(by_word_sum(&counts), CAP_WORDS + 5);
    by_word_free(&counts);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_samples),
        cmocka_unit_test(every_value_has_its_bucket),
        cmocka_unit_test(one_value),
        cmocka_unit_test(beyond_the_scale),
        cmocka_unit_test(full_buckets_stay_full),
        cmocka_unit_test(merged),
        cmocka_unit_test(taken_away),
        cmocka_unit_test(words_are_counted),
        cmocka_unit_test(what_is_no_word_is_other),
        cmocka_unit_test(too_many_words),
    };
    return RUN_GROUP(argc, argv, tests);
}
