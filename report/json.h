/* json.h - a streaming JSON writer: members go straight into a buffer that the caller empties
 * whenever he likes, so a report of any size needs little memory.
 *
 *   json_open(&json, NULL, '{');
 *   json_u64(&json, "packets", 12);           in an array the key is NULL
 *   json_close(&json, '}');
 *
 * Integers are exact to 64 bits. The output is ASCII: whatever else a text holds is escaped. */
#ifndef BUSTAP_REPORT_JSON_H
#define BUSTAP_REPORT_JSON_H

#include "base/buf.h"

struct json {
    struct buf *buf;
    bool comma;      /* the next member needs one before it */
    unsigned depth;  /* of open objects and arrays */
    unsigned pretty; /* down to this depth each member stands on a line of its own; 0: nowhere */
};

/* `bracket` is '{' or '[', and the same one's other half to close it. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

void json_null(struct json *json, const char *key);
void json_bool(struct json *json, const char *key, bool value);
void json_u64(struct json *json, const char *key, uint64_t value);
void json_real(struct json *json, const char *key, double value); /* not finite: null */

/* Our own words; NULL is null. */
void json_text(struct json *json, const char *key, const char *text);

/* Words in hand, as the text of another writer: escaped likewise. */
void json_text_of(struct json *json, const char *key, struct bytes text);

/* Text from the wire: hostile. Printable characters of any language reach the reader as they are
 * (as \u escapes); a backslash is doubled, and bytes that are no such character read \xHH. At most
 * `shown` bytes of it, then "...". */
void json_wire_text(struct json *json, const char *key, struct bytes text, size_t shown);

/* RFC 3339; TIME_NONE is null. */
void json_time(struct json *json, const char *key, nstime time);

#endif
