/* histogram.c - percentiles and sums of histograms. */
#include "base/histogram.h"

/* The least value of a bucket; of the one behind the last it is the end of the scale. */
static uint64_t bucket_start(size_t bucket) {
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    size_t shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
}

/* The value at `rank` (from 1) of the bucket's own ones: in the middle of its share of the bucket,
 * but never beyond the greatest value. */
static uint64_t value_in(const struct histogram *histogram, size_t bucket, uint64_t rank) {
    bool last = bucket == HISTOGRAM_BUCKETS - 1;
    uint64_t start = bucket_start(bucket);
    uint64_t end = last ? histogram->max : bucket_start(bucket + 1);
    double share = ((double)rank - 0.5) / histogram->buckets[bucket];
    uint64_t value = start + (uint64_t)((double)(end - start) * share);
    return value < histogram->max ? value : histogram->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille) {
    uint64_t rank = (histogram->count * per_mille + 999) / 1000, before = 0;
    rank = rank ? rank : 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (before + histogram->buckets[i] >= rank)
            return value_in(histogram, i, rank - before);
        before += histogram->buckets[i];
    }
    return histogram->max; /* empty, or full buckets */
}

void histogram_subtract(struct histogram *histogram, const struct histogram *other) {
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] -= other->buckets[i];
    histogram->count -= other->count;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t sum = (uint64_t)histogram->buckets[i] + other->buckets[i];
        histogram->buckets[i] = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
    }
    histogram->count += other->count;
    if (other->max > histogram->max)
        histogram->max = other->max;
}
