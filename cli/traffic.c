/* traffic.c - a line for each port that had any. */
#include "cli/traffic.h"

#include <inttypes.h>

static void put(struct buf *said, const struct source_port *port) {
    buf_printf(said, ": %" PRIu64 " packets passed both ways, %" PRIu64 " bytes", port->packets,
               port->bytes);
    if (port->late)
        buf_printf(said, ", %" PRIu64 " came late: again, or out of order", port->late);
    buf_text(said, "\n");
}

void traffic_put(struct buf *said, const struct merge *merge) {
    struct source_traffic traffic;
    if (!merge_traffic(merge, &traffic))
        return;
    for (size_t i = 0; i < traffic.count; i++) {
        buf_printf(said, "port %u", traffic.ports[i].port);
        put(said, &traffic.ports[i]);
    }
    if (traffic.others.packets) {
        buf_text(said, "other ports");
        put(said, &traffic.others);
    }
    if (traffic.unplaced)
        buf_printf(said, "of no flow that is kept: %" PRIu64 " packets\n", traffic.unplaced);
}
