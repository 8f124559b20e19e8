/* test_segments.c - however the same bytes are cut, repeated and reordered on their way, they are
 * the same events: every capture of pcaps/, taken apart into its TCP segments, put together again
 * in other ways, and decoded.
 *
 * Compared is what each direction of each connection says: bus messages, requests, replies and all
 * that the decoder makes of them, replication, opening and closing. Left out is what depends on
 * packets by its nature: the packet in which a request stood, the time between two packets.
 * The packets stand a microsecond apart, so that one that comes late is late in order, not in time.
 * A failure prints the seed; PROP_SEED=... repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/decoder.h"
#include "decode/net.h"
#include "tests/lib/captures.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/recorder.h"
#include "tests/lib/wire.h"

#include <stdlib.h>

enum {
    BUS_PORT = 16379,
    OTHERS_FIRST = 1 << 20, /* bytes of connections that are not the bus, from the beginning */
    SINGLE_BYTES = 500000,  /* bytes that are sent one by one */
    SEEDS = 3,
    REORDER_WITHIN = 16,
    PIECES = 4096, /* of a direction that have passed before their time */
    COPY_WITHIN = 8,
    RAW_IP = 101,
};

struct part {
    struct endpoint src, dst;
    uint32_t seq, ack;
    uint16_t window;
    uint8_t flags;
    bool early; /* bytes of its direction that stand before it come later */
    uint32_t len;
    const uint8_t *data; /* in the take's bytes */
};

/* ---- how far each direction has come ---- */

/* How much of a direction has passed: all bytes up to `complete`, and some pieces behind it. */
struct passed {
    struct part first; /* its SYN */
    uint32_t complete;
    struct piece {
        uint32_t from, until;
    } pieces[PIECES];
    size_t count;
};

enum { WAYS = 4096 };

struct ways {
    struct passed list[WAYS];
    size_t count;
};

/* The direction from `src` to `dst`; NULL: its beginning was not captured. */
static struct passed *way_of(struct ways *ways, const struct endpoint *src,
                             const struct endpoint *dst) {
    for (size_t i = ways->count; i-- > 0;) {
        struct passed *way = &ways->list[i];
        if (endpoint_equal(&way->first.src, src) && endpoint_equal(&way->first.dst, dst))
            return way;
    }
    return NULL;
}

static void pass_piece(struct passed *way, const struct part *part) {
    uint32_t from = part->seq - way->first.seq;
    uint32_t until = from + part->len + !!(part->flags & TCP_SYN) + !!(part->flags & TCP_FIN);
    if (until > from && until > way->complete) {
        assert_true(way->count < countof(way->pieces));
        way->pieces[way->count++] = (struct piece){from, until};
    }
    for (size_t i = 0; i < way->count; i++) {
        struct piece piece = way->pieces[i];
        if (piece.from > way->complete)
            continue;
        way->complete = piece.until > way->complete ? piece.until : way->complete;
        way->pieces[i] = way->pieces[--way->count];
        i = SIZE_MAX; /* from the beginning */
    }
}

/* The part goes by. Returns its direction, NULL if that is not known; *ret_early: bytes before it
 * are still to come. */
static struct passed *pass(struct ways *ways, const struct part *part, bool *ret_early) {
    struct passed *way = way_of(ways, &part->src, &part->dst);
    if (part->flags & TCP_SYN && (!way || way->first.seq != part->seq)) {
        assert_true(ways->count < WAYS);
        way = &ways->list[ways->count++];
        *way = (struct passed){.first = *part};
    }
    *ret_early = way && part->seq - way->first.seq > way->complete;
    if (way)
        pass_piece(way, part);
    return way;
}

/* ---- the segments of a capture ---- */

struct take {
    struct part *parts;
    size_t count, room;
    uint8_t *bytes;
    size_t bytes_len, bytes_room, others;
    struct net *net;
};

enum { TAKE_ROOM = 256 << 20 }; /* reserved, not used: the kernel gives pages as they are touched */

static bool is_wanted(struct take *take, const struct segment *segment) {
    if (segment->src.port == BUS_PORT || segment->dst.port == BUS_PORT)
        return true;
    take->others += segment->payload.len;
    return take->others <= OTHERS_FIRST;
}

