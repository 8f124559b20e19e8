/* decoder.c - the packet's way through decode/: segment, flow, stream, protocol.
 *
 * This file keeps what TCP tells about a connection: who opened it, how it ended, what was
 * acknowledged, repeated, lost. It reads both directions of a connection and trusts neither. */
#include "decode/decoder.h"

#include <stdlib.h>

#include "base/limits.h"
#include "decode/emitter.h"
#include "decode/flow_table.h"
#include "decode/net.h"
#include "decode/proto.h"
#include "decode/resp.h"

/* A hole that the peer has acknowledged was lost to the capture, not to the connection; but a
 * capture may deliver packets out of order: so wait for so many packets or so long. */
enum { HOLE_PACKETS = 64 };
#define HOLE_WAIT NS_PER_SEC

/* The same packet captured on two interfaces comes twice within this time. */
#define DUPLICATE_WITHIN (50 * NS_PER_MS)

/* What is further away than windows usually are may belong to something else. */
#define FAR_AHEAD (UINT32_C(16) << 20)

/* The age lists need not be exact to the packet. */
#define TOUCH_EVERY NS_PER_SEC

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

/* ---- streams to protocols ---- */

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

/* What was held of a talk is told as of the packet in which it came. */
static void feed_held(struct decoder *d, struct bytes view, const struct held *held) {
    nstime now = d->out.time;
    uint64_t frame = d->out.frame;
    d->out.time = held->time;
    d->out.frame = held->frame;
    feed(d, view);
    d->out.time = now;
    d->out.frame = frame;
}

static void on_bytes(void *context, struct bytes view, const struct held *held) {
    struct decoder *d = context;
    d->flow->sides[d->direction].heard = held ? held->heard : d->heard;
    if (held && is_talk(d->flow))
        feed_held(d, view, held);
    else
        feed(d, view);
}

