/* bus_link.c - a connection of the cluster bus: both byte streams cut into messages.
 *
 * A stream is in step (the next byte begins a message) or searching for a message. A message that
 * lies whole in one segment is decoded where it stands; one that is cut is held, as much of it as
 * decoding needs (bus_frame's `hold`), the rest is passed over.
 *
 * Each ordered pair of nodes has its own connection, opened by the one that talks: it sends PINGs
 * and everything else, the acceptor sends PONGs back. Light messages do not name their sender: it
 * is the node that the connection belongs to.
 *
 * After a gap the stream is out of step unless the gap lies within one message. Then a credible
 * header is searched for. The bytes "RCmb" may stand in any payload, so the first message found is
 * marked after_gap, and taken back if the bytes behind it do not begin another one. */
#include <stdlib.h>

#include "base/limits.h"
#include "decode/bus.h"
#include "decode/proto.h"

/* Messages that the peer has not acknowledged yet: where each ends in the stream, and its type in
 * the low four bits. A ring. */
struct unacked {
    uint64_t *ends;
    size_t size; /* of the block that they are in, bytes */
    uint32_t first, count, room;
};

struct bus_side {
    bool searching;
    bool after_gap;  /* the next message was found by a search */
    bool tentative;  /* the last one was, and is not confirmed by a follower yet */
    bool incomplete; /* bytes that decoding needs are missing in the message in hand */
    bool sender_known;
    char sender[BUS_NODE_ID];
    uint64_t at; /* stream offset of the next byte */

    struct bus_frame frame; /* of the message in hand, once its prefix is there */
    uint32_t left;          /* of its bytes, still to be passed over; 0: still being held */
    uint8_t *held;
    uint32_t held_len;
    size_t held_room;

    uint64_t tentative_end;
    enum bus_type tentative_type;
    struct unacked unacked;
};

struct bus_link {
    struct bus_side sides[2];
};

/* The direction in hand. */
struct bus_walk {
    struct emitter *out;
    struct flow *flow;
    struct bus_side *side, *peer;
    unsigned direction;
};

static struct bus_walk walk_of(struct emitter *out, struct flow *flow, unsigned direction) {
    struct bus_link *link = flow->state;
    return (struct bus_walk){out, flow, &link->sides[direction], &link->sides[!direction],
                             direction};
}

static void anomaly(const struct bus_walk *walk, enum anomaly name) {
    emit_anomaly(walk->out, walk->flow, walk->direction, name, walk->side->at);
}

/* ---- what is acknowledged ---- */

static void unacked_free(struct unacked *queue, struct pool *pool) {
    pool_give(pool, queue->ends, queue->size);
}

static bool unacked_grow(struct unacked *queue, struct pool *pool) {
    uint32_t room = queue->room ? queue->room * 2 : 16;
    size_t size;
    uint64_t *ends = room <= CAP_BUS_UNACKED ? pool_take(pool, room * sizeof *ends, &size) : NULL;
    if (!ends)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        ends[i] = queue->ends[(queue->first + i) & (queue->room - 1)];
    unacked_free(queue, pool);
    *queue = (struct unacked){ends, size, 0, queue->count, room};
    return true;
}

static bool unacked_push(struct unacked *queue, uint64_t end, enum bus_type type,
                         struct pool *pool) {
    if (queue->count == queue->room && !unacked_grow(queue, pool))
        return false;
    queue->ends[(queue->first + queue->count++) & (queue->room - 1)] = end << 4 | type;
    return true;
}

static void await_ack(const struct bus_walk *walk, uint64_t end, enum bus_type type) {
    if (!unacked_push(&walk->side->unacked, end, type, walk->out->pool))
        anomaly(walk, AN_bus_unacked_cap);
}

static void bus_acked(struct emitter *out, struct flow *flow, unsigned direction, uint64_t offset) {
    struct bus_link *link = flow->state;
    struct unacked *queue = &link->sides[direction].unacked;
    while (queue->count && queue->ends[queue->first] >> 4 <= offset) {
        struct event event = {.type = EV_bus_delivered};
        event.bus_delivered.type = (enum bus_type)(queue->ends[queue->first] & 0xf);
        queue->first = (queue->first + 1) & (queue->room - 1);
        queue->count--;
        emit_event(out, flow, direction, &event);
    }
}

/* ---- a complete message ---- */

/* Who opened the connection, when the capture began after its SYN: the acceptor's port is the bus
 * port that its headers announce; only the opener sends anything but PONGs. */
