/* test_model.c - the cluster as its messages tell it, from packets to the model: roles, slots,
 * epochs, who thinks that whom has failed, who sent and who received what, and how the links do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/engine.h"
#include "analysis/model_claims.h"
#include "analysis/model_elections.h"
#include "base/limits.h"
#include "tests/lib/group.h"
#include "tests/lib/recorder.h"
#include "tests/lib/said.h"
#include "tests/lib/talk.h"

#include <stdlib.h>

/* ---- an engine, a network, and nodes: node n is 10.0.0.n, its bus port is 16379 ---- */

static struct engine *engine;
static struct recorder heard;
static struct lan lan;

static void deliver(void *context, const struct packet *packet) {
    (void)context;
    engine_packet(engine, packet);
}

static int start_engine(void **state) {
    (void)state;
    struct err err;
    struct engine_options options = {
        .key = {5, 6}, .wants = UINT64_MAX, .on_event = recorder_event, .context = &heard};
    heard = (struct recorder){
        .only = "node-seen node-heard node-address node-role node-slots node-epoch cluster-epoch "
                "node-state "
                "node-suspected node-failed node-cleared fail-announced vote-requested "
                "vote-granted vote-refused manual-failover update-sent"};
    engine = engine_new(&options, &err);
    lan = (struct lan){.deliver = deliver};
    return engine ? 0 : -1;
}

static int end_engine(void **state) {
    (void)state;
    engine_free(engine);
    recorder_free(&heard);
    return 0;
}

/* From now on only these events. */
static void listen_to(const char *names) {
    recorder_reset(&heard);
    heard.only = names;
}

static void finish(void) {
    engine_finish(engine, &(struct run_facts){0});
}

/* The connection that one node opens to another. */
static struct talk link_between(unsigned from, unsigned to) {
    struct talk talk =
        talk_between(&lan, (uint8_t)from, (uint16_t)(40000 + to), (uint8_t)to, 16379);
    talk_open(&talk);
    return talk;
}

static void say(struct talk *talk, unsigned end, struct said said) {
    talk_send(talk, end, said_view(&said));
    said_free(&said);
}

/* A message, said on a connection of its own to node 99, who says nothing. */
static void says(unsigned node, struct said said) {
    struct talk talk = talk_between(&lan, (uint8_t)node, 50000, 99, 16379);
    static uint32_t isn;
    talk.next[CLIENT] = talk.heard[SERVER] = isn += 10000000;
    talk_open(&talk);
    say(&talk, CLIENT, said);
    talk_fin(&talk, CLIENT);
}

static const struct node *node(unsigned n) {
    const struct model *model = engine_model(engine);
    for (size_t i = 0; i < model_node_count(model); i++) {
        if (memcmp(model_node(model, i)->id, said_id(n), BUS_NODE_ID) == 0)
            return model_node(model, i);
    }
    return NULL;
}

static uint32_t index_of(unsigned n) {
    const struct model *model = engine_model(engine);
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        if (model_node(model, i) == node(n))
            return i;
    }
    return NODE_NONE;
}

static const struct link *link_of(unsigned from, unsigned to) {
    const struct model *model = engine_model(engine);
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (link->from == index_of(from) && link->to == index_of(to))
            return link;
    }
    return NULL;
}

static struct said primary(unsigned n, uint64_t epoch, unsigned first, unsigned last) {
    struct said m = said_new(1, SAY_PING, n);
    said_number(&m, SAID_CONFIG_EPOCH, epoch);
    if (first <= last)
        said_slots(&m, first, last);
    return m;
}

static struct said replica(unsigned n, unsigned of) {
    struct said m = said_new(1, SAY_PING, n);
    said_replica_of(&m, of);
    return m;
}

#define N1 "9e3779b1" /* as said_id() begins */
#define N2 "3c6ef362"
#define N3 "daa66d13"

/* ---- what a node says of itself ---- */

