/* value.h - what a finding measures: numbers, names, nodes, and lists and objects of these.
 *
 *   struct value *claimant = value_object(value_list(metrics, "claimants"), NULL);
 *   value_node(claimant, "node", id);
 *   value_number(claimant, "epoch", 7);
 *
 * A value is added to a list (without a name) or an object (with one), and lives in their arena.
 * Names are static. Without memory nothing is added, NULL is given back, and NULL as a parent is
 * passed over: so the writer looks once, at the arena. */
#ifndef BUSTAP_ANALYSIS_VALUE_H
#define BUSTAP_ANALYSIS_VALUE_H

#include "base/arena.h"
#include "decode/bus.h"
#include "decode/endpoint.h"

enum value_kind {
    VALUE_NUMBER,
    VALUE_REAL,
    VALUE_BOOL,
    VALUE_TEXT,  /* our own words */
    VALUE_WIRE,  /* text from the wire: hostile */
    VALUE_KEY,   /* likewise, a key: shown as --keys says; empty: not known */
    VALUE_NODE,  /* BUS_NODE_ID digits */
    VALUE_ADDR,  /* address and port */
    VALUE_SLOTS, /* a set of them */
    VALUE_TIME,
    VALUE_LIST,
    VALUE_OBJECT,
};

struct value {
    enum value_kind kind;
    const char *name;   /* NULL: an item of a list */
    struct value *next; /* in its list or object */
    union {
        uint64_t number;
        double real;
        bool truth;
        struct bytes text; /* of a TEXT, WIRE or KEY */
        char node[BUS_NODE_ID];
        struct endpoint addr;
        const uint8_t *slots; /* BUS_SLOT_BYTES */
        nstime time;
        struct { /* of a list or an object */
            struct arena *arena;
            struct value *first, *last;
            size_t count;
            bool keyed; /* it is about keys: not shown at all if they are not */
        };
    };
};

/* An object or a list of its own, to be filled. */
struct value value_root(enum value_kind kind, struct arena *arena);

void value_number(struct value *parent, const char *name, uint64_t number);
void value_ms(struct value *parent, const char *name, nstime span); /* rounded, as in titles */
void value_real(struct value *parent, const char *name, double real);
void value_bool(struct value *parent, const char *name, bool truth);
void value_text(struct value *parent, const char *name, const char *text);  /* copied */
void value_wire(struct value *parent, const char *name, struct bytes text); /* copied */
void value_key(struct value *parent, const char *name, struct bytes key);   /* likewise */
void value_node(struct value *parent, const char *name, const char *node);
void value_addr(struct value *parent, const char *name, const struct endpoint *addr);
void value_slots(struct value *parent, const char *name, const uint8_t *slots); /* copied */
void value_time(struct value *parent, const char *name, nstime time);
struct value *value_list(struct value *parent, const char *name);
struct value *value_keyed_list(struct value *parent, const char *name);
struct value *value_object(struct value *parent, const char *name);

/* Is the node, or the address, an item of the list? */
bool value_has_node(const struct value *list, const char *node);
bool value_has_addr(const struct value *list, const struct endpoint *addr);

#endif
