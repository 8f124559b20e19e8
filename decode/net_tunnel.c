/* net_tunnel.c - tunnels that traffic mirrors and overlays use, down to the inner packet: VXLAN
 * (RFC 7348), Geneve (RFC 8926), GRE (RFC 2784, 2890), ERSPAN types I to III. */
#include "base/base.h"
#include "decode/net_layers.h"

static const struct {
    uint16_t port;
    enum layer layer;
} udp_ports[] = {
    {4789, LAYER_VXLAN},
    {8472, LAYER_VXLAN}, /* Linux before it had a number */
    {6081, LAYER_GENEVE},
};

enum layer layer_udp(struct walk *walk) {
    if (walk->view.len < 8)
        return walk_short(walk, 8);
    uint16_t port = load_be16(walk->view.data + 2);
    for (size_t i = 0; i < countof(udp_ports); i++) {
        if (udp_ports[i].port == port) {
            walk_strip(walk, 8);
            return udp_ports[i].layer;
        }
    }
    return LAYER_OTHER;
}

enum layer layer_vxlan(struct walk *walk) {
    if (walk->view.len < 8)
        return walk_short(walk, 8);
    if (!(walk->view.data[0] & 0x08)) /* no network identifier: not VXLAN */
        return LAYER_OTHER;
    walk_strip(walk, 8);
    return LAYER_ETHERNET;
}

enum layer layer_geneve(struct walk *walk) {
    if (walk->view.len < 8)
        return walk_short(walk, 8);
    const uint8_t *header = walk->view.data;
    size_t len = 8 + (size_t)(header[0] & 0x3f) * 4;
    uint16_t protocol = load_be16(header + 2);
    if (header[0] >> 6 != 0) /* a version that does not exist yet */
        return LAYER_OTHER;
    if (walk->view.len < len)
        return walk_short(walk, len);
    walk_strip(walk, len);
    return layer_of_ethertype(protocol);
}

enum layer layer_gre(struct walk *walk) {
    if (walk->view.len < 4)
        return walk_short(walk, 4);
    uint16_t flags = load_be16(walk->view.data);
    uint16_t protocol = load_be16(walk->view.data + 2);
    if (flags & 0x0007) /* version 1 is PPTP */
        return LAYER_OTHER;
    bool checksum = flags & 0x8000, key = flags & 0x2000, sequence = flags & 0x1000;
    size_t len = 4 + 4 * ((size_t)checksum + key + sequence);
    if (walk->view.len < len)
        return walk_short(walk, len);
    walk_strip(walk, len);
    enum layer next = layer_of_ethertype(protocol);
    /* ERSPAN type I is type II's number without a sequence number and without its header. */
    return next == LAYER_ERSPAN2 && !sequence ? LAYER_ETHERNET : next;
}

enum layer layer_erspan2(struct walk *walk) {
    if (walk->view.len < 8)
        return walk_short(walk, 8);
    walk_strip(walk, 8);
    return LAYER_ETHERNET;
}

enum layer layer_erspan3(struct walk *walk) {
    if (walk->view.len < 12)
        return walk_short(walk, 12);
    size_t len = walk->view.data[11] & 1 ? 20 : 12; /* O: a platform subheader follows */
    if (walk->view.len < len)
        return walk_short(walk, len);
    walk_strip(walk, len);
    return LAYER_ETHERNET;
}
