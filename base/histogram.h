/* histogram.h - how durations are spread, in memory of one size however many there are.
 *
 * Log-linear: whole microseconds up to 16, then 16 buckets to each octave up to 2^30 (1073 s); what
 * is longer lies in the last bucket. So a percentile is wrong by a sixteenth at most; the greatest
 * value is exact. */
#ifndef BUSTAP_BASE_HISTOGRAM_H
#define BUSTAP_BASE_HISTOGRAM_H

#include "base/base.h"

enum {
    HISTOGRAM_BITS = 4,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_BITS, /* buckets per octave */
    HISTOGRAM_OCTAVES = 30,
    HISTOGRAM_BUCKETS = (HISTOGRAM_OCTAVES - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS,
};

/* Zero-initialised it is empty. */
struct histogram {
    uint64_t count, max; /* max is in microseconds */
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* The first STEPS buckets need no case of their own: they are as wide as those of the octave that
 * follows them. */
static inline size_t histogram_bucket(uint64_t us) {
    unsigned octave = 63 - (unsigned)__builtin_clzll(us | HISTOGRAM_STEPS);
    unsigned shift = octave - HISTOGRAM_BITS;
    return min_size(shift * HISTOGRAM_STEPS + (us >> shift), HISTOGRAM_BUCKETS - 1);
}

/* A bucket that is full stays full. */
static inline void histogram_add(struct histogram *histogram, uint64_t us) {
    uint32_t *bucket = &histogram->buckets[histogram_bucket(us)];
    *bucket += *bucket != UINT32_MAX;
    histogram->count++;
    if (us > histogram->max)
        histogram->max = us;
}

/* The value that `per_mille` of the values do not exceed (500: the median), in microseconds, as if
 * the values of a bucket were spread evenly in it. 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille);

/* Takes away the values of the other, which must be among them. The greatest value stays known. */
void histogram_subtract(struct histogram *histogram, const struct histogram *other);

/* Adds all values of the other. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

#endif
