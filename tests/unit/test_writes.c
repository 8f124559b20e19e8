/* test_writes.c - the writes that a server acknowledged, and what becomes of them when another node
 * wins: from events made by hand. The server is 10.0.0.1:6379, its replica 10.0.0.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/model_writes.h"
#include "base/limits.h"
#include "decode/key_slot.h"
#include "decode/proto.h"
#include "tests/lib/group.h"

static struct model *model;
static struct command_index *commands;
static nstime now;
static struct flow client, replica; /* connections to the server */
static uint64_t asked, offset;

enum { CLIENT, SERVER }; /* directions of the flows here */
enum { SET_BYTES = 40 }; /* of each request here */

static void no_conclusions(void *context, const struct event *event) {
    (void)context;
    (void)event;
}

static struct flow flow_from(uint8_t host) {
    struct flow flow = {.proto = &proto_resp, .connector = CLIENT};
    endpoint_set_ipv4(&flow.ends[CLIENT], (uint8_t[]){10, 0, 0, host});
    endpoint_set_ipv4(&flow.ends[SERVER], (uint8_t[]){10, 0, 0, 1});
    flow.ends[CLIENT].port = 40000;
    flow.ends[SERVER].port = 6379;
    return flow;
}

static int start_model(void **state) {
    (void)state;
    model = model_new((struct siphash_key){7, 8}, no_conclusions, NULL);
    commands = command_index_new();
    now = 0;
    asked = 0;
    offset = 1000;
    client = flow_from(99);
    replica = flow_from(2);
    return model && commands ? 0 : -1;
}

static void tell(struct flow *flow, unsigned direction, struct event event) {
    event.flow = flow;
    event.direction = (uint8_t)direction;
    event.time = now += NS_PER_MS;
    event.frame = (uint64_t)now;
    model_event(model, &event);
}

static int end_model(void **state) {
    (void)state;
    tell(&client, CLIENT, (struct event){.type = EV_flow_end});
    tell(&replica, CLIENT, (struct event){.type = EV_flow_end});
    model_free(model);
    command_index_free(commands);
    return 0;
}

static const struct command *command(const char *name) {
    return command_find(commands, bytes_str(name), bytes_str(""));
}

static void asks(const char *name, const char *key) {
    tell(&client, CLIENT,
         (struct event){.type = EV_write,
                        .write = {.command = command(name),
                                  .number = ++asked,
                                  .args = 3,
                                  .bytes = SET_BYTES,
                                  .key = bytes_str(key),
                                  .last = bytes_str("value")}});
}

static void answers(const char *name, uint64_t number, bool nothing) {
    tell(&client, SERVER,
         (struct event){.type = EV_reply,
                        .reply = {.command = command(name),
                                  .type = "simple-string",
                                  .write = number,
                                  .nothing = nothing,
                                  .called = true}});
}

/* A SET that is acknowledged. */
static void sets(const char *key) {
    asks("set", key);
    answers("set", asked, false);
}

static void step(const char *what, unsigned by, uint64_t at) {
    tell(&replica, by,
         (struct event){.type = EV_replication,
                        .replication = {.what = what,
                                        .replid = bytes_str(by == SERVER ? "aaaa" : ""),
                                        .offset = at,
                                        .bytes = NOT_KNOWN}});
}

/* The stream goes on with a SET. */
static void streams(const char *key) {
    struct bytes list[] = {bytes_str("SET"), bytes_str(key), bytes_str("value")};
    struct request_args args = {.list = list, .kept = 3, .count = 3};
    offset += SET_BYTES;
    tell(&replica, SERVER,
         (struct event){.type = EV_replicated,
                        .replicated = {.command = command("set"),
                                       .args = 3,
                                       .bytes = SET_BYTES,
                                       .offset = offset,
                                       .keys = {command("set"), &args},
                                       .write = true}});
}

static void begins_stream(void) {
    tell(&replica, SERVER,
         (struct event){.type = EV_reply,
                        .reply = {.command = command("psync"), .type = "simple-string"}});
    step("fullresync", SERVER, offset);
    step("stream", SERVER, offset);
}

static const struct write_log *the_log(void) {
    return model_write_log(model, &client.ends[SERVER]);
}

static struct winner winner_at(uint64_t at) {
    struct winner winner = {
        .offset = at, .claimed = TIME_NONE, .until = TIME_NONE, .end = NOT_KNOWN};
    winner_prepare(the_log(), &winner);
    return winner;
}

/* What becomes of the first, second ... write: k kept, l lost, o open. */
static const char *fates(struct winner winner) {
    static char text[32];
    const struct write_log *log = the_log();
    size_t len = 0;
    for (uint64_t i = log->base; i < log->next && len < sizeof text - 1; i++)
        text[len++] = "okl"[write_fate(log, i, &winner)];
    text[len] = '\0';
    return text;
}

/* ---- places in the stream ---- */

static void what_the_winner_had_is_kept(void **state) {
    (void)state;
    begins_stream();
    sets("a");
    streams("a");
    sets("b");
    streams("b");
    assert_string_equal(fates(winner_at(offset)), "kk");
    assert_string_equal(fates(winner_at(offset - SET_BYTES)), "kl");
    assert_string_equal(fates(winner_at(1000)), "ll");
}

/* A replica may be sent a write before its client is answered. */
static void the_stream_may_be_first(void **state) {
    (void)state;
    begins_stream();
    asks("set", "a");
    streams("a");
    answers("set", 1, false);
    assert_string_equal(fates(winner_at(offset)), "k");
}

static void what_is_not_in_the_stream_is_lost(void **state) {
    (void)state;
    begins_stream();
    sets("a");
    streams("a");
    sets("b");
    assert_string_equal(fates(winner_at(offset)), "kl");
}