static void a_node_is_seen(void **state) {
    (void)state;
    struct said m = primary(1, 3, 0, 99);
    said_number(&m, SAID_OFFSET, 77);
    says(1, m);
    assert_recorded(&heard, "node-seen node=" N1 " about=" N1 " addr=10.0.0.1:6379",
                    "node-heard node=" N1
                    " role=primary slots=0-99 config_epoch=3 current_epoch=9");
    assert_true(node(1)->heard);
    assert_int_equal(node(1)->repl_offset, 77);
    assert_int_equal(node(1)->bus_port, 16379);
    assert_int_equal(node(1)->flags, NODE_PRIMARY | NODE_MYSELF);
    says(1, primary(1, 3, 0, 99)); /* nothing new */
    assert_int_equal(heard.count, 2);
}

/* The address that it announces counts, not the one that its packets come from. */
static void an_announced_address(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    said_text(&m, SAID_IP, "192.168.7.7");
    says(1, m);
    struct said bad = said_new(1, SAY_PING, 2);
    said_text(&bad, SAID_IP, "no address");
    says(2, bad);
    listen_to("");
    char text[ENDPOINT_TEXT];
    endpoint_text(&node(1)->addr, text);
    assert_string_equal(text, "192.168.7.7:6379");
    endpoint_text(&node(2)->addr, text);
    assert_string_equal(text, "10.0.0.2:6379");
}

static void a_node_that_moves(void **state) {
    (void)state;
    says(1, said_new(1, SAY_PING, 1));
    listen_to("node-address");
    says(3, said_new(1, SAY_PING, 1));
    assert_recorded(&heard,
                    "node-address node=" N1 " about=" N1 " addr=10.0.0.3:6379 was=10.0.0.1:6379");
}

static void slots_that_move(void **state) {
    (void)state;
    says(1, primary(1, 3, 0, 99));
    listen_to("node-slots node-epoch");
    says(1, primary(1, 3, 50, 149));
    says(1, primary(1, 4, 50, 149));
    assert_recorded(&heard, "node-slots node=" N1 " gained=100-149 lost=0-49 config_epoch=3",
                    "node-epoch node=" N1 " config_epoch=4 was=3");
}

/* A replica repeats its primary's slots: it claims them when it is promoted, and not before. */
static void roles(void **state) {
    (void)state;
    listen_to("node-role node-slots node-heard");
    struct said m = replica(2, 1);
    said_slots(&m, 0, 99);
    says(2, m);
    assert_recorded(&heard, "node-heard node=" N2 " about=" N1 " role=replica current_epoch=9");
    assert_true(node(2)->replica);
    assert_int_equal(node(2)->primary, index_of(1));
    assert_false(node(1)->heard);
    listen_to("node-role node-slots");
    says(2, primary(2, 5, 0, 99));
    says(2, replica(2, 1));
    assert_recorded(&heard, "node-role node=" N2 " role=primary",
                    "node-slots node=" N2 " gained=0-99 config_epoch=5",
                    "node-role node=" N2 " about=" N1 " role=replica",
                    "node-slots node=" N2 " lost=0-99");
}

static void state_of_the_cluster(void **state) {
    (void)state;
    listen_to("node-state");
    for (int i = 0; i < 3; i++) {
        struct said m = said_new(1, SAY_PING, 1);
        said_number(&m, SAID_STATE, i == 1);
        says(1, m);
    }
    assert_recorded(&heard, "node-state node=" N1 " state=1", "node-state node=" N1);
}

/* Only the greatest epoch of all nodes is the cluster's; the first one heard is not news. */
static void epochs_of_the_cluster(void **state) {
    (void)state;
    static const uint64_t epochs[] = {5, 4, UINT64_MAX, 6};
    listen_to("cluster-epoch");
    for (size_t i = 0; i < countof(epochs); i++) {
        struct said m = said_new(1, SAY_PING, 1);
        said_number(&m, SAID_CURRENT_EPOCH, epochs[i]);
        says(1, m);
    }
    assert_recorded(&heard, "cluster-epoch node=" N1 " current_epoch=18446744073709551615 was=5");
    assert_int_equal(node(1)->current_epoch, 6);
}

