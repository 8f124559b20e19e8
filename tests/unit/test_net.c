/* test_net.c - from a frame to the TCP segment in it: every link layer and tunnel, whole and cut at
 * every byte; fragments; and the fast path against the layers on every packet of every capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "decode/net.h"
#include "decode/net_layers.h"
#include "tests/lib/captures.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"
#include "tests/lib/wire.h"

enum { ETHERNET = 1, IPV4 = 0x0800, IPV6 = 0x86dd };

static struct wire wire;
static struct net *net;

static int start_net(void **state) {
    (void)state;
    net = net_new();
    return net ? 0 : -1;
}

static int end_net(void **state) {
    (void)state;
    net_free(net);
    return 0;
}

/* ---- the segment inside all of them ---- */

static const char payload[] = "*1\r\n$4\r\nPING\r\n";
enum { PAYLOAD = sizeof payload - 1 };

static void put_tcp(void) {
    wire_start(&wire, bytes_of(payload, PAYLOAD));
    wire_tcp(&wire, &(struct wire_tcp){.sport = 40000,
                                       .dport = 6379,
                                       .seq = 0xfffffff0,
                                       .ack = 77,
                                       .flags = TCP_ACK | TCP_FIN,
                                       .window = 501});
}

static void put_ipv4(void) {
    put_tcp();
    wire_ipv4(&wire, &(struct wire_ip){.protocol = PROTO_TCP, .id = 99});
}

static void put_ipv6(void) {
    put_tcp();
    wire_ipv6(&wire, &(struct wire_ip){.protocol = PROTO_TCP});
}

static void put_ethernet(void) {
    put_ipv4();
    wire_ethernet(&wire, IPV4);
}

/* An outer UDP/IPv4/Ethernet around what is there. */
static void put_outer_udp(uint16_t port) {
    wire_udp(&wire, 50000, port);
    wire_ipv4(&wire, &(struct wire_ip){.src = 8, .dst = 9, .protocol = PROTO_UDP});
    wire_ethernet(&wire, IPV4);
}

static void put_outer_gre(uint16_t ethertype, uint16_t flags) {
    wire_gre(&wire, ethertype, flags);
    wire_ipv4(&wire, &(struct wire_ip){.src = 8, .dst = 9, .protocol = PROTO_GRE});
    wire_ethernet(&wire, IPV4);
}

/* ---- every way to carry it ---- */

