/* emitter.h - where events go, and the place of the packet that they come from. */
#ifndef BUSTAP_DECODE_EMITTER_H
#define BUSTAP_DECODE_EMITTER_H

#include "base/pool.h"
#include "decode/event.h"

struct flow;

struct emitter {
    event_fn *emit;
    void *context;
    nstime time;    /* of the packet in hand */
    uint64_t frame; /* likewise */
    uint16_t source;
    struct pool *pool; /* for bytes that a protocol holds, of all flows together */
    struct pool *acks; /* for what waits to be acknowledged, likewise: it may wait for ever */
};

/* Fills in the place and hands the event over; the caller has set type and fields. */
static inline void emit_event(const struct emitter *out, struct flow *flow, unsigned direction,
                              struct event *event) {
    event->direction = (uint8_t)direction;
    event->flow = flow;
    event->time = out->time;
    event->frame = out->frame;
    event->source = out->source;
    out->emit(out->context, event);
}

static inline void emit_anomaly(const struct emitter *out, struct flow *flow, unsigned direction,
                                enum anomaly name, uint64_t offset) {
    struct event event = {.type = EV_anomaly, .anomaly = {.name = name, .offset = offset}};
    emit_event(out, flow, direction, &event);
}

#endif
