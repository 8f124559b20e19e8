/* fuzz_bus.c - any bytes where a bus message should be: framing and decoding of one message within
 * its bytes; and both directions of a connection, whose bytes come in chunks of any size, with gaps
 * and acknowledgements, through the protocol. Cutting the chunks otherwise changes no event.
 *
 * The input: a byte of options, then chunks: what (direction, gap), length (two bytes), bytes. */
#include "tests/fuzz/fuzz.h"

#include "base/limits.h"
#include "base/pool.h"
#include "decode/event.h"
#include "decode/proto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 3, CHUNKS_MAX = 512 };

/* ---- one message ---- */

static void touch(const void *data, size_t len) {
    volatile unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += ((const uint8_t *)data)[i];
    (void)sum;
}

static void touch_extensions(struct bus_extensions walk) {
    struct bus_extension extension;
    bool bad = false;
    while (bus_extension_next(&walk, &extension, &bad)) {
        touch(extension.data.data, extension.data.len);
        assert(!extension.secret || extension.data.len == 0);
    }
}

static void touch_message(const struct ev_bus_message *m) {
    if (m->sender)
        touch(m->sender, BUS_NODE_ID);
    if (m->replica_of)
        touch(m->replica_of, BUS_NODE_ID);
    if (m->slots)
        touch(m->slots, BUS_SLOT_BYTES);
    if (m->about)
        touch(m->about, BUS_NODE_ID);
    if (m->about_slots)
        touch(m->about_slots, BUS_SLOT_BYTES);
    touch(m->ip.data, m->ip.len);
    touch(m->channel.data, m->channel.len);
    for (size_t i = 0; i < m->gossip.count; i++) {
        struct bus_gossip_entry entry = bus_gossip_at(&m->gossip, i);
        touch(entry.node, BUS_NODE_ID);
        touch(entry.ip.data, entry.ip.len);
    }
    touch_extensions(m->extensions);
    assert(m->channel.len <= CAP_CHANNEL_SHOWN && m->type < BUS_COUNTERS);
}

/* The bytes that decoding asked for, in a block of exactly that size. */
static void one_message(const uint8_t *data, size_t size) {
    struct bus_frame frame;
    struct ev_bus_message m;
    if (size < BUS_PREFIX || bus_frame(bytes_of(data, size), &frame) != FRAME_OK)
        return;
    assert(frame.hold <= frame.total && frame.hold <= CAP_BUS_HOLD);
    if (frame.hold > size)
        return;
    uint8_t *exact = malloc(frame.hold);
    assert(exact);
    memcpy(exact, data, frame.hold);
    bus_decode(&frame, bytes_of(exact, frame.hold), &m);
    touch_message(&m);
    if (frame.hold >= BUS_PLAUSIBLE)
        (void)bus_plausible(bytes_of(exact, frame.hold));
    free(exact);
}

/* ---- a connection ---- */

struct tally {
    uint64_t count[2], sum[2]; /* of the messages of each direction, in order */
};

static void mix(uint64_t *sum, const void *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        *sum = (*sum ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
}

static void on_event(void *context, const struct event *event) {
    struct tally *tally = context;
    if (event->type != EV_bus_message)
        return;
    const struct ev_bus_message *m = &event->bus_message;
    uint64_t *sum = &tally->sum[event->direction];
    touch_message(m);
    tally->count[event->direction]++;
    uint64_t facts[] = {m->type,      m->length,     m->version,      m->light,
                        m->after_gap, m->incomplete, m->gossip.count, m->payload_bytes};
    mix(sum, facts, sizeof facts);
    if (m->sender)
        mix(sum, m->sender, BUS_NODE_ID);
    mix(sum, m->channel.data, m->channel.len);
}

struct connection {
    struct emitter out;
    struct pool pool, acks;
    struct flow flow;
    struct tally tally;
    uint8_t client_ports[CLIENT_PORTS];
};

static struct connection *connect(uint8_t options) {
    struct connection *c = calloc(1, sizeof *c);
    assert(c);
    c->pool.max = CAP_HELD;
    c->acks.max = CAP_ACKS;
    c->out = (struct emitter){.emit = on_event,
                              .context = &c->tally,
                              .pool = &c->pool,
                              .acks = &c->acks,
                              .client_ports = c->client_ports};
    c->flow.connector = options & 1 ? 0 : FLOW_CONNECTOR_UNKNOWN;
    for (int i = 0; i < 2; i++) {
        c->flow.sides[i].stream.from_start = options & 2;
        c->flow.sides[i].stream.started = true;
    }
    c->flow.proto = &proto_bus;
    assert(proto_bus.open(&c->out, &c->flow, 0));
    return c;
}

static void disconnect(struct connection *c) {
    for (unsigned direction = 0; direction < 2; direction++) {
        proto_bus.end(&c->out, &c->flow, direction);
        proto_bus.acked(&c->out, &c->flow, direction, c->flow.sides[direction].stream.offset);
    }
    proto_bus.close(&c->out, &c->flow);
    assert(c->pool.used == 0);
    assert(c->acks.used == 0);
    pool_free(&c->pool);
    pool_free(&c->acks);
    free(c);
}

/* Bytes in a block of exactly their size, in pieces of at most `piece`. */
static void feed(struct connection *c, unsigned direction, const uint8_t *data, size_t len,
                 size_t piece) {
    while (len) {
        size_t part = min_size(len, piece);
        uint8_t *exact = malloc(part);
        assert(exact);
        memcpy(exact, data, part);
        c->flow.sides[direction].stream.offset += part;
        proto_bus.feed(&c->out, &c->flow, direction, bytes_of(exact, part));
        free(exact);
        data += part;
        len -= part;
    }
}

static void chunk(struct connection *c, const uint8_t *data, size_t len, size_t piece) {
    unsigned direction = data[0] & 1;
    struct flow_side *side = &c->flow.sides[direction];
    if ((data[0] & 0xe) == 2) { /* a gap, seldom */
        uint64_t gap = 1 + data[0] * 16u;
        side->stream.offset += gap;
        proto_bus.skip(&c->out, &c->flow, direction, gap, SKIP_LOST);
    }
    feed(c, direction, data + HEAD, len, piece);
    if (data[0] & 0x80)
        proto_bus.acked(&c->out, &c->flow, direction, side->stream.offset / 2);
}

static struct tally converse(const uint8_t *data, size_t size, size_t piece) {
    struct connection *c = connect(data[0]);
    data++, size--;
    for (int i = 0; i < CHUNKS_MAX && size >= HEAD; i++) {
        size_t len = min_size(load_be16(data + 1), size - HEAD);
        chunk(c, data, len, piece);
        data += HEAD + len;
        size -= HEAD + len;
    }
    struct tally *kept = &c->tally, tally;
    proto_bus.end(&c->out, &c->flow, 0);
    proto_bus.end(&c->out, &c->flow, 1);
    tally = *kept;
    disconnect(c);
    return tally;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    one_message(data + 1, size - 1);
    if (size > 1 + HEAD)
        one_message(data + 1 + HEAD, size - 1 - HEAD);
    struct tally whole = converse(data, size, SIZE_MAX), cut = converse(data, size, 1);
    assert(memcmp(&whole, &cut, sizeof whole) == 0);
    return 0;
}
