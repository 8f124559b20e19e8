/* model_followers.c - pairs of a primary and a replica, kept by their addresses whatever
 * connections come and go; what is known of their offsets. */
#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* ---- primaries ---- */

static bool has_addr(const void *owner, uint32_t index, const void *addr) {
    const struct model_followers *all = owner;
    return endpoint_equal(&all->sources[index]->addr, addr);
}

static struct source *add_source(struct model *model, uint32_t hash, const struct endpoint *addr) {
    struct model_followers *all = &model->followers;
    struct source **sources =
        list_with_room(all->sources, all->source_count, &all->source_room, sizeof(struct source *));
    if (!sources)
        return NULL;
    all->sources = sources;
    bool room = all->source_count < CAP_FOLLOWERS;
    struct source *source = room ? calloc(1, sizeof *source) : NULL;
    if (!source || !table_add(&all->source_index, hash, all->source_count)) {
        free(source);
        return NULL;
    }
    source->addr = *addr;
    source->offset = source->header = NOT_KNOWN;
    all->sources[all->source_count++] = source;
    return source;
}

static struct source *source_at(struct model *model, const struct endpoint *addr) {
    struct model_followers *all = &model->followers;
    uint32_t hash = (uint32_t)siphash(&model->key, addr, sizeof *addr);
    uint32_t index = table_find(&all->source_index, hash, has_addr, all, addr);
    return index == TABLE_NONE ? add_source(model, hash, addr) : all->sources[index];
}

static inline void note_offset(struct source *source, nstime now, uint64_t offset) {
    if (source->offset != NOT_KNOWN && offset <= source->offset)
        return;
    source->offset = offset;
    source->offset_at = now;
    offset_history_note(&source->history, now, offset);
}

/* ---- replicas ---- */