static void learn_roles(struct flow *flow, unsigned direction, const struct ev_bus_message *m) {
    if (flow->connector != FLOW_CONNECTOR_UNKNOWN || m->light || m->incomplete)
        return;
    if (flow->ends[direction].port == m->bus_port)
        flow->connector = (int8_t)!direction;
    else if (m->type != BUS_PONG)
        flow->connector = (int8_t)direction;
}

static void learn_sender(const struct bus_walk *walk, const char *sender) {
    struct bus_side *side = walk->side;
    if (LIKELY(side->sender_known && memcmp(side->sender, sender, BUS_NODE_ID) == 0))
        return;
    if (side->sender_known)
        anomaly(walk, AN_bus_sender);
    memcpy(side->sender, sender, BUS_NODE_ID);
    side->sender_known = true;
}

/* What can be said of a message whose header is not all there. */
static void decode_prefix(const struct bus_side *side, struct bytes head,
                          struct ev_bus_message *m) {
    *m = (struct ev_bus_message){.type = side->frame.type,
                                 .length = side->frame.total,
                                 .version = side->frame.version,
                                 .light = side->frame.light,
                                 .incomplete = true};
    bool has_sender = !m->light && m->version <= 1 && head.len >= 40 + BUS_NODE_ID;
    if (has_sender && bus_is_node_id(head.data + 40))
        m->sender = (const char *)head.data + 40;
}

static void report_oddities(const struct bus_walk *walk, const struct ev_bus_message *m) {
    if (m->version > 1)
        anomaly(walk, AN_bus_version);
    else if (m->type == BUS_UNKNOWN)
        anomaly(walk, AN_bus_type);
    else if (m->ignored)
        anomaly(walk, AN_bus_length);
    else if (!m->sender && !m->incomplete)
        anomaly(walk, AN_bus_unknown_sender);
    if (walk->side->frame.hold == CAP_BUS_HOLD && m->length > CAP_BUS_HOLD)
        anomaly(walk, AN_bus_hold_cap);
}

/* The message in hand has ended at walk->side->at; `head` are the bytes held of it. */
static void complete(const struct bus_walk *walk, struct bytes head) {
    struct bus_side *side = walk->side;
    struct event event;
    struct ev_bus_message *m = &event.bus_message;
    event.type = EV_bus_message;
    if (LIKELY(!side->incomplete))
        m->ignored = !bus_decode(&side->frame, head, m);
    else
        decode_prefix(side, head, m);
    if (m->sender)
        learn_sender(walk, m->sender);
    if (side->sender_known)
        m->sender = side->sender;
    m->receiver = walk->peer->sender_known ? walk->peer->sender : NULL;
    m->after_gap = side->after_gap;
    learn_roles(walk->flow, walk->direction, m);
    report_oddities(walk, m);
    emit_event(walk->out, walk->flow, walk->direction, &event);

    side->tentative = side->after_gap;
    if (side->tentative) {
        side->tentative_end = side->at;
        side->tentative_type = m->type;
    } else {
        await_ack(walk, side->at, m->type);
    }
    side->after_gap = side->incomplete = false;
}

/* A message follows the one that a search had found: that one was real. */
static void confirm(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    side->tentative = false;
    await_ack(walk, side->tentative_end, side->tentative_type);
}

static void lose_step(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    if (side->tentative) {
        struct event event = {.type = EV_bus_retracted};
        event.bus_retracted.type = side->tentative_type;
        side->tentative = false;
        anomaly(walk, AN_bus_resync_refuted);
        emit_event(walk->out, walk->flow, walk->direction, &event);
    } else {
        anomaly(walk, AN_bus_signature);
    }
    side->searching = side->after_gap = true;
}

/* ---- bytes held ---- */

static void drop_held(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    pool_give(walk->out->pool, side->held, side->held_room);
    side->held = NULL;
    side->held_len = 0;
    side->held_room = 0;
}

/* Moves what is held to a block of `room` bytes. */
static bool make_room(const struct bus_walk *walk, size_t room) {
    struct bus_side *side = walk->side;
    struct pool *pool = walk->out->pool;
    size_t got;
    uint8_t *held = pool_take(pool, room, &got);
    if (!held) {
        anomaly(walk, AN_held_cap);
        return false;
    }
    if (side->held)
        memcpy(held, side->held, side->held_len);
    pool_give(pool, side->held, side->held_room);
    side->held = held;
    side->held_room = got;
    return true;
}

