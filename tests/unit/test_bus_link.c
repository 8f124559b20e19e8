/* test_bus_link.c - connections of the bus, from packets to messages: however they are cut, with
 * holes anywhere, joined in the middle; who sent what; and what was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "decode/bus_side.h"
#include "decode/decoder.h"
#include "tests/lib/group.h"
#include "tests/lib/recorder.h"
#include "tests/lib/said.h"
#include "tests/lib/talk.h"

#include <stdlib.h>

/* ---- a decoder, a network, a connection from node 1 to node 2 ---- */

static struct decoder *decoder;
static struct recorder heard;
static struct lan lan;
static struct talk talk;
static struct flow last_flow; /* of the last bus message */

static void deliver(void *context, const struct packet *packet) {
    (void)context;
    decoder_packet(decoder, packet);
}

static void on_event(void *context, const struct event *event) {
    if (event->type == EV_bus_message)
        last_flow = *event->flow;
    recorder_event(context, event);
}

static void start(void) {
    decoder_free(decoder);
    decoder = decoder_new((struct siphash_key){1, 2}, EVENTS_ALL, on_event, &heard);
    assert_non_null(decoder);
    lan = (struct lan){.deliver = deliver};
    talk = talk_between(&lan, 1, 40000, 2, 16379);
}

/* The capture ends; its lines stay. */
static void stop(void) {
    decoder_finish(decoder);
    decoder_free(decoder);
    decoder = NULL;
}

static int start_link(void **state) {
    (void)state;
    heard = (struct recorder){.faceless = true,
                              .only = "bus-message anomaly tcp-gap opaque",
                              .with = "type sender light after_gap incomplete ignored name bytes "
                                      "what payload_bytes"};
    start();
    return 0;
}

static int end_link(void **state) {
    (void)state;
    decoder_free(decoder);
    decoder = NULL;
    recorder_free(&heard);
    return 0;
}

static void say(unsigned end, struct said said) {
    talk_send(&talk, end, said_view(&said));
    said_free(&said);
}

#define N1 "9e3779b1" /* as said_id() begins */
#define N2 "3c6ef362"
#define N3 "daa66d13"

/* ---- who says what ---- */

static void a_conversation(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(SERVER, said_new(1, SAY_PONG, 2));
    say(CLIENT, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 5));
    stop();
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "bus-message type=pong sender=" N2,
                    "bus-message type=publish sender=" N1 " light=yes payload_bytes=5");
}

/* Of a connection that is joined in the middle, the acceptor's port tells who opened it. */
static void who_opened_it_by_port(void **state) {
    (void)state;
    say(SERVER, said_new(1, SAY_PONG, 2));
    say(SERVER, said_new(1, SAY_PONG, 2));
    assert_memory_equal(last_flow.ends[last_flow.connector].ip + 12, "\12\0\0\1", 4);
}

/* Or, where the announced port is not the one in use, who sends anything but PONGs. */
static void who_opened_it_by_ping(void **state) {
    (void)state;
    talk = talk_between(&lan, 1, 40000, 2, 7777);
    say(SERVER, said_new(1, SAY_PONG, 2));
    say(SERVER, said_new(1, SAY_PONG, 2));
    assert_int_equal(last_flow.connector, FLOW_CONNECTOR_UNKNOWN);
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    assert_memory_equal(last_flow.ends[last_flow.connector].ip + 12, "\12\0\0\1", 4);
}

static void another_sender_on_the_connection(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 3));
    say(CLIENT, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 5));
    stop();
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "anomaly name=bus-sender",
                    "bus-message type=ping sender=" N3,
                    "bus-message type=publish sender=" N3 " light=yes payload_bytes=5");
}

/* RESET HARD on Redis 6.0: what others have opened to the node stays open. */
static void another_name_of_who_was_called(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(SERVER, said_new(1, SAY_PONG, 2));
    say(SERVER, said_new(1, SAY_PONG, 3));
    stop();
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "bus-message type=pong sender=" N2,
                    "bus-message type=pong sender=" N3);
}

static void a_light_message_from_nobody_yet(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 5));
    stop();
    assert_recorded(&heard, "anomaly name=bus-unknown-sender",
                    "bus-message type=publish light=yes payload_bytes=5");
}

