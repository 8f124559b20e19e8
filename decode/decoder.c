/* decoder.c - the packet's way through decode/: segment, flow, stream, protocol.
 *
 * This file finds the flow of a segment, and takes the short way where nothing is out of order. */
#include "decode/decoder_private.h"

#include <stdlib.h>

#include "base/limits.h"

/* The age lists need not be exact to the packet. */
#define TOUCH_EVERY NS_PER_SEC

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

/* Data of a closed connection that is far from where it ended, and not of what it has yet to get
 * through: another one has its ports, whose SYN was not captured. */
static bool is_foreign(const struct flow *flow, unsigned direction, const struct segment *segment) {
    const struct flow_side *side = &flow->sides[direction];
    uint32_t next = side->stream.next, distance = segment->seq - next;
    bool near = distance <= CAP_REORDER_BYTES || -distance <= CAP_REORDER_BYTES;
    bool unacked = side->acked_known && seq_after(next, side->acked) &&
                   segment->seq - side->acked < next - side->acked;
    return segment->payload_len > 0 && side->stream.started && !near && !unacked;
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
    bool aged = segment->time - flow->touched > TOUCH_EVERY;
    decoder_segment(d, flow, direction, segment);
    if (UNLIKELY(aged || flow->list == FLOW_IDLE || flow->close != FLOW_OPEN))
        touch(d, flow);
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
    d->flows = flow_table_new(key, &d->pool, decoder_flow_end, d);
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
    decoder_flush(context, flow);
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
