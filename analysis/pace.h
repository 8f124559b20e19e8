/* pace.h - how many a second, over a window of some seconds that moves on, and from when to when it
 * was much. Zero-initialised, but for `least`, it is empty. */
#ifndef BUSTAP_ANALYSIS_PACE_H
#define BUSTAP_ANALYSIS_PACE_H

#include "analysis/place.h"
#include "base/base.h"

enum { PACE_WINDOW = 5 /* seconds: one busy moment is no storm */ };

struct pace {
    uint64_t least;             /* a second, averaged over the window, that is a storm */
    uint64_t ring[PACE_WINDOW]; /* by second */
    struct stamp firsts[PACE_WINDOW];
    int64_t second;     /* of the newest entry */
    uint64_t peak;      /* the most in a window */
    bool stormed;       /* it was a storm at some time */
    struct stamp since; /* of it, the first in a busy second; */
    nstime until;       /* the last */
};

static inline size_t pace_slot(int64_t second) {
    return (size_t)((second % PACE_WINDOW + PACE_WINDOW) % PACE_WINDOW);
}

/* A storm's own seconds: what came before, or trickles on after it, is none. */
static inline bool pace_is_busy(const struct pace *pace, int64_t second) {
    return pace->ring[pace_slot(second)] * 2 >= pace->least;
}

static inline void pace_mark(struct pace *pace, nstime time, bool storms) {
    for (int64_t at = pace->second - PACE_WINDOW + 1; storms && !pace->stormed; at++)
        if (pace_is_busy(pace, at)) {
            pace->since = pace->firsts[pace_slot(at)];
            pace->stormed = true;
        }
    if (pace_is_busy(pace, pace->second))
        pace->until = time;
}

/* Counts one. Time does not go back by much: what comes late counts for the newest second. */
static inline void pace_add(struct pace *pace, struct stamp stamp) {
    int64_t second = stamp.time / NS_PER_SEC;
    uint64_t sum = 0;
    if (second - pace->second >= PACE_WINDOW)
        memset(pace->ring, 0, sizeof pace->ring);
    else
        for (int64_t at = pace->second + 1; at <= second; at++)
            pace->ring[pace_slot(at)] = 0;
    if (second > pace->second)
        pace->second = second;
    size_t slot = pace_slot(pace->second);
    if (pace->ring[slot]++ == 0)
        pace->firsts[slot] = stamp;
    for (size_t i = 0; i < PACE_WINDOW; i++)
        sum += pace->ring[i];
    pace->peak = sum > pace->peak ? sum : pace->peak;
    pace_mark(pace, stamp.time, sum >= pace->least * PACE_WINDOW);
}

/* The most a second, averaged over a window. */
static inline uint64_t pace_peak(const struct pace *pace) {
    return pace->peak / PACE_WINDOW;
}

static const nstime PACE_BLUR = 2 * NS_PER_SEC; /* as exact as whole seconds can be */

/* Where the storm began, of an episode whose first place is given: there, unless it was long
 * before. */
static inline struct place pace_from(const struct pace *pace, struct place first) {
    bool long_before = pace->stormed && pace->since.time - first.time >= PACE_BLUR;
    return long_before ? place_of_stamp(pace->since) : first;
}

/* When it ended, of an episode whose last one was then; TIME_NONE: less than `grace` ago, so it may
 * go on. */
static inline nstime pace_end(const struct pace *pace, nstime last, nstime now, nstime grace) {
    bool long_after = pace->stormed && last - pace->until >= PACE_BLUR;
    nstime end = long_after ? pace->until : last;
    return now - end < grace ? TIME_NONE : end;
}

#endif
