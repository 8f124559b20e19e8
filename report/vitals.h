/* vitals.h - how the cluster does at this moment, in a few numbers for whoever looks on. */
#ifndef BUSTAP_REPORT_VITALS_H
#define BUSTAP_REPORT_VITALS_H

#include "analysis/model.h"

enum health {
    HEALTH_OK,
    HEALTH_SUSPECTED, /* a node at least holds it for failing, PFAIL */
    HEALTH_FAILED,    /* most primaries hold it for failed, FAIL */
    HEALTH_GONE,      /* the others have forgotten it: it does not count */
    HEALTHS
};

enum health vitals_health(const struct model *model, size_t node);

struct vitals {
    size_t nodes[HEALTHS];
    uint64_t redirects; /* by all servers so far */
    uint64_t pongs;     /* that answered a PING so far, on all links */
    nstime rtt;         /* the sum of their times */
};

struct vitals vitals_of(const struct model *model);

#endif
