/* net_fragment.h - IP datagrams under reassembly.
 *
 * At most CAP_FRAGMENTS datagrams; the oldest gives way, and one that waited for longer than
 * 30 s of packet time is dropped, both as anomaly fragment-dropped. The first copy of a byte wins;
 * a different second copy is anomaly fragment-overlap. A datagram whose fragments do not agree on
 * its length is dropped as net-malformed. */
#ifndef BUSTAP_DECODE_NET_FRAGMENT_H
#define BUSTAP_DECODE_NET_FRAGMENT_H

#include "decode/anomaly.h"
#include "decode/endpoint.h"

struct fragment {
    const struct endpoint *src, *dst; /* their ports are not looked at */
    uint32_t id;
    uint32_t offset; /* of this fragment in the datagram's payload, bytes */
    uint8_t protocol;
    bool more;
    nstime time;
};

struct fragments;

struct fragments *fragments_new(void); /* NULL: out of memory */
void fragments_free(struct fragments *fragments);

/* True if this fragment completed its datagram: *ret_whole is then its payload, valid until the
 * next call. *ret_anomaly is set if something was odd, else left alone. */
bool fragments_add(struct fragments *fragments, const struct fragment *fragment,
                   struct bytes payload, struct bytes *ret_whole, enum anomaly *ret_anomaly);

#endif