static void sll(void) {
    put_ipv4();
    wire_sll(&wire, IPV4);
}
static void sll2(void) {
    put_ipv4();
    wire_sll2(&wire, IPV4);
}
static void ethernet_ipv6(void) {
    put_ipv6();
    wire_ethernet(&wire, IPV6);
}
static void vlan(void) {
    put_ipv4();
    wire_vlan(&wire, IPV4);
    wire_ethernet(&wire, 0x8100);
}
static void qinq(void) {
    put_ipv6();
    wire_vlan(&wire, IPV6);
    wire_vlan(&wire, 0x8100);
    wire_ethernet(&wire, 0x88a8);
}
static void qinq_before_the_standard(void) {
    put_ipv4();
    wire_vlan(&wire, IPV4);
    wire_ethernet(&wire, 0x9100);
}
static void sll_vlan(void) {
    put_ipv4();
    wire_vlan(&wire, IPV4);
    wire_sll(&wire, 0x8100);
}
static void null_little(void) {
    put_ipv4();
    wire_bytes(&wire, bytes_of("\2\0\0\0", 4));
}
static void null_big(void) {
    put_ipv4();
    wire_bytes(&wire, bytes_of("\0\0\0\2", 4));
}
static void null_macos_ipv6(void) {
    put_ipv6();
    wire_bytes(&wire, bytes_of("\x1e\0\0\0", 4));
}
static void null_freebsd_ipv6(void) {
    put_ipv6();
    wire_bytes(&wire, bytes_of("\x1c\0\0\0", 4));
}
static void loop_openbsd_ipv6(void) {
    put_ipv6();
    wire_bytes(&wire, bytes_of("\0\0\0\x18", 4));
}
static void ipv4_options(void) {
    put_tcp();
    wire_ipv4(&wire,
              &(struct wire_ip){.protocol = PROTO_TCP, .options = bytes_of("\1\1\1\1\1\1\1\0", 8)});
    wire_ethernet(&wire, IPV4);
}
static void ipv4_zero_length(void) {
    put_tcp();
    wire_ipv4(&wire, &(struct wire_ip){.protocol = PROTO_TCP, .zero_length = true});
    wire_ethernet(&wire, IPV4);
}
static void ipv6_zero_length(void) {
    put_tcp();
    wire_ipv6(&wire, &(struct wire_ip){.protocol = PROTO_TCP, .zero_length = true});
    wire_ethernet(&wire, IPV6);
}
/* Hop-by-hop, routing, destination options, authentication, an atomic fragment. */
static void ipv6_extensions(void) {
    put_tcp();
    wire_bytes(&wire, bytes_of("\6\0\0\0\0\0\0\7", 8));                   /* fragment, all of it */
    wire_bytes(&wire, bytes_of("\54\1\0\0\0\0\0\1\0\0\0\1", 12));         /* AH, 44 next */
    wire_bytes(&wire, bytes_of("\63\0\1\4\0\0\0\0", 8));                  /* destination, 51 next */
    wire_bytes(&wire, bytes_of("\74\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16)); /* routing, 60 next */
    wire_bytes(&wire, bytes_of("\53\0\1\4\0\0\0\0", 8));                  /* hop-by-hop, 43 next */
    wire_ipv6(&wire, &(struct wire_ip){.protocol = 0});
    wire_ethernet(&wire, IPV6);
}
static void ipv4_in_ipv4(void) {
    put_ipv4();
    wire_ipv4(&wire, &(struct wire_ip){.src = 8, .dst = 9, .protocol = 4});
    wire_ethernet(&wire, IPV4);
}
static void ipv6_in_ipv4(void) {
    put_ipv6();
    wire_ipv4(&wire, &(struct wire_ip){.src = 8, .dst = 9, .protocol = 41});
    wire_ethernet(&wire, IPV4);
}
static void vxlan(void) {
    put_ethernet();
    wire_vxlan(&wire);
    put_outer_udp(4789);
}
static void vxlan_of_old_linux(void) {
    put_ethernet();
    wire_vxlan(&wire);
    put_outer_udp(8472);
}
static void vxlan_over_ipv6(void) {
    put_ethernet();
    wire_vxlan(&wire);
    wire_udp(&wire, 50000, 4789);
    wire_ipv6(&wire, &(struct wire_ip){.src = 8, .dst = 9, .protocol = PROTO_UDP});
    wire_ethernet(&wire, IPV6);
}
static void geneve(void) {
    put_ethernet();
    wire_geneve(&wire, 0x6558, 12);
    put_outer_udp(6081);
}
static void geneve_of_ip(void) {
    put_ipv4();
    wire_geneve(&wire, IPV4, 0);
    put_outer_udp(6081);
}
static void gre(void) {
    put_ipv4();
    put_outer_gre(IPV4, 0);
}
static void gre_all_fields(void) {
    put_ipv6();
    put_outer_gre(IPV6, 0xb000);
}
static void gre_bridged(void) {
    put_ethernet();
    put_outer_gre(0x6558, 0x2000);
}
static void erspan_1(void) {
    put_ethernet();
    put_outer_gre(0x88be, 0);
}
static void erspan_2(void) {
    put_ethernet();
    wire_room(&wire, 8)[0] = 0x10;
    put_outer_gre(0x88be, 0x1000);
}
static void erspan_3(void) {
    put_ethernet();
    wire_room(&wire, 12)[0] = 0x20;
    put_outer_gre(0x22eb, 0x1000);
}
static void erspan_3_with_subheader(void) {
    put_ethernet();
    wire_room(&wire, 20)[11] = 1;
    put_outer_gre(0x22eb, 0x1000);
}

static const struct carrier {
    const char *name;
    uint16_t link_type;
    void (*put)(void);
    bool ipv6;
} carriers[] = {
    {"Ethernet", ETHERNET, put_ethernet, false},
    {"Ethernet, IPv6", ETHERNET, ethernet_ipv6, true},
    {"VLAN", ETHERNET, vlan, false},
    {"QinQ, IPv6", ETHERNET, qinq, true},
    {"QinQ before the standard", ETHERNET, qinq_before_the_standard, false},
    {"SLL", 113, sll, false},
    {"SLL, VLAN", 113, sll_vlan, false},
    {"SLL2", 276, sll2, false},
    {"NULL, little-endian", 0, null_little, false},
    {"NULL, big-endian", 0, null_big, false},
    {"NULL, macOS, IPv6", 0, null_macos_ipv6, true},
    {"NULL, FreeBSD, IPv6", 0, null_freebsd_ipv6, true},
    {"LOOP", 108, null_big, false},
    {"LOOP, OpenBSD, IPv6", 108, loop_openbsd_ipv6, true},
    {"RAW", 101, put_ipv4, false},
    {"RAW, IPv6", 101, put_ipv6, true},
    {"RAW as BSD numbers it", 12, put_ipv4, false},
    {"RAW as OpenBSD numbers it", 14, put_ipv6, true},
    {"IPV4", 228, put_ipv4, false},
    {"IPV6", 229, put_ipv6, true},
    {"IPv4 with options", ETHERNET, ipv4_options, false},
    {"IPv4 of length zero", ETHERNET, ipv4_zero_length, false},
    {"IPv6 of length zero", ETHERNET, ipv6_zero_length, true},
    {"IPv6 with extension headers", ETHERNET, ipv6_extensions, true},
    {"IPv4 in IPv4", ETHERNET, ipv4_in_ipv4, false},
    {"IPv6 in IPv4", ETHERNET, ipv6_in_ipv4, true},
    {"VXLAN", ETHERNET, vxlan, false},
    {"VXLAN on its old port", ETHERNET, vxlan_of_old_linux, false},
    {"VXLAN over IPv6", ETHERNET, vxlan_over_ipv6, false},
    {"Geneve", ETHERNET, geneve, false},
    {"Geneve without Ethernet", ETHERNET, geneve_of_ip, false},
    {"GRE", ETHERNET, gre, false},
    {"GRE with all fields", ETHERNET, gre_all_fields, true},
    {"GRE with Ethernet", ETHERNET, gre_bridged, false},
    {"ERSPAN I", ETHERNET, erspan_1, false},
    {"ERSPAN II", ETHERNET, erspan_2, false},
    {"ERSPAN III", ETHERNET, erspan_3, false},
    {"ERSPAN III with a subheader", ETHERNET, erspan_3_with_subheader, false},
};

static void assert_endpoint(const struct endpoint *endpoint, bool ipv6, unsigned host,
                            uint16_t port) {
    char text[ENDPOINT_TEXT], expected[ENDPOINT_TEXT];
    endpoint_text(endpoint, text);
    snprintf(expected, sizeof expected, ipv6 ? "[fd00::%u]:%u" : "10.0.0.%u:%u", host, port);
    assert_string_equal(text, expected);
}

static void assert_segment(const struct segment *segment, bool ipv6) {
    assert_endpoint(&segment->src, ipv6, 1, 40000);
    assert_endpoint(&segment->dst, ipv6, 2, 6379);
    assert_int_equal(segment->seq, 0xfffffff0);
    assert_int_equal(segment->ack, 77);
    assert_int_equal(segment->flags, TCP_ACK | TCP_FIN);
    assert_int_equal(segment->window, 501);
    assert_int_equal(segment->payload_len, PAYLOAD);
}

static void every_carrier(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(carriers); i++) {
        const struct carrier *carrier = &carriers[i];
        struct segment segment;
        enum anomaly anomaly;
        print_message("%s\n", carrier->name);
        carrier->put();
        struct packet packet = packet_of(guarded(wire_view(&wire)), carrier->link_type);
        assert_int_equal(net_decode(net, &packet, &segment, &anomaly), NET_SEGMENT);
        assert_int_equal(anomaly, AN_NONE);
        assert_segment(&segment, carrier->ipv6);
        assert_true(bytes_equal(segment.payload, bytes_of(payload, PAYLOAD)));
    }
}

/* ---- the fast path says what the layers say ---- */

static void assert_same_segment(const struct segment *a, const struct segment *b) {
    assert_true(endpoint_equal(&a->src, &b->src) && endpoint_equal(&a->dst, &b->dst));
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->ack, b->ack);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->window, b->window);
    assert_int_equal(a->ip_id, b->ip_id);
    assert_int_equal(a->has_timestamp, b->has_timestamp);
    assert_true(!a->has_timestamp || a->timestamp == b->timestamp);
    assert_int_equal(a->payload_len, b->payload_len);
    assert_true(bytes_equal(a->payload, b->payload));
}