/* It was sent a later one without it: so it changed nothing, or is there in a form of its own. */
static void what_a_later_one_has_passed_is_not(void **state) {
    (void)state;
    begins_stream();
    sets("a");
    sets("b");
    streams("b");
    assert_string_equal(fates(winner_at(offset)), "kk");
}

static void equal_writes_are_told_by_their_order(void **state) {
    (void)state;
    begins_stream();
    sets("a");
    sets("a");
    streams("a");
    assert_string_equal(fates(winner_at(offset)), "kl");
}

static void behind_a_gap_nothing_is_missing_for_certain(void **state) {
    (void)state;
    begins_stream();
    sets("a");
    offset += SET_BYTES; /* not captured */
    sets("b");
    streams("b");
    sets("c");
    assert_string_equal(fates(winner_at(offset)), "kkl");
}

static void without_a_stream_it_is_open(void **state) {
    (void)state;
    sets("a");
    assert_string_equal(fates(winner_at(5000)), "o");
}

/* ---- answers ---- */

static void unanswered_and_refused_ones_are_no_loss(void **state) {
    (void)state;
    begins_stream();
    asks("set", "unanswered");
    asks("set", "b");
    answers("set", 2, false);
    asks("set", "refused");
    answers("set", 0, false);
    assert_string_equal(fates(winner_at(offset)), "klk");
}

static void nothing_done_is_nothing_lost(void **state) {
    (void)state;
    begins_stream();
    asks("del", "a");
    answers("del", 1, true);
    asks("del", "b");
    answers("del", 2, false);
    asks("incr", "c");
    answers("incr", 3, true); /* 0 is what it counts to */
    asks("ltrim", "d");
    answers("ltrim", 4, false);
    assert_string_equal(fates(winner_at(offset)), "kllo");
}

/* ---- the claim alone ---- */

static void what_came_after_the_claim_is_lost(void **state) {
    (void)state;
    uint8_t slots[BUS_SLOT_BYTES] = {0};
    uint32_t slot = key_slot(bytes_str("mine"));
    slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
    sets("mine");
    struct winner winner = {
        .offset = NOT_KNOWN, .claimed = now, .slots = slots, .until = TIME_NONE, .end = NOT_KNOWN};
    sets("mine");
    sets("other");
    winner_prepare(the_log(), &winner);
    assert_string_equal(fates(winner), "olo");
}

/* ---- sizes ---- */

/* The stream was seen up to 1000, its end is known, and what was written makes up the rest. */
static void sizes_tell_places_if_they_add_up(void **state) {
    (void)state;
    begins_stream();
    for (int i = 0; i < 4; i++)
        sets("a");
    struct winner winner = {.offset = offset + 2 * SET_BYTES - 1,
                            .claimed = TIME_NONE,
                            .until = TIME_NONE,
                            .end = offset + 4 * SET_BYTES + PING_BYTES};
    winner_prepare(the_log(), &winner);
    assert_string_equal(fates(winner), "ooll");
    winner.end++; /* something else is in it */
    winner_prepare(the_log(), &winner);
    assert_string_equal(fates(winner), "oooo");
}

/* ---- memory ---- */

/* What all replicas have is forgotten, too, when there is no room, but nobody will miss it. */
static void what_all_replicas_have_may_go(void **state) {
    (void)state;
    begins_stream();
    for (int i = 0; i < CAP_WRITES; i++) {
        sets("a");
        streams("a");
        step("ack", CLIENT, offset);
    }
    assert_true(the_log()->dropped > CAP_WRITES / 2);
    assert_int_equal(model_books(model)->writes_over_cap, 0);
}

/* CAP_WRITES: the oldest are forgotten, a chunk at a time, and counted. */
static void too_many_writes(void **state) {
    (void)state;
    begins_stream();
    for (int i = 0; i < CAP_WRITES + 1; i++)
        sets("a");
    assert_int_equal(model_books(model)->writes_over_cap, WRITES_CHUNK);
    assert_int_equal(the_log()->forgotten, WRITES_CHUNK);
    assert_int_equal(the_log()->next - the_log()->base, CAP_WRITES + 1 - WRITES_CHUNK);
}

/* CAP_WRITE_KEYS: likewise for the memory of their keys. */
static void too_long_keys(void **state) {
    (void)state;
    char key[500];
    begins_stream();
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    for (size_t i = 0; i < 2 * CAP_WRITE_KEYS / sizeof key; i++)
        sets(key);
    const struct write_log *log = the_log();
    assert_true(model_books(model)->writes_over_cap > 0);
    assert_true((log->next - log->base) * sizeof key <= (size_t)CAP_WRITE_KEYS * 5 / 4);
    assert_true(bytes_equal(write_key_of(log, log->next - 1), bytes_str(key)));
}

#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, start_model, end_model)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        MODEL_TEST(what_the_winner_had_is_kept),
        MODEL_TEST(the_stream_may_be_first),
        MODEL_TEST(what_is_not_in_the_stream_is_lost),
        MODEL_TEST(what_a_later_one_has_passed_is_not),
        MODEL_TEST(equal_writes_are_told_by_their_order),
        MODEL_TEST(behind_a_gap_nothing_is_missing_for_certain),
        MODEL_TEST(without_a_stream_it_is_open),
        MODEL_TEST(unanswered_and_refused_ones_are_no_loss),
        MODEL_TEST(nothing_done_is_nothing_lost),
        MODEL_TEST(what_came_after_the_claim_is_lost),
        MODEL_TEST(sizes_tell_places_if_they_add_up),
        MODEL_TEST(what_all_replicas_have_may_go),
        MODEL_TEST(too_many_writes),
        MODEL_TEST(too_long_keys),
    };
    return RUN_GROUP(argc, argv, tests);
}
