/* fuzz_client.c - any bytes where a client and a server should talk: both directions in chunks of
 * any size, with gaps, holes and acknowledgements, through the protocol. Every view of every event
 * is read, all memory is given back, and each request that is told of has one end: a reply, or
 * word that there is none.
 *
 * The input: a byte of options, then chunks: what (see below), length (two bytes), bytes. */
#include "tests/fuzz/fuzz.h"

#include "decode/proto.h"
#include "decode/resp.h"

#include <assert.h>
#include <stdlib.h>

enum { HEAD = 3, CHUNKS_MAX = 512, CLIENT_PORT = 6379, OTHER_PORT = 50001 };

/* options */
enum {
    CONNECTOR_KNOWN = 0x01, /* direction 0 opened the connection */
    FROM_START = 0x02,
    QUIET_REQUESTS = 0x04, /* nobody wants to be told of requests: the short way */
    LITTLE_MEMORY = 0x08,
    PORT_KNOWN = 0x10, /* a node announced it: direction 1 serves */
    SNIFFED = 0x20,    /* recognised, not opened at the first chunk */
    CLOSED = 0x40,     /* by an end, not by the capture's */
    CUT = 0x80         /* into single bytes */
};

/* what: the direction, what comes before the chunk's bytes, and how far the peer has heard */
enum {
    DIRECTION = 0x01,
    GAP = 0x02,   /* many bytes are missing before it */
    LOST = 0x04,  /* with GAP: it is the chunk's own bytes that are missing */
    HELD = 0x08,  /* more of the direction was seen before: the bytes waited behind a hole */
    PAUSE = 0x10, /* a second goes by */
    SAME = 0x20,  /* in the packet of the chunk before */
    HEARD = 0x40, /* the peer has acknowledged it all */
    AHEAD = 0x80  /* the peer has acknowledged more than that */
};

/* ---- events ---- */

struct tally {
    uint64_t requests, ended;
    volatile unsigned sum;
};

static void touch(struct tally *tally, struct bytes view) {
    for (size_t i = 0; i < view.len; i++)
        tally->sum += view.data[i];
}

static void touch_keys(struct tally *tally, const struct request_keys *keys) {
    struct command_keys where;
    for (size_t i = 0; i < keys->args->kept; i++)
        touch(tally, keys->args->list[i]);
    assert(keys->args->kept <= keys->args->count);
    if (keys->command && command_keys(keys->command, keys->args, &where))
        assert(where.first + (where.count - 1) * where.step < keys->args->count);
}

static void touch_field(struct tally *tally, const struct event *event,
                        const struct event_field *field) {
    const void *at = (const uint8_t *)event + field->offset;
    switch (field->kind) {
    case FIELD_WORD:
        if (*(const field_WORD *)at)
            touch(tally, bytes_str(*(const field_WORD *)at));
        break;
    case FIELD_TEXT:
    case FIELD_WORD_OF:
        touch(tally, *(const struct bytes *)at);
        break;
    case FIELD_COMMAND:
        if (*(const field_COMMAND *)at)
            touch(tally, bytes_str((*(const field_COMMAND *)at)->name));
        break;
    case FIELD_KEYS:
        touch_keys(tally, at);
        break;
    default: /* numbers, and what only the bus has */
        break;
    }
}

static void on_event(void *context, const struct event *event) {
    struct tally *tally = context;
    assert(event->type < EV_COUNT);
    for (const struct event_field *field = event_rows[event->type].fields(); field->name; field++)
        touch_field(tally, event, field);
    tally->requests += event->type == EV_request;
    tally->ended += event->type == EV_reply || event->type == EV_silent;
    if (event->type == EV_unanswered)
        tally->ended += event->unanswered.count;
}

/* ---- a connection ---- */

struct connection {
    struct emitter out;
    struct pool pool, acks;
    struct resp_tools tools;
    struct flow flow;
    struct tally tally;
    uint8_t client_ports[CLIENT_PORTS];
    uint8_t options;
};

static const struct command_index *commands(void) {
    static struct command_index *index;
    if (!index)
        index = command_index_new();
    assert(index);
    return index;
}

