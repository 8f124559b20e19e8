/* flow_sums.c - a walk through the table of flows, which the kernel goes on writing meanwhile: what
 * passes in that moment is in the sums or not. */
#include "capture/flow_sums.h"

/* Of a flow's two ports the server's is the one that is captured; if that is not known, or both
 * are, the lower one. */
static uint16_t server_port(const struct skim *skim, const struct skim_counts *counts) {
    bool from = skim->ports[counts->sport], to = skim->ports[counts->dport];
    if (from != to)
        return from ? counts->sport : counts->dport;
    return counts->sport < counts->dport ? counts->sport : counts->dport;
}

/* Its row, or that of those for which there is none. */
static struct source_port *row_of(struct source_traffic *traffic, uint16_t port) {
    for (size_t i = 0; i < traffic->count; i++)
        if (traffic->ports[i].port == port)
            return &traffic->ports[i];
    if (traffic->count == countof(traffic->ports))
        return &traffic->others;
    traffic->ports[traffic->count].port = port;
    return &traffic->ports[traffic->count++];
}

static void add(const struct skim *skim, const struct skim_counts *counts,
                struct source_traffic *traffic) {
    if (counts->packets == 0)
        return;
    struct source_port *row = row_of(traffic, server_port(skim, counts));
    row->packets += counts->packets;
    row->bytes += counts->bytes;
    row->late += counts->late;
}

void flow_sums(const struct skim *skim, struct source_traffic *ret_traffic) {
    *ret_traffic = (struct source_traffic){0};
    for (size_t i = 0; i < SKIM_BUNDLES; i++)
        for (size_t way = 0; way < SKIM_WAYS; way++)
            add(skim, &skim->flows[i].counts[way], ret_traffic);
    for (size_t cpu = 0; cpu < skim->ring_count; cpu++)
        ret_traffic->unplaced += skim_ring(skim, cpu)->unplaced;
}
