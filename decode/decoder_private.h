/* decoder_private.h - what the files of the decoder share; nobody else includes this.
 *
 *   decoder.c         a packet's flow, and the short way of nearly all segments
 *   decoder_tcp.c     what a segment tells about its connection
 *   decoder_order.c   its bytes, in the order of the conversation, to the protocol */
#ifndef BUSTAP_DECODE_DECODER_PRIVATE_H
#define BUSTAP_DECODE_DECODER_PRIVATE_H

#include "decode/decoder.h"
#include "decode/emitter.h"
#include "decode/flow_table.h"
#include "decode/net.h"
#include "decode/proto.h"
#include "decode/resp.h"

struct decoder {
    struct net *net;
    struct flow_table *flows;
    struct emitter out;
    struct pool pool; /* of what streams and protocols hold */
    struct pool acks; /* of what waits to be acknowledged */
    struct resp_tools resp;
    struct command_index *commands;
    uint8_t client_ports[CLIENT_PORTS];
    bool freeing; /* nobody listens any more */
    struct decoder_stats stats;

    /* the segment in hand, for the stream's callbacks */
    bool skimmed; /* see struct packet */
    struct flow *flow;
    unsigned direction;
    uint32_t heard; /* as in struct stream_sink */
};

/* ---- decoder_order.c ---- */

/* The payload of a segment that begins at `seq`, into its stream. Returns a set of stream_note. */
unsigned decoder_feed(struct decoder *d, struct flow *flow, unsigned direction,
                      const struct segment *segment, uint32_t seq);

/* Hands on what need not wait any more: a request brings its reply, which may bring the next
 * request. Where both could go on, what came first does. */
void decoder_release(struct decoder *d, struct flow *flow);

/* The direction's bytes before `until` that are missing will not come any more. */
void decoder_give_up(struct decoder *d, struct flow *flow, unsigned direction, uint32_t until);

/* Up to where the stream misses bytes that nothing will bring any more; its `next` if it does not:
 * the peer has acknowledged them, or the peer's direction is not captured at all. */
uint32_t decoder_hole_end(const struct flow_side *side);

/* All that is held is handed on, and the protocol told that both directions end. */
void decoder_flush(struct decoder *d, struct flow *flow);

/* Tells the protocol how far the peer has acknowledged what was handed on. */
void decoder_tell_acked(struct decoder *d, struct flow *flow, unsigned direction);

static inline void tell_acked(struct decoder *d, struct flow *flow, unsigned direction) {
    if (flow->proto && flow->proto->acked)
        decoder_tell_acked(d, flow, direction);
}

/* ---- decoder_tcp.c ---- */

/* All that a segment of this flow tells. */
void decoder_segment(struct decoder *d, struct flow *flow, unsigned direction,
                     const struct segment *segment);

/* For the flow table: a flow ends, whose memory is freed next. */
void decoder_flow_end(void *context, struct flow *flow);

/* What tells a packet from a later one with the same bytes. */
static inline uint32_t tag_of(const struct segment *segment) {
    return segment->ip_id << 16 ^ (segment->has_timestamp ? segment->timestamp : 0);
}

static inline void take_rtt(struct flow_side *side, nstime now) {
    spread_add(&side->stats.rtt, now - side->timed_since);
    side->timed_since = TIME_NONE;
}

static inline void move_acked(struct decoder *d, struct flow *flow, unsigned acked_direction,
                              const struct segment *segment) {
    struct flow_side *side = &flow->sides[acked_direction];
    side->acked = segment->ack;
    if (side->timed_since != TIME_NONE && !seq_after(side->timed_end, segment->ack))
        take_rtt(side, segment->time);
    tell_acked(d, flow, acked_direction);
}

/* This end has sent more than ever before. */
static inline void move_high(struct flow_side *side, uint32_t end, nstime now) {
    side->high = end;
    if (side->timed_since == TIME_NONE) {
        side->timed_since = now;
        side->timed_end = end;
    }
}

#endif
