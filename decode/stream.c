/* stream.c - reassembly: a position, and a sorted list of what came too early. */
#include "decode/stream.h"

#include "base/limits.h"

void stream_start(struct stream *stream, uint32_t seq, bool from_start) {
    stream->next = seq;
    stream->started = true;
    stream->from_start = from_start;
}

/* ---- copies that differ ---- */

/* One to seven bytes, in loads that may overlap: each byte in at least one of them. */
static inline uint64_t load_few(const uint8_t *p, size_t len) {
    uint32_t first, last;
    if (len < 4)
        return p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16;
    memcpy(&first, p, 4);
    memcpy(&last, p + len - 4, 4);
    return first | (uint64_t)last << 32;
}

/* Rotated before the next word comes, so that words that change places change the sum. */
static inline uint64_t add_word(uint64_t sum, uint64_t word) {
    return (sum << 23 | sum >> 41) + word;
}

/* The first 32 bytes and the last 16, or as many as there are, in words that may overlap. */
static inline uint64_t add_ends(uint64_t sum, struct bytes view) {
    size_t last = view.len - 8;
    sum = add_word(sum, load_word(view.data));
    sum = add_word(sum, load_word(view.data + min_size(8, last)));
    sum = add_word(sum, load_word(view.data + min_size(16, last)));
    sum = add_word(sum, load_word(view.data + min_size(24, last)));
    sum = add_word(sum, load_word(view.data + last - min_size(8, last)));
    return add_word(sum, load_word(view.data + last));
}

/* A copy is told from the first one by its first and its last bytes: all of a small segment, and
 * of a large one the ends, where bus messages carry what changes. Summing everything would cost as
 * much as the rest of the packet's way. Of one byte at least. */