static void on_skip(void *context, uint64_t len, enum stream_skip why) {
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
        d->flow->proto->skip(&d->out, d->flow, d->direction, len, why);
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

/* Tells the protocol how far the peer has acknowledged what was handed on. */
static void tell_proto_acked(struct decoder *d, struct flow *flow, unsigned direction) {
    const struct flow_side *side = &flow->sides[direction];
    if (!side->acked_known || !side->stream.started)
        return;
    int32_t behind = (int32_t)(side->stream.next - side->acked);
    uint64_t back = behind > 0 ? (uint64_t)behind : 0;
    if (back <= side->stream.offset)
        flow->proto->acked(&d->out, flow, direction, side->stream.offset - back);
}

static inline void tell_acked(struct decoder *d, struct flow *flow, unsigned direction) {
    if (flow->proto && flow->proto->acked)
        tell_proto_acked(d, flow, direction);
}

/* ---- the order of two directions ----
 *
 * A capture may have an answer before what it answers. Its ACK tells: what speaks of bytes that did
 * not come by yet waits for them; it is held, though it is due. It ends in one of two ways:
 *
 *   they come      both directions go on in the order of their ACKs, that of the conversation
 *   they are lost  the gap is told, and then likewise
 *
 * So the protocol has all in the order of the conversation, as if nothing were missing, and gaps at
 * their places in it. */

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

/* The sender has heard bytes of the peer that did not come by yet: it may be answering them. */
static inline bool may_answer(const struct flow *flow, unsigned direction) {
    const struct flow_side *peer = &flow->sides[!direction];
    return UNLIKELY(peer->acked_known && seq_after(peer->acked, peer->stream.next)) &&
           may_wait(flow);
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

/* Hands on what need not wait any more: a request brings its reply, which may bring the next
 * request. Where both could go on, what came first does. */
static void release(struct decoder *d, struct flow *flow) {
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

/* The direction's bytes before `until` that are missing will not come any more. */
static void give_up(struct decoder *d, struct flow *flow, unsigned direction, uint32_t until) {
    struct stream *stream = &flow->sides[direction].stream;
    struct stream_sink sink = sink_for(d, flow, direction);
    if (!may_wait(flow)) {
        stream_give_up(stream, until, &sink);
        return;
    }
    while (seq_after(until, stream->next)) {
        if (!skip_hole(d, flow, direction, until))
            skip_awaited(d, flow, direction);
        release(d, flow);
    }
}

/* ---- the end of a connection ---- */

/* Up to where the stream misses bytes that nothing will bring any more; its `next` if it does not:
 * the peer has acknowledged them, or the peer's direction is not captured at all. */
static inline uint32_t hole_end(const struct flow_side *side) {
    const struct stream *stream = &side->stream;
    if (LIKELY(side->acked_known && !seq_after(side->acked, stream->next)) || !stream->started)
        return stream->next;
    if (side->acked_known)
        return before_fin(side, side->acked);
    return stream->held ? stream->held->seq : stream->next;
}

/* False: it was closed already. */
static bool note_close(struct flow *flow, enum flow_close close) {
    bool open = flow->close == FLOW_OPEN;
    if (open)
        flow->close = (uint8_t)close;
    return open;
}

static void emit_close(struct decoder *d, struct flow *flow, unsigned direction) {
    bool refused = flow->close == FLOW_REFUSED;
    struct event event = {.type = refused ? EV_tcp_refused : EV_tcp_close};
    if (!refused)
        event.tcp_close.how = flow->close == FLOW_FIN ? "fin" : "reset";
    emit_event(&d->out, flow, direction, &event);
}

/* All that is held, as it came. */
static void flush_held(struct decoder *d, struct flow *flow) {
    release(d, flow);
    while (flow->sides[0].stream.held || flow->sides[1].stream.held) {
        unsigned first = first_held(flow);
        const struct held *held = flow->sides[first].stream.held;
        give_up(d, flow, first, held->seq + held->len);
    }
}

static void flush(struct decoder *d, struct flow *flow) {
    flush_held(d, flow);
    for (unsigned direction = 0; direction < 2; direction++)
        give_up(d, flow, direction, hole_end(&flow->sides[direction]));
    for (unsigned direction = 0; direction < 2; direction++) {
        if (flow->proto)
            flow->proto->end(&d->out, flow, direction);
        tell_acked(d, flow, direction);
    }
}

static void on_flow_end(void *context, struct flow *flow) {
    struct decoder *d = context;
    struct event event = {.type = EV_flow_end};
    if (!d->freeing)
        flush(d, flow);
    emit_event(&d->out, flow, 0, &event);
    if (flow->proto && flow->proto->close)
        flow->proto->close(&d->out, flow);
    free(flow->sides[0].sniffed);
    free(flow->sides[1].sniffed);
}

static void on_reset(struct decoder *d, struct flow *flow, unsigned direction, uint32_t seq) {
    const struct flow_side *peer = &flow->sides[!direction];
    const struct stream *stream = &flow->sides[direction].stream;
    uint32_t distance = seq - stream->next;
    if (stream->started && distance > FAR_AHEAD && -distance > FAR_AHEAD)
        return; /* nobody's: the receiver ignores it, too */
    bool refused = !flow->accepted && peer->syn && !peer->stream.offset;
    bool first = note_close(flow, refused ? FLOW_REFUSED : FLOW_RESET);
    flush(d, flow);
    if (first)
        emit_close(d, flow, direction);
}

/* A FIN counts once all bytes before it are there. */
static void check_fin(struct decoder *d, struct flow *flow, unsigned direction) {
    const struct flow_side *side = &flow->sides[direction];
    bool closes = side->fin && !seq_after(side->fin_seq, side->stream.next);
    if (closes && note_close(flow, FLOW_FIN))
        emit_close(d, flow, direction);
}

/* ---- the start of a connection ---- */

/* What tells a packet from a later one with the same bytes. */
static inline uint32_t tag_of(const struct segment *segment) {
    return segment->ip_id << 16 ^ (segment->has_timestamp ? segment->timestamp : 0);
}

/* Is this SYN the one of the connection that we know (again, or late), not that of a new one? */
static bool is_own_syn(const struct flow *flow, unsigned direction, uint32_t isn) {
    const struct flow_side *side = &flow->sides[direction];
    if (side->syn)
        return side->isn == isn;
    if (!side->stream.started)
        return flow->close == FLOW_OPEN;
    return side->stream.next - (isn + 1) <= CAP_REORDER_BYTES;
}

static void on_syn(struct decoder *d, struct flow *flow, unsigned direction,
                   const struct segment *segment) {
    struct flow_side *side = &flow->sides[direction];
    bool answer = segment->flags & TCP_ACK;
    flow->connector = (int8_t)(answer ? !direction : direction);
    uint32_t tag = tag_of(segment);
    bool twice = side->syn && tag && side->syn_tag == tag;
    side->isn = segment->seq;
    side->syn_tag = tag;
    side->syn = true;
    if (!side->stream.started)
        stream_start(&side->stream, segment->seq + 1, true);
    flow->holed = true; /* an ACK may have come before */
    struct event event = {.type = EV_tcp_open};
    if (answer && !flow->accepted) {
        flow->accepted = true;
        emit_event(&d->out, flow, (unsigned)flow->connector, &event);
    } else if (!answer && !twice && ++flow->syns > 1 && !flow->accepted) {
        event.type = EV_tcp_unanswered;
        event.tcp_unanswered.syns = flow->syns;
        emit_event(&d->out, flow, direction, &event);
    }
}

/* ---- what each segment tells ---- */

static void take_rtt(struct flow_side *side, nstime now) {
    spread_add(&side->stats.rtt, now - side->timed_since);
    side->timed_since = TIME_NONE;
}

/* An ACK far ahead of what was seen may be one stray packet; the next ones tell. */
static bool is_stray_ack(struct flow_side *side, uint32_t ack) {
    if (!side->stream.started || ack - side->stream.next <= FAR_AHEAD)
        return false;
    bool again = side->far_known && ack - side->far_ack <= FAR_AHEAD;
    side->far_known = true;
    side->far_ack = ack;
    return !again;
}

static inline void move_acked(struct decoder *d, struct flow *flow, unsigned acked_direction,
                              const struct segment *segment) {
    struct flow_side *side = &flow->sides[acked_direction];
    side->acked = segment->ack;
    if (side->timed_since != TIME_NONE && !seq_after(side->timed_end, segment->ack))
        take_rtt(side, segment->time);
    tell_acked(d, flow, acked_direction);
}

/* The segment acknowledges what the other side has sent. */
static void on_ack(struct decoder *d, struct flow *flow, unsigned acked_direction,
                   const struct segment *segment) {
    struct flow_side *side = &flow->sides[acked_direction];
    uint32_t ack = segment->ack;
    if (UNLIKELY(!side->stream.started) && (!side->acked_known || seq_after(side->first, ack)))
        side->first = ack;
    if (side->acked_known && !seq_after(ack, side->acked))
        return;
    if (UNLIKELY(seq_after(ack, side->stream.next))) {
        if (is_stray_ack(side, ack))
            return;
        flow->holed = true;
    }
    side->acked_known = true;
    move_acked(d, flow, acked_direction, segment);
}

static void on_window(struct decoder *d, struct flow *flow, unsigned direction, uint16_t window) {
    struct flow_side *side = &flow->sides[direction];
    bool closed = window == 0;
    if (LIKELY(closed == side->window_closed))
        return;
    side->window_closed = closed;
    if (closed) {
        struct event event = {.type = EV_tcp_zero_window};
        side->stats.zero_windows++;
        emit_event(&d->out, flow, direction, &event);
    }
}

static const struct {
    unsigned note;
    enum anomaly anomaly;
} note_anomalies[] = {
    {STREAM_CONFLICT, AN_tcp_overlap},
    {STREAM_REORDER_CAP, AN_tcp_reorder_cap},
    {STREAM_NOT_HELD, AN_held_cap},
    {STREAM_WAIT_CAP, AN_tcp_wait_cap},
};

static void on_notes(struct decoder *d, struct flow *flow, unsigned direction, unsigned notes) {
    struct flow_side *side = &flow->sides[direction];
    bool twice = notes & STREAM_TWICE && d->out.time - flow->before <= DUPLICATE_WITHIN;
    side->stats.early += (notes & STREAM_EARLY) != 0;
    side->stats.duplicates += twice;
    if (notes & STREAM_OLD && !twice) {
        side->stats.retransmits += !(notes & STREAM_KEEPALIVE);
        side->timed_since = TIME_NONE; /* the ACK could be for either copy (Karn) */
    }
    for (size_t i = 0; i < countof(note_anomalies); i++) {
        if (notes & note_anomalies[i].note)
            emit_anomaly(&d->out, flow, direction, note_anomalies[i].anomaly, side->stream.offset);
    }
}

/* A SYN takes a sequence number itself; data may come with it (TCP fast open). */
static uint32_t first_seq(const struct segment *segment) {
    return segment->seq + ((segment->flags & TCP_SYN) != 0);
}

/* The ACK of what came now may have come before it. */
static inline void check_early_ack(struct decoder *d, struct flow *flow, unsigned direction,
                                   uint32_t seq) {
    const struct flow_side *side = &flow->sides[direction];
    if (LIKELY(!side->acked_known || !seq_after(side->acked, seq)))
        return;
    flow->holed = true;
    tell_acked(d, flow, direction);
}

/* This end has sent more than ever before. */
static inline void move_high(struct flow_side *side, uint32_t end, nstime now) {
    side->high = end;
    if (side->timed_since == TIME_NONE) {
        side->timed_since = now;
        side->timed_end = end;
    }
}

/* The SYN that would tell where the stream begins was lost; the peer's SYN was not, so that its
 * least ACK tells. */
static void start_unseen(struct flow_side *side, uint32_t seq) {
    stream_start(&side->stream, seq_after(side->first, seq) ? seq : side->first, false);
}

static void on_payload(struct decoder *d, struct flow *flow, unsigned direction,
                       const struct segment *segment) {
    struct flow_side *side = &flow->sides[direction];
    uint32_t seq = first_seq(segment), end = seq + segment->payload_len;
    side->stats.bytes += segment->payload_len;
    side->stats.snaplen_bytes += segment->payload_len - segment->payload.len;
    if (!side->high_known || seq_after(end, side->high)) {
        side->high_known = true;
        move_high(side, end, segment->time);
    }
    if (UNLIKELY(!side->stream.started) && side->acked_known && flow->sides[!direction].syn)
        start_unseen(side, seq);
    bool whole = segment->payload.len == segment->payload_len;
    if (whole && stream_pass(&side->stream, seq, segment->payload_len))
        return;
    side->stream.tag = tag_of(segment);
    struct stream_sink sink = sink_for(d, flow, direction);
    sink.patient = may_answer(flow, direction);
    sink.heard = d->heard = heard_by(&flow->sides[!direction], segment);
    sink.said = said_by(&flow->sides[!direction]);
    unsigned notes = stream_feed(&side->stream, seq, segment->payload, segment->payload_len, &sink);
    flow->holed |= side->stream.held != NULL;
    if (UNLIKELY(notes))
        on_notes(d, flow, direction, notes);
    check_early_ack(d, flow, direction, seq);
}

/* What was handed on now may be acknowledged already, or end its direction. */
static void catch_up(struct decoder *d, struct flow *flow) {
    for (unsigned direction = 0; direction < 2; direction++) {
        tell_acked(d, flow, direction);
        check_fin(d, flow, direction);
    }
}

/* Gives up a hole that is old enough: see HOLE_PACKETS. */
static void on_hole(struct decoder *d, struct flow *flow, unsigned direction, uint32_t until) {
    struct flow_side *side = &flow->sides[direction];
    bool filled = !seq_after(side->hole_until, side->stream.next);
    bool stale = seq_after(side->hole_until, until);        /* of a hole long ago */
    if (side->hole_since == TIME_NONE || filled || stale) { /* a younger hole waits anew */
        side->hole_since = d->out.time;
        side->hole_packets = 0;
        side->hole_until = until;
    }
    if (++side->hole_packets <= HOLE_PACKETS && d->out.time - side->hole_since <= HOLE_WAIT)
        return;
    side->hole_since = TIME_NONE;
    give_up(d, flow, direction, side->hole_until);
    catch_up(d, flow);
}

static void check_holes(struct decoder *d, struct flow *flow) {
    flow->holed = false;
    for (unsigned direction = 0; direction < 2; direction++) {
        const struct stream *stream = &flow->sides[direction].stream;
        uint32_t until = hole_end(&flow->sides[direction]);
        if (until == stream->next || stream_is_due(stream)) /* the hole is the peer's */
            continue;
        on_hole(d, flow, direction, until);
        flow->holed |= stream->held || hole_end(&flow->sides[direction]) != stream->next;
    }
}

/* ---- the flow of a segment ---- */

static enum flow_rank rank_of(const struct flow *flow) {
    bool talked = flow->sides[0].high_known || flow->sides[1].high_known;
    if (flow->close != FLOW_OPEN || !talked)
        return FLOW_IDLE;
    return flow->proto ? FLOW_DECODED : FLOW_PLAIN;
}

static void touch(struct decoder *d, struct flow *flow) {
    flow->touched = flow->last;
    flow_touch(d->flows, flow, rank_of(flow));
}

static struct flow *new_flow(struct decoder *d, const struct segment *segment,
                             unsigned *ret_direction) {
    uint64_t evicted = flow_evicted(d->flows);
    struct flow *flow = flow_add(d->flows, &segment->src, &segment->dst, ret_direction);
    if (flow_evicted(d->flows) != evicted)
        emit_anomaly(&d->out, NULL, 0, AN_flow_evicted, 0);
    if (!flow) {
        emit_anomaly(&d->out, NULL, 0, AN_no_memory, 0);
        return NULL;
    }
    for (int i = 0; i < 2; i++)
        flow->sides[i].timed_since = flow->sides[i].hole_since = TIME_NONE;
    flow->first = flow->last = flow->touched = segment->time;
    flow->sniffing = true;
    d->stats.flows++;
    return flow;
}

/* Data of a closed connection that is far from where it ended: another one has its ports, whose
 * SYN was not captured. */
static bool is_foreign(const struct flow *flow, unsigned direction, const struct segment *segment) {
    const struct stream *stream = &flow->sides[direction].stream;
    uint32_t distance = segment->seq - stream->next;
    bool near = distance <= CAP_REORDER_BYTES || -distance <= CAP_REORDER_BYTES;
    return segment->payload_len > 0 && stream->started && !near;
}

/* The flow of the segment: the one that was found, one that it begins, or NULL if it is not worth
 * one. */
static struct flow *flow_of(struct decoder *d, const struct segment *segment, struct flow *flow,
                            unsigned *ret_direction) {
    bool syn = (segment->flags & (TCP_SYN | TCP_RST)) == TCP_SYN;
    if (LIKELY(flow && flow->close == FLOW_OPEN && !syn))
        return flow;
    if (flow && !syn && !is_foreign(flow, *ret_direction, segment))
        return flow;
    if (flow && (!syn || !is_own_syn(flow, *ret_direction, segment->seq))) {
        /* the ports are used again */
        flow_remove(d->flows, flow);
        flow = NULL;
    }
    bool worth = syn || (segment->payload_len > 0 && !(segment->flags & TCP_RST));
    if (!flow && worth)
        flow = new_flow(d, segment, ret_direction);
    return flow;
}

static void on_segment(struct decoder *d, struct flow *flow, unsigned direction,
                       const struct segment *segment) {
    struct flow_side *side = &flow->sides[direction];
    bool aged = segment->time - flow->touched > TOUCH_EVERY;
    flow->before = flow->last;
    flow->last = segment->time;
    if (segment->flags & TCP_ACK)
        on_ack(d, flow, !direction, segment);
    if (segment->flags & TCP_RST) {
        on_reset(d, flow, direction, segment->seq);
        touch(d, flow);
        return;
    }
    if (segment->flags & TCP_SYN)
        on_syn(d, flow, direction, segment);
    else
        on_window(d, flow, direction, segment->window);
    if (segment->payload_len > 0)
        on_payload(d, flow, direction, segment);
    if (segment->flags & TCP_FIN) {
        side->fin = true;
        side->fin_seq = first_seq(segment) + segment->payload_len;
    }
    if (UNLIKELY(flow->holed)) {
        release(d, flow);
        catch_up(d, flow);
    }
    if (side->fin)
        check_fin(d, flow, direction);
    if (UNLIKELY(flow->holed))
        check_holes(d, flow);
    if (UNLIKELY(aged || flow->list == FLOW_IDLE || flow->close != FLOW_OPEN))
        touch(d, flow);
}

/* ---- the short way of nearly all segments: data or an ACK, in order, where nothing is missing
 * ---- */

static bool is_smooth_side(const struct flow_side *side) {
    const struct stream *stream = &side->stream;
    bool in_order = stream->started && !stream->held && !stream->ranges_only;
    bool known = side->high_known && side->acked_known && side->high == stream->next;
    return in_order && known && !side->fin && !side->window_closed;
}

/* Looked at after each segment that went the long way: all that could change it does. */
static bool is_smooth(const struct flow *flow) {
    return flow->proto && flow->close == FLOW_OPEN && flow->list != FLOW_IDLE && !flow->holed &&
           is_smooth_side(&flow->sides[0]) && is_smooth_side(&flow->sides[1]);
}

/* Does the segment leave the flow as smooth as it is? */
static inline bool goes_on(const struct flow *flow, unsigned direction,
                           const struct segment *segment) {
    const struct flow_side *peer = &flow->sides[!direction];
    const unsigned special = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK;
    return flow->smooth && flow->proto && (segment->flags & special) == TCP_ACK &&
           segment->seq == flow->sides[direction].stream.next && segment->window != 0 &&
           segment->payload.len == segment->payload_len &&
           segment->ack - peer->acked <= peer->stream.next - peer->acked;
}

static inline void take_smooth(struct decoder *d, struct flow *flow, unsigned direction,
                               const struct segment *segment) {
    struct flow_side *side = &flow->sides[direction];
    flow->before = flow->last;
    flow->last = segment->time;
    if (segment->ack != flow->sides[!direction].acked)
        move_acked(d, flow, !direction, segment);
    if (LIKELY(segment->payload_len > 0)) {
        side->stats.bytes += segment->payload_len;
        move_high(side, segment->seq + segment->payload_len, segment->time);
        side->stream.tag = tag_of(segment);
        side->heard = segment->ack;
        stream_advance(&side->stream, segment->payload);
        flow->proto->feed(&d->out, flow, direction, segment->payload);
    }
    if (UNLIKELY(segment->time - flow->touched > TOUCH_EVERY))
        touch(d, flow);
}

/* The long way. */
static __attribute__((noinline)) void take_any(struct decoder *d, struct flow *flow,
                                               unsigned direction, const struct segment *segment) {
    flow = flow_of(d, segment, flow, &direction);
    if (!flow) {
        d->stats.stray_packets++;
        return;
    }
    on_segment(d, flow, direction, segment);
    flow->smooth = is_smooth(flow);
}

/* ---- public ---- */

struct decoder *decoder_new(struct siphash_key key, uint64_t wants, event_fn *emit, void *context) {
    struct decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->out.emit = emit;
    d->out.context = context;
    d->out.wants = wants;
    d->out.pool = &d->pool;
    d->out.acks = &d->acks;
    d->pool.max = CAP_HELD;
    d->acks.max = CAP_ACKS;
    d->resp.pool = &d->pool;
    d->out.resp = &d->resp;
    d->out.client_ports = d->client_ports;
    d->out.commands = d->commands = command_index_new();
    d->net = net_new();
    d->flows = flow_table_new(key, &d->pool, on_flow_end, d);
    if (!d->net || !d->flows || !d->commands) {
        decoder_free(d);
        return NULL;
    }
    return d;
}

void decoder_free(struct decoder *decoder) {
    if (!decoder)
        return;
    decoder->freeing = true;
    flow_table_free(decoder->flows);
    net_free(decoder->net);
    command_index_free(decoder->commands);
    pool_free(&decoder->pool);
    pool_free(&decoder->acks);
    free(decoder);
}

/* A flow that is expected next: what its own memory, which has arrived by now, points to. */
static void fetch_state(const struct flow *flow) {
    if (!flow->state)
        return;
    prefetch(flow->state, flow->proto->state_size);
    prefetch(flow->note, 1);
}

static void take_segment(struct decoder *d, const struct packet *packet,
                         const struct segment *segment) {
    unsigned direction;
    struct flow *flow = flow_find(d->flows, &segment->src, &segment->dst, &direction);
    d->stats.segments++;
    struct flow *next = flow_expect(d->flows, packet->ahead ? net_peek(packet->ahead) : 0);
    if (LIKELY(flow && goes_on(flow, direction, segment)))
        take_smooth(d, flow, direction, segment);
    else
        take_any(d, flow, direction, segment);
    if (UNLIKELY(next))
        fetch_state(next);
}

void decoder_packet(struct decoder *d, const struct packet *packet) {
    struct segment segment;
    enum anomaly anomaly;
    d->out.time = packet->time;
    d->out.frame = packet->frame;
    d->out.source = packet->source;
    d->skimmed = packet->skimmed;
    enum net_got got = net_decode(d->net, packet, &segment, &anomaly);
    if (UNLIKELY(anomaly != AN_NONE))
        emit_anomaly(&d->out, NULL, 0, anomaly, 0);
    if (got == NET_SEGMENT)
        take_segment(d, packet, &segment);
    else
        d->stats.other_packets++;
}

static void flush_flow(void *context, struct flow *flow) {
    flush(context, flow);
}

static void remove_flow(void *context, struct flow *flow) {
    struct decoder *d = context;
    flow_remove(d->flows, flow);
}

void decoder_each_flow(struct decoder *decoder, void (*visit)(void *context, struct flow *flow),
                       void *context) {
    flow_each(decoder->flows, visit, context);
}

void decoder_finish(struct decoder *decoder) {
    flow_each(decoder->flows, flush_flow, decoder);
    flow_each(decoder->flows, remove_flow, decoder);
}

struct decoder_stats decoder_stats(const struct decoder *decoder) {
    struct decoder_stats stats = decoder->stats;
    stats.flows_evicted = flow_evicted(decoder->flows);
    return stats;
}
