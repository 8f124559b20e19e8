/* test_clients.c - what the model makes of requests, replies and replication, from events made by
 * hand; and how both reports tell it. Server n is 10.0.0.n:6379, client n 10.0.1.n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/model_big_keys.h"
#include "analysis/model_clients.h"
#include "analysis/model_followers.h"
#include "analysis/model_numbers.h"
#include "base/limits.h"
#include "decode/proto.h"
#include "tests/lib/group.h"
#include "tests/lib/made.h"
#include "tests/lib/whole_run.h"

#include <stdlib.h>

static struct model *model;
static struct command_index *commands;
static nstime now;

enum { CLIENT, SERVER }; /* directions of the flows here */

static void no_conclusions(void *context, const struct event *event) {
    (void)context;
    (void)event;
}

static int start_model(void **state) {
    (void)state;
    model = model_new((struct siphash_key){7, 8}, no_conclusions, NULL);
    commands = command_index_new();
    now = 0;
    return model && commands ? 0 : -1;
}

static int end_model(void **state) {
    (void)state;
    model_free(model);
    command_index_free(commands);
    return 0;
}

static const struct command *command(const char *name) {
    return command_find(commands, bytes_str(name), bytes_str(""));
}

static struct endpoint endpoint(unsigned net, unsigned host, unsigned port) {
    struct endpoint endpoint = {.port = (uint16_t)port};
    uint8_t ip[4] = {10, (uint8_t)(host >> 8), (uint8_t)net, (uint8_t)host};
    endpoint_set_ipv4(&endpoint, ip);
    return endpoint;
}

static struct flow flow_between(unsigned client, unsigned server) {
    return (struct flow){.proto = &proto_resp,
                         .connector = CLIENT,
                         .ends = {endpoint(1, client, 40000), endpoint(0, server, 6379)}};
}

static void tell(struct flow *flow, unsigned direction, struct event event) {
    event.flow = flow;
    event.direction = (uint8_t)direction;
    event.time = now += NS_PER_MS;
    model_event(model, &event);
}

static uint64_t asked_bytes; /* bytes of the request that waits for answers() */

static void asks(uint64_t bytes) {
    asked_bytes = bytes;
}

/* A request that is not answered, by rule. */
static void asks_for_silence(struct flow *flow, const char *name, uint64_t bytes) {
    tell(flow, CLIENT,
         (struct event){.type = EV_silent,
                        .silent = {.command = command(name), .request_bytes = bytes}});
}

static struct ev_reply reply_to(const char *name, uint64_t latency_us) {
    return (struct ev_reply){.command = name ? command(name) : NULL,
                             .type = "bulk",
                             .latency_us = latency_us,
                             .bytes = 5,
                             .request_frame = NOT_KNOWN,
                             .called = true};
}

static void answers(struct flow *flow, struct ev_reply reply) {
    reply.request_bytes = asked_bytes;
    asked_bytes = 0;
    tell(flow, SERVER, (struct event){.type = EV_reply, .reply = reply});
}

static void ends(struct flow *flow) {
    tell(flow, CLIENT, (struct event){.type = EV_flow_end});
    assert_null(flow->note);
}

static const struct command_stats *stats(const struct server *server, const char *name) {
    return server->commands[command(name) - command_rows];
}

/* ---- servers ---- */

static void requests_and_replies(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1), other = flow_between(8, 1);
    asks(20);
    answers(&flow, reply_to("get", 150));
    asks(20);
    answers(&flow, reply_to("get", 250));
    asks(30);
    answers(&other, reply_to("set", NOT_KNOWN));
    asks(10);
    answers(&other, reply_to(NULL, 50));
    assert_int_equal(model_server_count(model), 1);
    const struct server *server = model_server(model, 0);
    assert_true(endpoint_equal(&server->addr, &flow.ends[SERVER]));
    assert_int_equal(server->requests, 4);
    assert_int_equal(server->replies, 4);
    assert_int_equal(server->request_bytes, 80);
    assert_int_equal(server->reply_bytes, 20);
    assert_int_equal(stats(server, "get")->requests, 2);
    assert_int_equal(stats(server, "get")->calls, 2);
    assert_int_equal(stats(server, "get")->bytes, 50);
    assert_int_equal(stats(server, "get")->latency.max, 250);
    assert_int_equal(stats(server, "set")->latency.count, 0);
    assert_null(stats(server, "del"));
    assert_int_equal(server->rest.calls, 1);
    struct histogram latency;
    model_server_latency(server, &latency);
    assert_int_equal(latency.count, 3);
    ends(&flow);
    ends(&other);
}