struct both {
    struct net *fast, *layers;
    size_t packets, segments;
};

/* What net_decode() says, having asked the layers too. */
static enum net_got decode_both(struct both *both, const struct packet *packet,
                                struct segment *ret_segment, enum anomaly *ret_anomaly) {
    struct segment segment = {.time = packet->time};
    enum anomaly anomaly;
    enum net_got got = net_decode(both->fast, packet, ret_segment, ret_anomaly);
    assert_int_equal(net_decode_layers(both->layers, packet, &segment, &anomaly), got);
    assert_int_equal(anomaly, *ret_anomaly);
    if (got == NET_SEGMENT)
        assert_same_segment(&segment, ret_segment);
    both->packets++;
    both->segments += got == NET_SEGMENT;
    return got;
}

static struct both both_new(void) {
    struct both both = {.fast = net_new(), .layers = net_new()};
    assert_true(both.fast && both.layers);
    return both;
}

static void both_free(struct both *both) {
    net_free(both->fast);
    net_free(both->layers);
}

static void compare_packet(void *context, const struct packet *packet) {
    struct segment segment;
    enum anomaly anomaly;
    decode_both(context, packet, &segment, &anomaly);
}

static void compare_capture(void *context, const char *path) {
    struct both *both = context;
    size_t before = both->segments;
    capture_each(path, compare_packet, both);
    print_message("%s: %zu segments\n", path, both->segments - before);
}

