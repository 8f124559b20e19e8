/* test_flow.c - the table of connections and who gives way when it is full; and what TCP itself
 * tells about a connection: opened, refused, reset, used again, lost, repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "decode/decoder.h"
#include "decode/flow_table.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/recorder.h"
#include "tests/lib/said.h"
#include "tests/lib/talk.h"

#include <stdlib.h>

/* ---- the table ---- */

static struct flow_table *table;
static struct pool pool;
static uint16_t ended[64]; /* client ports of the flows that ended first, in order */
static size_t ended_count;

static void on_ended(void *context, struct flow *flow) {
    (void)context;
    uint16_t a = flow->ends[0].port, b = flow->ends[1].port;
    if (ended_count < countof(ended))
        ended[ended_count] = a == 6379 ? b : a;
    ended_count++;
}

static int start_table(void **state) {
    (void)state;
    pool = (struct pool){.max = CAP_HELD};
    ended_count = 0;
    table = flow_table_new((struct siphash_key){3, 4}, &pool, on_ended, NULL);
    return table ? 0 : -1;
}

static int end_table(void **state) {
    (void)state;
    flow_table_free(table);
    return 0;
}

static struct endpoint client(uint32_t n) {
    struct endpoint e = {.port = (uint16_t)(n % 60000)};
    endpoint_set_ipv4(&e, (const uint8_t[]){10, 1, 0, (uint8_t)(n / 60000)});
    return e;
}

static struct endpoint server(void) {
    struct endpoint e = {.port = 6379};
    endpoint_set_ipv4(&e, (const uint8_t[]){10, 0, 0, 2});
    return e;
}

static struct flow *find(uint32_t n) {
    unsigned direction;
    struct endpoint a = client(n), b = server();
    return flow_find(table, &a, &b, &direction);
}

static struct flow *add(uint32_t n, enum flow_rank rank) {
    unsigned direction;
    struct endpoint a = client(n), b = server();
    struct flow *flow = flow_add(table, &a, &b, &direction);
    assert_non_null(flow);
    assert_true(endpoint_equal(&flow->ends[direction], &a));
    flow_touch(table, flow, rank);
    return flow;
}

/* Both directions find the one flow, and each knows which it is. */
static void both_directions_are_one_flow(void **state) {
    (void)state;
    unsigned there, back;
    struct endpoint a = client(40000), b = server();
    struct flow *flow = add(40000, FLOW_PLAIN);
    assert_ptr_equal(flow_find(table, &a, &b, &there), flow);
    assert_ptr_equal(flow_find(table, &b, &a, &back), flow);
    assert_int_equal(there, !back);
    assert_true(endpoint_equal(&flow->ends[there], &a));
    assert_null(find(40001));
    flow_remove(table, flow);
    assert_null(flow_find(table, &a, &b, &there));
    assert_int_equal(ended_count, 1);
}

/* Whatever was expected, the flow that is found is the one between the ends; one that has gone is
 * not, even if its place is taken again. */
static void an_expected_flow_is_only_a_guess(void **state) {
    (void)state;
    struct endpoint a = client(1), b = server();
    struct flow *first = add(1, FLOW_PLAIN), *second = add(2, FLOW_PLAIN);
    uint32_t mix = endpoints_mix(a.port, a.ip[15], b.port, b.ip[15]);
    assert_ptr_equal(find(1), first); /* found lately, so that it can be expected */
    (void)flow_expect(table, mix);
    assert_ptr_equal(find(2), second);
    assert_ptr_equal(find(1), first);
    flow_remove(table, first);
    assert_null(find(1));
    (void)flow_expect(table, mix);
    assert_null(find(1));
    struct flow *third = add(1, FLOW_PLAIN);
    assert_ptr_equal(find(1), third);
}

/* A connection of an address to itself, with one port at both ends even. */
static void a_connection_to_oneself(void **state) {
    (void)state;
    unsigned direction;
    struct endpoint a = server(), b = server();
    struct flow *flow = flow_add(table, &a, &b, &direction);
    assert_ptr_equal(flow_find(table, &a, &b, &direction), flow);
}

static void ipv6_and_ipv4_do_not_mix(void **state) {
    (void)state;
    unsigned direction;
    struct endpoint a = {.ip = {0xfd, [15] = 1}, .port = 1},
                    b = {.ip = {0xfd, [15] = 2}, .port = 2};
    struct flow *flow = flow_add(table, &a, &b, &direction);
    assert_ptr_equal(flow_find(table, &b, &a, &direction), flow);
    memset(a.ip, 0, 16), memset(b.ip, 0, 16);
    assert_null(flow_find(table, &a, &b, &direction));
}

