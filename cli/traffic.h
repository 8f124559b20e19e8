/* traffic.h - what the kernel counted by port, in lines for people. */
#ifndef BUSTAP_CLI_TRAFFIC_H
#define BUSTAP_CLI_TRAFFIC_H

#include "base/buf.h"
#include "capture/merge.h"

/* Nothing, if it counts none: of files, and by libpcap. */
void traffic_put(struct buf *said, const struct merge *merge);

#endif