struct pair {
    const struct source *primary;
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

static struct follower *follower_at(struct model *model, const struct source *primary,
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

/* Another data set: its offsets are not to be compared with those before. */
static void begin_anew(struct model *model, struct source *source) {
    source->offset = NOT_KNOWN;
    source->history.count = 0;
    for (uint32_t i = 0; i < model->followers.count; i++) {
        struct follower *follower = model->followers.list[i];
        if (follower->primary == source) {
            follower->header = NOT_KNOWN;
            follower->comparable = follower->fell = false;
        }
    }
}

/* ---- which replica is at the other end? ---- */

static bool is_on_host(const struct endpoint *addr, const struct replication *link) {
    return memcmp(addr->ip, link->replica.ip, sizeof addr->ip) == 0;
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
    link->source = source_at(model, &link->primary);
    struct follower *follower = link->source ? follower_at(model, link->source, &replica) : NULL;
    if (follower)
        take_link(follower, link);
    return follower;
}

/* The link on which the stream runs. */
static struct replication *main_of(struct replication *link) {
    const struct follower *follower = link->data_channel ? link->follower : NULL;
    return follower && follower->link ? follower->link : link;
}

/* ---- how far behind ---- */

/* Where the bytes are that the replica lacks, by the link on which they should come. What is sent
 * of a command that is not complete yet is under way, or else waits. */
static void find_bytes(struct lag *lag, const struct source *source, const struct replication *link,
                       const struct event *event, uint64_t done) {
    if (link->offset == NOT_KNOWN || link->offset > source->offset || link->offset < done)
        return;
    uint64_t unacked = flow_unacked(&event->flow->sides[!event->direction]);
    uint64_t sent = link->offset - done;
    lag->in_flight = unacked < lag->bytes ? unacked : lag->bytes;
    lag->unread = sent > lag->in_flight ? sent - lag->in_flight : 0;
    lag->waiting = lag->bytes - lag->in_flight - lag->unread;
}

/* After a link began, what was written meanwhile is caught up with in about the time it took to
 * begin; a replica that needs much longer is behind. */
static bool is_catching_up(struct follower *follower, const struct replication *link,
                           const struct lag *lag) {
    static const nstime moment = 1 * NS_PER_SEC, least = 10 * NS_PER_SEC;
    const struct link_past *past = &link->past;
    if (lag->behind < moment)
        follower->caught_up = true;
    nstime took = past->began == TIME_NONE ? 0 : past->online - past->began;
    return !follower->caught_up && (lag->time - past->online - least) / 2 < took;
}

static void measure(struct follower *follower, const struct replication *link,
                    const struct event *event, uint64_t done) {
    const struct source *source = follower->primary;
    struct lag lag = {.time = event->time,
                      .offset = source->offset,
                      .by_header = !link,
                      .linked = follower->open,
                      .waiting = NOT_KNOWN,
                      .in_flight = NOT_KNOWN,
                      .unread = NOT_KNOWN,
                      .place = place_of(event)};
    lag.bytes = source->offset > done ? source->offset - done : 0;
    nstime passed = offset_history_passed(&source->history, done);
    if (lag.bytes && passed != TIME_NONE && passed < event->time)
        lag.behind = event->time - passed;
    if (link) {
        lag.retransmits = event->flow->sides[!event->direction].stats.retransmits;
        lag.zero_windows = event->flow->sides[event->direction].stats.zero_windows;
        find_bytes(&lag, source, link, event, done);
    }
    lag.catching_up = link && is_catching_up(follower, link, &lag);
    follower->lag = lag;
    if (lag.catching_up)
        return;
    if (lag.bytes > follower->most_bytes)
        follower->most_bytes = lag.bytes;
    if (follower->worst.time == TIME_NONE || lag.behind > follower->worst.behind)
        follower->worst = lag;
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
static void learn_history(struct model *model, struct source *source, const char *replid,
                          bool goes_on) {
    if (!replid[0])
        return;
    if (source->replid[0] && strcmp(source->replid, replid) != 0 && !goes_on)
        begin_anew(model, source);
    memcpy(source->replid, replid, sizeof source->replid);
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
    learn_history(model, link->source, link->replid, false);
    if (step->offset != NOT_KNOWN)
        note_offset(link->source, event->time, step->offset);
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
    learn_history(model, link->source, link->replid, true);
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
        note_offset(link->source, event->time, link->offset);
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
    note_offset(link->source, event->time, done); /* the primary has no less */
    measure(follower, link, event, done);
}

void model_follower_closed(struct replication *link, const struct event *event) {
    struct link_past *past = &link->past;
    if (past->ended != TIME_NONE)
        return;
    past->ended = event->time;
    past->by_primary = endpoint_equal(&event->flow->ends[event->direction], &link->primary);
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

/* ---- what headers say ---- */

/* The source of the last header is mostly that of this one. */
static struct source *source_of(struct model *model, struct node_private *node) {
    if (LIKELY(node->source && endpoint_equal(&node->source->addr, &node->node.addr)))
        return node->source;
    return node->source = source_at(model, &node->node.addr);
}

static const nstime OLD_NEWS = 5 * NS_PER_SEC;

/* It tells less than before: it was started anew, unless that has been on its way for so long. */
static bool is_anew(const struct source *source, const struct event *event, uint64_t offset) {
    return source->offset != NOT_KNOWN && offset < source->offset &&
           (event->flow->first > source->offset_at || event->time - source->offset_at > OLD_NEWS);
}

static void primary_header(struct model *model, struct node_private *node) {
    struct source *source = source_of(model, node);
    if (!source)
        return;
    uint64_t offset = node->node.repl_offset;
    if (UNLIKELY(is_anew(source, model->cause, offset)))
        begin_anew(model, source);
    source->header = offset;
    note_offset(source, model->cause->time, offset);
}

/* Of this primary's stream? It may have followed another one before; if it fell back, only when it
 * is where the primary is. */
static bool is_comparable(struct follower *follower, uint64_t offset) {
    const struct source *source = follower->primary;
    bool known = follower->header != NOT_KNOWN;
    follower->fell |= known && offset < follower->header;
    if (offset > 0 && offset == source->offset) {
        follower->comparable = true;
        follower->fell = false;
    } else if (!known || offset == 0 || follower->fell) {
        follower->comparable = false;
    } else if (offset > follower->header) {
        follower->comparable = true;
    }
    follower->header = offset;
    return follower->comparable && source->offset != NOT_KNOWN;
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
    struct source *source = primary->node.addr_known ? source_of(model, primary) : NULL;
    struct follower *follower = node->follower;
    if (LIKELY(follower && follower->primary == source &&
               endpoint_equal(&follower->replica, &node->node.addr)))
        return follower;
    node->follower = source ? follower_at(model, source, &node->node.addr) : NULL;
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
    bool late = follower->acked != NOT_KNOWN && done < follower->acked;
    if (!late && !is_told_otherwise(follower, &primary->node, model->cause->time))
        measure(follower, NULL, model->cause, done);
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

uint32_t model_source_node(const struct model *model, const struct follower *follower) {
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
    for (uint32_t i = 0; i < followers->source_count; i++)
        free(followers->sources[i]);
    for (uint32_t i = 0; i < followers->count; i++) {
        free(followers->list[i]->resyncs);
        free(followers->list[i]);
    }
    free(followers->sources);
    free(followers->list);
    table_free(&followers->source_index);
    table_free(&followers->index);
}
