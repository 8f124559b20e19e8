/* test_capture_input.c - where the bytes come from: compressed or not, files, pipes, standard
 * input; what is refused, with which remedy; what is hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "capture/source_file.h"
#include "tests/lib/made.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MICRO = 0xa1b2c3d4, PACKETS = 2000 };

static const struct source_options plainly = {0};

/* A capture of PACKETS packets of 1000 bytes that do not compress. */
static struct made long_capture(void) {
    struct made made = made_pcap(false, MICRO, 1);
    uint32_t body[250], random = 1;
    for (uint32_t i = 0; i < PACKETS; i++) {
        for (size_t j = 0; j < countof(body); j++)
            body[j] = random = random * 1664525 + 1013904223;
        made_record(&made, 16, i, 0, body, sizeof body, sizeof body);
    }
    return made;
}

/* Reads to the end and counts; *err is empty if all was in order. */
static uint64_t read_all(struct source *source, struct err *err) {
    struct packet packet;
    uint64_t packets = 0;
    enum source_got got;
    assert_non_null(source);
    err->text[0] = 0;
    while ((got = source_next(source, &packet, err)) == SOURCE_PACKET) {
        assert_int_equal(packet.time, packets * NS_PER_SEC);
        packets++;
    }
    assert_int_equal(got == SOURCE_END, err->text[0] == 0);
    return packets;
}

static void check_whole(const struct made *made, const char *format) {
    struct err err = {{0}};
    struct source *source = made_source(made, "a", &err);
    assert_int_equal(read_all(source, &err), PACKETS);
    assert_string_equal(err.text, "");
    assert_string_equal(source_info(source)->format, format);
    assert_int_equal(source_info(source)->input_offset, made->len);
    source_close(source);
}

/* --- compression --- */

static void compressed_in_one_piece_or_several(void **state) {
    (void)state;
    struct made plain = long_capture();
    static void (*const packers[])(struct made *, struct bytes) = {made_zstd, made_gzip};
    static const char *const formats[] = {"pcap.zst", "pcap.gz"};
    for (size_t i = 0; i < countof(packers); i++) {
        struct made packed = {0};
        packers[i](&packed, made_view(&plain));
        check_whole(&packed, formats[i]);
        made_free(&packed);
        for (size_t at = 0; at < plain.len; at += 100001)
            packers[i](&packed, bytes_first(bytes_after(made_view(&plain), at), 100001));
        check_whole(&packed, formats[i]);
        made_free(&packed);
    }
    check_whole(&plain, "pcap");
    made_free(&plain);
}

static void made_skippable(struct made *to, size_t len) {
    made_u32(to, 0x184d2a5f);
    made_u32(to, (uint32_t)len);
    made_zeros(to, len);
}

static void zstd_skippable_frames(void **state) {
    (void)state;
    struct made plain = long_capture(), packed = {0};
    made_skippable(&packed, 1);
    made_zstd(&packed, bytes_first(made_view(&plain), 12345));
    made_skippable(&packed, 300000);
    made_zstd(&packed, bytes_after(made_view(&plain), 12345));
    made_skippable(&packed, 0);
    check_whole(&packed, "pcap.zst");
    made_free(&packed);
    made_free(&plain);
}

/* Fails behind at least `least` packets, and says so at the offset of the next one. */
static void check_cut(const struct made *packed, uint64_t least, const char *what) {
    struct err err = {{0}};
    struct source *source = made_source(packed, "a", &err);
    uint64_t packets = read_all(source, &err);
    assert_in_range(packets, least, PACKETS - 1);
    char text[128];
    snprintf(text, sizeof text, "a: %s at byte %zu of the decompressed capture (stored byte ", what,
             (size_t)(24 + 1016 * packets));
    assert_memory_equal(err.text, text, strlen(text));
    assert_non_null(strstr(err.text, "; what came before has been used"));
    source_close(source);
}

/* All whole blocks in front of the cut or the damage are used. */
static void compressed_and_cut(void **state) {
    (void)state;
    struct made plain = long_capture(), packed = {0};
    made_zstd(&packed, made_view(&plain));
    packed.len -= packed.len / 2;
    check_cut(&packed, 900, "cut short");
    made_free(&packed);
    made_gzip(&packed, made_view(&plain));
    packed.len -= packed.len / 2;
    check_cut(&packed, 900, "cut short");
    made_free(&packed);
    made_free(&plain);
}

static void compressed_and_cut_between_records(void **state) {
    (void)state;
    struct made plain = long_capture(), packed = {0};
    made_gzip(&packed, bytes_first(made_view(&plain), 24 + 1016));
    packed.len -= 8; /* the trailer */
    check_cut(&packed, 1, "cut short");
    made_free(&packed);
    made_free(&plain);
}

