/* tls.c - TLS is recognised and left alone: sizes and times are all that it tells us.
 * Record header (RFC 8446, 5.1): content type, version 3.0 to 3.4, length. */
#include "base/base.h"
#include "decode/proto.h"

enum { RECORD_HEADER = 5, RECORD_MAX = 16384 + 2048, HANDSHAKE = 22 };

static bool is_record(struct bytes head) {
    return head.data[0] >= 20 && head.data[0] <= 23 && head.data[1] == 3 && head.data[2] <= 4 &&
           load_be16(head.data + 3) > 0 && load_be16(head.data + 3) <= RECORD_MAX;
}

/* A connection begins with a handshake record; one joined in the middle may show any kind, and is
 * believed only at the first byte seen, where two records cannot be confirmed. */
static struct sniff sniff(const struct sniffed *sniffed) {
    struct bytes head = sniffed->head;
    uint8_t first = sniffed->offset == 0 ? head.data[0] : 0;
    if (sniffed->from_start ? first != HANDSHAKE : first < 20 || first > 23)
        return (struct sniff){SNIFF_NO, 0};
    if (head.len < RECORD_HEADER)
        return (struct sniff){SNIFF_MORE, 0};
    return (struct sniff){is_record(head) ? SNIFF_YES : SNIFF_NO, 0};
}

static bool open(struct emitter *out, struct flow *flow, unsigned direction) {
    struct event event = {.type = EV_opaque, .opaque = {.what = flow->proto->name}};
    emit_event(out, flow, direction, &event);
    return true;
}

static void feed(struct emitter *out, struct flow *flow, unsigned direction, struct bytes view) {
    (void)out, (void)flow, (void)direction, (void)view;
}

static void skip(struct emitter *out, struct flow *flow, unsigned direction, uint64_t len,
                 enum stream_skip why) {
    (void)out, (void)flow, (void)direction, (void)len, (void)why;
}

static void end(struct emitter *out, struct flow *flow, unsigned direction) {
    (void)out, (void)flow, (void)direction;
}

const struct proto proto_tls = {
    .name = "tls", .sniff = sniff, .open = open, .feed = feed, .skip = skip, .end = end};
