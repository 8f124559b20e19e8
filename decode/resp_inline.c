/* resp_inline.c - the line of an inline command split into words, as servers do (sdssplitargs):
 * blanks part words, "..." takes escapes, '...' only \', and a NUL ends the line. */
#include "decode/resp.h"

/* What may stand between words, and behind a quote... */
static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* ... and what ends a word that has none. */
static bool ends_word(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static int hex_digit(uint8_t byte) {
    static const char digits[] = "0123456789abcdef";
    const char *at = byte >= '0' ? strchr(digits, byte >= 'A' ? byte | 0x20 : byte) : NULL;
    return at ? (int)(at - digits) : -1;
}

struct splitter {
    const uint8_t *at, *end;
    uint8_t *to; /* where the word in hand is written */
};

static uint8_t escaped(uint8_t byte) {
    static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
    const char *found = byte ? strchr(from, byte) : NULL;
    return found ? (uint8_t)to[found - from] : byte;
}

/* The byte after a backslash, within "...". */
static void take_escape(struct splitter *s) {
    int high = s->end - s->at >= 3 && *s->at == 'x' ? hex_digit(s->at[1]) : -1;
    int low = high >= 0 ? hex_digit(s->at[2]) : -1;
    if (low >= 0) {
        *s->to++ = (uint8_t)(high << 4 | low);
        s->at += 3;
    } else {
        *s->to++ = escaped(*s->at++);
    }
}

/* A quoted part, whose quote has been taken. False: it does not end, or ends within a word. */
static bool take_quoted(struct splitter *s, uint8_t quote) {
    while (s->at < s->end && *s->at != quote) {
        bool backslash = *s->at == '\\' && s->end - s->at >= 2;
        if (backslash && quote == '"') {
            s->at++;
            take_escape(s);
        } else if (backslash && s->at[1] == '\'') {
            *s->to++ = '\'';
            s->at += 2;
        } else {
            *s->to++ = *s->at++;
        }
    }
    if (s->at == s->end)
        return false;
    s->at++;
    return s->at == s->end || is_blank(*s->at);
}

static bool take_word(struct splitter *s) {
    while (s->at < s->end && !ends_word(*s->at)) {
        uint8_t byte = *s->at++;
        if (byte != '"' && byte != '\'')
            *s->to++ = byte;
        else
            return take_quoted(s, byte);
    }
    return true;
}

static void skip_blanks(struct splitter *s) {
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
}

bool resp_split_inline(struct bytes line, uint8_t store[RESP_TEXT], struct resp_value *ret_value) {
    const uint8_t *end = line.len ? memchr(line.data, '\0', line.len) : NULL;
    if (end)
        line.len = (size_t)(end - line.data);
    struct splitter s = {line.data, line.len ? line.data + line.len : line.data, store};
    ret_value->count = 1;
    ret_value->text_used = 0;
    ret_value->items[0] = (struct resp_item){.type = '*'};
    for (skip_blanks(&s); s.at < s.end; skip_blanks(&s)) {
        const uint8_t *word = s.to;
        if (!take_word(&s))
            return false;
        ret_value->items[0].number++;
        if (ret_value->count == RESP_ITEMS)
            continue;
        ret_value->items[ret_value->count++] =
            (struct resp_item){.number = s.to - word,
                               .text = word,
                               .text_len = (uint16_t)(s.to - word),
                               .type = '$',
                               .depth = 1};
    }
    return true;
}
