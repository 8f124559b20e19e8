/* budget.h - one limit on the memory that many owners take for the same purpose. Per-owner caps
 * alone would multiply: 32 thousand streams of 256 KiB each are no bound at all. */
#ifndef BUSTAP_BASE_BUDGET_H
#define BUSTAP_BASE_BUDGET_H

#include "base/base.h"

struct budget {
    size_t used, max; /* bytes */
};

/* False: it would be too much; nothing is taken. */
static inline bool budget_take(struct budget *budget, size_t bytes) {
    if (bytes > budget->max - budget->used)
        return false;
    budget->used += bytes;
    return true;
}

static inline void budget_give(struct budget *budget, size_t bytes) {
    budget->used -= bytes;
}

#endif