/* What is answered by silence is called, but there is no reply; what waits is timed apart. */
static void silence_and_waiting(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    struct ev_reply waited = reply_to("blpop", 900000);
    waited.blocking = true;
    asks_for_silence(&flow, "shutdown", 18);
    answers(&flow, waited);
    const struct server *server = model_server(model, 0);
    struct histogram latency;
    model_server_latency(server, &latency);
    assert_int_equal(server->requests, 2);
    assert_int_equal(server->replies, 1);
    assert_int_equal(stats(server, "shutdown")->calls, 1);
    assert_int_equal(latency.count, 0);
    assert_int_equal(server->blocking.max, 900000);
    ends(&flow);
}

/* Of a transaction: what was queued counts when it is executed. */
static void executed_ones_are_calls(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    struct ev_reply queued = reply_to("incr", 10);
    queued.called = false;
    asks(20);
    answers(&flow, queued);
    assert_int_equal(stats(model_server(model, 0), "incr")->calls, 0);
    tell(&flow, SERVER,
         (struct event){.type = EV_executed, .executed = {.command = command("incr")}});
    tell(&flow, SERVER, (struct event){.type = EV_error, .error = {.error = bytes_str("OOM")}});
    const struct server *server = model_server(model, 0);
    assert_int_equal(stats(server, "incr")->calls, 1);
    assert_string_equal(server->errors.list[0].word, "OOM");
    ends(&flow);
}

static void errors_and_redirects(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    struct ev_reply moved = reply_to("get", 10);
    moved.error = bytes_str("MOVED");
    moved.called = false;
    answers(&flow, moved);
    tell(&flow, SERVER, (struct event){.type = EV_redirect, .redirect = {.kind = "moved"}});
    tell(&flow, SERVER,
         (struct event){.type = EV_unmatched,
                        .unmatched = {.type = "error", .error = bytes_str("ERR"), .bytes = 9}});
    tell(&flow, CLIENT, (struct event){.type = EV_unanswered, .unanswered = {.count = 3}});
    tell(&flow, SERVER, (struct event){.type = EV_push, .push = {.kind = "message", .bytes = 7}});
    const struct server *server = model_server(model, 0);
    assert_int_equal(stats(server, "get")->errors, 1);
    assert_int_equal(server->errors.count, 2);
    assert_int_equal(server->redirects.list[0].count, 1);
    assert_string_equal(server->pushes.list[0].word, "message");
    assert_int_equal(server->unmatched, 1);
    assert_int_equal(server->unanswered, 3);
    assert_int_equal(server->reply_bytes, 5 + 9 + 7);
    assert_int_equal(model_books(model)->unmatched, 1);
    assert_int_equal(model_books(model)->unanswered, 3);
    assert_int_equal(model_client(model, 0)->errors, 2);
    ends(&flow);
}

/* The first event of a flow says who the server is, whoever opened the connection. */
static void roles_by_direction(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    tell(&flow, CLIENT, (struct event){.type = EV_unanswered, .unanswered = {.count = 1}});
    assert_true(endpoint_equal(&model_server(model, 0)->addr, &flow.ends[SERVER]));
    struct flow back = flow_between(8, 2);
    tell(&back, CLIENT, (struct event){.type = EV_push, .push = {.kind = "message"}});
    assert_true(endpoint_equal(&model_server(model, 1)->addr, &back.ends[CLIENT]));
    ends(&flow);
    ends(&back);
}

/* ---- clients and connections ---- */

static void clients_by_address(void **state) {
    (void)state;
    struct flow first = flow_between(9, 1), second = flow_between(9, 2);
    second.ends[CLIENT].port = 50000;
    asks_for_silence(&first, "get", 20);
    asks(30);
    answers(&second, reply_to("get", 1));
    assert_int_equal(model_client_count(model), 1);
    const struct client *client = model_client(model, 0);
    assert_int_equal(client->connections, 2);
    assert_int_equal(client->requests, 2);
    assert_int_equal(client->bytes, 55);
    ends(&first);
    ends(&second);
}

