/* model_private.h - the model's insides, shared by analysis/model*.c alone. */
#ifndef BUSTAP_ANALYSIS_MODEL_PRIVATE_H
#define BUSTAP_ANALYSIS_MODEL_PRIVATE_H

#include "analysis/model.h"
#include "base/table.h"

/* What the model keeps of a node beside the public part. */
struct node_private {
    struct node node; /* first: the public view points here */
    uint8_t *slots;   /* owned; node.slots points here once heard */
    uint16_t *views;  /* [subject]: flags that this node last gossiped about it */
    uint32_t view_count;
};

/* A connection of the bus, the flow's note: which nodes its ends are, as far as known. */
struct conn {
    uint32_t node[2]; /* by direction; NODE_NONE */
    uint32_t link;    /* index, or NODE_NONE until both ends are known */
    uint32_t early_pings;
    nstime early_ping_since;
    nstime pinged; /* an unanswered PING on it; TIME_NONE: none */
    uint32_t unclaimed_sent[2][BUS_COUNTERS], unclaimed_received[2][BUS_COUNTERS]; /* by end */
};

enum { NODE_RECENT = 1024 };

struct model {
    struct siphash_key key;
    event_fn *emit;
    void *context;
    const struct event *cause; /* the event in hand */

    struct node_private **nodes;
    uint32_t node_count, node_room;
    struct table node_index;
    uint32_t recent[NODE_RECENT]; /* indexes found lately; a guess, always verified */

    struct link *links;
    uint32_t link_count, link_room;
    struct table link_index;

    struct model_books books;
};

/* Who sent a message to whom; NODE_NONE: not known. */
struct message_ends {
    uint32_t sender, receiver;
};

/* Emits a conclusion at the time and place of the event in hand. */
void model_conclude(struct model *model, struct event *event);

/* model_nodes.c: finds or adds; NODE_NONE if the caps or the memory do not allow it. */
uint32_t model_add_node(struct model *model, const char *id);
struct node_private *model_node_at(const struct model *model, uint32_t index);

/* A node known to listen there, NODE_NONE: none. */
uint32_t model_node_by_bus_address(const struct model *model, const struct endpoint *bus);

/* The only node with this IP address; NODE_NONE: none, or several. */
uint32_t model_node_by_ip(const struct model *model, const struct endpoint *ip);

/* What a message says of its sender and of the nodes that it gossips about. */
void model_message(struct model *model, struct message_ends ends,
                   const struct ev_bus_message *message);

/* model_links.c: connections and ordered pairs. */
struct message_ends model_link_message(struct model *model, const struct event *event);
void model_link_delivered(struct model *model, const struct event *event);
void model_link_flow_end(struct model *model, const struct event *event);
void model_links_free(struct model *model);

#endif
