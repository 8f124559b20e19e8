/* thresholds.c - the table of thresholds. */
#include "analysis/thresholds.h"

const struct threshold_row threshold_rows[THRESHOLD_COUNT] = {
#define THRESHOLD(symbol, name, preset, unit, help) {name, unit, help, preset},
#include "analysis/thresholds.def"
#undef THRESHOLD
};

struct thresholds thresholds_preset(void) {
    struct thresholds thresholds;
    for (size_t i = 0; i < THRESHOLD_COUNT; i++)
        thresholds.of[i] = threshold_rows[i].preset;
    return thresholds;
}