/* A message that waited on a link for longer than its sender kept what it says. After a restart
 * from an old nodes.conf the same words would be news: they come on a connection of their own. */
static void old_news(void **state) {
    (void)state;
    struct talk stuck = link_between(1, 2);
    struct said now = primary(1, 7, 0, 99), before = replica(1, 3);
    said_number(&now, SAID_CURRENT_EPOCH, 7);
    said_number(&before, SAID_CURRENT_EPOCH, 6);
    says(1, now);
    listen_to("node-role node-slots node-epoch");
    say(&stuck, CLIENT, before);
    assert_true(recorder_is(&heard, NULL, 0));
    assert_false(node(1)->replica);
    before = replica(1, 3);
    said_number(&before, SAID_CURRENT_EPOCH, 6);
    says(1, before);
    assert_true(node(1)->replica);
}

/* A node that has just given its slots up, to the one that took them with epoch 9, said otherwise
 * a moment before on another link. If it takes them over again, then with a greater epoch. */
static void old_news_of_a_former_primary(void **state) {
    (void)state;
    struct talk other = link_between(1, 2);
    struct said now = replica(1, 3);
    said_number(&now, SAID_CONFIG_EPOCH, 9);
    says(1, primary(1, 7, 0, 99));
    says(1, now);
    listen_to("node-role node-slots node-epoch");
    say(&other, CLIENT, primary(1, 7, 0, 99));
    assert_true(recorder_is(&heard, NULL, 0));
    assert_true(node(1)->replica);
    listen_to("node-role vote-granted");
    struct said vote = said_new(1, SAY_AUTH_ACK, 1); /* its header is old, its vote is not */
    said_number(&vote, SAID_CONFIG_EPOCH, 7);
    said_slots(&vote, 0, 99);
    say(&other, CLIENT, vote);
    assert_recorded(&heard, "vote-granted node=" N1 " epoch=9");
    say(&other, CLIENT, primary(1, 10, 0, 99));
    assert_false(node(1)->replica);
}

/* A node without slots has just become a replica, and said otherwise before on links whose queue
 * was written later. Seconds later it would be news, and so would it be on a new link. */
static void old_news_of_a_new_replica(void **state) {
    (void)state;
    struct talk other = link_between(1, 2);
    says(1, primary(1, 7, 1, 0));
    says(1, replica(1, 3));
    listen_to("node-role node-epoch");
    say(&other, CLIENT, primary(1, 7, 1, 0));
    say(&other, CLIENT, replica(1, 3));
    assert_true(recorder_is(&heard, NULL, 0));
    says(1, primary(1, 7, 1, 0));
    assert_recorded(&heard, "node-role node=" N1 " role=primary",
                    "node-epoch node=" N1 " config_epoch=7");
    says(1, replica(1, 3));
    lan.time += 2 * NS_PER_SEC;
    listen_to("node-role");
    say(&other, CLIENT, primary(1, 7, 1, 0));
    assert_recorded(&heard, "node-role node=" N1 " role=primary");
}

static void extensions(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    said_extension(&m, 0, "a.example", 10);
    said_extension(&m, 3, said_id(44), 40);
    says(1, m);
    assert_string_equal(node(1)->hostname, "a.example");
    assert_true(node(1)->shard_id_known);
    assert_memory_equal(node(1)->shard_id, said_id(44), 40);
    m = said_new(1, SAY_PING, 1);
    said_extension(&m, 3, said_id(44), 40);
    says(1, m);
    assert_string_equal(node(1)->hostname, ""); /* no longer announced */
}

/* A host name longer than any is cut, not overrun. */
static void a_hostname_without_end(void **state) {
    (void)state;
    char name[1000];
    memset(name, 'h', sizeof name);
    struct said m = said_new(1, SAY_PING, 1);
    said_extension(&m, 0, name, sizeof name);
    says(1, m);
    assert_int_equal(strlen(node(1)->hostname), NODE_NAME_MAX - 1);
}

/* ---- what nodes say of each other ---- */

