/* test_capture.c - what is read from a sound capture: both formats, both byte orders, every
 * resolution of time, and what source_info() says afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "capture/pcapng_time.h"
#include "capture/source_kind.h"
#include "capture/window.h"
#include "tests/lib/made.h"

#include <stdio.h>
#include <stdlib.h>

enum { MICRO = 0xa1b2c3d4, NANO = 0xa1b23c4d, MODIFIED = 0xa1b2cd34, SECOND = 1700000000 };

static struct source *opened(struct made *made) {
    struct err err = {{0}};
    struct source *source = made_source(made, "a", &err);
    assert_string_equal(err.text, "");
    assert_non_null(source);
    made_free(made);
    return source;
}

static struct packet next(struct source *source) {
    struct packet packet;
    struct err err = {{0}};
    assert_int_equal(source_next(source, &packet, &err), SOURCE_PACKET);
    return packet;
}

static void assert_text(const struct packet *packet, const char *text) {
    assert_int_equal(packet->data.len, strlen(text));
    assert_memory_equal(packet->data.data, text, strlen(text));
}

static void at_end(struct source *source) {
    struct packet packet;
    struct err err = {{0}};
    for (int again = 0; again < 2; again++)
        assert_int_equal(source_next(source, &packet, &err), SOURCE_END);
    source_close(source);
}

/* --- pcap --- */

static void check_pcap(bool big, uint32_t magic, size_t head, nstime unit) {
    struct made made = made_pcap(big, magic, 1);
    made_record(&made, head, SECOND, 7, "abc", 3, 3);
    made_record(&made, head, SECOND, 8, "defgh", 5, 90);
    struct source *source = opened(&made);

    struct packet packet = next(source);
    assert_text(&packet, "abc");
    assert_int_equal(packet.time, SECOND * NS_PER_SEC + 7 * unit);
    assert_int_equal(packet.wire_len, 3);
    assert_int_equal(packet.frame, 1);
    assert_int_equal(packet.link_type, 1);

    packet = next(source);
    assert_text(&packet, "defgh");
    assert_int_equal(packet.time, SECOND * NS_PER_SEC + 8 * unit);
    assert_int_equal(packet.wire_len, 90);
    assert_int_equal(packet.frame, 2);
    at_end(source);
}

static void pcap_of_every_variant(void **state) {
    (void)state;
    for (int big = 0; big <= 1; big++) {
        check_pcap(big, MICRO, 16, NS_PER_US);
        check_pcap(big, NANO, 16, 1);
        check_pcap(big, MODIFIED, 24, NS_PER_US);
    }
}

static void pcap_without_packets(void **state) {
    (void)state;
    struct made made = made_pcap(false, MICRO, 1);
    at_end(opened(&made));
}

static void pcap_link_type_is_in_the_low_bits(void **state) {
    (void)state;
    struct made made = made_pcap(false, MICRO, 0x24000000 | 276); /* FCS of 4 bytes */
    made_record(&made, 16, 0, 0, "x", 1, 1);
    struct source *source = opened(&made);
    assert_int_equal(next(source).link_type, 276);
    at_end(source);
}

static void pcap_of_extreme_times_and_lengths(void **state) {
    (void)state;
    struct made made = made_pcap(false, MICRO, 1);
    made_record(&made, 16, UINT32_MAX, UINT32_MAX, "", 0, 0);
    made_record(&made, 16, 0, 0, "abc", 3, 1); /* more captured than there was on the wire */
    struct source *source = opened(&made);
    assert_int_equal(next(source).time, UINT32_MAX * NS_PER_SEC + UINT32_MAX * NS_PER_US);
    assert_int_equal(next(source).wire_len, 3);
    at_end(source);
}

static void pcap_of_an_unknown_version(void **state) {
    (void)state;
    struct err err = {{0}};
    struct made made = made_pcap(false, MICRO, 1);
    made.data[6] = 2;
    assert_null(made_source(&made, "a", &err));
    assert_string_equal(err.text, "a: pcap version 2.2: convert it to 2.4 with tcpdump -r A -w B");
    made_free(&made);
}

