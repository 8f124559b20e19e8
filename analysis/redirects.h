/* redirects.h - what clients were told of slots by MOVED and ASK: the first answer to each client
 * about a slot, how often it was given again, and how the client went from server to server.
 *
 * Keys come from the network, so the table's hash is the model's, keyed. At most CAP_REDIRECTS
 * rows: what comes later is not found and counted in `left_out`. */
#ifndef BUSTAP_ANALYSIS_REDIRECTS_H
#define BUSTAP_ANALYSIS_REDIRECTS_H

#include "analysis/model.h"
#include "analysis/place.h"
#include "base/table.h"

/* Whom it was told, about what. */
struct told_key {
    struct endpoint client; /* its port 0: all connections of the host */
    uint16_t slot;
    uint16_t kind; /* the caller's */
};

enum { CHAIN_MAX = 8 }; /* servers of a chain that are kept */

struct told {
    struct told_key key;
    struct endpoint target; /* of the last answer */
    nstime first, last;     /* the first answer with this target; the last answer */
    uint64_t times;         /* 0: the row is new */
    uint32_t hops;          /* of the present chain: each server is the target of the one before */
    struct endpoint chain[CHAIN_MAX];
    struct place place; /* of its first answer */
};

struct redirects {
    struct table table;
    struct told *rows;
    size_t count, room;
    uint64_t left_out;
};

/* The row, a new one if there was none; NULL: no room. Valid until the next call. */
struct told *redirects_at(struct redirects *redirects, const struct model *model,
                          const struct told_key *key);

void redirects_clear(struct redirects *redirects);

/* The target of a redirect; an empty host is the server's own. False: it names none that could be
 * connected to without asking for its address. */
bool redirect_target(const struct event *event, struct endpoint *ret_target);

#endif
