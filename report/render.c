/* render.c - the table of field kinds, and the walk over an event's fields. */
#include "report/render.h"
#include "base/by_word.h"
#include "decode/flow.h"
#include "report/format.h"
#include "report/render_lists.h"

#include <stdio.h>

/* ---- flags, nodes, addresses: used by reports too ---- */

enum { FLAG_TEXT = 16 };

/* The next flag of `flags` as a word; its bit is taken out. What has no name is one hex number,
 * written into `unnamed`. */
static const char *next_flag(uint32_t *flags, const struct bus_flag_row *rows, size_t count,
                             char unnamed[FLAG_TEXT]) {
    for (size_t i = 0; i < count; i++) {
        if (*flags & rows[i].bit) {
            *flags &= ~(uint32_t)rows[i].bit;
            return rows[i].name;
        }
    }
    (void)snprintf(unnamed, FLAG_TEXT, "0x%x", (unsigned)*flags);
    *flags = 0;
    return unnamed;
}

void render_flags(struct buf *buf, uint32_t flags, const struct bus_flag_row *rows, size_t count) {
    char unnamed[FLAG_TEXT];
    for (bool first = true; flags; first = false) {
        if (!first)
            buf_add(buf, ",", 1);
        buf_text(buf, next_flag(&flags, rows, count, unnamed));
    }
}

void render_json_flags(struct json *json, const char *key, uint32_t flags,
                       const struct bus_flag_row *rows, size_t count) {
    char unnamed[FLAG_TEXT];
    json_open(json, key, '[');
    while (flags)
        json_text(json, NULL, next_flag(&flags, rows, count, unnamed));
    json_close(json, ']');
}

void render_node_short(struct buf *buf, const char *id) {
    buf_wire_text(buf, bytes_of(id, NODE_SHORT), NODE_SHORT);
}

void render_json_node(struct json *json, const char *key, const char *id) {
    if (id)
        json_wire_text(json, key, bytes_of(id, BUS_NODE_ID), BUS_NODE_ID);
    else
        json_null(json, key);
}

void render_json_endpoint(struct json *json, const char *key, const struct endpoint *endpoint) {
    char text[ENDPOINT_TEXT];
    endpoint_text(endpoint, text);
    json_text(json, key, text);
}

/* ---- the kinds: text ---- */

static void text_NUM(struct buf *buf, struct field_value value) {
    buf_u64(buf, *(const field_NUM *)value.at);
}

static void text_MAYBE(struct buf *buf, struct field_value value) {
    uint64_t number = *(const field_MAYBE *)value.at;
    if (number != NOT_KNOWN)
        buf_u64(buf, number);
}

static void text_HIDDEN(struct buf *buf, struct field_value value) {
    (void)buf;
    (void)value;
}

static void text_BOOL(struct buf *buf, struct field_value value) {
    if (*(const field_BOOL *)value.at)
        buf_text(buf, "yes");
}

static void text_USUAL(struct buf *buf, struct field_value value) {
    if (!*(const field_USUAL *)value.at)
        buf_text(buf, "no");
}

static void text_WORD(struct buf *buf, struct field_value value) {
    const char *word = *(const field_WORD *)value.at;
    if (word)
        buf_text(buf, word);
}

static void text_NODE(struct buf *buf, struct field_value value) {
    const char *id = *(const field_NODE *)value.at;
    if (id)
        buf_wire_text(buf, bytes_of(id, value.style->whole ? BUS_NODE_ID : NODE_SHORT),
                      BUS_NODE_ID);
}

static void text_TEXT(struct buf *buf, struct field_value value) {
    render_quoted(buf, *(const field_TEXT *)value.at);
}

/* Longer words, or others than such, may be anything: an argument that an error repeats. */
static void text_WORD_OF(struct buf *buf, struct field_value value) {
    struct bytes word = *(const field_WORD_OF *)value.at;
    if (word.len > 0)
        buf_add(buf, bytes_word(word).data, bytes_word(word).len);
}

