/* resp.c - the reader: a position within a value, as a stack of what is still to come. */
#include "decode/resp.h"

enum state { AT_TYPE, IN_LINE, IN_BULK, AT_BULK_CR, AT_BULK_LF };

enum {
    STREAMED = UINT32_MAX,    /* in left[]: ended by a mark, not by a count */
    CHUNKED = UINT32_MAX - 1, /* likewise, a streamed string: ended by an empty chunk */
    REPLY_ITEMS = 4,          /* kept of a reply: what tells a message from an answer */
    REPLY_TEXT = 64
};

/* A value that was cut, with copies of what is kept of it. */
struct resp_kept {
    struct resp_value value;
    uint8_t line[RESP_TEXT]; /* beginning of the line in hand */
    uint8_t texts[RESP_TEXTS];
};

static_assert(sizeof(struct resp_kept) <= POOL_BLOCK, "a spare block of the pool will do");

void resp_init(struct resp_reader *reader, bool requests) {
    memset(reader, 0, sizeof *reader);
    reader->requests = requests;
}

static void drop_kept(struct resp_reader *reader, struct resp_tools *tools) {
    if (!reader->kept)
        return;
    pool_give(tools->pool, reader->kept, reader->kept_room);
    reader->kept = NULL;
}

void resp_turn(struct resp_reader *reader, struct resp_tools *tools, bool requests) {
    drop_kept(reader, tools);
    resp_init(reader, requests);
}

void resp_reset(struct resp_reader *reader, struct resp_tools *tools) {
    resp_turn(reader, tools, reader->requests);
}

/* ---- what is kept ---- */

static struct resp_value *value_of(const struct resp_reader *reader, struct resp_tools *tools) {
    return reader->kept ? &reader->kept->value : &tools->scratch;
}

static void begin_value(struct resp_value *value) {
    value->bytes = 0;
    value->count = value->text_used = 0;
    value->lost = false;
}

/* How much of a text of `len` bytes is kept as the next item. A beginning shorter than
 * ARGUMENT_KEPT would be taken for a whole word. */
static size_t room_for_text(const struct resp_value *value, uint64_t len, size_t most) {
    uint64_t room = min_size(most, RESP_TEXTS - value->text_used);
    if (len <= room)
        return (size_t)len;
    return room < ARGUMENT_KEPT ? 0 : (size_t)room;
}

/* The next item, NULL if nothing is kept of it. */
static struct resp_item *add_item(const struct resp_reader *reader, struct resp_value *value,
                                  int64_t number) {
    unsigned most = reader->requests ? RESP_ITEMS : REPLY_ITEMS;
    bool wanted = reader->attributes == 0 && (reader->depth <= 1 || reader->requests);
    if (value->count >= most || !wanted || value->lost)
        return NULL;
    struct resp_item *item = &value->items[value->count++];
    *item = (struct resp_item){.number = number, .type = reader->type, .depth = reader->depth};
    return item;
}

static void add_text(struct resp_value *value, struct resp_item *item, struct bytes text) {
    item->text = text.data;
    item->text_len = (uint16_t)room_for_text(value, text.len, RESP_TEXT);
    value->text_used += item->text_len;
}

/* Reserves room for the bulk that begins, the last item. */
static void keep_next_bulk(struct resp_reader *reader, struct resp_value *value, uint64_t len) {
    size_t most = reader->requests ? RESP_TEXT : REPLY_TEXT;
    reader->keep_left = (uint16_t)room_for_text(value, len, most);
    value->text_used += reader->keep_left;
}

/* The next bytes of the bulk in hand, as far as they are kept. */
static void keep_bulk(struct resp_reader *reader, struct resp_value *value, struct bytes part) {
    struct resp_item *item = &value->items[value->count - 1];
    size_t len = min_size(part.len, reader->keep_left);
    assert(item->text_len == 0 || reader->kept); /* it was cut, so it is in the block already */
    if (item->text_len == 0)
        item->text = part.data;
    else
        memcpy(reader->kept->texts + (item->text - reader->kept->texts) + item->text_len, part.data,
               len);
    item->text_len += (uint16_t)len;
    reader->keep_left -= (uint16_t)len;
}

