/* node_order.c - by the address of the shard's primary; the primary before its replicas. */
#include "report/node_order.h"

#include <stdlib.h>

struct rank {
    struct endpoint shard, addr; /* of its primary, and its own */
    bool replica;
    uint32_t index;
};

static int by_rank(const void *a, const void *b) {
    const struct rank *x = a, *y = b;
    int by_shard = endpoint_order(&x->shard, &y->shard),
        by_addr = endpoint_order(&x->addr, &y->addr);
    if (by_shard || x->replica != y->replica)
        return by_shard ? by_shard : (int)x->replica - (int)y->replica;
    return by_addr ? by_addr : (x->index > y->index) - (x->index < y->index);
}

static struct rank rank_of(const struct model *model, uint32_t index) {
    const struct node *node = model_node(model, index);
    bool of_other = node->replica && node->primary != NODE_NONE;
    const struct node *shard = of_other ? model_node(model, node->primary) : node;
    return (struct rank){shard->addr, node->addr, node->replica, index};
}

uint32_t *node_order(const struct model *model) {
    uint32_t count = (uint32_t)model_node_count(model);
    struct rank *ranks = calloc(count + 1, sizeof *ranks);
    uint32_t *order = calloc(count + 1, sizeof *order);
    if (ranks && order) {
        for (uint32_t i = 0; i < count; i++)
            ranks[i] = rank_of(model, i);
        qsort(ranks, count, sizeof *ranks, by_rank);
        for (uint32_t i = 0; i < count; i++)
            order[i] = ranks[i].index;
    } else {
        free(order);
        order = NULL;
    }
    free(ranks);
    return order;
}