static void books_of_connections(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1), joined = flow_between(9, 1);
    struct flow bus = {.proto = &proto_bus};
    joined.connector = FLOW_CONNECTOR_UNKNOWN;
    flow.sides[0].undecoded = 11;
    flow.sides[1].stats.bytes = 100;
    bus.sides[0].undecoded = 5;
    tell(&flow, CLIENT, (struct event){.type = EV_anomaly, .anomaly = {.name = AN_tcp_overlap}});
    ends(&flow);
    ends(&joined);
    ends(&bus);
    const struct model_books *books = model_books(model);
    assert_int_equal(books->resp.flows, 2);
    assert_int_equal(books->resp.bytes, 100);
    assert_int_equal(books->resp_joined, 1);
    assert_int_equal(books->resp_undecoded_bytes, 11);
    assert_int_equal(books->undecoded_bytes, 5);
    assert_int_equal(books->client_anomalies[AN_tcp_overlap], 1);
    assert_int_equal(books->bus_anomalies[AN_tcp_overlap], 0);
    assert_int_equal(model_server_count(model), 0);
}

/* A bus connection's note is not a client's, and the other way round. */
static void notes_do_not_mix(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1), bus = flow_between(9, 1);
    asks_for_silence(&flow, "get", 20);
    struct event message = {.type = EV_bus_message, .bus_message = {.type = BUS_PING}};
    message.bus_message.incomplete = true;
    tell(&flow, CLIENT, message);
    assert_int_equal(model_books(model)->unclaimed_sent[BUS_PING], 1);
    bus.proto = &proto_bus;
    tell(&bus, CLIENT, message);
    asks_for_silence(&bus, "get", 20);
    assert_int_equal(model_books(model)->servers_over_cap, 1);
    ends(&flow);
    ends(&bus);
}

/* ---- replication ---- */

static void steps(struct flow *flow, unsigned direction, const char *what, const char *replid,
                  uint64_t offset, uint64_t bytes) {
    tell(flow, direction,
         (struct event){.type = EV_replication,
                        .replication = {.what = what,
                                        .replid = bytes_str(replid),
                                        .offset = offset,
                                        .bytes = bytes,
                                        .port = NOT_KNOWN}});
}

static void replicates(struct flow *flow, unsigned direction, const char *name, uint64_t offset) {
    tell(flow, direction,
         (struct event){.type = EV_replicated,
                        .replicated = {.command = name ? command(name) : NULL,
                                       .bytes = 14,
                                       .offset = offset,
                                       .slot = NOT_KNOWN}});
}

#define REPLID "0123456789012345678901234567890123456789"

static void a_full_resync(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    steps(&flow, CLIENT, "psync", "?", NOT_KNOWN, NOT_KNOWN);
    steps(&flow, SERVER, "fullresync", REPLID, 1000, NOT_KNOWN);
    steps(&flow, SERVER, "rdb", "", NOT_KNOWN, 176);
    steps(&flow, SERVER, "stream", "", 1000, NOT_KNOWN);
    replicates(&flow, SERVER, "ping", 1014);
    replicates(&flow, SERVER, NULL, 1028);
    steps(&flow, CLIENT, "ack", "", 1014, NOT_KNOWN);
    assert_int_equal(model_replication_count(model), 1);
    const struct replication *link = model_replication(model, 0);
    assert_true(endpoint_equal(&link->primary, &flow.ends[SERVER]));
    assert_true(endpoint_equal(&link->replica, &flow.ends[CLIENT]));
    assert_string_equal(link->kind, "replication");
    assert_string_equal(link->replid, REPLID);
    assert_int_equal(link->base_offset, 1000);
    assert_int_equal(link->offset, 1028);
    assert_int_equal(link->acked, 1014);
    assert_int_equal(link->full_resyncs, 1);
    assert_int_equal(link->partial_resyncs, 0);
    assert_int_equal(link->rdb_bytes, 176);
    assert_int_equal(link->stream_bytes, 28);
    assert_int_equal(link->commands[command("ping") - command_rows], 1);
    assert_int_equal(link->commands[command_count], 1);
    assert_int_equal(model_server_count(model), 0); /* no requests of clients */
    ends(&flow);
    assert_int_equal(model_replication_count(model), 1);
}

/* The identity that the replica asked with holds until the primary names another one. */
static void a_partial_resync(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    steps(&flow, CLIENT, "psync", REPLID, 500, NOT_KNOWN);
    steps(&flow, SERVER, "continue", "", 500, NOT_KNOWN);
    const struct replication *link = model_replication(model, 0);
    assert_string_equal(link->replid, REPLID);
    assert_int_equal(link->partial_resyncs, 1);
    assert_int_equal(link->base_offset, 500);
    assert_int_equal(link->acked, NOT_KNOWN);
    steps(&flow, SERVER, "refused", "", NOT_KNOWN, NOT_KNOWN);
    assert_int_equal(link->refused, 1);
    ends(&flow);
}

