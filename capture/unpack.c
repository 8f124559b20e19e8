/* unpack.c - one row per compression, and one loop that drives them all.
 *
 * A codec makes one small step at a time: it takes from the stored block and puts out what that
 * gave. So whatever precedes damaged bytes has left before the codec meets them. */
#include "capture/unpack.h"

#include "base/limits.h"

#include <assert.h>
#include <zstd_errors.h>

struct unpack_codec {
    const char *suffix;
    uint8_t magic[4], mask[4];
    const char *remedy; /* of a compression that we do not read; then the rest is NULL */
    bool (*start)(struct unpack *unpack);
    /* Returns the bytes made, 0 if it needs more input or has set unpack->fault. */
    size_t (*step)(struct unpack *unpack, uint8_t *dst, size_t room);
    void (*stop)(struct unpack *unpack);
};

static void set_fault(struct unpack *unpack, enum unpack_fault fault, const char *text) {
    unpack->fault = fault;
    unpack->fault_text = text;
}

/* --- zstd (RFC 8878) --- */

enum { ZSTD_FRAME_START = 5 }; /* bytes that zstd needs to see of a new frame */

static bool zstd_start(struct unpack *unpack) {
    unpack->zstd = ZSTD_createDCtx();
    unpack->zstd_wants = ZSTD_FRAME_START;
    return unpack->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax,
                                                                CAP_ZSTD_WINDOW_LOG));
}

static void zstd_fault(struct unpack *unpack, size_t result) {
    static_assert(CAP_ZSTD_WINDOW_LOG == 27, "the text below says how much that is");
    ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
    if (code == ZSTD_error_memory_allocation)
        set_fault(unpack, UNPACK_NO_MEMORY, "");
    else if (code == ZSTD_error_frameParameter_windowTooLarge)
        set_fault(unpack, UNPACK_REFUSED,
                  "its zstd window is larger than 128 MiB: compress it with a smaller --long");
    else
        set_fault(unpack, UNPACK_DAMAGED, ZSTD_getErrorName(result));
}

/* Shown no more than it wants, zstd decodes one block per call. With more it would decode several
 * and, should one of them be damaged, keep the others for itself. */
static size_t zstd_step(struct unpack *unpack, uint8_t *dst, size_t room) {
    struct bytes stored = stored_view(unpack->stored);
    ZSTD_inBuffer in = {stored.data, min_size(stored.len, unpack->zstd_wants), 0};
    ZSTD_outBuffer out = {dst, room, 0};
    size_t wants = ZSTD_decompressStream(unpack->zstd, &out, &in);
    if (ZSTD_isError(wants)) {
        zstd_fault(unpack, wants);
        return 0;
    }
    stored_skip(unpack->stored, in.pos);
    unpack->inside = wants != 0;
    unpack->zstd_wants = wants ? wants : ZSTD_FRAME_START;
    return out.pos;
}

static void zstd_stop(struct unpack *unpack) {
    ZSTD_freeDCtx(unpack->zstd);
}

/* --- gzip (RFC 1952) --- */

static bool gzip_start(struct unpack *unpack) {
    return inflateInit2(&unpack->gzip, 16 + MAX_WBITS) == Z_OK; /* 16: gzip, not zlib */
}

static void gzip_fault(struct unpack *unpack, int result) {
    const char *text = unpack->gzip.msg;
    if (result == Z_MEM_ERROR)
        set_fault(unpack, UNPACK_NO_MEMORY, "");
    else
        set_fault(unpack, UNPACK_DAMAGED, text ? text : "not gzip data");
}

static size_t gzip_step(struct unpack *unpack, uint8_t *dst, size_t room) {
    struct bytes stored = stored_view(unpack->stored);
    z_stream *gzip = &unpack->gzip;
    gzip->next_in = (Bytef *)stored.data;
    gzip->avail_in = (uInt)stored.len;
    gzip->next_out = dst;
    gzip->avail_out = (uInt)room;
    int result = inflate(gzip, Z_NO_FLUSH);
    stored_skip(unpack->stored, stored.len - gzip->avail_in);
    size_t made = room - gzip->avail_out;
    unpack->inside = result != Z_STREAM_END;
    if (result == Z_STREAM_END)
        (void)inflateReset(gzip); /* another member may follow */
    else if (result != Z_OK && result != Z_BUF_ERROR && made == 0)
        gzip_fault(unpack, result); /* with bytes made, the next step meets it again */
    return made;
}

static void gzip_stop(struct unpack *unpack) {
    (void)inflateEnd(&unpack->gzip);
}

/* --- all of them --- */

#define MASK_ALL \
    { 0xff, 0xff, 0xff, 0xff }

