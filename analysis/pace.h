/* pace.h - how many a second, over a window of some seconds that moves on; zero-initialised it is
 * empty. */
#ifndef BUSTAP_ANALYSIS_PACE_H
#define BUSTAP_ANALYSIS_PACE_H

#include "base/base.h"

enum { PACE_WINDOW = 5 /* seconds: one busy moment is no storm */ };

struct pace {
    uint64_t ring[PACE_WINDOW]; /* by second */
    int64_t second;             /* of the newest entry */
    uint64_t peak;              /* the most in a window */
};

/* Counts one. Time does not go back by much: what comes late counts for the newest second. */
static inline void pace_add(struct pace *pace, nstime time) {
    int64_t second = time / NS_PER_SEC;
    uint64_t sum = 0;
    if (second - pace->second >= PACE_WINDOW)
        memset(pace->ring, 0, sizeof pace->ring);
    else
        for (int64_t at = pace->second + 1; at <= second; at++)
            pace->ring[at % PACE_WINDOW] = 0;
    if (second > pace->second)
        pace->second = second;
    pace->ring[pace->second % PACE_WINDOW]++;
    for (size_t i = 0; i < PACE_WINDOW; i++)
        sum += pace->ring[i];
    pace->peak = sum > pace->peak ? sum : pace->peak;
}

/* The most a second, averaged over a window. */
static inline uint64_t pace_peak(const struct pace *pace) {
    return pace->peak / PACE_WINDOW;
}

#endif