static void compressed_and_damaged(void **state) {
    (void)state;
    struct made plain = long_capture(), packed = {0};
    made_zstd(&packed, made_view(&plain));
    packed.data[packed.len / 2 / (128 << 10) * ((128 << 10) + 3) + 9 + 2] = 0xff; /* a block head */
    check_cut(&packed, 700, "damaged");
    made_free(&packed);
    made_gzip(&packed, made_view(&plain));
    made_bytes(&packed, "rubbish behind it", 17);
    struct err err = {{0}};
    struct source *source = made_source(&packed, "a", &err);
    assert_int_equal(read_all(source, &err), PACKETS);
    assert_non_null(strstr(err.text, "incorrect header check"));
    source_close(source);
    made_free(&packed);
    made_free(&plain);
}

/* CAP_ZSTD_WINDOW_LOG is 27: a frame that wants 28 is not begun. */
static void zstd_with_too_large_a_window(void **state) {
    (void)state;
    struct made packed = {0};
    struct err err = {{0}};
    made_u32(&packed, 0xfd2fb528);
    made_bytes(&packed, "\0\x90", 2); /* window of 2^28 bytes */
    made_zeros(&packed, 20);
    assert_null(made_source(&packed, "a", &err));
    assert_non_null(strstr(err.text, "a: refused at byte 0 of the decompressed capture"));
    assert_non_null(strstr(err.text, "its zstd window is larger than 128 MiB"));
    made_free(&packed);
}

/* A GiB of zeros behind a pcap header is a capture of 64 Mi empty packets, in some 30 KiB. */
static struct made made_bomb(void) {
    struct made packed = {.data = malloc(1 << 20), .room = 1 << 20};
    struct made block = made_pcap(false, MICRO, 1);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    made_zeros(&block, (1 << 20) - block.len);
    ZSTD_outBuffer out = {packed.data, packed.room, 0};
    for (int i = 0; i < 1030; i++) {
        ZSTD_inBuffer in = {block.data, block.len, 0};
        while (in.pos < in.size)
            assert_false(ZSTD_isError(ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_continue)));
        memset(block.data, 0, i == 0 ? 24 : 0);
    }
    assert_int_equal(ZSTD_compressStream2(zstd, &out, &(ZSTD_inBuffer){0}, ZSTD_e_end), 0);
    ZSTD_freeCCtx(zstd);
    made_free(&block);
    packed.len = out.pos;
    return packed;
}

/* CAP_EXPANSION, looked at once CAP_EXPANSION_FREE bytes have come out. */
static void zstd_that_grows_without_bound(void **state) {
    (void)state;
    struct made packed = made_bomb();
    struct err err = {{0}};
    struct packet packet;
    uint64_t packets = 0;
    struct source *source = made_source(&packed, "a", &err);
    assert_non_null(source);
    while (source_next(source, &packet, &err) == SOURCE_PACKET)
        packets++;
    assert_in_range(packets, CAP_EXPANSION_FREE / 16 - 2, CAP_EXPANSION_FREE / 16 + (1 << 15));
    assert_non_null(strstr(err.text, "a: refused at byte 1073"));
    assert_non_null(strstr(err.text, "it grows more than 2000-fold"));
    source_close(source);
    made_free(&packed);
}

/* --- refusals --- */

static void check_refused(const char *path, const char *text) {
    struct err err = {{0}};
    assert_null(source_open(path, &plainly, &err));
    assert_string_equal(err.text, text);
}

static void paths_that_are_no_captures(void **state) {
    (void)state;
    check_refused("/nowhere/a.pcap",
                  "/nowhere/a.pcap: No such file or directory: check the name, and that you may "
                  "read it");
    check_refused("/", "/: is a directory: name the capture files in it");
    check_refused("/dev/null",
                  "/dev/null: empty: capture again, or wait until the first packets are written");
    check_refused("/proc/self/mem", "/proc/self/mem: unreadable: Input/output error: check the "
                                    "disk, or what writes into the pipe");
}

