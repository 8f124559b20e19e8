/* net_tcp.c - the TCP header (RFC 9293) and its timestamp option (RFC 7323). */
#include "base/base.h"
#include "decode/net_layers.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_TIMESTAMP = 8, TIMESTAMP_LEN = 10 };

static void read_timestamp(struct bytes options, struct segment *segment) {
    static const uint8_t usual[4] = {OPTION_NOP, OPTION_NOP, OPTION_TIMESTAMP, TIMESTAMP_LEN};
    const uint8_t *p = options.data, *end = options.data + options.len;
    segment->has_timestamp = options.len >= 12 && memcmp(p, usual, sizeof usual) == 0;
    if (LIKELY(segment->has_timestamp)) { /* as nearly every system lays it out */
        segment->timestamp = load_be32(p + 4);
        return;
    }
    while (p < end && *p != OPTION_END) {
        if (*p == OPTION_NOP) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p)
            return;
        if (p[0] == OPTION_TIMESTAMP && p[1] == TIMESTAMP_LEN) {
            segment->has_timestamp = true;
            segment->timestamp = load_be32(p + 2);
            return;
        }
        p += p[1];
    }
}

void net_read_tcp(struct bytes header, struct segment *segment) {
    const uint8_t *tcp = header.data;
    segment->src.port = load_be16(tcp);
    segment->dst.port = load_be16(tcp + 2);
    segment->seq = load_be32(tcp + 4);
    segment->ack = load_be32(tcp + 8);
    segment->flags = tcp[13];
    segment->window = load_be16(tcp + 14);
    read_timestamp(bytes_of(tcp + 20, header.len - 20), segment);
}

enum layer layer_tcp(struct walk *walk) {
    if (walk->view.len < 20)
        return walk_short(walk, 20);
    const uint8_t *tcp = walk->view.data;
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (header < 20 || header > walk->wire)
        return walk_malformed(walk);
    if (walk->view.len < header)
        return walk_short(walk, header);

    struct segment *segment = walk->segment;
    net_read_tcp(bytes_of(tcp, header), segment);
    walk_strip(walk, header);
    segment->payload = walk->view;
    segment->payload_len = (uint32_t)(walk->wire < INT32_MAX ? walk->wire : INT32_MAX);
    return LAYER_DONE;
}