static struct said gossips(unsigned n, unsigned about, uint16_t flags) {
    struct said m = primary(n, n, 100 * n, 100 * n + 99);
    said_gossip(
        &m, &(struct said_about){
                .node = about, .ip = "10.0.0.3", .port = 6379, .bus_port = 16379, .flags = flags});
    return m;
}

static void suspected_failed_and_cleared(void **state) {
    (void)state;
    listen_to("node-suspected node-failed node-cleared");
    says(1, gossips(1, 3, NODE_PRIMARY));
    says(1, gossips(1, 3, NODE_PRIMARY | NODE_PFAIL));
    says(1, gossips(1, 3, NODE_PRIMARY | NODE_PFAIL));
    says(1, gossips(1, 3, NODE_PRIMARY | NODE_FAIL));
    says(1, gossips(1, 3, NODE_PRIMARY));
    assert_recorded(&heard, "node-suspected node=" N1 " about=" N3,
                    "node-failed node=" N1 " about=" N3, "node-cleared node=" N1 " about=" N3);
}

/* Most of the primaries with slots, the one in question not counted. */
static void what_the_majority_thinks(void **state) {
    (void)state;
    const struct model *model = engine_model(engine);
    for (unsigned n = 4; n <= 6; n++)
        says(n, gossips(n, 3, NODE_PRIMARY));
    assert_int_equal(model_failure(model, index_of(3)), 0);
    says(4, gossips(4, 3, NODE_PRIMARY | NODE_PFAIL));
    says(3, gossips(3, 3, NODE_PRIMARY | NODE_FAIL)); /* what it thinks of itself does not count */
    assert_int_equal(model_failure(model, index_of(3)), 0);
    says(5, gossips(5, 3, NODE_PRIMARY | NODE_PFAIL));
    assert_int_equal(model_failure(model, index_of(3)), NODE_PFAIL);
    says(5, gossips(5, 3, NODE_PRIMARY | NODE_FAIL));
    assert_int_equal(model_failure(model, index_of(3)), NODE_PFAIL);
    says(4, gossips(4, 3, NODE_PRIMARY | NODE_FAIL));
    assert_int_equal(model_failure(model, index_of(3)), NODE_FAIL);
}

/* Replicas and primaries without slots have no vote. */
static void who_has_no_vote(void **state) {
    (void)state;
    struct said m = replica(5, 4);
    says(4, gossips(4, 3, NODE_PRIMARY));
    said_gossip(&m, &(struct said_about){.node = 3, .flags = NODE_FAIL});
    says(5, m);
    m = primary(6, 6, 1, 0);
    said_gossip(&m, &(struct said_about){.node = 3, .flags = NODE_FAIL});
    says(6, m);
    assert_int_equal(model_failure(engine_model(engine), index_of(3)), 0);
}

/* Two primaries claim a slot: the greater config epoch has it. What no primary claims is nobody's,
 * whatever replicas repeat. */
static void who_owns_a_slot(void **state) {
    (void)state;
    static uint32_t owners[BUS_SLOTS];
    struct said m = replica(3, 1);
    says(1, primary(1, 7, 0, 199));
    says(2, primary(2, 8, 100, 299));
    said_slots(&m, 300, 399);
    says(3, m);
    model_slot_owners(engine_model(engine), owners);
    assert_int_equal(owners[0], index_of(1));
    assert_int_equal(owners[99], index_of(1));
    assert_int_equal(owners[100], index_of(2));
    assert_int_equal(owners[299], index_of(2));
    assert_int_equal(owners[300], NODE_NONE);
    assert_int_equal(owners[BUS_SLOTS - 1], NODE_NONE);
}

/* Gossip tells of a node until it is heard itself. */
static void hearsay(void **state) {
    (void)state;
    says(1, gossips(1, 3, NODE_REPLICA));
    assert_true(!node(3)->heard && node(3)->replica && node(3)->addr_known);
    says(3, primary(3, 3, 0, 9));
    says(1, gossips(1, 3, NODE_REPLICA));
    assert_true(node(3)->heard && !node(3)->replica);
}

/* ---- messages that are events in themselves ---- */

