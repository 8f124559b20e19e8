/* test_local_servers.c - what /proc says of a socket, which interface carries an address, and sets
 * of ports. The whole search is tested on a real host, in tests/capture/test_local_servers.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>

#include "capture/carrier.h"
#include "capture/proc_sockets.h"
#include "capture/server_process.h"
#include "tests/lib/group.h"

/* ---- lines of /proc/net/tcp, as Linux 6 wrote them ---- */

static const char listening[] =
    "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "1061 1 00000000dff80a38 100 0 0 10 0";
static const char connected[] =
    "  12: 0B004D0A:D88A 0C004D0A:3FFB 01 00000000:00000000 02:000A2C1D 00000000   999        0 "
    "3953954 2 00000000dff80a38 20 4 30 10 -1";
static const char over_ipv6[] =
    "   1: B80D0120000000000000000002000000:1B58 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 77 1 00000000dff80a38 100 0 0 10 0";
static const char title[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                            "retrnsmt   uid  timeout inode";

static void assert_address(const struct in6_addr *address, const char *text) {
    char shown[INET6_ADDRSTRLEN] = "";
    assert_non_null(inet_ntop(AF_INET6, address, shown, sizeof shown));
    assert_string_equal(shown, text);
}

static void test_a_socket_that_listens(void **state) {
    struct proc_socket socket;
    (void)state;
    assert_true(proc_socket_parse(listening, &socket));
    assert_address(&socket.local.address, "::ffff:127.0.0.1");
    assert_int_equal(socket.local.port, 6379);
    assert_int_equal(socket.state, TCP_LISTEN);
    assert_int_equal(socket.inode, 1061);
}

static void test_a_socket_that_is_connected(void **state) {
    struct proc_socket socket;
    (void)state;
    assert_true(proc_socket_parse(connected, &socket));
    assert_address(&socket.local.address, "::ffff:10.77.0.11");
    assert_int_equal(socket.peer, 16379);
    assert_int_equal(socket.state, TCP_ESTABLISHED);
    assert_int_equal(socket.inode, 3953954);
}

static void test_a_socket_over_ipv6(void **state) {
    struct proc_socket socket;
    (void)state;
    assert_true(proc_socket_parse(over_ipv6, &socket));
    assert_address(&socket.local.address, "2001:db8::2");
    assert_int_equal(socket.local.port, 7000);
}

static void test_what_is_no_socket(void **state) {
    struct proc_socket socket;
    (void)state;
    assert_false(proc_socket_parse(title, &socket));
    assert_false(proc_socket_parse("", &socket));
    assert_false(
        proc_socket_parse("   0: 0100007F00:18EB 00000000:0000 0A 0:0 0:0 0 0 0 1", &socket));
}

/* ---- interfaces ---- */

enum { ENTRIES = 8 };

struct host {
    struct ifaddrs entries[ENTRIES];
    struct sockaddr_in6 addresses[ENTRIES]; /* or of IPv4 */
    char names[ENTRIES][IF_NAMESIZE];
    size_t count;
};

static struct ifaddrs *add(struct host *host, const char *name, const char *address) {
    size_t i = host->count++;
    struct sockaddr_in6 *ip6 = &host->addresses[i];
    struct sockaddr_in *ip4 = (struct sockaddr_in *)(void *)ip6;
    if (inet_pton(AF_INET, address, &ip4->sin_addr) == 1) {
        ip4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &ip6->sin6_addr), 1);
        ip6->sin6_family = AF_INET6;
    }
    snprintf(host->names[i], sizeof host->names[i], "%s", name);
    host->entries[i] = (struct ifaddrs){
        .ifa_name = host->names[i],
        .ifa_flags = strcmp(name, "lo") == 0 ? IFF_UP | IFF_LOOPBACK : IFF_UP,
        .ifa_addr = (struct sockaddr *)ip6,
    };
    if (i > 0)
        host->entries[i - 1].ifa_next = &host->entries[i];
    return &host->entries[i];
}

static bool carries(const struct host *host, const struct ifaddrs *interface, const char *address) {
    struct in6_addr wanted;
    assert_int_equal(inet_pton(AF_INET6, address, &wanted), 1);
    return carrier_of(host->entries, interface, &wanted);
}

