/* net_ip.c - IPv4 (RFC 791) and IPv6 (RFC 8200) headers, options and extension headers. */
#include "base/base.h"
#include "decode/net_fragment.h"
#include "decode/net_layers.h"

enum {
    PROTO_HOP_BY_HOP = 0,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_AH = 51,
    PROTO_DESTINATION = 60,
};

static const struct {
    uint8_t protocol;
    enum layer layer;
} protocols[] = {
    {6, LAYER_TCP}, {17, LAYER_UDP}, {47, LAYER_GRE}, {4, LAYER_IPV4}, {41, LAYER_IPV6},
};

static enum layer layer_of_protocol(uint8_t protocol) {
    for (size_t i = 0; i < countof(protocols); i++) {
        if (protocols[i].protocol == protocol)
            return protocols[i].layer;
    }
    return LAYER_OTHER;
}

/* Gives a fragment to the table; goes on only with the one that completes its datagram. */
static enum layer reassemble(struct walk *walk, const struct fragment *fragment) {
    if (walk->view.len < walk->wire) { /* a cut fragment would leave a hole */
        walk->anomaly = AN_net_cut;
        return LAYER_BAD;
    }
    struct bytes whole;
    if (!fragments_add(walk->fragments, fragment, walk->view, &whole, &walk->anomaly))
        return LAYER_OTHER;
    walk->view = whole;
    walk->wire = whole.len;
    return layer_of_protocol(fragment->protocol);
}

enum layer layer_ipv4(struct walk *walk) {
    if (walk->view.len < 20)
        return walk_short(walk, 20);
    const uint8_t *ip = walk->view.data;
    size_t header = (size_t)(ip[0] & 0xf) * 4;
    uint64_t total = load_be16(ip + 2);
    if (total == 0) /* the kernel did not know yet: segmentation offload */
        total = walk->wire;
    if (ip[0] >> 4 != 4 || header < 20 || total < header)
        return walk_malformed(walk);
    if (walk->view.len < header)
        return walk_short(walk, header);

    struct segment *segment = walk->segment;
    endpoint_set_ipv4(&segment->src, ip + 12);
    endpoint_set_ipv4(&segment->dst, ip + 16);
    segment->ip_id = load_be16(ip + 4);
    uint16_t fragment = load_be16(ip + 6);
    uint8_t protocol = ip[9];
    walk_limit(walk, total);
    walk_strip(walk, header);
    bool more = fragment & 0x2000;
    uint32_t offset = (uint32_t)(fragment & 0x1fff) * 8;
    if (LIKELY(!more && offset == 0))
        return layer_of_protocol(protocol);
    return reassemble(walk, &(struct fragment){.src = &segment->src,
                                               .dst = &segment->dst,
                                               .id = segment->ip_id,
                                               .protocol = protocol,
                                               .offset = offset,
                                               .more = more,
                                               .time = segment->time});
}

static enum layer ipv6_fragment(struct walk *walk, const uint8_t *header) {
    uint16_t field = load_be16(header + 2);
    struct segment *segment = walk->segment;
    uint8_t protocol = header[0];
    uint32_t id = load_be32(header + 4);
    walk_strip(walk, 8);
    if ((field & 0xfff9) == 0) /* an atomic fragment: the whole datagram */
        return layer_of_protocol(protocol);
    return reassemble(walk, &(struct fragment){.src = &segment->src,
                                               .dst = &segment->dst,
                                               .id = id,
                                               .protocol = protocol,
                                               .offset = field & 0xfff8,
                                               .more = field & 1,
                                               .time = segment->time});
}

/* Length of an extension header; 0 if `protocol` is none that we can step over. */
static size_t extension_len(uint8_t protocol, const uint8_t *header) {
    switch (protocol) {
    case PROTO_HOP_BY_HOP:
    case PROTO_ROUTING:
    case PROTO_DESTINATION:
        return ((size_t)header[1] + 1) * 8;
    case PROTO_AH:
        return ((size_t)header[1] + 2) * 4;
    case PROTO_FRAGMENT:
        return 8;
    default:
        return 0;
    }
}

static bool is_extension(uint8_t protocol) {
    static const uint8_t none[2];
    return extension_len(protocol, none) != 0;
}

enum layer layer_ipv6(struct walk *walk) {
    if (walk->view.len < 40)
        return walk_short(walk, 40);
    const uint8_t *ip = walk->view.data;
    if (ip[0] >> 4 != 6)
        return walk_malformed(walk);
    struct segment *segment = walk->segment;
    memcpy(segment->src.ip, ip + 8, 16);
    memcpy(segment->dst.ip, ip + 24, 16);
    segment->ip_id = 0;
    uint16_t payload = load_be16(ip + 4);
    uint8_t next = ip[6];
    if (payload != 0) /* zero: a jumbogram or segmentation offload, to the end of the frame */
        walk_limit(walk, 40 + (uint64_t)payload);
    walk_strip(walk, 40);
    while (is_extension(next)) {
        const uint8_t *header = walk->view.data;
        if (walk->view.len < 8)
            return walk_short(walk, 8);
        if (next == PROTO_FRAGMENT)
            return ipv6_fragment(walk, header);
        size_t len = extension_len(next, header);
        if (walk->view.len < len)
            return walk_short(walk, len);
        next = header[0];
        walk_strip(walk, len);
    }
    return layer_of_protocol(next);
}
