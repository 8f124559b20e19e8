/* place.h - where in the capture a fact was seen: the packet, and the connection it is of. */
#ifndef BUSTAP_ANALYSIS_PLACE_H
#define BUSTAP_ANALYSIS_PLACE_H

#include "decode/event.h"
#include "decode/flow.h"

/* Of two moments, of which any may be TIME_NONE: which that there is. */
static inline nstime earlier(nstime a, nstime b) {
    return a == TIME_NONE || (b != TIME_NONE && b < a) ? b : a;
}

static inline nstime later(nstime a, nstime b) {
    return a > b ? a : b; /* TIME_NONE is less than any */
}

struct place {
    nstime time; /* TIME_NONE: nowhere */
    uint64_t frame;
    uint16_t source;
    bool ends_known;
    struct endpoint ends[2]; /* the first one sent it */
};

static inline struct place place_of(const struct event *event) {
    struct place place = {.time = event->time, .frame = event->frame, .source = event->source};
    if (event->flow) {
        place.ends_known = true;
        place.ends[0] = event->flow->ends[event->direction];
        place.ends[1] = event->flow->ends[!event->direction];
    }
    return place;
}

/* The same without the connection, and cheap to keep for every message. */
struct stamp {
    nstime time; /* TIME_NONE: never */
    uint64_t frame;
    uint16_t source;
};

static inline struct stamp stamp_of(const struct event *event) {
    return (struct stamp){.time = event->time, .frame = event->frame, .source = event->source};
}

static inline struct place place_of_stamp(struct stamp stamp) {
    return (struct place){.time = stamp.time, .frame = stamp.frame, .source = stamp.source};
}

static inline struct place place_none(void) {
    return (struct place){.time = TIME_NONE};
}

#endif
