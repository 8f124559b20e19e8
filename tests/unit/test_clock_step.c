/* test_clock_step.c - the wall clock is set while packets are captured: by libpcap and by eBPF all
 * of them are handed out, at once, and the capture ends when it is told to.
 *
 * The clock is ours. The packets are those of connections that are refused, in a network namespace
 * of the test's own. What may not be made here (no root, an old kernel) is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "capture/source.h"
#include "tests/lib/group.h"

enum { PORT = 6379, KNOCKS = 5, PACKETS = 2 * KNOCKS, PATIENCE = 5 };
#define HOUR (3600 * NS_PER_SEC)

static nstime step, told_to_stop;

static nstime read_clock(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (nstime)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static nstime wall(void) {
    return read_clock(CLOCK_REALTIME) + step;
}

static nstime steady(void) {
    return read_clock(CLOCK_MONOTONIC);
}

static nstime stopped_at(void) {
    return told_to_stop;
}

/* ---- the place ---- */

static void raise_loopback(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(any, SIOCSIFFLAGS, &loopback), 0);
    close(any);
}

static int enter_own_namespace(void **state) {
    (void)state;
    step = 0;
    told_to_stop = TIME_NONE;
    if (unshare(CLONE_NEWNET) != 0)
        return 0; /* then nothing can be captured either, which skips the test */
    raise_loopback();
    return 0;
}

/* A SYN, and the RST that answers it. */
static void knock(void) {
    struct sockaddr_in door = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < KNOCKS; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&door, sizeof door), -1);
        close(client);
    }
}

static struct source *open_source(const char *path) {
    struct source_options options = {
        .now = wall, .steady = steady, .stopped_at = stopped_at, .snaplen = 65535, .ring_mib = 1};
    struct err err;
    port_set_add(&options.ports, PORT);
    struct source *source = source_open(path, &options, &err);
    if (!source) {
        print_message("%s\n", err.text);
        skip();
    }
    return source;
}

/* ---- what is handed out ---- */

/* Reads so many packets, each of a time that is close to that one. */
static void expect_packets(struct source *source, int count, nstime close_to) {
    nstime until = steady() + PATIENCE * NS_PER_SEC;
    while (count > 0 && steady() < until) {
        struct packet packet;
        struct err err;
        enum source_got got = source_next(source, &packet, &err);
        assert_true(got == SOURCE_PACKET || got == SOURCE_IDLE);
        if (got == SOURCE_IDLE)
            continue;
        count--;
        assert_true(llabs(packet.time - close_to) < PATIENCE * NS_PER_SEC);
    }
    assert_int_equal(count, 0);
}

static void expect_idle(struct source *source) {
    struct packet packet;
    struct err err;
    assert_int_equal(source_next(source, &packet, &err), SOURCE_IDLE);
}

static void expect_end(struct source *source) {
    nstime until = steady() + PATIENCE * NS_PER_SEC;
    enum source_got got = SOURCE_IDLE;
    while (got == SOURCE_IDLE && steady() < until) {
        struct packet packet;
        struct err err;
        got = source_next(source, &packet, &err);
    }
    assert_int_equal(got, SOURCE_END);
    assert_int_equal(source_info(source)->kernel_drops, 0);
}

static void wait_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

/* eBPF's times are made of the clock that is given; libpcap's come from the kernel's own. */
static nstime expected(const char *path) {
    return strncmp(path, "ebpf", 4) == 0 ? wall() : wall() - step;
}

static void capture_over_a_step(const char *path, nstime by) {
    struct source *source = open_source(path);
    int each = strchr(path, ',') ? 2 * PACKETS : PACKETS;
    knock();
    expect_packets(source, each, expected(path));
    step = by;
    wait_ms(1100); /* then the clocks are compared anew */
    knock();
    expect_packets(source, each, expected(path));
    told_to_stop = wall();
    expect_end(source);
    assert_int_equal(source_info(source)->packets, 2 * each);
    source_close(source);
}

/* And the program is told to stop at the same moment: what came before is still handed out. */
static void stop_at_a_step(const char *path, nstime by) {
    struct source *source = open_source(path);
    expect_idle(source); /* the clocks have been compared */
    knock();
    step = by;
    told_to_stop = wall();
    expect_packets(source, PACKETS, expected(path));
    expect_end(source);
    source_close(source);
}

#define BOTH_WAYS(name, path)                               \
    static void test_##name##_set_back(void **state) {      \
        (void)state;                                        \
        capture_over_a_step(path, -HOUR);                   \
    }                                                       \
    static void test_##name##_set_forth(void **state) {     \
        (void)state;                                        \
        capture_over_a_step(path, HOUR);                    \
    }                                                       \
    static void test_##name##_stop_set_back(void **state) { \
        (void)state;                                        \
        stop_at_a_step(path, -HOUR);                        \
    }

BOTH_WAYS(libpcap, "live:lo")
BOTH_WAYS(ebpf, "ebpf:lo")

/* Several rings are merged by time. */
static void test_libpcap_merged_set_back(void **state) {
    (void)state;
    capture_over_a_step("live:lo,lo", -HOUR);
}

static void test_libpcap_merged_set_forth(void **state) {
    (void)state;
    capture_over_a_step("live:lo,lo", HOUR);
}

#define STEP_TEST(test) cmocka_unit_test_setup(test, enter_own_namespace)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_libpcap_set_back),        STEP_TEST(test_libpcap_set_forth),
        STEP_TEST(test_libpcap_stop_set_back),   STEP_TEST(test_ebpf_set_back),
        STEP_TEST(test_ebpf_set_forth),          STEP_TEST(test_ebpf_stop_set_back),
        STEP_TEST(test_libpcap_merged_set_back), STEP_TEST(test_libpcap_merged_set_forth),
    };
    return RUN_GROUP(argc, argv, tests);
}