/* Records of all lengths up to 5000: every one ends elsewhere in the block of the reader. */
static void packets_across_blocks(void **state) {
    (void)state;
    uint8_t body[5000];
    struct made made = made_pcap(false, MICRO, 1);
    for (uint32_t len = 0; len < sizeof body; len++) {
        memset(body, (int)len, len);
        made_record(&made, 16, len, 0, body, len, len);
    }
    assert_true(made.len > 8 * CAP_READ_BLOCK);
    struct source *source = opened(&made);
    for (uint32_t len = 0; len < sizeof body; len++) {
        struct packet packet = next(source);
        memset(body, (int)len, len);
        assert_int_equal(packet.data.len, len);
        assert_memory_equal(packet.data.data, body, len);
    }
    at_end(source);
}

/* However many files are merged, their blocks take the memory of one, or 64 KiB each. */
static void files_share_a_block(void **state) {
    (void)state;
    static const struct {
        size_t together, block;
    } cases[] = {{0, CAP_READ_BLOCK}, {1, CAP_READ_BLOCK}, {3, 85 * 4096}, {256, 16 * 4096}};
    for (size_t i = 0; i < countof(cases); i++) {
        struct err err;
        struct window window;
        assert_true(window_init(&window, NULL, cases[i].together, &err));
        assert_int_equal(window.block, cases[i].block);
        window_clear(&window);
    }
}

static void a_record_longer_than_the_block(void **state) {
    (void)state;
    enum { LONG = 5 * CAP_READ_BLOCK + 17 };
    uint8_t *body = malloc(LONG);
    assert_non_null(body);
    for (size_t i = 0; i < LONG; i++)
        body[i] = (uint8_t)(i / 251);
    struct made made = made_pcap(false, MICRO, 1);
    made_record(&made, 16, 1, 0, "before", 6, 6);
    made_record(&made, 16, 2, 0, body, LONG, LONG);
    made_record(&made, 16, 3, 0, "after", 5, 5);
    struct source *source = opened(&made);
    struct packet packet = next(source);
    assert_text(&packet, "before");
    packet = next(source);
    assert_int_equal(packet.data.len, LONG);
    assert_memory_equal(packet.data.data, body, LONG);
    packet = next(source);
    assert_text(&packet, "after");
    at_end(source);
    free(body);
}

/* --- pcapng --- */

/* Two sections of different byte orders; interfaces are counted on, frames too. */
static void pcapng_of_two_sections(void **state) {
    (void)state;
    struct made made = {0};
    for (int big = 0; big <= 1; big++) {
        made_section(&made, big);
        made_interface(&made, 1, 0);
        made_interface(&made, 113, 0);
        made_enhanced(&made, 1, UINT64_C(1700000000000005), big ? "big" : "little");
    }
    struct source *source = opened(&made);
    struct packet packet = next(source);
    assert_text(&packet, "little");
    assert_int_equal(packet.interface, 1);
    packet = next(source);
    assert_text(&packet, "big");
    assert_int_equal(packet.interface, 3);
    assert_int_equal(packet.frame, 2);
    assert_int_equal(packet.link_type, 113);
    assert_int_equal(packet.time, SECOND * NS_PER_SEC + 5000);
    at_end(source);
}

static void pcapng_simple_packets(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, false);
    made_interface(&made, 1, 4);
    size_t start = made_block(&made, 3);
    made_u32(&made, 90);
    made_bytes(&made, "abcd", 4);
    made_block_end(&made, start);
    start = made_block(&made, 3);
    made_u32(&made, 3);
    made_bytes(&made, "efg", 3);
    made_block_end(&made, start);
    struct source *source = opened(&made);
    struct packet packet = next(source);
    assert_text(&packet, "abcd"); /* 4 is the snaplen */
    assert_int_equal(packet.wire_len, 90);
    assert_int_equal(packet.time, TIME_NONE);
    packet = next(source);
    assert_text(&packet, "efg"); /* without the padding */
    at_end(source);
}

