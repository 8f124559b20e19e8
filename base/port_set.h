/* port_set.h - a set of TCP ports, a bit for each. */
#ifndef BUSTAP_BASE_PORT_SET_H
#define BUSTAP_BASE_PORT_SET_H

#include "base/base.h"

struct port_set {
    uint64_t bits[(UINT16_MAX + 1) / 64];
};

static inline void port_set_add(struct port_set *set, uint16_t port) {
    set->bits[port / 64] |= UINT64_C(1) << port % 64;
}

static inline bool port_set_has(const struct port_set *set, uint16_t port) {
    return set->bits[port / 64] >> port % 64 & 1;
}

static inline void port_set_add_all(struct port_set *set, const struct port_set *more) {
    for (size_t i = 0; i < countof(set->bits); i++)
        set->bits[i] |= more->bits[i];
}

/* The first run of ports in the set that begins at `from` or later. False: there is none. */
static inline bool port_set_run(const struct port_set *set, unsigned from, uint16_t *ret_first,
                                uint16_t *ret_last) {
    while (from <= UINT16_MAX && !port_set_has(set, (uint16_t)from))
        from++;
    if (from > UINT16_MAX)
        return false;
    *ret_first = (uint16_t)from;
    while (from < UINT16_MAX && port_set_has(set, (uint16_t)(from + 1)))
        from++;
    *ret_last = (uint16_t)from;
    return true;
}

static inline bool port_set_is_empty(const struct port_set *set) {
    uint16_t first, last;
    return !port_set_run(set, 0, &first, &last);
}

#endif
