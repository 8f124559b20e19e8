/* format.h - how numbers, times, sizes and slots are written, everywhere the same, ASCII only.
 *
 * Fast enough for a line per message: no printf and no libc time functions inside. Times are UTC,
 * the calendar is the proleptic Gregorian one. */
#ifndef BUSTAP_REPORT_FORMAT_H
#define BUSTAP_REPORT_FORMAT_H

#include "base/buf.h"
#include "base/err.h"

void buf_u64(struct buf *buf, uint64_t value);

/* Takes back what was added since the buffer had this length. */
static inline void buf_cut(struct buf *buf, size_t len) {
    if (buf->data && buf->len > len) {
        buf->len = len;
        buf->data[len] = '\0';
    }
}

/* At least `width` characters: blanks before or after what was added since length `from`. */
void buf_pad_right(struct buf *buf, size_t from, size_t width); /* text, then blanks */
void buf_pad_left(struct buf *buf, size_t from, size_t width);  /* blanks, then text */

void buf_rfc3339(struct buf *buf, nstime time); /* 2026-11-23T12:00:07.123456789Z */
void buf_date(struct buf *buf, nstime time);    /* 2026-11-23 */
void buf_clock(struct buf *buf, nstime time);   /* 12:00:07.123456789 */

/* Three or four significant digits and a unit: "850 us", "1.234 s", "2 h 05 min". */
void buf_duration(struct buf *buf, nstime span);

/* "4352 B", "1.2 MB"; powers of 1000. */
void buf_size(struct buf *buf, uint64_t bytes);

/* "1 packet", "2 packets" */
void buf_count(struct buf *buf, uint64_t count, const char *noun);

/* Where a line of `room` columns ends: behind the last blank or comma that fits, if the text is
 * longer. A blank at which it ends is not shown, and needs no room. */
size_t line_break(const char *text, size_t len, size_t room);

/* A text in lines that end within `width` columns (SIZE_MAX: one line). The first has begun, and is
 * `indent` columns long, less than the width; the others begin with so many blanks. */
void buf_lines(struct buf *buf, const char *text, size_t indent, size_t width);

enum { SLOTS_TEXT = 6 * 16384 }; /* longer than any text of slots */

/* BUS_SLOT_BYTES of bitmap as "0-5460,5462"; NULL or empty: nothing. */
void buf_slots(struct buf *buf, const uint8_t *slots);

/* "10923-16383", or one number; adds a comma before it unless it is the first since `from`. */
void buf_range(struct buf *buf, size_t from, uint32_t first, uint32_t last);

/* A moment as a user writes it. Without a zone it is UTC. */
struct when {
    bool set;
    bool of_day; /* only a time of day: nanoseconds since midnight of a day to be named later */
    nstime time;
};

/* RFC 3339, "2026-11-23 12:00:07.3", seconds since 1970 with a fraction, or HH:MM:SS. False, with
 * a message that shows these forms, if it is none of them. */
bool when_parse(const char *text, struct when *ret_when, struct err *err);

/* The moment itself; `capture` gives the day where the user named none. */
nstime when_time(const struct when *when, nstime capture);

#endif
