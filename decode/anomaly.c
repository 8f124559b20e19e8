/* anomaly.c - names of the anomalies as reports print them. */
#include "decode/anomaly.h"

#define ANOMALY(symbol, name, help) [AN_##symbol] = {name, help},
const struct anomaly_row anomaly_rows[AN_COUNT] = {
#include "decode/anomalies.def"
};
