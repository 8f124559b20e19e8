/* event.c - descriptors of the events, expanded from the schema. */
#include "decode/event.h"

/* A function for each event, so that every row's F() knows its struct by one local name. */
#define F(kind, name) \
    {#name, FIELD_##kind, offsetof(struct event, tcp_open) + offsetof(self, name)},
#define EVENT(symbol, name, visibility, help, fields)                                 \
    static const struct event_field *fields_of_##symbol(void) {                       \
        typedef struct ev_##symbol self __attribute__((unused));                      \
        static const struct event_field rows[] = {fields{NULL, FIELD_KIND_COUNT, 0}}; \
        return rows;                                                                  \
    }
#include "decode/events.def"
#undef F
#undef EVENT

#define EVENT(symbol, name, visibility, help, fields) \
    [EV_##symbol] = {name, help, visibility, fields_of_##symbol},
const struct event_row event_rows[EV_COUNT] = {
#include "decode/events.def"
};
#undef EVENT
