/* bus_link.c - a connection of the cluster bus: both byte streams cut into messages.
 *
 * A stream is in step (the next byte begins a message) or searching for one (bus_resync.c). A
 * message that lies whole in one segment is decoded where it stands; one that is cut is held, as
 * much of it as decoding needs (bus_frame's `hold`), and the rest is passed over.
 *
 * Each ordered pair of nodes has its own connection, opened by the one that talks: it sends PINGs
 * and everything else, the acceptor sends PONGs back. Light messages do not name their sender: it
 * is the node that the connection belongs to. */
#include <stdlib.h>

#include "base/limits.h"
#include "decode/bus_side.h"
#include "decode/proto.h"

struct bus_link {
    struct bus_side sides[2];
};

static struct bus_walk walk_of(struct emitter *out, struct flow *flow, unsigned direction) {
    struct bus_link *link = flow->state;
    return (struct bus_walk){out, flow, &link->sides[direction], &link->sides[!direction],
                             direction};
}

void bus_anomaly(const struct bus_walk *walk, enum anomaly name) {
    emit_anomaly(walk->out, walk->flow, walk->direction, name, walk->side->at);
}

/* ---- a complete message ---- */

/* Who opened the connection, when the capture began after its SYN: the acceptor's port is the bus
 * port that its headers announce; only the opener sends anything but PONGs, save for a paused
 * primary, which PINGs its replica on the replica's link. */
static void learn_roles(struct flow *flow, unsigned direction, const struct ev_bus_message *m) {
    bool told = !m->light && !m->incomplete && !(m->mflags & MFLAG_PAUSED);
    if (LIKELY(flow->connector != FLOW_CONNECTOR_UNKNOWN) || !told)
        return;
    if (flow->ends[direction].port == m->bus_port)
        flow->connector = (int8_t)!direction;
    else if (m->type != BUS_PONG)
        flow->connector = (int8_t)direction;
}

/* Where clients talk to the node: it tells their connections' ends apart. */
static void learn_client_port(struct emitter *out, const struct ev_bus_message *m) {
    if (!m->light && !m->incomplete && m->port != 0)
        out->client_ports[m->port >> 3 & (CLIENT_PORTS - 1)] |= (uint8_t)(1u << (m->port & 7));
}

/* A node that is told to RESET HARD closes what it has opened, and goes on under another name on
 * what others have opened to it (Redis 6.0; later versions close that, too). */
static bool may_change_its_name(const struct bus_walk *walk) {
    return walk->flow->connector == (int)!walk->direction;
}

static void learn_sender(const struct bus_walk *walk, const char *sender) {
    struct bus_side *side = walk->side;
    if (LIKELY(side->sender_known && memcmp(side->sender, sender, BUS_NODE_ID) == 0))
        return;
    if (side->sender_known && !may_change_its_name(walk))
        bus_anomaly(walk, AN_bus_sender);
    memcpy(side->sender, sender, BUS_NODE_ID);
    side->sender_known = true;
}

/* What can be said of a message whose header is not all there. */
static void decode_prefix(const struct bus_frame *frame, struct bytes head,
                          struct ev_bus_message *m) {
    *m = (struct ev_bus_message){.type = frame->type,
                                 .length = frame->total,
                                 .version = frame->version,
                                 .light = frame->light,
                                 .incomplete = true};
    bool has_sender = !m->light && m->version <= 1 && head.len >= 40 + BUS_NODE_ID;
    if (has_sender && bus_is_node_id(head.data + 40))
        m->sender = (const char *)head.data + 40;
}

static void report_oddities(const struct bus_walk *walk, const struct ev_bus_message *m) {
    if (m->version > 1)
        bus_anomaly(walk, AN_bus_version);
    else if (m->type == BUS_UNKNOWN)
        bus_anomaly(walk, AN_bus_type);
    else if (m->ignored)
        bus_anomaly(walk, AN_bus_length);
    else if (!m->sender && !m->incomplete)
        bus_anomaly(walk, AN_bus_unknown_sender);
    if (m->type <= BUS_MEET && m->length > CAP_BUS_HOLD)
        bus_anomaly(walk, AN_bus_hold_cap);
}

void bus_tell(const struct bus_walk *walk, const struct bus_whole *whole) {
    struct bus_side *side = walk->side;
    struct event event;
    struct ev_bus_message *m = &event.bus_message;
    event.type = EV_bus_message;
    if (LIKELY(!whole->incomplete))
        m->ignored = !bus_decode(whole->frame, whole->head, m);
    else
        decode_prefix(whole->frame, whole->head, m);
    if (m->sender)
        learn_sender(walk, m->sender);
    if (side->sender_known)
        m->sender = side->sender;
    m->receiver = walk->peer->sender_known ? walk->peer->sender : NULL;
    m->after_gap = whole->after_gap;
    learn_roles(walk->flow, walk->direction, m);
    learn_client_port(walk->out, m);
    report_oddities(walk, m);
    emit_event(whole->place, walk->flow, walk->direction, &event);
    if (!bus_unacked_push(&side->unacked, whole->end, m->type, walk->out->acks))
        bus_anomaly(walk, AN_bus_unacked_cap);
}

