/* resp_whole.c - the short ways of what nearly all traffic is made of: requests and simple replies
 * that lie whole in one segment. What they do not take is read by resp.c, which would say the same
 * of what they take: tests/unit/test_resp.c compares the two. */
#include "decode/resp.h"

/* Digits and CRLF: a count or a length of at most seven digits, so that nothing overflows. Returns
 * where the next line begins; NULL: it is cut, or odd. */
static const uint8_t *take_digits(const uint8_t *at, const uint8_t *end, uint32_t *ret_number) {
    uint32_t number = 0;
    const uint8_t *from = at;
    for (; at < end && (unsigned)(*at - '0') < 10; at++)
        number = number * 10 + (*at - (unsigned)'0');
    if (at == from || at - from > 7 || end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return NULL;
    *ret_number = number;
    return at + 2;
}

/* The same; one digit, or two, take one look. */
static inline const uint8_t *take_number(const uint8_t *at, const uint8_t *end,
                                         uint32_t *ret_number) {
    uint32_t line;
    if (UNLIKELY(end - at < 4))
        return take_digits(at, end, ret_number);
    memcpy(&line, at, sizeof line); /* its bytes from the lowest on */
    uint32_t high = (line & 0xff) - '0', low = (line >> 8 & 0xff) - '0';
    if (LIKELY((line & 0x00ffff00) == 0x000a0d00 && high < 10)) {
        *ret_number = high;
        return at + 3;
    }
    if (LIKELY((line & 0xffff0000) == 0x0a0d0000 && high < 10 && low < 10)) {
        *ret_number = high * 10 + low;
        return at + 4;
    }
    return take_digits(at, end, ret_number);
}

/* Fills in what is kept of an argument. */
static inline void add_argument(struct resp_value *value, const uint8_t *text, uint32_t len) {
    if (value->count >= RESP_ITEMS)
        return;
    uint32_t room = (uint32_t)min_size(RESP_TEXT, RESP_TEXTS - value->text_used), kept = len;
    if (UNLIKELY(len > room))
        kept = room < ARGUMENT_KEPT ? 0 : room;
    struct resp_item *item = &value->items[value->count++];
    item->number = len;
    item->text = text;
    item->text_len = (uint16_t)kept;
    item->type = '$';
    item->depth = 1;
    value->text_used += kept;
}

static inline void begin(struct resp_value *value, uint8_t type, int64_t number) {
    value->count = 1;
    value->text_used = 0;
    value->lost = false;
    value->items[0] = (struct resp_item){.number = number, .type = type};
}

/* One argument: its length and its bytes. Returns what follows it; NULL: it is cut, or odd. */
static inline const uint8_t *take_argument(const uint8_t *at, const uint8_t *end,
                                           uint32_t *ret_len) {
    if (UNLIKELY(end - at < 4 || *at != '$'))
        return NULL;
    at = take_number(at + 1, end, ret_len);
    if (UNLIKELY(!at || (size_t)(end - at) < (size_t)*ret_len + 2))
        return NULL;
    uint16_t line_end;
    memcpy(&line_end, at + *ret_len, sizeof line_end);
    return line_end == 0x0a0d ? at + *ret_len + 2 : NULL;
}

/* Of a view this short everything is kept. */
static inline bool is_short(struct bytes view, uint32_t count) {
    return view.len <= RESP_TEXT && count < RESP_ITEMS;
}

size_t resp_whole_request(struct bytes view, struct resp_value *ret_value) {
    const uint8_t *at = view.data, *end = view.data + view.len;
    uint32_t count, len, texts = 0;
    if (view.len < 4 || *at != '*' || !(at = take_number(at + 1, end, &count)))
        return 0;
    bool all = is_short(view, count);
    struct resp_item *item = &ret_value->items[1];
    begin(ret_value, '*', count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *next = take_argument(at, end, &len);
        if (UNLIKELY(!next))
            return 0;
        if (LIKELY(all))
            *item++ = (struct resp_item){len, next - len - 2, (uint16_t)len, '$', 1};
        else
            add_argument(ret_value, next - len - 2, len);
        texts += len;
        at = next;
    }
    if (LIKELY(all)) {
        ret_value->count = count + 1;
        ret_value->text_used = texts;
    }
    ret_value->bytes = (uint64_t)(at - view.data);
    return (size_t)ret_value->bytes;
}

size_t resp_whole_arguments(struct bytes view, uint32_t count, struct resp_ends *ret_ends) {
    const uint8_t *at = view.data, *end = view.data + view.len;
    uint32_t len;
    at = take_argument(at, end, &len);
    if (UNLIKELY(!at))
        return 0;
    ret_ends->first = bytes_of(at - len - 2, len);
    for (uint32_t left = count - 1; left > 0; left--) {
        at = take_argument(at, end, &len);
        if (UNLIKELY(!at))
            return 0;
    }
    ret_ends->last = bytes_of(at - len - 2, len);
    return (size_t)(at - view.data);
}

static size_t whole_line(struct bytes view, struct resp_value *value) {
    const uint8_t *end = memchr(view.data, '\n', min_size(view.len, RESP_TEXT));
    if (!end || end == view.data + 1 || end[-1] != '\r')
        return 0;
    size_t len = (size_t)(end - view.data) - 2;
    begin(value, view.data[0], (int64_t)len);
    value->items[0].text = view.data + 1;
    value->items[0].text_len = (uint16_t)len;
    value->text_used = (uint32_t)len;
    value->bytes = len + 3;
    return len + 3;
}

/* Of a reply that is a bulk nothing is kept: its bytes are somebody's data. */
static inline size_t whole_bulk(struct bytes view, struct resp_value *value) {
    uint32_t len = 0;
    if (view.len >= 5 && memcmp(view.data + 1, "-1\r\n", 4) == 0) { /* null */
        begin(value, '$', -1);
        value->bytes = 5;
        return 5;
    }
    const uint8_t *at = take_number(view.data + 1, view.data + view.len, &len);
    size_t left = at ? (size_t)(view.data + view.len - at) : 0;
    if (left < (size_t)len + 2 || at[len] != '\r' || at[len + 1] != '\n')
        return 0;
    begin(value, '$', len);
    value->bytes = (uint64_t)(at - view.data) + len + 2;
    return (size_t)value->bytes;
}

/* A small integer; a negative one is for resp_feed. */
static size_t whole_integer(struct bytes view, struct resp_value *value) {
    uint32_t number;
    const uint8_t *at = take_number(view.data + 1, view.data + view.len, &number);
    if (!at)
        return 0;
    begin(value, ':', number);
    value->bytes = (uint64_t)(at - view.data);
    return (size_t)value->bytes;
}

/* "+OK": every second reply. */
static inline size_t whole_ok(struct bytes view, struct resp_value *value) {
    begin(value, '+', 2);
    value->items[0].text = view.data + 1;
    value->items[0].text_len = 2;
    value->text_used = 2;
    value->bytes = 5;
    return 5;
}

size_t resp_whole_reply(struct bytes view, struct resp_value *ret_value) {
    if (view.len < 4)
        return 0;
    if (view.len >= 5 && memcmp(view.data, "+OK\r\n", 5) == 0)
        return whole_ok(view, ret_value);
    if (view.data[0] == '$')
        return whole_bulk(view, ret_value);
    if (view.data[0] == ':')
        return whole_integer(view, ret_value);
    return view.data[0] == '+' || view.data[0] == '-' ? whole_line(view, ret_value) : 0;
}
