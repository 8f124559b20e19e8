/* buf.c - growth by doubling, and the one place where hostile bytes become harmless text. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_free(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

/* Room for `extra` more bytes and a NUL. */
static bool reserve(struct buf *buf, size_t extra) {
    if (buf->failed || extra > buf->max - buf->len) {
        buf->failed = true;
        return false;
    }
    if (buf->len + extra + 1 <= buf->room)
        return true;
    size_t room = buf->room ? buf->room : 256;
    while (room < buf->len + extra + 1)
        room *= 2;
    char *data = realloc(buf->data, room);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->room = room;
    return true;
}

void buf_add(struct buf *buf, const void *data, size_t len) {
    if (!reserve(buf, len))
        return;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_text(struct buf *buf, const char *text) {
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text)
        buf->failed = true; /* every caller formats short things: longer is our bug */
    else
        buf_add(buf, text, (size_t)len);
}

void buf_wire_text(struct buf *buf, struct bytes text, size_t shown) {
    for (size_t i = 0; i < min_size(text.len, shown); i++) {
        uint8_t c = text.data[i];
        if (c == '\\')
            buf_text(buf, "\\\\");
        else if (c >= 0x20 && c < 0x7f)
            buf_add(buf, &c, 1);
        else
            buf_printf(buf, "\\x%02x", c);
    }
    if (text.len > shown)
        buf_text(buf, "...");
}
