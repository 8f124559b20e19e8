/* detector.h - what draws conclusions. Each detector is one const struct in a file of its own,
 * detect_x.c, and one row of detectors.def.
 *
 * A detector sees the events that its mask wants, in order, and the model as it stood then; its
 * tick comes with the first packet of each second that has packets. It
 * keeps its state in the memory that it is given (zeroed) and reports through `report`, at any
 * time. */
#ifndef BUSTAP_ANALYSIS_DETECTOR_H
#define BUSTAP_ANALYSIS_DETECTOR_H

#include "analysis/finding.h"
#include "analysis/model.h"
#include "analysis/thresholds.h"

struct run_facts {    /* what only the reader of the capture knows */
    uint64_t packets; /* that were read */
    uint64_t kernel_drops, truncated_packets;
};

struct detection {
    const struct model *model;
    const struct thresholds *thresholds;
    const struct run_facts *facts; /* of a live run: so far; else NULL before the end */
    void (*report)(void *context, struct finding *finding);
    void *context;
};

/* Hands the finding over; it is not the detector's any more. NULL is a finding for which there was
 * no memory. */
static inline void detection_report(const struct detection *detection, struct finding *finding) {
    detection->report(detection->context, finding);
}

/* At the end: did the capture miss bytes of the bus, or whole packets? What rests on something not
 * seen is then less sure. */
static inline bool detection_missed_bytes(const struct detection *detection) {
    const struct run_facts *facts = detection->facts;
    return model_books(detection->model)->bus_missing_bytes > 0 ||
           (facts && (facts->kernel_drops > 0 || facts->truncated_packets > 0));
}

static inline uint64_t threshold(const struct detection *detection, enum threshold which) {
    return detection->thresholds->of[which];
}

struct detector {
    const char *name; /* of the finding type, and for --only and --skip */
    const char *help;
    uint64_t wants; /* EVENT_BITs */
    size_t state;   /* bytes */
    void (*event)(const struct detection *detection, void *state, const struct event *event);
    void (*tick)(const struct detection *detection, void *state, nstime now); /* NULL: no need */
    void (*finish)(const struct detection *detection, void *state); /* NULL: nothing to say then */
    void (*dispose)(void *state); /* frees what the state owns; NULL: nothing */
};

extern const struct detector *const detectors[];
extern const size_t detector_count;

#endif
