/* test_findings.c - what the engine does with findings: keeps CAP_FINDINGS of them, counts the
 * rest, and puts them in order at the end; and what a finding does with what is put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The engine once more, under other names, so that findings can be reported without a detector. */
#define engine_new               test_engine_new
#define engine_free              test_engine_free
#define engine_packet            test_engine_packet
#define engine_facts             test_engine_facts
#define engine_finish            test_engine_finish
#define engine_model             test_engine_model
#define engine_decoder_stats     test_engine_decoder_stats
#define engine_finding_count     test_engine_finding_count
#define engine_finding           test_engine_finding
#define engine_findings_left_out test_engine_findings_left_out
#define detectors                test_detectors
#define detector_count           test_detector_count
#include "analysis/engine.c"

#include "tests/lib/group.h"

static struct engine *engine;

static int start_engine(void **state) {
    (void)state;
    struct err err;
    engine = engine_new(&(struct engine_options){.skip_detectors = UINT64_MAX}, &err);
    return engine ? 0 : -1;
}

static int end_engine(void **state) {
    (void)state;
    engine_free(engine);
    return 0;
}

static void report(const char *type, enum severity severity, nstime when) {
    detection_report(&engine->detection, finding_new(type, severity, when));
}

static void no_more_than_the_cap(void **state) {
    (void)state;
    for (int i = 0; i < CAP_FINDINGS; i++)
        report("a", SEVERITY_NOTICE, i);
    assert_int_equal(engine_finding_count(engine), CAP_FINDINGS);
    assert_int_equal(engine_findings_left_out(engine), 0);
    for (int i = 0; i < 3; i++)
        report("b", SEVERITY_CRITICAL, i);
    assert_int_equal(engine_finding_count(engine), CAP_FINDINGS);
    assert_int_equal(engine_findings_left_out(engine), 3);
}

/* The worst first, then the earliest. */
static void in_order_of_severity_and_time(void **state) {
    (void)state;
    report("c", SEVERITY_INFO, 1);
    report("b", SEVERITY_CRITICAL, 3);
    report("d", SEVERITY_CRITICAL, 2);
    report("a", SEVERITY_CRITICAL, 3);
    engine_finish(engine, &(struct run_facts){0});
    static const char expected[] = "dabc";
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(engine_finding(engine, i)->type[0], expected[i]);
}

/* ---- one finding ---- */

static void sentences_join_and_lists_grow(void **state) {
    (void)state;
    struct finding *finding = finding_new("x", SEVERITY_NOTICE, 1);
    finding_title(finding, "The %s", "first");
    finding_title(finding, "The %s", "second");
    assert_string_equal(finding->title, "The second");
    finding_explain(finding, "One.");
    finding_explain(finding, "%s.", "Two");
    assert_string_equal(finding->explanation, "One. Two.");
    finding_rule_out(finding, "a");
    finding_rule_out(finding, "b");
    assert_string_equal(finding->ruled_out->text, "a");
    assert_string_equal(finding->ruled_out->next->text, "b");
    assert_null(finding->ruled_out->next->next);
    assert_null(finding->caveats);
    finding_free(finding);
}

static void subjects_are_named_once(void **state) {
    (void)state;
    static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct endpoint one = {.port = 1}, two = {.port = 2};
    struct finding *finding = finding_new("x", SEVERITY_NOTICE, 1);
    for (int i = 0; i < 2; i++) {
        finding_node(finding, a);
        finding_client(finding, &one);
        finding_client(finding, &two);
        finding_slot(finding, 16383);
        finding_slot(finding, BUS_SLOTS); /* there is none: passed over */
    }
    assert_int_equal(finding->nodes.count, 1);
    assert_int_equal(finding->clients.count, 2);
    assert_int_equal(finding->slots[BUS_SLOT_BYTES - 1], 0x80);
    finding_free(finding);
}

static void doubt_only_grows(void **state) {
    (void)state;
    struct finding *finding = finding_new("x", SEVERITY_NOTICE, 1);
    finding_doubt(finding, CONFIDENCE_POSSIBLE);
    finding_doubt(finding, CONFIDENCE_LIKELY);
    assert_int_equal(finding->confidence, CONFIDENCE_POSSIBLE);
    finding_free(finding);
}

/* CAP_EVIDENCE and CAP_FINDING: the first ones stay, and the reader is told of the others. */
static void what_has_no_room_is_told(void **state) {
    (void)state;
    struct finding *finding = finding_new("x", SEVERITY_NOTICE, 1);
    struct place place = {.time = 1, .frame = 1}, nowhere = place_none();
    finding_evidence(finding, &nowhere, "not seen");
    assert_int_equal(finding->evidence_count, 0);
    for (int i = 0; i < CAP_EVIDENCE + 2; i++)
        finding_evidence(finding, &place, "packet %d", i);
    assert_int_equal(finding->evidence_count, CAP_EVIDENCE);
    struct value *list = value_list(finding_metrics(finding), "many");
    for (int i = 0; i < CAP_FINDING / 16; i++)
        value_number(list, NULL, (uint64_t)i);
    assert_true(list->count < CAP_FINDING / 16);
    finding_seal(finding);
    assert_string_equal(finding->caveats->text, "there was no room for all that belongs here");
    assert_string_equal(finding->caveats->next->text, "2 more packets prove it");
    finding_free(finding);
}

/* Without memory there is no finding, and everything said of it is passed over. */
static void no_finding_is_passed_over(void **state) {
    (void)state;
    struct place place = {.time = 1};
    finding_title(NULL, "x");
    finding_explain(NULL, "x");
    finding_caveat(NULL, "x");
    finding_evidence(NULL, &place, "x");
    finding_slot(NULL, 1);
    finding_seal(NULL);
    value_number(value_list(finding_metrics(NULL), "x"), NULL, 1);
    detection_report(&engine->detection, NULL);
    assert_int_equal(engine_finding_count(engine), 0);
    assert_int_equal(engine_findings_left_out(engine), 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_more_than_the_cap, start_engine, end_engine),
        cmocka_unit_test_setup_teardown(in_order_of_severity_and_time, start_engine, end_engine),
        cmocka_unit_test(sentences_join_and_lists_grow),
        cmocka_unit_test(subjects_are_named_once),
        cmocka_unit_test(doubt_only_grows),
        cmocka_unit_test(what_has_no_room_is_told),
        cmocka_unit_test_setup_teardown(no_finding_is_passed_over, start_engine, end_engine),
    };
    return RUN_GROUP(argc, argv, tests);
}
