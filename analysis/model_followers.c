/* model_followers.c - pairs of a primary and a replica, kept by their addresses whatever
 * connections come and go. */
#include <stdlib.h>

#include "analysis/model_follower_private.h"
#include "base/limits.h"

/* ---- primaries ---- */

static bool has_addr(const void *owner, uint32_t index, const void *addr) {
    const struct model_followers *all = owner;
    return endpoint_equal(&all->primaries[index]->addr, addr);
}

static struct followed *add_followed(struct model *model, uint32_t hash,
                                     const struct endpoint *addr) {
    struct model_followers *all = &model->followers;
    struct followed **primaries = list_with_room(all->primaries, all->primary_count,
                                                 &all->primary_room, sizeof(struct followed *));
    if (!primaries)
        return NULL;
    all->primaries = primaries;
    bool room = all->primary_count < CAP_FOLLOWERS;
    struct followed *followed = room ? calloc(1, sizeof *followed) : NULL;
    if (!followed || !table_add(&all->primary_index, hash, all->primary_count)) {
        free(followed);
        return NULL;
    }
    followed->addr = *addr;
    followed->offset = followed->header = NOT_KNOWN;
    all->primaries[all->primary_count++] = followed;
    return followed;
}

struct followed *model_followed_at(struct model *model, const struct endpoint *addr) {
    struct model_followers *all = &model->followers;
    uint32_t hash = (uint32_t)siphash(&model->key, addr, sizeof *addr);
    uint32_t index = table_find(&all->primary_index, hash, has_addr, all, addr);
    return index == TABLE_NONE ? add_followed(model, hash, addr) : all->primaries[index];
}

/* ---- replicas ---- */

struct pair {
    const struct followed *primary;
    const struct endpoint *replica;
};

static bool is_pair(const void *owner, uint32_t index, const void *key) {
    const struct follower *follower = ((const struct model_followers *)owner)->list[index];
    const struct pair *pair = key;
    return follower->primary == pair->primary && endpoint_equal(&follower->replica, pair->replica);
}

static uint32_t pair_hash(const struct model *model, const struct pair *pair) {
    struct endpoint both[2];
    memset(both, 0, sizeof both);
    both[0] = pair->primary->addr;
    both[1] = *pair->replica;
    return (uint32_t)siphash(&model->key, both, sizeof both);
}

static struct follower *add_follower(struct model *model, uint32_t hash, const struct pair *pair) {
    struct model_followers *all = &model->followers;
    struct follower **list =
        list_with_room(all->list, all->count, &all->room, sizeof(struct follower *));
    if (!list)
        return NULL;
    all->list = list;
    struct follower *follower = all->count < CAP_FOLLOWERS ? calloc(1, sizeof *follower) : NULL;
    if (!follower || !table_add(&all->index, hash, all->count)) {
        free(follower);
        return NULL;
    }
    follower->primary = pair->primary;
    follower->replica = *pair->replica;
    follower->number = all->count;
    follower->acked = follower->header = NOT_KNOWN;
    follower->acked_at = follower->lag.time = follower->worst.time = TIME_NONE;
    all->list[all->count++] = follower;
    return follower;
}

struct follower *model_follower_at(struct model *model, const struct followed *primary,
                                   const struct endpoint *replica) {
    struct model_followers *all = &model->followers;
    struct pair pair = {primary, replica};
    uint32_t hash = pair_hash(model, &pair);
    uint32_t index = table_find(&all->index, hash, is_pair, all, &pair);
    if (index != TABLE_NONE)
        return all->list[index];
    struct follower *follower = add_follower(model, hash, &pair);
    model->books.followers_over_cap += !follower;
    return follower;
}

void model_followed_begins_anew(struct model *model, struct followed *followed) {
    followed->offset = NOT_KNOWN;
    followed->history.count = 0;
    for (uint32_t i = 0; i < model->followers.count; i++) {
        struct follower *follower = model->followers.list[i];
        if (follower->primary == followed) {
            follower->header = NOT_KNOWN;
            follower->comparable = follower->fell = false;
        }
    }
}

/* ---- looking at it, and the end ---- */

size_t model_follower_count(const struct model *model) {
    return model->followers.count;
}

const struct follower *model_follower(const struct model *model, size_t index) {
    return model->followers.list[index];
}

const struct follower *model_follower_of(const struct event *event) {
    const struct client_conn *conn =
        event->flow && note_is_client(event->flow) ? event->flow->note : NULL;
    return conn && conn->replication ? conn->replication->follower : NULL;
}

uint32_t model_follower_node(const struct model *model, const struct follower *follower) {
    return model_node_at_address(model, &follower->replica);
}

uint32_t model_followed_node(const struct model *model, const struct follower *follower) {
    return model_node_at_address(model, &follower->primary->addr);
}

const char *model_follower_link(const struct model *model, const struct follower *follower) {
    uint32_t index = model_follower_node(model, follower);
    const struct node *node = index == NODE_NONE ? NULL : model_node(model, index);
    bool follows = !node || (node->replica && node->primary != NODE_NONE &&
                             endpoint_equal(&model_node(model, node->primary)->addr,
                                            &follower->primary->addr));
    if (!follows)
        return "former";
    if (!follower->link)
        return NULL;
    if (!follower->open)
        return "down";
    return follower->link->past.online == TIME_NONE ? "syncing" : "up";
}

void model_followers_free(struct model_followers *followers) {
    for (uint32_t i = 0; i < followers->primary_count; i++)
        free(followers->primaries[i]);
    for (uint32_t i = 0; i < followers->count; i++) {
        free(followers->list[i]->resyncs);
        free(followers->list[i]);
    }
    free(followers->primaries);
    free(followers->list);
    table_free(&followers->primary_index);
    table_free(&followers->index);
}