static void elections(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    listen_to("fail-announced vote-requested vote-granted vote-refused manual-failover "
              "update-sent");
    say(&talk, CLIENT, said_fail(1, 3));
    say(&talk, CLIENT, said_new(1, SAY_AUTH_REQUEST, 1));
    say(&talk, CLIENT, said_new(1, SAY_AUTH_ACK, 1));
    say(&talk, CLIENT, said_nack(1, 8, 2, false));
    say(&talk, CLIENT, said_new(1, SAY_MFSTART, 1));
    say(&talk, CLIENT, said_update(1, 3, 6, 0, 9));
    assert_recorded(&heard, "fail-announced node=" N1 " about=" N3,
                    "vote-requested node=" N1 " about=" N2 " epoch=9",
                    "vote-granted node=" N1 " about=" N2 " epoch=9",
                    "vote-refused node=" N1 " about=" N2 " epoch=8 reason=2",
                    "manual-failover node=" N1 " about=" N2,
                    "update-sent node=" N1 " about=" N2 " owner=" N3 " config_epoch=6");
}

/* What the server ignores tells nobody anything. */
static void ignored_messages(void **state) {
    (void)state;
    struct said m = primary(1, 3, 0, 99);
    said_number(&m, SAID_COUNT, 5);
    says(1, m);
    assert_int_equal(heard.count, 0);
    assert_int_equal(node(1)->sent[BUS_PING], 1);
    assert_false(node(1)->heard);
}

/* ---- who sent and who received ---- */

static void sent_and_received(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    say(&talk, CLIENT, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 10));
    talk_ack(&talk, SERVER);
    talk.deaf[SERVER] = true;
    say(&talk, CLIENT, said_fail(1, 3)); /* never acknowledged */
    talk_ack(&talk, SERVER);
    talk_ack(&talk, CLIENT);
    finish();
    assert_int_equal(node(1)->sent[BUS_PING], 1);
    assert_int_equal(node(2)->received[BUS_PING], 1);
    assert_int_equal(node(2)->sent[BUS_PONG], 1);
    assert_int_equal(node(1)->received[BUS_PONG], 1);
    assert_int_equal(node(1)->sent[BUS_PUBLISH], 1);
    assert_int_equal(node(2)->received[BUS_PUBLISH], 1);
    assert_int_equal(node(1)->sent[BUS_FAIL], 1);
    assert_int_equal(node(2)->received[BUS_FAIL], 0);
    assert_int_equal(node(1)->bytes_sent, 2256 + 16 + 8 + 1 + 10 + 2296);
    const struct model_books *books = model_books(engine_model(engine));
    assert_int_equal(books->messages[BUS_PING], 1);
    assert_int_equal(books->bus_bytes, node(1)->bytes_sent + node(2)->bytes_sent);
    assert_int_equal(books->undecoded_bytes, 0);
    assert_int_equal(books->bus_flows, 1);
}

/* The receiver never says a word on this connection; where it listens is known from gossip. */
static void a_silent_receiver_known_by_address(void **state) {
    (void)state;
    struct talk talk = link_between(1, 3);
    say(&talk, CLIENT, gossips(1, 3, NODE_PRIMARY));
    talk_ack(&talk, SERVER);
    finish();
    assert_int_equal(node(3)->received[BUS_PING], 1);
    assert_int_equal(link_of(1, 3)->pings, 1);
    assert_int_equal(model_books(engine_model(engine))->unclaimed_received[BUS_PING], 0);
}

/* And where it is not: counted, to nobody. */
static void a_silent_receiver_that_nobody_knows(void **state) {
    (void)state;
    struct talk talk = link_between(1, 3);
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_publish(SAY_LIGHT | SAY_PUBLISH, 0, "c", 1));
    talk_ack(&talk, SERVER);
    finish();
    assert_int_equal(model_books(engine_model(engine))->unclaimed_received[BUS_PING], 1);
    assert_int_equal(model_books(engine_model(engine))->unclaimed_sent[BUS_PUBLISH], 1);
    assert_int_equal(node(1)->received[BUS_PUBLISH], 0); /* never acknowledged */
}

