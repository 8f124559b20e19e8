/* migration_finding.h - what findings about migrations have in common: how they name the two ends,
 * and when they are told. */
#ifndef BUSTAP_ANALYSIS_MIGRATION_FINDING_H
#define BUSTAP_ANALYSIS_MIGRATION_FINDING_H

#include "analysis/detector.h"
#include "analysis/model_migrations.h"
#include "base/limits.h"

struct migration_finding {
    struct finding *finding;                           /* NULL: no memory */
    char source[ENDPOINT_TEXT], target[ENDPOINT_TEXT]; /* as people know them */
};

/* A new one, with the ends as its nodes and the metrics `source` and `target`, which are node ids
 * where the nodes are known, else addresses; where nothing is known there is none. */
struct migration_finding migration_finding(const struct detection *detection, const char *type,
                                           enum severity severity, nstime start,
                                           const struct endpoint *source,
                                           const struct endpoint *target);

/* Those that a detector has looked at. */
struct migrations_told {
    bool list[CAP_MIGRATIONS];
};

/* The next migration that nothing is added to any more, each of them once; NULL: there is none so
 * far. `now` is INT64_MAX when the capture has ended. */
const struct migration *migration_next_over(const struct detection *detection,
                                            struct migrations_told *told, nstime now);

#endif
