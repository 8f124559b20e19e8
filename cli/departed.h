/* departed.h - interfaces that went away while they were captured from: each is told once. The run
 * goes on as long as one is left. */
#ifndef BUSTAP_CLI_DEPARTED_H
#define BUSTAP_CLI_DEPARTED_H

#include "base/buf.h"
#include "capture/merge.h"

struct departed {
    uint64_t told; /* a bit for each interface */
};

/* Puts those that were not told yet into `said`, in lines. */
void departed_look(struct departed *departed, const struct merge *merge, struct buf *said);

#endif
