/* test_memory.c - memory that runs out at every single allocation of a whole run, from the packets
 * to the outputs: no crash, nothing leaked, books that add up; and the run goes on without what
 * could not be kept.
 *
 * The program's malloc() is replaced by one that counts down and then refuses: once, or from then
 * on. Sanitizers bring a malloc() of their own, so under them there is nothing to replace, and the
 * test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/failing.h"
#include "tests/lib/group.h"
#include "tests/lib/said.h"
#include "tests/lib/talk.h"
#include "tests/lib/whole_run.h"

#if OWN_MALLOC

/* ---- a capture that needs memory of every kind ---- */

static struct made capture;

static void record(void *context, const struct packet *packet) {
    (void)context;
    made_record(&capture, 16, (uint32_t)(packet->time / NS_PER_SEC),
                (uint32_t)(packet->time % NS_PER_SEC / NS_PER_US), packet->data.data,
                (uint32_t)packet->data.len, packet->wire_len);
}

static struct lan lan = {.deliver = record};

static void say(struct talk *talk, unsigned end, struct said said, size_t cut) {
    talk_send_cut(talk, end, said_view(&said), cut);
    talk_ack(talk, !end);
    said_free(&said);
}

/* Two nodes that know many others; one is suspected, elected, moved. */
static void a_busy_link(unsigned from, unsigned to) {
    struct talk talk = talk_between(&lan, (uint8_t)from, 40000, (uint8_t)to, 16379);
    struct said m = said_new(1, SAY_PING, from);
    said_slots(&m, 100 * from, 100 * from + 99);
    for (unsigned i = 0; i < 40; i++)
        said_gossip(&m, &(struct said_about){.node = 50 + i, .ip = "10.0.0.50", .flags = i % 12});
    talk_open(&talk);
    say(&talk, CLIENT, m, 1000);
    say(&talk, SERVER, said_new(1, SAY_PONG, to), 1448);
    for (int i = 0; i < 20; i++)
        say(&talk, CLIENT, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "channel", 30), 20);
    say(&talk, CLIENT, said_fail(from, 50), 5000);
    say(&talk, CLIENT, said_new(1, SAY_AUTH_REQUEST, from), 5000);
    say(&talk, CLIENT, said_update(from, to, 9, 0, 99), 700);
}

/* A node of whom two addresses are told, one and then the other, for longer than a move takes. */
static void a_link_with_rumours(void) {
    static const char *const told[] = {"10.0.0.60", "10.0.0.61"};
    struct talk talk = talk_between(&lan, 5, 40007, 6, 16379);
    talk_open(&talk);
    for (unsigned i = 0; i < 6; i++, lan.time += 2 * NS_PER_SEC) {
        struct said m = said_new(1, SAY_PING, 5);
        said_gossip(&m, &(struct said_about){.node = 60, .ip = told[i % 2]});
        say(&talk, CLIENT, m, 1448);
    }
}

/* Bytes that come early, a hole, a search, a conversation that is not the bus. */
static void a_lossy_link(void) {
    struct talk talk = talk_between(&lan, 3, 40001, 4, 16379);
    struct said m = said_new(1, SAY_PING, 3);
    talk_open(&talk);
    say(&talk, CLIENT, said_new(1, SAY_PING, 3), 1448);
    uint32_t seq = talk.next[CLIENT];
    talk_lose(&talk, CLIENT, 1000);
    talk_send(&talk, CLIENT, bytes_after(said_view(&m), 1000));
    talk_packet(&talk, CLIENT, TCP_ACK, seq, bytes_first(said_view(&m), 1000));
    talk_lose(&talk, CLIENT, 3000);
    for (int i = 0; i < 3; i++)
        talk_send_cut(&talk, CLIENT, said_view(&m), 50);
    said_free(&m);
    struct talk other = talk_between(&lan, 9, 40002, 4, 6379);
    talk_send_cut(&other, CLIENT, bytes_str("R not the bus RCmb, not TLS either"), 3);
    struct talk tls = talk_between(&lan, 9, 40003, 4, 6379);
    talk_open(&tls);
    talk_send(&tls, CLIENT, bytes_of("\x16\x03\x01\x00\x05hello", 10));
}

static void speak(struct talk *talk, unsigned end, const char *text, size_t cut) {
    talk_send_cut(talk, end, bytes_str(text), cut);
}

