/* model_recovery.c - a node that was missed is back. Others say so in their gossip, but not to the
 * node itself: on its own host it follows from what it tells them, and from what they say of the
 * cluster.
 *
 * A server takes PFAIL back when a PONG of the node reaches it, and FAIL, too, if the node is then
 * a replica or has no slots (clearNodeFailureIfNeeded). A primary that nobody has replaced it holds
 * for failed for twice the node timeout; only then all slots are served again to it.
 *
 * Gossip is of some nodes by chance, and of all that its sender suspects (clusterSendPing; not in
 * version 0, which is Redis 3): who suspects nobody in it has taken everything back. */
#include "analysis/model_private.h"

static uint16_t held(const struct model *model, uint32_t observer, uint32_t subject) {
    const struct node_private *node = model->nodes[observer];
    uint16_t view = subject < node->view_count ? node->views[subject] : 0;
    return view & (VIEW_FAILURE | VIEW_ANNOUNCED);
}

/* Does the observer hold something against a node that is not told so by anybody? */
static bool is_untold(const struct model *model, uint32_t observer, uint32_t subject) {
    return model->nodes[subject]->alarm && held(model, observer, subject) &&
           model_vantage(model) == subject;
}

static void take_back(struct model *model, uint32_t observer, uint32_t subject) {
    uint16_t view = model->nodes[observer]->views[subject];
    model_set_view(model, observer, subject, view & (uint16_t)~VIEW_FAILURE);
}

/* By its word before this one: a server looks at a header last. */
static bool had_slots(const struct model *model, uint32_t index, nstime said) {
    const struct node *node = &model->nodes[index]->node;
    bool replica = node->replica && node->role_since < said;
    return !replica && model_owns_slots(model, index);
}

void model_recovery_answered(struct model *model, uint32_t subject, uint32_t asker, nstime said) {
    if (LIKELY(!model->nodes[subject]->alarm) || !is_untold(model, asker, subject))
        return;
    bool failed = held(model, asker, subject) & (NODE_FAIL | VIEW_ANNOUNCED);
    if (!failed || !had_slots(model, subject, said))
        take_back(model, asker, subject);
}

void model_recovery_served(struct model *model, uint32_t observer) {
    uint32_t host = model_vantage(model);
    if (host != NODE_NONE && host != observer && is_untold(model, observer, host) &&
        model_owns_slots(model, host))
        take_back(model, observer, host);
}

/* ---- by silence ---- */

enum { SURE_MS = 1000 /* one message may be older than what was said before */ };

/* FAIL is not repeated, and a node is not told of itself: then silence says nothing. */
static bool would_be_told(const struct model *model, struct message_ends ends, uint32_t subject) {
    const struct alarm *alarm = model->nodes[subject]->alarm;
    bool failed = alarm && (alarm->failed.node != NODE_NONE || alarm->announced.node != NODE_NONE);
    return subject != ends.receiver && !failed && held(model, ends.sender, subject) == NODE_PFAIL;
}

void model_recovery_unmentioned(struct model *model, struct message_ends ends) {
    struct node_private *node = model->nodes[ends.sender];
    nstime now = model->cause->time;
    if (node->content_since == 0)
        node->content_since = now;
    if (now - node->content_since < SURE_MS * NS_PER_MS)
        return;
    uint32_t known = node->view_count < model->node_count ? node->view_count : model->node_count;
    for (uint32_t subject = 0; subject < known && node->suspects; subject++)
        if (would_be_told(model, ends, subject))
            take_back(model, ends.sender, subject);
}
