/* model_follower_header.c - the offsets in headers of the bus: a primary's, which its stream has
 * come to, and a replica's, where it is by its own word. ACKs, where they are seen, tell better. */
#include "analysis/model_follower_private.h"

/* Mostly the one that its last header was for. */
static struct followed *followed_of(struct model *model, struct node_private *node) {
    if (LIKELY(node->followed && endpoint_equal(&node->followed->addr, &node->node.addr)))
        return node->followed;
    return node->followed = model_followed_at(model, &node->node.addr);
}

static const nstime OLD_NEWS = 5 * NS_PER_SEC;

/* It tells less than before: it was started anew, unless that has been on its way for so long. */
static bool is_anew(const struct followed *followed, const struct event *event, uint64_t offset) {
    return followed->offset != NOT_KNOWN && offset < followed->offset &&
           (event->flow->first > followed->offset_at ||
            event->time - followed->offset_at > OLD_NEWS);
}

static void primary_header(struct model *model, struct node_private *node) {
    struct followed *followed = followed_of(model, node);
    if (!followed)
        return;
    uint64_t offset = node->node.repl_offset;
    if (UNLIKELY(is_anew(followed, model->cause, offset)))
        model_followed_begins_anew(model, followed);
    followed->header = offset;
    followed_note_offset(followed, model->cause->time, offset);
}

/* Of this primary's stream? It may have followed another one before; if it fell back, only when it
 * is where the primary is. */
static bool is_comparable(struct follower *follower, uint64_t offset) {
    const struct followed *followed = follower->primary;
    bool known = follower->header != NOT_KNOWN;
    follower->fell |= known && offset < follower->header;
    if (offset > 0 && offset == followed->offset) {
        follower->comparable = true;
        follower->fell = false;
    } else if (!known || offset == 0 || follower->fell) {
        follower->comparable = false;
    } else if (offset > follower->header) {
        follower->comparable = true;
    }
    follower->header = offset;
    return follower->comparable && followed->offset != NOT_KNOWN;
}

static const nstime ACKS_STOP = 3 * NS_PER_SEC, PRIMARY_SILENT = 5 * NS_PER_SEC;

/* ACKs tell better; a replica that copies everything is not behind but new; and behind a primary
 * that is silent nobody is. */
static bool is_told_otherwise(const struct follower *follower, const struct node *primary,
                              nstime now) {
    if (primary->last_heard == TIME_NONE || now - primary->last_heard > PRIMARY_SILENT)
        return true;
    bool acks = follower->acked_at != TIME_NONE && now - follower->acked_at < ACKS_STOP;
    return acks || (follower->link && follower->open && follower->link->past.online == TIME_NONE);
}

static struct follower *follower_of(struct model *model, struct node_private *node,
                                    struct node_private *primary) {
    struct followed *followed = primary->node.addr_known ? followed_of(model, primary) : NULL;
    struct follower *follower = node->follower;
    if (LIKELY(follower && follower->primary == followed &&
               endpoint_equal(&follower->replica, &node->node.addr)))
        return follower;
    node->follower = followed ? model_follower_at(model, followed, &node->node.addr) : NULL;
    if (node->follower)
        node->follower->header = NOT_KNOWN;
    return node->follower;
}

static void replica_header(struct model *model, struct node_private *node) {
    struct node_private *primary = model->nodes[node->node.primary];
    struct follower *follower = follower_of(model, node, primary);
    if (!follower)
        return;
    uint64_t done = node->node.repl_offset;
    if (!is_comparable(follower, done))
        return;
    follower->mute = node->node.lull;
    bool late = follower->acked != NOT_KNOWN && done < follower->acked;
    if (!late && !is_told_otherwise(follower, &primary->node, model->cause->time))
        model_follower_measure(follower, NULL, model->cause, done);
}

void model_follower_header(struct model *model, uint32_t index) {
    struct node_private *node = model->nodes[index];
    if (!node->node.addr_known)
        return;
    if (!node->node.replica) {
        node->follower = NULL;
        primary_header(model, node);
    } else if (node->node.primary != NODE_NONE) {
        replica_header(model, node);
    }
}
