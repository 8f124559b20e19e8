/* said.c - the tables of src/cluster_legacy.h, written down once more, and bytes put by them. */
#include "tests/lib/said.h"

#include "tests/lib/wire.h"

#include <stdio.h>
#include <stdlib.h>

struct place {
    uint16_t at, size; /* size 0: the header has no such field */
};

static const struct place header_v1[SAID_FIELDS] = {
    [SAID_TOTLEN] = {4, 4},         [SAID_VER] = {8, 2},
    [SAID_PORT] = {10, 2},          [SAID_TYPE] = {12, 2},
    [SAID_COUNT] = {14, 2},         [SAID_CURRENT_EPOCH] = {16, 8},
    [SAID_CONFIG_EPOCH] = {24, 8},  [SAID_OFFSET] = {32, 8},
    [SAID_SENDER] = {40, 40},       [SAID_SLOTS] = {80, 2048},
    [SAID_REPLICA_OF] = {2128, 40}, [SAID_IP] = {2168, 46},
    [SAID_EXTENSIONS] = {2214, 2},  [SAID_PPORT] = {2246, 2},
    [SAID_CPORT] = {2248, 2},       [SAID_FLAGS] = {2250, 2},
    [SAID_STATE] = {2252, 1},       [SAID_MFLAGS] = {2253, 1},
};

static const struct place header_v0[SAID_FIELDS] = {
    [SAID_TOTLEN] = {4, 4},         [SAID_VER] = {8, 2},
    [SAID_TYPE] = {12, 2},          [SAID_COUNT] = {14, 2},
    [SAID_CURRENT_EPOCH] = {16, 8}, [SAID_CONFIG_EPOCH] = {24, 8},
    [SAID_OFFSET] = {32, 8},        [SAID_SENDER] = {40, 40},
    [SAID_SLOTS] = {80, 2048},      [SAID_REPLICA_OF] = {2128, 40},
    [SAID_PORT] = {2200, 2},        [SAID_FLAGS] = {2202, 2},
    [SAID_STATE] = {2204, 1},       [SAID_MFLAGS] = {2205, 1},
};

static const struct place header_light[SAID_FIELDS] = {
    [SAID_TOTLEN] = {4, 4},
    [SAID_VER] = {8, 2},
    [SAID_TYPE] = {12, 2},
};

enum { GOSSIP = 104, PRIMARY = 0x1, REPLICA = 0x2, MYSELF = 0x10, EXT_DATA = 0x4 };

static struct place place_of(const struct said *said, enum said_field field) {
    const struct place *table = said->light          ? header_light
                                : said->version == 0 ? header_v0
                                                     : header_v1;
    return table[field];
}

