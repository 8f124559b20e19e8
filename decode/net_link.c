/* net_link.c - link layers: what a capture's LINKTYPE_ says stands before IP.
 * Layouts: tcpdump.org/linktypes.html; EtherTypes: the IEEE registry. */
#include "base/base.h"
#include "decode/net_layers.h"

enum { AF_BSD_INET = 2, AF_LINUX_INET6 = 10 };

static const struct {
    uint16_t link_type;
    enum layer layer;
} link_types[] = {
    {1, LAYER_ETHERNET}, {113, LAYER_SLL},    {276, LAYER_SLL2},  {0, LAYER_NULL},
    {108, LAYER_LOOP},   {101, LAYER_RAW_IP}, {12, LAYER_RAW_IP}, {14, LAYER_RAW_IP},
    {228, LAYER_IPV4},   {229, LAYER_IPV6},
};

static const struct {
    uint16_t ethertype;
    enum layer layer;
} ethertypes[] = {
    {0x0800, LAYER_IPV4},     {0x86dd, LAYER_IPV6},    {0x8100, LAYER_VLAN}, /* 802.1Q */
    {0x88a8, LAYER_VLAN},                                                    /* 802.1ad, QinQ */
    {0x9100, LAYER_VLAN},     /* QinQ before the standard */
    {0x6558, LAYER_ETHERNET}, /* transparent bridging, inside GRE and Geneve */
    {0x88be, LAYER_ERSPAN2},  {0x22eb, LAYER_ERSPAN3},
};

enum layer layer_of_link_type(uint16_t link_type) {
    for (size_t i = 0; i < countof(link_types); i++) {
        if (link_types[i].link_type == link_type)
            return link_types[i].layer;
    }
    return LAYER_OTHER;
}

enum layer layer_of_ethertype(uint16_t ethertype) {
    for (size_t i = 0; i < countof(ethertypes); i++) {
        if (ethertypes[i].ethertype == ethertype)
            return ethertypes[i].layer;
    }
    return LAYER_OTHER;
}

/* A header of `len` bytes that names what follows by an EtherType at `type_at`. */
static enum layer strip_typed(struct walk *walk, size_t len, size_t type_at) {
    if (walk->view.len < len)
        return walk_short(walk, len);
    uint16_t ethertype = load_be16(walk->view.data + type_at);
    walk_strip(walk, len);
    return layer_of_ethertype(ethertype);
}

enum layer layer_ethernet(struct walk *walk) {
    return strip_typed(walk, 14, 12);
}
enum layer layer_vlan(struct walk *walk) {
    return strip_typed(walk, 4, 2);
}
enum layer layer_sll(struct walk *walk) {
    return strip_typed(walk, 16, 14);
}
enum layer layer_sll2(struct walk *walk) {
    return strip_typed(walk, 20, 0);
}

/* IPv6 has had a different family number on every system. */
static enum layer layer_of_family(uint32_t family) {
    switch (family) {
    case AF_BSD_INET:
        return LAYER_IPV4;
    case AF_LINUX_INET6:
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        return LAYER_IPV6;
    default:
        return LAYER_OTHER;
    }
}

/* The family stands in the byte order of the host that captured; every family is below 256. */
enum layer layer_null(struct walk *walk) {
    if (walk->view.len < 4)
        return walk_short(walk, 4);
    uint32_t family = load_be32(walk->view.data);
    if (family > 0xffff)
        family = __builtin_bswap32(family);
    walk_strip(walk, 4);
    return layer_of_family(family);
}

enum layer layer_loop(struct walk *walk) {
    if (walk->view.len < 4)
        return walk_short(walk, 4);
    uint32_t family = load_be32(walk->view.data);
    walk_strip(walk, 4);
    return layer_of_family(family);
}

enum layer layer_raw_ip(struct walk *walk) {
    if (walk->view.len < 1)
        return walk_short(walk, 1);
    switch (walk->view.data[0] >> 4) {
    case 4:
        return LAYER_IPV4;
    case 6:
        return LAYER_IPV6;
    default:
        return walk_malformed(walk);
    }
}
