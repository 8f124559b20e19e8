/* view.h - what both reports derive from the model: who owns which slots, flags as the majority
 * sees them, what the capture lost. */
#ifndef BUSTAP_REPORT_VIEW_H
#define BUSTAP_REPORT_VIEW_H

#include "report/sink.h"

struct view {
    uint32_t owners[BUS_SLOTS]; /* node indexes; NODE_NONE: nobody */
    uint64_t kernel_drops, truncated_packets;
    uint64_t lost_packets; /* estimated */
};

/* NULL: out of memory. Released with free(). */
struct view *view_new(const struct report *report);

/* The node's slots as ranges. */
void view_slots_of(const struct view *view, uint32_t node, struct buf *ret_ranges);

struct view_range {
    uint32_t first, last, owner;
    uint32_t next; /* where to go on; 0 at first */
};

/* The next stretch of slots of one owner. False: no more. */
bool view_next_range(const struct view *view, struct view_range *range);

/* What the node says of itself, without "myself", and what the majority says of its health. */
uint16_t view_flags(const struct model *model, uint32_t node);

/* The worst severity of all findings; -1: there are none. */
int view_worst(const struct engine *engine);

/* Its number in the report, from 1 on; 0 for NULL. */
size_t view_finding_number(const struct engine *engine, const struct finding *finding);

/* Do both say the same of different nodes or times, for the same reason? Never if it is critical.
 */
bool view_alike(const struct finding *a, const struct finding *b);

/* A display filter of Wireshark for the connection; for the packet, where there is none. */
void view_filter(struct buf *buf, const struct place *place);

/* The node that has this address; NODE_NONE: none that is known. */
uint32_t view_node_at(const struct model *model, const struct endpoint *addr);

#endif
