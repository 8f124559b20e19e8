/* sampling.h - which requests are looked at more closely than all: the slot and the key of each
 * would cost more than all else that is done for a request.
 *
 * The first SAMPLING_ALL are all looked at, later ones by chance, one in SAMPLING_EVERY. Each that
 * is looked at stands for so many as its weight says, so sums of weights are right on average. The
 * chance is always the same: the same capture gives the same report. */
#ifndef BUSTAP_DECODE_SAMPLING_H
#define BUSTAP_DECODE_SAMPLING_H

#include "base/base.h"

enum { SAMPLING_ALL = 8192, SAMPLING_EVERY = 64 };

/* What is remembered of one that was looked at, in one number; 0: it was not. */
static inline uint32_t sample_of(unsigned slot, uint32_t weight) {
    return weight << 16 | slot;
}

static inline unsigned sample_slot(uint64_t sample) {
    return sample & 0xffff;
}

static inline uint32_t sample_weight(uint64_t sample) {
    return (uint32_t)sample >> 16;
}

/* Zero-initialised it is at its beginning. */
struct sampling {
    uint32_t left;  /* requests to be passed over */
    uint32_t taken; /* up to SAMPLING_ALL */
    uint64_t state; /* of the chance */
};

/* How many to pass over: on average all but one in SAMPLING_EVERY. The generator is Knuth's. */
static inline uint32_t sampling_gap(struct sampling *sampling) {
    sampling->state =
        sampling->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(sampling->state >> 33) % (2 * SAMPLING_EVERY - 1);
}

/* Will the next request be passed over? */
static inline bool sampling_passes(const struct sampling *sampling) {
    return sampling->left > 0;
}

/* A request has come. Its weight; 0: it is not looked at. */
static inline uint32_t sampling_take(struct sampling *sampling) {
    if (LIKELY(sampling_passes(sampling))) {
        sampling->left--;
        return 0;
    }
    if (sampling->taken < SAMPLING_ALL) {
        sampling->taken++;
        return 1;
    }
    sampling->left = sampling_gap(sampling);
    return SAMPLING_EVERY;
}

#endif
