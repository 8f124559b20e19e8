/* bus.c - framing and header of a bus message, and the credibility test of a search. */
#include "decode/bus.h"

#include "base/limits.h"
#include "decode/bus_body.h"

/* ---- the tables ---- */

const char *const bus_type_names[BUS_COUNTERS] = {
#define BUS_MESSAGE(symbol, number, name, body, since) [BUS_##symbol] = name,
#include "decode/bus.def"
#undef BUS_MESSAGE
    [BUS_UNKNOWN] = "unknown",
};

static bus_body *const bodies[BUS_COUNTERS] = {
#define BUS_MESSAGE(symbol, number, name, body, since) [BUS_##symbol] = body,
#include "decode/bus.def"
#undef BUS_MESSAGE
    [BUS_UNKNOWN] = body_any,
};

#define FLAG_ROW(symbol, bit, name) {bit, name},
const struct bus_flag_row bus_node_flag_rows[] = {BUS_NODE_FLAGS(FLAG_ROW)};
const size_t bus_node_flag_count = countof(bus_node_flag_rows);
const struct bus_flag_row bus_mflag_rows[] = {BUS_MFLAGS(FLAG_ROW)};
const size_t bus_mflag_count = countof(bus_mflag_rows);
#undef FLAG_ROW

/* ---- framing ---- */

enum { TYPE_LIGHT = 0x8000, VERSION_MAX = 1 };

static const uint8_t signature[4] = {'R', 'C', 'm', 'b'};

/* Length of the header that goes with a version and form; 0 for a version that we do not know. */
static uint32_t header_len(const struct bus_frame *frame) {
    if (frame->light)
        return BUS_HEADER_LIGHT;
    return frame->version == 1 ? BUS_HEADER : frame->version == 0 ? BUS_HEADER_V0 : 0;
}

/* A server closes the link on a message shorter than its header (2256, or 16 if light). What a
 * later version's header would be nobody knows: then only the prefix is asked for. */
static uint32_t least_total(const struct bus_frame *frame) {
    uint32_t header = header_len(frame);
    return header ? header : BUS_HEADER_LIGHT;
}

/* The lengths inside a message that carries somebody's payload, added up; 0 for other types. */
static uint64_t payload_total(const struct bus_frame *frame, struct bytes head) {
    uint32_t header = header_len(frame);
    const uint8_t *body = head.data + header;
    bool publish = frame->type == BUS_PUBLISH || frame->type == BUS_PUBLISHSHARD;
    if (publish && head.len >= header + 8)
        return UINT64_C(8) + header + load_be32(body) + load_be32(body + 4);
    if (frame->type == BUS_MODULE && head.len >= header + 13)
        return UINT64_C(13) + header + load_be32(body + 8);
    return 0;
}

/* Servers believe any length. Only a payload makes a message as large as CAP_BUS_PLAUSIBLE, and
 * then its own lengths agree; waiting for the end of anything else would mean to see nothing of
 * the connection any more. */
static enum bus_frame_status frame_of_large(const struct bus_frame *frame, struct bytes head) {
    bool carries =
        frame->type == BUS_PUBLISH || frame->type == BUS_PUBLISHSHARD || frame->type == BUS_MODULE;
    if (carries && head.len < frame->hold)
        return FRAME_MORE; /* those lengths are not there yet */
    return carries && payload_total(frame, head) == frame->total ? FRAME_OK : FRAME_BAD;
}

/* As far as the bytes go. */
static inline bool begins_with_signature(struct bytes head) {
    return LIKELY(head.len >= sizeof signature)
               ? memcmp(head.data, signature, sizeof signature) == 0
               : memcmp(head.data, signature, head.len) == 0;
}

enum bus_frame_status bus_frame(struct bytes head, struct bus_frame *ret_frame) {
    if (!begins_with_signature(head))
        return FRAME_BAD;
    *ret_frame = (struct bus_frame){.hold = BUS_PREFIX};
    if (head.len < BUS_PREFIX)
        return FRAME_MORE;
    uint16_t type = load_be16(head.data + 12);
    ret_frame->total = load_be32(head.data + 4);
    ret_frame->version = load_be16(head.data + 8);
    ret_frame->light = type & TYPE_LIGHT;
    type &= (uint16_t)~TYPE_LIGHT;
    ret_frame->type = type < BUS_TYPES ? (enum bus_type)type : BUS_UNKNOWN;
    if (ret_frame->total < least_total(ret_frame))
        return FRAME_BAD;
    uint32_t header = header_len(ret_frame);
    if (header == 0)
        return ret_frame->total <= CAP_BUS_PLAUSIBLE ? FRAME_OK : FRAME_BAD;
    struct body_need need = bodies[ret_frame->type](head, header, NULL);
    uint64_t hold = (uint64_t)header + need.hold;
    if (hold > ret_frame->total)
        hold = ret_frame->total;
    ret_frame->hold = (uint32_t)min_size(hold, CAP_BUS_HOLD);
    if (need.more && head.len < ret_frame->hold)
        return FRAME_MORE;
    if (UNLIKELY(ret_frame->total > CAP_BUS_PLAUSIBLE))
        return frame_of_large(ret_frame, head);
    return FRAME_OK;
}

