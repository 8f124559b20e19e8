/* made.c - puts numbers in either byte order, and the frames of both formats around them. */
#include "tests/lib/made.h"

#include "capture/source_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(bool worked, const char *what) {
    if (worked)
        return;
    perror(what);
    exit(2);
}

static uint8_t *made_room(struct made *made, size_t len) {
    if (made->len + len > made->room) {
        made->room = 2 * made->room + len + 64;
        made->data = realloc(made->data, made->room);
        must(made->data != NULL, "realloc");
    }
    uint8_t *start = made->data + made->len;
    made->len += len;
    return start;
}

void made_bytes(struct made *made, const void *data, size_t len) {
    if (len)
        memcpy(made_room(made, len), data, len);
}

void made_zeros(struct made *made, size_t len) {
    if (len)
        memset(made_room(made, len), 0, len);
}

static void put_number(struct made *made, uint64_t value, size_t len) {
    uint8_t *at = made_room(made, len);
    for (size_t i = 0; i < len; i++)
        at[made->big ? len - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

void made_u16(struct made *made, uint16_t value) {
    put_number(made, value, 2);
}
void made_u32(struct made *made, uint32_t value) {
    put_number(made, value, 4);
}
void made_u64(struct made *made, uint64_t value) {
    put_number(made, value, 8);
}

void made_free(struct made *made) {
    free(made->data);
    *made = (struct made){0};
}

struct made made_pcap(bool big, uint32_t magic, uint32_t network) {
    struct made made = {.big = big};
    made_u32(&made, magic);
    made_u16(&made, 2);
    made_u16(&made, 4);
    made_zeros(&made, 8);
    made_u32(&made, 262144);
    made_u32(&made, network);
    return made;
}

void made_record(struct made *made, size_t head, uint32_t seconds, uint32_t fraction,
                 const void *data, uint32_t len, uint32_t wire_len) {
    made_u32(made, seconds);
    made_u32(made, fraction);
    made_u32(made, len);
    made_u32(made, wire_len);
    made_zeros(made, head - 16);
    made_bytes(made, data, len);
}

size_t made_block(struct made *made, uint32_t type) {
    size_t start = made->len;
    made_u32(made, type);
    made_u32(made, 0); /* the length, put in by made_block_end() */
    return start;
}

void made_block_end(struct made *made, size_t start) {
    made_zeros(made, -(made->len - start) & 3);
    size_t end = made->len + 4;
    made_u32(made, (uint32_t)(end - start));
    memcpy(made->data + start + 4, made->data + end - 4, 4);
}

void made_option(struct made *made, uint16_t code, const void *data, uint16_t len) {
    made_u16(made, code);
    made_u16(made, len);
    made_bytes(made, data, len);
    made_zeros(made, -(size_t)len & 3);
}

void made_option_u64(struct made *made, uint16_t code, uint64_t value) {
    made_u16(made, code);
    made_u16(made, 8);
    made_u64(made, value);
}

void made_section(struct made *made, bool big) {
    made->big = big;
    size_t start = made_block(made, 0x0a0d0d0a);
    made_u32(made, 0x1a2b3c4d);
    made_u16(made, 1);
    made_u16(made, 0);
    made_u64(made, UINT64_MAX); /* section length: not known */
    made_block_end(made, start);
}

void made_interface(struct made *made, uint16_t link_type, uint32_t snaplen) {
    size_t start = made_block(made, 1);
    made_u16(made, link_type);
    made_u16(made, 0);
    made_u32(made, snaplen);
    made_block_end(made, start);
}

void made_enhanced(struct made *made, uint32_t interface, uint64_t ticks, const char *text) {
    size_t start = made_block(made, 6);
    made_u32(made, interface);
    made_u32(made, (uint32_t)(ticks >> 32));
    made_u32(made, (uint32_t)ticks);
    made_u32(made, (uint32_t)strlen(text));
    made_u32(made, (uint32_t)strlen(text));
    made_bytes(made, text, strlen(text));
    made_block_end(made, start);
}

void made_zstd(struct made *to, struct bytes plain) {
    size_t bound = ZSTD_compressBound(plain.len);
    uint8_t *at = made_room(to, bound);
    size_t len = ZSTD_compress(at, bound, plain.data, plain.len, 3);
    must(!ZSTD_isError(len), "ZSTD_compress");
    to->len -= bound - len;
}

void made_gzip(struct made *to, struct bytes plain) {
    z_stream gzip = {.next_in = (Bytef *)plain.data, .avail_in = (uInt)plain.len};
    must(deflateInit2(&gzip, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK,
         "deflateInit2");
    size_t bound = deflateBound(&gzip, plain.len);
    gzip.next_out = made_room(to, bound);
    gzip.avail_out = (uInt)bound;
    must(deflate(&gzip, Z_FINISH) == Z_STREAM_END, "deflate");
    to->len -= gzip.avail_out;
    deflateEnd(&gzip);
}

int made_fd(const struct made *made) {
    int fd = memfd_create("made", MFD_CLOEXEC);
    must(fd >= 0, "memfd_create");
    for (size_t done = 0; done < made->len;) {
        ssize_t put = write(fd, made->data + done, made->len - done);
        must(put > 0, "write");
        done += (size_t)put;
    }
    must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    return fd;
}

struct source *made_source(const struct made *made, const char *name, struct err *err) {
    return source_file_open_fd(made_fd(made), name, &(struct source_options){0}, err);
}
