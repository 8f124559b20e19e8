/* net_fast.c - nearly every packet: Ethernet, IPv4 without options or fragments, TCP, in one step.
 *
 * Everything else, and everything odd, is left to the layers, which would say the same of these
 * packets: tests/unit/test_net.c compares the two on every capture. */
#include "base/base.h"
#include "capture/link_type.h"
#include "decode/net_layers.h"

enum { ETHERNET = 14, IPV4 = 20, TCP = 20 };

/* EtherType, version and header length; fragment bits, protocol: the fields that make it a plain
 * one, in two comparisons. */
static inline bool is_plain(const uint8_t *ip) {
    uint32_t type_and_version = load_be32(ip - 2) & 0xffffff00;
    uint32_t fragment_and_protocol = load_be32(ip + 6) & 0x3fff00ff;
    return type_and_version == 0x08004500 && fragment_and_protocol == 6;
}

bool net_fast(const struct packet *packet, struct segment *segment) {
    const uint8_t *ip = packet->data.data + ETHERNET, *tcp = ip + IPV4;
    size_t captured = packet->data.len;
    if (packet->link_type != LINKTYPE_ETHERNET || captured < ETHERNET + IPV4 + TCP || !is_plain(ip))
        return false;
    size_t total = load_be16(ip + 2), header = (size_t)(tcp[12] >> 4) * 4;
    size_t left = captured - ETHERNET - IPV4;
    bool whole = total >= IPV4 + header && captured >= ETHERNET + total;
    if (header < TCP || left < header || !whole)
        return false;
    endpoint_set_ipv4(&segment->src, ip + 12);
    endpoint_set_ipv4(&segment->dst, ip + 16);
    segment->ip_id = load_be16(ip + 4);
    size_t payload = total - IPV4 - header;
    net_read_tcp(bytes_of(tcp, header), segment);
    segment->payload = bytes_of(tcp + header, payload);
    segment->payload_len = (uint32_t)payload;
    return true;
}

static_assert(PACKET_AHEAD >= ETHERNET + IPV4 + 4, "the ports can be peeked at");

uint32_t net_peek(const uint8_t *bytes) {
    const uint8_t *ip = bytes + ETHERNET, *tcp = ip + IPV4;
    if (!is_plain(ip))
        return 0;
    return endpoints_mix(load_be16(tcp), ip[15], load_be16(tcp + 2), ip[19]);
}
