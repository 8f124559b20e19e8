/* write_kind.h - what is special about a command that writes: what its reply says of what it did,
 * and in which form a replica gets it. */
#ifndef BUSTAP_ANALYSIS_WRITE_KIND_H
#define BUSTAP_ANALYSIS_WRITE_KIND_H

#include "decode/event.h"

enum {
    WRITE_NOTHING_IF_EMPTY = 1, /* a reply of null, 0 or an empty list: it changed nothing */
    WRITE_UNCLEAR_IF_EMPTY = 2, /* such a reply leaves it open */
    WRITE_UNCLEAR = 4,          /* any reply does: it may change nothing and say OK */
    WRITE_REWRITTEN = 8,        /* the replica gets another command for the same key */
    WRITE_OPTIONS = 16,         /* that, if it has more than its three arguments */
    WRITE_SERVERS = 32,         /* made by servers or tools for each other: no client's data */
};

/* Of each row of command_rows; to be freed by the caller. NULL: out of memory. */
uint8_t *write_kinds_new(void);

/* A number for an argument: equal ones have the same, others mostly not. An attacker can make his
 * own writes alike, and then their order tells them apart. */
static inline uint32_t write_print(struct bytes arg) {
    uint64_t head = 0, tail = 0;
    if (LIKELY(arg.len >= 8)) {
        memcpy(&head, arg.data, 8);
        memcpy(&tail, arg.data + arg.len - 8, 8);
    } else {
        for (size_t i = 0; i < arg.len; i++)
            head = head << 8 | arg.data[i];
    }
    uint64_t print =
        (head ^ arg.len) * UINT64_C(0x9e3779b97f4a7c15) ^ tail * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(print >> 32);
}

#endif