/* Flows come and go at random; the table always finds what a plain array says is there. */
static void coming_and_going(void **state) {
    (void)state;
    enum { CLIENTS = 3000 };
    static struct flow *there[CLIENTS];
    struct dice dice = dice_of(dice_seed());
    print_message("PROP_SEED=%llu\n", (unsigned long long)dice.state);
    memset(there, 0, sizeof there);
    for (int i = 0; i < 200000; i++) {
        uint32_t n = dice_below(&dice, CLIENTS);
        assert_ptr_equal(find(n), there[n]);
        if (!there[n])
            there[n] = add(n, (enum flow_rank)dice_below(&dice, FLOW_RANKS));
        else if (dice_once_in(&dice, 3))
            flow_touch(table, there[n], (enum flow_rank)dice_below(&dice, FLOW_RANKS));
        else
            flow_remove(table, there[n]), there[n] = NULL;
    }
}

/* CAP_FLOWS: the oldest idle one goes first, then the oldest plain one, then a decoded one; a touch
 * makes young. Only what was alive counts as evicted. */
static void who_gives_way(void **state) {
    (void)state;
    add(0, FLOW_DECODED);
    add(1, FLOW_PLAIN);
    add(2, FLOW_IDLE);
    add(3, FLOW_IDLE);
    add(4, FLOW_PLAIN);
    for (uint32_t n = 5; n < CAP_FLOWS; n++)
        add(n, FLOW_DECODED);
    flow_touch(table, find(1), FLOW_PLAIN);
    assert_int_equal(ended_count, 0);
    for (uint32_t n = 0; n < 6; n++)
        add(CAP_FLOWS + n, FLOW_DECODED);
    static const uint16_t expected[] = {2, 3, 4, 1, 0, 5};
    assert_int_equal(ended_count, 6);
    assert_memory_equal(ended, expected, sizeof expected);
    assert_int_equal(flow_evicted(table), 4);
}

static void note_birth(void *context, struct flow *flow) {
    uint32_t *births = context;
    uint16_t port = flow->ends[0].port == 6379 ? flow->ends[1].port : flow->ends[0].port;
    assert_int_equal(port, 100 - births[0]++);
}

/* Each is visited once, in the order in which they came. */
static void visited_in_order_of_birth(void **state) {
    (void)state;
    uint32_t births = 0;
    for (uint32_t n = 0; n < 50; n++)
        flow_remove(table, add(1000 + n, FLOW_PLAIN)); /* so that places are used again */
    for (uint32_t n = 0; n < 100; n++)
        add(100 - n, FLOW_PLAIN);
    flow_each(table, note_birth, &births);
    assert_int_equal(births, 100);
}

/* ---- TCP ---- */

static struct decoder *decoder;
static struct recorder heard;
static struct lan lan;
static struct talk talk;
static struct tcp_stats stats[2]; /* by talk's ends, of the flow that ended last */
static struct flow_side sides[2];

static void deliver(void *context, const struct packet *packet) {
    (void)context;
    decoder_packet(decoder, packet);
}

static void on_event(void *context, const struct event *event) {
    recorder_event(context, event);
    if (event->type != EV_flow_end)
        return;
    unsigned client_end = event->flow->ends[1].port >= 30000;
    for (unsigned end = 0; end < 2; end++) {
        sides[end] = event->flow->sides[client_end ^ end];
        stats[end] = sides[end].stats;
    }
}

static int start_decoder(void **state) {
    (void)state;
    heard = (struct recorder){.only = "tcp-open tcp-unanswered tcp-refused tcp-close tcp-gap "
                                      "tcp-zero-window anomaly flow-end",
                              .without = "offset",
                              .quiet = true};
    decoder = decoder_new((struct siphash_key){1, 2}, EVENTS_ALL, on_event, &heard);
    lan = (struct lan){.deliver = deliver};
    talk = talk_between(&lan, 1, 40000, 2, 6379);
    return decoder ? 0 : -1;
}

static int end_decoder(void **state) {
    (void)state;
    decoder_free(decoder);
    recorder_free(&heard);
    return 0;
}

