/* stored.h - the bytes of an input as they are stored: a file, a pipe or standard input, read
 * in order, once, and hashed on the way if asked for.
 *
 * A few bytes must be looked at before it is known who will read the rest, so there is a block:
 * stored_fill() reads into it, stored_view() shows what is left of it. An uncompressed capture
 * takes the first block from there and from then on reads straight into its own memory. */
#ifndef BUSTAP_CAPTURE_STORED_H
#define BUSTAP_CAPTURE_STORED_H

#include "capture/source.h"

#include <nettle/sha2.h>

enum {
    STORED_BLOCK = 128 << 10, /* bytes; one zstd block fits, and page-aligned reads follow */
    STORED_PAGE = 4096,       /* bytes; to elsewhere than a page's beginning the kernel copies at */
};                            /* half the speed (AMD), and malloc() gives a place 16 bytes behind */

struct stored {
    int fd;
    int error;          /* errno of the read that failed, else 0 */
    bool ended;         /* the end was reached */
    bool sha256;        /* hash what is read */
    bool (*stop)(void); /* of the options */
    uint8_t *block;     /* STORED_BLOCK bytes */
    size_t at, end;     /* what is left of the block */
    uint64_t offset;    /* bytes read so far */
    struct sha256_ctx hash;
    struct source_info *info; /* input_offset, input_size and sha256 are kept up to date */
};

/* Opens a path ("-" is standard input) for reading; -1 and a message on failure. */
int stored_open_fd(const char *path, struct err *err);

/* Takes over the descriptor, also on failure; `info` must outlive the stored. */
bool stored_init(struct stored *stored, int fd, const struct source_options *options,
                 struct source_info *info, struct err *err);
void stored_clear(struct stored *stored); /* a zeroed one is fine */

/* Reads at most `room` bytes, at least one unless it is the end. False: see stored->error. */
bool stored_read(struct stored *stored, uint8_t *dst, size_t room, size_t *ret_len);

/* Adds to the block until it holds `want` bytes or the input ends; want is at most STORED_BLOCK. */
bool stored_fill(struct stored *stored, size_t want);

static inline struct bytes stored_view(const struct stored *stored) {
    return bytes_of(stored->block + stored->at, stored->end - stored->at);
}

static inline void stored_skip(struct stored *stored, size_t len) {
    stored->at += len;
}

/* The offset of the first byte that stored_view() shows. */
static inline uint64_t stored_offset(const struct stored *stored) {
    return stored->offset - (stored->end - stored->at);
}

#endif
