/* render_lists.h - the kinds of field that are lists, and text in quotes; private to render*.c. */
#ifndef BUSTAP_REPORT_RENDER_LISTS_H
#define BUSTAP_REPORT_RENDER_LISTS_H

#include "report/render.h"

/* The value of a field, and how it is to be shown. */
struct field_value {
    const void *at;
    const struct render_style *style;
};

/* Hostile text as one word: in quotes if it has blanks or quotes of its own. */
void render_quoted(struct buf *buf, struct bytes text);

void text_GOSSIP(struct buf *buf, struct field_value value);
void text_EXTENSIONS(struct buf *buf, struct field_value value);
void text_KEYS(struct buf *buf, struct field_value value);
void json_GOSSIP(struct json *json, const char *key, struct field_value value);
void json_EXTENSIONS(struct json *json, const char *key, struct field_value value);
void json_KEYS(struct json *json, const char *key, struct field_value value);

#endif
