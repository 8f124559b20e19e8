/* view.c - sums and stretches over the finished model. */
#include "report/view.h"

#include <inttypes.h>
#include <stdlib.h>

#include "report/format.h"

/* Payload of a full packet on Ethernet: what a lost packet is assumed to have held. */
enum { PACKET_PAYLOAD = 1448 };

/* Two witnesses that overlap: holes in the streams, and what the capturing kernel counted. */
static uint64_t estimate_lost(const struct model_books *books, uint64_t kernel_drops) {
    uint64_t by_bytes = (books->gap_bytes + PACKET_PAYLOAD - 1) / PACKET_PAYLOAD;
    uint64_t by_gaps = by_bytes > books->gaps ? by_bytes : books->gaps;
    return by_gaps > kernel_drops ? by_gaps : kernel_drops;
}

struct view *view_new(const struct report *report) {
    const struct model *model = engine_model(report->engine);
    struct view *view = calloc(1, sizeof *view);
    if (!view)
        return NULL;
    model_slot_owners(model, view->owners);
    for (size_t i = 0; i < merge_count(report->sources); i++) {
        view->kernel_drops += merge_info(report->sources, i)->kernel_drops;
        view->truncated_packets += merge_info(report->sources, i)->truncated_packets;
    }
    view->lost_packets = estimate_lost(model_books(model), view->kernel_drops);
    return view;
}

static bool next_range(const struct view *view, struct view_range *range) {
    uint32_t slot = range->next;
    if (slot >= BUS_SLOTS)
        return false;
    range->first = slot;
    range->owner = view->owners[slot];
    while (slot < BUS_SLOTS && view->owners[slot] == range->owner)
        slot++;
    range->last = slot - 1;
    range->next = slot;
    return true;
}

bool view_next_range(const struct view *view, struct view_range *range) {
    while (next_range(view, range))
        if (range->owner != NODE_NONE)
            return true;
    return false;
}

void view_slots_of(const struct view *view, uint32_t node, struct buf *ret_ranges) {
    struct view_range range = {0};
    size_t from = ret_ranges->len;
    while (next_range(view, &range))
        if (range.owner == node)
            buf_range(ret_ranges, from, range.first, range.last);
}

uint16_t view_flags(const struct model *model, uint32_t node) {
    uint16_t own = model_node(model, node)->flags;
    uint16_t lasting = own & (uint16_t) ~(NODE_MYSELF | NODE_PFAIL | NODE_FAIL);
    return lasting | model_failure(model, node) |
           (model_is_replaced(model, node) ? NODE_NOADDR : 0);
}

int view_worst(const struct engine *engine) {
    int worst = -1;
    for (size_t i = 0; i < engine_finding_count(engine); i++) {
        int severity = (int)engine_finding(engine, i)->severity;
        worst = severity > worst ? severity : worst;
    }
    return worst;
}

size_t view_finding_number(const struct engine *engine, const struct finding *finding) {
    for (size_t i = 0; finding && i < engine_finding_count(engine); i++)
        if (engine_finding(engine, i) == finding)
            return i + 1;
    return 0;
}

bool view_alike(const struct finding *a, const struct finding *b) {
    return a->severity == b->severity && a->severity < SEVERITY_CRITICAL &&
           strcmp(a->type, b->type) == 0 && strcmp(a->verdict, b->verdict) == 0 &&
           a->incident == b->incident && a->cause == b->cause;
}

void view_filter(struct buf *buf, const struct place *place) {
    if (!place->ends_known) {
        buf_printf(buf, "frame.number == %" PRIu64, place->frame);
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct endpoint *end = &place->ends[i];
        char ip[ENDPOINT_TEXT];
        endpoint_ip_text(end, ip);
        buf_printf(buf, "%s%s.addr == %s && tcp.port == %u", i ? " && " : "",
                   endpoint_is_ipv4(end) ? "ip" : "ipv6", ip, end->port);
    }
}

uint32_t view_node_at(const struct model *model, const struct endpoint *addr) {
    for (size_t i = model_node_count(model); i-- > 0;) { /* the younger one has it now */
        const struct node *node = model_node(model, i);
        if (node->addr_known && endpoint_equal(&node->addr, addr))
            return (uint32_t)i;
    }
    return NODE_NONE;
}