#define THERE " 10.0.0.1:40000 > 10.0.0.2:6379"
#define BACK  " 10.0.0.2:6379 > 10.0.0.1:40000"

/* The capture ends; flow-end is of no direction of its own. */
static void stop(void) {
    heard.only = "tcp-open tcp-unanswered tcp-refused tcp-close tcp-gap tcp-zero-window anomaly";
    decoder_finish(decoder);
}

static void opened_and_closed(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send(&talk, CLIENT, bytes_str("hello"));
    talk_fin(&talk, CLIENT);
    talk_ack(&talk, SERVER);
    talk_fin(&talk, SERVER);
    talk_ack(&talk, CLIENT);
    stop();
    assert_recorded(&heard, "tcp-open" THERE, "tcp-close" THERE " how=fin");
}

/* The FIN comes before the last bytes: the connection closes when they are there. */
static void a_fin_waits_for_the_bytes_before_it(void **state) {
    (void)state;
    talk_open(&talk);
    uint32_t seq = talk.next[CLIENT];
    talk_packet(&talk, CLIENT, TCP_FIN | TCP_ACK, seq + 5, bytes_of(NULL, 0));
    assert_recorded(&heard, "tcp-open" THERE);
    talk_send(&talk, CLIENT, bytes_str("hello"));
    assert_recorded(&heard, "tcp-open" THERE, "tcp-close" THERE " how=fin");
}

static void a_reset(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send(&talk, CLIENT, bytes_str("hello"));
    talk_reset(&talk, SERVER);
    talk_reset(&talk, SERVER);
    assert_recorded(&heard, "tcp-open" THERE, "tcp-close" BACK " how=reset");
}

static void a_refusal(void **state) {
    (void)state;
    talk_syn(&talk, CLIENT);
    talk_reset(&talk, SERVER);
    stop();
    assert_recorded(&heard, "tcp-refused" BACK);
}

static void nobody_answers(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        talk_packet(&talk, CLIENT, TCP_SYN, 999, bytes_of(NULL, 0));
        lan.time += NS_PER_SEC;
    }
    stop();
    assert_recorded(&heard, "tcp-unanswered" THERE " syns=2", "tcp-unanswered" THERE " syns=3");
}

/* A SYN captured on two interfaces was sent once. */
static void a_syn_captured_twice(void **state) {
    (void)state;
    talk_syn(&talk, CLIENT);
    talk_captured_again(&lan);
    stop();
    assert_int_equal(heard.count, 0);
}

/* Some stacks number no packets and stamp no times: then every SYN counts as sent. */
static void nobody_answers_a_syn_without_numbers(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        talk.id = UINT16_MAX; /* so that the packet's is 0 */
        talk_packet(&talk, CLIENT, TCP_SYN, 999, bytes_of(NULL, 0));
        lan.time += NS_PER_SEC;
    }
    stop();
    assert_recorded(&heard, "tcp-unanswered" THERE " syns=2");
}

/* The same ports with another first number: another connection; with the same one: a copy. */
static void ports_used_again(void **state) {
    (void)state;
    talk_open(&talk);
    talk_packet(&talk, CLIENT, TCP_SYN, 1000, bytes_of(NULL, 0)); /* the SYN, late again */
    talk_send(&talk, CLIENT, bytes_str("hello"));
    talk = talk_between(&lan, 1, 40000, 2, 6379);
    talk.next[CLIENT] = talk.heard[SERVER] = 2000000;
    talk_open(&talk);
    stop();
    assert_int_equal(decoder_stats(decoder).flows, 2);
    assert_int_equal(heard.count, 3);
    size_t len;
    assert_memory_equal(recorder_line(&heard, 1, &len), "flow-end", 8);
}

static void packets_of_no_connection(void **state) {
    (void)state;
    talk_ack(&talk, CLIENT);
    talk_reset(&talk, SERVER);
    talk_fin(&talk, CLIENT);
    assert_int_equal(decoder_stats(decoder).stray_packets, 3);
    assert_int_equal(decoder_stats(decoder).flows, 0);
}

static void a_window_that_closes(void **state) {
    (void)state;
    talk_open(&talk);
    for (int i = 0; i < 3; i++) {
        talk.window = 0;
        talk_ack(&talk, SERVER);
        talk_ack(&talk, SERVER);
        talk.window = 500;
        talk_ack(&talk, SERVER);
    }
    stop();
    assert_int_equal(stats[SERVER].zero_windows, 3);
    assert_int_equal(heard.count, 1 + 3);
}

