/* detector.h - what draws conclusions. Each detector is one const struct in a file of its own,
 * detect_x.c, and one row of detectors.def.
 *
 * A detector sees the events that its mask wants, in order, and the model as it stood then. It
 * keeps its state in the memory that it is given (zeroed) and reports through `report`, at any
 * time; what it reports is copied. */
#ifndef BUSTAP_ANALYSIS_DETECTOR_H
#define BUSTAP_ANALYSIS_DETECTOR_H

#include "analysis/finding.h"
#include "analysis/model.h"

struct run_facts { /* what only the reader of the capture knows, given at the end */
    uint64_t kernel_drops, truncated_packets;
};

struct detection {
    const struct model *model;
    const struct run_facts *facts; /* NULL before the end */
    void (*report)(void *context, const struct finding *finding);
    void *context;
};

struct detector {
    const char *name; /* of the finding type, and for --only and --skip */
    const char *help;
    uint64_t wants; /* EVENT_BITs */
    size_t state;   /* bytes */
    void (*event)(const struct detection *detection, void *state, const struct event *event);
    void (*finish)(const struct detection *detection, void *state); /* NULL: nothing to say then */
};

extern const struct detector *const detectors[];
extern const size_t detector_count;

#endif