static void joined_in_the_middle(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    steps(&flow, CLIENT, "ack", "", 77, NOT_KNOWN);
    replicates(&flow, SERVER, "set", NOT_KNOWN);
    const struct replication *link = model_replication(model, 0);
    assert_true(endpoint_equal(&link->primary, &flow.ends[SERVER]));
    assert_int_equal(link->offset, NOT_KNOWN);
    assert_int_equal(link->acked, 77);
    ends(&flow);
}

static void a_migration(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    asks_for_silence(&flow, "auth", 20);
    steps(&flow, CLIENT, "migration", "", NOT_KNOWN, NOT_KNOWN);
    replicates(&flow, CLIENT, "set", NOT_KNOWN);
    const struct replication *link = model_replication(model, 0);
    assert_string_equal(link->kind, "migration");
    assert_true(endpoint_equal(&link->primary, &flow.ends[CLIENT]));
    assert_int_equal(model_server_count(model), 1); /* the request before it */
    ends(&flow);
}

/* ---- caps ---- */

/* CAP_SERVERS have a row of their own; the others share one, and the sums are right. */
static void too_many_servers(void **state) {
    (void)state;
    for (unsigned i = 0; i < CAP_SERVERS + 3; i++) {
        struct flow flow = flow_between(9, i);
        asks_for_silence(&flow, "get", 10);
        asks_for_silence(&flow, "get", 10);
        ends(&flow);
    }
    assert_int_equal(model_server_count(model), CAP_SERVERS + 1);
    assert_int_equal(model_books(model)->servers_over_cap, 3);
    const struct server *others = model_server(model, CAP_SERVERS);
    assert_true(others->others);
    assert_int_equal(others->requests, 6);
    assert_int_equal(stats(others, "get")->requests, 6);
}

/* CAP_CLIENTS likewise. */
static void too_many_clients(void **state) {
    (void)state;
    for (unsigned i = 0; i < CAP_CLIENTS + 4; i++) {
        struct flow flow = flow_between(i, 1);
        asks_for_silence(&flow, "get", 10);
        ends(&flow);
    }
    assert_int_equal(model_client_count(model), CAP_CLIENTS + 1);
    assert_int_equal(model_books(model)->clients_over_cap, 4);
    assert_int_equal(model_client(model, CAP_CLIENTS)->requests, 4);
    assert_int_equal(model_server(model, 0)->requests, CAP_CLIENTS + 4);
}

/* CAP_FURTHER_CLIENTS: of the others the heaviest are known, one that comes late, too. */
static void heavy_ones_of_too_many_clients(void **state) {
    (void)state;
    unsigned all = CAP_CLIENTS + 2 * CAP_FURTHER_CLIENTS;
    for (unsigned i = 0; i < all; i++) {
        struct flow flow = flow_between(i, 1);
        for (int times = 0; times < (i + 1 == all ? 9 : 1); times++)
            asks_for_silence(&flow, "get", 10);
        ends(&flow);
    }
    const struct topk *further = &model_numbers(model)->clients;
    const struct topk_entry *first;
    struct flow last = flow_between(all - 1, 1);
    assert_int_equal(further->used, CAP_FURTHER_CLIENTS);
    assert_int_equal(further->total, 2 * CAP_FURTHER_CLIENTS + 8);
    assert_int_equal(topk_top(further, &first, 1), 1);
    assert_memory_equal(first->text, last.ends[CLIENT].ip, 16);
    assert_true(first->count - first->error <= 9 && first->count >= 9);
}

/* CAP_HOT_KEYS likewise. */
static void too_many_keys(void **state) {
    (void)state;
    struct flow flow = flow_between(9, 1);
    char key[16];
    for (unsigned i = 0; i < 3 * CAP_HOT_KEYS; i++) {
        struct bytes text = bytes_of(key, (size_t)snprintf(key, sizeof key, "%u", i));
        tell(&flow, CLIENT,
             (struct event){.type = EV_sampled, .sampled = {.key = text, .weight = 2}});
    }
    assert_int_equal(model_numbers(model)->keys.used, CAP_HOT_KEYS);
    assert_int_equal(model_numbers(model)->keys.total, 6 * CAP_HOT_KEYS);
    assert_int_equal(topk_least(&model_numbers(model)->keys), 6);
    ends(&flow);
}

