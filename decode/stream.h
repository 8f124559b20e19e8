/* stream.h - one direction of a TCP connection, put back into order.
 *
 * What is in order is handed on at once, as a view, without a copy. What comes early is copied and
 * held: at most CAP_REORDER_BYTES in CAP_REORDER_SEGMENTS. What comes again is cut off. A hole
 * becomes an explicit gap when the caps are hit, when the caller says so (the peer acknowledged
 * bytes that the capture never showed), or at the end. Sequence numbers are compared modulo 2^32.
 *
 *      handed on            hole      held
 *   ...=============|next|...........[====]....[==]      (held: sorted, never overlapping)
 *
 * A patient stream holds, too, what its sender can only have said after bytes of the peer that were
 * not handed on yet: the capture has the two directions out of order. Such a segment is due, and
 * waits.
 *
 * If `ranges_only` is set, bytes are not copied: early segments are remembered by their extent and
 * handed on as skipped. That is for streams whose contents nobody decodes. */
#ifndef BUSTAP_DECODE_STREAM_H
#define BUSTAP_DECODE_STREAM_H

#include "base/pool.h"

struct held {
    struct held *next;
    size_t room;    /* of this block */
    uint64_t frame; /* of its packet */
    nstime time;
    uint32_t seq, len;
    uint32_t kept;  /* bytes of it that are here: the first ones of a segment that was cut */
    uint32_t heard; /* as in struct stream_sink */
    uint8_t bytes[];
};

enum { STREAM_RECENT = 4 };

/* A segment that was handed on. */
struct recent {
    uint32_t seq, len, tag, sum;
};

/* What every segment touches comes first: 32 bytes, half a cache line. */
struct stream {
    uint32_t next;   /* sequence number after the last byte handed on */
    bool started;    /* `next` is known */
    bool from_start; /* the SYN was seen: the first byte handed on is the connection's first */
    bool ranges_only;
    uint8_t recent_at;
    uint32_t tag; /* of the segment in hand, set by the caller: tells a segment sent again from
                   * one captured twice; 0: cannot tell */
    uint32_t held_bytes;
    uint64_t offset; /* bytes handed on or passed over so far */
    struct held *held;

    struct held *held_last;
    uint16_t held_count;
    uint32_t cut; /* of the segment in hand, behind those that are handed on: bytes not captured */
    struct recent
        recent[STREAM_RECENT]; /* the last segments handed on, to know a copy that differs */
};

/* The sequence number of the first of `len` bytes that are being handed on. */
static inline uint32_t stream_begin_of(const struct stream *stream, size_t len) {
    return stream->next - stream->cut - (uint32_t)len;
}

enum stream_skip {
    SKIP_LOST,    /* never captured */
    SKIP_SNAPLEN, /* cut off by the capture; or not kept, in a stream of ranges_only */
};

/* Where a stream's bytes go, in order; and what is known of the packet in hand. */
struct stream_sink {
    /* `held`: what is known of their packet; NULL: it is the one in hand, or none. */
    void (*bytes)(void *context, struct bytes view, const struct held *held);
    void (*skip)(void *context, uint64_t len, enum stream_skip why, const struct held *held);
    void *context;
    struct pool *pool; /* for what is held, of all streams together */
    uint64_t frame;
    nstime time;
    bool patient;   /* what answers the peer is not handed on before what it answers: */
    uint32_t heard; /* up to here the segment's sender had the peer's bytes, */
    uint32_t said;  /* and up to here they were handed on */
};

/* What stream_feed found out about a segment; any combination. */
enum stream_note {
    STREAM_OLD = 0x01,         /* all or part of it had been handed on before */
    STREAM_EARLY = 0x02,       /* it came before its predecessors */
    STREAM_CONFLICT = 0x04,    /* a second copy differs; the first one stands */
    STREAM_REORDER_CAP = 0x08, /* held too much: a hole was given up */
    STREAM_NOT_HELD = 0x10,    /* no room in the pool to hold it: now a hole, or no more waiting */
    STREAM_KEEPALIVE = 0x20,   /* one byte before `next` */
    STREAM_TWICE = 0x40,       /* a recent segment again, with the same tag */
    STREAM_WAIT_CAP = 0x80,    /* held too much: what waited for the peer's bytes waits no longer */
};

/* The stream's first byte will be `seq`. */
void stream_start(struct stream *stream, uint32_t seq, bool from_start);

/* A segment: `view` was captured of its `len` bytes. Calls the sink, returns stream_note bits. A
 * stream that has not started starts here. */
unsigned stream_feed(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                     const struct stream_sink *sink);

/* The short way of a segment that is whole, and the next one of a stream that holds nothing: the
 * caller hands on its bytes itself. */
void stream_advance(struct stream *stream, struct bytes view);

/* The short way of a stream whose bytes nobody wants: passes over the next `len` bytes if they are
 * in order. False: they are not, or somebody does; then stream_feed is the way. */
static inline bool stream_pass(struct stream *stream, uint32_t seq, uint32_t len) {
    if (!stream->ranges_only || seq != stream->next || stream->held)
        return false;
    stream->next += len;
    stream->offset += len;
    return true;
}

/* Gives up everything before `seq` that is missing, and hands on what was held before it and,
 * unless it has to wait, directly after it. Does nothing if `seq` is not after `next`. */
void stream_give_up(struct stream *stream, uint32_t seq, const struct stream_sink *sink);

/* Is the first segment that is held the next one of the stream? Only patience holds it. */
static inline bool stream_is_due(const struct stream *stream) {
    return stream->held && (int32_t)(stream->held->seq - stream->next) <= 0;
}

/* Passes over the hole before what is held, or all of it that is before `seq`, and hands on
 * nothing. False: there is none. */
bool stream_skip_hole(struct stream *stream, uint32_t seq, const struct stream_sink *sink);

/* The peer's bytes were handed on up to sink->said: hands on what is due and need not wait. */
void stream_release(struct stream *stream, const struct stream_sink *sink);

/* The same, one segment only. False: there is none. */
bool stream_release_one(struct stream *stream, const struct stream_sink *sink);

void stream_free(struct stream *stream, struct pool *pool);

/* a is after b, modulo 2^32 */
static inline bool seq_after(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) > 0;
}

#endif
