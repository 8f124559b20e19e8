/* columns.h - a small table of aligned columns: filled cell by cell, printed at once.
 *
 *   buf_text(&columns.cells, "text of a cell");
 *   columns_next(&columns);                       the cell is done
 *
 * Cells come row by row; each row has a cell for every head. */
#ifndef BUSTAP_REPORT_COLUMNS_H
#define BUSTAP_REPORT_COLUMNS_H

#include "base/buf.h"
#include "decode/endpoint.h"

enum column_side { LEFT, RIGHT };

struct column {
    const char *head;
    enum column_side side;
};

struct columns {
    const struct column *heads;
    size_t count;
    size_t done;  /* cells */
    size_t width; /* of a line: the last cell goes on below itself; 0: as long as need be */
    struct buf cells;
};

struct columns columns_of(const struct column *heads, size_t count);
void columns_next(struct columns *columns);

/* Each a whole cell. */
void columns_text(struct columns *columns, const char *text);
void columns_u64(struct columns *columns, uint64_t value);
void columns_maybe(struct columns *columns, uint64_t value); /* NOT_KNOWN is "?" */
void columns_endpoint(struct columns *columns, const struct endpoint *endpoint);

/* Zero is "-", to make others stand out. */
void columns_rare(struct columns *columns, uint64_t value);
void columns_size(struct columns *columns, uint64_t bytes);

/* Appends the table, indented, and frees it. Without rows: nothing. */
void columns_print(struct columns *columns, struct buf *buf);

#endif
