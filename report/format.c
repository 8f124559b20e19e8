/* format.c - numbers, durations, sizes and slots as text. The calendar is in moment.c. */
#include "report/format.h"
#include "decode/bus.h"

void buf_u64(struct buf *buf, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(buf, digits + at, sizeof digits - at);
}

static void blanks(struct buf *buf, size_t count) {
    static const char some[] = "                                ";
    for (; count > 0; count -= min_size(count, sizeof some - 1))
        buf_add(buf, some, min_size(count, sizeof some - 1));
}

void buf_pad_right(struct buf *buf, size_t from, size_t width) {
    if (buf->len - from < width)
        blanks(buf, width - (buf->len - from));
}

void buf_pad_left(struct buf *buf, size_t from, size_t width) {
    size_t len = buf->len - from;
    if (len >= width)
        return;
    blanks(buf, width - len);
    if (buf->failed)
        return;
    memmove(buf->data + from + width - len, buf->data + from, len);
    memset(buf->data + from, ' ', width - len);
}

/* value / unit with so many decimals, rounded to the nearest. */
static void fixed_point(struct buf *buf, uint64_t value, uint64_t unit, unsigned decimals) {
    uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; i++)
        scale *= 10;
    uint64_t step = unit / scale;
    uint64_t rounded = step > 1 ? value / step + (value % step >= step / 2) : value / step;
    buf_u64(buf, rounded / scale);
    if (decimals == 0)
        return;
    char fraction[8];
    for (unsigned i = decimals; i-- > 0; rounded /= 10)
        fraction[i] = (char)('0' + rounded % 10);
    buf_add(buf, ".", 1);
    buf_add(buf, fraction, decimals);
}

struct unit {
    uint64_t below; /* for values smaller than this */
    uint64_t unit;
    unsigned decimals;
    const char *name;
};

static void in_units(struct buf *buf, uint64_t value, const struct unit *units) {
    while (value >= units->below)
        units++;
    fixed_point(buf, value, units->unit, units->decimals);
    buf_text(buf, units->name);
}

static void hours(struct buf *buf, uint64_t seconds) {
    buf_u64(buf, seconds / 3600);
    buf_printf(buf, " h %02u min", (unsigned)(seconds / 60 % 60));
}

void buf_duration(struct buf *buf, nstime span) {
    static const struct unit units[] = {
        {1000, 1, 0, " ns"},
        {10000, 1000, 1, " us"},
        {1000000, 1000, 0, " us"},
        {10000000, 1000000, 2, " ms"},
        {100000000, 1000000, 1, " ms"},
        {1000000000, 1000000, 0, " ms"},
        {UINT64_C(10000000000), 1000000000, 3, " s"},
        {UINT64_MAX, 1000000000, 1, " s"},
    };
    uint64_t value = span < 0 ? -(uint64_t)span : (uint64_t)span;
    if (span < 0)
        buf_text(buf, "-");
    if (value >= UINT64_C(7200) * NS_PER_SEC)
        hours(buf, value / NS_PER_SEC);
    else
        in_units(buf, value, units);
}

void buf_size(struct buf *buf, uint64_t bytes) {
    static const struct unit units[] = {
        {10000, 1, 0, " B"},
        {1000000, 1000, 1, " kB"},
        {1000000000, 1000000, 1, " MB"},
        {UINT64_C(1000000000000), 1000000000, 1, " GB"},
        {UINT64_MAX, UINT64_C(1000000000000), 1, " TB"},
    };
    in_units(buf, bytes < UINT64_MAX ? bytes : bytes - 1, units);
}

size_t line_break(const char *text, size_t len, size_t room) {
    if (len <= room)
        return len;
    if (text[room] == ' ')
        return room + 1;
    for (size_t i = room; i > 0; i--)
        if (text[i - 1] == ' ' || text[i - 1] == ',')
            return i;
    return room;
}

void buf_lines(struct buf *buf, const char *text, size_t indent, size_t width) {
    for (bool first = true; *text || first; first = false) {
        size_t len = line_break(text, strlen(text), width - indent);
        if (!first)
            buf_pad_right(buf, buf->len, indent);
        buf_add(buf, text, len && text[len - 1] == ' ' ? len - 1 : len);
        buf_text(buf, "\n");
        text += len;
    }
}

void buf_count(struct buf *buf, uint64_t count, const char *noun) {
    buf_u64(buf, count);
    buf_text(buf, " ");
    buf_text(buf, noun);
    if (count != 1)
        buf_text(buf, "s");
}

/* ---- slots ---- */

void buf_range(struct buf *buf, size_t from, uint32_t first, uint32_t last) {
    if (buf->len > from)
        buf_add(buf, ",", 1);
    buf_u64(buf, first);
    if (last > first) {
        buf_add(buf, "-", 1);
        buf_u64(buf, last);
    }
}

/* The first slot from `slot` on whose bit is `wanted`; BUS_SLOTS if there is none. Eight bytes at
 * a time: a line of dump reads 16384 bits. */
static uint32_t next_slot(const uint8_t *slots, uint32_t slot, bool wanted) {
    while (slot < BUS_SLOTS) {
        uint64_t word;
        memcpy(&word, slots + (size_t)(slot / 64) * 8, 8);
        word = (wanted ? word : ~word) >> (slot % 64);
        if (word)
            return slot + (uint32_t)__builtin_ctzll(word);
        slot = (slot / 64 + 1) * 64;
    }
    return BUS_SLOTS;
}

void buf_slots(struct buf *buf, const uint8_t *slots) {
    size_t from = buf->len;
    if (!slots)
        return;
    for (uint32_t first = next_slot(slots, 0, true); first < BUS_SLOTS;) {
        uint32_t end = next_slot(slots, first, false);
        buf_range(buf, from, first, end - 1);
        first = next_slot(slots, end, true);
    }
}