static struct connection *connect(uint8_t options) {
    struct connection *c = aligned_alloc(_Alignof(struct connection), sizeof *c);
    assert(c);
    memset(c, 0, sizeof *c);
    c->options = options;
    c->pool.max = options & LITTLE_MEMORY ? 2 * POOL_BLOCK : CAP_HELD;
    c->acks.max = CAP_ACKS;
    c->tools.pool = &c->pool;
    c->out = (struct emitter){.emit = on_event,
                              .context = &c->tally,
                              .pool = &c->pool,
                              .acks = &c->acks,
                              .resp = &c->tools,
                              .commands = commands(),
                              .client_ports = c->client_ports};
    c->out.wants = options & QUIET_REQUESTS ? EVENTS_ALL & ~EVENT_BIT(request) : EVENTS_ALL;
    c->flow.ends[0].port = OTHER_PORT;
    c->flow.ends[1].port = CLIENT_PORT;
    if (options & PORT_KNOWN)
        c->client_ports[CLIENT_PORT >> 3] |= 1u << (CLIENT_PORT & 7);
    c->flow.connector = options & CONNECTOR_KNOWN ? 0 : FLOW_CONNECTOR_UNKNOWN;
    c->flow.sniffing = true;
    for (int i = 0; i < 2; i++) {
        c->flow.sides[i].stream.from_start = options & FROM_START;
        c->flow.sides[i].stream.started = true;
    }
    return c;
}

static void recognise(struct connection *c, unsigned direction, struct bytes view) {
    struct sniffed sniffed = {&c->out, view, 0, c->options & FROM_START};
    (void)proto_resp.sniff(&sniffed);
    c->flow.sniffing = false;
    c->flow.proto = &proto_resp;
    assert(proto_resp.open(&c->out, &c->flow, direction));
}

/* As the decoder does it. */
static void disconnect(struct connection *c) {
    struct flow *flow = &c->flow;
    flow->close = c->options & CLOSED ? FLOW_FIN : FLOW_OPEN;
    for (unsigned direction = 0; direction < 2 && flow->proto; direction++)
        flow->proto->end(&c->out, flow, direction);
    if (flow->proto && flow->proto->close)
        flow->proto->close(&c->out, flow);
    assert(c->options & QUIET_REQUESTS || c->tally.requests == c->tally.ended);
    assert(c->pool.used == 0 && c->acks.used == 0);
    for (int i = 0; i < 2; i++)
        free(flow->sides[i].sniffed);
    pool_free(&c->pool);
    pool_free(&c->acks);
    free(c);
}

/* ---- chunks ---- */

static void feed_view(struct connection *c, unsigned direction, struct bytes view) {
    struct flow *flow = &c->flow;
    if (!flow->proto && !flow->sniffing)
        return;
    if (!flow->proto && !(c->options & SNIFFED))
        recognise(c, direction, view);
    if (flow->proto)
        flow->proto->feed(&c->out, flow, direction, view);
    else
        proto_sniff(&c->out, flow, direction, view);
}

/* Bytes in blocks of exactly their size. */
static void feed(struct connection *c, unsigned direction, struct bytes view, uint32_t behind) {
    struct flow_side *side = &c->flow.sides[direction];
    while (view.len) {
        struct bytes part = bytes_first(view, c->options & CUT ? 1 : view.len);
        uint8_t *exact = malloc(part.len);
        assert(exact);
        memcpy(exact, part.data, part.len);
        side->stream.next += (uint32_t)part.len;
        side->stream.offset += part.len;
        side->high = side->stream.next + behind;
        side->high_known = true;
        feed_view(c, direction, bytes_of(exact, part.len));
        free(exact);
        view = bytes_after(view, part.len);
    }
}

static void skip(struct connection *c, unsigned direction, uint32_t len) {
    struct flow_side *side = &c->flow.sides[direction];
    side->stream.next += len;
    side->stream.offset += len;
    if (c->flow.proto)
        c->flow.proto->skip(&c->out, &c->flow, direction, len, SKIP_LOST);
    else
        proto_sniff_skip(&c->flow, direction);
}

static void hear(struct connection *c, unsigned direction, uint8_t what) {
    struct flow_side *side = &c->flow.sides[direction];
    if (!(what & (HEARD | AHEAD)))
        return;
    side->acked = side->stream.next + (what & AHEAD ? 1000 : 0);
    side->acked_known = true;
    if (c->flow.proto && c->flow.proto->acked)
        c->flow.proto->acked(&c->out, &c->flow, direction, side->stream.offset);
}

static void chunk(struct connection *c, const uint8_t *data, size_t len) {
    uint8_t what = data[0];
    unsigned direction = what & DIRECTION;
    c->out.frame += what & SAME ? 0 : 1;
    c->out.time += what & PAUSE ? NS_PER_SEC : NS_PER_MS;
    if (what & GAP && len)
        skip(c, direction, what & LOST ? (uint32_t)len : 4096);
    if (!(what & GAP && what & LOST))
        feed(c, direction, bytes_of(data + HEAD, len), what & HELD ? 1000 : 0);
    hear(c, direction, what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct connection *c = connect(data[0]);
    data++, size--;
    for (int i = 0; i < CHUNKS_MAX && size >= HEAD; i++) {
        size_t len = min_size(load_be16(data + 1), size - HEAD);
        chunk(c, data, len);
        data += HEAD + len;
        size -= HEAD + len;
    }
    disconnect(c);
    return 0;
}