/* Moves the value in hand, cut by the view's end, to a block of its own. */
static void keep(struct resp_reader *reader, struct resp_tools *tools) {
    struct resp_kept *kept = pool_take(tools->pool, POOL_BLOCK, &reader->kept_room);
    if (!kept) {
        tools->refused++;
        reader->keep_left = 0; /* there is no item any more that it belongs to */
        return;
    }
    kept->value = tools->scratch;
    reader->kept = kept;
}

/* Texts that still point into the view are copied. */
static void keep_texts(struct resp_kept *kept) {
    uint8_t *to = kept->texts;
    for (uint32_t i = 0; i < kept->value.count; i++) {
        struct resp_item *item = &kept->value.items[i];
        if (item->text != to && item->text_len)
            memcpy(to, item->text, item->text_len);
        item->text = to;
        to += item->text_len;
    }
}

/* ---- the view ends within a value ---- */

/* A bulk that is a reply by itself: the commonest large one, of which no bytes are needed. */
static bool is_lone(const struct resp_reader *reader) {
    return !reader->requests && !reader->kept && reader->depth == 0 && reader->type == '$' &&
           reader->state >= IN_BULK;
}

static void suspend(struct resp_reader *reader, struct resp_tools *tools) {
    if (is_lone(reader)) {
        reader->lone = true;
        reader->lone_bytes = tools->scratch.bytes;
        return;
    }
    if (!reader->kept)
        keep(reader, tools);
    if (reader->kept)
        keep_texts(reader->kept);
}

static void resume(struct resp_reader *reader, struct resp_tools *tools) {
    struct resp_value *value = &tools->scratch;
    if (reader->kept)
        return;
    begin_value(value);
    if (reader->lone) {
        value->bytes = reader->lone_bytes;
        (void)add_item(reader, value, reader->lone_number);
        reader->lone = false;
    } else if (!resp_is_between(reader)) {
        value->lost = true; /* there was no memory to keep it */
    }
}

/* ---- items ---- */

/* An item is complete. True: so is the value. */
static bool end_item(struct resp_reader *reader) {
    reader->state = AT_TYPE;
    reader->attributed = false;
    while (reader->depth > 0) {
        uint32_t *left = &reader->left[reader->depth - 1];
        if (*left >= CHUNKED || --*left > 0)
            return false;
        reader->depth--;
        if (reader->attributes >> reader->depth & 1) {
            reader->attributes &= ~(UINT32_C(1) << reader->depth);
            reader->attributed = reader->depth == 0;
            return false; /* the value that it belongs to follows */
        }
    }
    return true;
}

enum step { STEP_ON, STEP_VALUE, STEP_BAD };

static enum step item_ended(struct resp_reader *reader) {
    return end_item(reader) ? STEP_VALUE : STEP_ON;
}

/* Strictly: an optional sign, then digits; and it fits. */
static bool parse_number(struct bytes digits, int64_t *ret_number) {
    uint64_t value = 0;
    size_t at = digits.len > 1 && (digits.data[0] == '-' || digits.data[0] == '+');
    bool fits = digits.len > at && digits.len - at <= 19;
    for (size_t i = at; i < digits.len && fits; i++) {
        unsigned digit = digits.data[i] - (unsigned)'0';
        fits = digit < 10;
        value = value * 10 + digit;
    }
    bool negative = at && digits.data[0] == '-';
    *ret_number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return fits && value <= (uint64_t)INT64_MAX + negative;
}

/* Of one below the top; what an attribute says is no error of the value's. */
static void note_error(const struct resp_reader *reader, struct resp_tools *tools,
                       struct bytes text) {
    if (reader->depth > 0 && !reader->attributes && tools->on_error)
        tools->on_error(tools->context, text);
}

static enum step on_text(struct resp_reader *reader, struct resp_tools *tools, struct bytes text,
                         uint64_t len) {
    struct resp_value *value = value_of(reader, tools);
    struct resp_item *item = add_item(reader, value, (int64_t)len);
    if (item)
        add_text(value, item, text);
    if (reader->type == '-')
        note_error(reader, tools, bytes_first(text, RESP_TEXT));
    return item_ended(reader);
}