static void put(uint8_t *at, size_t size, uint64_t value) {
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static uint64_t get(const uint8_t *at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

void said_number(struct said *said, enum said_field field, uint64_t value) {
    struct place place = place_of(said, field);
    put(said->bytes.data + place.at, place.size, value);
}

static void count(struct said *said, enum said_field field) {
    struct place place = place_of(said, field);
    said_number(said, field, get(said->bytes.data + place.at, place.size) + 1);
}

void said_text(struct said *said, enum said_field field, const char *text) {
    struct place place = place_of(said, field);
    memset(said->bytes.data + place.at, 0, place.size);
    memcpy(said->bytes.data + place.at, text, min_size(strlen(text), place.size));
}

const char *said_id(unsigned node) {
    static char ids[8][SAID_ID + 1];
    static unsigned turn;
    char *id = ids[turn++ % countof(ids)];
    (void)snprintf(id, sizeof ids[0], "%08x%032x", node * 0x9e3779b1u, node);
    return id;
}

struct said said_new(unsigned version, unsigned type, unsigned node) {
    struct said said = {.version = version, .light = type & SAY_LIGHT};
    size_t len = said.light ? SAID_HEADER_LIGHT : version == 0 ? SAID_HEADER_V0 : SAID_HEADER;
    made_bytes(&said.bytes, "RCmb", 4);
    made_zeros(&said.bytes, len - 4);
    said_number(&said, SAID_TOTLEN, len);
    said_number(&said, SAID_VER, version);
    said_number(&said, SAID_TYPE, type);
    if (said.light)
        return said;
    said_number(&said, SAID_PORT, 6379);
    said_number(&said, SAID_CPORT, 16379);
    said_number(&said, SAID_CURRENT_EPOCH, 9);
    said_number(&said, SAID_FLAGS, MYSELF | PRIMARY);
    said_text(&said, SAID_SENDER, said_id(node));
    return said;
}

void said_free(struct said *said) {
    made_free(&said->bytes);
}

void said_slots(struct said *said, unsigned first, unsigned last) {
    uint8_t *slots = said->bytes.data + place_of(said, SAID_SLOTS).at;
    for (unsigned slot = first; slot <= last; slot++)
        slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
}

void said_replica_of(struct said *said, unsigned node) {
    said_text(said, SAID_REPLICA_OF, said_id(node));
    said_number(said, SAID_FLAGS, MYSELF | REPLICA);
}

void said_body(struct said *said, const void *data, size_t len) {
    if (data)
        made_bytes(&said->bytes, data, len);
    else
        made_zeros(&said->bytes, len);
    said_number(said, SAID_TOTLEN, said->bytes.len);
}

/* Version 0 has the flags where version 1 has the bus port. */
void said_gossip(struct said *said, const struct said_about *about) {
    uint8_t entry[GOSSIP] = {0};
    memcpy(entry, said_id(about->node), SAID_ID);
    put(entry + 40, 4, about->ping_sent);
    put(entry + 44, 4, about->pong_received);
    if (about->ip)
        memcpy(entry + 48, about->ip, min_size(strlen(about->ip), 46));
    put(entry + 94, 2, about->port);
    if (said->version == 0) {
        put(entry + 96, 2, about->flags);
    } else {
        put(entry + 96, 2, about->bus_port);
        put(entry + 98, 2, about->flags);
        put(entry + 100, 2, about->secondary_port);
    }
    said_body(said, entry, sizeof entry);
    count(said, SAID_COUNT);
}

void said_extension(struct said *said, uint16_t id, const void *data, size_t len) {
    size_t padded = (len + 7) / 8 * 8;
    uint8_t head[8] = {0};
    put(head, 4, 8 + padded);
    put(head + 4, 2, id);
    said_body(said, head, sizeof head);
    said_body(said, data, len);
    said_body(said, NULL, padded - len);
    count(said, SAID_EXTENSIONS);
    said_number(said, SAID_MFLAGS, EXT_DATA);
}

/* ---- whole messages ---- */

static void body_number(struct said *said, size_t size, uint64_t value) {
    uint8_t bytes[8];
    put(bytes, size, value);
    said_body(said, bytes, size);
}

struct said said_fail(unsigned node, unsigned about) {
    struct said said = said_new(1, SAY_FAIL, node);
    said_body(&said, said_id(about), SAID_ID);
    return said;
}

struct said said_publish(unsigned type, unsigned node, const char *channel, size_t payload) {
    struct said said = said_new(1, type, node);
    body_number(&said, 4, strlen(channel));
    body_number(&said, 4, payload);
    said_body(&said, channel, strlen(channel));
    said_body(&said, NULL, payload);
    return said;
}

struct said said_update(unsigned node, unsigned about, uint64_t epoch, unsigned first,
                        unsigned last) {
    struct said said = said_new(1, SAY_UPDATE, node);
    body_number(&said, 8, epoch);
    said_body(&said, said_id(about), SAID_ID);
    size_t slots = said.bytes.len;
    said_body(&said, NULL, 2048);
    for (unsigned slot = first; slot <= last; slot++)
        said.bytes.data[slots + (slot >> 3)] |= (uint8_t)(1u << (slot & 7));
    return said;
}

struct said said_module(unsigned type, unsigned node, uint64_t module, uint8_t kind, size_t len) {
    struct said said = said_new(1, type, node);
    body_number(&said, 8, module);
    body_number(&said, 4, len);
    said_body(&said, &kind, 1);
    said_body(&said, NULL, len);
    return said;
}

struct said said_nack(unsigned node, uint64_t epoch, uint8_t reason, bool old_form) {
    struct said said = said_new(1, SAY_AUTH_NACK, node);
    if (!old_form)
        body_number(&said, 8, epoch);
    said_body(&said, &reason, 1);
    if (!old_form)
        said_body(&said, NULL, 7);
    return said;
}
