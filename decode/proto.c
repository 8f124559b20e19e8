/* proto.c - the list of protocols, and how a connection's one is told from its first bytes.
 *
 * Each direction is looked at until something is recognised in one of them, at most
 * CAP_SNIFF_BYTES. Bytes are held back only where a beginning is cut by a segment's end, so that
 * the cutting makes no difference. */
#include "decode/proto.h"

#include <stdlib.h>

#include "base/limits.h"

enum { SNIFF_HELD = 128 }; /* more than any protocol wants to see of its beginning */

/* In order of preference: the first one that says yes has it. */
static const struct proto *const protos[] = {&proto_bus, &proto_tls, &proto_resp};

/* Asks all: yes beats more, more beats no. */
static struct sniff sniff_all(const struct sniffed *sniffed, const struct proto **ret_proto) {
    struct sniff all = {SNIFF_NO, sniffed->head.len};
    for (size_t i = 0; i < countof(protos); i++) {
        struct sniff one = protos[i]->sniff(sniffed);
        if (one.verdict == SNIFF_YES) {
            *ret_proto = protos[i];
            return one;
        }
        if (one.verdict == SNIFF_MORE) {
            all.verdict = SNIFF_MORE;
            all.at = min_size(all.at, one.at);
        }
    }
    return all;
}

static void forget_held(struct flow_side *side) {
    free(side->sniffed);
    side->sniffed = NULL;
    side->sniffed_len = 0;
}

/* Nothing can be recognised in this direction (any more). */
static void give_up(struct flow *flow, unsigned direction) {
    struct flow_side *side = &flow->sides[direction];
    forget_held(side);
    side->sniff_passed = side->stream.offset;
    side->not_sniffed = true;
    side->stream.ranges_only = true;
    flow->sniffing = !flow->sides[!direction].not_sniffed;
}

/* Hands over what is held of a direction, from `at` on. */
static void feed_held(struct emitter *out, struct flow *flow, unsigned direction, size_t at) {
    struct flow_side *side = &flow->sides[direction];
    struct bytes held = bytes_after(bytes_of(side->sniffed, side->sniffed_len), at);
    if (held.len && flow->proto)
        flow->proto->feed(out, flow, direction, held);
    forget_held(side);
}

static void recognised(struct emitter *out, struct flow *flow, unsigned direction,
                       const struct proto *proto) {
    flow->sniffing = false;
    flow->proto = proto;
    for (int i = 0; i < 2; i++)
        flow->sides[i].stream.ranges_only = !proto->wants_bytes;
    if (proto->open(out, flow, direction))
        return;
    flow->proto = NULL;
    give_up(flow, 0);
    give_up(flow, 1);
    emit_anomaly(out, flow, direction, AN_no_memory, 0);
}

/* Keeps the bytes at the end of `view` whose meaning the next segment decides. */
static bool keep(struct flow_side *side, struct bytes view) {
    if (!side->sniffed)
        side->sniffed = malloc(SNIFF_HELD);
    if (!side->sniffed)
        return false;
    memmove(side->sniffed, view.data, view.len);
    side->sniffed_len = (uint16_t)view.len;
    return true;
}

void proto_sniff(struct emitter *out, struct flow *flow, unsigned direction, struct bytes view) {
    struct flow_side *side = &flow->sides[direction];
    const struct proto *proto = NULL;
    if (side->not_sniffed)
        side->sniff_passed = side->stream.offset;
    while (view.len && !side->not_sniffed && !flow->proto) {
        size_t held = side->sniffed_len, taken = 0;
        struct bytes head = view;
        if (held) { /* complete the held beginning with as much as fits */
            taken = min_size(view.len, SNIFF_HELD - held);
            memcpy(side->sniffed + held, view.data, taken);
            side->sniffed_len = (uint16_t)(held + taken);
            head = bytes_of(side->sniffed, side->sniffed_len);
        }
        struct sniffed sniffed = {out, head, side->sniff_passed,
                                  side->stream.from_start && side->sniff_passed == 0};
        struct sniff sniff = sniff_all(&sniffed, &proto);
        if (sniff.verdict != SNIFF_NO)
            side->sniff_passed += sniff.at;
        side->sniff_looked += (uint32_t)sniff.at;
        if (sniff.verdict == SNIFF_YES) {
            recognised(out, flow, direction, proto);
            feed_held(out, flow, !direction, 0); /* it came before */
            if (held)
                feed_held(out, flow, direction, sniff.at);
            view = bytes_after(view, held ? taken : sniff.at);
            break;
        }
        struct bytes rest = bytes_after(head, sniff.at);
        bool hopeless = sniff.verdict == SNIFF_NO || side->sniff_looked > CAP_SNIFF_BYTES ||
                        rest.len >= SNIFF_HELD;
        if (hopeless || (rest.len && !keep(side, rest))) {
            give_up(flow, direction);
            return;
        }
        if (!rest.len)
            forget_held(side);
        view = bytes_after(view, held ? taken : view.len);
    }
    if (flow->proto && view.len)
        flow->proto->feed(out, flow, direction, view);
}

void proto_sniff_skip(struct flow *flow, unsigned direction) {
    struct flow_side *side = &flow->sides[direction];
    forget_held(side);
    side->sniff_passed = side->stream.offset;
}
