/* net_layers.h - how the layers below TCP hand over to each other; private to decode/net*.c.
 *
 * A layer reads its header from the walk, strips it, and names the next layer. To add one: an enum
 * row and a prototype here, a function in the file of its kind, a row in net.c's table, and a row
 * in the table of whatever can carry it (link types and EtherTypes: net_link.c, IP protocols:
 * net_ip.c, UDP ports and GRE: net_tunnel.c). */
#ifndef BUSTAP_DECODE_NET_LAYERS_H
#define BUSTAP_DECODE_NET_LAYERS_H

#include "decode/net.h"

enum layer {
    LAYER_ETHERNET,
    LAYER_SLL,
    LAYER_SLL2,
    LAYER_NULL,
    LAYER_LOOP,
    LAYER_VLAN,
    LAYER_RAW_IP,
    LAYER_IPV4,
    LAYER_IPV6,
    LAYER_UDP,
    LAYER_VXLAN,
    LAYER_GENEVE,
    LAYER_GRE,
    LAYER_ERSPAN2,
    LAYER_ERSPAN3,
    LAYER_TCP,
    LAYER_COUNT,
    LAYER_DONE = LAYER_COUNT, /* the segment is complete */
    LAYER_OTHER,              /* nothing of ours in it */
    LAYER_BAD,                /* malformed, walk->anomaly is set */
};

struct walk {
    struct bytes view; /* captured bytes of this layer and what it carries */
    uint64_t wire;     /* their length on the wire, at least view.len */
    struct segment *segment;
    struct fragments *fragments;
    enum anomaly anomaly;
};

typedef enum layer layer_decode(struct walk *walk);

layer_decode layer_ethernet, layer_sll, layer_sll2, layer_null, layer_loop, layer_vlan,
    layer_raw_ip, layer_ipv4, layer_ipv6, layer_udp, layer_vxlan, layer_geneve, layer_gre,
    layer_erspan2, layer_erspan3, layer_tcp;

/* The TCP timestamp, wherever it stands among the options. */
void net_find_timestamp(struct bytes options, struct segment *segment);

/* Reads a whole TCP header into the segment, all but its payload. Inline: the path of a packet. */
static inline void net_read_tcp(struct bytes header, struct segment *segment) {
    static const uint8_t usual[4] = {1, 1, 8, 10}; /* two NOPs, then the timestamp */
    const uint8_t *tcp = header.data, *options = tcp + 20;
    segment->src.port = load_be16(tcp);
    segment->dst.port = load_be16(tcp + 2);
    segment->seq = load_be32(tcp + 4);
    segment->ack = load_be32(tcp + 8);
    segment->flags = tcp[13];
    segment->window = load_be16(tcp + 14);
    segment->has_timestamp = header.len >= 32 && memcmp(options, usual, sizeof usual) == 0;
    if (LIKELY(segment->has_timestamp))
        segment->timestamp = load_be32(options + 4);
    else
        net_find_timestamp(bytes_of(options, header.len - 20), segment);
}

/* net_decode without the fast path, for what that leaves and for the test that compares them; the
 * caller has filled in time, frame and source. */
enum net_got net_decode_layers(struct net *net, const struct packet *packet,
                               struct segment *ret_segment, enum anomaly *ret_anomaly);

/* The commonest packets in one step. False: not one of them, ask the layers. */
bool net_fast(const struct packet *packet, struct segment *segment);

/* The layer of a LINKTYPE_ value or EtherType; LAYER_OTHER if it is none of ours. */
enum layer layer_of_link_type(uint16_t link_type);
enum layer layer_of_ethertype(uint16_t ethertype);

/* Marks the walk as malformed: cut by the capture if the wire had the bytes, else contradictory. */
static inline enum layer walk_short(struct walk *walk, size_t wanted) {
    walk->anomaly = walk->wire >= wanted ? AN_net_cut : AN_net_malformed;
    return LAYER_BAD;
}

static inline enum layer walk_malformed(struct walk *walk) {
    walk->anomaly = AN_net_malformed;
    return LAYER_BAD;
}

/* Strips `len` bytes, which must be there. */
static inline void walk_strip(struct walk *walk, size_t len) {
    walk->view = bytes_of(walk->view.data + len, walk->view.len - len);
    walk->wire -= len;
}

/* Cuts what follows the layer's own length (Ethernet padding, trailers). */
static inline void walk_limit(struct walk *walk, uint64_t len) {
    if (len < walk->wire)
        walk->wire = len;
    if (len < walk->view.len)
        walk->view.len = len;
}

#endif
