/* decoder_order.c - a connection's bytes on their way to its protocol, in the order of the
 * conversation.
 *
 * A capture may have an answer before what it answers. Its ACK tells: what speaks of bytes that did
 * not come by yet waits for them; it is held, though it is due. It ends in one of two ways:
 *
 *   they come      both directions go on in the order of their ACKs, that of the conversation
 *   they are lost  the gap is told, and then likewise
 *
 * So the protocol has all in the order of the conversation, as if nothing were missing, and gaps at
 * their places in it. */
#include "decode/decoder_private.h"

/* May what one end says answer the other? While the protocol is not told yet, it may. */
static bool is_talk(const struct flow *flow) {
    return flow->proto ? flow->proto->is_talk && flow->proto->is_talk(flow) : flow->sniffing;
}

static void feed(struct decoder *d, struct bytes view) {
    if (LIKELY(d->flow->proto))
        d->flow->proto->feed(&d->out, d->flow, d->direction, view);
    else if (d->flow->sniffing)
        proto_sniff(&d->out, d->flow, d->direction, view);
}

struct moment {
    nstime time;
    uint64_t frame;
};

/* What was held of a talk is told as of the packet in which it came. The moment to go back to. */
static struct moment go_back(struct decoder *d, const struct held *held) {
    struct moment now = {d->out.time, d->out.frame};
    if (held && is_talk(d->flow)) {
        d->out.time = held->time;
        d->out.frame = held->frame;
    }
    return now;
}

static void go_on(struct decoder *d, struct moment now) {
    d->out.time = now.time;
    d->out.frame = now.frame;
}

static void on_bytes(void *context, struct bytes view, const struct held *held) {
    struct decoder *d = context;
    d->flow->sides[d->direction].heard = held ? held->heard : d->heard;
    if (LIKELY(!held)) {
        feed(d, view);
        return;
    }
    struct moment now = go_back(d, held);
    feed(d, view);
    go_on(d, now);
}

/* The protocol is told of the bytes that are missing. */
static void pass_over(struct decoder *d, uint64_t len, enum stream_skip why,
                      const struct held *held) {
    struct moment now = go_back(d, held);
    if (why == SKIP_SNAPLEN)
        d->flow->sides[d->direction].heard = held ? held->heard : d->heard;
    d->flow->proto->skip(&d->out, d->flow, d->direction, len, why);
    go_on(d, now);
}

static void on_skip(void *context, uint64_t len, enum stream_skip why, const struct held *held) {
    struct decoder *d = context;
    struct tcp_stats *stats = &d->flow->sides[d->direction].stats;
    if (why == SKIP_LOST) {
        stats->gaps++;
        stats->gap_bytes += len;
    }
    struct event event = {.type = EV_tcp_gap,
                          .tcp_gap = {.bytes = len, .why = why == SKIP_LOST ? "lost" : "snaplen"}};
    /* Of a stream that nobody decodes bytes are skipped because they are not kept, or because the
     * capture was cut by intent (-s): an event for each packet would say nothing. Nor of the inside
     * of values that a live capture leaves out. */
    if (why == SKIP_LOST || (d->flow->proto && !d->skimmed))
        emit_event(&d->out, d->flow, d->direction, &event);
    if (d->flow->proto)
        pass_over(d, len, why, held);
    else
        proto_sniff_skip(d->flow, d->direction);
}
static struct stream_sink sink_for(struct decoder *d, struct flow *flow, unsigned direction) {
    d->flow = flow;
    d->direction = direction;
    return (struct stream_sink){.bytes = on_bytes,
                                .skip = on_skip,
                                .context = d,
                                .pool = &d->pool,
                                .frame = d->out.frame,
                                .time = d->out.time};
}

void decoder_tell_acked(struct decoder *d, struct flow *flow, unsigned direction) {
    const struct flow_side *side = &flow->sides[direction];
    if (!side->acked_known || !side->stream.started)
        return;
    int32_t behind = (int32_t)(side->stream.next - side->acked);
    uint64_t back = behind > 0 ? (uint64_t)behind : 0;
    if (back <= side->stream.offset)
        flow->proto->acked(&d->out, flow, direction, side->stream.offset - back);
}

static bool may_wait(const struct flow *flow) {
    return flow->sides[0].stream.started && flow->sides[1].stream.started && is_talk(flow);
}

/* Up to where the direction has been handed on; its FIN counts. */
static uint32_t said_by(const struct flow_side *side) {
    return side->stream.next + (side->fin && side->fin_seq == side->stream.next);
}

/* A FIN takes a number, and is no byte. */
static inline uint32_t before_fin(const struct flow_side *side, uint32_t seq) {
    return seq - (side->fin && seq == side->fin_seq + 1);
}

/* The sender has heard bytes of the peer that did not come by yet: it may be answering them, also
 * with the first thing it says. */
static inline bool may_answer(const struct flow *flow, unsigned direction) {
    const struct flow_side *peer = &flow->sides[!direction];
    return UNLIKELY(peer->acked_known && seq_after(peer->acked, peer->stream.next)) &&
           peer->stream.started && is_talk(flow);
}

