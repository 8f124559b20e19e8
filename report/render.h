/* render.h - events as text and as JSON, from their descriptors: one text form and one JSON form
 * for each kind of field, so a new field of a known kind is rendered without a line of code.
 *
 * Nothing that a node can put on the wire reaches the output but as printable ASCII, and nothing
 * of Redis 8's internal secret does. */
#ifndef BUSTAP_REPORT_RENDER_H
#define BUSTAP_REPORT_RENDER_H

#include "decode/event.h"
#include "report/json.h"

enum {
    NODE_SHORT = 8,   /* digits of a node id in text */
    TEXT_SHOWN = 512, /* bytes of a hostile text */
};

/* Flags as words with commas between them; bits without a name as hex. */
void render_flags(struct buf *buf, uint32_t flags, const struct bus_flag_row *rows, size_t count);

void render_node_short(struct buf *buf, const char *id);

/* The value of a field as text: nothing if it is not known or empty. `whole`: long ids, and every
 * gossip entry instead of a count. */
void render_field(struct buf *buf, const struct event *event, const struct event_field *field,
                  bool whole);

/* " key=value" for each field from `fields` on that has something to say. In a bus message, which
 * has fields for every type, zero says nothing; in other events it is a value. */
void render_fields(struct buf *buf, const struct event *event, const struct event_field *fields,
                   bool whole);

/* The whole event as one JSON object: time, event, source, frame, src, dst, then all fields. */
void render_json(struct json *json, const struct event *event);

/* Flags of a node as an array of words. */
void render_json_flags(struct json *json, const char *key, uint32_t flags,
                       const struct bus_flag_row *rows, size_t count);

void render_json_endpoint(struct json *json, const char *key, const struct endpoint *endpoint);
void render_json_node(struct json *json, const char *key, const char *id); /* NULL is null */

#endif
