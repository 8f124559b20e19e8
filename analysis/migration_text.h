/* migration_text.h - how findings name the two ends of a migration. */
#ifndef BUSTAP_ANALYSIS_MIGRATION_TEXT_H
#define BUSTAP_ANALYSIS_MIGRATION_TEXT_H

#include "analysis/detector.h"

struct migration_ends {
    char source[ENDPOINT_TEXT], target[ENDPOINT_TEXT]; /* as people know them */
};

/* Names the ends in the finding: its nodes and the metrics `source` and `target`, which are node
 * ids where the nodes are known, else addresses; where nothing is known there is none. */
struct migration_ends migration_name_ends(const struct detection *detection,
                                          struct finding *finding, const struct endpoint *source,
                                          const struct endpoint *target);

#endif
