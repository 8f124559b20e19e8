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

#define WITHIN(field, from, to)                                     \
    ((field)->offset >= offsetof(struct event, bus_message.from) && \
     (field)->offset < offsetof(struct event, bus_message.to))

bool event_field_known(const struct event *event, const struct event_field *field) {
    if (event->type != EV_bus_message)
        return true;
    const struct ev_bus_message *message = &event->bus_message;
    bool in_header = WITHIN(field, current_epoch, gossip);
    bool in_body = field->offset >= offsetof(struct event, bus_message.gossip);
    bool header_seen = !message->incomplete && !message->light && message->version <= 1;
    return in_header ? header_seen : !in_body || (!message->incomplete && message->version <= 1);
}
