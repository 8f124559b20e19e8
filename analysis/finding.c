/* finding.c - filling in a finding. */
#include "analysis/finding.h"

#include <assert.h>

static const char *const severities[] = {"info", "notice", "warning", "critical"};
static const char *const confidences[] = {"possible", "likely", "certain"};

const char *severity_name(enum severity severity) {
    return severities[severity];
}
const char *confidence_name(enum confidence confidence) {
    return confidences[confidence];
}

void finding_metric(struct finding *finding, const char *name, uint64_t value) {
    assert(finding->metric_count < FINDING_METRICS);
    finding->metrics[finding->metric_count++] = (struct metric){name, value};
}

void finding_evidence(struct finding *finding, struct evidence evidence) {
    if (finding->evidence_count < FINDING_EVIDENCE)
        finding->evidence[finding->evidence_count++] = evidence;
}
