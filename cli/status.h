/* status.h - one line on the terminal of standard error, and nowhere else, that says how a live run
 * and the cluster do (pulse_text.h). It is as wide as the terminal at most: what does not fit is
 * left out. */
#ifndef BUSTAP_CLI_STATUS_H
#define BUSTAP_CLI_STATUS_H

#include "cli/pulse.h"

struct status {
    bool shown;    /* at all */
    bool coloured; /* if something is wrong */
    bool erases;   /* the terminal knows how to erase to the end of a line */
    size_t drawn;  /* columns that stand on the terminal */
    struct pulse pulse;
};

struct status status_start(bool wanted, bool coloured);

/* Draws it, once a second. */
void status_tick(struct status *status, const struct merge *merge, const struct engine *engine);

/* Before anything else is written to the terminal. */
void status_clear(struct status *status);

#endif
