/* output.h - where a report goes: standard output or a file. The one writer: whatever cannot be
 * written (a full disk, a closed pipe) is remembered and said once, at the end. */
#ifndef BUSTAP_REPORT_OUTPUT_H
#define BUSTAP_REPORT_OUTPUT_H

#include "base/buf.h"
#include "base/err.h"

struct output {
    int fd;
    char *block; /* what is not written yet, `len` bytes; NULL: closed */
    size_t len;
    const char *name; /* for messages; borrowed */
    int error;        /* errno of the first write that failed, else 0 */
};

/* "-" is standard output. False and a message if the file cannot be written. */
bool output_open(struct output *output, const char *path, struct err *err);

/* Writes what is in the buffer and empties it. */
void output_take(struct output *output, struct buf *buf);

/* Hands what was written so far to whoever reads it. */
void output_flush(struct output *output);

/* Flushes and closes. False and a message if anything is missing from what was to be written; that
 * nobody reads the other end any more, as behind `| head`, is none. */
bool output_close(struct output *output, struct err *err);

#endif
