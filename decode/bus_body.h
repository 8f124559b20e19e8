/* bus_body.h - what follows the header, by type; private to decode/bus*.c.
 *
 * A body function answers two questions about the bytes seen so far: how many of the body's bytes
 * must be held to decode it, and, when `message` is not NULL (then all held bytes are there), what
 * they say. `head` begins at the message's first byte. */
#ifndef BUSTAP_DECODE_BUS_BODY_H
#define BUSTAP_DECODE_BUS_BODY_H

#include "decode/bus.h"
#include "decode/event.h"

struct body_need {
    uint64_t hold; /* bytes of the body that decoding needs */
    bool more;     /* `hold` is a first step: ask again when they are there */
    bool valid;    /* the length is what the server demands; meaningful with a message */
};

typedef struct body_need bus_body(struct bytes head, uint32_t header,
                                  struct ev_bus_message *message);

bus_body body_none;   /* AUTH_REQUEST, AUTH_ACK, MFSTART: nothing may follow */
bus_body body_any;    /* an unknown type: anything may follow */
bus_body body_gossip; /* PING, PONG, MEET */
bus_body body_fail;
bus_body body_publish; /* PUBLISH, PUBLISHSHARD */
bus_body body_update;
bus_body body_module;
bus_body body_nack;

#endif