static struct said odd(enum said_field field, uint64_t value) {
    struct said m = said_new(1, SAY_PING, 1);
    said_number(&m, field, value);
    return m;
}

/* What is odd is said, and the stream stays in step. */
static void odd_messages(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, odd(SAID_VER, 2));
    say(CLIENT, odd(SAID_TYPE, 99));
    say(CLIENT, odd(SAID_COUNT, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    assert_recorded(&heard, "anomaly name=bus-version", "bus-message type=ping ignored=yes",
                    "anomaly name=bus-type", "bus-message type=unknown sender=" N1,
                    "anomaly name=bus-length", "bus-message type=ping sender=" N1 " ignored=yes",
                    "bus-message type=ping sender=" N1);
}

/* ---- cut ---- */

enum { MESSAGES = 6 };

/* What node 1 says in the tests of cuts and holes: ends[i] is where message i ends. */
static struct made sentence(size_t ends[MESSAGES]) {
    struct said all[MESSAGES] = {
        said_new(1, SAY_PING, 1),
        said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 300),
        said_fail(1, 2),
        said_publish(SAY_PUBLISH, 1, "channel", 700),
        said_update(1, 2, 5, 0, 99),
        said_new(1, SAY_PING, 1),
    };
    struct made bytes = {0};
    said_gossip(&all[0], &(struct said_about){.node = 4, .flags = NODE_PRIMARY});
    for (int i = 0; i < MESSAGES; i++) {
        made_bytes(&bytes, all[i].bytes.data, all[i].bytes.len);
        ends[i] = bytes.len;
        said_free(&all[i]);
    }
    return bytes;
}

/* Said in two segments, or in many: the same lines, to the last field. */
static void cut_at_every_byte(void **state) {
    (void)state;
    size_t ends[MESSAGES];
    struct made bytes = sentence(ends);
    struct recorder whole = {0};
    heard = (struct recorder){0};
    talk_open(&talk);
    talk_send(&talk, CLIENT, made_view(&bytes));
    stop();
    whole = heard;
    assert_int_equal(whole.count, 1 + MESSAGES); /* and tcp-open */
    heard = (struct recorder){0};
    for (size_t cut = 1; cut <= bytes.len; cut++) {
        start();
        talk_open(&talk);
        if (cut < bytes.len) {
            talk_send(&talk, CLIENT, bytes_first(made_view(&bytes), cut));
            talk_send(&talk, CLIENT, bytes_after(made_view(&bytes), cut));
        } else {
            talk_send_cut(&talk, CLIENT, made_view(&bytes), 1);
        }
        stop();
        if (!recorder_same(&whole, &heard))
            fail_msg("cut at byte %zu", cut);
        recorder_reset(&heard);
    }
    recorder_free(&whole);
    made_free(&bytes);
}

/* ---- holes ---- */

/* The message of a line, by its type and order; -1: none of ours. */
static int next_like(const char *line, size_t len, int after) {
    static const char *const types[MESSAGES] = {"ping",    "publish", "fail",
                                                "publish", "update",  "ping"};
    for (int i = after + 1; i < MESSAGES; i++) {
        char wanted[32];
        int n = snprintf(wanted, sizeof wanted, "bus-message type=%s", types[i]);
        bool light = memmem(line, len, "light=yes", 9) != NULL;
        if (len >= (size_t)n && memcmp(line, wanted, (size_t)n) == 0 && light == (i == 1))
            return i;
    }
    return -1;
}

/* Whatever lies outside of the hole [from, until) is told, in its order; nothing is invented. */
static void check_told(const size_t ends[MESSAGES], size_t from, size_t until) {
    bool told[MESSAGES] = {false};
    int last = -1;
    for (size_t i = 0; i < heard.count; i++) {
        size_t len;
        const char *line = recorder_line(&heard, i, &len);
        if (memcmp(line, "bus-message", 11) != 0)
            continue;
        last = next_like(line, len, last);
        if (last < 0)
            fail_msg("hole %zu-%zu: invented: %.*s", from, until, (int)len, line);
        told[last] = true;
    }
    for (int i = 0; i < MESSAGES; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        bool untouched = ends[i] <= from || begin >= until;
        if (untouched && !told[i])
            fail_msg("hole %zu-%zu: message %d is missing", from, until, i);
    }
}

