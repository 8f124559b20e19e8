/* decoder_tcp.c - what a segment tells about its connection: who opened it, how it ended, what was
 * acknowledged, repeated, lost. It reads both directions of a connection and trusts neither. */
#include "decode/decoder_private.h"

#include <stdlib.h>

#include "base/limits.h"

/* A hole that the peer has acknowledged was lost to the capture, not to the connection; but a
 * capture may deliver packets out of order: so wait for so many packets or so long. */
enum { HOLE_PACKETS = 64 };
#define HOLE_WAIT NS_PER_SEC

/* The same packet captured on two interfaces comes twice within this time. */
#define DUPLICATE_WITHIN (50 * NS_PER_MS)

/* What is further away than windows usually are may belong to something else. */
#define FAR_AHEAD (UINT32_C(16) << 20)

/* ---- the end of a connection ---- */

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

void decoder_flow_end(void *context, struct flow *flow) {
    struct decoder *d = context;
    struct event event = {.type = EV_flow_end};
    if (!d->freeing)
        decoder_flush(d, flow);
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
    decoder_flush(d, flow);
    if (first)
        emit_close(d, flow, direction);
}

/* A FIN counts once all bytes before it are there. What waits for more of them waits in vain. */
static void check_fin(struct decoder *d, struct flow *flow, unsigned direction) {
    const struct flow_side *side = &flow->sides[direction];
    if (!side->fin || seq_after(side->fin_seq, side->stream.next))
        return;
    if (note_close(flow, FLOW_FIN))
        emit_close(d, flow, direction);
    if (flow->proto)
        flow->proto->end(&d->out, flow, direction);
}

/* ---- its start ---- */

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
    } else if (!answer && !twice && ++flow->syns == 1) {
        event.type = EV_tcp_tried;
        emit_event(&d->out, flow, direction, &event);
    } else if (!answer && !twice && !flow->accepted) {
        event.type = EV_tcp_unanswered;
        event.tcp_unanswered.syns = flow->syns;
        emit_event(&d->out, flow, direction, &event);
    }
}

/* ---- what each segment tells ---- */

/* An ACK far ahead of what was seen may be one stray packet; the next ones tell. */
static bool is_stray_ack(struct flow_side *side, uint32_t ack) {
    if (!side->stream.started || ack - side->stream.next <= FAR_AHEAD)
        return false;
    bool again = side->far_known && ack - side->far_ack <= FAR_AHEAD;
    side->far_known = true;
    side->far_ack = ack;
    return !again;
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
    unsigned notes = decoder_feed(d, flow, direction, segment, seq);
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
    decoder_give_up(d, flow, direction, side->hole_until);
    catch_up(d, flow);
}

static void check_holes(struct decoder *d, struct flow *flow) {
    flow->holed = false;
    for (unsigned direction = 0; direction < 2; direction++) {
        const struct stream *stream = &flow->sides[direction].stream;
        uint32_t until = decoder_hole_end(&flow->sides[direction]);
        if (until == stream->next || stream_is_due(stream)) /* the hole is the peer's */
            continue;
        on_hole(d, flow, direction, until);
        flow->holed |= stream->held || decoder_hole_end(&flow->sides[direction]) != stream->next;
    }
}

void decoder_segment(struct decoder *d, struct flow *flow, unsigned direction,
                     const struct segment *segment) {
    struct flow_side *side = &flow->sides[direction];
    flow->before = flow->last;
    flow->last = segment->time;
    if (segment->flags & TCP_ACK)
        on_ack(d, flow, !direction, segment);
    if (segment->flags & TCP_RST) {
        on_reset(d, flow, direction, segment->seq);
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
        decoder_release(d, flow);
        catch_up(d, flow);
    }
    if (side->fin)
        check_fin(d, flow, direction);
    if (UNLIKELY(flow->holed))
        check_holes(d, flow);
}