/* The message in hand has ended at side->at; `head` are the bytes held of it. */
static void complete(const struct bus_walk *walk, struct bytes head) {
    struct bus_side *side = walk->side;
    if (UNLIKELY(side->after_gap))
        bus_wait_for_follower(walk, head);
    else
        bus_tell(walk, &(struct bus_whole){.place = walk->out,
                                           .frame = &side->frame,
                                           .head = head,
                                           .end = side->at,
                                           .incomplete = side->incomplete});
    side->after_gap = side->incomplete = false;
}

/* ---- bytes held ---- */

void bus_drop_held(const struct bus_walk *walk) {
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
        bus_anomaly(walk, AN_held_cap);
        return false;
    }
    if (side->held)
        memcpy(held, side->held, side->held_len);
    pool_give(pool, side->held, side->held_room);
    side->held = held;
    side->held_room = got;
    return true;
}

bool bus_hold(const struct bus_walk *walk, struct bytes view, size_t room) {
    struct bus_side *side = walk->side;
    size_t wanted = side->held_len + view.len;
    if (wanted > side->held_room && !make_room(walk, wanted > room ? wanted : room))
        return false;
    memcpy(side->held + side->held_len, view.data, view.len);
    side->held_len += (uint32_t)view.len;
    return true;
}

/* ---- in step ---- */

/* A message found by a search is held whole: if it is refuted its bytes are searched again. */
static uint32_t bytes_to_hold(const struct bus_side *side) {
    bool whole = side->after_gap && side->frame.total && side->frame.total <= CAP_BUS_HOLD;
    return whole ? side->frame.total : side->frame.hold;
}

/* The frame of the message in hand has become known. */
static void framed(const struct bus_walk *walk) {
    if (UNLIKELY(walk->side->waiting))
        bus_confirm(walk);
}

static void complete_held(const struct bus_walk *walk) {
    complete(walk, bytes_of(walk->side->held, walk->side->held_len));
    bus_drop_held(walk);
}

/* Passes over what decoding does not need; at the end the message is complete. */
static size_t pass_over(const struct bus_walk *walk, size_t len) {
    struct bus_side *side = walk->side;
    uint32_t passed = (uint32_t)min_size(len, side->left);
    side->left -= passed;
    side->at += passed;
    if (side->left == 0)
        complete_held(walk);
    return passed;
}

/* What is held begins no message after all. */
static void lose_held(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    uint8_t *held = side->held;
    size_t room = side->held_room, len = side->held_len;
    side->held = NULL;
    side->held_room = 0;
    side->held_len = 0;
    side->at -= len;
    bus_lose_step(walk);
    bus_feed_view(walk, bytes_of(held, len));
    pool_give(walk->out->pool, held, room);
}

/* Looks at the frame again, now that more of the message is held. */
static bool frame_held(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    enum bus_frame_status status = bus_frame(bytes_of(side->held, side->held_len), &side->frame);
    side->framed = status == FRAME_OK;
    if (status == FRAME_BAD)
        lose_held(walk);
    return side->framed;
}

/* Once all that decoding needs is held: the message is complete, or its rest is passed over. */
static void check_held(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    if (side->held_len < bytes_to_hold(side) || (!side->framed && !frame_held(walk)) ||
        side->held_len < bytes_to_hold(side))
        return;
    framed(walk);
    side->left = side->frame.total - side->held_len;
    if (side->left == 0)
        complete_held(walk);
}

/* Goes on with a message of which the beginning is held, or begins to hold one. */
static size_t continue_held(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    uint32_t target = bytes_to_hold(side);
    struct bytes part = bytes_first(view, target - side->held_len);
    side->at += part.len;
    if (LIKELY(bus_hold(walk, part, target))) {
        check_held(walk);
    } else { /* out of step, as after a gap */
        walk->flow->sides[walk->direction].undecoded += side->held_len + part.len;
        if (side->waiting)
            bus_confirm(walk);
        bus_drop_held(walk);
        side->searching = side->after_gap = true;
    }
    return part.len;
}

/* A message begins at the view's first byte. Returns the bytes used. */
static size_t begin(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    enum bus_frame_status status = bus_frame(view, &side->frame);
    if (UNLIKELY(status == FRAME_BAD)) {
        bus_lose_step(walk);
        return 0; /* the search begins here */
    }
    if (LIKELY(status == FRAME_OK && view.len >= side->frame.total)) { /* whole, in place */
        framed(walk);
        side->at += side->frame.total;
        complete(walk, bytes_first(view, bytes_to_hold(side)));
        return side->frame.total;
    }
    side->framed = status == FRAME_OK;
    return continue_held(walk, view);
}