static void say_with_a_hole(struct bytes view, size_t from, size_t until) {
    start();
    talk_open(&talk);
    if (from)
        talk_send(&talk, CLIENT, bytes_first(view, from));
    talk_lose(&talk, CLIENT, until - from);
    if (until < view.len)
        talk_send(&talk, CLIENT, bytes_after(view, until));
    stop();
}

/* Bytes missing anywhere, few or many: every message that is all there is told. */
static void holes_everywhere(void **state) {
    (void)state;
    size_t ends[MESSAGES];
    struct made bytes = sentence(ends);
    static const size_t sizes[] = {1, 77, 2256, 5000};
    heard.only = "bus-message";
    for (size_t k = 0; k < countof(sizes); k++) {
        /* Without its first message a light one's sender is not known, but it is told. */
        for (size_t from = 1; from + sizes[k] <= bytes.len; from += k == 0 ? 3 : 29) {
            say_with_a_hole(made_view(&bytes), from, from + sizes[k]);
            check_told(ends, from, from + sizes[k]);
            recorder_reset(&heard);
        }
    }
    made_free(&bytes);
}

/* A hole within the payload leaves the stream in step: the message is whole but for bytes that
 * nobody looks at. */
static void a_hole_in_a_payload(void **state) {
    (void)state;
    struct said m = said_publish(SAY_PUBLISH, 1, "channel", 5000);
    say_with_a_hole(said_view(&m), 3000, 3500);
    said_free(&m);
    assert_recorded(&heard, "tcp-gap bytes=500",
                    "bus-message type=publish sender=" N1 " payload_bytes=5000");
}

/* One in the header: the length is known, so is the sender, nothing else. */
static void a_hole_in_a_header(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    say_with_a_hole(said_view(&m), 100, 900);
    said_free(&m);
    assert_recorded(&heard, "tcp-gap bytes=800",
                    "bus-message type=ping sender=" N1 " incomplete=yes");
}

/* Out of step after a hole: the next message is told once another one follows it. */
static void found_again_after_a_hole(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    talk_lose(&talk, CLIENT, 3000);
    say(CLIENT, said_new(1, SAY_PING, 1));
    for (int i = 0; i < 80; i++)
        talk_ack(&talk, SERVER); /* the server has it all: the hole is the capture's */
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "tcp-gap bytes=3000");
    say(CLIENT, said_fail(1, 2));
    stop();
    said_free(&m);
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "tcp-gap bytes=3000",
                    "bus-message type=ping sender=" N1 " after_gap=yes",
                    "bus-message type=fail sender=" N1);
}

/* A whole message in somebody's payload: found by a search that begins within it, and refuted by
 * what follows it there. */
static void a_forgery_in_a_payload(void **state) {
    (void)state;
    struct said forged = said_fail(3, 2), outer = said_publish(SAY_PUBLISH, 1, "c", 0);
    made_zeros(&outer.bytes, 100);
    made_bytes(&outer.bytes, forged.bytes.data, forged.bytes.len);
    made_bytes(&outer.bytes, "the rest of the payload", 23);
    said_number(&outer, SAID_TOTLEN, outer.bytes.len);
    talk_send(&talk, CLIENT, bytes_after(said_view(&outer), 2300)); /* joined in the middle */
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    said_free(&forged);
    said_free(&outer);
    assert_recorded(&heard, "anomaly name=bus-resync-refuted",
                    "bus-message type=ping sender=" N1 " after_gap=yes",
                    "bus-message type=ping sender=" N1);
}

/* Bytes that are no message, where one should begin: counted as undecoded, and passed over. */
static void garbage_between_messages(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    talk_send(&talk, CLIENT, bytes_str("RCm not a message RRCmb RC"));
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    assert_recorded(&heard, "bus-message type=ping sender=" N1, "anomaly name=bus-signature",
                    "bus-message type=ping sender=" N1 " after_gap=yes",
                    "bus-message type=ping sender=" N1);
    assert_int_equal(last_flow.sides[0].undecoded + last_flow.sides[1].undecoded, 26);
}

/* ---- acknowledged ---- */

