/* test_capture_memory.c - memory that runs out at every single allocation of a run: a clean error,
 * no crash, nothing leaked.
 *
 * The program's malloc() is replaced by one that counts down and then refuses, once; libzstd and
 * zlib get it too. Sanitizers bring a malloc() of their own, so under them there is nothing to
 * replace, and the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "capture/merge.h"
#include "tests/lib/failing.h"
#include "tests/lib/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if OWN_MALLOC

/* Reads the captures of these paths to their end; false if memory ran out. */
static bool read_merged(const char *const *paths, size_t count) {
    struct err err = {{0}};
    struct packet packet;
    enum source_got got = SOURCE_FAILED;
    struct merge *merge = merge_open(paths, count, &(struct source_options){.sha256 = true}, &err);
    while (merge && (got = merge_next(merge, &packet, &err)) == SOURCE_PACKET)
        ;
    merge_close(merge);
    if (got == SOURCE_FAILED)
        assert_memory_equal(err.text, "out of memory", 13);
    return got == SOURCE_END;
}

/* Refuses the first allocation, then the second ... until a run needs no more than were granted. */
static void check_every_allocation(const char *const *paths, size_t count, long least) {
    long refused = 0;
    for (bool worked = false; !worked; refused++) {
        long before = held;
        allocations_left = refused;
        worked = read_merged(paths, count);
        allocations_left = -1;
        assert_int_equal(held, before);
    }
    assert_true(refused > least);
}

/* One with a record that is longer than the reader's block. */
static struct made plain_capture(void) {
    struct made made = made_pcap(false, 0xa1b2c3d4, 1);
    made_record(&made, 16, 1, 0, "abc", 3, 3);
    made_u64(&made, 2);
    made_u32(&made, 4 * CAP_READ_BLOCK);
    made_u32(&made, 4 * CAP_READ_BLOCK);
    made_zeros(&made, 4 * CAP_READ_BLOCK);
    return made;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct made made[4] = {plain_capture()};
    made_zstd(&made[1], made_view(&made[0]));
    made_gzip(&made[2], made_view(&made[0]));
    made_section(&made[3], false);
    made_interface(&made[3], 1, 0);
    made_enhanced(&made[3], 0, 1, "abc");
    char names[countof(made)][32];
    const char *paths[countof(made)];
    int fds[countof(made)];
    for (size_t i = 0; i < countof(made); i++) {
        fds[i] = made_fd(&made[i]);
        snprintf(names[i], sizeof names[i], "/proc/self/fd/%d", fds[i]);
        paths[i] = names[i];
        made_free(&made[i]);
    }
    for (size_t i = 0; i < countof(made); i++)
        check_every_allocation(&paths[i], 1, 5);
    check_every_allocation(paths, countof(made), 25);
    for (size_t i = 0; i < countof(made); i++)
        close(fds[i]);
}

#else

static void every_allocation_may_fail(void **state) {
    (void)state;
    print_message("no malloc() of our own under a sanitizer\n");
    skip();
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