static void pcapng_obsolete_packets(void **state) {
    (void)state;
    for (int big = 0; big <= 1; big++) {
        struct made made = {0};
        made_section(&made, big);
        made_interface(&made, 1, 0);
        size_t start = made_block(&made, 2);
        made_u16(&made, 0);
        made_u16(&made, 0xffff); /* drops: not known */
        made_u32(&made, 0);
        made_u32(&made, 9);
        made_u32(&made, 2);
        made_u32(&made, 60);
        made_bytes(&made, "ab", 2);
        made_block_end(&made, start);
        struct source *source = opened(&made);
        struct packet packet = next(source);
        assert_text(&packet, "ab");
        assert_int_equal(packet.time, 9000);
        assert_int_equal(packet.wire_len, 60);
        at_end(source);
    }
}

static void pcapng_times_of_an_interface(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, true);
    size_t start = made_block(&made, 1);
    made_u16(&made, 1);
    made_u16(&made, 0);
    made_u32(&made, 0);
    made_option(&made, 2, "eth0", 4); /* if_name */
    made_option(&made, 9, "\x09", 1);
    made_option_u64(&made, 14, 1000);
    made_option(&made, 0, "", 0);
    made_block_end(&made, start);
    made_enhanced(&made, 0, 77, "x");
    struct source *source = opened(&made);
    assert_int_equal(next(source).time, 1000 * NS_PER_SEC + 77);
    at_end(source);
}

static void clocks_of_every_resolution(void **state) {
    (void)state;
    static const struct {
        uint8_t resolution;
        int64_t offset;
        uint64_t ticks;
        nstime time;
    } cases[] = {
        {0, 0, 3, 3 * NS_PER_SEC},
        {3, 0, 3, 3 * NS_PER_MS},
        {6, 0, 3, 3 * NS_PER_US},
        {9, 0, 3, 3},
        {12, 0, 3999, 3},
        {28, 0, UINT64_MAX, 1},
        {29, 0, UINT64_MAX, 0},
        {127, 0, UINT64_MAX, 0},
        {0x80, 0, 3, 3 * NS_PER_SEC},
        {0x80 | 10, 0, 1024 + 512, NS_PER_SEC + NS_PER_SEC / 2},
        {0x80 | 63, 0, UINT64_C(1) << 62, NS_PER_SEC / 2},
        {0xff, 0, UINT64_MAX, 0},
        {6, -1, 0, -NS_PER_SEC},
        {0, 0, UINT64_MAX, INT64_MAX},
        {6, INT64_MAX, 1, INT64_MAX},
        {6, INT64_MIN, 0, INT64_MIN + 1}, /* not TIME_NONE */
        {9, INT64_MIN, UINT64_MAX, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct pcapng_clock clock = pcapng_clock(cases[i].resolution, cases[i].offset);
        assert_int_equal(pcapng_time(&clock, cases[i].ticks), cases[i].time);
    }
}

static void made_statistics(struct made *made, uint32_t interface, uint64_t ifdrop,
                            uint64_t osdrop) {
    size_t start = made_block(made, 5);
    made_u32(made, interface);
    made_u64(made, 0);
    made_option_u64(made, 4, 1000); /* isb_ifrecv */
    made_option_u64(made, 5, ifdrop);
    made_option_u64(made, 7, osdrop);
    made_block_end(made, start);
}

/* Counters run on, so of one interface the last ones count. */
static void pcapng_kernel_drops(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, false);
    made_interface(&made, 1, 0);
    made_interface(&made, 1, 0);
    made_statistics(&made, 0, 3, 1);
    made_statistics(&made, 1, 10, 0);
    made_statistics(&made, 0, 5, 2);
    made_section(&made, true);
    made_interface(&made, 1, 0);
    made_statistics(&made, 0, 100, 0);
    made_enhanced(&made, 0, 1, "x");
    struct source *source = opened(&made);
    (void)next(source);
    assert_int_equal(source_info(source)->kernel_drops, 5 + 2 + 10 + 100);
    at_end(source);
}