/* A message is delivered when its last byte is acknowledged, not a byte before. */
static void delivered_to_the_last_byte(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    heard.only = "bus-message bus-delivered";
    heard.quiet = true;
    heard.with = "type";
    talk_open(&talk);
    talk.deaf[SERVER] = true;
    uint32_t first = talk.next[CLIENT];
    talk_send(&talk, CLIENT, said_view(&m));
    talk_send(&talk, CLIENT, said_view(&m));
    talk.heard[SERVER] = first + 2255;
    talk_ack(&talk, SERVER);
    assert_recorded(&heard, "bus-message type=ping", "bus-message type=ping");
    talk.heard[SERVER] = first + 2256;
    talk_ack(&talk, SERVER);
    talk.heard[SERVER] = first + 2257;
    talk_ack(&talk, SERVER);
    assert_recorded(&heard, "bus-message type=ping", "bus-message type=ping",
                    "bus-delivered type=ping");
    stop();
    assert_int_equal(heard.count, 3);
    said_free(&m);
}

/* The ACK stands before the data in the capture: delivered at once. */
static void acknowledged_before_it_was_seen(void **state) {
    (void)state;
    heard.only = "bus-message bus-delivered";
    heard.quiet = true;
    heard.with = "type";
    talk_open(&talk);
    talk.heard[SERVER] = talk.next[CLIENT] + 2256;
    talk_ack(&talk, SERVER);
    say(CLIENT, said_new(1, SAY_PING, 1));
    assert_recorded(&heard, "bus-message type=ping", "bus-delivered type=ping");
}

/* ---- caps ---- */

static size_t count_of(const char *word) {
    size_t count = 0;
    for (size_t i = 0; i < heard.count; i++) {
        size_t len;
        const char *line = recorder_line(&heard, i, &len);
        count += memmem(line, len, word, strlen(word)) != NULL;
    }
    return count;
}

/* CAP_BUS_HOLD: a longer PING is told, with what was held of it, and the next one is in step. */
static void a_message_longer_than_is_held(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    for (unsigned i = 0; i < 2600; i++)
        said_gossip(&m, &(struct said_about){.node = 100 + i});
    assert_true(m.bytes.len > CAP_BUS_HOLD);
    talk_open(&talk);
    talk_send_cut(&talk, CLIENT, said_view(&m), 1448);
    said_free(&m);
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    assert_recorded(&heard, "anomaly name=bus-hold-cap", "bus-message type=ping sender=" N1,
                    "bus-message type=ping sender=" N1);
}

/* CAP_ACKS: what waits for ACKs in all streams shares one limit, apart from that of held bytes. */
static void rings_share_a_limit(void **state) {
    (void)state;
    enum { RINGS = 12 };
    struct bus_unacked rings[RINGS] = {{0}};
    struct pool acks = {.max = CAP_ACKS};
    bool refused = false;
    for (size_t i = 0; i < RINGS; i++)
        for (uint64_t n = 0; n < CAP_BUS_UNACKED && !refused; n++)
            refused = !bus_unacked_push(&rings[i], n, BUS_PUBLISH, &acks);
    assert_true(refused);
    assert_true(acks.used <= CAP_ACKS);
    for (size_t i = 0; i < RINGS; i++)
        bus_unacked_free(&rings[i], &acks);
    assert_int_equal(acks.used, 0);
    pool_free(&acks);
}

/* CAP_BUS_UNACKED messages wait for their ACK; a further one is told, but not followed. */
static void too_many_messages_unacknowledged(void **state) {
    (void)state;
    struct said light = said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "", 0);
    struct made many = {0};
    enum { AT_ONCE = 2048, ROUNDS = CAP_BUS_UNACKED / AT_ONCE };
    for (int i = 0; i < AT_ONCE; i++)
        made_bytes(&many, light.bytes.data, light.bytes.len);
    heard.only = "anomaly bus-delivered";
    heard.quiet = true;
    talk_open(&talk);
    talk.deaf[SERVER] = true;
    say(CLIENT, said_new(1, SAY_PING, 1));
    for (int i = 0; i < ROUNDS; i++)
        talk_send(&talk, CLIENT, made_view(&many));
    assert_int_equal(count_of("anomaly name=bus-unacked-cap"), 1);
    talk.heard[SERVER] = talk.next[CLIENT];
    talk_ack(&talk, SERVER);
    assert_int_equal(count_of("bus-delivered"), CAP_BUS_UNACKED);
    said_free(&light);
    made_free(&many);
}

