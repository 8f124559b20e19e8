/* pulse_text.c - parts, of which as many are shown as fit. */
#include "cli/pulse_text.h"

#include <inttypes.h>

#include "report/format.h"

enum { PART_MAX = 256 };

static bool put_nodes(struct buf *buf, const struct pulse *pulse) {
    const size_t *nodes = pulse->vitals.nodes;
    bool well = !nodes[HEALTH_SUSPECTED] && !nodes[HEALTH_FAILED];
    buf_printf(buf, "nodes %zu ok", nodes[HEALTH_OK]);
    if (nodes[HEALTH_SUSPECTED])
        buf_printf(buf, ", %zu suspected", nodes[HEALTH_SUSPECTED]);
    if (nodes[HEALTH_FAILED])
        buf_printf(buf, ", %zu failed", nodes[HEALTH_FAILED]);
    return well;
}

static bool put_packets(struct buf *buf, const struct pulse *pulse) {
    buf_printf(buf, "%.0f pkt/s", pulse->packets_per_s);
    return true;
}

static bool put_bytes(struct buf *buf, const struct pulse *pulse) {
    buf_size(buf, (uint64_t)pulse->bytes_per_s);
    buf_text(buf, "/s");
    return true;
}

static bool put_drops(struct buf *buf, const struct pulse *pulse) {
    const struct {
        uint64_t count;
        const char *cause;
    } rows[] = {{pulse->kernel_drops, "kernel"}, {pulse->cut, "cut"}, {pulse->gaps, "gaps"}};
    bool well = true;
    buf_text(buf, "drops ");
    for (size_t i = 0; i < countof(rows); i++) {
        if (!rows[i].count)
            continue;
        buf_printf(buf, "%s%" PRIu64 " %s", well ? "" : ", ", rows[i].count, rows[i].cause);
        well = false;
    }
    buf_text(buf, well ? "0" : "");
    return well;
}

static bool put_redirects(struct buf *buf, const struct pulse *pulse) {
    buf_printf(buf, "redirects %.0f/s", pulse->redirects_per_s);
    return true;
}

static bool put_rtt(struct buf *buf, const struct pulse *pulse) {
    buf_text(buf, "bus RTT ");
    if (pulse->bus_rtt)
        buf_duration(buf, pulse->bus_rtt);
    else
        buf_text(buf, "-");
    return true;
}

/* The most important first. Each says whether all is well. */
static bool (*const parts[])(struct buf *buf, const struct pulse *pulse) = {
    put_nodes, put_packets, put_bytes, put_drops, put_redirects, put_rtt};

size_t pulse_parts(const struct pulse *pulse, size_t columns, put_part *put, void *context) {
    size_t used = 0;
    for (size_t i = 0; i < countof(parts); i++) {
        struct buf part = {.max = PART_MAX};
        bool well = parts[i](&part, pulse);
        size_t gap = used ? 2 : 0;
        if (!part.failed && used + gap + part.len <= columns) {
            put(context, gap ? "  " : "", false);
            put(context, buf_str(&part), !well);
            used += gap + part.len;
        }
        buf_free(&part);
    }
    return used;
}
