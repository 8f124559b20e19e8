/* test_capture_damage.c - captures that are cut or wrong: what came before is delivered, and the
 * message says where it ends and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "tests/lib/made.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/source_file.h"

#define USED    "; what came before has been used"
#define NOTHING "; no packet comes before that"

enum { MICRO = 0xa1b2c3d4 };

/* `packets` are delivered, then it fails with this text, and goes on failing with it. */
static void check_source(struct source *source, size_t packets, const char *text) {
    struct packet packet;
    struct err err = {{0}};
    assert_non_null(source);
    for (size_t i = 0; i < packets; i++)
        assert_int_equal(source_next(source, &packet, &err), SOURCE_PACKET);
    for (int again = 0; again < 2; again++) {
        err.text[0] = 0;
        assert_int_equal(source_next(source, &packet, &err), SOURCE_FAILED);
        assert_string_equal(err.text, text);
    }
    source_close(source);
}

static void check_damage(struct made *made, size_t packets, const char *text) {
    struct err err = {{0}};
    check_source(made_source(made, "a", &err), packets, text);
    made_free(made);
}

static void check_refused(struct made *made, const char *text) {
    struct err err = {{0}};
    assert_null(made_source(made, "a", &err));
    assert_string_equal(err.text, text);
    made_free(made);
}

static struct made one_packet(void) {
    struct made made = made_pcap(false, MICRO, 1);
    made_record(&made, 16, 1, 0, "abcdefghij", 10, 10);
    return made;
}

static struct made one_block(bool big) {
    struct made made = {0};
    made_section(&made, big);
    made_interface(&made, 1, 0);
    made_enhanced(&made, 0, 1, "abc");
    return made; /* 28 + 20 + 36 bytes */
}

/* --- pcap --- */

static void pcap_cut_in_a_record(void **state) {
    (void)state;
    struct made made = one_packet();
    made_record(&made, 16, 2, 0, "abcdefghij", 10, 10);
    made.len -= 9;
    check_damage(&made, 1, "a: cut short at byte 50: record of 26 bytes, 17 are there" USED);
}

static void pcap_cut_in_a_record_header(void **state) {
    (void)state;
    struct made made = one_packet();
    made_zeros(&made, 5);
    check_damage(&made, 1, "a: cut short at byte 50: record header of 16 bytes, 5 are there" USED);
}

static void pcap_cut_in_the_file_header(void **state) {
    (void)state;
    struct made made = made_pcap(false, MICRO, 1);
    made.len = 23;
    check_refused(&made, "a: cut short at byte 0: file header of 24 bytes, 23 are there" NOTHING);
}

static void pcap_record_longer_than_the_cap(void **state) {
    (void)state;
    struct made made = one_packet();
    made_record(&made, 16, 2, 0, "", 0, 0);
    made_u32(&made, 0);
    made_u32(&made, 0);
    made_u32(&made, CAP_RECORD + 1);
    made_u32(&made, CAP_RECORD + 1);
    check_damage(
        &made, 2,
        "a: damaged at byte 66: record of 67108865 bytes, at most 67108864 are possible" USED);
}

static void pcap_record_of_the_cap_is_read(void **state) {
    (void)state;
    struct made made = made_pcap(false, MICRO, 1);
    made_u32(&made, 0);
    made_u32(&made, 0);
    made_u32(&made, CAP_RECORD);
    made_u32(&made, CAP_RECORD);
    made_zeros(&made, CAP_RECORD);
    made_zeros(&made, 1);
    check_damage(&made, 1,
                 "a: cut short at byte 67108904: record header of 16 bytes, 1 are there" USED);
}

/* --- pcapng --- */

static void pcapng_cut_in_a_block(void **state) {
    (void)state;
    struct made made = one_block(false);
    made_enhanced(&made, 0, 2, "abc");
    made.len -= 1;
    check_damage(&made, 1, "a: cut short at byte 84: block of 36 bytes, 35 are there" USED);
}

static void pcapng_cut_in_a_block_header(void **state) {
    (void)state;
    struct made made = one_block(true);
    made_u32(&made, 6);
    check_damage(&made, 1, "a: cut short at byte 84: block header of 8 bytes, 4 are there" USED);
    made = one_block(true);
    made_u32(&made, 0x0a0d0d0a);
    made_u32(&made, 28);
    check_damage(&made, 1, "a: cut short at byte 84: block header of 12 bytes, 8 are there" USED);
}

static void pcapng_cut_in_the_first_section_header(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, false);
    made.len = 20;
    check_refused(&made, "a: cut short at byte 0: block of 28 bytes, 20 are there" NOTHING);
}

static void pcapng_block_of_an_impossible_length(void **state) {
    (void)state;
    static const uint32_t lengths[] = {0, 8, 37, CAP_RECORD + 4};
    for (size_t i = 0; i < countof(lengths); i++) {
        char text[160];
        struct made made = one_block(false);
        made_u32(&made, 6);
        made_u32(&made, lengths[i]);
        made_zeros(&made, 60);
        snprintf(
            text, sizeof text,
            "a: damaged at byte 84: block of %u bytes, that is impossible (at most 67108864)" USED,
            lengths[i]);
        check_damage(&made, 1, text);
    }
}

static void pcapng_block_with_another_trailer(void **state) {
    (void)state;
    struct made made = one_block(false);
    made_enhanced(&made, 0, 2, "abc");
    made.data[made.len - 4] ^= 1;
    check_damage(&made, 1, "a: damaged at byte 84: block of 36 bytes, its trailer says 37" USED);
}

