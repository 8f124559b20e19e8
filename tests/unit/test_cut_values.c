/* test_cut_values.c - which packets a live capture by libpcap cuts off inside a large value, and
 * where. What may not be known for certain from the packet alone is kept whole. The program is run
 * by libpcap's interpreter; that the kernel takes it, and that nobody misses what it cuts off, is
 * tested in tests/capture/test_skim.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "capture/cut_values.h"
#include "tests/lib/group.h"
#include "tests/lib/wire.h"

enum { ETHERNET = 14, IPV4 = 0x0800, IPV6 = 0x86dd, SNAPLEN = 262144, SHOWN = 64, WHOLE = 0 };

static struct wire wire;

static uint32_t kept(uint32_t ip, uint32_t snaplen) {
    struct bpf_insn program[CUT_VALUES_MAX];
    unsigned len = cut_values(program, ip, snaplen);
    struct bytes packet = wire_view(&wire);
    assert_in_range(len, 1, CUT_VALUES_MAX);
    assert_true(bpf_validate(program, (int)len));
    return bpf_filter(program, packet.data, (unsigned)packet.len, (unsigned)packet.len);
}

/* `before`, so many bytes of a value, `behind`. */
static void put_payload(const char *before, size_t value, const char *behind) {
    struct buf payload = {.max = WIRE_ROOM};
    char letters[64 << 10];
    memset(letters, 'v', sizeof letters);
    buf_text(&payload, before);
    buf_add(&payload, letters, value);
    buf_text(&payload, behind);
    assert_false(payload.failed);
    wire_start(&wire, bytes_of(payload.data, payload.len));
    wire_tcp(&wire, &(struct wire_tcp){.sport = 40000, .dport = 6379});
    buf_free(&payload);
}

static void put_ethernet(uint16_t fragment, struct bytes options) {
    wire_ipv4(&wire,
              &(struct wire_ip){.protocol = PROTO_TCP, .fragment = fragment, .options = options});
    wire_ethernet(&wire, IPV4);
}

/* ---- what a packet holds ---- */

static const struct {
    const char *what, *before;
    size_t value;
    const char *behind;
    bool is_cut;
} payloads[] = {
    {"a reply", "$16000\r\n", 16000, "\r\n", true},
    {"the longest packet", "$60000\r\n", 60000, "\r\n", true},
    {"a request", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000\r\n", 5000, "\r\n", true},
    {"a longer key", "*3\r\n$3\r\nSET\r\n$12\r\nkey:00000001\r\n$5000\r\n", 5000, "\r\n", true},
    {"a value of a field", "*4\r\n$4\r\nHSET\r\n$1\r\nk\r\n$1\r\nf\r\n$5000\r\n", 5000, "\r\n",
     true},
    {"an empty key", "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5000\r\n", 5000, "\r\n", true},
    {"zeros before a length", "$000005000\r\n", 5000, "\r\n", true},

    {"a short packet", "$3000\r\n", 3000, "\r\n", WHOLE},
    {"a command behind it", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000\r\n", 5000,
     "\r\n*1\r\n$4\r\nPING\r\n", WHOLE},
    {"an argument behind it", "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000\r\n", 5000, "\r\n$2\r\nNX\r\n",
     WHOLE},
    {"the value goes on", "$16000\r\n", 15999, "", WHOLE},
    {"all but its end", "$16000\r\n", 16000, "", WHOLE},
    {"half of its end", "$16000\r\n", 16000, "\r", WHOLE},
    {"another end", "$16000\r\n", 16000, "xx", WHOLE},
    {"inside a value", "", 16000, "\r\n", WHOLE},
    {"INFO's answer", "$5008\r\n# Server", 5000, "\r\n", WHOLE},
    {"several short ones before it",
     "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$5000\r\n", 5000, "\r\n", WHOLE},
    {"two digits of strings", "*12\r\n$4\r\nMSET\r\n$1\r\na\r\n$5000\r\n", 5000, "\r\n", WHOLE},
    {"ten digits", "$0000005000\r\n", 5000, "\r\n", WHOLE},
    {"no digit", "$\r\n$5000\r\n", 5000, "\r\n", WHOLE},
    {"no number", "$4:00\r\n", 5000, "\r\n", WHOLE}, /* ':' comes after '9' */
    {"nothing", "$-1\r\n", 5000, "\r\n", WHOLE},
    {"a text", "=5004\r\ntxt:", 5000, "\r\n", WHOLE},
    {"an error", "-ERR ", 5000, "\r\n", WHOLE},
};

static void test_payloads(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(payloads); i++) {
        put_payload(payloads[i].before, payloads[i].value, payloads[i].behind);
        put_ethernet(0, (struct bytes){0});
        size_t head = wire_view(&wire).len - payloads[i].value - strlen(payloads[i].behind) + SHOWN;
        uint32_t expected = payloads[i].is_cut ? (uint32_t)head : SNAPLEN;
        uint32_t got = kept(ETHERNET, SNAPLEN);
        if (got != expected)
            fail_msg("%s: kept %u, not %u", payloads[i].what, got, expected);
    }
}

