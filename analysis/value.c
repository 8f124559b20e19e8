/* value.c - trees of values in an arena. */
#include "analysis/value.h"

struct value value_root(enum value_kind kind, struct arena *arena) {
    return (struct value){.kind = kind, .arena = arena};
}

static struct value *add(struct value *parent, const char *name, enum value_kind kind) {
    struct value *value = parent ? arena_take(parent->arena, sizeof *value) : NULL;
    if (!value)
        return NULL;
    value->kind = kind;
    value->name = name;
    if (parent->last)
        parent->last->next = value;
    else
        parent->first = value;
    parent->last = value;
    parent->count++;
    return value;
}

void value_number(struct value *parent, const char *name, uint64_t number) {
    struct value *value = add(parent, name, VALUE_NUMBER);
    if (value)
        value->number = number;
}

void value_ms(struct value *parent, const char *name, nstime span) {
    value_number(parent, name, (uint64_t)((span + NS_PER_MS / 2) / NS_PER_MS));
}

void value_real(struct value *parent, const char *name, double real) {
    struct value *value = add(parent, name, VALUE_REAL);
    if (value)
        value->real = real;
}

void value_bool(struct value *parent, const char *name, bool truth) {
    struct value *value = add(parent, name, VALUE_BOOL);
    if (value)
        value->truth = truth;
}

static void add_text(struct value *parent, const char *name, enum value_kind kind,
                     struct bytes text) {
    char *copy = parent ? arena_text(parent->arena, text.data, text.len) : NULL;
    struct value *value = copy ? add(parent, name, kind) : NULL;
    if (value)
        value->text = bytes_of(copy, text.len);
}

void value_text(struct value *parent, const char *name, const char *text) {
    add_text(parent, name, VALUE_TEXT, bytes_str(text));
}

void value_wire(struct value *parent, const char *name, struct bytes text) {
    add_text(parent, name, VALUE_WIRE, text);
}

void value_key(struct value *parent, const char *name, struct bytes key) {
    add_text(parent, name, VALUE_KEY, key);
}

void value_node(struct value *parent, const char *name, const char *node) {
    struct value *value = add(parent, name, VALUE_NODE);
    if (value)
        memcpy(value->node, node, BUS_NODE_ID);
}

void value_addr(struct value *parent, const char *name, const struct endpoint *addr) {
    struct value *value = add(parent, name, VALUE_ADDR);
    if (value)
        value->addr = *addr;
}

void value_slots(struct value *parent, const char *name, const uint8_t *slots) {
    uint8_t *copy = parent ? arena_take(parent->arena, BUS_SLOT_BYTES) : NULL;
    struct value *value = copy ? add(parent, name, VALUE_SLOTS) : NULL;
    if (!value)
        return;
    memcpy(copy, slots, BUS_SLOT_BYTES);
    value->slots = copy;
}

void value_time(struct value *parent, const char *name, nstime time) {
    struct value *value = add(parent, name, VALUE_TIME);
    if (value)
        value->time = time;
}

static struct value *add_container(struct value *parent, const char *name, enum value_kind kind) {
    struct value *value = add(parent, name, kind);
    if (value)
        value->arena = parent->arena;
    return value;
}

struct value *value_list(struct value *parent, const char *name) {
    return add_container(parent, name, VALUE_LIST);
}

struct value *value_keyed_list(struct value *parent, const char *name) {
    struct value *list = value_list(parent, name);
    if (list)
        list->keyed = true;
    return list;
}

struct value *value_object(struct value *parent, const char *name) {
    return add_container(parent, name, VALUE_OBJECT);
}

bool value_has_node(const struct value *list, const char *node) {
    for (const struct value *item = list->first; item; item = item->next)
        if (item->kind == VALUE_NODE && memcmp(item->node, node, BUS_NODE_ID) == 0)
            return true;
    return false;
}

bool value_has_addr(const struct value *list, const struct endpoint *addr) {
    for (const struct value *item = list->first; item; item = item->next)
        if (item->kind == VALUE_ADDR && endpoint_equal(&item->addr, addr))
            return true;
    return false;
}
