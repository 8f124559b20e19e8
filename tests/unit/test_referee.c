/* test_referee.c - libpcap as the referee: of every capture under pcaps/ (or $BUSTAP_PCAPS) both
 * readers deliver the same packets: bytes, lengths, times.
 *
 * libpcap does not read zstd, so it gets a decompressed copy in a temporary file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/source.h"

#include <ftw.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

static size_t compared;

/* The DLT_ values, which libpcap tells, that differ from LINKTYPE_, which files hold. */
static uint16_t link_type_of(int dlt) {
    return dlt == DLT_RAW ? 101 : (uint16_t)dlt;
}

static FILE *decompressed(const char *path) {
    static char in[1 << 17], out[1 << 17];
    FILE *from = fopen(path, "rb"), *to = tmpfile();
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    assert_true(from && to && zstd);
    for (size_t len; (len = fread(in, 1, sizeof in, from)) > 0;) {
        ZSTD_inBuffer packed = {in, len, 0};
        while (packed.pos < packed.size) {
            ZSTD_outBuffer plain = {out, sizeof out, 0};
            assert_false(ZSTD_isError(ZSTD_decompressStream(zstd, &plain, &packed)));
            assert_int_equal(fwrite(out, 1, plain.pos, to), plain.pos);
        }
    }
    ZSTD_freeDCtx(zstd);
    fclose(from);
    rewind(to);
    return to;
}

static bool has_end(const char *path, const char *end) {
    size_t len = strlen(path), end_len = strlen(end);
    return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static void check_packet(const struct packet *ours, const struct pcap_pkthdr *head,
                         const uint8_t *data) {
    assert_int_equal(ours->data.len, head->caplen);
    assert_memory_equal(ours->data.data, data, head->caplen);
    assert_int_equal(ours->wire_len, head->len);
    assert_int_equal(ours->time, head->ts.tv_sec * NS_PER_SEC + head->ts.tv_usec);
}

static void check_packets(struct source *source, pcap_t *referee) {
    struct packet packet;
    struct err err = {{0}};
    struct pcap_pkthdr *head;
    const uint8_t *data;
    uint64_t frame = 0;
    while (pcap_next_ex(referee, &head, &data) == 1) {
        assert_int_equal(source_next(source, &packet, &err), SOURCE_PACKET);
        assert_int_equal(packet.frame, ++frame);
        assert_int_equal(packet.link_type, link_type_of(pcap_datalink(referee)));
        check_packet(&packet, head, data);
    }
    assert_int_equal(source_next(source, &packet, &err), SOURCE_END);
}

static void check_capture(const char *path) {
    char message[PCAP_ERRBUF_SIZE];
    struct err err = {{0}};
    FILE *plain = has_end(path, ".zst") ? decompressed(path) : fopen(path, "rb");
    pcap_t *referee =
        pcap_fopen_offline_with_tstamp_precision(plain, PCAP_TSTAMP_PRECISION_NANO, message);
    struct source *source = source_open(path, &(struct source_options){0}, &err);
    assert_non_null(referee);
    assert_non_null(source);
    check_packets(source, referee);
    source_close(source);
    pcap_close(referee); /* and `plain` */
    compared++;
}

static int visit(const char *path, const struct stat *about, int type, struct FTW *where) {
    static const char *const ends[] = {".pcap.zst", ".pcapng.zst", ".pcap", ".pcapng"};
    (void)about;
    (void)where;
    for (size_t i = 0; i < countof(ends); i++)
        if (type == FTW_F && has_end(path, ends[i])) {
            print_message("%s\n", path);
            check_capture(path);
            break;
        }
    return 0;
}

static void libpcap_reads_the_same(void **state) {
    (void)state;
    const char *folder = getenv("BUSTAP_PCAPS");
    (void)nftw(folder ? folder : "pcaps", visit, 16, FTW_PHYS);
    if (compared == 0) {
        print_message("no captures in pcaps/\n");
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(libpcap_reads_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