/* CAP_BUS_PLAUSIBLE: a length that would swallow the connection is not believed, unless the lengths
 * of a payload say the same. */
static void a_length_that_would_swallow_the_connection(void **state) {
    (void)state;
    talk_open(&talk);
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, odd(SAID_TOTLEN, CAP_BUS_PLAUSIBLE + 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    assert_int_equal(count_of("anomaly name=bus-signature"), 1);
    assert_int_equal(count_of("bus-message type=ping sender=" N1), 3);
}

/* ---- what is no bus ---- */

/* CAP_SNIFF_BYTES: a bus found that late in a connection that was joined in the middle is found,
 * one later is not any more. */
static void looked_at_only_so_far(void **state) {
    (void)state;
    static uint8_t noise[CAP_SNIFF_BYTES + 1000];
    memset(noise, 'x', sizeof noise);
    for (int late = 0; late <= 1; late++) {
        size_t len = late ? sizeof noise : CAP_SNIFF_BYTES - 1000;
        talk_send_cut(&talk, CLIENT, bytes_of(noise, len), 1400);
        say(CLIENT, said_new(1, SAY_PING, 1));
        say(CLIENT, said_new(1, SAY_PING, 1));
        stop();
        assert_int_equal(count_of("bus-message"), late ? 0 : 2);
        recorder_reset(&heard);
        start();
    }
}

/* From its first byte a connection that is not the bus is not searched for it. */
static void another_protocol_from_its_start(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send(&talk, CLIENT, bytes_str("*1\r\n$4\r\nPING\r\n"));
    say(CLIENT, said_new(1, SAY_PING, 1));
    say(CLIENT, said_new(1, SAY_PING, 1));
    stop();
    assert_int_equal(heard.count, 0);
}

static void tls_is_opaque(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send_cut(&talk, CLIENT, bytes_of("\x16\x03\x01\x00\x05hello", 10), 1);
    say(SERVER, said_new(1, SAY_PING, 1));
    stop();
    assert_recorded(&heard, "opaque what=tls");
}

/* The signature cut anywhere, also between the two directions, is recognised all the same. */
static void recognised_however_it_is_cut(void **state) {
    (void)state;
    struct said hello = said_new(1, SAY_PING, 1), answer = said_new(1, SAY_PONG, 2);
    for (size_t cut = 1; cut < 6; cut++) {
        talk_open(&talk);
        talk_send(&talk, CLIENT, bytes_first(said_view(&hello), cut));
        talk_send(&talk, SERVER, said_view(&answer));
        talk_send(&talk, CLIENT, bytes_after(said_view(&hello), cut));
        stop();
        assert_int_equal(count_of("bus-message type=pong sender=" N2), 1);
        assert_int_equal(count_of("bus-message type=ping sender=" N1), 1);
        assert_int_equal(heard.count, 2);
        recorder_reset(&heard);
        start();
    }
    said_free(&hello);
    said_free(&answer);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, start_link, end_link)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_conversation),
        LINK_TEST(who_opened_it_by_port),
        LINK_TEST(who_opened_it_by_ping),
        LINK_TEST(another_sender_on_the_connection),
        LINK_TEST(another_name_of_who_was_called),
        LINK_TEST(a_light_message_from_nobody_yet),
        LINK_TEST(odd_messages),
        LINK_TEST(cut_at_every_byte),
        LINK_TEST(holes_everywhere),
        LINK_TEST(a_hole_in_a_payload),
        LINK_TEST(a_hole_in_a_header),
        LINK_TEST(found_again_after_a_hole),
        LINK_TEST(a_forgery_in_a_payload),
        LINK_TEST(garbage_between_messages),
        LINK_TEST(delivered_to_the_last_byte),
        LINK_TEST(acknowledged_before_it_was_seen),
        LINK_TEST(a_message_longer_than_is_held),
        LINK_TEST(too_many_messages_unacknowledged),
        cmocka_unit_test(rings_share_a_limit),
        LINK_TEST(a_length_that_would_swallow_the_connection),
        LINK_TEST(looked_at_only_so_far),
        LINK_TEST(another_protocol_from_its_start),
        LINK_TEST(tls_is_opaque),
        LINK_TEST(recognised_however_it_is_cut),
    };
    return RUN_GROUP(argc, argv, tests);
}
