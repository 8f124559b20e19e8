/* test_incident.c - which findings become one incident, and what is told as whose cause; and the
 * table of what can lead to what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/incident.h"
#include "tests/lib/group.h"

#define A "aaaaaaaa11111111111111111111111111111111"
#define B "bbbbbbbb22222222222222222222222222222222"
#define C "cccccccc33333333333333333333333333333333"

enum { MOST = 8 };
static struct finding *found[MOST];
static size_t count;

static int start(void **state) {
    (void)state;
    count = 0;
    return 0;
}

static int end(void **state) {
    (void)state;
    while (count > 0)
        finding_free(found[--count]);
    return 0;
}

/* Seconds; to -1: still on. */
static struct finding *finding(const char *type, int from, int to, const char *node) {
    struct finding *f = finding_new(type, SEVERITY_WARNING, from * NS_PER_SEC);
    assert_non_null(f);
    f->end = to < 0 ? TIME_NONE : to * NS_PER_SEC;
    finding_node(f, node);
    found[count++] = f;
    return f;
}

static void one_failure_is_one_incident(void **state) {
    (void)state;
    struct finding *lost = finding("lost-writes", 18, 23, A);
    struct finding *down = finding("cluster-down", 23, 27, B);
    struct finding *split = finding("split-brain", 24, 27, A);
    struct finding *over = finding("failover", 24, 24, A);
    struct finding *failed = finding("node-failed", 19, 27, A);
    struct finding *partition = finding("partition", 18, 27, A);
    incident_link(found, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(found[i]->incident, 1);
    assert_null(partition->cause);
    assert_ptr_equal(failed->cause, partition);
    assert_ptr_equal(over->cause, failed);
    assert_ptr_equal(down->cause, failed);
    assert_ptr_equal(split->cause, over);
    assert_ptr_equal(lost->cause, split);
}

static void others_stand_alone(void **state) {
    (void)state;
    finding("node-failed", 10, 20, A);
    struct finding *elsewhere = finding("failover", 15, 15, B);
    struct finding *later = finding("failover", 25, 25, A);
    finding("clock-skew", 10, -1, A);
    finding("address-disagreement", 12, 12, A);
    incident_link(found, count);
    assert_null(elsewhere->cause);
    assert_null(later->cause);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(found[i]->incident, 0);
}

static void shared_slots_are_enough(void **state) {
    (void)state;
    struct finding *over = finding("failover", 10, 10, A);
    struct finding *split = finding("split-brain", 10, 12, B);
    incident_link(found, count);
    assert_null(split->cause);
    finding_slot(over, 7);
    finding_slot(split, 7);
    incident_link(found, count);
    assert_ptr_equal(split->cause, over);
}

static void the_last_cause_before_it_is_told(void **state) {
    (void)state;
    finding("node-failed", 10, 30, A);
    struct finding *near = finding("node-failed", 20, 30, A);
    finding("node-failed", 23, 30, A);
    struct finding *over = finding("failover", 22, 22, A);
    incident_link(found, count);
    assert_ptr_equal(over->cause, near);
    assert_int_equal(found[0]->incident, 1);
}

/* What has two causes makes one incident of them. */
static void two_failures_that_bring_the_cluster_down(void **state) {
    (void)state;
    finding("node-failed", 10, -1, A);
    finding("node-failed", 12, -1, B);
    finding("cluster-down", 13, -1, C);
    incident_link(found, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(found[i]->incident, 1);
}

/* A server that is full answers OOM; that it asks for passwords is another story. */
static void a_row_may_ask_for_a_verdict(void **state) {
    (void)state;
    struct finding *full = finding("memory-pressure", 10, 20, A);
    struct finding *oom = finding("error-burst", 10, 20, A);
    struct finding *noauth = finding("error-burst", 10, 20, A);
    struct finding *some = finding("error-burst", 10, 20, A);
    struct finding *elsewhere = finding("error-burst", 10, 20, B);
    oom->verdict = elsewhere->verdict = "OOM";
    noauth->verdict = "NOAUTH";
    incident_link(found, count);
    assert_ptr_equal(oom->cause, full);
    assert_null(noauth->cause);
    assert_null(some->cause);
    assert_null(elsewhere->cause);
}

static void numbered_in_order_of_their_start(void **state) {
    (void)state;
    struct finding *second = finding("failover", 61, 61, B);
    finding("node-failed", 60, 70, B);
    struct finding *first = finding("failover", 11, 11, A);
    finding("node-failed", 10, 20, A);
    incident_link(found, count);
    assert_int_equal(first->incident, 1);
    assert_int_equal(second->incident, 2);
}

/* ---- the table ---- */

static bool leads_to(const char *from, const char *to, size_t steps) {
    for (size_t i = 0; steps && i < incident_row_count; i++)
        if (strcmp(incident_rows[i].cause, from) == 0 &&
            (strcmp(incident_rows[i].effect, to) == 0 ||
             leads_to(incident_rows[i].effect, to, steps - 1)))
            return true;
    return false;
}

static void nothing_causes_itself(void **state) {
    (void)state;
    for (size_t i = 0; i < incident_row_count; i++)
        assert_false(leads_to(incident_rows[i].cause, incident_rows[i].cause, 6));
}

static void no_row_twice(void **state) {
    (void)state;
    for (size_t i = 0; i < incident_row_count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(incident_rows[i].cause, incident_rows[j].cause) == 0 &&
                         strcmp(incident_rows[i].effect, incident_rows[j].effect) == 0);
}

#define INCIDENT_TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        INCIDENT_TEST(one_failure_is_one_incident),
        INCIDENT_TEST(others_stand_alone),
        INCIDENT_TEST(shared_slots_are_enough),
        INCIDENT_TEST(the_last_cause_before_it_is_told),
        INCIDENT_TEST(two_failures_that_bring_the_cluster_down),
        INCIDENT_TEST(a_row_may_ask_for_a_verdict),
        INCIDENT_TEST(numbered_in_order_of_their_start),
        cmocka_unit_test(nothing_causes_itself),
        cmocka_unit_test(no_row_twice),
    };
    return RUN_GROUP(argc, argv, tests);
}
