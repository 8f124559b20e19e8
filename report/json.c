/* json.c - the writer. Where a comma is due is all that it has to remember. */
#include "report/json.h"

#include "report/format.h"
#include <math.h>

static void new_line(struct json *json) {
    buf_add(json->buf, "\n", 1);
    for (unsigned i = 0; i < json->depth; i++)
        buf_add(json->buf, " ", 1);
}

/* The comma, the line and the key of the next member. Keys are our own words: nothing to escape. */
static void begin(struct json *json, const char *key) {
    if (json->comma)
        buf_add(json->buf, ",", 1);
    if (json->depth > 0 && json->depth <= json->pretty)
        new_line(json);
    if (key) {
        buf_add(json->buf, "\"", 1);
        buf_text(json->buf, key);
        buf_add(json->buf, "\":", 2);
    }
    json->comma = true;
}

void json_open(struct json *json, const char *key, char bracket) {
    begin(json, key);
    buf_add(json->buf, &bracket, 1);
    json->comma = false;
    json->depth++;
}

void json_close(struct json *json, char bracket) {
    bool empty = !json->comma;
    json->depth--;
    if (!empty && json->depth < json->pretty)
        new_line(json);
    buf_add(json->buf, &bracket, 1);
    json->comma = true;
}

void json_null(struct json *json, const char *key) {
    begin(json, key);
    buf_text(json->buf, "null");
}

void json_bool(struct json *json, const char *key, bool value) {
    begin(json, key);
    buf_text(json->buf, value ? "true" : "false");
}

void json_u64(struct json *json, const char *key, uint64_t value) {
    begin(json, key);
    buf_u64(json->buf, value);
}

void json_real(struct json *json, const char *key, double value) {
    if (!isfinite(value)) {
        json_null(json, key);
        return;
    }
    begin(json, key);
    buf_printf(json->buf, "%.10g", value);
}

void json_time(struct json *json, const char *key, nstime time) {
    if (time == TIME_NONE) {
        json_null(json, key);
        return;
    }
    begin(json, key);
    buf_add(json->buf, "\"", 1);
    buf_rfc3339(json->buf, time);
    buf_add(json->buf, "\"", 1);
}

/* ---- text ---- */

/* One UTF-16 code unit as \uXXXX. */
static void unit(struct buf *buf, uint32_t value) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {
        '\\',           'u', hex[value >> 12 & 15], hex[value >> 8 & 15], hex[value >> 4 & 15],
        hex[value & 15]};
    buf_add(buf, text, sizeof text);
}

static void code_point(struct buf *buf, uint32_t point) {
    if (point < 0x10000) {
        unit(buf, point);
        return;
    }
    unit(buf, 0xd800 + ((point - 0x10000) >> 10));
    unit(buf, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

static void ascii(struct buf *buf, uint8_t c) {
    if (c == '"' || c == '\\')
        buf_add(buf, "\\", 1);
    if (c >= 0x20 && c < 0x7f)
        buf_add(buf, &c, 1);
    else
        unit(buf, c);
}

void json_text_of(struct json *json, const char *key, struct bytes text) {
    begin(json, key);
    buf_add(json->buf, "\"", 1);
    for (size_t i = 0; i < text.len; i++)
        ascii(json->buf, text.data[i]);
    buf_add(json->buf, "\"", 1);
}

void json_text(struct json *json, const char *key, const char *text) {
    if (text)
        json_text_of(json, key, bytes_str(text));
    else
        json_null(json, key);
}

/* ---- hostile text ---- */

/* Characters above ASCII that have no shape, or change that of their neighbours: shown as bytes. */
static bool is_invisible(uint32_t point) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x80, 0x9f},       {0xad, 0xad},        {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},     {0x70f, 0x70f},      {0x890, 0x891},     {0x8e2, 0x8e2},
        {0x180e, 0x180e},   {0x200b, 0x200f},    {0x2028, 0x202e},   {0x2060, 0x206f},
        {0xd800, 0xdfff},   {0xe000, 0xf8ff},    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},
        {0xfff0, 0xffff},   {0x110bd, 0x110cd},  {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < countof(ranges); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

/* The length of the character at the start of `text` if it is well-formed UTF-8 above ASCII and
 * has a shape; else 0. */
static size_t visible_utf8(struct bytes text, uint32_t *ret_point) {
    static const struct {
        uint8_t mask, lead;
        uint32_t least; /* a shorter form would do below this: not well-formed */
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t i = 0; i < countof(forms); i++) {
        size_t len = i + 2;
        if ((text.data[0] & forms[i].mask) != forms[i].lead || text.len < len)
            continue;
        uint32_t point = text.data[0] & (uint8_t)~forms[i].mask;
        for (size_t k = 1; k < len; k++) {
            if ((text.data[k] & 0xc0) != 0x80)
                return 0;
            point = point << 6 | (text.data[k] & 0x3f);
        }
        *ret_point = point;
        return point >= forms[i].least && point <= 0x10ffff && !is_invisible(point) ? len : 0;
    }
    return 0;
}

static void wire_byte(struct buf *buf, uint8_t c) {
    if (c == '\\')
        buf_text(buf, "\\\\\\\\"); /* doubled by us, each escaped for JSON */
    else if (c >= 0x20 && c < 0x7f)
        ascii(buf, c);
    else
        buf_printf(buf, "\\\\x%02x", c);
}

void json_wire_text(struct json *json, const char *key, struct bytes text, size_t shown) {
    struct bytes left = bytes_first(text, shown);
    begin(json, key);
    buf_add(json->buf, "\"", 1);
    while (left.len > 0) {
        uint32_t point;
        size_t len = left.data[0] >= 0x80 ? visible_utf8(left, &point) : 0;
        if (len > 0)
            code_point(json->buf, point);
        else
            wire_byte(json->buf, left.data[0]);
        left = bytes_after(left, len > 0 ? len : 1);
    }
    buf_text(json->buf, text.len > shown ? "...\"" : "\"");
}