void bus_feed_view(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    while (view.len) {
        size_t used;
        if (UNLIKELY(side->searching))
            used = bus_search(walk, view);
        else if (side->left)
            used = pass_over(walk, view.len);
        else if (side->held_len)
            used = continue_held(walk, view);
        else
            used = begin(walk, view);
        view = bytes_after(view, used);
    }
}

/* ---- the protocol ---- */

static struct sniff bus_sniff(const struct sniffed *sniffed) {
    bool found;
    struct bytes head = sniffed->head;
    size_t at = bus_find_message(head, &found);
    if (!sniffed->from_start)
        return (struct sniff){found ? SNIFF_YES : SNIFF_MORE, at};
    /* A connection's first byte begins a message, however odd that is: four bytes tell. */
    struct bus_frame frame;
    if (bus_frame(bytes_first(head, 4), &frame) == FRAME_BAD)
        return (struct sniff){SNIFF_NO, 0};
    return (struct sniff){head.len >= 4 ? SNIFF_YES : SNIFF_MORE, 0};
}

static bool bus_open(struct emitter *out, struct flow *flow, unsigned direction) {
    (void)out, (void)direction;
    struct bus_link *link = calloc(1, sizeof *link);
    if (!link)
        return false;
    for (int i = 0; i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        uint64_t at = side->not_sniffed ? side->stream.offset : side->sniff_passed;
        link->sides[i].at = at;
        link->sides[i].searching = at > 0 || !side->stream.from_start;
        link->sides[i].after_gap = at > 0;
    }
    flow->state = link;
    return true;
}

static void bus_feed(struct emitter *out, struct flow *flow, unsigned direction,
                     struct bytes view) {
    struct bus_walk walk = walk_of(out, flow, direction);
    bus_feed_view(&walk, view);
}

/* A gap within one message leaves the stream in step; any other does not. */
static void bus_skip(struct emitter *out, struct flow *flow, unsigned direction, uint64_t len,
                     enum stream_skip why) {
    (void)why;
    struct bus_walk walk = walk_of(out, flow, direction);
    struct bus_side *side = walk.side;
    bool believed = side->framed || side->frame.total <= CAP_BUS_PLAUSIBLE;
    bool in_message = !side->searching && side->held_len >= BUS_PREFIX && believed;
    uint64_t left = side->left ? side->left : (uint64_t)side->frame.total - side->held_len;
    if (in_message && len <= left) {
        side->incomplete = side->incomplete || side->held_len < side->frame.hold;
        side->left = (uint32_t)left;
        framed(&walk);
        (void)pass_over(&walk, len);
        return;
    }
    if (side->waiting) /* nothing speaks against it */
        bus_confirm(&walk);
    bool joining = !side->sender_known && !flow->sides[direction].stream.from_start;
    flow->sides[direction].undecoded += joining ? 0 : side->held_len;
    side->at += len + (side->searching ? side->held_len : 0);
    bus_drop_held(&walk);
    side->left = 0;
    side->incomplete = false;
    side->searching = side->after_gap = true;
}

static void bus_acked(struct emitter *out, struct flow *flow, unsigned direction, uint64_t offset) {
    struct bus_link *link = flow->state;
    struct event event; /* not zeroed: it is large, and this is the path of every message */
    event.type = EV_bus_delivered;
    while (bus_unacked_pop(&link->sides[direction].unacked, offset, &event.bus_delivered.type))
        emit_event(out, flow, direction, &event);
}

static void bus_end(struct emitter *out, struct flow *flow, unsigned direction) {
    struct bus_walk walk = walk_of(out, flow, direction);
    if (walk.side->waiting)
        bus_confirm(&walk);
}

static void bus_close(struct emitter *out, struct flow *flow) {
    for (unsigned i = 0; i < 2; i++) {
        struct bus_walk walk = walk_of(out, flow, i);
        bus_drop_held(&walk);
        bus_unacked_free(&walk.side->unacked, out->acks);
        if (walk.side->waiting)
            pool_give(out->pool, walk.side->waiting, walk.side->waiting->room);
    }
    free(flow->state);
    flow->state = NULL;
}

const struct proto proto_bus = {.name = "bus",
                                .sniff = bus_sniff,
                                .open = bus_open,
                                .feed = bus_feed,
                                .skip = bus_skip,
                                .acked = bus_acked,
                                .end = bus_end,
                                .close = bus_close,
                                .state_size = sizeof(struct bus_link),
                                .wants_bytes = true};
