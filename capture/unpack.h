/* unpack.h - from the bytes as stored to the bytes of the capture: uncompressed, zstd or gzip.
 *
 * The compression is seen from the first bytes, never from the name. Frames (zstd) and members
 * (gzip) may follow one another; what is compressed twice is not a capture. A file may not grow
 * without bound: CAP_EXPANSION. Whatever could be unpacked before a fault is handed out first. */
#ifndef BUSTAP_CAPTURE_UNPACK_H
#define BUSTAP_CAPTURE_UNPACK_H

#include "capture/stored.h"

#include <zlib.h>
#include <zstd.h>

enum unpack_fault {
    UNPACK_OK,
    UNPACK_CUT,        /* the stored bytes end too early */
    UNPACK_DAMAGED,    /* the codec says that they are wrong */
    UNPACK_UNREADABLE, /* read() failed */
    UNPACK_REFUSED,    /* a cap of base/limits.h */
    UNPACK_NO_MEMORY,
};

struct unpack_codec;

struct unpack {
    const struct unpack_codec *codec;
    struct stored *stored;
    bool inside;     /* a frame or member has begun and not ended */
    uint64_t output; /* bytes handed out */
    enum unpack_fault fault;
    const char *fault_text; /* what happened and, where there is one, the remedy */
    ZSTD_DCtx *zstd;
    size_t zstd_wants; /* bytes that make the next step: no more are shown to zstd at once */
    z_stream gzip;
};

/* Looks at the first bytes of `stored`, which must outlive the unpack. False and a message that
 * begins with the path if they are of a compression that we do not read, or nothing at all. */
bool unpack_init(struct unpack *unpack, struct stored *stored, const char *path, struct err *err);
void unpack_clear(struct unpack *unpack);

/* How the name of a format goes on, as ".zst"; "" if the capture is not compressed. */
const char *unpack_suffix(const struct unpack *unpack);

/* Up to `room` bytes, at least one unless it is the end. False: see fault and fault_text. */
bool unpack_read(struct unpack *unpack, uint8_t *dst, size_t room, size_t *ret_len);

#endif
