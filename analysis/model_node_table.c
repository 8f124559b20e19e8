/* model_node_table.c - the nodes by index, found by their ids and addresses. */
#include <stdio.h>
#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

static uint32_t hash_of(const struct model *model, const char *id) {
    return (uint32_t)siphash(&model->key, id, BUS_NODE_ID);
}

static bool has_id(const void *owner, uint32_t index, const void *id) {
    const struct model *model = owner;
    return memcmp(model->nodes[index]->node.id, id, BUS_NODE_ID) == 0;
}

/* Not keyed: an attacker can only make the guess fail, and the keyed index then answers. */
static uint32_t *recent_of(struct model *model, const char *id) {
    uint32_t digits;
    memcpy(&digits, id, sizeof digits);
    return &model->recent[(digits ^ digits >> 13 ^ digits >> 22) % NODE_RECENT];
}

uint32_t model_find_node(struct model *model, const char *id) {
    uint32_t *recent = recent_of(model, id);
    if (LIKELY(*recent < model->node_count && has_id(model, *recent, id)))
        return *recent;
    uint32_t found = table_find(&model->node_index, hash_of(model, id), has_id, model, id);
    if (found != NODE_NONE)
        *recent = found;
    return found;
}

uint32_t model_index_of(const struct model *model, const char *id) {
    return table_find(&model->node_index, hash_of(model, id), has_id, model, id);
}

size_t model_node_count(const struct model *model) {
    return model->node_count;
}

const struct node *model_node(const struct model *model, size_t index) {
    return &model->nodes[index]->node;
}

void model_node_text(const struct model *model, size_t index, char text[ENDPOINT_TEXT]) {
    const struct node *node = index == NODE_NONE ? NULL : model_node(model, index);
    if (!node)
        (void)snprintf(text, ENDPOINT_TEXT, "a node that is not known");
    else if (node->addr_known)
        endpoint_text(&node->addr, text);
    else
        (void)snprintf(text, ENDPOINT_TEXT, "%.8s", node->id);
}

struct node_private *model_node_at(const struct model *model, uint32_t index) {
    return model->nodes[index];
}

static bool room_for_node(struct model *model) {
    if (model->node_count < model->node_room)
        return true;
    uint32_t room = model->node_room ? model->node_room * 2 : 16;
    struct node_private **nodes = realloc(model->nodes, room * sizeof(struct node_private *));
    if (!nodes)
        return false;
    model->nodes = nodes;
    model->node_room = room;
    return true;
}

static uint32_t new_node(struct model *model, const char *id) {
    struct node_private *node = room_for_node(model) ? calloc(1, sizeof *node) : NULL;
    if (!node || !table_add(&model->node_index, hash_of(model, id), model->node_count)) {
        free(node);
        return NODE_NONE;
    }
    memcpy(node->node.id, id, BUS_NODE_ID);
    node->node.primary = node->node.was = NODE_NONE;
    node->node.first_seen = node->node.last_seen = model->cause->time;
    node->node.last_heard = TIME_NONE;
    node->node.spoke.time = node->node.knocks.first.time = node->node.tried = TIME_NONE;
    node->successor = TIME_NONE;
    node->handover = place_none();
    node->pause.first.time = node->pause.last.time = TIME_NONE;
    node->node.unmentioned_since = model->books.gossip_entries;
    model->nodes[model->node_count] = node;
    return model->node_count++;
}

uint32_t model_add_node(struct model *model, const char *id) {
    uint32_t index = model_find_node(model, id);
    if (LIKELY(index != NODE_NONE))
        return index;
    if (model->node_count < CAP_NODES)
        index = new_node(model, id);
    if (index == NODE_NONE)
        model->books.nodes_over_cap++;
    return index;
}

uint32_t model_node_by_bus_address(const struct model *model, const struct endpoint *bus) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        if (node->addr_known && node->bus_port == bus->port && endpoint_same_ip(&node->addr, bus))
            return i;
    }
    return NODE_NONE;
}

uint32_t model_node_named(const struct model *model, struct bytes hostname) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        if (node->addr_known && hostname.len && bytes_equal(hostname, bytes_str(node->hostname)))
            return i;
    }
    return NODE_NONE;
}

uint32_t model_node_at_address(const struct model *model, const struct endpoint *addr) {
    uint32_t found = NODE_NONE;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        bool later = found == NODE_NONE || node->last_heard > model_node(model, found)->last_heard;
        if (node->addr_known && endpoint_equal(&node->addr, addr) && later)
            found = i;
    }
    return found;
}

uint32_t model_node_by_ip(const struct model *model, const struct endpoint *ip) {
    uint32_t found = NODE_NONE;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        if (!node->addr_known || !endpoint_same_ip(&node->addr, ip))
            continue;
        if (found != NODE_NONE)
            return NODE_NONE;
        found = i;
    }
    return found;
}
