/* anomaly.h - the kinds of malformed input, from anomalies.def. */
#ifndef BUSTAP_DECODE_ANOMALY_H
#define BUSTAP_DECODE_ANOMALY_H

#define ANOMALY(symbol, name, help) AN_##symbol,
enum anomaly {
#include "decode/anomalies.def"
    AN_COUNT,
    AN_NONE = AN_COUNT
};
#undef ANOMALY

struct anomaly_row {
    const char *name; /* as in the reports, "bus-length" */
    const char *help;
};

extern const struct anomaly_row anomaly_rows[AN_COUNT];

#endif