/* Up to where the sender of the segment had the peer's bytes. An ACK that is not believed, or none,
 * is no reason to wait. */
static uint32_t heard_by(const struct flow_side *peer, const struct segment *segment) {
    if (!(segment->flags & TCP_ACK) || !peer->acked_known)
        return said_by(peer);
    return seq_after(segment->ack, peer->acked) ? peer->acked : segment->ack;
}

/* Hands on the direction's next segment, if it is there. Patient: unless it has to wait (still).
 * False: there was nothing to hand on. */
static bool release_one(struct decoder *d, struct flow *flow, unsigned direction, bool patient) {
    struct stream_sink sink = sink_for(d, flow, direction);
    sink.said = said_by(&flow->sides[!direction]);
    sink.patient = patient;
    return stream_release_one(&flow->sides[direction].stream, &sink);
}

/* The direction whose first held segment was captured first. */
static unsigned first_held(const struct flow *flow) {
    const struct held *a = flow->sides[0].stream.held, *b = flow->sides[1].stream.held;
    return !a || (b && a->frame > b->frame);
}

/* Each direction waits for the other, and nothing is missing: a request that was sent again, or
 * made one segment with a later one, has an ACK that speaks of its own reply. Who opened the
 * connection asks, and goes first; else what came first. */
static bool release_knot(struct decoder *d, struct flow *flow) {
    bool knot = stream_is_due(&flow->sides[0].stream) && stream_is_due(&flow->sides[1].stream);
    bool known = flow->connector != FLOW_CONNECTOR_UNKNOWN;
    return knot &&
           release_one(d, flow, known ? (unsigned)flow->connector : first_held(flow), false);
}

void decoder_release(struct decoder *d, struct flow *flow) {
    unsigned first;
    do
        first = first_held(flow);
    while (release_one(d, flow, first, may_wait(flow)) ||
           release_one(d, flow, !first, may_wait(flow)) || release_knot(d, flow));
}

/* The direction's next hole, before `until`, becomes a gap. */
static bool skip_hole(struct decoder *d, struct flow *flow, unsigned direction, uint32_t until) {
    struct stream_sink sink = sink_for(d, flow, direction);
    return stream_skip_hole(&flow->sides[direction].stream, until, &sink);
}

/* What is due waits for bytes of the peer: those will not come any more, either. */
static void skip_awaited(struct decoder *d, struct flow *flow, unsigned direction) {
    const struct flow_side *peer = &flow->sides[!direction];
    uint32_t heard = flow->sides[direction].stream.held->heard;
    if (!skip_hole(d, flow, !direction, before_fin(peer, heard)))
        release_one(d, flow, direction, false);
}

void decoder_give_up(struct decoder *d, struct flow *flow, unsigned direction, uint32_t until) {
    struct stream *stream = &flow->sides[direction].stream;
    struct stream_sink sink = sink_for(d, flow, direction);
    if (!may_wait(flow)) {
        stream_give_up(stream, until, &sink);
        return;
    }
    while (seq_after(until, stream->next)) {
        if (!skip_hole(d, flow, direction, until))
            skip_awaited(d, flow, direction);
        decoder_release(d, flow);
    }
}

uint32_t decoder_hole_end(const struct flow_side *side) {
    const struct stream *stream = &side->stream;
    if (LIKELY(side->acked_known && !seq_after(side->acked, stream->next)) || !stream->started)
        return stream->next;
    if (side->acked_known)
        return before_fin(side, side->acked);
    return stream->held ? stream->held->seq : stream->next;
}

/* What is in the way of the first held segment: the hole before it; then itself, if it waits. The
 * end of one that is far ahead may look as if it lay behind: the numbers wrap. */
static uint32_t next_stop(const struct stream *stream) {
    const struct held *held = stream->held;
    return seq_after(held->seq, stream->next) ? held->seq : held->seq + held->len;
}

/* All that is held, as it came. */
static void flush_held(struct decoder *d, struct flow *flow) {
    decoder_release(d, flow);
    while (flow->sides[0].stream.held || flow->sides[1].stream.held) {
        unsigned first = first_held(flow);
        decoder_give_up(d, flow, first, next_stop(&flow->sides[first].stream));
    }
}

void decoder_flush(struct decoder *d, struct flow *flow) {
    flush_held(d, flow);
    for (unsigned direction = 0; direction < 2; direction++)
        decoder_give_up(d, flow, direction, decoder_hole_end(&flow->sides[direction]));
    for (unsigned direction = 0; direction < 2; direction++) {
        if (flow->proto)
            flow->proto->end(&d->out, flow, direction);
        tell_acked(d, flow, direction);
    }
}

unsigned decoder_feed(struct decoder *d, struct flow *flow, unsigned direction,
                      const struct segment *segment, uint32_t seq) {
    struct stream_sink sink = sink_for(d, flow, direction);
    sink.patient = may_answer(flow, direction);
    sink.heard = d->heard = heard_by(&flow->sides[!direction], segment);
    sink.said = said_by(&flow->sides[!direction]);
    return stream_feed(&flow->sides[direction].stream, seq, segment->payload, segment->payload_len,
                       &sink);
}
