/* incident.h - which findings are one incident, and which of them follows from which. */
#ifndef BUSTAP_ANALYSIS_INCIDENT_H
#define BUSTAP_ANALYSIS_INCIDENT_H

#include "analysis/finding.h"

/* Sets `cause` of each finding that follows from another, and `incident` of all that hang together:
 * 1, 2, ... in order of their start. One that stands alone keeps 0. */
void incident_link(struct finding *const *findings, size_t count);

/* A row of the table: what can lead to what. */
struct incident_row {
    const char *cause, *effect;    /* types; an effect's verdict may follow, after a blank */
    int apart;                     /* seconds that may lie between the two */
    enum { SAME, ANYWHERE } where; /* do they concern the same nodes or slots? */
};
extern const struct incident_row incident_rows[];
extern const size_t incident_row_count;

#endif