static void pcapng_skips_what_it_does_not_know(void **state) {
    (void)state;
    static const uint32_t types[] = {4, 9, 10, 0xbad, 0x40000bad, 0x12345678};
    struct made made = {0};
    made_section(&made, false);
    made_interface(&made, 1, 0);
    for (size_t i = 0; i < countof(types); i++) {
        size_t start = made_block(&made, types[i]);
        made_zeros(&made, 100 * i);
        made_block_end(&made, start);
        made_enhanced(&made, 0, i, "x");
    }
    struct source *source = opened(&made);
    for (size_t i = 0; i < countof(types); i++)
        assert_int_equal(next(source).frame, i + 1);
    at_end(source);
}

/* --- what is known afterwards --- */

static void info_counts(void **state) {
    (void)state;
    struct made made = made_pcap(false, NANO, 113);
    made_record(&made, 16, 1, 0, "abc", 3, 3);
    made_record(&made, 16, 1, 0, "defgh", 5, 90);
    size_t size = made.len;
    struct source *source = opened(&made);
    const struct source_info *info = source_info(source);
    assert_int_equal(info->link_type_count, 0);
    (void)next(source);
    (void)next(source);
    assert_string_equal(info->path, "a");
    assert_string_equal(info->format, "pcap");
    assert_string_equal(info->sha256, "");
    assert_int_equal(info->packets, 2);
    assert_int_equal(info->bytes, 8);
    assert_int_equal(info->truncated_packets, 1);
    assert_int_equal(info->link_type_count, 1);
    assert_int_equal(info->link_types[0], 113);
    assert_int_equal(info->input_offset, size);
    assert_int_equal(info->input_size, size);
    at_end(source);
}

static void info_names_link_types_once_in_their_order(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, false);
    for (uint16_t type = 100; type < 100 + SOURCE_LINK_TYPES + 1; type++)
        made_interface(&made, type, 0);
    for (uint32_t i = SOURCE_LINK_TYPES + 1; i-- > 0;) {
        made_enhanced(&made, i, 0, "x");
        made_enhanced(&made, SOURCE_LINK_TYPES, 0, "x");
    }
    struct source *source = opened(&made);
    for (size_t i = 0; i < 2 * (SOURCE_LINK_TYPES + 1); i++)
        (void)next(source);
    const struct source_info *info = source_info(source);
    assert_int_equal(info->link_type_count, SOURCE_LINK_TYPES); /* the ninth is not listed */
    for (size_t i = 0; i < SOURCE_LINK_TYPES; i++)
        assert_int_equal(info->link_types[i], 100 + SOURCE_LINK_TYPES - i);
    at_end(source);
}

static void sources_def_ends_with_one_for_every_path(void **state) {
    (void)state;
    assert_true(source_kind_count > 0);
    for (size_t i = 0; i < source_kind_count; i++) {
        assert_non_null(source_kinds[i].open);
        assert_int_equal(*source_kinds[i].prefix == 0, i == source_kind_count - 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_of_every_variant),
        cmocka_unit_test(pcap_without_packets),
        cmocka_unit_test(pcap_link_type_is_in_the_low_bits),
        cmocka_unit_test(pcap_of_extreme_times_and_lengths),
        cmocka_unit_test(pcap_of_an_unknown_version),
        cmocka_unit_test(packets_across_blocks),
        cmocka_unit_test(files_share_a_block),
        cmocka_unit_test(a_record_longer_than_the_block),
        cmocka_unit_test(pcapng_of_two_sections),
        cmocka_unit_test(pcapng_simple_packets),
        cmocka_unit_test(pcapng_obsolete_packets),
        cmocka_unit_test(pcapng_times_of_an_interface),
        cmocka_unit_test(clocks_of_every_resolution),
        cmocka_unit_test(pcapng_kernel_drops),
        cmocka_unit_test(pcapng_skips_what_it_does_not_know),
        cmocka_unit_test(info_counts),
        cmocka_unit_test(info_names_link_types_once_in_their_order),
        cmocka_unit_test(sources_def_ends_with_one_for_every_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