/* ---- around it ---- */

static const char reply[] = "$16000\r\n";
enum { VALUE = 16000, HEAD = sizeof reply - 1 + SHOWN, TCP = 20 };

static void put_reply(void) {
    put_payload(reply, VALUE, "\r\n");
}

static void test_options_of_ipv4(void **state) {
    static const uint8_t options[40] = {1, 1, 1, 1};
    (void)state;
    put_reply();
    put_ethernet(0, bytes_of(options, sizeof options));
    assert_int_equal(kept(ETHERNET, SNAPLEN), ETHERNET + 60 + TCP + HEAD);
}

static void test_ipv6(void **state) {
    (void)state;
    put_reply();
    wire_ipv6(&wire, &(struct wire_ip){.protocol = PROTO_TCP});
    wire_ethernet(&wire, IPV6);
    assert_int_equal(kept(ETHERNET, SNAPLEN), ETHERNET + 40 + TCP + HEAD);
}

static void test_without_a_link_layer(void **state) {
    (void)state;
    put_reply();
    wire_ipv4(&wire, &(struct wire_ip){.protocol = PROTO_TCP});
    assert_int_equal(kept(0, SNAPLEN), 20 + TCP + HEAD);
}

static void test_a_fragment_is_kept_whole(void **state) {
    (void)state;
    put_reply();
    put_ethernet(IP_MORE, (struct bytes){0});
    assert_int_equal(kept(ETHERNET, SNAPLEN), SNAPLEN);
}

static void test_another_header_of_ipv6_is_kept_whole(void **state) {
    (void)state;
    put_reply();
    wire_ipv6(&wire, &(struct wire_ip){.protocol = PROTO_UDP});
    wire_ethernet(&wire, IPV6);
    assert_int_equal(kept(ETHERNET, SNAPLEN), SNAPLEN);
}

static void test_a_smaller_snaplen_stays(void **state) {
    (void)state;
    put_reply();
    put_ethernet(0, (struct bytes){0});
    assert_int_equal(kept(ETHERNET, 100), 100);
}

/* A load behind the end would drop it. */
static void test_no_packet_is_dropped(void **state) {
    (void)state;
    put_reply();
    put_ethernet(0, (struct bytes){0});
    struct bpf_insn program[CUT_VALUES_MAX];
    struct bytes packet = wire_view(&wire);
    (void)cut_values(program, ETHERNET, SNAPLEN);
    for (unsigned len = 0; len <= packet.len; len++)
        assert_int_not_equal(bpf_filter(program, packet.data, len, len), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_options_of_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_without_a_link_layer),
        cmocka_unit_test(test_a_fragment_is_kept_whole),
        cmocka_unit_test(test_another_header_of_ipv6_is_kept_whole),
        cmocka_unit_test(test_a_smaller_snaplen_stays),
        cmocka_unit_test(test_no_packet_is_dropped),
    };
    return RUN_GROUP(argc, argv, tests);
}
