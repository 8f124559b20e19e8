/* pcapng_time.c - the arithmetic of if_tsresol and if_tsoffset, which never overflows. */
#include "capture/pcapng_time.h"

enum { BASE_TWO = 0x80, NANO_DIGITS = 9, DIGITS_OF_UINT64 = 19 };

static const nstime time_first = INT64_MIN + 1; /* INT64_MIN is TIME_NONE */

static nstime saturated_add(nstime a, nstime b) {
    nstime sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? time_first : INT64_MAX;
    return sum == TIME_NONE ? time_first : sum;
}

static nstime saturated_seconds(int64_t seconds) {
    nstime product;
    if (__builtin_mul_overflow(seconds, NS_PER_SEC, &product))
        return seconds < 0 ? time_first : INT64_MAX;
    return product;
}

static uint64_t power_of_ten(unsigned digits) {
    uint64_t power = 1;
    while (digits--)
        power *= 10;
    return power;
}

struct pcapng_clock pcapng_clock(uint8_t resolution, int64_t offset) {
    struct pcapng_clock clock = {1, 1, 0, saturated_seconds(offset)};
    unsigned exponent = resolution & 0x7f;
    if (resolution & BASE_TWO) {
        clock.times = (uint64_t)NS_PER_SEC;
        clock.shift = exponent;
    } else if (exponent <= NANO_DIGITS) {
        clock.times = power_of_ten(NANO_DIGITS - exponent);
    } else if (exponent <= NANO_DIGITS + DIGITS_OF_UINT64) {
        clock.per = power_of_ten(exponent - NANO_DIGITS);
    } else {
        clock.times = 0; /* 2^64 ticks are less than a nanosecond */
    }
    return clock;
}

nstime pcapng_time(const struct pcapng_clock *clock, uint64_t ticks) {
    unsigned __int128 time = (unsigned __int128)ticks * clock->times;
    if (UNLIKELY(clock->shift || clock->per != 1))
        time = (time / clock->per) >> clock->shift;
    return saturated_add(time > INT64_MAX ? INT64_MAX : (nstime)time, clock->offset);
}
