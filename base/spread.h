/* spread.h - how a duration is spread: how often it was measured, its least, greatest and sum. */
#ifndef BUSTAP_BASE_SPREAD_H
#define BUSTAP_BASE_SPREAD_H

#include "base/base.h"

/* Zero-initialised it is empty; min and max then mean nothing. */
struct spread {
    uint32_t count;
    nstime min, max, sum;
};

/* Negative durations, from clocks that step back, are left out. */
static inline void spread_add(struct spread *spread, nstime duration) {
    if (duration < 0)
        return;
    if (spread->count == 0 || duration < spread->min)
        spread->min = duration;
    if (duration > spread->max)
        spread->max = duration;
    spread->sum += duration;
    spread->count++;
}

static inline nstime spread_mean(const struct spread *spread) {
    return spread->count ? spread->sum / spread->count : 0;
}

#endif
