/* clock.c - clock_gettime(2), which cannot fail for these two. */
#include "cli/clock.h"

#include <time.h>

static nstime read_clock(clockid_t id) {
    struct timespec now = {0};
    (void)clock_gettime(id, &now);
    return (nstime)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

nstime clock_wall(void) {
    return read_clock(CLOCK_REALTIME);
}

nstime clock_steady(void) {
    return read_clock(CLOCK_MONOTONIC);
}
