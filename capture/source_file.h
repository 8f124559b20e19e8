/* source_file.h - a capture file as a source: what the formats share.
 *
 *   stored bytes -> unpack -> window -> a format: pcap_file.c or pcapng_file.c
 *
 * A format parses its records in the window and says in plain words what is wrong with them; the
 * functions here add the path and the offset, so that every message has the same shape:
 *
 *   a.pcap.zst: cut short at byte 12345 of the decompressed capture (stored byte 678): record of
 *   90 bytes, 12 are there; what came before has been used
 *
 * The offset is that of the record. A failed source stays failed and repeats its message. */
#ifndef BUSTAP_CAPTURE_SOURCE_FILE_H
#define BUSTAP_CAPTURE_SOURCE_FILE_H

#include "capture/source_kind.h"
#include "capture/window.h"

struct source_file;

struct file_format {
    const char *name;
    size_t state_size;                      /* of source_file.state; zeroed at first */
    bool (*claims)(const uint8_t magic[4]); /* looks at the first bytes of the capture */
    bool (*open)(struct source_file *file, struct err *err); /* reads the file header */
    enum source_got (*next)(struct source *source, struct packet *ret_packet, struct err *err);
};

extern const struct file_format pcap_format, pcapng_format;

struct source_file {
    struct source base;
    struct stored stored;
    struct unpack unpack;
    struct window window;
    const struct file_format *format;
    void *state; /* the format's own, owned */
    char *path;
    char format_name[16];
    struct err failure;
};

/* Takes over an open descriptor, also on failure; `path` is what messages call it. */
struct source *source_file_open_fd(int fd, const char *path, const struct source_options *options,
                                   struct err *err);

/* For when window_need() had fewer bytes of `what` than `need`: the orderly end of the capture if
 * there are none at all, else SOURCE_FAILED, whatever the reason. */
enum source_got file_short(struct source_file *file, const char *what, size_t need,
                           struct err *err);

/* SOURCE_FAILED: the record at the window's start is impossible; the text says why. */
enum source_got file_damaged(struct source_file *file, struct err *err, const char *format, ...)
    ATTR_PRINTF(3, 4);

/* The first member is the source, so the two share their address. */
static inline struct source_file *file_of(struct source *source) {
    return (struct source_file *)source;
}

#endif