/* ---- the header ---- */

typedef uint8_t digits16 __attribute__((vector_size(16)));

/* All ones in each byte that is a lower-case hex digit. */
static inline digits16 hex_mask(const uint8_t *p) {
    digits16 v;
    memcpy(&v, p, sizeof v);
    return (digits16)(v - '0' < 10) | (digits16)(v - 'a' < 6);
}

bool bus_is_node_id(const uint8_t *digits) {
    digits16 all = hex_mask(digits) & hex_mask(digits + 16) & hex_mask(digits + BUS_NODE_ID - 16);
    uint64_t halves[2];
    memcpy(halves, &all, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

/* A node id field: NULL when it is all zero (a primary's replica_of) or no id at all. */
static const char *node_id(const uint8_t *field) {
    return field[0] && bus_is_node_id(field) ? (const char *)field : NULL;
}

/* The fields at the same place in versions 0 and 1. */
static void decode_common(const uint8_t *h, struct ev_bus_message *m) {
    m->current_epoch = load_be64(h + 16);
    m->config_epoch = load_be64(h + 24);
    m->repl_offset = load_be64(h + 32);
    m->sender = node_id(h + 40);
    m->slots = h + 80;
    m->replica_of = node_id(h + 2128);
}

static void decode_v0(const uint8_t *h, struct ev_bus_message *m) {
    decode_common(h, m);
    m->port = load_be16(h + 2200);
    m->bus_port = m->port + 10000; /* fixed before Redis 4.0 */
    m->secondary_port = 0;
    m->ip = bytes_of(NULL, 0);
    m->flags = load_be16(h + 2202);
    m->state = h[2204];
    m->mflags = h[2205];
}

static void decode_v1(const uint8_t *h, struct ev_bus_message *m) {
    decode_common(h, m);
    m->port = load_be16(h + 10);
    m->ip = h[2168] ? bus_text(bytes_of(h + 2168, BUS_IP_TEXT)) : bytes_of(NULL, 0);
    m->secondary_port = load_be16(h + 2246);
    m->bus_port = load_be16(h + 2248);
    m->flags = load_be16(h + 2250);
    m->state = h[2252];
    m->mflags = h[2253];
}

/* Zeroes the message from its `gossip` on: the fields that no header has. Zeroing all of it first
 * would cost a tenth of decoding it. */
static void clear_body(struct ev_bus_message *m) {
    size_t from = offsetof(struct ev_bus_message, gossip);
    memset((uint8_t *)m + from, 0, sizeof *m - from);
}

bool bus_decode(const struct bus_frame *frame, struct bytes head,
                struct ev_bus_message *ret_message) {
    struct ev_bus_message *m = ret_message;
    uint32_t header = header_len(frame);
    bool there = header > 0 && head.len >= header;
    if (UNLIKELY(!there || frame->light)) { /* no header fields at all */
        memset(m, 0, sizeof *m);
    } else {
        clear_body(m);
        m->receiver = NULL;
        m->after_gap = m->incomplete = m->ignored = false;
        (frame->version == 1 ? decode_v1 : decode_v0)(head.data, m);
    }
    m->type = frame->type;
    m->length = frame->total;
    m->version = frame->version;
    m->light = frame->light;
    return there && bodies[frame->type](head, header, m).valid;
}

/* ---- search ---- */

/* Is the length what the type's rule makes of the counts in the header? */
static bool length_fits(const struct bus_frame *frame, struct bytes head) {
    uint32_t header = header_len(frame);
    uint64_t body = frame->total - header;
    switch (frame->type) {
    case BUS_PING:
    case BUS_PONG:
    case BUS_MEET: {
        uint64_t gossip = (uint64_t)load_be16(head.data + 14) * BUS_GOSSIP_ENTRY;
        return body >= gossip && (body - gossip) % 8 == 0;
    }
    case BUS_FAIL:
        return body == BUS_NODE_ID;
    case BUS_UPDATE:
        return body == 8 + BUS_NODE_ID + BUS_SLOT_BYTES;
    case BUS_AUTH_REQUEST:
    case BUS_AUTH_ACK:
    case BUS_MFSTART:
        return body == 0;
    case BUS_PUBLISH:
    case BUS_PUBLISHSHARD:
    case BUS_MODULE:
        return body >= 8 && (!frame->light || payload_total(frame, head) == frame->total);
    case BUS_AUTH_NACK: /* its two forms */
        return body == 1 || body == 16;
    case BUS_UNKNOWN:
    case BUS_COUNTERS:
        return false;
    }
    return false;
}

bool bus_plausible(struct bytes head) {
    struct bus_frame frame;
    if (bus_frame(head, &frame) == FRAME_BAD || frame.version > VERSION_MAX ||
        frame.type == BUS_UNKNOWN || frame.total > CAP_BUS_PLAUSIBLE || !length_fits(&frame, head))
        return false;
    if (frame.light) /* nothing else can be light */
        return frame.type == BUS_PUBLISH || frame.type == BUS_PUBLISHSHARD ||
               frame.type == BUS_MODULE;
    return bus_is_node_id(head.data + 40);
}