static void fast_path_on_every_capture(void **state) {
    (void)state;
    struct both both = both_new();
    if (captures_each(compare_capture, &both) == 0) {
        print_message("no captures in pcaps/\n");
        both_free(&both);
        skip();
    }
    assert_true(both.segments > 0);
    both_free(&both);
}

/* Random damage to a plain packet, so that it is only nearly a plain one. */
static void fast_path_on_damaged_packets(void **state) {
    (void)state;
    struct both both = both_new();
    struct dice dice = dice_of(dice_seed());
    print_message("PROP_SEED=%llu\n", (unsigned long long)dice.state);
    for (int i = 0; i < 200000; i++) {
        struct segment segment;
        enum anomaly anomaly;
        put_ethernet();
        uint8_t *frame = wire.room + wire.start;
        for (uint32_t flips = dice_below(&dice, 3); flips > 0; flips--)
            frame[12 + dice_below(&dice, 44)] ^= (uint8_t)(1u << dice_below(&dice, 8));
        struct bytes view = wire_view(&wire);
        struct packet packet = packet_of(view, ETHERNET);
        if (dice_once_in(&dice, 3))
            packet.data.len = dice_below(&dice, (uint32_t)view.len);
        packet.data = guarded(packet.data);
        decode_both(&both, &packet, &segment, &anomaly);
    }
    assert_true(both.segments > 10000 && both.segments < both.packets - 10000);
    both_free(&both);
}

/* ---- cut at every byte ---- */

/* `len` bytes were captured of what the carrier put; the wire had `wire_len`. */
static void check_cut(struct both *both, const struct carrier *carrier, size_t len,
                      size_t wire_len) {
    struct segment segment;
    enum anomaly anomaly;
    struct bytes whole = wire_view(&wire);
    struct packet packet = packet_of(guarded(bytes_first(whole, len)), carrier->link_type);
    packet.wire_len = (uint32_t)wire_len;
    enum net_got got = decode_both(both, &packet, &segment, &anomaly);
    if (wire_len == len) {
        assert_true(got == NET_BAD || got == NET_SEGMENT);
        return;
    }
    bool headers_there = len + PAYLOAD >= whole.len;
    assert_int_equal(got, headers_there ? NET_SEGMENT : NET_BAD);
    assert_int_equal(anomaly, headers_there ? AN_NONE : AN_net_cut);
    if (!headers_there)
        return;
    size_t captured = PAYLOAD - (whole.len - len);
    assert_segment(&segment, carrier->ipv6);
    assert_true(bytes_equal(segment.payload, bytes_of(payload, captured)));
}

/* By the snaplen: the headers say how much is missing. And as if the wire had had no more: then it
 * is malformed, or a segment with less in it. No byte beyond the cut is ever read. */
static void every_carrier_cut_at_every_byte(void **state) {
    (void)state;
    struct both both = both_new();
    for (size_t i = 0; i < countof(carriers); i++) {
        print_message("%s\n", carriers[i].name);
        carriers[i].put();
        size_t whole = wire_view(&wire).len;
        for (size_t len = 0; len < whole; len++) {
            check_cut(&both, &carriers[i], len, whole);
            check_cut(&both, &carriers[i], len, len);
        }
    }
    both_free(&both);
}