static void pcapng_block_too_short_for_its_type(void **state) {
    (void)state;
    struct made made = one_block(false);
    size_t start = made_block(&made, 6);
    made_zeros(&made, 16);
    made_block_end(&made, start);
    check_damage(&made, 1,
                 "a: damaged at byte 84: block of type 6 with 16 bytes, it needs 20" USED);
}

static void pcapng_packet_longer_than_its_block(void **state) {
    (void)state;
    struct made made = one_block(false);
    made_enhanced(&made, 0, 2, "abc");
    made.data[84 + 20] = 5;
    check_damage(&made, 1,
                 "a: damaged at byte 84: packet of 5 bytes in a block with room for 4" USED);
}

static void pcapng_packet_of_no_interface(void **state) {
    (void)state;
    struct made made = one_block(false);
    made_enhanced(&made, 1, 2, "abc");
    check_damage(
        &made, 1,
        "a: damaged at byte 84: block of interface 1, 1 are described in its section" USED);
    made = one_block(false);
    made_section(&made, false); /* interfaces do not outlive their section */
    made_enhanced(&made, 0, 2, "abc");
    check_damage(
        &made, 1,
        "a: damaged at byte 112: block of interface 0, 0 are described in its section" USED);
}

static void pcapng_section_of_unknown_order_or_version(void **state) {
    (void)state;
    struct made made = one_block(false);
    made_section(&made, false);
    made.data[84 + 8] = 0;
    check_damage(&made, 1,
                 "a: damaged at byte 84: section with the byte-order magic 0x1a2b3c00" USED);
    made = one_block(false);
    made_section(&made, false);
    made.data[84 + 12] = 2;
    check_damage(&made, 1, "a: damaged at byte 84: section of pcapng version 2, 1 is known" USED);
}

static void pcapng_options_that_overrun_are_let_be(void **state) {
    (void)state;
    struct made made = {0};
    made_section(&made, false);
    size_t start = made_block(&made, 1);
    made_zeros(&made, 8);
    made_u16(&made, 9);
    made_u16(&made, 60000); /* if_tsresol, and then nothing */
    made_block_end(&made, start);
    made_enhanced(&made, 0, 2, "abc");
    struct err err = {{0}};
    struct packet packet;
    struct source *source = made_source(&made, "a", &err);
    assert_non_null(source);
    assert_int_equal(source_next(source, &packet, &err), SOURCE_PACKET);
    assert_int_equal(packet.time, 2000);
    source_close(source);
    made_free(&made);
}

static void pcapng_more_interfaces_than_the_cap(void **state) {
    (void)state;
    struct made made = one_block(false);
    for (int i = 1; i < CAP_INTERFACES; i++)
        made_interface(&made, 1, 0);
    made_enhanced(&made, CAP_INTERFACES - 1, 2, "abc");
    made_interface(&made, 1, 0);
    check_damage(&made, 2,
                 "a: damaged at byte 20580: interface description, 1024 came before it in its "
                 "section" USED);
}

/* --- whatever the format --- */

static void not_a_capture(void **state) {
    (void)state;
    struct made made = {0};
    made_bytes(&made, "hello", 5);
    check_refused(&made, "a: not a capture (begins with 68 65 6c 6c): pcap and pcapng are read, "
                         "plain or in zstd or gzip");
    made_bytes(&made, "hel", 3);
    check_refused(&made, "a: cut short at byte 0: file header of 4 bytes, 3 are there" NOTHING);
    check_refused(&made, "a: empty: capture again, or wait until the first packets are written");
}

/* A peer that goes away with bytes unread resets the connection: read() fails in the middle. */
static void read_error_in_the_middle(void **state) {
    (void)state;
    int ends[2];
    struct err err = {{0}};
    struct made made = one_packet();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], made.data, made.len), made.len);
    assert_int_equal(write(ends[0], "x", 1), 1);
    close(ends[1]);
    check_source(source_file_open_fd(ends[0], "a", &(struct source_options){0}, &err), 1,
                 "a: unreadable at byte 50: Connection reset by peer" USED);
    made_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_cut_in_a_record),
        cmocka_unit_test(pcap_cut_in_a_record_header),
        cmocka_unit_test(pcap_cut_in_the_file_header),
        cmocka_unit_test(pcap_record_longer_than_the_cap),
        cmocka_unit_test(pcap_record_of_the_cap_is_read),
        cmocka_unit_test(pcapng_cut_in_a_block),
        cmocka_unit_test(pcapng_cut_in_a_block_header),
        cmocka_unit_test(pcapng_cut_in_the_first_section_header),
        cmocka_unit_test(pcapng_block_of_an_impossible_length),
        cmocka_unit_test(pcapng_block_with_another_trailer),
        cmocka_unit_test(pcapng_block_too_short_for_its_type),
        cmocka_unit_test(pcapng_packet_longer_than_its_block),
        cmocka_unit_test(pcapng_packet_of_no_interface),
        cmocka_unit_test(pcapng_section_of_unknown_order_or_version),
        cmocka_unit_test(pcapng_options_that_overrun_are_let_be),
        cmocka_unit_test(pcapng_more_interfaces_than_the_cap),
        cmocka_unit_test(not_a_capture),
        cmocka_unit_test(read_error_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