/* Adds to what is held; `room` is how much it will be in the end, as far as known. */
static bool hold(const struct bus_walk *walk, struct bytes view, size_t room) {
    struct bus_side *side = walk->side;
    size_t wanted = side->held_len + view.len;
    if (wanted > side->held_room && !make_room(walk, wanted > room ? wanted : room))
        return false;
    memcpy(side->held + side->held_len, view.data, view.len);
    side->held_len += (uint32_t)view.len;
    return true;
}

/* ---- in step ---- */

/* The frame of the message in hand has become known. */
static void framed(const struct bus_walk *walk) {
    if (UNLIKELY(walk->side->tentative))
        confirm(walk);
}

/* Passes over what decoding does not need; at the end the message is complete. */
static size_t pass_over(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    uint32_t passed = (uint32_t)min_size(view.len, side->left);
    side->left -= passed;
    side->at += passed;
    if (side->left == 0) {
        complete(walk, bytes_of(side->held, side->held_len));
        drop_held(walk);
    }
    return passed;
}

/* Holds the view; without memory for it the stream falls out of step, as after a gap. */
static size_t hold_or_lose(const struct bus_walk *walk, struct bytes view, size_t room) {
    struct bus_side *side = walk->side;
    if (hold(walk, view, room))
        return view.len;
    drop_held(walk);
    side->searching = side->after_gap = true;
    return view.len;
}

/* Once all that decoding needs is held: complete, or pass over the rest. */
static void check_held(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    enum bus_frame_status status = bus_frame(bytes_of(side->held, side->held_len), &side->frame);
    if (status == FRAME_BAD) {
        lose_step(walk);
        return;
    }
    if (status == FRAME_MORE || side->held_len < side->frame.hold)
        return;
    framed(walk);
    side->left = side->frame.total - side->held_len;
    if (side->left == 0) {
        complete(walk, bytes_of(side->held, side->held_len));
        drop_held(walk);
    }
}

/* Goes on with a message of which the beginning is held. */
static size_t continue_held(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    struct bytes part = bytes_first(view, side->frame.hold - side->held_len);
    side->at += part.len;
    size_t used = hold_or_lose(walk, part, side->frame.hold);
    if (!side->searching)
        check_held(walk);
    return used;
}

/* A message begins at the view's first byte. Returns the bytes used. */
static size_t begin(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    enum bus_frame_status status = bus_frame(view, &side->frame);
    if (UNLIKELY(status == FRAME_BAD)) {
        lose_step(walk);
        return 0;
    }
    if (LIKELY(status == FRAME_OK && view.len >= side->frame.total)) { /* whole, in place */
        framed(walk);
        side->at += side->frame.total;
        complete(walk, bytes_first(view, side->frame.hold));
        return side->frame.total;
    }
    return continue_held(walk, view);
}

/* ---- searching ---- */

static const char signature[] = {'R', 'C', 'm', 'b'};

/* Where a signature, or at the end the beginning of one, stands in the view; else its length. */
static size_t find_signature(struct bytes view) {
    size_t at = 0;
    while (at < view.len) {
        const uint8_t *r = memchr(view.data + at, signature[0], view.len - at);
        if (!r)
            return view.len;
        at = (size_t)(r - view.data);
        if (memcmp(r, signature, min_size(sizeof signature, view.len - at)) == 0)
            return at;
        at++;
    }
    return view.len;
}

/* Bytes that belong to no message. Those before the first message of a connection that was joined
 * in the middle are the tail of one that we never saw begin, and are not held against anybody. */
static void pass_undecoded(const struct bus_walk *walk, size_t len) {
    struct bus_side *side = walk->side;
    if (side->sender_known || walk->flow->sides[walk->direction].stream.from_start)
        walk->flow->sides[walk->direction].undecoded += len;
    side->at += len;
}

/* The offset of the first credible message in the view, or of the first place that more bytes may
 * prove to be one. */
static size_t find_message(const struct bus_walk *walk, struct bytes view, bool *ret_found) {
    const struct bus_side *side = walk->side;
    *ret_found = false;
    size_t at = 0;
    for (;;) {
        at += find_signature(bytes_after(view, at));
        struct bytes head = bytes_after(view, at);
        if (head.len < BUS_PLAUSIBLE)
            return at;
        if (bus_plausible(head, side->sender_known ? side->sender : NULL)) {
            *ret_found = true;
            return at;
        }
        at++;
    }
}

static void feed_view(const struct bus_walk *walk, struct bytes view);