static inline uint32_t sum_of(struct bytes view) {
    uint64_t sum = LIKELY(view.len >= 8) ? add_ends(view.len, view)
                                         : add_word(view.len, load_few(view.data, view.len));
    return (uint32_t)(sum * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static bool is_summed(const struct stream *stream, struct bytes view, uint32_t len) {
    return !stream->ranges_only && view.len == len;
}

static inline void remember(struct stream *stream, struct bytes view) {
    stream->recent[stream->recent_at++ % STREAM_RECENT] =
        (struct recent){stream->next, (uint32_t)view.len, stream->tag, sum_of(view)};
}

/* What the last segments say about one that comes again. */
static unsigned compare_recent(const struct stream *stream, uint32_t seq, struct bytes view,
                               uint32_t len) {
    if (!is_summed(stream, view, len))
        return 0;
    for (unsigned i = 0; i < STREAM_RECENT; i++) {
        if (stream->recent[i].seq != seq || stream->recent[i].len != len)
            continue;
        bool twice = stream->tag && stream->recent[i].tag == stream->tag;
        bool differs = stream->recent[i].sum != sum_of(view);
        return (twice ? STREAM_TWICE : 0) | (differs ? STREAM_CONFLICT : 0);
    }
    return 0;
}

/* Does what is held differ from this segment where both have bytes? */
static bool differs_from_held(const struct stream *stream, uint32_t seq, struct bytes view) {
    for (const struct held *held = stream->held; held; held = held->next) {
        int32_t shift = (int32_t)(held->seq - seq); /* of held's start within the view */
        size_t in_view = shift > 0 ? (size_t)shift : 0;
        size_t in_held = shift < 0 ? (size_t) - (int64_t)shift : 0;
        if (in_view >= view.len)
            return false; /* sorted: all later ones begin behind the view */
        if (in_held >= held->kept)
            continue;
        size_t both = min_size(view.len - in_view, held->kept - in_held);
        if (memcmp(view.data + in_view, held->bytes + in_held, both) != 0)
            return true;
    }
    return false;
}

/* ---- handing on ---- */

/* The next `len` bytes of the stream, of which `view` is there. */
static void hand_on(struct stream *stream, struct bytes view, uint32_t len,
                    const struct stream_sink *sink, const struct held *held) {
    if (is_summed(stream, view, len))
        remember(stream, view);
    uint32_t cut = len - (uint32_t)view.len;
    stream->next += len;
    stream->offset += view.len;
    stream->cut = cut;
    if (view.len)
        sink->bytes(sink->context, view, held);
    stream->cut = 0;
    if (cut > 0) {
        stream->offset += cut;
        sink->skip(sink->context, cut, SKIP_SNAPLEN, held);
    }
}

void stream_advance(struct stream *stream, struct bytes view) {
    remember(stream, view);
    stream->next += (uint32_t)view.len;
    stream->offset += view.len;
}

static struct held *unlink_first(struct stream *stream) {
    struct held *held = stream->held;
    stream->held = held->next;
    if (!stream->held)
        stream->held_last = NULL;
    stream->held_count--;
    stream->held_bytes -= held->len;
    return held;
}

static void hand_on_held(struct stream *stream, const struct stream_sink *sink) {
    struct held *held = unlink_first(stream);
    uint32_t old = stream->next - held->seq;
    if (old < held->len) {
        struct bytes kept = bytes_of(held->bytes, held->kept);
        hand_on(stream, bytes_after(kept, old), held->len - old, sink, held);
    }
    pool_give(sink->pool, held, held->room);
}

static bool must_wait(const struct stream_sink *sink, uint32_t heard) {
    return sink->patient && seq_after(heard, sink->said);
}

bool stream_release_one(struct stream *stream, const struct stream_sink *sink) {
    if (!stream_is_due(stream) || must_wait(sink, stream->held->heard))
        return false;
    hand_on_held(stream, sink);
    return true;
}

void stream_release(struct stream *stream, const struct stream_sink *sink) {
    while (stream_release_one(stream, sink))
        ;
}

/* The same, without patience. */
static void drain(struct stream *stream, const struct stream_sink *sink) {
    while (stream_is_due(stream))
        hand_on_held(stream, sink);
}

bool stream_skip_hole(struct stream *stream, uint32_t seq, const struct stream_sink *sink) {
    if (stream->held && seq_after(seq, stream->held->seq))
        seq = stream->held->seq;
    if (!stream->started || !seq_after(seq, stream->next))
        return false;
    uint32_t len = seq - stream->next;
    stream->next = seq;
    stream->offset += len;
    sink->skip(sink->context, len, SKIP_LOST, NULL);
    return true;
}

void stream_give_up(struct stream *stream, uint32_t seq, const struct stream_sink *sink) {
    while (stream->started && seq_after(seq, stream->next)) {
        stream_skip_hole(stream, seq, sink);
        drain(stream, sink);
    }
}

void stream_free(struct stream *stream, struct pool *pool) {
    while (stream->held) {
        struct held *held = unlink_first(stream);
        pool_give(pool, held, held->room);
    }
}

/* ---- holding ---- */

/* Puts a copy of the segment into the list behind `after` (NULL: in front). */
static bool insert(struct stream *stream, struct held *after, uint32_t seq, struct bytes view,
                   uint32_t len, const struct stream_sink *sink) {
    uint32_t kept = stream->ranges_only ? 0 : (uint32_t)view.len;
    size_t room;
    struct held *held = pool_take(sink->pool, sizeof *held + kept, &room);
    if (!held)
        return false;
    held->room = room;
    held->seq = seq;
    held->len = len;
    held->heard = sink->heard;
    held->time = sink->time;
    held->frame = sink->frame;
    held->kept = kept;
    if (kept)
        memcpy(held->bytes, view.data, kept);
    held->next = after ? after->next : stream->held;
    *(after ? &after->next : &stream->held) = held;
    if (!held->next)
        stream->held_last = held;
    stream->held_count++;
    stream->held_bytes += len;
    return true;
}

/* Holds the parts of the segment that are not held yet. Mostly it belongs at the end. */
static bool hold(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                 const struct stream_sink *sink) {
    uint32_t end = seq + len;
    struct held *before = NULL;
    struct held *last = stream->held_last;
    if (last && !seq_after(last->seq + last->len, seq))
        return insert(stream, last, seq, view, len, sink);
    for (struct held *at = stream->held; seq != end; at = at->next) {
        uint32_t until = at && seq_after(end, at->seq) ? at->seq : end; /* free before `at` */
        if (seq_after(until, seq)) {
            uint32_t part = until - seq;
            if (!insert(stream, before, seq, bytes_first(view, part), part, sink))
                return false;
            view = bytes_after(view, part);
            seq = until;
        }
        if (!at || seq == end)
            break;
        if (seq_after(at->seq + at->len, seq)) { /* covered by `at` */
            uint32_t covered = (uint32_t)min_size(at->seq + at->len - seq, end - seq);
            view = bytes_after(view, covered);
            seq += covered;
        }
        before = at;
    }
    return true;
}

/* Hands on a segment that begins at `next`, and all that becomes due. Of what is held of it already
 * the held copy, which came first, stands. */
static unsigned hand_on_around_held(struct stream *stream, struct bytes view, uint32_t len,
                                    const struct stream_sink *sink) {
    uint32_t end = stream->next + len;
    unsigned notes = 0;
    while (seq_after(end, stream->next)) {
        uint32_t from = stream->next, until = end;
        if (stream_is_due(stream)) { /* and waits: so does what is left */
            if (hold(stream, from, view, end - from, sink))
                break;
            notes = STREAM_NOT_HELD;
            drain(stream, sink);
        } else {
            if (stream->held && seq_after(end, stream->held->seq))
                until = stream->held->seq;
            hand_on(stream, bytes_first(view, until - from), until - from, sink, NULL);
            stream_release(stream, sink);
        }
        view = bytes_after(view, stream->next - from);
    }
    return notes;
}

/* Nothing waits any longer. */
static unsigned feed_at_once(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                             const struct stream_sink *sink) {
    struct stream_sink hasty = *sink;
    hasty.patient = false;
    drain(stream, sink);
    return stream_feed(stream, seq, view, len, &hasty);
}

/* A segment that is not early: all before it is there, and waits. */
static unsigned feed_behind(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                            const struct stream_sink *sink) {
    if (hold(stream, seq, view, len, sink))
        return 0;
    return STREAM_NOT_HELD | feed_at_once(stream, seq, view, len, sink); /* rather than lose it */
}

/* Holds a segment that begins at `next`, and has to wait. Without room it waits no longer. */
static unsigned wait(struct stream *stream, struct bytes view, uint32_t len,
                     const struct stream_sink *sink) {
    if (hold(stream, stream->next, view, len, sink))
        return 0;
    return STREAM_NOT_HELD | hand_on_around_held(stream, view, len, sink);
}

static bool is_full(const struct stream *stream, uint32_t len) {
    return stream->held_count >= CAP_REORDER_SEGMENTS ||
           stream->held_bytes + UINT64_C(0) + len > CAP_REORDER_BYTES;
}

static unsigned feed_early(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                           const struct stream_sink *sink) {
    unsigned notes = STREAM_EARLY;
    if (differs_from_held(stream, seq, view))
        notes |= STREAM_CONFLICT;
    if (is_full(stream, len)) { /* give up the first hole; what is held behind it makes room */
        stream_give_up(stream, stream->held ? stream->held->seq : seq, sink);
        return notes | STREAM_REORDER_CAP | stream_feed(stream, seq, view, len, sink);
    }
    if (!hold(stream, seq, view, len, sink))
        notes |= STREAM_NOT_HELD;
    return notes;
}

unsigned stream_feed(struct stream *stream, uint32_t seq, struct bytes view, uint32_t len,
                     const struct stream_sink *sink) {
    if (UNLIKELY(!stream->started))
        stream_start(stream, seq, false);
    if (len == 0)
        return 0;
    bool waits = must_wait(sink, sink->heard) || stream_is_due(stream);
    if (UNLIKELY(waits && is_full(stream, len))) /* patience has an end */
        return STREAM_WAIT_CAP | feed_at_once(stream, seq, view, len, sink);
    if (LIKELY(seq == stream->next && !stream->held && !waits)) {
        hand_on(stream, view, len, sink, NULL);
        return 0;
    }
    if (waits && seq == stream->next + stream->held_bytes && seq != stream->next)
        return feed_behind(stream, seq, view, len, sink);
    if (seq_after(seq, stream->next))
        return feed_early(stream, seq, view, len, sink);

    unsigned notes = 0;
    uint32_t old = stream->next - seq;
    if (old > 0) {
        notes |= STREAM_OLD | compare_recent(stream, seq, view, len);
        if (old >= len)
            return notes | (len == 1 && old == 1 ? STREAM_KEEPALIVE : 0);
        view = bytes_after(view, old);
        len -= old;
    }
    if (differs_from_held(stream, stream->next, view))
        notes |= STREAM_CONFLICT;
    return notes | (waits ? wait : hand_on_around_held)(stream, view, len, sink);
}
