/* model_majority.c - what most primaries hold of a node: has it failed, is it a member at all? And
 * so who owns each slot. */
#include "analysis/model_private.h"

bool model_is_voter(const struct model *model, size_t index) {
    return node_is_voter(&model->nodes[index]->node);
}

uint16_t model_view(const struct model *model, size_t observer, size_t subject) {
    const struct node_private *node = model->nodes[observer];
    return subject < node->view_count ? node->views[subject] & VIEW_FAILURE : 0;
}

/* Does the majority of the primaries' views of the node have one of these bits? */
static bool most_views_have(const struct model *model, size_t index, uint16_t bits) {
    uint32_t voters = 0, have = 0;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node_private *observer = model->nodes[i];
        if (i == index || !node_is_voter(&observer->node))
            continue;
        uint16_t view = index < observer->view_count ? observer->views[index] : 0;
        voters++;
        have += (view & bits) != 0;
    }
    return have * 2 > voters;
}

uint16_t model_failure(const struct model *model, size_t index) {
    if (most_views_have(model, index, NODE_FAIL))
        return NODE_FAIL;
    return most_views_have(model, index, VIEW_FAILURE) ? NODE_PFAIL : 0;
}

/* Gossip picks nodes at random: that one of n is left out of so many times n entries by chance is
 * as likely as e to the minus that. */
enum { UNMENTIONED_ROUNDS = 30 };

/* When the last of the others that speak from its address was first seen; TIME_NONE: none does. */
static nstime find_successor(const struct model *model, size_t index) {
    const struct node *node = &model->nodes[index]->node;
    nstime seen = TIME_NONE;
    for (uint32_t i = 0; i < model->node_count && node->addr_known; i++) {
        const struct node *other = &model->nodes[i]->node;
        if (i != index && other->heard && endpoint_equal(&other->addr, &node->addr))
            seen = later(seen, other->first_seen);
    }
    return seen;
}

/* This is asked of all nodes at a time, and for each of them of all others: a successor is looked
 * for only when an address has changed since. */
bool model_is_replaced(const struct model *model, size_t index) {
    struct node_private *node = model->nodes[index];
    if (node->successor_as_of != model->addresses) {
        node->successor = find_successor(model, index);
        node->successor_as_of = model->addresses;
    }
    return node->successor > node->node.last_heard;
}

/* Does anybody live on who was there when it was, and so may remember it? Where all are replaced,
 * as when a cluster is made anew of the same processes, nobody does. */
static bool is_outlived(const struct model *model, size_t index) {
    nstime last = model->nodes[index]->node.last_heard;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *other = &model->nodes[i]->node;
        if (i != index && other->first_seen < last && !model_is_replaced(model, i))
            return true;
    }
    return false;
}

bool model_is_member(const struct model *model, size_t index) {
    const struct node *node = &model->nodes[index]->node;
    if (model_is_replaced(model, index))
        return is_outlived(model, index);
    if (most_views_have(model, index, VIEW_FORGOTTEN))
        return false;
    uint64_t unmentioned = node_other_entries(model, node) - node->unmentioned_since;
    return model_failure(model, index) ||
           unmentioned <= (uint64_t)UNMENTIONED_ROUNDS * model->node_count;
}

void model_slot_owners(const struct model *model, uint32_t ret_owners[BUS_SLOTS]) {
    for (size_t s = 0; s < BUS_SLOTS; s++)
        ret_owners[s] = NODE_NONE;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        if (!node_is_voter(node) || !model_is_member(model, i))
            continue;
        for (size_t s = 0; s < BUS_SLOTS; s++) {
            if (!slots_have(node->slots, s))
                continue;
            const struct node *owner =
                ret_owners[s] == NODE_NONE ? NULL : &model->nodes[ret_owners[s]]->node;
            if (!owner || owner->config_epoch < node->config_epoch)
                ret_owners[s] = i;
        }
    }
}

bool model_owns_slots(const struct model *model, uint32_t index) {
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    for (size_t s = 0; s < BUS_SLOTS; s++)
        if (owners[s] == index)
            return true;
    return false;
}
