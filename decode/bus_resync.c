/* bus_resync.c - the way back into step, after a gap or after bytes that are no message.
 *
 * A credible header is searched for. The bytes "RCmb" may stand in any payload, so the first
 * message found waits until the bytes behind it begin another one, or no more come; then it is
 * told, marked after_gap, with the time and place that it had. If other bytes follow, it was none,
 * and the true ones may lie within it: its bytes are searched again. */
#include "base/limits.h"
#include "decode/bus_side.h"

/* Bytes made for it could otherwise be searched again and again. */
enum { REFUTED_MAX = 4 };

/* ---- finding ---- */

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

size_t bus_find_message(struct bytes view, bool *ret_found) {
    *ret_found = false;
    for (size_t at = 0;; at++) {
        at += find_signature(bytes_after(view, at));
        struct bytes head = bytes_after(view, at);
        if (head.len < BUS_PLAUSIBLE)
            return at;
        if (bus_plausible(head)) {
            *ret_found = true;
            return at;
        }
    }
}

/* Bytes that belong to no message. Those before the first message of a connection that was joined
 * in the middle are the tail of one that we never saw begin, and are not held against anybody. */
static void pass_undecoded(const struct bus_walk *walk, size_t len) {
    struct flow_side *tcp = &walk->flow->sides[walk->direction];
    if (walk->side->sender_known || tcp->stream.from_start)
        tcp->undecoded += len;
    walk->side->at += len;
}

/* Bytes at the end of the view that the next ones may complete to a header. */
static void keep(const struct bus_walk *walk, struct bytes view) {
    if (view.len && !bus_hold(walk, view, BUS_PLAUSIBLE))
        pass_undecoded(walk, view.len);
}

static size_t search_view(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    bool found;
    size_t at = bus_find_message(view, &found);
    pass_undecoded(walk, at);
    side->after_gap = side->after_gap || at > 0;
    if (found) {
        side->searching = false;
        return at;
    }
    keep(walk, bytes_after(view, at));
    return view.len;
}

/* The beginning of a header is held: it is completed, and looked at with what follows. */
static size_t search_held(const struct bus_walk *walk, struct bytes view) {
    struct bus_side *side = walk->side;
    struct bytes part = bytes_first(view, BUS_PLAUSIBLE - side->held_len);
    if (!bus_hold(walk, part, BUS_PLAUSIBLE))
        return part.len;
    uint8_t copy[BUS_PLAUSIBLE];
    struct bytes head = bytes_of(copy, side->held_len);
    memcpy(copy, side->held, head.len);
    bus_drop_held(walk);
    size_t used = search_view(walk, head);
    if (used < head.len)
        bus_feed_view(walk, bytes_after(head, used));
    return part.len;
}

size_t bus_search(const struct bus_walk *walk, struct bytes view) {
    return walk->side->held_len ? search_held(walk, view) : search_view(walk, view);
}

/* ---- believing ---- */

void bus_wait_for_follower(const struct bus_walk *walk, struct bytes head) {
    struct bus_side *side = walk->side;
    size_t room;
    struct bus_waiting *waiting = pool_take(walk->out->pool, sizeof *waiting + head.len, &room);
    if (!waiting) {
        bus_anomaly(walk, AN_held_cap);
        walk->flow->sides[walk->direction].undecoded += side->frame.total;
        return;
    }
    *waiting = (struct bus_waiting){.room = room,
                                    .place = *walk->out,
                                    .frame = side->frame,
                                    .end = side->at,
                                    .incomplete = side->incomplete,
                                    .len = (uint32_t)head.len};
    memcpy(waiting->bytes, head.data, head.len);
    side->waiting = waiting;
}

void bus_confirm(const struct bus_walk *walk) {
    struct bus_waiting *waiting = walk->side->waiting;
    walk->side->waiting = NULL;
    bus_tell(walk, &(struct bus_whole){.place = &waiting->place,
                                       .frame = &waiting->frame,
                                       .head = bytes_of(waiting->bytes, waiting->len),
                                       .end = waiting->end,
                                       .incomplete = waiting->incomplete,
                                       .after_gap = true});
    pool_give(walk->out->pool, waiting, waiting->room);
}

/* The message that waits was none: its bytes are searched again, but for the first one. Bytes made
 * for it could be searched again and again: no more of them than the stream had in all. */
static void refute(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    struct bus_waiting *waiting = side->waiting;
    side->waiting = NULL;
    bus_anomaly(walk, AN_bus_resync_refuted);
    side->at = waiting->end - waiting->frame.total;
    side->searched_again += waiting->len;
    bool whole = waiting->len == waiting->frame.total;
    if (whole && side->refuted < REFUTED_MAX && side->searched_again <= waiting->end) {
        side->refuted++;
        pass_undecoded(walk, 1);
        bus_feed_view(walk, bytes_of(waiting->bytes + 1, waiting->len - 1));
        side->refuted--;
    } else {
        pass_undecoded(walk, waiting->frame.total);
    }
    pool_give(walk->out->pool, waiting, waiting->room);
}

void bus_lose_step(const struct bus_walk *walk) {
    struct bus_side *side = walk->side;
    side->searching = side->after_gap = true;
    if (side->waiting)
        refute(walk);
    else
        bus_anomaly(walk, AN_bus_signature);
}
