/* thresholds.h - the numbers at which detectors speak up, as rows of thresholds.def. */
#ifndef BUSTAP_ANALYSIS_THRESHOLDS_H
#define BUSTAP_ANALYSIS_THRESHOLDS_H

#include <stddef.h>
#include <stdint.h>

#define THRESHOLD(symbol, name, preset, unit, help) THRESHOLD_##symbol,
enum threshold {
#include "analysis/thresholds.def"
    THRESHOLD_COUNT
};
#undef THRESHOLD

/* The greatest: of seconds, in nanoseconds, it can still be added to a packet's time. */
#define THRESHOLD_MAX UINT32_MAX

struct thresholds {
    uint64_t of[THRESHOLD_COUNT];
};

struct threshold_row {
    const char *name, *unit, *help;
    uint64_t preset;
};
extern const struct threshold_row threshold_rows[THRESHOLD_COUNT];

struct thresholds thresholds_preset(void);

#endif