/* CAP_BIG_KEYS: commands of servers that moved much. */
static void too_many_big_keys(void **state) {
    (void)state;
    unsigned used = 0;
    for (size_t row = 0; row < command_count && used < CAP_BIG_KEYS + 2; row++) {
        struct flow flow = flow_between(9, 1);
        if (command_rows[row].keys == KEYS_NONE)
            continue;
        struct ev_reply reply = reply_to(command_rows[row].name, 100);
        reply.command = &command_rows[row];
        reply.bytes = BIG_KEY;
        answers(&flow, reply);
        ends(&flow);
        used++;
    }
    if (used < CAP_BIG_KEYS + 2)
        fail_msg("only %u commands have keys", used);
    assert_int_equal(model_big_key_count(model), CAP_BIG_KEYS);
    assert_int_equal(model_books(model)->big_keys_over_cap, 2);
}

/* CAP_SERVER_COMMANDS: further commands of a server share its last row. */
static void too_many_commands(void **state) {
    (void)state;
    uint64_t used = 0;
    for (unsigned server = 0; used <= CAP_SERVER_COMMANDS; server++) {
        struct flow flow = flow_between(9, server);
        for (size_t row = 0; row < command_count && used <= CAP_SERVER_COMMANDS; row++, used++)
            tell(&flow, CLIENT,
                 (struct event){.type = EV_silent, .silent = {.command = &command_rows[row]}});
        ends(&flow);
    }
    const struct server *last = model_server(model, model_server_count(model) - 1);
    assert_int_equal(model_books(model)->commands_over_cap, 1);
    assert_int_equal(last->rest.requests, 1);
}

/* CAP_REPLICATIONS: the oldest whose connection is gone makes room, and is counted; if all are
 * there still, a further one is counted once, however much is said on it. */
static void too_many_replications(void **state) {
    (void)state;
    struct flow *flows = calloc(CAP_REPLICATIONS + 1, sizeof *flows);
    assert_non_null(flows);
    for (unsigned i = 0; i < CAP_REPLICATIONS + 2; i++) {
        struct flow flow = flow_between(i, 1);
        steps(&flow, SERVER, "fullresync", REPLID, 1, NOT_KNOWN);
        replicates(&flow, SERVER, "set", 15);
        ends(&flow);
    }
    assert_int_equal(model_replication_count(model), CAP_REPLICATIONS);
    assert_int_equal(model_books(model)->replications_over_cap, 2);
    for (unsigned i = 0; i < CAP_REPLICATIONS + 1; i++) {
        flows[i] = flow_between(i, 2);
        steps(&flows[i], SERVER, "fullresync", REPLID, 1, NOT_KNOWN);
        replicates(&flows[i], SERVER, "set", 15);
    }
    assert_int_equal(model_books(model)->replications_over_cap, 2 + CAP_REPLICATIONS + 1);
    for (unsigned i = 0; i < CAP_REPLICATIONS + 1; i++)
        ends(&flows[i]);
    free(flows);
}

/* CAP_FOLLOWERS: what is said of a further replica is counted. */
static void too_many_followers(void **state) {
    (void)state;
    for (unsigned i = 0; i < CAP_FOLLOWERS + 2; i++) {
        struct flow flow = flow_between(i, 1);
        steps(&flow, SERVER, "fullresync", REPLID, 1, NOT_KNOWN);
        ends(&flow);
    }
    assert_int_equal(model_follower_count(model), CAP_FOLLOWERS);
    assert_int_equal(model_books(model)->followers_over_cap, 2);
}

/* ---- what is wanted ---- */

static void the_model_wants_its_events(void **state) {
    (void)state;
    assert_true(model_wants & EVENT_BIT(reply));
    assert_true(model_wants & EVENT_BIT(flow_end));
    assert_false(model_wants & EVENT_BIT(request)); /* built for every one, if so */
    assert_int_equal(model_wants & EVENTS_CONCLUSIONS, 0);
}

/* ---- the reports ---- */

static char page[1 << 18];

