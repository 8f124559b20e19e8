/* net.c - the walk from the outermost header to TCP, layer by layer, through one table. */
#include "decode/net.h"

#include <stdlib.h>

#include "base/limits.h"
#include "decode/net_fragment.h"
#include "decode/net_layers.h"

struct net {
    struct fragments *fragments;
};

static layer_decode *const layers[LAYER_COUNT] = {
    [LAYER_ETHERNET] = layer_ethernet, [LAYER_SLL] = layer_sll,
    [LAYER_SLL2] = layer_sll2,         [LAYER_NULL] = layer_null,
    [LAYER_LOOP] = layer_loop,         [LAYER_VLAN] = layer_vlan,
    [LAYER_RAW_IP] = layer_raw_ip,     [LAYER_IPV4] = layer_ipv4,
    [LAYER_IPV6] = layer_ipv6,         [LAYER_UDP] = layer_udp,
    [LAYER_VXLAN] = layer_vxlan,       [LAYER_GENEVE] = layer_geneve,
    [LAYER_GRE] = layer_gre,           [LAYER_ERSPAN2] = layer_erspan2,
    [LAYER_ERSPAN3] = layer_erspan3,   [LAYER_TCP] = layer_tcp,
};

struct net *net_new(void) {
    struct net *net = calloc(1, sizeof *net);
    if (!net)
        return NULL;
    net->fragments = fragments_new();
    if (!net->fragments) {
        free(net);
        return NULL;
    }
    return net;
}

void net_free(struct net *net) {
    if (!net)
        return;
    fragments_free(net->fragments);
    free(net);
}

static enum layer walk_layers(struct walk *walk, enum layer layer) {
    for (unsigned depth = 0; layer < LAYER_COUNT; depth++) {
        if (depth == CAP_NET_DEPTH) {
            walk->anomaly = AN_net_too_deep;
            return LAYER_BAD;
        }
        layer = layers[layer](walk);
    }
    return layer;
}

enum net_got net_decode_layers(struct net *net, const struct packet *packet,
                               struct segment *ret_segment, enum anomaly *ret_anomaly) {
    struct walk walk = {.view = packet->data,
                        .wire = packet->wire_len < packet->data.len ? packet->data.len
                                                                    : packet->wire_len,
                        .segment = ret_segment,
                        .fragments = net->fragments,
                        .anomaly = AN_NONE};
    enum layer first = layer_of_link_type(packet->link_type);
    if (first == LAYER_OTHER)
        walk.anomaly = AN_net_link_type;
    enum layer last = first == LAYER_OTHER ? LAYER_BAD : walk_layers(&walk, first);
    *ret_anomaly = walk.anomaly;
    if (last == LAYER_DONE)
        return NET_SEGMENT;
    return last == LAYER_BAD ? NET_BAD : NET_OTHER;
}

enum net_got net_decode(struct net *net, const struct packet *packet, struct segment *ret_segment,
                        enum anomaly *ret_anomaly) {
    *ret_anomaly = AN_NONE;
    ret_segment->time = packet->time;
    if (LIKELY(net_fast(packet, ret_segment)))
        return NET_SEGMENT;
    return net_decode_layers(net, packet, ret_segment, ret_anomaly);
}
