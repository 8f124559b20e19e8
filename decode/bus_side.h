/* bus_side.h - one direction of a bus connection while it is cut into messages; private to
 * decode/bus_link.c, bus_resync.c and bus_unacked.c. */
#ifndef BUSTAP_DECODE_BUS_SIDE_H
#define BUSTAP_DECODE_BUS_SIDE_H

#include "decode/bus.h"
#include "decode/emitter.h"
#include "decode/flow.h"

/* ---- bus_unacked.c: messages that the peer has not acknowledged yet ---- */

struct bus_unacked {
    uint64_t *ends; /* a ring: where each ends in the stream, its type in the low four bits */
    size_t size;    /* of the block that they are in, bytes */
    uint32_t first, count, room;
};

/* False: CAP_BUS_UNACKED, or no memory. */
bool bus_unacked_push(struct bus_unacked *queue, uint64_t end, enum bus_type type,
                      struct pool *pool);

/* Takes the oldest message if it ends at or before `offset`. */
bool bus_unacked_pop(struct bus_unacked *queue, uint64_t offset, enum bus_type *ret_type);

void bus_unacked_free(struct bus_unacked *queue, struct pool *pool);

/* ---- the direction ---- */

/* A message found by a search that waits for its follower. */
struct bus_waiting {
    size_t room; /* of this block */
    struct emitter place;
    struct bus_frame frame;
    uint64_t end; /* stream offset */
    bool incomplete;
    uint32_t len;
    uint8_t bytes[];
};

struct bus_side {
    uint64_t at;     /* stream offset of the next byte */
    bool searching;  /* out of step */
    bool after_gap;  /* the message in hand, or the next one, was found by a search */
    bool incomplete; /* bytes that decoding needs are missing in the message in hand */
    bool sender_known;
    char sender[BUS_NODE_ID];

    struct bus_frame frame; /* of the message in hand, as far as its bytes tell */
    bool framed;            /* they have told all of it */
    uint32_t left;          /* of its bytes, still to be passed over; 0: still being held */
    uint32_t held_len;
    uint8_t *held;
    size_t held_room;

    struct bus_waiting *waiting; /* a message that is not confirmed yet; NULL: none */
    uint8_t refuted;             /* depth of searches in bytes that were taken for a message */
    uint64_t searched_again;     /* bytes of such searches */
    struct bus_unacked unacked;
};

/* The direction in hand. */
struct bus_walk {
    struct emitter *out;
    struct flow *flow;
    struct bus_side *side, *peer;
    unsigned direction;
};

/* A message that is complete on the wire. */
struct bus_whole {
    const struct emitter *place;
    const struct bus_frame *frame;
    struct bytes head; /* what was held of it */
    uint64_t end;      /* stream offset */
    bool incomplete, after_gap;
};

/* ---- bus_link.c ---- */

/* Consumes the view. */
void bus_feed_view(const struct bus_walk *walk, struct bytes view);

/* Decodes the message and tells it. */
void bus_tell(const struct bus_walk *walk, const struct bus_whole *whole);

void bus_anomaly(const struct bus_walk *walk, enum anomaly name);

/* Adds to what is held; `room` is how much it will be in the end, as far as known. False: no
 * memory for it, said as an anomaly. */
bool bus_hold(const struct bus_walk *walk, struct bytes view, size_t room);
void bus_drop_held(const struct bus_walk *walk);

/* ---- bus_resync.c: finding the way back into step ---- */

/* No message begins where one should. */
void bus_lose_step(const struct bus_walk *walk);

/* Looks for a message. Returns the bytes used; the rest begins with one. */
size_t bus_search(const struct bus_walk *walk, struct bytes view);

/* The first credible message in the view, or the first place that more bytes may prove to be one.
 */
size_t bus_find_message(struct bytes view, bool *ret_found);

/* The message in hand, found by a search, has ended at side->at. */
void bus_wait_for_follower(const struct bus_walk *walk, struct bytes head);

/* Another message follows the one that waits, or nothing will any more: it is told. */
void bus_confirm(const struct bus_walk *walk);

#endif