/* ---- single cases ---- */

static enum net_got decode(uint16_t link_type, struct segment *ret_segment,
                           enum anomaly *ret_anomaly) {
    struct packet packet = packet_of(guarded(wire_view(&wire)), link_type);
    return net_decode(net, &packet, ret_segment, ret_anomaly);
}

static void assert_got(uint16_t link_type, enum net_got expected, enum anomaly expected_anomaly) {
    struct segment segment;
    enum anomaly anomaly;
    assert_int_equal(decode(link_type, &segment, &anomaly), expected);
    assert_int_equal(anomaly, expected_anomaly);
}

static void ethernet_padding_is_no_payload(void **state) {
    (void)state;
    struct segment segment;
    enum anomaly anomaly;
    wire_start(&wire, bytes_of("padding.", 8));
    wire_tcp(&wire, &(struct wire_tcp){.sport = 1, .dport = 2});
    wire_ipv4(&wire, &(struct wire_ip){.protocol = PROTO_TCP});
    store_be16(wire.room + wire.start + 2, 40); /* the IP packet ends before the padding */
    wire_ethernet(&wire, IPV4);
    assert_int_equal(decode(ETHERNET, &segment, &anomaly), NET_SEGMENT);
    assert_int_equal(segment.payload_len, 0);
    assert_int_equal(segment.payload.len, 0);
}

static void what_is_not_tcp(void **state) {
    (void)state;
    put_ipv4();
    wire_ethernet(&wire, 0x0806); /* ARP */
    assert_got(ETHERNET, NET_OTHER, AN_NONE);
    wire_start(&wire, bytes_str("x"));
    put_outer_udp(53);
    assert_got(ETHERNET, NET_OTHER, AN_NONE);
    put_tcp();
    wire_ipv4(&wire, &(struct wire_ip){.protocol = 1}); /* ICMP */
    assert_got(101, NET_OTHER, AN_NONE);
    put_ipv4();
    wire_bytes(&wire, bytes_of("\0\0\0\7", 4)); /* a family that is not IP */
    assert_got(0, NET_OTHER, AN_NONE);
    assert_got(108, NET_OTHER, AN_NONE);
    put_ethernet();
    wire_room(&wire, 8); /* not VXLAN: no network identifier */
    put_outer_udp(4789);
    assert_got(ETHERNET, NET_OTHER, AN_NONE);
    put_ipv4();
    put_outer_gre(IPV4, 0x0001); /* PPTP's GRE */
    assert_got(ETHERNET, NET_OTHER, AN_NONE);
    put_ipv4();
    wire_geneve(&wire, IPV4, 0);
    wire.room[wire.start] = 0x40; /* version 1 */
    put_outer_udp(6081);
    assert_got(ETHERNET, NET_OTHER, AN_NONE);
}

static void a_link_type_that_is_not_decoded(void **state) {
    (void)state;
    put_ipv4();
    assert_got(105, NET_BAD, AN_net_link_type); /* 802.11 */
}

static void headers_that_contradict_themselves(void **state) {
    (void)state;
    put_ipv4();
    wire.room[wire.start] = 0x44; /* an IPv4 header of 16 bytes */
    assert_got(101, NET_BAD, AN_net_malformed);
    put_ipv4();
    wire.room[wire.start] = 0x54; /* a version of its own */
    assert_got(228, NET_BAD, AN_net_malformed);
    assert_got(101, NET_BAD, AN_net_malformed);
    put_ipv4();
    store_be16(wire.room + wire.start + 2, 19); /* shorter than its header */
    assert_got(101, NET_BAD, AN_net_malformed);
    put_ipv4();
    wire.room[wire.start + 32] = 0x40; /* a TCP header of 16 bytes */
    assert_got(101, NET_BAD, AN_net_malformed);
    put_ipv4();
    wire.room[wire.start + 32] = 0xf0; /* a TCP header longer than the packet */
    assert_got(101, NET_BAD, AN_net_malformed);
    put_ipv6();
    wire.room[wire.start] = 0x50;
    assert_got(229, NET_BAD, AN_net_malformed);
}

