/* model_follower_link.c - what is told on a replica's link: whose link it is, how it begins, what
 * is copied, sent and acknowledged on it, how it ends. */
#include <stdlib.h>

#include "analysis/model_follower_private.h"

/* ---- which replica is at the other end? ---- */

static bool is_on_host(const struct endpoint *addr, const struct replication *link) {
    return endpoint_same_ip(addr, &link->replica);
}

/* The only node of that host that says it follows this primary; NULL: none, or several. */
static const struct endpoint *node_addr_of(const struct model *model,
                                           const struct replication *link) {
    const struct endpoint *found = NULL;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node *node = &model->nodes[i]->node;
        bool follows = node->addr_known && node->replica && node->primary != NODE_NONE &&
                       is_on_host(&node->addr, link) &&
                       endpoint_equal(&model_node(model, node->primary)->addr, &link->primary);
        if (follows && found)
            return NULL;
        if (follows)
            found = &node->addr;
    }
    return found;
}

/* Likewise, of the followers that are known. */
static const struct endpoint *follower_addr_of(const struct model *model,
                                               const struct replication *link) {
    const struct model_followers *all = &model->followers;
    const struct endpoint *found = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct follower *follower = all->list[i];
        if (!is_on_host(&follower->replica, link) ||
            !endpoint_equal(&follower->primary->addr, &link->primary))
            continue;
        if (found)
            return NULL;
        found = &follower->replica;
    }
    return found;
}

/* The replica says where it listens when it asks. Of a link that was joined later only the bus can
 * tell: that is waited for, a few ACKs long. */
enum { ACKS_WITHOUT_NAME = 5 };

static bool name_replica(const struct model *model, const struct replication *link,
                         struct endpoint *ret_addr) {
    *ret_addr = link->replica;
    ret_addr->port = link->replica_port;
    if (link->replica_port)
        return true;
    const struct endpoint *known = node_addr_of(model, link);
    if (!known)
        known = follower_addr_of(model, link);
    if (known)
        *ret_addr = *known;
    return known || link->full_resyncs > 0 || link->acks >= ACKS_WITHOUT_NAME;
}

/* ---- links ---- */

/* Did the link hold? Of one that nobody closed its last ACK tells. */
static bool has_settled(const struct link_past *past) {
    nstime until = past->ended != TIME_NONE ? past->ended : past->heard_replica;
    return past->online != TIME_NONE && until - past->online >= SETTLED_AFTER;
}

/* The link becomes the one before. */
static void leave_link(struct follower *follower) {
    if (!follower->link)
        return;
    follower->past = follower->link->past;
    follower->past.any = true;
    bool settled = has_settled(&follower->past);
    follower->unsettled += !settled;
    follower->unsettled_in_row = settled ? 0 : follower->unsettled_in_row + 1;
    follower->link = NULL;
}

static void take_link(struct follower *follower, struct replication *link) {
    link->follower = follower;
    bool has_other = follower->link && follower->open && follower->link->rdb_elsewhere;
    link->data_channel = has_other && !follower->link->past.streaming;
    if (link->data_channel)
        return;
    leave_link(follower);
    follower->link = link;
    follower->open = true;
    follower->links++;
    follower->acked = NOT_KNOWN;
    follower->acked_at = TIME_NONE;
}

/* NULL: it is not known yet whose link it is, or there is no room. */
static struct follower *follow(struct model *model, struct replication *link) {
    struct endpoint replica;
    if (LIKELY(link->follower) || !name_replica(model, link, &replica))
        return link->follower;
    link->followed = model_followed_at(model, &link->primary);
    struct follower *follower =
        link->followed ? model_follower_at(model, link->followed, &replica) : NULL;
    if (follower)
        take_link(follower, link);
    return follower;
}

/* The link on which the stream runs. */
static struct replication *main_of(struct replication *link) {
    const struct follower *follower = link->data_channel ? link->follower : NULL;
    return follower && follower->link ? follower->link : link;
}

/* ---- what is told on a link ---- */

void model_follower_asked(struct model *model, struct replication *link,
                          const struct event *event) {
    const struct ev_replication *step = &event->replication;
    link->asked = event->time;
    link->asked_offset = step->offset;
    size_t len = min_size(step->replid.len, WORD_LENGTH_MAX);
    if (len)
        memcpy(link->asked_replid, step->replid.data, len);
    link->asked_replid[len] = '\0';
    if (step->port != NOT_KNOWN)
        link->replica_port = (uint16_t)step->port;
    follow(model, link);
}

/* The primary's data are of the history with this id. */
static void learn_history(struct model *model, struct followed *followed, const char *replid,
                          bool goes_on) {
    if (!replid[0])
        return;
    if (followed->replid[0] && strcmp(followed->replid, replid) != 0 && !goes_on)
        model_followed_begins_anew(model, followed);
    memcpy(followed->replid, replid, sizeof followed->replid);
}

static void begin_link(struct replication *link, const struct event *event, uint64_t offset) {
    link->past = link_past_none();
    link->past.began = event->time;
    link->past.begin_offset = offset;
}