/* What a sink makes of the model that `fill` fills. */
static const char *report_of(const struct sink_ops *ops, void (*fill)(void)) {
    char in_path[32], out_path[32];
    struct err err;
    struct made empty = made_pcap(false, 0xa1b2c3d4, 1);
    int in = whole_file(made_view(&empty), in_path), out = whole_file(bytes_of(NULL, 0), out_path);
    const char *paths[] = {in_path};
    struct merge *merge = merge_open(paths, 1, &(struct source_options){0}, &err);
    struct engine_options options = {.key = {1, 2}};
    struct engine *engine = engine_new(&options, &err);
    struct timeline timeline;
    struct sink sink;
    timeline_init(&timeline);
    assert_non_null(engine);
    struct model *own = model;
    model = (struct model *)engine_model(engine); /* as the engine would fill it */
    fill();
    model = own;
    engine_finish(engine, &(struct run_facts){0});
    struct report report = {
        .version = "0", .engine = engine, .sources = merge, .timeline = &timeline};
    assert_true(sink_open(&sink, ops, &(struct sink_options){.sources = 1}, out_path, &err));
    assert_true(sink_finish(&sink, &report, &err));
    ssize_t got = pread(out, page, sizeof page - 1, 0);
    assert_true(got > 0);
    page[got] = '\0';
    timeline_free(&timeline);
    engine_free(engine);
    merge_close(merge);
    made_free(&empty);
    close(in);
    close(out);
    return page;
}

static void nothing(void) {}

static void some_traffic(void) {
    struct flow flow = flow_between(9, 1), other = flow_between(8, 2), link = flow_between(7, 1);
    for (int i = 0; i < 10; i++) {
        asks(20);
        answers(&flow, reply_to(i < 7 ? "get" : "set", 10));
    }
    struct ev_reply moved = reply_to("get", 2000), waited = reply_to("blpop", 900000);
    moved.error = bytes_str("MOVED");
    waited.blocking = true;
    asks(20);
    answers(&other, moved);
    answers(&other, waited);
    answers(&other, reply_to(NULL, 5));
    tell(&other, SERVER, (struct event){.type = EV_redirect, .redirect = {.kind = "moved"}});
    tell(&other, SERVER, (struct event){.type = EV_push, .push = {.kind = "message"}});
    tell(&other, CLIENT, (struct event){.type = EV_unanswered, .unanswered = {.count = 3}});
    steps(&link, SERVER, "fullresync", REPLID, 1000, NOT_KNOWN);
    steps(&link, SERVER, "rdb", "", NOT_KNOWN, 176);
    replicates(&link, SERVER, "ping", 1014);
    steps(&link, CLIENT, "ack", "", 1000, NOT_KNOWN);
    ends(&flow);
    ends(&other);
    ends(&link);
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("%s is not in\n%s", part, text);
}

static void in_json(void **state) {
    static const char *const parts[] = {
        "{\"addr\":\"10.0.0.1:6379\",\"node\":null,\"requests\":10,\"replies\":10,",
        "\"commands\":{\"get\":7,\"set\":3},\"unknown_commands\":0,\"errors\":{}",
        "\"latency_us\":{\"p50\":10,\"p90\":10,\"p99\":10,\"max\":10},"
        "\"blocking_latency_us\":{\"p50\":null,\"p90\":null,\"p99\":null,\"max\":null}",
        "\"by_command\":{\"get\":{\"requests\":7,\"calls\":7,\"errors\":0,\"bytes\":175,"
        "\"latency_us\":{\"p50\":10",
        "\"errors\":{\"MOVED\":1},\"errors_left_out\":0,\"redirects\":{\"moved\":1},"
        "\"pushes\":{\"message\":1}",
        "\"unknown_commands\":1",
        "{\"addr\":\"10.0.1.8\",\"connections\":1,\"requests\":6,\"bytes\":35,\"errors\":1}",
        "\"unanswered\":3",
        "{\"kind\":\"replication\",\"primary\":\"10.0.0.1:6379\",\"replica\":\"10.0.1.7:40000\","
        "\"replid\":\"" REPLID "\",\"base_offset\":1000,\"offset\":1014,"
        "\"offset_learnt\":false,\"acked\":1000,\"full_resyncs\":1,\"partial_resyncs\":0,"
        "\"refused\":0,\"rdb_bytes\":176,"
        "\"stream_bytes\":14,\"commands\":{\"ping\":1},\"unknown_commands\":0",
    };
    (void)state;
    const char *text = report_of(&sink_json, some_traffic);
    for (size_t i = 0; i < countof(parts); i++)
        assert_has(text, parts[i]);
}

