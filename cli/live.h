/* live.h - what a live run captures: as the user named it; what was not named is found. */
#ifndef BUSTAP_CLI_LIVE_H
#define BUSTAP_CLI_LIVE_H

#include "base/buf.h"
#include "cli/options.h"

struct live {
    struct buf interfaces; /* "lo,eth0", as a source takes them */
    struct port_set ports; /* of which a packet has one; empty: all pass */
};

/* What had to be found is said to the user. False and a message: there is nothing to capture.
 * Whatever happened, live_free() the result. */
bool live_choose(const struct config *config, struct live *ret_live, struct err *err);
void live_free(struct live *live);

#endif
