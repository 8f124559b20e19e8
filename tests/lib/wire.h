/* wire.h - packets made by hand, from the inside out: each layer is put in front of what is there
 * already, so it knows the length of what it carries.
 *
 *   struct wire w;
 *   wire_start(&w, bytes_str("PING"));
 *   wire_tcp(&w, &(struct wire_tcp){.sport = 40000, .dport = 6379, .flags = TCP_ACK});
 *   wire_ipv4(&w, &(struct wire_ip){.protocol = 6});
 *   wire_ethernet(&w, 0x0800);
 *   net_decode(net, &packet_of(wire_view(&w), 1), ...);
 *
 * Layouts are those of the RFCs, written down here again: nothing is shared with decode/. */
#ifndef BUSTAP_TESTS_WIRE_H
#define BUSTAP_TESTS_WIRE_H

#include "capture/packet.h"

enum { WIRE_ROOM = 80 << 10 };

struct wire {
    size_t start; /* of what was put so far */
    uint8_t room[WIRE_ROOM];
};

struct wire_tcp {
    uint16_t sport, dport;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t window;
    struct bytes options; /* a multiple of four bytes */
};

/* Of either version; what is zero takes a sensible value where zero makes no sense. */
struct wire_ip {
    uint8_t src, dst;     /* last byte of 10.0.0.x or fd00::x; zero: 1 and 2 */
    uint8_t protocol;     /* of what is carried */
    uint16_t id;          /* IPv4 */
    uint16_t fragment;    /* IPv4: flags and offset / 8, as in the header */
    struct bytes options; /* IPv4: a multiple of four bytes */
    bool zero_length;     /* the length field stays 0 (segmentation offload) */
};

enum { IP_MORE = 0x2000, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_GRE = 47 };

void wire_start(struct wire *wire, struct bytes payload);
uint8_t *wire_room(struct wire *wire, size_t len); /* `len` zeros in front; returns them */
void wire_bytes(struct wire *wire, struct bytes view);

void wire_tcp(struct wire *wire, const struct wire_tcp *tcp);
void wire_udp(struct wire *wire, uint16_t sport, uint16_t dport);
void wire_ipv4(struct wire *wire, const struct wire_ip *ip);
void wire_ipv6(struct wire *wire, const struct wire_ip *ip);
void wire_ethernet(struct wire *wire, uint16_t ethertype);
void wire_vlan(struct wire *wire, uint16_t ethertype); /* an Ethernet header must still follow */
void wire_sll(struct wire *wire, uint16_t ethertype);
void wire_sll2(struct wire *wire, uint16_t ethertype);
void wire_vxlan(struct wire *wire);
void wire_geneve(struct wire *wire, uint16_t ethertype, size_t options); /* option bytes, of 4 */
void wire_gre(struct wire *wire, uint16_t ethertype, uint16_t flags);    /* flags size the header */

static inline struct bytes wire_view(const struct wire *wire) {
    return bytes_of(wire->room + wire->start, WIRE_ROOM - wire->start);
}

/* A packet captured whole. */
static inline struct packet packet_of(struct bytes view, uint16_t link_type) {
    return (struct packet){
        .data = view, .wire_len = (uint32_t)view.len, .link_type = link_type, .frame = 1};
}

static inline void store_be16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void store_be32(uint8_t *at, uint32_t value) {
    store_be16(at, (uint16_t)(value >> 16));
    store_be16(at + 2, (uint16_t)value);
}
static inline void store_be64(uint8_t *at, uint64_t value) {
    store_be32(at, (uint32_t)(value >> 32));
    store_be32(at + 4, (uint32_t)value);
}

#endif
