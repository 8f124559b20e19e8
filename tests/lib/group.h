/* group.h - main() of a test program: all its tests, or those whose name fits the argument.
 *
 *   int main(int argc, char **argv) {
 *       const struct CMUnitTest tests[] = {cmocka_unit_test(this_holds)};
 *       return RUN_GROUP(argc, argv, tests);
 *   }
 *
 *   build/tests/unit/test_net 'vlan*'                   a name, or a pattern with * and ?
 *
 * Included after cmocka.h. */
#ifndef BUSTAP_TESTS_GROUP_H
#define BUSTAP_TESTS_GROUP_H

#include <stdio.h>

static inline int run_group(int argc, char **argv, const char *file, const struct CMUnitTest *tests,
                            size_t count) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = _cmocka_run_group_tests(file, tests, count, NULL, NULL);
    if (failed)
        fprintf(stderr, "one of them alone: %s NAME\n", argv[0]);
    return failed;
}

#define RUN_GROUP(argc, argv, tests) \
    run_group((argc), (argv), __FILE__, (tests), sizeof(tests) / sizeof((tests)[0]))

#endif
