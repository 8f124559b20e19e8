/* columns.c - cells with a NUL behind each, so that a table is one buffer. */
#include "report/columns.h"

#include <stdlib.h>

#include "decode/event.h"
#include "report/format.h"

enum { CELLS_MAX = 8 << 20, INDENT = 2, SPACING = 2 };

struct columns columns_of(const struct column *heads, size_t count) {
    return (struct columns){.heads = heads, .count = count, .cells = {.max = CELLS_MAX}};
}

void columns_next(struct columns *columns) {
    buf_add(&columns->cells, "", 1);
    columns->done++;
}

void columns_text(struct columns *columns, const char *text) {
    buf_text(&columns->cells, text);
    columns_next(columns);
}

void columns_u64(struct columns *columns, uint64_t value) {
    buf_u64(&columns->cells, value);
    columns_next(columns);
}

void columns_rare(struct columns *columns, uint64_t value) {
    if (value)
        columns_u64(columns, value);
    else
        columns_text(columns, "-");
}

void columns_maybe(struct columns *columns, uint64_t value) {
    if (value == NOT_KNOWN)
        columns_text(columns, "?");
    else
        columns_u64(columns, value);
}

void columns_endpoint(struct columns *columns, const struct endpoint *endpoint) {
    char text[ENDPOINT_TEXT];
    endpoint_text(endpoint, text);
    columns_text(columns, text);
}

void columns_size(struct columns *columns, uint64_t bytes) {
    if (bytes)
        buf_size(&columns->cells, bytes);
    else
        buf_text(&columns->cells, "-");
    columns_next(columns);
}

static void measure(const struct columns *columns, size_t *widths) {
    const char *cell = columns->cells.data;
    for (size_t i = 0; i < columns->count; i++)
        widths[i] = strlen(columns->heads[i].head);
    for (size_t i = 0; i < columns->done; i++, cell += strlen(cell) + 1) {
        size_t len = strlen(cell), *width = &widths[i % columns->count];
        *width = len > *width ? len : *width;
    }
}

/* Where the last cell begins. */
static size_t last_indent(const struct columns *columns, const size_t *widths) {
    size_t indent = INDENT;
    for (size_t i = 0; i + 1 < columns->count; i++)
        indent += widths[i] + SPACING;
    return indent;
}

static void print_cell(const struct columns *columns, size_t column, const char *text,
                       const size_t *widths, struct buf *buf) {
    bool last = column + 1 == columns->count, right = columns->heads[column].side == RIGHT;
    size_t from = buf->len + (column == 0 ? INDENT : SPACING);
    buf_pad_right(buf, buf->len, from - buf->len);
    if (last && !right) { /* no blanks at the end of a line */
        buf_lines(buf, text, last_indent(columns, widths),
                  columns->width ? columns->width : SIZE_MAX);
        return;
    }
    buf_text(buf, text);
    if (right)
        buf_pad_left(buf, from, widths[column]);
    else
        buf_pad_right(buf, from, widths[column]);
    if (last)
        buf_text(buf, "\n");
}

static void print_rows(const struct columns *columns, const size_t *widths, struct buf *buf) {
    const char *cell = columns->cells.data;
    for (size_t i = 0; i < columns->count; i++)
        print_cell(columns, i, columns->heads[i].head, widths, buf);
    for (size_t i = 0; i < columns->done; i++, cell += strlen(cell) + 1)
        print_cell(columns, i % columns->count, cell, widths, buf);
}

void columns_print(struct columns *columns, struct buf *buf) {
    size_t *widths = calloc(columns->count, sizeof *widths);
    if (!widths || columns->cells.failed) {
        buf->failed = true;
    } else if (columns->done > 0) {
        measure(columns, widths);
        print_rows(columns, widths, buf);
    }
    free(widths);
    buf_free(&columns->cells);
}
