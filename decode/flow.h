/* flow.h - one TCP connection: its two ends, what TCP itself tells about their health, and the
 * protocol that was recognised on it. Read by the analysis through events; written by decode/. */
#ifndef BUSTAP_DECODE_FLOW_H
#define BUSTAP_DECODE_FLOW_H

#include "base/spread.h"
#include "decode/endpoint.h"
#include "decode/stream.h"

/* What one end sent, counted on segments as captured (offload merges and splits them). */
struct tcp_stats {
    uint64_t bytes;        /* payload, retransmits included */
    struct spread rtt;     /* from this end's data to the ACK for it */
    uint32_t retransmits;  /* segments that repeat bytes, keep-alives excluded */
    uint32_t early;        /* segments out of order */
    uint32_t duplicates;   /* the same packet captured again (another interface) */
    uint32_t zero_windows; /* times this end closed its receive window */
    uint32_t gaps;
    uint64_t gap_bytes;     /* lost to the capture */
    uint64_t snaplen_bytes; /* cut off by the capture */
};

/* One end of a connection and the stream that it sends. The first cache line has what every packet
 * touches, the beginning of `stream` included; the second what every payload touches. */
struct flow_side {
    uint32_t high;  /* after the last sequence number that this end has sent */
    uint32_t acked; /* up to here the peer has acknowledged */
    bool high_known, acked_known, syn, fin, window_closed;
    bool not_sniffed; /* nothing was recognised in this direction */
    bool far_known;
    uint32_t heard;     /* up to here it had the peer's bytes when it sent what was read last */
    uint32_t timed_end; /* sequence number whose ACK is timed */
    uint32_t fin_seq;   /* of its FIN */
    nstime timed_since; /* TIME_NONE: nothing is timed */
    struct stream stream;

    struct tcp_stats stats;
    nstime hole_since; /* TIME_NONE, or since when the peer has acknowledged what we never saw */
    uint32_t hole_packets; /* since hole_since */
    uint32_t hole_until;   /* what it had acknowledged then */
    uint32_t far_ack;      /* of the peer, if far_known: believed once others follow it */
    uint32_t isn;          /* of its SYN */
    uint32_t first;        /* the least ACK of the peer until the stream started */
    uint32_t syn_tag;      /* to know a SYN captured twice from one sent twice */
    uint32_t sniff_looked; /* bytes of it looked at in vain */
    uint16_t sniffed_len;
    uint8_t *sniffed; /* SNIFF_HELD bytes (proto.c), while the protocol is being told; else NULL */
    uint64_t sniff_passed; /* stream offset before which bytes went by in no protocol's hands */
    uint64_t undecoded;    /* bytes that the protocol could not make sense of, set by it */
} __attribute__((aligned(CACHE_LINE)));

enum {
    FLOW_SIDE_HOT = 3 * CACHE_LINE
}; /* of flow_side: the counters that payload moves included */

static_assert(offsetof(struct flow_side, stats.rtt) + sizeof(struct spread) <= FLOW_SIDE_HOT,
              "what each payload touches is fetched");

enum flow_close { FLOW_OPEN, FLOW_FIN, FLOW_RESET, FLOW_REFUSED };

struct proto;

enum { FLOW_CONNECTOR_UNKNOWN = -1 };

struct flow {
    struct endpoint ends[2];   /* [d] sends direction d */
    int8_t connector;          /* 0 or 1: who opened it; -1: not known (joined in the middle) */
    uint8_t close;             /* enum flow_close */
    bool accepted;             /* the SYN-ACK was seen */
    bool sniffing;             /* private to decode/: the protocol is being told */
    const struct proto *proto; /* NULL: not recognised (yet) */
    void *state;               /* of the protocol */
    bool holed;                /* private to decode/: bytes may be missing in one of the streams */
    uint8_t list;              /* private to flow_table.c, as are the next ones */
    bool used;
    bool smooth; /* private to decoder.c: all is known, nothing is missing, nothing ends */
    uint32_t hash;

    void *note;             /* the analysis' own; NULL at first */
    nstime first, last;     /* packets */
    nstime before, touched; /* private: packet before the last; last moved up its list */
    uint64_t born;          /* private to flow_table.c, as are the next three */
    uint32_t index, older, younger;
    uint32_t syns; /* SYNs sent by the connector */

    struct flow_side sides[2]; /* [d] is that of ends[d] */
} __attribute__((aligned(CACHE_LINE)));

static inline uint32_t flow_unacked(const struct flow_side *side) {
    bool known = side->high_known && side->acked_known && seq_after(side->high, side->acked);
    return known ? side->high - side->acked : 0;
}

#endif