static void take_packet(void *context, const struct packet *packet) {
    struct take *take = context;
    struct segment s;
    enum anomaly anomaly;
    if (net_decode(take->net, packet, &s, &anomaly) != NET_SEGMENT || !is_wanted(take, &s))
        return;
    assert_true(take->bytes_len + s.payload.len <= take->bytes_room);
    if (take->count == take->room) {
        take->room = 2 * take->room + 1024;
        take->parts = realloc(take->parts, take->room * sizeof *take->parts);
        assert_non_null(take->parts);
    }
    uint8_t *data = take->bytes + take->bytes_len;
    if (s.payload.len)
        memcpy(data, s.payload.data, s.payload.len);
    take->bytes_len += s.payload.len;
    take->parts[take->count++] = (struct part){
        s.src, s.dst, s.seq, s.ack, s.window, s.flags, false, (uint32_t)s.payload.len, data};
}

static void find_early(struct take *take) {
    static struct ways ways;
    ways.count = 0;
    for (size_t i = 0; i < take->count; i++)
        (void)pass(&ways, &take->parts[i], &take->parts[i].early);
}

static struct take take_of(const char *path) {
    struct take take = {.bytes = malloc(TAKE_ROOM), .bytes_room = TAKE_ROOM, .net = net_new()};
    assert_true(take.bytes && take.net);
    capture_each(path, take_packet, &take);
    find_early(&take);
    return take;
}

static void take_free(struct take *take) {
    net_free(take->net);
    free(take->parts);
    free(take->bytes);
}

/* ---- a run: parts become packets again ---- */

struct run {
    struct decoder *decoder;
    struct recorder heard;
    uint64_t frame;
    uint16_t id;
    size_t single; /* bytes sent one by one so far */
};

static void run_start(struct run *run, const struct recorder *wants) {
    *run = (struct run){.heard = *wants};
    run->decoder = decoder_new((struct siphash_key){1, 2}, EVENTS_ALL, recorder_event, &run->heard);
    assert_non_null(run->decoder);
}

static void run_end(struct run *run) {
    decoder_finish(run->decoder);
    decoder_free(run->decoder);
}

static void put_ip(struct wire *wire, const struct part *part, uint16_t id) {
    struct wire_ip ip = {.protocol = PROTO_TCP, .id = id};
    bool old = endpoint_is_ipv4(&part->src);
    size_t len = old ? 4 : 16;
    (old ? wire_ipv4 : wire_ipv6)(wire, &ip);
    uint8_t *addresses = wire->room + wire->start + (old ? 12 : 8);
    memcpy(addresses, part->src.ip + 16 - len, len);
    memcpy(addresses + len, part->dst.ip + 16 - len, len);
}

static void send(struct run *run, const struct part *part) {
    static struct wire wire;
    wire_start(&wire, bytes_of(part->data, part->len));
    wire_tcp(&wire, &(struct wire_tcp){.sport = part->src.port,
                                       .dport = part->dst.port,
                                       .seq = part->seq,
                                       .ack = part->ack,
                                       .flags = part->flags,
                                       .window = part->window});
    put_ip(&wire, part, ++run->id);
    struct packet packet = packet_of(wire_view(&wire), RAW_IP);
    packet.frame = ++run->frame;
    packet.time = 1700000000 * NS_PER_SEC + (nstime)run->frame * NS_PER_US;
    decoder_packet(run->decoder, &packet);
}

/* The bytes [from, until) of a part; its FIN goes with its last byte. */
static void send_piece(struct run *run, const struct part *part, uint32_t from, uint32_t until) {
    struct part piece = *part;
    piece.seq += from;
    piece.data += from;
    piece.len = until - from;
    if (until < part->len)
        piece.flags &= (uint8_t)~TCP_FIN;
    send(run, &piece);
}

static bool same_direction(const struct part *a, const struct part *b) {
    return endpoint_equal(&a->src, &b->src) && endpoint_equal(&a->dst, &b->dst);
}

static bool is_control(const struct part *part) {
    return part->flags & (TCP_SYN | TCP_FIN | TCP_RST);
}

/* ---- shapes: what is done to the parts ---- */

typedef void reshape(struct run *run, const struct take *take, struct dice *dice);

static void as_it_was(struct run *run, const struct take *take, struct dice *dice) {
    (void)dice;
    for (size_t i = 0; i < take->count; i++)
        send(run, &take->parts[i]);
}

/* One packet per byte, of the first SINGLE_BYTES. What came out of order stays whole: cut up it is
 * more segments than are held (CAP_REORDER_SEGMENTS). */
static void byte_by_byte(struct run *run, const struct take *take, struct dice *dice) {
    (void)dice;
    for (size_t i = 0; i < take->count; i++) {
        const struct part *part = &take->parts[i];
        if (part->len < 2 || part->early || part->flags & TCP_SYN || run->single > SINGLE_BYTES) {
            send(run, part);
            continue;
        }
        run->single += part->len;
        for (uint32_t at = 0; at < part->len; at++)
            send_piece(run, part, at, at + 1);
    }
}

