/* slot_set.h - a set of hash slots as the bus carries it: BUS_SLOT_BYTES, in which slot s is bit
 * s & 7 of byte s >> 3. NULL is the empty set, wherever one is only looked at. */
#ifndef BUSTAP_DECODE_SLOT_SET_H
#define BUSTAP_DECODE_SLOT_SET_H

#include "decode/bus.h"

static inline bool slots_have(const uint8_t *slots, size_t slot) {
    return slots && slot < BUS_SLOTS && slots[slot >> 3] >> (slot & 7) & 1;
}

/* What is no slot is passed over. */
static inline void slots_add(uint8_t *slots, size_t slot) {
    if (slot < BUS_SLOTS)
        slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
}

static inline void slots_remove(uint8_t *slots, size_t slot) {
    if (slot < BUS_SLOTS)
        slots[slot >> 3] &= (uint8_t) ~(1u << (slot & 7));
}

static inline void slots_add_all(uint8_t *slots, const uint8_t *more) {
    for (size_t i = 0; i < BUS_SLOT_BYTES; i++)
        slots[i] |= more[i];
}

static inline bool slots_any(const uint8_t *slots) {
    static const uint8_t none[BUS_SLOT_BYTES];
    return slots && memcmp(slots, none, sizeof none) != 0;
}

static inline size_t slots_count(const uint8_t *slots) {
    size_t count = 0;
    for (size_t i = 0; slots && i < BUS_SLOT_BYTES; i++)
        count += (size_t)__builtin_popcount(slots[i]);
    return count;
}

/* Is there a slot in both? */
static inline bool slots_meet(const uint8_t *a, const uint8_t *b) {
    for (size_t i = 0; a && b && i < BUS_SLOT_BYTES; i++)
        if (a[i] & b[i])
            return true;
    return false;
}

#endif