/* ---- links ---- */

/* CLUSTER FORGET, as servers since 7.2 tell it: most primaries have to say so, and to gossip about
 * the node again takes it back. */
static void forgotten_by_most(void **state) {
    (void)state;
    uint8_t value[BUS_NODE_ID + 8] = {0};
    memcpy(value, said_id(3), BUS_NODE_ID);
    for (unsigned n = 4; n <= 5; n++)
        says(n, primary(n, n, n * 100, n * 100 + 99));
    says(4, gossips(4, 3, NODE_REPLICA));
    const struct model *model = engine_model(engine);
    for (unsigned n = 4; n <= 5; n++) {
        assert_true(model_is_member(model, index_of(3)));
        struct said m = primary(n, n, n * 100, n * 100 + 99);
        said_extension(&m, 2, value, sizeof value);
        says(n, m);
    }
    assert_false(model_is_member(model, index_of(3)));
    says(5, gossips(5, 3, NODE_REPLICA));
    assert_true(model_is_member(model, index_of(3)));
}

/* Before 7.2 only silence tells: a node held for sound that is gossiped about no more. It may be
 * the one that is spoken to, as long as that is not known: nobody is told about itself. */
static void unmentioned_by_all(void **state) {
    (void)state;
    struct talk link = link_between(4, 6);
    says(4, gossips(4, 3, NODE_REPLICA));
    const struct model *model = engine_model(engine);
    for (int i = 0; i < 300; i++)
        say(&link, CLIENT, gossips(4, 5, NODE_PRIMARY));
    assert_true(model_is_member(model, index_of(3)));
    say(&link, SERVER, primary(6, 6, 600, 699));
    for (int i = 0; i < 20; i++)
        say(&link, CLIENT, gossips(4, 5, NODE_PRIMARY));
    assert_true(model_is_member(model, index_of(3)));
    for (int i = 0; i < 200; i++)
        say(&link, CLIENT, gossips(4, 5, NODE_PRIMARY));
    assert_false(model_is_member(model, index_of(3)));
    assert_true(model_is_member(model, index_of(5)));
}

/* Another node speaks from the address: the old one has none any more, and is a member for as long
 * as one lives on that may remember it; until the other moves. */
static void replaced_at_its_address(void **state) {
    (void)state;
    says(2, primary(2, 2, 100, 199));
    says(1, primary(1, 1, 0, 99));
    const struct model *model = engine_model(engine);
    assert_false(model_is_replaced(model, index_of(1)));
    says(1, primary(7, 0, 0, 99));
    assert_true(model_is_replaced(model, index_of(1)));
    assert_true(model_is_member(model, index_of(1)));
    assert_false(model_is_replaced(model, index_of(7)));
    says(2, primary(8, 0, 100, 199));
    assert_false(model_is_member(model, index_of(1)));
    says(3, primary(7, 0, 0, 99));
    assert_false(model_is_replaced(model, index_of(1)));
}

static void pings_and_pongs(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    for (int i = 1; i <= 3; i++) {
        say(&talk, CLIENT, said_new(1, SAY_PING, 1));
        lan.time += (10 * i - 1) * NS_PER_MS; /* each packet takes one itself */
        say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    }
    say(&talk, CLIENT, said_new(1, SAY_PONG, 1)); /* unasked: a broadcast */
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    lan.time += 500 * NS_PER_MS;
    talk_ack(&talk, CLIENT);
    finish();
    const struct link *link = link_of(1, 2);
    assert_non_null(link);
    assert_null(link_of(2, 1));
    assert_int_equal(link->connections, 1);
    assert_int_equal(link->pings, 4);
    assert_int_equal(link->pongs, 3);
    assert_int_equal(link->broadcasts, 1);
    assert_int_equal(link->rtt.count, 3);
    assert_int_equal(link->rtt.min, 10 * NS_PER_MS);
    assert_int_equal(link->rtt.max, 30 * NS_PER_MS);
    assert_int_equal(link->rtt.sum, 60 * NS_PER_MS);
    assert_int_equal(link->longest_silence, 501 * NS_PER_MS);
    assert_true(link->waiting.time != TIME_NONE);
}

