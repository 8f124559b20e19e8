/* emitter.h - where events go, and the place of the packet that they come from. */
#ifndef BUSTAP_DECODE_EMITTER_H
#define BUSTAP_DECODE_EMITTER_H

#include "base/pool.h"
#include "decode/event.h"
#include "decode/sampling.h"

struct command_index;
struct flow;
struct resp_tools;

struct emitter {
    event_fn *emit;
    void *context;
    uint64_t wants; /* events that anybody cares for; others need not be built */
    nstime time;    /* of the packet in hand */
    uint64_t frame; /* likewise */
    uint16_t source;
    struct pool *pool; /* for bytes that a protocol holds, of all flows together */
    struct pool *acks; /* for what waits to be acknowledged, likewise: it may wait for ever */
    struct resp_tools *resp;
    const struct command_index *commands;
    uint8_t *client_ports;    /* a bit for each port */
    struct sampling sampling; /* of all clients' requests */
};

enum { CLIENT_PORTS = 65536 / 8 };

static inline bool emitter_wants(const struct emitter *out, enum event_type type) {
    return out->wants >> type & 1;
}

/* Has a node announced this as its client port? A hint: addresses are not looked at. */
static inline bool emitter_is_client_port(const struct emitter *out, uint16_t port) {
    return out->client_ports[port >> 3] & 1u << (port & 7);
}

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
