/* test_findings.c - what the engine does with findings: keeps CAP_FINDINGS of them, counts the
 * rest, and puts them in order at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The engine once more, under other names, so that findings can be reported without a detector. */
#define engine_new               test_engine_new
#define engine_free              test_engine_free
#define engine_packet            test_engine_packet
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
    struct finding finding = {.type = type, .severity = severity, .start = when};
    engine->detection.report(engine->detection.context, &finding);
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

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_more_than_the_cap, start_engine, end_engine),
        cmocka_unit_test_setup_teardown(in_order_of_severity_and_time, start_engine, end_engine),
    };
    return RUN_GROUP(argc, argv, tests);
}