static void random_cuts(struct run *run, const struct take *take, struct dice *dice) {
    for (size_t i = 0; i < take->count; i++) {
        const struct part *part = &take->parts[i];
        if (part->len < 2 || part->flags & TCP_SYN) {
            send(run, part);
            continue;
        }
        static const uint32_t sizes[] = {3, 200, 200, 1448, 1448, 4000};
        for (uint32_t at = 0; at < part->len;) {
            uint32_t len = 1 + dice_below(dice, sizes[dice_below(dice, countof(sizes))]);
            len = (uint32_t)min_size(len, part->len - at);
            send_piece(run, part, at, at + len);
            at += len;
        }
    }
}

/* About half of the segments twice: at once, or some packets later. */
static void duplicates(struct run *run, const struct take *take, struct dice *dice) {
    struct {
        const struct part *part;
        size_t due;
    } copies[COPY_WITHIN] = {0};
    for (size_t i = 0; i < take->count; i++) {
        const struct part *part = &take->parts[i];
        send(run, part);
        for (size_t k = 0; k < COPY_WITHIN; k++) {
            if (part->flags & TCP_SYN) /* of another connection, perhaps with the same ports */
                copies[k].part = NULL;
            if (copies[k].part && copies[k].due <= i) {
                send(run, copies[k].part);
                copies[k].part = NULL;
            }
        }
        size_t k = dice_below(dice, 2 * COPY_WITHIN);
        if (k < COPY_WITHIN && !is_control(part) && !copies[k].part) {
            copies[k].part = part;
            copies[k].due = i + dice_below(dice, COPY_WITHIN);
        }
    }
}

/* Some of a direction's data, in the places where data of that direction stood. */
struct lot {
    struct part first; /* whose direction it is */
    size_t places[REORDER_WITHIN];
    size_t count;
    size_t passed; /* packets of that direction, with data or without */
};

static void draw(const struct part **order, struct lot *lot, const struct take *take,
                 struct dice *dice) {
    size_t mixed[REORDER_WITHIN];
    memcpy(mixed, lot->places, sizeof mixed);
    for (size_t i = lot->count; i > 1; i--) {
        size_t k = dice_below(dice, (uint32_t)i), swap = mixed[i - 1];
        mixed[i - 1] = mixed[k];
        mixed[k] = swap;
    }
    for (size_t i = 0; i < lot->count; i++)
        order[lot->places[i]] = &take->parts[mixed[i]];
    lot->count = lot->passed = 0;
}

enum { LOTS = 64 };

/* The lot of the part's direction: the one under way, else an empty one, else another one's. */
static struct lot *lot_of(struct lot lots[LOTS], const struct part *part, const struct part **order,
                          const struct take *take, struct dice *dice) {
    struct lot *found = &lots[dice_below(dice, LOTS)];
    for (size_t i = 0; i < LOTS; i++) {
        if (lots[i].passed && same_direction(&lots[i].first, part))
            return &lots[i];
        if (!lots[i].passed)
            found = &lots[i];
    }
    draw(order, found, take, dice);
    found->first = *part;
    return found;
}

static void draw_peer(struct lot lots[LOTS], const struct part *part, const struct part **order,
                      const struct take *take, struct dice *dice) {
    for (size_t i = 0; i < LOTS; i++)
        if (lots[i].passed && endpoint_equal(&lots[i].first.src, &part->dst) &&
            endpoint_equal(&lots[i].first.dst, &part->src))
            draw(order, &lots[i], take, dice);
}

/* The order in which the parts are sent: the data of each direction shuffled, up to 16 segments at
 * a time; nothing passes a SYN, a FIN or a reset. If an end `hears`, what it says may be an answer:
 * nothing passes data of the other direction either. To be freed. */
static const struct part **shuffle(const struct take *take, struct dice *dice, bool hears) {
    static struct lot lots[LOTS];
    const struct part **order = calloc(take->count + 1, sizeof *order);
    assert_non_null(order);
    memset(lots, 0, sizeof lots);
    for (size_t i = 0; i < take->count; i++) {
        const struct part *part = &take->parts[i];
        order[i] = part;
        for (size_t k = 0; k < LOTS && is_control(part); k++)
            draw(order, &lots[k], take, dice);
        if (is_control(part))
            continue;
        if (hears && part->len)
            draw_peer(lots, part, order, take, dice);
        struct lot *lot = lot_of(lots, part, order, take, dice);
        if (part->len)
            lot->places[lot->count++] = i;
        if (++lot->passed == REORDER_WITHIN)
            draw(order, lot, take, dice);
    }
    for (size_t k = 0; k < LOTS; k++)
        draw(order, &lots[k], take, dice);
    return order;
}

