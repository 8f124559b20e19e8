/* net_tcp.c - the TCP header (RFC 9293) and its timestamp option (RFC 7323). */
#include "base/base.h"
#include "decode/net_layers.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_TIMESTAMP = 8, TIMESTAMP_LEN = 10 };

void net_find_timestamp(struct bytes options, struct segment *segment) {
    const uint8_t *p = options.data, *end = options.data + options.len;
    segment->has_timestamp = false;
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