static enum step on_number(struct resp_reader *reader, struct resp_tools *tools,
                           struct bytes digits) {
    int64_t number;
    if (!parse_number(digits, &number))
        return STEP_BAD;
    (void)add_item(reader, value_of(reader, tools), number);
    return item_ended(reader);
}

static enum step push_level(struct resp_reader *reader, uint32_t left) {
    if (reader->depth == CAP_RESP_DEPTH)
        return STEP_BAD;
    if (reader->type == '|')
        reader->attributes |= UINT32_C(1) << reader->depth;
    reader->left[reader->depth++] = left;
    reader->state = AT_TYPE;
    return STEP_ON;
}

static enum step on_bulk(struct resp_reader *reader, struct resp_tools *tools,
                         struct bytes digits) {
    int64_t len;
    struct resp_value *value = value_of(reader, tools);
    if (reader->type == '$' && bytes_equal(digits, bytes_str("?")) && !reader->requests) {
        (void)add_item(reader, value, STREAMED);
        return push_level(reader, CHUNKED);
    }
    bool chunk = reader->type == ';';
    if (!parse_number(digits, &len) || len < (reader->requests || chunk ? 0 : -1))
        return STEP_BAD;
    if (chunk && len == 0) { /* the last one: the streamed string is complete */
        reader->depth--;
        return item_ended(reader);
    }
    bool wanted = reader->requests || reader->depth > 0 || reader->type == '!';
    bool kept = !chunk && add_item(reader, value, len) && wanted;
    if (len < 0)
        return item_ended(reader);
    if (kept)
        keep_next_bulk(reader, value, (uint64_t)len);
    reader->bulk_left = (uint64_t)len;
    reader->lone_number = len;
    reader->state = len ? IN_BULK : AT_BULK_CR;
    return STEP_ON;
}

static enum step on_aggregate(struct resp_reader *reader, struct resp_tools *tools,
                              struct bytes digits) {
    int64_t count;
    bool pairs = reader->type == '%' || reader->type == '|';
    bool may_stream = reader->type == '*' || reader->type == '%' || reader->type == '~';
    bool streamed = may_stream && bytes_equal(digits, bytes_str("?")) && !reader->requests;
    if (!streamed && (!parse_number(digits, &count) || count > CAP_RESP_COUNT ||
                      (count < -1 && !reader->requests)))
        return STEP_BAD;
    if (streamed)
        count = STREAMED;
    if (reader->type != '|')
        (void)add_item(reader, value_of(reader, tools), count);
    if (count <= 0) {
        reader->state = AT_TYPE;
        reader->attributed = reader->type == '|' && reader->depth == 0;
        return reader->type == '|' ? STEP_ON : item_ended(reader);
    }
    return push_level(reader, streamed ? STREAMED : (uint32_t)count << pairs);
}

/* "." ends a streamed aggregate. */
static enum step on_end_mark(struct resp_reader *reader, struct bytes rest) {
    if (rest.len || reader->depth == 0 || reader->left[reader->depth - 1] != STREAMED)
        return STEP_BAD;
    reader->depth--;
    return item_ended(reader);
}

/* ---- lines ---- */

enum line_kind { LINE_NONE, LINE_TEXT, LINE_NUMBER, LINE_BULK, LINE_AGGREGATE, LINE_END };

static const struct line_row {
    enum line_kind kind;
    const char *name;
} line_rows[128] = {
    ['+'] = {LINE_TEXT, "simple-string"},
    ['-'] = {LINE_TEXT, "error"},
    [':'] = {LINE_NUMBER, "integer"},
    ['$'] = {LINE_BULK, "bulk-string"},
    ['*'] = {LINE_AGGREGATE, "array"},
    ['_'] = {LINE_TEXT, "null"},
    [','] = {LINE_TEXT, "double"},
    ['#'] = {LINE_TEXT, "boolean"},
    ['!'] = {LINE_BULK, "bulk-error"},
    ['='] = {LINE_BULK, "verbatim-string"},
    ['('] = {LINE_TEXT, "big-number"},
    ['%'] = {LINE_AGGREGATE, "map"},
    ['~'] = {LINE_AGGREGATE, "set"},
    ['|'] = {LINE_AGGREGATE, "attribute"},
    ['>'] = {LINE_AGGREGATE, "push"},
    [';'] = {LINE_BULK, "chunk"},
    ['.'] = {LINE_END, "end"},
};