/* Segments keep their ACKs, which may speak of bytes that are still to come. */
static void reordered(struct run *run, const struct take *take, struct dice *dice) {
    const struct part **order = shuffle(take, dice, false);
    for (size_t i = 0; i < take->count; i++)
        send(run, order[i]);
    free(order);
}

/* Reordered in the network, before the packets came by: no ACK speaks of bytes still to come. */
static void reordered_before(struct run *run, const struct take *take, struct dice *dice) {
    static struct ways ways;
    const struct part **order = shuffle(take, dice, true);
    ways.count = 0;
    for (size_t i = 0; i < take->count; i++) {
        struct part part = *order[i];
        const struct passed *theirs = way_of(&ways, &part.dst, &part.src);
        bool early;
        (void)pass(&ways, &part, &early);
        if (theirs && part.flags & TCP_ACK && part.ack - theirs->first.seq > theirs->complete)
            part.ack = theirs->first.seq + theirs->complete;
        send(run, &part);
    }
    free(order);
}

/* Reordered in the card, as its queues do it: packets of all directions shuffled, some at a time;
 * nothing passes a SYN, a FIN or a reset. */
static void reordered_after(struct run *run, const struct take *take, struct dice *dice) {
    const struct part *block[REORDER_WITHIN];
    size_t count = 0;
    for (size_t i = 0; i <= take->count; i++) {
        const struct part *part = i < take->count ? &take->parts[i] : NULL;
        if (!part || is_control(part) || count == REORDER_WITHIN) {
            for (; count > 0; count--) {
                size_t k = dice_below(dice, (uint32_t)count);
                send(run, block[k]);
                block[k] = block[count - 1];
            }
        }
        if (part && is_control(part))
            send(run, part);
        else if (part)
            block[count++] = part;
    }
}

/* After some segments a stretch of them and of the one before, again, from anywhere to anywhere. */
static void send_stretch(struct run *run, const struct part *before, const struct part *part,
                         struct dice *dice) {
    static uint8_t bytes[1 << 17];
    uint32_t first = 0;
    struct part again = *part;
    if (before && before->seq + before->len == part->seq &&
        before->len + (size_t)part->len <= sizeof bytes)
        first = before->len;
    if (first)
        memcpy(bytes, before->data, first);
    memcpy(bytes + first, part->data, part->len);
    uint32_t from = dice_below(dice, first + part->len);
    again.len = 1 + dice_below(dice, first + part->len - from);
    again.seq = part->seq - first + from;
    again.data = bytes + from;
    send(run, &again);
}

enum { RECENT = 256 };

static void retransmits(struct run *run, const struct take *take, struct dice *dice) {
    const struct part *recent[RECENT] = {0};
    for (size_t i = 0; i < take->count; i++) {
        const struct part *part = &take->parts[i];
        send(run, part);
        size_t slot = (part->src.port * 31u + part->dst.port + part->src.ip[15] * 7u) % RECENT;
        const struct part *before = recent[slot];
        recent[slot] = part->len && !is_control(part) ? part : NULL;
        if (!recent[slot] || !dice_once_in(dice, 2))
            continue;
        bool follows = before && same_direction(before, part);
        send_stretch(run, follows ? before : NULL, part, dice);
    }
}

/* What is compared, always by direction. The receiver of a bus message may be learnt a message
 * earlier or later; times are the packets'. */
static const struct recorder everything = {
    .only = "tcp-open tcp-close bus-message request reply silent executed error unanswered "
            "unmatched push redirect replication replicated opaque",
    .quiet = true,
    .without = "receiver latency_us request_frame"};
/* When the offset of a stream that was joined midway is learnt depends on what comes before ACKs.
 */
static const struct recorder all_but_offsets = {
    .only = "tcp-open tcp-close bus-message request reply silent executed error unanswered "
            "unmatched push redirect replicated opaque",
    .quiet = true,
    .without = "receiver latency_us request_frame offset"};
static const struct recorder the_bus = {.only = "tcp-open tcp-close bus-message",
                                        .without = "receiver"};