/* How the primary's stream stood when the link before ended is known better now. */
static struct resync_cause find_cause(struct follower *follower, const struct replication *link,
                                      const struct event *event) {
    struct link_past *past = &follower->past;
    const struct replication *asks = follower->link ? follower->link : link;
    if (past->any && past->ended != TIME_NONE)
        past->produced = offset_history_at(&follower->primary->history, past->ended);
    struct resync_ask ask = {.asked = asks->asked,
                             .began = event->time,
                             .asked_offset = asks->asked_offset,
                             .offset = event->replication.offset,
                             .same_history = strcmp(asks->asked_replid, link->replid) == 0};
    return resync_cause_of(past, &ask);
}

static void add_resync(struct follower *follower, const struct replication *link,
                       const struct event *event) {
    if (!follower->resyncs)
        follower->resyncs = calloc(RESYNCS_KEPT, sizeof *follower->resyncs);
    if (follower->resyncs)
        follower->resyncs[follower->full_resyncs % RESYNCS_KEPT] =
            (struct resync){.asked = link->asked,
                            .began = event->time,
                            .copied = TIME_NONE,
                            .online = TIME_NONE,
                            .offset = event->replication.offset,
                            .cause = find_cause(follower, link, event),
                            .place = place_of(event)};
    follower->full_resyncs++;
}

static struct resync *last_resync(struct follower *follower) {
    bool any = follower->resyncs && follower->full_resyncs > 0;
    return any ? &follower->resyncs[(follower->full_resyncs - 1) % RESYNCS_KEPT] : NULL;
}

void model_follower_full(struct model *model, struct replication *link, const struct event *event) {
    const struct ev_replication *step = &event->replication;
    if (step->port != NOT_KNOWN)
        link->replica_port = (uint16_t)step->port;
    struct follower *follower = follow(model, link);
    if (!follower)
        return;
    learn_history(model, link->followed, link->replid, false);
    if (step->offset != NOT_KNOWN)
        followed_note_offset(link->followed, event->time, step->offset);
    add_resync(follower, link, event);
    begin_link(main_of(link), event, step->offset);
    follower->acked = NOT_KNOWN;
}

/* On the other channel's pair it is the end of a full resync. */
void model_follower_goes_on(struct model *model, struct replication *link,
                            const struct event *event) {
    struct follower *follower = follow(model, link);
    if (!follower)
        return;
    learn_history(model, link->followed, link->replid, true);
    if (!link->rdb_elsewhere) {
        begin_link(link, event, event->replication.offset);
        follower->partial_resyncs++;
    }
    link->past.streaming = true;
}

void model_follower_copied(struct model *model, struct replication *link,
                           const struct event *event) {
    struct follower *follower = follow(model, link);
    struct resync *resync = follower ? last_resync(follower) : NULL;
    uint64_t bytes = event->replication.bytes;
    main_of(link)->past.streaming = true;
    if (!resync || bytes == NOT_KNOWN)
        return;
    resync->copied = event->time;
    resync->bytes = bytes;
    follower->rdb_bytes += bytes;
}

void model_follower_streams(struct model *model, struct replication *link,
                            const struct event *event) {
    (void)event;
    follow(model, link);
    main_of(link)->past.streaming = true;
}

void model_follower_refused(struct model *model, struct replication *link,
                            const struct event *event) {
    (void)event;
    struct follower *follower = follow(model, link);
    if (follower)
        follower->refused++;
}

void model_follower_sent(struct replication *link, const struct event *event, uint64_t bytes) {
    link->past.heard_primary = event->time;
    if (!link->follower)
        return;
    link->follower->stream_bytes += bytes;
    if (link->offset != NOT_KNOWN)
        followed_note_offset(link->followed, event->time, link->offset);
}

static void come_online(struct follower *follower, struct replication *link, nstime now) {
    link->past.online = now;
    follower->caught_up = false;
    struct resync *resync = last_resync(follower);
    if (resync && resync->online == TIME_NONE && resync->began == link->past.began)
        resync->online = now;
}

/* While it still loads the payload it acknowledges what it had before, or nothing. */
void model_follower_acked(struct model *model, struct replication *link,
                          const struct event *event) {
    uint64_t done = event->replication.offset;
    link->acks++;
    link->past.heard_replica = event->time;
    struct follower *follower = follow(model, link);
    bool loading = link->past.begin_offset != NOT_KNOWN && done < link->past.begin_offset;
    if (!follower || loading || !link->past.streaming || follower->link != link)
        return;
    if (link->past.online == TIME_NONE)
        come_online(follower, link, event->time);
    follower->acked = done;
    follower->acked_at = event->time;
    if (follower->comparable && follower->header > done) /* an ACK that comes late */
        done = follower->header;
    followed_note_offset(link->followed, event->time, done); /* the primary has no less */
    model_follower_measure(follower, link, event, done);
}

void model_follower_closed(const struct model *model, struct replication *link,
                           const struct event *event) {
    struct link_past *past = &link->past;
    if (past->ended != TIME_NONE)
        return;
    past->ended = event->time;
    past->by_primary = endpoint_equal(&event->flow->ends[event->direction], &link->primary);
    if (past->by_primary)
        past->cut = model_cut(model, link, event->time);
    past->reset = strcmp(event->tcp_close.how, "reset") == 0;
    past->unacked =
        flow_unacked(&event->flow->sides[past->by_primary ? event->direction : !event->direction]);
    past->sent = past->streaming ? link->offset : past->begin_offset;
    if (link->follower && link->follower->link == link)
        link->follower->open = false;
}

void model_follower_forgets(struct replication *link) {
    if (link->follower && link->follower->link == link)
        leave_link(link->follower);
}
