/* offset_history.h - when a replication stream had come how far: to tell how long ago an offset was
 * passed, and where the stream stood at a time.
 *
 * A fixed number of places. What grew within a tenth of a second is one; when all are used, one
 * goes that is missed the least, so that the past gets coarser the longer ago it is. Offsets and
 * times only grow. Zero-initialised it is empty. */
#ifndef BUSTAP_ANALYSIS_OFFSET_HISTORY_H
#define BUSTAP_ANALYSIS_OFFSET_HISTORY_H

#include "base/base.h"

enum { HISTORY_PLACES = 128 };

struct offset_place {
    nstime time;     /* from here on the stream grew */
    uint64_t offset; /* up to this */
};

struct offset_history {
    uint32_t count;
    struct offset_place list[HISTORY_PLACES];
};

/* The stream was seen at this offset. What is less than was seen, or earlier, is passed over. */
void offset_history_note(struct offset_history *history, nstime time, uint64_t offset);

/* When the stream grew beyond `offset`: rather too late than too early, but for a tenth of a
 * second. TIME_NONE: it did not. */
nstime offset_history_passed(const struct offset_history *history, uint64_t offset);

/* So many bytes in so much time. */
static inline uint64_t offset_rate(uint64_t bytes, nstime time) {
    double rate = time > 0 ? (double)bytes * (double)NS_PER_SEC / (double)time : 0;
    return rate < (double)INT64_MAX ? (uint64_t)rate : INT64_MAX;
}

/* Where it stood, a straight line between two places. NOT_KNOWN: before all that is known. */
uint64_t offset_history_at(const struct offset_history *history, nstime time);

#endif