/* Looks through the view for a message. Returns the bytes used. */
static size_t search(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    bool found;
    if (side->held_len == 0) {
        size_t at = find_message(walk, view, &found);
        pass_undecoded(walk, at);
        if (found)
            side->searching = false;
        else if (at < view.len && !hold(walk, bytes_after(view, at), BUS_PLAUSIBLE))
            pass_undecoded(walk, view.len - at);
        return found ? at : view.len;
    }
    struct bytes part = bytes_first(view, BUS_PLAUSIBLE - side->held_len);
    if (!hold(walk, part, BUS_PLAUSIBLE))
        return part.len;
    uint8_t copy[BUS_PLAUSIBLE];
    struct bytes head = bytes_of(copy, side->held_len);
    memcpy(copy, side->held, head.len);
    drop_held(walk);
    size_t at = find_message(walk, head, &found);
    pass_undecoded(walk, at);
    if (found) {
        side->searching = false;
        feed_view(walk, bytes_after(head, at));
    } else if (at < head.len && !hold(walk, bytes_after(head, at), BUS_PLAUSIBLE)) {
        pass_undecoded(walk, head.len - at);
    }
    return part.len;
}

/* ---- the protocol ---- */

static void feed_view(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    while (view.len) {
        size_t used;
        if (UNLIKELY(side->searching))
            used = search(walk, view);
        else if (side->left)
            used = pass_over(walk, view);
        else if (side->held_len)
            used = continue_held(walk, view);
        else
            used = begin(walk, view);
        view = bytes_after(view, used);
    }
}

static void bus_feed(struct emitter *out, struct flow *flow, unsigned direction,
                     struct bytes view) {
    struct bus_walk walk = walk_of(out, flow, direction);
    feed_view(&walk, view);
}

/* A gap within one message leaves the stream in step; any other does not. */
static void bus_skip(struct emitter *out, struct flow *flow, unsigned direction, uint64_t len,
                     enum stream_skip why) {
    (void)why;
    struct bus_walk walk = walk_of(out, flow, direction);
    struct bus_side *side = walk.side;
    bool in_message = !side->searching && side->held_len >= BUS_PREFIX;
    uint64_t left = side->left ? side->left : (uint64_t)side->frame.total - side->held_len;
    if (in_message && len <= left) {
        side->incomplete = side->incomplete || side->held_len < side->frame.hold;
        side->left = (uint32_t)left;
        framed(&walk);
        (void)pass_over(&walk, bytes_of(NULL, len)); /* which looks at the length alone */
        return;
    }
    flow->sides[direction].undecoded += side->held_len;
    drop_held(&walk);
    side->left = 0;
    side->incomplete = false;
    side->searching = side->after_gap = true;
    side->at += len;
}

static bool bus_open(struct emitter *out, struct flow *flow, unsigned direction) {
    (void)out, (void)direction;
    struct bus_link *link = calloc(1, sizeof *link);
    if (!link)
        return false;
    for (int i = 0; i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        link->sides[i].at = side->sniff_passed;
        link->sides[i].searching = side->sniff_passed > 0 || !side->stream.from_start;
        link->sides[i].after_gap = side->sniff_passed > 0;
    }
    flow->state = link;
    return true;
}

static void bus_close(struct emitter *out, struct flow *flow) {
    struct bus_link *link = flow->state;
    for (unsigned i = 0; i < 2; i++) {
        struct bus_walk walk = walk_of(out, flow, i);
        drop_held(&walk);
        unacked_free(&walk.side->unacked, out->pool);
    }
    free(link);
    flow->state = NULL;
}

static struct sniff bus_sniff(struct bytes head, uint64_t offset, bool from_start) {
    (void)offset;
    if (from_start) {
        size_t seen = min_size(head.len, sizeof signature);
        bool same = memcmp(head.data, signature, seen) == 0;
        bool all = seen == sizeof signature;
        return (struct sniff){!same ? SNIFF_NO : all ? SNIFF_YES : SNIFF_MORE, 0};
    }
    struct bus_side nobody = {0};
    struct bus_walk walk = {.side = &nobody};
    bool found;
    size_t at = find_message(&walk, head, &found);
    return (struct sniff){found ? SNIFF_YES : SNIFF_MORE, at};
}

const struct proto proto_bus = {.name = "bus",
                                .sniff = bus_sniff,
                                .open = bus_open,
                                .feed = bus_feed,
                                .skip = bus_skip,
                                .acked = bus_acked,
                                .close = bus_close,
                                .wants_bytes = true};
