/* test_suspicion.c - episodes of suspicion: when they begin and end, who holds what, and how many
 * are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/engine.h"
#include "analysis/suspicion.h"
#include "base/limits.h"
#include "tests/lib/group.h"
#include "tests/lib/said.h"
#include "tests/lib/talk.h"

enum { A = 1, B = 2, C = 3 };

static struct engine *engine;
static struct lan lan;
static struct detection detection;
static struct suspicions suspicions;

static void deliver(void *context, const struct packet *packet) {
    (void)context;
    engine_packet(engine, packet);
}

static void introduce(unsigned node) {
    struct talk talk = talk_between(&lan, (uint8_t)node, 40000, 99, 16379);
    struct said said = said_new(1, SAY_PING, node);
    talk_open(&talk);
    talk_send(&talk, CLIENT, said_view(&said));
    said_free(&said);
}

static int begin(void **state) {
    (void)state;
    struct err err;
    engine = engine_new(&(struct engine_options){.skip_detectors = UINT64_MAX}, &err);
    if (!engine)
        return -1;
    lan = (struct lan){.deliver = deliver};
    suspicions = (struct suspicions){0};
    detection = (struct detection){.model = engine_model(engine)};
    for (unsigned node = A; node <= C; node++)
        introduce(node);
    return 0;
}

static int end(void **state) {
    (void)state;
    suspicions_free(&suspicions);
    engine_free(engine);
    return 0;
}

/* One node says something about another; the four events begin alike. */
static void tell(enum event_type type, unsigned node, unsigned about) {
    const struct model *model = engine_model(engine);
    struct event event = {.type = type, .time = NS_PER_SEC};
    event.node_suspected.node = model_node(model, node - A)->id;
    event.node_suspected.about = model_node(model, about - A)->id;
    suspicions_event(&detection, &suspicions, &event);
}

static void it_ends_when_the_last_one_lets_go(void **state) {
    (void)state;
    tell(EV_node_suspected, A, C);
    tell(EV_node_suspected, B, C);
    tell(EV_node_suspected, B, C); /* again: nothing new */
    assert_int_equal(suspicions.count, 1);
    const struct suspicion *suspicion = suspicions.list[0];
    assert_int_equal(suspicion->reporter_count, 2);
    tell(EV_node_cleared, A, C);
    assert_int_equal(suspicion->end.time, TIME_NONE);
    tell(EV_node_cleared, B, C);
    assert_int_equal(suspicion->end.time, NS_PER_SEC);
    assert_false(suspicion_failed(suspicion));
    tell(EV_node_suspected, A, C);
    assert_int_equal(suspicions.count, 2);
}

static void who_announces_it(void **state) {
    (void)state;
    tell(EV_node_suspected, A, C);
    tell(EV_fail_announced, B, C);
    tell(EV_fail_announced, A, C);
    const struct suspicion *suspicion = suspicions.list[0];
    assert_true(suspicion_failed(suspicion));
    assert_int_equal(suspicion->announcer, B - A);
}

/* CAP_SUSPICIONS: later ones are counted. */
static void no_more_than_the_cap(void **state) {
    (void)state;
    for (int i = 0; i < CAP_SUSPICIONS + 3; i++) {
        tell(EV_node_suspected, A, C);
        tell(EV_node_cleared, A, C);
    }
    assert_int_equal(suspicions.count, CAP_SUSPICIONS);
    assert_int_equal(suspicions.left_out, 3);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_ends_when_the_last_one_lets_go, begin, end),
        cmocka_unit_test_setup_teardown(who_announces_it, begin, end),
        cmocka_unit_test_setup_teardown(no_more_than_the_cap, begin, end),
    };
    return RUN_GROUP(argc, argv, tests);
}