static const char *command_word(struct field_value value) {
    const struct command *command = *(const field_COMMAND *)value.at;
    return command ? command->name : "unknown";
}

static void text_COMMAND(struct buf *buf, struct field_value value) {
    buf_text(buf, command_word(value));
}

static void text_SLOTS(struct buf *buf, struct field_value value) {
    buf_slots(buf, *(const field_SLOTS *)value.at);
}

static void text_ENDPOINT(struct buf *buf, struct field_value value) {
    const struct endpoint *endpoint = *(const field_ENDPOINT *)value.at;
    char text[ENDPOINT_TEXT];
    if (!endpoint)
        return;
    endpoint_text(endpoint, text);
    buf_text(buf, text);
}

static void text_NODE_FLAGS(struct buf *buf, struct field_value value) {
    render_flags(buf, *(const field_NODE_FLAGS *)value.at, bus_node_flag_rows, bus_node_flag_count);
}

static void text_MFLAGS(struct buf *buf, struct field_value value) {
    render_flags(buf, *(const field_MFLAGS *)value.at, bus_mflag_rows, bus_mflag_count);
}

static const char *state_word(struct field_value value) {
    return *(const field_STATE *)value.at ? "fail" : "ok";
}

static void text_STATE(struct buf *buf, struct field_value value) {
    buf_text(buf, state_word(value));
}

static void text_BUS_TYPE(struct buf *buf, struct field_value value) {
    buf_text(buf, bus_type_names[*(const field_BUS_TYPE *)value.at]);
}

static void text_ANOMALY(struct buf *buf, struct field_value value) {
    buf_text(buf, anomaly_rows[*(const field_ANOMALY *)value.at].name);
}

/* ---- the kinds: JSON ---- */

static void json_NUM(struct json *json, const char *key, struct field_value value) {
    json_u64(json, key, *(const field_NUM *)value.at);
}

void render_json_maybe(struct json *json, const char *key, uint64_t number) {
    if (number != NOT_KNOWN)
        json_u64(json, key, number);
    else
        json_null(json, key);
}

static void json_MAYBE(struct json *json, const char *key, struct field_value value) {
    render_json_maybe(json, key, *(const field_MAYBE *)value.at);
}

static void json_HIDDEN(struct json *json, const char *key, struct field_value value) {
    (void)json;
    (void)key;
    (void)value;
}

static void json_BOOL(struct json *json, const char *key, struct field_value value) {
    json_bool(json, key, *(const field_BOOL *)value.at);
}

static void json_USUAL(struct json *json, const char *key, struct field_value value) {
    json_bool(json, key, *(const field_USUAL *)value.at);
}

static void json_WORD(struct json *json, const char *key, struct field_value value) {
    json_text(json, key, *(const field_WORD *)value.at);
}

static void json_NODE(struct json *json, const char *key, struct field_value value) {
    render_json_node(json, key, *(const field_NODE *)value.at);
}

static void json_TEXT(struct json *json, const char *key, struct field_value value) {
    json_wire_text(json, key, *(const field_TEXT *)value.at, TEXT_SHOWN);
}

static void json_WORD_OF(struct json *json, const char *key, struct field_value value) {
    struct bytes word = *(const field_WORD_OF *)value.at;
    if (word.len > 0)
        json_text_of(json, key, bytes_word(word));
    else
        json_null(json, key);
}

static void json_COMMAND(struct json *json, const char *key, struct field_value value) {
    json_text(json, key, command_word(value));
}

static void json_SLOTS(struct json *json, const char *key, struct field_value value) {
    struct buf ranges = {.max = SLOTS_TEXT};
    buf_slots(&ranges, *(const field_SLOTS *)value.at);
    json_text_of(json, key, bytes_of(ranges.data, ranges.len));
    json->buf->failed |= ranges.failed;
    buf_free(&ranges);
}