/* CAP_NET_DEPTH headers before TCP are walked, one more is not. */
static void nesting_has_a_limit(void **state) {
    (void)state;
    for (int tags = CAP_NET_DEPTH - 3; tags <= CAP_NET_DEPTH - 2; tags++) {
        put_ipv4();
        for (int i = 0; i < tags; i++)
            wire_vlan(&wire, i == 0 ? IPV4 : 0x8100);
        wire_ethernet(&wire, 0x8100);
        bool fits = tags + 3 <= CAP_NET_DEPTH; /* Ethernet, tags, IP, TCP */
        assert_got(ETHERNET, fits ? NET_SEGMENT : NET_BAD, fits ? AN_NONE : AN_net_too_deep);
    }
}

/* ---- TCP options ---- */

static void assert_timestamp(const char *options, size_t len, bool has, uint32_t timestamp) {
    struct segment segment;
    enum anomaly anomaly;
    wire_start(&wire, bytes_of(NULL, 0));
    wire_tcp(&wire, &(struct wire_tcp){.options = bytes_of(options, len)});
    wire_ipv4(&wire, &(struct wire_ip){.protocol = PROTO_TCP});
    assert_int_equal(decode(101, &segment, &anomaly), NET_SEGMENT);
    assert_int_equal(segment.has_timestamp, has);
    assert_true(!has || segment.timestamp == timestamp);
}

static void the_timestamp_option(void **state) {
    (void)state;
    assert_timestamp("\1\1\10\12\0\0\1\2\0\0\0\0", 12, true, 0x102); /* as Linux lays it out */
    assert_timestamp("\2\4\5\xb4\4\2\10\12\0\0\1\2\0\0\0\0\1\3\3\7", 20, true, 0x102); /* a SYN's */
    assert_timestamp("\10\12\0\0\1\2\0\0\0\0\0\0", 12, true, 0x102);
    assert_timestamp("\1\1\1\1", 4, false, 0);
    assert_timestamp("\0\10\12\0\0\1\2\0\0\0\0\0", 12, false, 0); /* after the end of options */
    assert_timestamp("\10\0\1\1", 4, false, 0);                   /* of length zero */
    assert_timestamp("\1\1\1\10", 4, false, 0);                   /* cut after its kind */
    assert_timestamp("\3\40\1\1", 4, false, 0);                   /* longer than the header */
}

/* ---- fragments ---- */

enum { BIG = 1000 };