/* The first bytes of a connection that will be decoded. */
static const char hello[] = "RCmb hello";
enum { HELLO = sizeof hello - 1 };

/* Sent again by TCP, captured twice, kept alive: three things that look alike. */
static void repeated_packets(void **state) {
    (void)state;
    talk_open(&talk);
    uint32_t seq = talk.next[CLIENT];
    talk_send(&talk, CLIENT, bytes_str(hello));
    talk_captured_again(&lan);
    lan.time += NS_PER_SEC;
    talk_packet(&talk, CLIENT, TCP_ACK, seq, bytes_str(hello));           /* a retransmit */
    talk_packet(&talk, CLIENT, TCP_ACK, seq + HELLO - 1, bytes_str("o")); /* a keep-alive */
    stop();
    assert_int_equal(stats[CLIENT].duplicates, 1);
    assert_int_equal(stats[CLIENT].retransmits, 1);
}

static void round_trips(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send(&talk, CLIENT, bytes_str("hello"));
    lan.time += 9 * NS_PER_MS;
    talk_ack(&talk, SERVER);
    talk_send(&talk, CLIENT, bytes_str("world"));
    talk_ack(&talk, SERVER);
    stop();
    assert_int_equal(stats[CLIENT].rtt.count, 2);
    assert_int_equal(stats[CLIENT].rtt.min, 1 * NS_PER_MS);
    assert_int_equal(stats[CLIENT].rtt.max, 10 * NS_PER_MS);
}

static void what_is_not_acknowledged(void **state) {
    (void)state;
    talk_open(&talk);
    talk.deaf[SERVER] = true;
    talk_send(&talk, CLIENT, bytes_str("hello"));
    talk_send(&talk, CLIENT, bytes_str("world!"));
    stop();
    assert_int_equal(flow_unacked(&sides[CLIENT]), 11);
}

/* The peer acknowledges what the capture never showed: after a while it is a gap. */
static void a_hole_of_the_capture(void **state) {
    (void)state;
    talk_open(&talk);
    talk_send(&talk, CLIENT, bytes_str("hello"));
    talk_lose(&talk, CLIENT, 100);
    talk_ack(&talk, SERVER);
    assert_int_equal(heard.count, 1);
    lan.time += 2 * NS_PER_SEC;
    talk_ack(&talk, SERVER);
    assert_recorded(&heard, "tcp-open" THERE, "tcp-gap" THERE " bytes=100 why=lost");
}

/* A capture that always shows ACKs a little before their data has no holes: each byte comes within
 * a few packets, though at every moment some are missing. */
static void acks_a_little_ahead(void **state) {
    (void)state;
    talk_open(&talk);
    uint32_t first = talk.next[CLIENT];
    for (uint32_t i = 0; i < 300; i++) {
        talk.heard[SERVER] = first + 5 * (i + 3);
        talk_ack(&talk, SERVER);
        talk_packet(&talk, CLIENT, TCP_ACK, first + 5 * i, bytes_str("hello"));
    }
    assert_recorded(&heard, "tcp-open" THERE);
}

/* Nobody acknowledged it: TCP will send it again, however long that takes. */
static void a_hole_of_the_network(void **state) {
    (void)state;
    talk_open(&talk);
    talk.deaf[SERVER] = true;
    uint32_t seq = talk.next[CLIENT];
    talk_lose(&talk, CLIENT, 5);
    talk_send(&talk, CLIENT, bytes_str("world"));
    lan.time += 20 * NS_PER_SEC;
    for (int i = 0; i < 200; i++)
        talk_ack(&talk, SERVER);
    assert_recorded(&heard, "tcp-open" THERE);
    talk_packet(&talk, CLIENT, TCP_ACK, seq, bytes_str("hello"));
    stop();
    assert_int_equal(stats[CLIENT].gaps, 0);
    assert_recorded(&heard, "tcp-open" THERE);
}

static void copies_that_differ(void **state) {
    (void)state;
    talk_open(&talk);
    uint32_t seq = talk.next[CLIENT];
    talk_send(&talk, CLIENT, bytes_str(hello));
    lan.time += NS_PER_SEC;
    talk_packet(&talk, CLIENT, TCP_ACK, seq, bytes_str("RCmb hullo"));
    assert_recorded(&heard, "tcp-open" THERE, "anomaly" THERE " name=tcp-overlap");
}

/* ---- caps ---- */

