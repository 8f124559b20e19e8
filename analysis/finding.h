/* finding.h - a conclusion about the run: what happened, to whom, when, how we know, what to do.
 * The types are the rows of detectors.def; the fields are those of the contract's findings. */
#ifndef BUSTAP_ANALYSIS_FINDING_H
#define BUSTAP_ANALYSIS_FINDING_H

#include "base/base.h"

enum severity { SEVERITY_INFO, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum confidence { CONFIDENCE_POSSIBLE, CONFIDENCE_LIKELY, CONFIDENCE_CERTAIN };

const char *severity_name(enum severity severity);
const char *confidence_name(enum confidence confidence);

struct metric {
    const char *name; /* as in the contract */
    uint64_t value;
};

struct evidence {
    uint64_t frame;
    uint16_t source;
    nstime time;
    const char *note;
};

enum { FINDING_METRICS = 12, FINDING_EVIDENCE = 4, FINDING_LINES = 4 };

/* Strings are static, but for `title` and `explanation`. */
struct finding {
    const char *type;
    enum severity severity;
    enum confidence confidence;
    nstime start, end; /* end TIME_NONE: still going on when the capture ended */
    char title[160];
    char explanation[480];
    const char *verdict; /* NULL: none */
    struct metric metrics[FINDING_METRICS];
    size_t metric_count;
    struct evidence evidence[FINDING_EVIDENCE];
    size_t evidence_count;
    const char *caveats[FINDING_LINES]; /* NULL-terminated unless full; likewise advice */
    const char *advice[FINDING_LINES];
};

void finding_metric(struct finding *finding, const char *name, uint64_t value);
void finding_evidence(struct finding *finding, struct evidence evidence); /* the first few stay */

#endif