const char *resp_type_name(uint8_t type) {
    return type < countof(line_rows) && line_rows[type].name ? line_rows[type].name : "none";
}

static enum line_kind kind_of(uint8_t type) {
    return type < countof(line_rows) ? line_rows[type].kind : LINE_NONE;
}

/* Requests are arrays of bulks, or lines that begin with anything else. */
static bool is_inline(const struct resp_reader *reader) {
    return reader->requests && reader->depth == 0 && reader->type != '*';
}

/* Within a streamed string there are chunks, and nowhere else. */
static bool is_within_string(const struct resp_reader *reader) {
    return reader->depth > 0 && reader->left[reader->depth - 1] == CHUNKED;
}

static bool fits_here(const struct resp_reader *reader) {
    if (reader->requests)
        return reader->depth == 0 || reader->type == '$';
    return kind_of(reader->type) != LINE_NONE && (reader->type == ';') == is_within_string(reader);
}

/* Longest line of this type; 0: no type. */
static uint32_t longest_line(const struct resp_reader *reader) {
    if (is_inline(reader))
        return RESP_INLINE;
    return kind_of(reader->type) == LINE_TEXT ? CAP_RESP_LINE : RESP_LINE;
}

/* A line is complete; `line` is its beginning without CRLF, and without its type but for an inline
 * command, whose text begins with it. */
static enum step on_line(struct resp_reader *reader, struct resp_tools *tools, struct bytes line,
                         uint64_t len) {
    if (is_inline(reader)) {
        reader->type = RESP_WORD;
        return on_text(reader, tools, line, len);
    }
    switch (kind_of(reader->type)) {
    case LINE_TEXT:
        return on_text(reader, tools, line, len);
    case LINE_NUMBER:
        return on_number(reader, tools, line);
    case LINE_BULK:
        return on_bulk(reader, tools, line);
    case LINE_AGGREGATE:
        return on_aggregate(reader, tools, line);
    case LINE_END:
        return on_end_mark(reader, line);
    case LINE_NONE:
        break;
    }
    return STEP_BAD;
}

static void stash(struct resp_reader *reader, struct resp_tools *tools, struct bytes part) {
    suspend(reader, tools);
    if (reader->kept && part.len && reader->line_len < RESP_TEXT)
        memcpy(reader->kept->line + reader->line_len, part.data,
               min_size(part.len, RESP_TEXT - reader->line_len));
    if (part.len)
        reader->line_cr = part.data[part.len - 1] == '\r';
    reader->line_len += (uint32_t)part.len;
    reader->state = IN_LINE;
}

/* The type of the line that begins. False: there is none such. */
static bool take_type(struct resp_reader *reader, struct bytes *view) {
    reader->type = view->data[0];
    reader->line_len = 0;
    reader->line_cr = false;
    if (!is_inline(reader))
        *view = bytes_after(*view, 1);
    return fits_here(reader);
}

/* The whole line, CR included, once its last part has come; as much as was kept of it. */
static struct bytes whole_line(struct resp_reader *reader, struct resp_tools *tools,
                               struct bytes part) {
    if (reader->line_len == 0 && reader->state == AT_TYPE)
        return part;
    if (!reader->kept)
        return bytes_of(NULL, 0);
    stash(reader, tools, part);
    return bytes_of(reader->kept->line, min_size(reader->line_len, RESP_TEXT));
}

