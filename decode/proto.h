/* proto.h - the protocols that can speak on a connection; the list is in proto.c.
 *
 * A protocol is recognised from content alone, on any port, from either side. From then on it gets
 * the bytes of both directions in order, what is missing from them as skips, and how far the peer
 * has acknowledged. It owns flow->state. */
#ifndef BUSTAP_DECODE_PROTO_H
#define BUSTAP_DECODE_PROTO_H

#include "decode/emitter.h"
#include "decode/flow.h"

enum sniff_verdict {
    SNIFF_NO,   /* not this protocol */
    SNIFF_MORE, /* cannot tell yet: wants the bytes from `at` on, and further ones */
    SNIFF_YES,  /* it begins at `at` */
};

struct sniff {
    enum sniff_verdict verdict;
    size_t at;
};

/* What there is to tell a protocol from. */
struct sniffed {
    const struct emitter *out;
    struct bytes head; /* consecutive bytes of a stream, at least one */
    uint64_t offset;   /* of the first of them in the stream */
    bool from_start;   /* offset 0 is the connection's first byte; else the capture joined later */
};

struct proto {
    const char *name; /* as in the event `opaque` */

    struct sniff (*sniff)(const struct sniffed *sniffed);

    /* Allocates flow->state. False: out of memory; the flow then stays unrecognised. */
    bool (*open)(struct emitter *out, struct flow *flow, unsigned direction);

    void (*feed)(struct emitter *out, struct flow *flow, unsigned direction, struct bytes view);
    void (*skip)(struct emitter *out, struct flow *flow, unsigned direction, uint64_t len,
                 enum stream_skip why);

    /* Does each end answer the other, so that what it says is to be read behind what it had heard?
     * NULL: never. */
    bool (*is_talk)(const struct flow *flow);

    /* All bytes of the direction before stream offset `offset` have arrived at the peer. NULL: does
     * not matter. */
    void (*acked)(struct emitter *out, struct flow *flow, unsigned direction, uint64_t offset);

    /* No more bytes of the direction will come; what waited for them is told now. */
    void (*end)(struct emitter *out, struct flow *flow, unsigned direction);

    /* Frees flow->state. NULL: there is none. */
    void (*close)(struct emitter *out, struct flow *flow);
    size_t state_size; /* of flow->state, the part that every packet needs */
    bool wants_bytes;  /* false: sizes and times are all there is to know */
};

extern const struct proto proto_bus;
extern const struct proto proto_resp;
extern const struct proto proto_tls;

/* Looks at bytes of a flow that has no protocol yet; once one is recognised, sets flow->proto and
 * feeds it. */
void proto_sniff(struct emitter *out, struct flow *flow, unsigned direction, struct bytes view);

/* Bytes are missing in a flow that has no protocol yet. */
void proto_sniff_skip(struct flow *flow, unsigned direction);

#endif
