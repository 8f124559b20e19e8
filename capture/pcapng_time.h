/* pcapng_time.h - from the ticks of a pcapng interface to nanoseconds.
 *
 * An interface counts in units of 10^-n or 2^-n seconds (if_tsresol), from a whole second of its
 * own (if_tsoffset). Times that do not fit are the first or the last nanosecond that does. */
#ifndef BUSTAP_CAPTURE_PCAPNG_TIME_H
#define BUSTAP_CAPTURE_PCAPNG_TIME_H

#include "base/base.h"

enum { PCAPNG_MICROSECONDS = 6 }; /* if_tsresol where a capture has none */

struct pcapng_clock {
    uint64_t times, per; /* nanoseconds = ticks * times / per, then / 2^shift */
    unsigned shift;
    nstime offset; /* of tick 0 */
};

/* `resolution` is the byte of if_tsresol, `offset` the seconds of if_tsoffset. */
struct pcapng_clock pcapng_clock(uint8_t resolution, int64_t offset);

nstime pcapng_time(const struct pcapng_clock *clock, uint64_t ticks);

#endif
