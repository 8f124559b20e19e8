/* event.h - a decoded fact with its time and its place; the kinds are the rows of events.def.
 *
 * An event and every view in it live until the callback returns: keep nothing, copy what you need.
 * Events of one direction come in stream order, events of a run in packet order, save for a message
 * found after a gap: it is told late, with the time and frame that it had. */
#ifndef BUSTAP_DECODE_EVENT_H
#define BUSTAP_DECODE_EVENT_H

#include "decode/anomaly.h"
#include "decode/bus.h"
#include "decode/command.h"
#include "decode/endpoint.h"

#define NOT_KNOWN UINT64_MAX /* of a field of kind MAYBE */

/* The keys of a request: command_keys finds them when somebody looks. */
struct request_keys {
    const struct command *command; /* NULL: not known, so without keys */
    const struct request_args *args;
};

/* FIELD_KIND(kind, C type): report/render.c has a text form and a JSON form for each. */
#define FIELD_KINDS(FIELD_KIND)                                                              \
    FIELD_KIND(NUM, uint64_t)                                                                \
    FIELD_KIND(MAYBE, uint64_t)  /* NOT_KNOWN: not known */                                  \
    FIELD_KIND(HIDDEN, uint64_t) /* for the analysis alone; zero: none */                    \
    FIELD_KIND(USUAL, bool)      /* true nearly always: text says so only where it is not */ \
    FIELD_KIND(BOOL, bool)                                                                   \
    FIELD_KIND(WORD, const char *)    /* one of our own words; NULL: not known */            \
    FIELD_KIND(NODE, const char *)    /* BUS_NODE_ID digits; NULL: not known */              \
    FIELD_KIND(TEXT, struct bytes)    /* from the wire: hostile */                           \
    FIELD_KIND(WORD_OF, struct bytes) /* a word of the wire: letters, digits; empty: none */ \
    FIELD_KIND(COMMAND, const struct command *)   /* NULL: one that we do not know */        \
    FIELD_KIND(KEYS, struct request_keys)         /* shown only if --keys says so */         \
    FIELD_KIND(SLOTS, const uint8_t *)            /* BUS_SLOT_BYTES; NULL: none */           \
    FIELD_KIND(ENDPOINT, const struct endpoint *) /* NULL: not known */                      \
    FIELD_KIND(NODE_FLAGS, uint16_t)                                                         \
    FIELD_KIND(MFLAGS, uint8_t)                                                              \
    FIELD_KIND(STATE, uint8_t) /* 0 ok, else fail */                                         \
    FIELD_KIND(BUS_TYPE, enum bus_type)                                                      \
    FIELD_KIND(ANOMALY, enum anomaly)                                                        \
    FIELD_KIND(GOSSIP, struct bus_gossip)                                                    \
    FIELD_KIND(EXTENSIONS, struct bus_extensions)

#define FIELD_KIND(kind, type) FIELD_##kind,
enum field_kind { FIELD_KINDS(FIELD_KIND) FIELD_KIND_COUNT };
#undef FIELD_KIND
#define FIELD_KIND(kind, type) typedef type field_##kind;
FIELD_KINDS(FIELD_KIND)
#undef FIELD_KIND

#define F(kind, name) field_##kind name;
#define EVENT(symbol, name, visibility, help, fields) \
    struct ev_##symbol {                              \
        fields                                        \
    };
#include "decode/events.def"
#undef F
#undef EVENT

#define EVENT(symbol, name, visibility, help, fields) EV_##symbol,
enum event_type {
#include "decode/events.def"
    EV_COUNT
};
#undef EVENT

/* Sets of events. The conclusions are the rows from node_seen on. */
#define EVENT_BIT(symbol)  (UINT64_C(1) << EV_##symbol)
#define EVENTS_ALL         UINT64_MAX
#define EVENTS_CONCLUSIONS (UINT64_MAX << EV_node_seen)
static_assert(EV_COUNT <= 64, "a set of events is one word");

struct flow;

struct event {
    enum event_type type;
    uint8_t direction; /* of the flow: who sent it is flow->ends[direction] */
    uint16_t source;
    uint64_t frame;
    nstime time;
    struct flow *flow; /* NULL: below TCP, or a conclusion; read-only but for its note */
    union {
#define EVENT(symbol, name, visibility, help, fields) struct ev_##symbol symbol;
#include "decode/events.def"
#undef EVENT
    };
};

struct event_field {
    const char *name;
    enum field_kind kind;
    size_t offset; /* within struct event */
};

enum event_visibility { SHOWN, QUIET };

struct event_row {
    const char *name;
    const char *help;
    enum event_visibility visibility;
    const struct event_field *(*fields)(void); /* ends with a row whose name is NULL */
};
extern const struct event_row event_rows[EV_COUNT];

/* Is the field's value a fact? Of a bus message whose bytes are not all there only the framing is
 * known, and a light one has no header: its other fields are zero for want of anything better. */
bool event_field_known(const struct event *event, const struct event_field *field);

typedef void event_fn(void *context, const struct event *event);

#endif