/* CAP_FLOWS half-open connections, and as many again: a live one stays, nothing is evicted. */
static void a_flood_of_syns(void **state) {
    (void)state;
    struct said ping = said_new(1, SAY_PING, 1);
    talk = talk_between(&lan, 1, 40000, 2, 16379);
    talk_open(&talk);
    talk_send(&talk, CLIENT, said_view(&ping));
    heard.only = "bus-message anomaly flow-end tcp-close";
    for (uint32_t i = 0; i < 2 * CAP_FLOWS; i++) {
        struct talk syn =
            talk_between(&lan, (uint8_t)(3 + i / 60000), (uint16_t)(i % 60000), 2, 80);
        talk_syn(&syn, CLIENT);
    }
    heard.only = "bus-message anomaly";
    recorder_reset(&heard);
    talk_send(&talk, CLIENT, said_view(&ping));
    said_free(&ping);
    assert_int_equal(heard.count, 1);
    assert_int_equal(decoder_stats(decoder).flows_evicted, 0);
    assert_int_equal(decoder_stats(decoder).flows, 2 * CAP_FLOWS + 1);
}

/* CAP_FLOWS live connections: each further one displaces one of them, and says so. */
static void too_many_live_connections(void **state) {
    (void)state;
    heard.only = "anomaly";
    for (uint32_t i = 0; i < CAP_FLOWS + 3; i++) {
        struct talk live = talk_between(&lan, 1, (uint16_t)(20000 + i), 2, 80);
        talk_send(&live, CLIENT, bytes_str("x"));
    }
    assert_recorded(&heard, "anomaly name=flow-evicted", "anomaly name=flow-evicted",
                    "anomaly name=flow-evicted");
    assert_int_equal(decoder_stats(decoder).flows_evicted, 3);
}

/* CAP_HELD: what all streams together hold out of order; then it is not held, and said so. */
static void too_much_held_by_all(void **state) {
    (void)state;
    static const uint8_t zeros[60000];
    enum { EACH = 4, STREAMS = CAP_HELD / (EACH * sizeof zeros) + 1 };
    heard.only = "anomaly";
    for (uint16_t i = 0; i < STREAMS; i++) {
        struct talk live = talk_between(&lan, 1, (uint16_t)(20000 + i), 2, 80);
        talk_open(&live);
        talk_lose(&live, CLIENT, 10);
        for (int k = 0; k < EACH; k++)
            talk_send(&live, CLIENT, bytes_of(zeros, sizeof zeros));
    }
    assert_true(heard.count > 0);
    size_t len;
    const char *line = recorder_line(&heard, 0, &len);
    assert_non_null(memmem(line, len, "name=held-cap", 13));
}

#define TABLE_TEST(name)   cmocka_unit_test_setup_teardown(name, start_table, end_table)
#define DECODER_TEST(name) cmocka_unit_test_setup_teardown(name, start_decoder, end_decoder)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TABLE_TEST(both_directions_are_one_flow),
        TABLE_TEST(an_expected_flow_is_only_a_guess),
        TABLE_TEST(a_connection_to_oneself),
        TABLE_TEST(ipv6_and_ipv4_do_not_mix),
        TABLE_TEST(coming_and_going),
        TABLE_TEST(who_gives_way),
        TABLE_TEST(visited_in_order_of_birth),
        DECODER_TEST(opened_and_closed),
        DECODER_TEST(a_fin_waits_for_the_bytes_before_it),
        DECODER_TEST(a_reset),
        DECODER_TEST(a_refusal),
        DECODER_TEST(nobody_answers),
        DECODER_TEST(a_syn_captured_twice),
        DECODER_TEST(nobody_answers_a_syn_without_numbers),
        DECODER_TEST(ports_used_again),
        DECODER_TEST(packets_of_no_connection),
        DECODER_TEST(a_window_that_closes),
        DECODER_TEST(repeated_packets),
        DECODER_TEST(round_trips),
        DECODER_TEST(what_is_not_acknowledged),
        DECODER_TEST(a_hole_of_the_capture),
        DECODER_TEST(acks_a_little_ahead),
        DECODER_TEST(a_hole_of_the_network),
        DECODER_TEST(copies_that_differ),
        DECODER_TEST(a_flood_of_syns),
        DECODER_TEST(too_many_live_connections),
        DECODER_TEST(too_much_held_by_all),
    };
    return RUN_GROUP(argc, argv, tests);
}
