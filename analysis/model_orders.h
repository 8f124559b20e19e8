/* model_orders.h - what somebody told a server to do with itself or with the cluster, and what it
 * did: to end, to stand still, to take over, to forget others. Then that is the cause. */
#ifndef BUSTAP_ANALYSIS_MODEL_ORDERS_H
#define BUSTAP_ANALYSIS_MODEL_ORDERS_H

#include "analysis/finding.h"
#include "analysis/model.h"

enum order_kind {
    ORDER_SHUTDOWN,
    ORDER_CRASH,    /* DEBUG that was never answered: SEGFAULT, PANIC */
    ORDER_SLEEP,    /* DEBUG that was answered late: SLEEP */
    ORDER_FAILOVER, /* CLUSTER FAILOVER, whether FORCE or TAKEOVER */
    ORDER_RESET,    /* CLUSTER RESET */
    ORDER_FORGET,   /* CLUSTER FORGET */
    ORDER_UNASSIGN, /* CLUSTER DELSLOTS and its like */
    ORDER_PAUSE,    /* CLIENT PAUSE */
    ORDER_KINDS
};

struct order {
    enum order_kind kind;
    const struct command *command;
    nstime asked;       /* as far as that is known; else `place.time` */
    struct place place; /* the server's answer, or the end of the connection, if that is it */
};

enum { ORDERS = 8 /* of a server that are kept: the last ones */ };

struct orders {
    struct order kept[ORDERS];
    uint64_t count;
};

/* The last order of that kind to the server of a node that was given and carried out between these
 * times; NULL: none was seen. */
const struct order *model_order(const struct model *model, uint32_t node, enum order_kind kind,
                                nstime from, nstime to);

/* Likewise, to this server. */
struct server;
const struct order *model_server_order(const struct server *server, enum order_kind kind,
                                       nstime from, nstime to);

/* Shows it in the finding. NULL is fine. */
void order_tell(const struct order *order, struct finding *finding);

#endif
