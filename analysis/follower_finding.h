/* follower_finding.h - how findings name a replica and its primary. */
#ifndef BUSTAP_ANALYSIS_FOLLOWER_FINDING_H
#define BUSTAP_ANALYSIS_FOLLOWER_FINDING_H

#include "analysis/detector.h"
#include "analysis/model_followers.h"

struct follower_finding {
    struct finding *finding;                             /* NULL: no memory */
    char replica[ENDPOINT_TEXT], primary[ENDPOINT_TEXT]; /* as people know them */
};

/* A new one, with both as its nodes and the metrics `replica` and `primary`: node ids where the
 * nodes are known, else addresses. */
struct follower_finding follower_finding(const struct detection *detection, const char *type,
                                         enum severity severity, nstime start,
                                         const struct follower *follower);

#endif
