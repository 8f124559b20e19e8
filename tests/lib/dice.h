/* dice.h - chance that can be replayed: the same seed gives the same throws (splitmix64).
 *
 *   struct dice dice = dice_of(seed);
 *   size_t len = 1 + dice_below(&dice, 1448);
 *
 * Header only, so that fuzz targets and mutators share it. */
#ifndef BUSTAP_TESTS_DICE_H
#define BUSTAP_TESTS_DICE_H

#include "base/base.h"

#include <stdlib.h>
#include <time.h>

struct dice {
    uint64_t state;
};

static inline struct dice dice_of(uint64_t seed) {
    return (struct dice){seed};
}

static inline uint64_t dice_throw(struct dice *dice) {
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 .. below - 1; 0 if below is 0. */
static inline uint32_t dice_below(struct dice *dice, uint32_t below) {
    return below ? (uint32_t)(dice_throw(dice) % below) : 0;
}

/* True once in `of` times. */
static inline bool dice_once_in(struct dice *dice, uint32_t of) {
    return dice_below(dice, of) == 0;
}

/* $PROP_SEED, or another seed each second. */
static inline uint64_t dice_seed(void) {
    const char *text = getenv("PROP_SEED");
    return text && *text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) % 1000000000;
}

#endif
