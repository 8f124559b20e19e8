/* resp.h - RESP2 and RESP3, cut into values as the bytes come.
 * Source: redis-specifications protocol/RESP3.md; what servers accept: Redis src/networking.c.
 *
 *   size_t used = resp_feed(&reader, view, &got);      one value at most
 *     RESP_DONE   reader.value tells of it, until resp_done
 *     RESP_MORE   all of the view was used, the value goes on
 *     RESP_BAD    no value: out of step
 *
 * Bulk data are passed over by their length, neither copied nor looked at. Of the first items of a
 * value, words of an inline command included, the beginnings are kept: as views where the value
 * lies whole in one view, else copied. What is kept depends on the value alone, never on how it was
 * cut. A reader is for requests (arrays of bulks, and lines) or for replies. */
#ifndef BUSTAP_DECODE_RESP_H
#define BUSTAP_DECODE_RESP_H

#include "base/limits.h"
#include "base/pool.h"
#include "decode/command.h"

enum {
    RESP_ITEMS = 32,    /* items of which something is kept */
    RESP_TEXT = 512,    /* bytes kept of one item */
    RESP_TEXTS = 2560,  /* bytes kept of all items together */
    RESP_LINE = 64,     /* longest line that holds a number */
    RESP_INLINE = 65536 /* longest inline command, as servers have it */
};

/* Types are the wire's own bytes; these two have none. */
enum { RESP_WORD = 'w' /* of an inline command */, RESP_NOTHING = 0 };

struct resp_item {
    int64_t number;      /* of ':'; length of a bulk; items of an aggregate; -1: null */
    const uint8_t *text; /* beginning of a bulk, or of a line without its type */
    uint16_t text_len;
    uint8_t type;
    uint8_t depth; /* 0: the value itself */
};

struct resp_value {
    uint64_t bytes; /* on the wire, attributes included */
    uint32_t count; /* of the items */
    uint32_t text_used;
    bool lost; /* no memory to keep its items: they are missing */
    struct resp_item items[RESP_ITEMS];
};

enum resp_got { RESP_DONE, RESP_MORE, RESP_BAD };

/* Called for each error below the top, with the beginning of its text. */
typedef void resp_error_fn(void *context, struct bytes text);

struct resp_kept;

/* How a plain request begins, up to its first argument; see resp_plain.c. */
struct resp_head {
    uint64_t numbers, name; /* its bytes; numbers 0: none */
    const struct command *command;
    uint32_t len;    /* of all of it */
    uint16_t follow; /* arguments behind it */
    bool writes;     /* that is to be told */
};
enum { RESP_HEADS = 64 };

/* What all readers share. */
struct resp_tools {
    struct pool *pool; /* for what is kept of a value that is cut */
    uint64_t refused;  /* times that it had no room */
    struct resp_value scratch;
    struct resp_head heads[RESP_HEADS]; /* that were seen lately */
    resp_error_fn *on_error;            /* of replies; may be NULL */
    void *context;
};

struct resp_reader {
    uint8_t state; /* enum, private */
    uint8_t type;  /* of the line or bulk in hand */
    uint8_t depth;
    bool requests;   /* it reads requests */
    bool attributed; /* an attribute has ended; the value that it belongs to has not begun */
    bool line_cr;    /* the line in hand has a CR as its last byte so far */
    bool lone; /* the bulk in hand is the whole value: nothing is kept of it but lone_number */
    uint16_t keep_left; /* bytes of the bulk in hand still to be kept, in the last item */
    uint32_t line_len;  /* of a line cut by a view's end: bytes so far */
    uint64_t bulk_left;
    struct resp_kept *kept; /* of a value that was cut; NULL: none */
    size_t kept_room;
    uint64_t lone_bytes;
    int64_t lone_number;
    const struct resp_value *value;
    uint32_t attributes; /* bit d: level d + 1 is an attribute, which is no item */
    uint32_t left[CAP_RESP_DEPTH];
};

void resp_init(struct resp_reader *reader, bool requests);

/* Forgets the value in hand; the next byte begins one. */
void resp_reset(struct resp_reader *reader, struct resp_tools *tools);

/* The same, and what follows is requests, or replies. */
void resp_turn(struct resp_reader *reader, struct resp_tools *tools, bool requests);

/* Is the reader between two values? */
static inline bool resp_is_between(const struct resp_reader *reader) {
    return reader->state == 0 && reader->depth == 0 && !reader->kept && !reader->attributed;
}

/* See above. After RESP_DONE resp_done says that the value has been looked at. */
static inline void resp_done(struct resp_reader *reader, struct resp_tools *tools) {
    if (UNLIKELY(reader->kept))
        resp_reset(reader, tools);
}

size_t resp_feed(struct resp_reader *reader, struct resp_tools *tools, struct bytes view,
                 enum resp_got *ret_got);

/* Bytes that are left of the bulk in hand, if nothing more is to be kept of it. */
uint64_t resp_inside(const struct resp_reader *reader);

enum resp_skipped {
    RESP_ASTRAY,  /* where the stream stands is not known any more */
    RESP_IN_STEP, /* they lie within the bulk in hand and what ends it */
    RESP_AT_END,  /* likewise, up to its end: the last of them is to be fed, which is a "\n" */
};

/* Bytes are missing. */
enum resp_skipped resp_skip(struct resp_reader *reader, uint64_t len);

/* ---- the short ways of values that lie whole in the view ---- */

/* A request. Bytes used; 0: cut, inline, or odd: for resp_feed to tell. */
size_t resp_whole_request(struct bytes view, struct resp_value *ret_value);

/* The first and the last of some arguments. */
struct resp_ends {
    struct bytes first, last;
};

/* Arguments without what stands before them, one at least. Bytes used; 0: likewise. */
size_t resp_whole_arguments(struct bytes view, uint32_t count, struct resp_ends *ret_ends);

/* A reply that is one line or one bulk. Bytes used; 0: likewise. */
size_t resp_whole_reply(struct bytes view, struct resp_value *ret_value);

/* ---- looking at a value ---- */

static inline struct bytes resp_text(const struct resp_item *item) {
    return bytes_of(item->text, item->text_len);
}

/* Splits the line of an inline command, at most RESP_TEXT bytes of it, into words as servers do;
 * they become the items of an array, as a request has them, with their texts in `store`. False:
 * unbalanced quotes, which the server refuses. */
bool resp_split_inline(struct bytes line, uint8_t store[RESP_TEXT], struct resp_value *ret_value);

/* A word without the quotes around it, if it has any. */
static inline struct bytes resp_unquoted(struct bytes word) {
    bool quoted = word.len >= 2 && (word.data[0] == '"' || word.data[0] == '\'') &&
                  word.data[word.len - 1] == word.data[0];
    return quoted ? bytes_of(word.data + 1, word.len - 2) : word;
}

/* The type as a word: "simple-string", "error", ... */
const char *resp_type_name(uint8_t type);

#endif
