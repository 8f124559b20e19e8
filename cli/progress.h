/* progress.h - how far a long run has come, on the terminal of standard error and nowhere else. */
#ifndef BUSTAP_CLI_PROGRESS_H
#define BUSTAP_CLI_PROGRESS_H

#include "capture/merge.h"

struct progress {
    bool shown;       /* at all */
    bool drawn;       /* a line stands on the terminal */
    nstime began, at; /* of the monotonic clock: the start, the last line */
};

struct progress progress_start(bool wanted);

/* Called every few thousand packets; draws a few times a second. */
void progress_tick(struct progress *progress, const struct merge *merge);

/* Erases the line. */
void progress_end(struct progress *progress);

#endif
