/* model_redirects.h - MOVED and ASK as steps: who was sent where, whether that was news to it, why
 * as far as can be told, and what the client did next.
 *
 * A redirect is news once: a client that is told of a slot by MOVED goes to the other server from
 * then on. It is told *again* if its connection was told the same a second before, or if it has
 * connected long after its host was; ASK is told again of a slot that has been open for long.
 * A chain is a request's way: each server is the one that the redirect before named. What the
 * client did next is told by the next reply to the same command at the named server, to any
 * connection of its host. */
#ifndef BUSTAP_ANALYSIS_MODEL_REDIRECTS_H
#define BUSTAP_ANALYSIS_MODEL_REDIRECTS_H

#include "analysis/model_clients.h"

enum redirect_cause {
    REDIRECT_STALE,        /* nothing has changed lately: the client does not learn */
    REDIRECT_CHANGE,       /* the slot has changed hands within the last ten seconds */
    REDIRECT_MIGRATION,    /* ASK, or back from where ASK had led */
    REDIRECT_SELF,         /* the target is the server itself, or another address of its node */
    REDIRECT_DISAGREEMENT, /* another server has just named another target for the slot */
    REDIRECT_UNREACHABLE,  /* no host is named ("?") */
    REDIRECT_CAUSES
};

enum redirect_next {
    NEXT_ASKING,   /* it went to the target, with ASKING before */
    NEXT_FOLLOWED, /* it went there without */
    NEXT_REPEATED, /* the same connection was sent away for the slot once more instead */
    NEXT_GAVE_UP,  /* nothing of the kind within a second, or something else there */
    REDIRECT_NEXTS
};

/* A client may have asked before it was told; a change takes clients that long to learn. */
#define REDIRECT_GRACE    (1 * NS_PER_SEC)
#define REDIRECT_SETTLING (10 * NS_PER_SEC)

enum { CHAIN_SERVERS = 8 /* of a chain that are kept */ };

struct redirect_chain {
    struct endpoint client; /* its first connection; the host's others go on with it, too */
    uint16_t slot;
    uint32_t hops, asks; /* redirects so far; of these, ASK */
    uint32_t turned_off; /* MOVED, although ASKING came before */
    nstime last;
    struct endpoint servers[CHAIN_SERVERS]; /* who sent it away: the first ones */
    struct endpoint target;
    struct place place; /* of the first */
};

/* One redirect. */
struct redirect {
    bool ask, again;
    bool target_known; /* it names an address; an empty host is the server's own */
    bool by_name;      /* it names a host, whose address is known if a node announces that name */
    uint16_t slot;
    enum redirect_cause cause;
    struct endpoint client, server, target;
    struct bytes named;                      /* the target as written; dies with the event */
    const struct introduction *introduction; /* of the connection; NULL: none */
    nstime before; /* the connection was last told something again; 0: never before */
    const struct redirect_chain *chain; /* it is the last hop of; NULL: out of memory */
};

/* The target of EV_redirect: an address, or the name of a node. An empty host is the server's own.
 * False: where that is is not known. */
bool model_redirect_target(const struct model *model, const struct event *event,
                           struct endpoint *ret_target);

/* The last one; while EV_redirect is told, that one. */
const struct redirect *model_redirect_in_hand(const struct model *model);

/* When the slot last changed hands, and to whom: as the bus says, else as the answers of one server
 * changed. */
struct slot_change {
    struct stamp at; /* its time 0: never in this capture */
    uint32_t owner;  /* node; NODE_NONE: the bus did not tell */
};
struct slot_change model_slot_change(const struct model *model, uint32_t slot);

/* What all clients did next, so far. */
void model_redirect_nexts(const struct model *model, uint64_t ret_counts[REDIRECT_NEXTS]);

#endif