/* Where both directions are shuffled without regard to each other a reply may come later than a
 * hole is waited for: of that shape only the bus is compared, whose directions speak for
 * themselves. */
static const struct {
    const char *name;
    reshape *shape;
    int seeds;
    const struct recorder *compared;
} shapes[] = {
    {"byte by byte", byte_by_byte, 1, &everything},
    {"random cuts", random_cuts, SEEDS, &everything},
    {"duplicates", duplicates, SEEDS, &everything},
    {"retransmits", retransmits, SEEDS, &everything},
    {"reordered in the network", reordered_before, SEEDS, &everything},
    {"reordered in the card", reordered_after, SEEDS, &all_but_offsets},
    {"reordered by direction", reordered, SEEDS, &the_bus},
};

/* ---- the properties ---- */

static uint64_t seed;

static void shaped(struct run *run, const struct recorder *wants, reshape *shape,
                   const struct take *take, uint64_t with_seed) {
    struct dice dice = dice_of(with_seed);
    run_start(run, wants);
    shape(run, take, &dice);
    run_end(run);
    recorder_by_direction(&run->heard);
}

static void compare_shape(size_t row, const struct take *take, const char *path, size_t *lines) {
    struct run plain, other;
    shaped(&plain, shapes[row].compared, as_it_was, take, 0);
    *lines += plain.heard.count;
    for (int k = 0; k < shapes[row].seeds; k++) {
        shaped(&other, shapes[row].compared, shapes[row].shape, take, seed + (uint64_t)k);
        if (!recorder_same(&plain.heard, &other.heard))
            fail_msg("%s, %s: not the same; again: PROP_SEED=%llu", path, shapes[row].name,
                     (unsigned long long)seed);
        recorder_free(&other.heard);
    }
    recorder_free(&plain.heard);
}

static void compare_shapes(void *context, const char *path) {
    struct take take = take_of(path);
    for (size_t i = 0; i < countof(shapes); i++)
        compare_shape(i, &take, path, context);
    take_free(&take);
}

/* The list of events of each direction does not depend on how its bytes came. */
static void same_events_in_every_shape(void **state) {
    (void)state;
    size_t lines = 0;
    print_message("PROP_SEED=%llu\n", (unsigned long long)seed);
    if (captures_each(compare_shapes, &lines) == 0)
        skip();
    assert_true(lines > 10000);
}

/* Every SHOWN event, with frame and time, of the first `count` packets; `whole` ends the capture.
 */
static void run_packets(struct run *run, const struct packets *packets, size_t count,
                        struct siphash_key key, bool whole) {
    *run = (struct run){.heard = {.placed = true, .quiet = true}};
    run->decoder = decoder_new(key, EVENTS_ALL, recorder_event, &run->heard);
    assert_non_null(run->decoder);
    for (size_t i = 0; i < count; i++)
        decoder_packet(run->decoder, &packets->list[i]);
    if (whole)
        decoder_finish(run->decoder);
    else
        run->heard.only = ""; /* what decoder_free() says is not of the prefix */
    decoder_free(run->decoder);
}

static void compare_prefixes(void *context, const char *path) {
    (void)context;
    static const struct siphash_key key = {1, 2}, other_key = {0x123456789, UINT64_MAX};
    struct packets packets = capture_read(path, 8 << 20);
    struct run whole, part;
    struct dice dice = dice_of(seed);
    run_packets(&whole, &packets, packets.count, key, true);
    for (int k = 0; k < 6; k++) {
        size_t count = dice_below(&dice, (uint32_t)packets.count);
        run_packets(&part, &packets, count, key, false);
        if (!recorder_begins(&whole.heard, &part.heard))
            fail_msg("%s: the first %zu packets say something else; again: PROP_SEED=%llu", path,
                     count, (unsigned long long)seed);
        recorder_free(&part.heard);
    }
    run_packets(&part, &packets, packets.count, other_key, true);
    if (!recorder_same(&whole.heard, &part.heard))
        fail_msg("%s: another hash key, other events", path);
    recorder_free(&part.heard);
    recorder_free(&whole.heard);
    packets_free(&packets);
}

/* The first packets give the first events; and the key of the tables changes nothing, not even the
 * order, frames and times. */
static void prefixes_and_keys(void **state) {
    (void)state;
    print_message("PROP_SEED=%llu\n", (unsigned long long)seed);
    if (captures_each(compare_prefixes, NULL) == 0)
        skip();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_events_in_every_shape),
        cmocka_unit_test(prefixes_and_keys),
    };
    seed = dice_seed();
    return RUN_GROUP(argc, argv, tests);
}