/* The TCP segment that the fragments carry, from header to last byte. */
static struct bytes datagram(void) {
    static uint8_t bytes[20 + BIG];
    uint8_t data[BIG];
    for (size_t i = 0; i < BIG; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    wire_start(&wire, bytes_of(data, BIG));
    wire_tcp(&wire, &(struct wire_tcp){.sport = 40000, .dport = 6379});
    memcpy(bytes, wire_view(&wire).data, sizeof bytes);
    return bytes_of(bytes, sizeof bytes);
}

struct piece {
    uint16_t id;
    size_t from, until; /* of the datagram */
    nstime time;
    bool spoilt; /* its first byte is changed */
};

static void put_piece(const struct piece *piece) {
    struct bytes whole = datagram();
    bool more = piece->until < whole.len;
    wire_start(&wire, bytes_of(whole.data + piece->from, piece->until - piece->from));
    if (piece->spoilt)
        wire.room[wire.start] ^= 1;
    wire_ipv4(&wire,
              &(struct wire_ip){.protocol = PROTO_TCP,
                                .id = piece->id,
                                .fragment = (uint16_t)(piece->from / 8 | (more ? IP_MORE : 0))});
}

static enum net_got decode_piece(const struct piece *piece, struct segment *ret_segment,
                                 enum anomaly *ret_anomaly) {
    put_piece(piece);
    struct packet packet = packet_of(guarded(wire_view(&wire)), 101);
    packet.time = piece->time;
    return net_decode(net, &packet, ret_segment, ret_anomaly);
}

static void waits(struct piece piece, enum anomaly expected) {
    struct segment segment;
    enum anomaly anomaly;
    assert_int_equal(decode_piece(&piece, &segment, &anomaly), NET_OTHER);
    assert_int_equal(anomaly, expected);
}

static void completes(struct piece piece, enum anomaly expected) {
    struct segment segment;
    enum anomaly anomaly;
    assert_int_equal(decode_piece(&piece, &segment, &anomaly), NET_SEGMENT);
    assert_int_equal(anomaly, expected);
    assert_int_equal(segment.payload_len, BIG);
    assert_true(bytes_equal(segment.payload, bytes_after(datagram(), 20)));
}

enum { END = 20 + BIG };

static void fragments_in_any_order(void **state) {
    (void)state;
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const size_t cuts[] = {0, 400, 808, END};
    for (uint16_t i = 0; i < countof(orders); i++) {
        for (int k = 0; k < 3; k++) {
            size_t at = orders[i][k];
            struct piece piece = {.id = i, .from = cuts[at], .until = cuts[at + 1]};
            k < 2 ? waits(piece, AN_NONE) : completes(piece, AN_NONE);
        }
    }
}

/* The same fragment twice, and one that overlaps its neighbours with the same bytes. */
static void fragments_again(void **state) {
    (void)state;
    waits((struct piece){.from = 0, .until = 400}, AN_NONE);
    waits((struct piece){.from = 0, .until = 400}, AN_NONE);
    waits((struct piece){.from = 200, .until = 600}, AN_NONE);
    completes((struct piece){.from = 400, .until = END}, AN_NONE);
}

/* The first copy of a byte stands; that the second one differs is said. */
static void fragments_that_differ(void **state) {
    (void)state;
    waits((struct piece){.from = 0, .until = 408}, AN_NONE);
    waits((struct piece){.from = 400, .until = 800, .spoilt = true}, AN_fragment_overlap);
    completes((struct piece){.from = 800, .until = END}, AN_NONE);
}

/* Datagrams of different ids do not mix. */
static void fragments_of_two_datagrams(void **state) {
    (void)state;
    waits((struct piece){.id = 1, .from = 0, .until = 400}, AN_NONE);
    waits((struct piece){.id = 2, .from = 400, .until = END}, AN_NONE);
    completes((struct piece){.id = 1, .from = 400, .until = END}, AN_NONE);
    completes((struct piece){.id = 2, .from = 0, .until = 400}, AN_NONE);
}

/* After 30 s of packet time the id belongs to another datagram. */
static void fragments_too_late(void **state) {
    (void)state;
    waits((struct piece){.from = 0, .until = 400, .time = NS_PER_SEC}, AN_NONE);
    waits((struct piece){.from = 400, .until = END, .time = 32 * NS_PER_SEC}, AN_fragment_dropped);
    completes((struct piece){.from = 0, .until = 400, .time = 33 * NS_PER_SEC}, AN_NONE);
}

/* CAP_FRAGMENTS datagrams wait at once; a further one displaces the oldest. */
static void fragments_of_too_many_datagrams(void **state) {
    (void)state;
    for (uint16_t id = 0; id < CAP_FRAGMENTS; id++)
        waits((struct piece){.id = id, .until = 400, .time = id}, AN_NONE);
    waits((struct piece){.id = 1000, .until = 400, .time = CAP_FRAGMENTS}, AN_fragment_dropped);
    completes((struct piece){.id = 1, .from = 400, .until = END, .time = 100}, AN_NONE);
    completes((struct piece){.id = 1000, .from = 400, .until = END, .time = 100}, AN_NONE);
    waits((struct piece){.id = 0, .from = 400, .until = END, .time = 100}, AN_NONE); /* displaced */
}

/* Not a multiple of eight, empty, or beyond the longest datagram. */
static void fragments_that_cannot_be(void **state) {
    (void)state;
    struct segment segment;
    enum anomaly anomaly;
    put_piece(&(struct piece){.from = 0, .until = 401});
    assert_got(101, NET_OTHER, AN_net_malformed);
    put_piece(&(struct piece){.from = 400, .until = 400});
    assert_got(101, NET_OTHER, AN_net_malformed);
    put_piece(&(struct piece){.from = 0, .until = 400});
    store_be16(wire.room + wire.start + 6, 0x1fff); /* offset 65528 */
    assert_int_equal(decode(101, &segment, &anomaly), NET_OTHER);
    assert_int_equal(anomaly, AN_net_malformed);
}

/* A fragment cut by the snaplen would leave a hole that looks like data. */
static void a_fragment_cut_by_the_snaplen(void **state) {
    (void)state;
    struct segment segment;
    enum anomaly anomaly;
    put_piece(&(struct piece){.from = 0, .until = 400});
    struct packet packet = packet_of(guarded(bytes_first(wire_view(&wire), 300)), 101);
    packet.wire_len = 420;
    assert_int_equal(net_decode(net, &packet, &segment, &anomaly), NET_BAD);
    assert_int_equal(anomaly, AN_net_cut);
}

static void put_ipv6_piece(size_t from, size_t until, bool more) {
    struct bytes whole = datagram();
    wire_start(&wire, bytes_of(whole.data + from, until - from));
    uint8_t *at = wire_room(&wire, 8);
    at[0] = PROTO_TCP;
    store_be16(at + 2, (uint16_t)(from | more));
    store_be32(at + 4, 0xabcdef01);
    wire_ipv6(&wire, &(struct wire_ip){.protocol = 44});
}

static void fragments_of_ipv6(void **state) {
    (void)state;
    struct segment segment;
    enum anomaly anomaly;
    put_ipv6_piece(512, END, false);
    assert_got(101, NET_OTHER, AN_NONE);
    put_ipv6_piece(0, 512, true);
    assert_int_equal(decode(101, &segment, &anomaly), NET_SEGMENT);
    assert_true(bytes_equal(segment.payload, bytes_after(datagram(), 20)));
}

/* Fragments that do not agree on where the datagram ends leave holes that counting does not show:
 * nothing of them is believed, whichever comes first. */
static void fragments_that_disagree_on_the_end(void **state) {
    (void)state;
    static const struct {
        struct piece pieces[2];
        bool last[2];
    } cases[] = {
        {{{.from = 800, .until = 1000}, {.from = 8, .until = 40}}, {false, true}},
        {{{.from = 8, .until = 40}, {.from = 800, .until = 1000}}, {true, false}},
        {{{.from = 8, .until = 43}, {.from = 40, .until = 48}}, {true, true}},
        {{{.from = 8, .until = 48}, {.from = 8, .until = 43}}, {true, true}},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        for (int k = 0; k < 2; k++) {
            const struct piece *piece = &cases[i].pieces[k];
            put_piece(piece);
            uint16_t more = cases[i].last[k] ? 0 : IP_MORE;
            store_be16(wire.room + wire.start + 6, (uint16_t)(piece->from / 8 | more));
            assert_got(101, NET_OTHER, k == 0 ? AN_NONE : AN_net_malformed);
        }
        waits((struct piece){.from = 0, .until = 400}, AN_NONE); /* begins anew */
        completes((struct piece){.from = 400, .until = END}, AN_NONE);
    }
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, start_net, end_net)

/* As gossip and redirects have them; an empty one may be nowhere in memory. */
static void addresses_as_text(void **state) {
    (void)state;
    struct endpoint parsed;
    char text[ENDPOINT_TEXT];
    assert_true(endpoint_parse(bytes_str("10.0.0.1"), 6379, &parsed));
    endpoint_text(&parsed, text);
    assert_string_equal(text, "10.0.0.1:6379");
    assert_true(endpoint_parse(bytes_str("fd77::b"), 6379, &parsed));
    endpoint_text(&parsed, text);
    assert_string_equal(text, "[fd77::b]:6379");
    assert_false(endpoint_parse(bytes_str("node.example"), 6379, &parsed));
    assert_false(endpoint_parse(bytes_of(NULL, 0), 6379, &parsed));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        NET_TEST(every_carrier),
        NET_TEST(every_carrier_cut_at_every_byte),
        NET_TEST(fast_path_on_every_capture),
        NET_TEST(fast_path_on_damaged_packets),
        NET_TEST(ethernet_padding_is_no_payload),
        NET_TEST(what_is_not_tcp),
        NET_TEST(a_link_type_that_is_not_decoded),
        NET_TEST(headers_that_contradict_themselves),
        NET_TEST(nesting_has_a_limit),
        NET_TEST(the_timestamp_option),
        NET_TEST(fragments_in_any_order),
        NET_TEST(fragments_again),
        NET_TEST(fragments_that_differ),
        NET_TEST(fragments_of_two_datagrams),
        NET_TEST(fragments_too_late),
        NET_TEST(fragments_of_too_many_datagrams),
        NET_TEST(fragments_that_cannot_be),
        NET_TEST(a_fragment_cut_by_the_snaplen),
        NET_TEST(fragments_of_ipv6),
        NET_TEST(fragments_that_disagree_on_the_end),
        NET_TEST(addresses_as_text),
    };
    return RUN_GROUP(argc, argv, tests);
}