static void json_ENDPOINT(struct json *json, const char *key, struct field_value value) {
    const struct endpoint *endpoint = *(const field_ENDPOINT *)value.at;
    if (endpoint)
        render_json_endpoint(json, key, endpoint);
    else
        json_null(json, key);
}

static void json_NODE_FLAGS(struct json *json, const char *key, struct field_value value) {
    render_json_flags(json, key, *(const field_NODE_FLAGS *)value.at, bus_node_flag_rows,
                      bus_node_flag_count);
}

static void json_MFLAGS(struct json *json, const char *key, struct field_value value) {
    render_json_flags(json, key, *(const field_MFLAGS *)value.at, bus_mflag_rows, bus_mflag_count);
}

static void json_STATE(struct json *json, const char *key, struct field_value value) {
    json_text(json, key, state_word(value));
}

static void json_BUS_TYPE(struct json *json, const char *key, struct field_value value) {
    json_text(json, key, bus_type_names[*(const field_BUS_TYPE *)value.at]);
}

static void json_ANOMALY(struct json *json, const char *key, struct field_value value) {
    json_text(json, key, anomaly_rows[*(const field_ANOMALY *)value.at].name);
}

/* ---- the table ---- */

static const struct kind_row {
    void (*text)(struct buf *buf, struct field_value value); /* adds nothing: not known */
    void (*json)(struct json *json, const char *key, struct field_value value);
    size_t size; /* of the value: all zero says nothing in a bus message */
} kind_rows[FIELD_KIND_COUNT] = {
#define FIELD_KIND(kind, type) [FIELD_##kind] = {text_##kind, json_##kind, sizeof(type)},
    FIELD_KINDS(FIELD_KIND)
#undef FIELD_KIND
};

static const void *value_of(const struct event *event, const struct event_field *field) {
    return (const uint8_t *)event + field->offset;
}

static bool is_zero(const void *value, size_t size) {
    static const uint8_t zeros[64];
    _Static_assert(sizeof(struct bus_extensions) <= sizeof zeros, "largest kind of field");
    return memcmp(value, zeros, size) == 0;
}

/* ---- the walk ---- */

void render_field(struct buf *buf, const struct event *event, const struct event_field *field,
                  const struct render_style *style) {
    kind_rows[field->kind].text(buf, (struct field_value){value_of(event, field), style});
}

static void render_pair(struct buf *buf, const struct event *event, const struct event_field *field,
                        const struct render_style *style) {
    size_t before = buf->len;
    buf_add(buf, " ", 1);
    buf_text(buf, field->name);
    buf_add(buf, "=", 1);
    size_t after = buf->len;
    render_field(buf, event, field, style);
    if (buf->len == after)
        buf_cut(buf, before); /* no value, no key */
}

void render_fields(struct buf *buf, const struct event *event, const struct event_field *fields,
                   const struct render_style *style) {
    bool terse = event->type == EV_bus_message;
    for (; fields->name; fields++) {
        if (terse && is_zero(value_of(event, fields), kind_rows[fields->kind].size))
            continue;
        render_pair(buf, event, fields, style);
    }
}

void render_json(struct json *json, const struct event *event, const struct render_style *style) {
    json_open(json, NULL, '{');
    json_time(json, "time", event->time);
    json_text(json, "event", event_rows[event->type].name);
    json_u64(json, "source", event->source);
    json_u64(json, "frame", event->frame);
    if (event->flow) {
        render_json_endpoint(json, "src", &event->flow->ends[event->direction]);
        render_json_endpoint(json, "dst", &event->flow->ends[!event->direction]);
    }
    const struct event_field *field = event_rows[event->type].fields();
    for (; field->name; field++) {
        struct field_value value = {value_of(event, field), style};
        if (field->kind == FIELD_KEYS && style->keys == SHOW_NO_KEYS)
            continue;
        if (event_field_known(event, field))
            kind_rows[field->kind].json(json, field->name, value);
        else
            json_null(json, field->name);
    }
    json_close(json, '}');
}
