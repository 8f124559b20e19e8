/* render_lists.h - the kinds of field that are lists, and text in quotes; private to render*.c. */
#ifndef BUSTAP_REPORT_RENDER_LISTS_H
#define BUSTAP_REPORT_RENDER_LISTS_H

#include "report/render.h"

/* Hostile text as one word: in quotes if it has blanks or quotes of its own. */
void render_quoted(struct buf *buf, struct bytes text);

void text_GOSSIP(struct buf *buf, const void *value, bool whole);
void text_EXTENSIONS(struct buf *buf, const void *value, bool whole);
void json_GOSSIP(struct json *json, const char *key, const void *value);
void json_EXTENSIONS(struct json *json, const char *key, const void *value);

#endif
