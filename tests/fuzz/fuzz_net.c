/* fuzz_net.c - packets of any bytes, of any link type: headers are walked within their bytes, and
 * the fast path says what the layers say.
 *
 * The input is a list of packets: link type (an index), how much of it was cut off by the snaplen,
 * seconds since the packet before, length (two bytes), then that many bytes. */
#include "tests/fuzz/fuzz.h"

#include "decode/net.h"
#include "decode/net_layers.h"

#include <assert.h>
#include <stdlib.h>

static const uint16_t link_types[] = {1, 113, 276, 0, 108, 101, 12, 14, 228, 229, 105};

enum { HEAD = 5, PACKETS_MAX = 256 };

/* Touches every byte, for the sanitizers. */
static void touch(struct bytes view) {
    volatile unsigned sum = 0;
    for (size_t i = 0; i < view.len; i++)
        sum += view.data[i];
    (void)sum;
}

static void check_same(const struct segment *a, const struct segment *b) {
    assert(endpoint_equal(&a->src, &b->src) && endpoint_equal(&a->dst, &b->dst));
    assert(a->seq == b->seq && a->ack == b->ack && a->flags == b->flags && a->window == b->window);
    assert(a->ip_id == b->ip_id && a->has_timestamp == b->has_timestamp);
    assert(!a->has_timestamp || a->timestamp == b->timestamp);
    assert(a->payload_len == b->payload_len && bytes_equal(a->payload, b->payload));
}

static void decode(struct net *net, struct net *layers, const struct packet *packet) {
    struct segment a, b = {.time = packet->time};
    enum anomaly a_anomaly, b_anomaly;
    enum net_got got = net_decode(net, packet, &a, &a_anomaly);
    assert(net_decode_layers(layers, packet, &b, &b_anomaly) == got);
    assert(a_anomaly == b_anomaly && a_anomaly <= AN_NONE);
    assert(got != NET_BAD || a_anomaly != AN_NONE);
    if (got != NET_SEGMENT)
        return;
    assert(a.payload.len <= a.payload_len);
    touch(a.payload);
    check_same(&a, &b);
}

/* A packet in a block of exactly its size. */
static void feed(struct net *net, struct net *layers, const uint8_t *head, size_t len,
                 nstime time) {
    uint8_t *exact = malloc(len ? len : 1);
    assert(exact);
    memcpy(exact, head + HEAD, len);
    struct packet packet = {.data = bytes_of(exact, len),
                            .wire_len = (uint32_t)len + head[1],
                            .time = time,
                            .link_type = link_types[head[0] % countof(link_types)]};
    decode(net, layers, &packet);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net *net = net_new(), *layers = net_new();
    nstime time = 0;
    assert(net && layers);
    for (int i = 0; i < PACKETS_MAX && size >= HEAD; i++) {
        size_t len = min_size(load_be16(data + 3), size - HEAD);
        time += data[2] * NS_PER_SEC;
        feed(net, layers, data, len, time);
        data += HEAD + len;
        size -= HEAD + len;
    }
    net_free(net);
    net_free(layers);
    return 0;
}