static void in_text(void **state) {
    static const char *const parts[] = {
        "\nClients: what servers were asked, the busiest first\n"
        "  server         requests  errors     p50      p99      max  busiest commands\n"
        "  10.0.0.1:6379        10       -   10 us    10 us    10 us  get 7, set 3\n",
        "  server         errors, by their first word\n"
        "  10.0.0.2:6379  MOVED 1\n"
        "  Redirects: moved 1.\n"
        "  Pushes: message 1.\n"
        "  Left out of these times are blocking commands: 1, p50 900 ms, p99 900 ms, max 900 ms.\n"
        "  Requests came from 2 clients; most, 10 of 16, from 10.0.1.9.\n",
        "  10.0.1.7:0  10.0.0.1:6379  up      1014    14 B  1.00 ms   14 B  1.00 ms     1        - "
        " "
        "   -   176 B      14 B\n",
        "3 requests of clients without a reply\n",
        ", 3 of clients and replicas; ",
    };
    (void)state;
    const char *text = report_of(&sink_text, some_traffic);
    for (size_t i = 0; i < countof(parts); i++)
        assert_has(text, parts[i]);
}

/* What clients and servers say has no nodes, so its lines have no columns for them. */
static void in_lines(void **state) {
    char path[32];
    struct err err;
    struct sink sink;
    struct flow flow = flow_between(9, 1);
    struct event asked = {.type = EV_request, .direction = CLIENT, .frame = 7, .flow = &flow};
    struct event moved = {.type = EV_redirect, .direction = SERVER, .frame = 8, .flow = &flow};
    int out = whole_file(bytes_of(NULL, 0), path);
    (void)state;
    asked.request = (struct ev_request){
        .command = command("get"), .args = 2, .bytes = 24, .slot = 7, .write = false};
    moved.redirect = (struct ev_redirect){.kind = "moved",
                                          .slot = 7,
                                          .target = bytes_str("10.0.0.2:6379"),
                                          .command = command("get")};
    assert_true(sink_open(&sink, &sink_lines, &(struct sink_options){.sources = 1}, path, &err));
    sink_event(&sink, &asked);
    sink_event(&sink, &moved);
    assert_true(sink_finish(&sink, &(struct report){0}, &err));
    ssize_t got = pread(out, page, sizeof page - 1, 0);
    page[got > 0 ? got : 0] = '\0';
    assert_string_equal(page,
                        "      7 00:00:00.000000000 10.0.1.9:40000        > 10.0.0.1:6379         "
                        "request         command=get args=2 bytes=24 slot=7\n"
                        "      8 00:00:00.000000000 10.0.0.1:6379         > 10.0.1.9:40000        "
                        "redirect        kind=moved slot=7 target=10.0.0.2:6379 command=get\n");
    close(out);
}

/* Sections with nothing to say are left out. */
static void in_silence(void **state) {
    (void)state;
    const char *text = report_of(&sink_text, nothing);
    assert_null(strstr(text, "Clients"));
    assert_null(strstr(text, "Replication"));
    assert_has(report_of(&sink_json, nothing), "\"servers\":[]");
}

#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, start_model, end_model)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        MODEL_TEST(requests_and_replies),
        MODEL_TEST(silence_and_waiting),
        MODEL_TEST(executed_ones_are_calls),
        MODEL_TEST(errors_and_redirects),
        MODEL_TEST(roles_by_direction),
        MODEL_TEST(clients_by_address),
        MODEL_TEST(books_of_connections),
        MODEL_TEST(notes_do_not_mix),
        MODEL_TEST(a_full_resync),
        MODEL_TEST(a_partial_resync),
        MODEL_TEST(joined_in_the_middle),
        MODEL_TEST(a_migration),
        MODEL_TEST(too_many_servers),
        MODEL_TEST(too_many_clients),
        MODEL_TEST(heavy_ones_of_too_many_clients),
        MODEL_TEST(too_many_keys),
        MODEL_TEST(too_many_big_keys),
        MODEL_TEST(too_many_commands),
        MODEL_TEST(too_many_replications),
        MODEL_TEST(too_many_followers),
        MODEL_TEST(the_model_wants_its_events),
        MODEL_TEST(in_json),
        MODEL_TEST(in_text),
        MODEL_TEST(in_lines),
        MODEL_TEST(in_silence),
    };
    return RUN_GROUP(argc, argv, tests);
}
