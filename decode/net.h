/* net.h - from a captured frame to the TCP segment in it.
 *
 * Walks link layer, VLAN tags, IP, tunnels and fragments down to TCP. Checksums are not looked at:
 * on the sending host they are not there yet (offload). Lengths come from the headers, except that
 * a zero IP length (segmentation offload) means "to the end of the frame". */
#ifndef BUSTAP_DECODE_NET_H
#define BUSTAP_DECODE_NET_H

#include "capture/packet.h"
#include "decode/anomaly.h"
#include "decode/endpoint.h"

enum tcp_flags { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

/* One TCP segment. Its payload is a view into the packet, or into the fragment table. */
struct segment {
    nstime time;
    uint8_t flags;
    bool has_timestamp;
    struct endpoint src, dst;
    uint32_t seq, ack;
    uint16_t window;      /* unscaled */
    uint32_t ip_id;       /* IPv4 identification; 0 for IPv6 */
    uint32_t timestamp;   /* TSval of the TCP timestamp option, if has_timestamp */
    struct bytes payload; /* what was captured of it */
    uint32_t payload_len; /* on the wire; more than payload.len if the capture was cut */
};

enum net_got {
    NET_SEGMENT, /* *ret_segment is filled */
    NET_OTHER,   /* not TCP (ARP, UDP, a fragment that waits for others) */
    NET_BAD,     /* malformed; *ret_anomaly says how */
};

struct net;

struct net *net_new(void);      /* NULL: out of memory */
void net_free(struct net *net); /* NULL is fine */

/* The endpoints_mix of a packet whose first PACKET_AHEAD bytes stand at `bytes`; 0 if it is not one
 * of the commonest kind. */
uint32_t net_peek(const uint8_t *bytes);

/* *ret_anomaly is AN_NONE, or what was odd (possible with every result). The segment is valid until
 * the next call or the end of the packet's view, whichever is first. */
enum net_got net_decode(struct net *net, const struct packet *packet, struct segment *ret_segment,
                        enum anomaly *ret_anomaly);

#endif