static void test_which_interface_carries(void **state) {
    struct host host = {0};
    const struct ifaddrs *lo = add(&host, "lo", "127.0.0.1");
    const struct ifaddrs *eth0 = add(&host, "eth0", "10.0.0.5");
    const struct ifaddrs *eth1 = add(&host, "eth1", "2001:db8::5");
    const struct ifaddrs *port = add(&host, "veth1", "fe80::1"); /* of a bridge */
    (void)state;
    static const struct {
        const char *address;
        bool lo, eth0, eth1, port;
    } rows[] = {
        {"::", true, true, true, false},
        {"::ffff:127.0.0.1", true, false, false, false},
        {"::1", true, false, false, false},
        {"::ffff:10.0.0.5", true, true, false, false},
        {"2001:db8::5", true, false, true, false},
        {"::ffff:10.0.0.99", true, true, true, false}, /* routed here */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const char *address = rows[i].address;
        assert_int_equal(carries(&host, lo, address), rows[i].lo);
        assert_int_equal(carries(&host, eth0, address), rows[i].eth0);
        assert_int_equal(carries(&host, eth1, address), rows[i].eth1);
        assert_int_equal(carries(&host, port, address), rows[i].port);
    }
}

/* An address that only lo has is announced by routers: packets to it come in elsewhere. */
static void test_an_address_of_lo_that_others_know(void **state) {
    struct host host = {0};
    const struct ifaddrs *lo = add(&host, "lo", "192.0.2.1");
    const struct ifaddrs *eth0 = add(&host, "eth0", "10.0.0.5");
    (void)state;
    assert_true(carries(&host, lo, "::ffff:192.0.2.1"));
    assert_true(carries(&host, eth0, "::ffff:192.0.2.1"));
}

/* ---- sets of ports ---- */

static void test_runs_of_ports(void **state) {
    struct port_set set = {0};
    uint16_t first, last;
    (void)state;
    assert_true(port_set_is_empty(&set));
    for (unsigned port = 7000; port < 7003; port++)
        port_set_add(&set, (uint16_t)port);
    port_set_add(&set, UINT16_MAX);
    assert_true(port_set_run(&set, 0, &first, &last));
    assert_int_equal(first, 7000);
    assert_int_equal(last, 7002);
    assert_true(port_set_run(&set, last + 1U, &first, &last));
    assert_int_equal(first, UINT16_MAX);
    assert_int_equal(last, UINT16_MAX);
    assert_false(port_set_run(&set, last + 1U, &first, &last));
}

/* ---- control groups ---- */

static void assert_cgroup(const char *text, const char *path) {
    char shown[CGROUP_SHOWN] = "what was there before";
    cgroup_parse(text, shown);
    assert_string_equal(shown, path);
}

static void test_a_control_group(void **state) {
    (void)state;
    assert_cgroup("0::/system.slice/redis.service\n", "/system.slice/redis.service");
    assert_cgroup("4:memory:/a\n1:cpu:/b\n0::/c\n", "/c");
    assert_cgroup("0::/cut short", "/cut short");
}

static void test_no_control_group(void **state) {
    (void)state;
    assert_cgroup("0::/\n", "");
    assert_cgroup("10::/x\n4:memory:/a\n", "");
    assert_cgroup("", "");
}

static void test_a_long_control_group(void **state) {
    char text[2 * CGROUP_SHOWN] = "0::/", shown[CGROUP_SHOWN];
    (void)state;
    memset(text + 4, 'x', sizeof text - 5);
    cgroup_parse(text, shown);
    assert_int_equal(strlen(shown), CGROUP_SHOWN - 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_that_listens),
        cmocka_unit_test(test_a_socket_that_is_connected),
        cmocka_unit_test(test_a_socket_over_ipv6),
        cmocka_unit_test(test_a_control_group),
        cmocka_unit_test(test_no_control_group),
        cmocka_unit_test(test_a_long_control_group),
        cmocka_unit_test(test_what_is_no_socket),
        cmocka_unit_test(test_which_interface_carries),
        cmocka_unit_test(test_an_address_of_lo_that_others_know),
        cmocka_unit_test(test_runs_of_ports),
    };
    return RUN_GROUP(argc, argv, tests);
}