/* Of a connection that is joined within a message, the next PING is believed when another one
 * follows it. */
static void a_ping_told_after_its_pong(void **state) {
    (void)state;
    listen_to("");
    struct talk talk = talk_between(&lan, 1, 40000, 2, 16379);
    talk_send(&talk, CLIENT, bytes_str("the end of a message"));
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    lan.time += 2 * NS_PER_SEC;
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    finish();
    assert_int_equal(link_of(1, 2)->pings, 2);
    assert_int_equal(link_of(1, 2)->longest_silence, NS_PER_MS);
}

/* PINGs sent before the peer is known wait for its name. */
static void early_pings(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    say(&talk, CLIENT, said_new(1, SAY_MEET, 1));
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    assert_null(link_of(1, 2));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    assert_int_equal(link_of(1, 2)->pings, 2);
    assert_int_equal(link_of(1, 2)->rtt.max, 2 * NS_PER_MS);
}

/* Connection attempts tell of their pair by address alone. */
static void attempts_that_fail(void **state) {
    (void)state;
    says(1, gossips(1, 3, NODE_PRIMARY));
    struct talk refused = talk_between(&lan, 1, 41000, 3, 16379);
    talk_syn(&refused, CLIENT);
    talk_reset(&refused, SERVER);
    struct talk unanswered = talk_between(&lan, 1, 41001, 3, 16379);
    talk_syn(&unanswered, CLIENT);
    struct talk other = talk_between(&lan, 1, 41002, 3, 6379); /* a client's port: no link */
    talk_syn(&other, CLIENT);
    finish();
    assert_int_equal(link_of(1, 3)->refused, 1);
    assert_int_equal(link_of(1, 3)->unanswered, 1);
    assert_int_equal(link_of(1, 3)->connections, 0);
}

static void resets_and_what_was_left(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    say(&talk, SERVER, said_new(1, SAY_PONG, 2));
    talk.deaf[SERVER] = true;
    say(&talk, CLIENT, said_new(1, SAY_PING, 1));
    talk_reset(&talk, CLIENT);
    finish();
    assert_int_equal(link_of(1, 2)->resets, 1);
    assert_int_equal(link_of(1, 2)->unacked_bytes, 2256);
}

/* ---- caps ---- */

/* CAP_NODES are followed; further ones are counted. */
static void too_many_nodes(void **state) {
    (void)state;
    struct said m = said_new(1, SAY_PING, 1);
    listen_to("");
    for (unsigned i = 0; i < CAP_NODES + 10; i++)
        said_gossip(&m, &(struct said_about){.node = 100 + i});
    struct talk talk = link_between(1, 2);
    talk_send_cut(&talk, CLIENT, said_view(&m), 60000);
    said_free(&m);
    assert_int_equal(model_node_count(engine_model(engine)), CAP_NODES);
    assert_int_equal(model_books(engine_model(engine))->nodes_over_cap, 11);
}

/* CAP_ELECTIONS: a candidate that asks in ever new epochs. */
static void too_many_elections(void **state) {
    (void)state;
    struct talk talk = link_between(1, 2);
    for (unsigned epoch = 1; epoch <= CAP_ELECTIONS + 3; epoch++) {
        struct said m = said_new(1, SAY_AUTH_REQUEST, 1);
        said_number(&m, SAID_CURRENT_EPOCH, epoch);
        say(&talk, CLIENT, m);
    }
    assert_int_equal(model_election_count(engine_model(engine)), CAP_ELECTIONS);
    assert_int_equal(model_books(engine_model(engine))->elections_over_cap, 3);
}

static void no_conclusions(void *context, const struct event *event) {
    (void)context;
    (void)event;
}

