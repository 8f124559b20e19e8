/* wire.c - headers, each in front of the last. */
#include "tests/lib/wire.h"

#include <stdio.h>
#include <stdlib.h>

uint8_t *wire_room(struct wire *wire, size_t len) {
    if (len > wire->start) {
        fprintf(stderr, "wire: a packet of more than %d bytes\n", WIRE_ROOM);
        exit(2);
    }
    wire->start -= len;
    memset(wire->room + wire->start, 0, len);
    return wire->room + wire->start;
}

void wire_bytes(struct wire *wire, struct bytes view) {
    uint8_t *at = wire_room(wire, view.len);
    if (view.len)
        memcpy(at, view.data, view.len);
}

void wire_start(struct wire *wire, struct bytes payload) {
    wire->start = WIRE_ROOM;
    wire_bytes(wire, payload);
}

static uint16_t length_of(const struct wire *wire) {
    return (uint16_t)wire_view(wire).len;
}

void wire_tcp(struct wire *wire, const struct wire_tcp *tcp) {
    wire_bytes(wire, tcp->options);
    uint8_t *at = wire_room(wire, 20);
    store_be16(at, tcp->sport);
    store_be16(at + 2, tcp->dport);
    store_be32(at + 4, tcp->seq);
    store_be32(at + 8, tcp->ack);
    at[12] = (uint8_t)((5 + tcp->options.len / 4) << 4);
    at[13] = tcp->flags;
    store_be16(at + 14, tcp->window);
}

void wire_udp(struct wire *wire, uint16_t sport, uint16_t dport) {
    uint16_t len = (uint16_t)(length_of(wire) + 8);
    uint8_t *at = wire_room(wire, 8);
    store_be16(at, sport);
    store_be16(at + 2, dport);
    store_be16(at + 4, len);
}

void wire_ipv4(struct wire *wire, const struct wire_ip *ip) {
    uint16_t len = (uint16_t)(length_of(wire) + 20 + ip->options.len);
    wire_bytes(wire, ip->options);
    uint8_t *at = wire_room(wire, 20);
    at[0] = (uint8_t)(0x45 + ip->options.len / 4);
    store_be16(at + 2, ip->zero_length ? 0 : len);
    store_be16(at + 4, ip->id);
    store_be16(at + 6, ip->fragment);
    at[8] = 64;
    at[9] = ip->protocol;
    memcpy(at + 12, (const uint8_t[]){10, 0, 0, ip->src ? ip->src : 1}, 4);
    memcpy(at + 16, (const uint8_t[]){10, 0, 0, ip->dst ? ip->dst : 2}, 4);
}

void wire_ipv6(struct wire *wire, const struct wire_ip *ip) {
    uint16_t len = length_of(wire);
    uint8_t *at = wire_room(wire, 40);
    at[0] = 0x60;
    store_be16(at + 4, ip->zero_length ? 0 : len);
    at[6] = ip->protocol;
    at[7] = 64;
    at[8] = at[24] = 0xfd;
    at[23] = ip->src ? ip->src : 1;
    at[39] = ip->dst ? ip->dst : 2;
}

void wire_ethernet(struct wire *wire, uint16_t ethertype) {
    store_be16(wire_room(wire, 14) + 12, ethertype);
}

void wire_vlan(struct wire *wire, uint16_t ethertype) {
    store_be16(wire_room(wire, 4) + 2, ethertype);
}

void wire_sll(struct wire *wire, uint16_t ethertype) {
    store_be16(wire_room(wire, 16) + 14, ethertype);
}

void wire_sll2(struct wire *wire, uint16_t ethertype) {
    store_be16(wire_room(wire, 20), ethertype);
}

void wire_vxlan(struct wire *wire) {
    wire_room(wire, 8)[0] = 0x08;
}

void wire_geneve(struct wire *wire, uint16_t ethertype, size_t options) {
    wire_room(wire, options);
    uint8_t *at = wire_room(wire, 8);
    at[0] = (uint8_t)(options / 4);
    store_be16(at + 2, ethertype);
}

void wire_gre(struct wire *wire, uint16_t ethertype, uint16_t flags) {
    size_t fields = !!(flags & 0x8000) + !!(flags & 0x2000) + !!(flags & 0x1000);
    uint8_t *at = wire_room(wire, 4 + 4 * fields);
    store_be16(at, flags);
    store_be16(at + 2, ethertype);
}