#define GET       "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
#define FIVE_GETS GET GET GET GET GET

/* Lines that are believed only once they are answered; a pipeline, a transaction, values in pieces;
 * replies that come before their requests; the end comes with some unanswered. */
static void a_busy_client(void) {
    struct talk talk = talk_between(&lan, 9, 40004, 4, 6379);
    talk_open(&talk);
    speak(&talk, CLIENT, "PING\r\n", 2);
    speak(&talk, SERVER, "+PONG\r\n", 2);
    for (int i = 0; i < 14; i++)
        speak(&talk, CLIENT, FIVE_GETS, 50);
    for (int i = 0; i < 70; i++)
        speak(&talk, SERVER, "*2\r\n$1\r\na\r\n-MOVED 1 10.0.0.3:6379\r\n", 9);
    speak(&talk, CLIENT, "MULTI\r\nINCR n\r\nEXEC\r\nSUBSCRIBE a b\r\n", 5);
    speak(&talk, SERVER, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n", 3);
    speak(&talk, SERVER, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 10);
    uint32_t seq = talk.next[CLIENT];
    talk_lose(&talk, CLIENT, strlen(FIVE_GETS));
    speak(&talk, SERVER, "-ERR no\r\n:1\r\n:2\r\n", 100);
    talk_packet(&talk, CLIENT, TCP_ACK, seq, bytes_str(FIVE_GETS));
    talk_fin(&talk, SERVER);
}

/* A handshake, a payload, a stream with a hole; and slots that move. */
static void links_without_replies(void) {
    struct talk talk = talk_between(&lan, 8, 40005, 4, 6379);
    talk_open(&talk);
    speak(&talk, CLIENT, "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n", 20);
    speak(&talk, SERVER, "+FULLRESYNC 8f097806027fc37fda062a8b81bc0dcdbe23d087 100\r\n", 30);
    speak(&talk, SERVER, "\n$10\r\nREDIS00110" GET, 4);
    speak(&talk, CLIENT, "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$3\r\n122\r\n", 9);
    talk_lose(&talk, SERVER, 500);
    speak(&talk, SERVER, FIVE_GETS, 30);
    lan.time += 2 * NS_PER_SEC;
    speak(&talk, CLIENT, "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$3\r\n722\r\n", 9);
    struct talk slots = talk_between(&lan, 8, 40006, 4, 6379);
    talk_open(&slots);
    speak(&slots, CLIENT, "CLUSTER SYNCSLOTS ESTABLISH\r\n", 10);
    speak(&slots, SERVER, "+OK\r\n" GET, 2);
    speak(&slots, CLIENT, FIVE_GETS, 9);
}

static void make_capture(void) {
    capture = made_pcap(false, 0xa1b2c3d4, 1);
    a_busy_link(1, 2);
    a_busy_link(2, 1);
    a_link_with_rumours();
    a_lossy_link();
    a_busy_client();
    links_without_replies();
}

/* ---- runs ---- */

/* A run of which the n-th allocation fails; true if there was none so late. */
static bool run_failing(long n, bool and_later) {
    struct whole_run run = {.capture = made_view(&capture)};
    long before = held;
    allocations_left = n;
    for_good = and_later;
    whole_run(&run);
    bool granted = allocations_left > 0;
    allocations_left = -1;
    if (held != before)
        fail_msg("allocation %ld%s fails: %ld blocks are leaked", n,
                 and_later ? " and all later" : "", held - before);
    if (granted)
        assert_true(run.packets > 100 && run.events > 100);
    return granted;
}

static long count_allocations(bool and_later) {
    long n = 0;
    while (!run_failing(n, and_later))
        n++;
    return n;
}

static void one_allocation_fails(void **state) {
    (void)state;
    make_capture();
    long needed = count_allocations(false);
    print_message("%ld allocations\n", needed);
    assert_true(needed > 50);
    made_free(&capture);
}

static void all_later_allocations_fail(void **state) {
    (void)state;
    make_capture();
    assert_true(count_allocations(true) > 50);
    made_free(&capture);
}

#else

static void one_allocation_fails(void **state) {
    (void)state;
    print_message("no malloc() of our own under a sanitizer\n");
    skip();
}

static void all_later_allocations_fail(void **state) {
    (void)state;
    skip();
}

#endif

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(all_later_allocations_fail),
    };
    return RUN_GROUP(argc, argv, tests);
}
