/* endpoint.h - one end of a TCP connection: address and port. */
#ifndef BUSTAP_DECODE_ENDPOINT_H
#define BUSTAP_DECODE_ENDPOINT_H

#include "base/base.h"

struct endpoint {
    uint8_t ip[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
    uint16_t port;  /* host order */
};

enum { ENDPOINT_TEXT = 56 }; /* "[" 45 "]:" 5 NUL */

/* In two stores of eight bytes, as endpoint_equal will load them: loads that span several stores
 * have to wait for all of them. */
static inline void endpoint_set_ipv4(struct endpoint *endpoint, const uint8_t ip[4]) {
    uint32_t v4;
    memcpy(&v4, ip, sizeof v4);
    uint64_t halves[2] = {0, (uint64_t)v4 << 32 | UINT32_C(0xffff0000)};
    memcpy(endpoint->ip, &halves[0], 8);
    memcpy(endpoint->ip + 8, &halves[1], 8);
}

bool endpoint_is_ipv4(const struct endpoint *endpoint);

static inline bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b) {
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static inline bool endpoint_equal(const struct endpoint *a, const struct endpoint *b) {
    return a->port == b->port && endpoint_same_ip(a, b);
}

/* By address, then by port: below 0, 0 or above it, as memcmp() tells. */
static inline int endpoint_order(const struct endpoint *a, const struct endpoint *b) {
    int by_ip = memcmp(a->ip, b->ip, sizeof a->ip);
    return by_ip ? by_ip : (int)a->port - (int)b->port;
}

/* A number that both directions of a connection share, and most connections do not. */
static inline uint32_t endpoints_mix(uint16_t port_a, uint8_t last_a, uint16_t port_b,
                                     uint8_t last_b) {
    uint32_t mix = (uint32_t)(port_a ^ port_b) + 0x9e5u * (last_a ^ last_b);
    return mix ^ mix >> 11;
}

/* Address and port from text as bus headers carry it (NUL-padded, perhaps unterminated). False,
 * and nothing set, unless the text is an IP literal. */
bool endpoint_parse(struct bytes text, uint16_t port, struct endpoint *ret_endpoint);

/* "1.2.3.4:5" or "[::1]:5" */
void endpoint_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]);

/* The address alone, without brackets. */
void endpoint_ip_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]);

/* Of an end whose port may not be known (0): the address alone, then. */
void endpoint_known_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]);

#endif
