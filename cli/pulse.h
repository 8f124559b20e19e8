/* pulse.h - how a live run does: what was counted so far, and how fast it goes at the moment. The
 * rates are by the clock of this host, for people who look on; no finding rests on them. */
#ifndef BUSTAP_CLI_PULSE_H
#define BUSTAP_CLI_PULSE_H

#include "analysis/engine.h"
#include "capture/merge.h"
#include "report/vitals.h"

struct pulse {
    nstime at; /* of the steady clock; 0: not taken yet */
    uint64_t packets, bytes;
    uint64_t kernel_drops, cut, gaps; /* missed: for want of room, of length; in streams */
    struct vitals vitals;

    /* Since it was taken before: */
    double packets_per_s, bytes_per_s, redirects_per_s;
    nstime bus_rtt; /* mean; the one before, if no PONG came; 0: none ever did */
};

/* Takes it, at most once a second: true if it did. The first time, rates are 0. */
bool pulse_take(struct pulse *pulse, const struct merge *merge, const struct engine *engine);

#endif
