/* said.h - messages of the cluster bus made by hand, independently of decode/: the offsets are
 * those of the servers' src/cluster_legacy.h, in tables of their own.
 *
 *   struct said m = said_new(1, SAY_PING, 7);           node 7 says PING, header version 1
 *   said_number(&m, SAID_CONFIG_EPOCH, 3);
 *   said_slots(&m, 0, 5460);
 *   said_gossip(&m, &(struct said_about){.node = 8, .flags = 1, .ip = "10.0.0.8", .port = 6379});
 *   talk_send(&t, CLIENT, said_view(&m));
 *   said_free(&m);
 *
 * Whatever is appended keeps totlen and the counts right; said_number() makes them wrong again. */
#ifndef BUSTAP_TESTS_SAID_H
#define BUSTAP_TESTS_SAID_H

#include "tests/lib/made.h"

enum said_type {
    SAY_PING,
    SAY_PONG,
    SAY_MEET,
    SAY_FAIL,
    SAY_PUBLISH,
    SAY_AUTH_REQUEST,
    SAY_AUTH_ACK,
    SAY_UPDATE,
    SAY_MFSTART,
    SAY_MODULE,
    SAY_PUBLISHSHARD,
    SAY_AUTH_NACK,
    SAY_TYPES,
    SAY_LIGHT = 0x8000,
};

enum said_field {
    SAID_TOTLEN,
    SAID_VER,
    SAID_PORT,
    SAID_TYPE,
    SAID_COUNT,
    SAID_CURRENT_EPOCH,
    SAID_CONFIG_EPOCH,
    SAID_OFFSET,
    SAID_SENDER,
    SAID_SLOTS,
    SAID_REPLICA_OF,
    SAID_IP,
    SAID_EXTENSIONS,
    SAID_PPORT,
    SAID_CPORT,
    SAID_FLAGS,
    SAID_STATE,
    SAID_MFLAGS,
    SAID_FIELDS
};

struct said {
    struct made bytes;
    unsigned version; /* 0 or 1 */
    bool light;
};

struct said_about { /* a gossip entry */
    unsigned node;
    const char *ip;
    uint16_t port, bus_port, flags, secondary_port;
    uint32_t ping_sent, pong_received;
};

enum { SAID_ID = 40, SAID_HEADER = 2256, SAID_HEADER_V0 = 2208, SAID_HEADER_LIGHT = 16 };

/* A made-up node's id: 40 lower-case hex digits, different from the first ones on. */
const char *said_id(unsigned node); /* one of a few static buffers */

/* A header and no body: port 6379, bus port 16379, flags myself and primary, current epoch 9. A
 * light one if the type has SAY_LIGHT. */
struct said said_new(unsigned version, unsigned type, unsigned node);
void said_free(struct said *said);

static inline struct bytes said_view(const struct said *said) {
    return made_view(&said->bytes);
}

void said_number(struct said *said, enum said_field field, uint64_t value);
void said_text(struct said *said, enum said_field field, const char *text);
void said_slots(struct said *said, unsigned first, unsigned last);
void said_replica_of(struct said *said, unsigned node); /* flags too */

void said_body(struct said *said, const void *data, size_t len);
void said_gossip(struct said *said, const struct said_about *about);
void said_extension(struct said *said, uint16_t id, const void *data, size_t len);

/* Whole messages. */
struct said said_fail(unsigned node, unsigned about);
struct said said_publish(unsigned type, unsigned node, const char *channel, size_t payload);
struct said said_update(unsigned node, unsigned about, uint64_t epoch, unsigned first,
                        unsigned last);
struct said said_module(unsigned type, unsigned node, uint64_t module, uint8_t kind, size_t len);
struct said said_nack(unsigned node, uint64_t epoch, uint8_t reason, bool old_form);

#endif