static const struct unpack_codec codecs[] = {
    {".zst", {0x28, 0xb5, 0x2f, 0xfd}, MASK_ALL, NULL, zstd_start, zstd_step, zstd_stop},
    /* the same, beginning with a skippable frame */
    {".zst",
     {0x50, 0x2a, 0x4d, 0x18},
     {0xf0, 0xff, 0xff, 0xff},
     NULL,
     zstd_start,
     zstd_step,
     zstd_stop},
    {".gz", {0x1f, 0x8b, 8}, {0xff, 0xff, 0xff}, NULL, gzip_start, gzip_step, gzip_stop},
    {".xz", {0xfd, '7', 'z', 'X'}, MASK_ALL, "xz -dc", NULL, NULL, NULL},
    {".bz2", {'B', 'Z', 'h'}, {0xff, 0xff, 0xff}, "bzip2 -dc", NULL, NULL, NULL},
    {".lz4", {0x04, 0x22, 0x4d, 0x18}, MASK_ALL, "lz4 -dc", NULL, NULL, NULL},
    {"", {0}, {0}, NULL, NULL, NULL, NULL}, /* not compressed: whatever else there is */
};

static const struct unpack_codec *find_codec(struct bytes start) {
    uint8_t first[4] = {0};
    if (start.len)
        memcpy(first, start.data, min_size(start.len, sizeof first));
    for (const struct unpack_codec *codec = codecs;; codec++) {
        size_t same = 0;
        while (same < sizeof first && (first[same] & codec->mask[same]) == codec->magic[same])
            same++;
        if (same == sizeof first)
            return codec;
    }
}

bool unpack_init(struct unpack *unpack, struct stored *stored, const char *path, struct err *err) {
    unpack->stored = stored;
    if (!stored_fill(stored, sizeof codecs->magic))
        return err_set(err, "%s: unreadable: %s: check the disk, or what writes into the pipe",
                       path, strerror(stored->error));
    struct bytes start = stored_view(stored);
    if (start.len == 0)
        return err_set(err, "%s: empty: capture again, or wait until the first packets are written",
                       path);
    const struct unpack_codec *codec = find_codec(start);
    if (codec->remedy)
        return err_set(err, "%s: compressed as %s, which is not read: %s FILE | bustap ... -", path,
                       codec->suffix, codec->remedy);
    unpack->codec = codec;
    return !codec->start || codec->start(unpack) || err_no_memory(err);
}

void unpack_clear(struct unpack *unpack) {
    if (unpack->codec && unpack->codec->stop)
        unpack->codec->stop(unpack);
}

const char *unpack_suffix(const struct unpack *unpack) {
    return unpack->codec->suffix;
}

static bool unpack_unreadable(struct unpack *unpack) {
    set_fault(unpack, UNPACK_UNREADABLE, strerror(unpack->stored->error));
    return false;
}

/* Not compressed: what was looked at for the magic first, from then on without a detour. */
static bool plain_read(struct unpack *unpack, uint8_t *dst, size_t room, size_t *ret_len) {
    struct bytes looked_at = bytes_first(stored_view(unpack->stored), room);
    if (looked_at.len) {
        memcpy(dst, looked_at.data, looked_at.len);
        stored_skip(unpack->stored, looked_at.len);
        *ret_len = looked_at.len;
        return true;
    }
    return stored_read(unpack->stored, dst, room, ret_len) || unpack_unreadable(unpack);
}

/* The bytes that were made are still good; the next read fails. */
static void refuse_expansion(struct unpack *unpack) {
    static_assert(CAP_EXPANSION == 2000, "the text below says so");
    if (unpack->output > CAP_EXPANSION_FREE &&
        unpack->output / CAP_EXPANSION > stored_offset(unpack->stored))
        set_fault(unpack, UNPACK_REFUSED,
                  "it grows more than 2000-fold: if you trust it, unpack it and read that");
}

bool unpack_read(struct unpack *unpack, uint8_t *dst, size_t room, size_t *ret_len) {
    struct stored *stored = unpack->stored;
    if (!unpack->codec->step)
        return plain_read(unpack, dst, room, ret_len);
    while (unpack->fault == UNPACK_OK) {
        if (!stored_fill(stored, 1))
            return unpack_unreadable(unpack);
        bool dry = stored_view(stored).len == 0;
        *ret_len = 0;
        if (dry && !unpack->inside)
            return true;
        *ret_len = unpack->codec->step(unpack, dst, room);
        unpack->output += *ret_len;
        refuse_expansion(unpack);
        if (*ret_len)
            return true;
        if (dry && unpack->inside && unpack->fault == UNPACK_OK)
            set_fault(unpack, UNPACK_CUT, "the compressed data end too early");
    }
    return false;
}