static void compressions_that_are_not_read(void **state) {
    (void)state;
    static const struct {
        const char *magic, *text;
    } cases[] = {
        {"\xfd"
         "7zXZ",
         "a: compressed as .xz, which is not read: xz -dc FILE | bustap ... -"},
        {"BZh91", "a: compressed as .bz2, which is not read: bzip2 -dc FILE | bustap ... -"},
        {"\x04\x22\x4d\x18",
         "a: compressed as .lz4, which is not read: lz4 -dc FILE | bustap ... -"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct made made = {0};
        struct err err = {{0}};
        made_bytes(&made, cases[i].magic, strlen(cases[i].magic));
        assert_null(made_source(&made, "a", &err));
        assert_string_equal(err.text, cases[i].text);
        made_free(&made);
    }
}

static void compressed_nothing(void **state) {
    (void)state;
    struct made packed = {0};
    struct err err = {{0}};
    made_zstd(&packed, bytes_of("", 0));
    assert_null(made_source(&packed, "a", &err));
    assert_string_equal(err.text, "a: nothing in it once decompressed: capture again");
    made_free(&packed);
}

/* --- pipes --- */

struct drip {
    const struct made *made;
    size_t piece;
    int fd;
};

static void *drip_thread(void *argument) {
    const struct drip *drip = argument;
    for (size_t at = 0; at < drip->made->len;) {
        struct bytes piece = bytes_first(bytes_after(made_view(drip->made), at), drip->piece);
        ssize_t put = write(drip->fd, piece.data, piece.len);
        if (put < 0)
            break;
        at += (size_t)put;
    }
    close(drip->fd);
    return NULL;
}

/* Standard input is made a pipe into which `made` drips; a non-blocking one, as ssh may leave it.
 */
static void check_stdin(const struct made *made, size_t piece, uint64_t packets) {
    int ends[2], kept = dup(STDIN_FILENO);
    pthread_t thread;
    struct err err = {{0}};
    assert_int_equal(pipe(ends), 0);
    struct drip drip = {made, piece, ends[1]};
    assert_int_equal(pthread_create(&thread, NULL, drip_thread, &drip), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK), 0);

    struct source *source = source_open("-", &plainly, &err);
    assert_int_equal(read_all(source, &err), packets);
    assert_string_equal(err.text, "");
    assert_string_equal(source_info(source)->path, "-");
    assert_int_equal(source_info(source)->input_size, 0);
    source_close(source);
    pthread_join(thread, NULL);
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* left open */
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
}

static void standard_input_in_pieces(void **state) {
    (void)state;
    struct made plain = long_capture(), packed = {0};
    check_stdin(&plain, 4999, PACKETS);
    made_zstd(&packed, made_view(&plain));
    check_stdin(&packed, 4999, PACKETS);
    plain.len = 24 + 3 * 1016;
    check_stdin(&plain, 1, 3);
    made_free(&packed);
    made_free(&plain);
}

/* --- the hash --- */

static struct source *hashed(const struct made *made) {
    struct err err = {{0}};
    return source_file_open_fd(made_fd(made), "a", &(struct source_options){.sha256 = true}, &err);
}

static void sha256_is_that_of_the_stored_bytes(void **state) {
    (void)state;
    struct made plain = made_pcap(false, MICRO, 1), packed = {0};
    struct source *source = hashed(&plain);
    struct err err;
    (void)read_all(source, &err);
    assert_string_equal(source_info(source)->sha256,
                        "704e5e5b3234433c01fcfd1b20a306e77e985038120492dc53965c3edd38a4ea");
    source_close(source);
    static const uint8_t gzip_of_header[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                                             0x03, 0xbb, 0x72, 0x78, 0xd3, 0x42, 0x26, 0x06, 0x16,
                                             0x06, 0x04, 0x60, 0x61, 0x60, 0x04, 0x92, 0x00, 0x21,
                                             0xd9, 0x4d, 0x3e, 0x18, 0x00, 0x00, 0x00};
    made_bytes(&packed, gzip_of_header, sizeof gzip_of_header);
    source = hashed(&packed);
    (void)read_all(source, &err);
    assert_string_equal(source_info(source)->sha256,
                        "8706326899772490a1cf15a469f8149c2f7e95f9fb630797c6996efb7cc4e148");
    source_close(source);
    made_free(&packed);
    made_free(&plain);
}

static void sha256_only_of_what_was_read_whole(void **state) {
    (void)state;
    struct made made = long_capture();
    memset(made.data + 24, 0xff, 16);
    struct source *source = hashed(&made);
    struct err err;
    assert_int_equal(read_all(source, &err), 0);
    assert_string_equal(source_info(source)->sha256, "");
    source_close(source);
    made_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_in_one_piece_or_several),
        cmocka_unit_test(zstd_skippable_frames),
        cmocka_unit_test(compressed_and_cut),
        cmocka_unit_test(compressed_and_cut_between_records),
        cmocka_unit_test(compressed_and_damaged),
        cmocka_unit_test(zstd_with_too_large_a_window),
        cmocka_unit_test(zstd_that_grows_without_bound),
        cmocka_unit_test(paths_that_are_no_captures),
        cmocka_unit_test(compressions_that_are_not_read),
        cmocka_unit_test(compressed_nothing),
        cmocka_unit_test(standard_input_in_pieces),
        cmocka_unit_test(sha256_is_that_of_the_stored_bytes),
        cmocka_unit_test(sha256_only_of_what_was_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
