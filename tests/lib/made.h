/* made.h - captures made by hand, byte by byte, for tests of the reader.
 *
 *   struct made m = made_pcap(false, 0xa1b2c3d4, 1);
 *   made_record(&m, 16, 1700000000, 5, "abc", 3, 3);
 *   struct source *s = made_source(&m, "a.pcap", &err);     reads what was made so far
 *   made_free(&m);
 *
 * Out of memory, or a system call that fails, ends the test program. */
#ifndef BUSTAP_TESTS_MADE_H
#define BUSTAP_TESTS_MADE_H

#include "capture/source.h"

struct made {
    uint8_t *data; /* owned */
    size_t len, room;
    bool big; /* numbers are put in big-endian order */
};

void made_bytes(struct made *made, const void *data, size_t len);
void made_zeros(struct made *made, size_t len);
void made_u16(struct made *made, uint16_t value);
void made_u32(struct made *made, uint32_t value);
void made_u64(struct made *made, uint64_t value);
void made_free(struct made *made);

/* pcap: a new one with its file header; one record with a header of `head` bytes (16 or 24). */
struct made made_pcap(bool big, uint32_t magic, uint32_t network);
void made_record(struct made *made, size_t head, uint32_t seconds, uint32_t fraction,
                 const void *data, uint32_t len, uint32_t wire_len);

/* pcapng. A block is put between made_block() and made_block_end(), which pads it. */
size_t made_block(struct made *made, uint32_t type);
void made_block_end(struct made *made, size_t start);
void made_option(struct made *made, uint16_t code, const void *data, uint16_t len);
void made_option_u64(struct made *made, uint16_t code, uint64_t value);
void made_section(struct made *made, bool big);
void made_interface(struct made *made, uint16_t link_type, uint32_t snaplen);
void made_enhanced(struct made *made, uint32_t interface, uint64_t ticks, const char *text);

/* The same bytes compressed, appended as one frame or member. */
void made_zstd(struct made *to, struct bytes plain);
void made_gzip(struct made *to, struct bytes plain);

static inline struct bytes made_view(const struct made *made) {
    return bytes_of(made->data, made->len);
}

/* A descriptor with these bytes, at its beginning. */
int made_fd(const struct made *made);

struct source *made_source(const struct made *made, const char *name, struct err *err);

#endif