/* A message, or the end, of a flow that exists for this test alone. */
static void tell(struct model *model, struct flow *flow, enum event_type type, unsigned direction,
                 const char *sender) {
    struct event event = {.type = type, .direction = (uint8_t)direction, .flow = flow};
    if (type == EV_bus_message)
        event.bus_message =
            (struct ev_bus_message){.type = BUS_PING, .sender = sender, .incomplete = true};
    model_event(model, &event);
}

/* CAP_LINKS ordered pairs likewise: of 257 nodes each has opened a connection to each other. */
static void too_many_links(void **state) {
    (void)state;
    enum { NODES = 257, PAIRS = NODES * (NODES - 1) };
    struct model *model = model_new((struct siphash_key){7, 8}, no_conclusions, NULL);
    assert_non_null(model);
    for (unsigned from = 0; from < NODES; from++) {
        for (unsigned to = 0; to < NODES; to++) {
            struct flow flow = {.connector = 0, .accepted = true};
            if (from == to)
                continue;
            tell(model, &flow, EV_bus_message, 1, said_id(to));
            tell(model, &flow, EV_bus_message, 0, said_id(from));
            tell(model, &flow, EV_flow_end, 0, NULL);
        }
    }
    assert_int_equal(model_link_count(model), CAP_LINKS);
    assert_true(model_books(model)->links_over_cap >= PAIRS - CAP_LINKS);
    assert_int_equal(model_link(model, CAP_LINKS - 1)->connections, 1);
    model_free(model);
}

/* CAP_CONTESTS: double claims that have ended; one goes on, and is not among them. */
static void too_many_contests(void **state) {
    (void)state;
    const struct model *model = engine_model(engine);
    listen_to("");
    for (unsigned i = 0; i < CAP_CONTESTS + 3; i++) {
        says(1, primary(1, 2 * i + 1, 0, 9)); /* its epoch is the greatest: it is right again */
        says(2, primary(2, 2 * i + 2, 0, 9));
        says(1, primary(1, 2 * i + 1, 0, 9));
        lan.time += 2 * NS_PER_SEC;
        says(1, primary(1, 2 * i + 1, 0, 9));
    }
    assert_int_equal(model_books(model)->contests_over_cap, 2);
    assert_int_equal(model_contest_count(model), CAP_CONTESTS + 1);
    assert_int_equal(model_contest(model, CAP_CONTESTS)->ended, TIME_NONE);
}

#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, start_engine, end_engine)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        MODEL_TEST(a_node_is_seen),
        MODEL_TEST(an_announced_address),
        MODEL_TEST(a_node_that_moves),
        MODEL_TEST(slots_that_move),
        MODEL_TEST(roles),
        MODEL_TEST(state_of_the_cluster),
        MODEL_TEST(epochs_of_the_cluster),
        MODEL_TEST(old_news),
        MODEL_TEST(old_news_of_a_former_primary),
        MODEL_TEST(old_news_of_a_new_replica),
        MODEL_TEST(extensions),
        MODEL_TEST(a_hostname_without_end),
        MODEL_TEST(suspected_failed_and_cleared),
        MODEL_TEST(what_the_majority_thinks),
        MODEL_TEST(who_has_no_vote),
        MODEL_TEST(who_owns_a_slot),
        MODEL_TEST(hearsay),
        MODEL_TEST(elections),
        MODEL_TEST(ignored_messages),
        MODEL_TEST(sent_and_received),
        MODEL_TEST(a_silent_receiver_known_by_address),
        MODEL_TEST(a_silent_receiver_that_nobody_knows),
        MODEL_TEST(forgotten_by_most),
        MODEL_TEST(unmentioned_by_all),
        MODEL_TEST(replaced_at_its_address),
        MODEL_TEST(pings_and_pongs),
        MODEL_TEST(a_ping_told_after_its_pong),
        MODEL_TEST(early_pings),
        MODEL_TEST(attempts_that_fail),
        MODEL_TEST(resets_and_what_was_left),
        MODEL_TEST(too_many_nodes),
        MODEL_TEST(too_many_elections),
        MODEL_TEST(too_many_contests),
        cmocka_unit_test(too_many_links),
    };
    return RUN_GROUP(argc, argv, tests);
}