static enum step take_line(struct resp_reader *reader, struct resp_tools *tools,
                           struct bytes *view) {
    if (reader->state == AT_TYPE && !take_type(reader, view))
        return STEP_BAD;
    const uint8_t *end = view->len ? memchr(view->data, '\n', view->len) : NULL;
    struct bytes part = bytes_first(*view, end ? (size_t)(end - view->data) : view->len);
    if (reader->line_len + part.len > longest_line(reader))
        return STEP_BAD;
    *view = bytes_after(*view, part.len + (end != NULL));
    if (!end) {
        stash(reader, tools, part);
        return reader->kept ? STEP_ON : STEP_BAD;
    }
    struct bytes line = whole_line(reader, tools, part);
    uint64_t len = reader->state == IN_LINE ? reader->line_len : part.len;
    bool cr = reader->state == IN_LINE ? reader->line_cr : len && line.data[len - 1] == '\r';
    if (!cr && !is_inline(reader))
        return STEP_BAD;
    len -= cr;
    return on_line(reader, tools, bytes_first(line, (size_t)len), len);
}

/* ---- bulks ---- */

static enum step take_bulk(struct resp_reader *reader, struct resp_tools *tools,
                           struct bytes *view) {
    if (reader->state == IN_BULK) {
        struct bytes part = bytes_first(*view, min_size(view->len, reader->bulk_left));
        if (reader->keep_left)
            keep_bulk(reader, value_of(reader, tools), part);
        reader->bulk_left -= part.len;
        if (reader->bulk_left == 0)
            reader->state = AT_BULK_CR;
        *view = bytes_after(*view, part.len);
        return STEP_ON;
    }
    bool at_cr = reader->state == AT_BULK_CR;
    if (view->data[0] != (at_cr ? '\r' : '\n'))
        return STEP_BAD;
    *view = bytes_after(*view, 1);
    if (at_cr) {
        reader->state = AT_BULK_LF;
        return STEP_ON;
    }
    if (reader->type == '!') /* an error whose text is a bulk */
        note_error(reader, tools, bytes_str("ERR"));
    return item_ended(reader);
}

/* ---- public ---- */

size_t resp_feed(struct resp_reader *reader, struct resp_tools *tools, struct bytes view,
                 enum resp_got *ret_got) {
    struct bytes rest = view;
    enum step step = STEP_ON;
    resume(reader, tools);
    while (rest.len && step == STEP_ON)
        step = (reader->state >= IN_BULK ? take_bulk : take_line)(reader, tools, &rest);
    size_t used = view.len - rest.len;
    value_of(reader, tools)->bytes += used;
    reader->value = value_of(reader, tools);
    *ret_got = step == STEP_VALUE ? RESP_DONE : step == STEP_BAD ? RESP_BAD : RESP_MORE;
    if (step == STEP_ON)
        suspend(reader, tools);
    else if (step == STEP_BAD)
        resp_reset(reader, tools);
    return used;
}

uint64_t resp_inside(const struct resp_reader *reader) {
    return reader->state == IN_BULK && reader->keep_left == 0 ? reader->bulk_left : 0;
}

/* A part of the bulk is missing: of its text nothing is kept then. */
static void count_missing(struct resp_reader *reader, uint64_t len) {
    if (reader->lone)
        reader->lone_bytes += len;
    if (!reader->kept)
        return;
    struct resp_value *value = &reader->kept->value;
    value->bytes += len;
    if (reader->keep_left)
        value->items[value->count - 1].text_len = 0;
    reader->keep_left = 0;
}

enum resp_skipped resp_skip(struct resp_reader *reader, uint64_t len) {
    static const uint8_t behind[] = {[IN_BULK] = 2, [AT_BULK_CR] = 2, [AT_BULK_LF] = 1};
    uint64_t rest = behind[reader->state] + (reader->state == IN_BULK ? reader->bulk_left : 0);
    bool at_end = len == rest;
    if (reader->state < IN_BULK || len > rest)
        return RESP_ASTRAY;
    rest -= len - at_end;
    reader->state = rest > 2 ? IN_BULK : rest == 2 ? AT_BULK_CR : AT_BULK_LF;
    reader->bulk_left = rest > 2 ? rest - 2 : 0;
    count_missing(reader, len - at_end);
    return at_end ? RESP_AT_END : RESP_IN_STEP;
}
