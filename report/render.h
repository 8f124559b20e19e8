/* render.h - events as text and as JSON, from their descriptors: one text form and one JSON form
 * for each kind of field, so a new field of a known kind is rendered without a line of code.
 *
 * Keys of requests are shown only if the style says so. Nothing that a node can put on the wire
 * reaches the output but as printable ASCII, and nothing of Redis 8's internal secret does. */
#ifndef BUSTAP_REPORT_RENDER_H
#define BUSTAP_REPORT_RENDER_H

#include "base/siphash.h"
#include "decode/event.h"
#include "report/json.h"

enum {
    NODE_SHORT = 8,   /* digits of a node id in text */
    TEXT_SHOWN = 512, /* bytes of a hostile text */
};

/* How the keys of requests are shown: `--keys`. */
enum show_keys { SHOW_NO_KEYS, SHOW_PSEUDONYMS, SHOW_KEYS };

struct render_style {
    bool whole; /* long ids, and every gossip entry instead of a count */
    enum show_keys keys;
    struct siphash_key secret; /* of pseudonyms: the same key has the same one within a run */
};

/* Flags as words with commas between them; bits without a name as hex. */
void render_flags(struct buf *buf, uint32_t flags, const struct bus_flag_row *rows, size_t count);

void render_node_short(struct buf *buf, const char *id);

/* The value of a field as text: nothing if it is not known, empty or false. */
void render_field(struct buf *buf, const struct event *event, const struct event_field *field,
                  const struct render_style *style);

/* " key=value" for each field from `fields` on that has something to say. In a bus message, which
 * has fields for every type, zero says nothing; in other events it is a value. */
void render_fields(struct buf *buf, const struct event *event, const struct event_field *fields,
                   const struct render_style *style);

/* The whole event as one JSON object: time, event, source, frame, src, dst, then all fields, but
 * for keys that are not to be shown. */
void render_json(struct json *json, const struct event *event, const struct render_style *style);

/* One key, which the style must allow to be shown: as it is, or as its pseudonym. */
void render_key(struct buf *buf, const struct render_style *style, struct bytes key);
void render_json_key(struct json *json, const char *key, const struct render_style *style,
                     struct bytes name);

/* Flags of a node as an array of words. */
void render_json_flags(struct json *json, const char *key, uint32_t flags,
                       const struct bus_flag_row *rows, size_t count);

/* NOT_KNOWN is null. */
void render_json_maybe(struct json *json, const char *key, uint64_t number);

void render_json_endpoint(struct json *json, const char *key, const struct endpoint *endpoint);
void render_json_node(struct json *json, const char *key, const char *id); /* NULL is null */

#endif
