/* model_nodes.c - the nodes: what each says of itself in its headers, and of others in gossip. */
#include <stdlib.h>

#include "analysis/model_private.h"

/* ---- addresses ---- */

static void set_address(struct model *model, uint32_t speaker, struct node_private *node,
                        const struct endpoint *addr, uint16_t bus_port) {
    struct node *n = &node->node;
    bool same = n->addr_known && endpoint_equal(&n->addr, addr);
    n->bus_port = bus_port;
    if (LIKELY(same))
        return;
    struct endpoint was = n->addr;
    bool changed = n->addr_known;
    n->addr = *addr;
    n->addr_known = true;
    model->addresses++;
    model->claims.changes++;
    struct event event = {.type = EV_node_seen};
    if (changed) {
        event.type = EV_node_address;
        event.node_address = (struct ev_node_address){
            .node = model->nodes[speaker]->node.id, .about = n->id, .addr = &n->addr, .was = &was};
    } else {
        event.node_seen = (struct ev_node_seen){
            .node = model->nodes[speaker]->node.id, .about = n->id, .addr = &n->addr};
    }
    model_conclude(model, &event);
}

/* A sender's address: as it announces it, else the one that its packets come from. */
static void learn_own_address(struct model *model, uint32_t index,
                              const struct ev_bus_message *message) {
    struct endpoint seen = {.port = (uint16_t)message->port};
    const struct event *cause = model->cause;
    memcpy(seen.ip, cause->flow->ends[cause->direction].ip, sizeof seen.ip);
    struct endpoint addr = seen;
    if (message->ip.len > 0)
        (void)endpoint_parse(message->ip, addr.port, &addr);
    model_address_own(model, index, &addr, &seen);
    set_address(model, index, model->nodes[index], &addr, (uint16_t)message->bus_port);
}

/* ---- a node about itself ---- */

/* The named primary: mostly the one that the node has had. */
static uint32_t primary_of(struct model *model, const struct node *node, const char *id) {
    bool same = node->primary != NODE_NONE &&
                memcmp(model->nodes[node->primary]->node.id, id, BUS_NODE_ID) == 0;
    return same ? node->primary : model_add_node(model, id);
}

/* Like the next two: true: it is not what it was. */
static bool learn_role(struct model *model, uint32_t index, const struct ev_bus_message *message) {
    struct node *node = &model->nodes[index]->node;
    /* The receiver takes the role from this field, not from the flags; so do we. */
    bool replica = message->replica_of;
    uint32_t primary = replica ? primary_of(model, node, message->replica_of) : NODE_NONE;
    bool changed = node->heard && (node->replica != replica || node->primary != primary);
    node->replica = replica;
    node->primary = primary;
    if (!changed)
        return false;
    node->role_since = model->cause->time;
    if (replica)
        model_write_demoted(model, node);
    struct event event = {.type = EV_node_role};
    event.node_role = (struct ev_node_role){
        .node = node->id, .about = message->replica_of, .role = replica ? "replica" : "primary"};
    model_conclude(model, &event);
    if (!replica)
        model_write_promoted(model, node);
    return true;
}

static void raise_cluster_epoch(struct model *model, const struct node *node) {
    struct event event = {.type = EV_cluster_epoch};
    event.cluster_epoch = (struct ev_cluster_epoch){
        .node = node->id, .current_epoch = node->current_epoch, .was = model->books.current_epoch};
    model_conclude(model, &event);
}

static bool learn_epochs(struct model *model, struct node *node,
                         const struct ev_bus_message *message) {
    uint64_t was = node->config_epoch;
    node->config_epoch = message->config_epoch;
    if (UNLIKELY(node->current_epoch != message->current_epoch || was != node->config_epoch)) {
        node->current_epoch = message->current_epoch;
        node->epoch_since = model->cause->time;
    }
    if (node->heard && !node->replica && was != node->config_epoch) {
        struct event event = {.type = EV_node_epoch};
        event.node_epoch = (struct ev_node_epoch){
            .node = node->id, .config_epoch = node->config_epoch, .was = was};
        model_conclude(model, &event);
    }
    if (UNLIKELY(node->current_epoch > model->books.current_epoch)) {
        if (node->heard)
            raise_cluster_epoch(model, node);
        model->books.current_epoch = node->current_epoch;
    }
    return was != node->config_epoch;
}

/* Tells what a node claims now and did not before, and the other way round. NULL: nothing. */
static void conclude_slots(struct model *model, const struct node *node, const uint8_t *before,
                           const uint8_t *now, uint64_t config_epoch) {
    uint8_t gained[BUS_SLOT_BYTES], lost[BUS_SLOT_BYTES], any = 0;
    for (size_t i = 0; i < BUS_SLOT_BYTES; i++) {
        uint8_t was = before ? before[i] : 0, is = now ? now[i] : 0;
        gained[i] = is & (uint8_t)~was;
        lost[i] = was & (uint8_t)~is;
        any |= gained[i] | lost[i];
    }
    if (!any)
        return;
    struct event event = {.type = EV_node_slots};
    event.node_slots = (struct ev_node_slots){
        .node = node->id, .gained = gained, .lost = lost, .config_epoch = config_epoch};
    model_redirect_slots(model, model_index_of(model, node->id), gained);
    model_migration_claimed(model, node, gained, lost);
    model_conclude(model, &event);
}

/* A replica repeats its primary's slots: it claims none itself, until it is promoted. */
static bool learn_slots(struct model *model, struct node_private *node,
                        const struct ev_bus_message *message, bool was_replica) {
    if (!node->slots)
        node->slots = calloc(1, BUS_SLOT_BYTES);
    if (!node->slots)
        return false;
    node->node.slots = node->slots;
    bool is_replica = node->node.replica;
    bool same = memcmp(node->slots, message->slots, BUS_SLOT_BYTES) == 0;
    if (LIKELY(same && was_replica == is_replica))
        return false;
    uint8_t before[BUS_SLOT_BYTES];
    memcpy(before, node->slots, BUS_SLOT_BYTES);
    memcpy(node->slots, message->slots, BUS_SLOT_BYTES);
    if (node->node.heard)
        conclude_slots(model, &node->node, was_replica ? NULL : before,
                       is_replica ? NULL : node->slots, message->config_epoch);
    return true;
}

static void learn_state(struct model *model, struct node *node, uint8_t state) {
    bool changed = node->heard && node->state != state;
    node->state = state;
    if (!changed)
        return;
    struct event event = {.type = EV_node_state, .node_state = {.node = node->id, .state = state}};
    model_conclude(model, &event);
    if (state == 0)
        model_recovery_served(model, model_index_of(model, node->id));
}

static void copy_text(char to[NODE_NAME_MAX], struct bytes text) {
    size_t len = min_size(text.len, NODE_NAME_MAX - 1);
    memcpy(to, text.data, len);
    to[len] = '\0';
}

static uint16_t *view_of(struct node_private *observer, uint32_t subject) {
    if (subject >= observer->view_count) {
        uint32_t count = observer->view_count ? observer->view_count : 16;
        while (count <= subject)
            count *= 2;
        uint16_t *views = realloc(observer->views, count * sizeof *views);
        if (!views)
            return NULL;
        memset(views + observer->view_count, 0, (count - observer->view_count) * sizeof *views);
        observer->views = views;
        observer->view_count = count;
    }
    return &observer->views[subject];
}

enum { EXT_HOSTNAME = 0, EXT_FORGOTTEN = 2, EXT_SHARD_ID = 3 };

/* The sender keeps the node off its list for a while, and so will who reads that: neither holds
 * anything against it any more. A replica does not forget its own primary. */
static void learn_forgotten(struct model *model, struct message_ends ends, const uint8_t *id) {
    uint32_t subject = model_find_node(model, (const char *)id);
    if (subject == NODE_NONE)
        return;
    model_set_view(model, ends.sender, subject, VIEW_FORGOTTEN);
    if (ends.receiver == NODE_NONE || ends.receiver == subject)
        return;
    const struct node *receiver = &model->nodes[ends.receiver]->node;
    if (!receiver->replica || receiver->primary != subject)
        model_set_view(model, ends.receiver, subject, VIEW_FORGOTTEN);
}

/* No host name among them means that the node has none (any more). */
static void learn_extensions(struct model *model, struct message_ends ends,
                             const struct ev_bus_message *message) {
    struct node_private *sender = model->nodes[ends.sender];
    struct node *node = &sender->node;
    struct bus_extensions walk = message->extensions;
    struct bus_extension extension;
    bool bad = false;
    bool silent = message->type <= BUS_MEET && !(message->mflags & MFLAG_EXT_DATA);
    if (walk.count > 0 || silent)
        node->hostname[0] = '\0';
    while (bus_extension_next(&walk, &extension, &bad)) {
        if (extension.id == EXT_HOSTNAME) {
            copy_text(node->hostname, extension.data);
        } else if (extension.id == EXT_FORGOTTEN && extension.data.len == BUS_NODE_ID) {
            learn_forgotten(model, ends, extension.data.data);
        } else if (extension.id == EXT_SHARD_ID && extension.data.len == BUS_NODE_ID) {
            memcpy(node->shard_id, extension.data.data, BUS_NODE_ID);
            node->shard_id_known = bus_is_node_id(extension.data.data);
        }
    }
}

/* What a node is when it is first heard is news about the capture, not about the node. */
static void conclude_heard(struct model *model, struct node *node,
                           const struct ev_bus_message *message) {
    const struct flow *flow = model->cause->flow;
    node->ran_before = flow->syns == 0 && !flow->accepted;
    struct event event = {.type = EV_node_heard};
    event.node_heard = (struct ev_node_heard){.node = node->id,
                                              .about = message->replica_of,
                                              .role = node->replica ? "replica" : "primary",
                                              .slots = node->replica ? NULL : message->slots,
                                              .config_epoch = node->config_epoch,
                                              .current_epoch = node->current_epoch,
                                              .state = node->state};
    model_conclude(model, &event);
}

/* Lower than its configuration epoch can be now: that of a primary with slots only grows, and a
 * replica speaks with its primary's, which it takes over only with a greater one. */
static bool lowers_config_epoch(const struct node *node, const struct ev_bus_message *message) {
    bool takes_over = node->replica && !message->replica_of && slots_any(message->slots);
    return message->config_epoch < node->config_epoch && (node_is_voter(node) || takes_over);
}

enum { QUEUED_MS = 1000 /* that a message may wait for its sender's event loop, at most */ };

/* It has just become a replica, and is none again, without slots and in the same epoch: nobody does
 * so who was not told to twice. */
static bool takes_role_back(const struct model *model, const struct node *node,
                            const struct ev_bus_message *message) {
    return node->replica && !message->replica_of && !slots_any(message->slots) &&
           message->current_epoch == node->current_epoch &&
           model->cause->time - node->role_since < QUEUED_MS * NS_PER_MS;
}

/* A connection may be asked for long before its first packet is seen, and what is for all waits for
 * it: the request for votes of an election that is won when it comes through. (A PING is written
 * when the connection is there.) */
static bool waited_for_connection(const struct model *model, const struct node *node,
                                  const struct ev_bus_message *message) {
    return message->type == BUS_AUTH_REQUEST && message->current_epoch == node->current_epoch &&
           model->cause->time - model->cause->flow->first < QUEUED_MS * NS_PER_MS;
}

/* What waited on a link that was as good as dead, or only in the same moment on another one, and
 * came through when its sender had said newer things elsewhere. A node never lowers its current
 * epoch either, unless it starts from an older nodes.conf: then all connections are new. */
static bool is_old_news(const struct model *model, const struct node *node,
                        const struct ev_bus_message *message) {
    bool lower = message->current_epoch < node->current_epoch || lowers_config_epoch(node, message);
    if (UNLIKELY(lower))
        return model->cause->flow->first < node->epoch_since ||
               waited_for_connection(model, node, message);
    return UNLIKELY(takes_role_back(model, node, message)) &&
           model->cause->flow->first < node->role_since;
}

/* A replica whose primary has gone on from where it is, or is not known to the model so far. */
static inline bool is_behind(const struct node_private *node) {
    return node->node.replica &&
           (!node->follower || node->follower->primary->offset != node->node.repl_offset);
}

static void learn_header(struct model *model, uint32_t index,
                         const struct ev_bus_message *message) {
    struct node_private *node = model->nodes[index];
    bool was_replica = node->node.heard && node->node.replica;
    node->node.flags = message->flags;
    bool moved = node->node.repl_offset != message->repl_offset;
    node->node.repl_offset = message->repl_offset;
    learn_own_address(model, index, message);
    bool changed = learn_role(model, index, message);
    changed |= learn_epochs(model, &node->node, message);
    changed |= learn_slots(model, node, message, was_replica);
    learn_state(model, &node->node, message->state);
    if (UNLIKELY(!node->node.heard)) {
        conclude_heard(model, &node->node, message);
        model->addresses++;
        changed = true;
    }
    node->node.heard = true;
    if (UNLIKELY(moved | changed) || is_behind(node))
        model_follower_header(model, index);
    if (UNLIKELY(changed))
        model_claim_changed(model, index, was_replica);
    if (UNLIKELY(node->contest))
        model_claim_repeated(model, node);
}

/* ---- a node about others ---- */

bool model_view_announced(struct model *model, uint32_t observer, uint32_t subject) {
    uint16_t *view = view_of(model->nodes[observer], subject);
    if (!view || *view & NODE_FAIL)
        return false;
    bool held = *view & (NODE_PFAIL | VIEW_ANNOUNCED);
    *view |= VIEW_ANNOUNCED;
    return !held;
}

static void count_suspects(struct node_private *observer, uint16_t was, uint16_t is) {
    observer->suspects += (is & NODE_PFAIL) != 0;
    observer->suspects -= (was & NODE_PFAIL) != 0;
}

void model_set_view(struct model *model, uint32_t observer, uint32_t subject, uint16_t flags) {
    uint16_t *view = view_of(model->nodes[observer], subject);
    if (!view)
        return;
    uint16_t was = *view & (VIEW_FAILURE | VIEW_ANNOUNCED), is = flags & VIEW_FAILURE;
    *view = flags;
    count_suspects(model->nodes[observer], was, is);
    if (LIKELY((was & VIEW_FAILURE) == is && (is || !was)))
        return;
    model_alarm_view(model, observer, subject, was, is, is & NODE_FAIL);
    const char *node = model->nodes[observer]->node.id, *about = model->nodes[subject]->node.id;
    struct event event;
    if (is & NODE_FAIL) {
        event.type = EV_node_failed;
        event.node_failed = (struct ev_node_failed){.node = node, .about = about};
    } else if (is & NODE_PFAIL) {
        event.type = EV_node_suspected;
        event.node_suspected = (struct ev_node_suspected){.node = node, .about = about};
    } else {
        event.type = EV_node_cleared;
        event.node_cleared = (struct ev_node_cleared){.node = node, .about = about};
    }
    model_conclude(model, &event);
}

/* What gossip says about a node counts only until the node has been heard itself. */
static void learn_from_gossip(struct model *model, uint32_t speaker, struct node_private *node,
                              const struct bus_gossip_entry *entry) {
    struct endpoint addr;
    if (endpoint_parse(entry->ip, entry->port, &addr))
        set_address(model, speaker, node, &addr, entry->bus_port);
    node->node.flags = entry->flags;
    node->node.replica = entry->flags & NODE_REPLICA;
    if (model->cause->time > node->node.last_seen)
        node->node.last_seen = model->cause->time;
}

/* The newest PONG that it tells of came a moment ago by its clock: a second or two, mostly. */
static void learn_clock(struct model *model, struct node *node, uint32_t newest_pong) {
    nstime ahead = (nstime)newest_pong * NS_PER_SEC - model->cause->time;
    if (node->clock_samples++ == 0 || ahead > node->clock_ahead) {
        node->clock_ahead = ahead;
        node->clock_place = place_of(model->cause);
    }
}

/* One that suspects others names them, or has taken it back. */
static void note_suspects(struct model *model, struct message_ends ends, bool any) {
    if (any)
        model->nodes[ends.sender]->content_since = 0;
    else if (ends.receiver != NODE_NONE)
        model_recovery_unmentioned(model, ends);
}

static void learn_gossip(struct model *model, struct message_ends ends,
                         const struct bus_gossip *gossip, bool tells_all) {
    uint32_t speaker = ends.sender, newest_pong = 0;
    uint16_t flags = 0;
    if (ends.receiver != NODE_NONE) { /* newer servers do not tell a node about itself */
        model->books.gossip_entries += gossip->count;
        model->nodes[speaker]->node.gossip_seen += gossip->count;
        model->nodes[ends.receiver]->node.gossip_seen += gossip->count;
    }
    for (size_t i = 0; i < gossip->count; i++) {
        struct bus_gossip_entry entry = bus_gossip_at(gossip, i);
        uint32_t subject = model_find_node(model, entry.node);
        if (UNLIKELY(subject == NODE_NONE) && bus_is_node_id((const uint8_t *)entry.node))
            subject = model_add_node(model, entry.node);
        if (subject == NODE_NONE)
            continue;
        struct node_private *node = model->nodes[subject];
        node->node.unmentioned_since = node_other_entries(model, &node->node);
        if (UNLIKELY(!node->node.heard))
            learn_from_gossip(model, speaker, node, &entry);
        model_address_gossiped(model, speaker, subject, &entry);
        model_set_view(model, speaker, subject, entry.flags);
        flags |= entry.flags;
        if (entry.pong_received > newest_pong)
            newest_pong = entry.pong_received;
    }
    if (newest_pong)
        learn_clock(model, &model->nodes[speaker]->node, newest_pong);
    if (UNLIKELY(model->nodes[speaker]->suspects) && tells_all)
        note_suspects(model, ends, flags & NODE_PFAIL);
}

/* ---- messages that are events in themselves ---- */

static void conclude_message(struct model *model, const struct node *sender,
                             const struct ev_bus_message *message) {
    struct event event;
    const char *node = sender->id, *receiver = message->receiver;
    switch (message->type) {
    case BUS_FAIL:
        event.type = EV_fail_announced;
        event.fail_announced = (struct ev_fail_announced){.node = node, .about = message->about};
        break;
    case BUS_AUTH_REQUEST:
        event.type = EV_vote_requested;
        event.vote_requested = (struct ev_vote_requested){
            .node = node, .about = receiver, .epoch = message->current_epoch};
        break;
    case BUS_AUTH_ACK:
        event.type = EV_vote_granted;
        event.vote_granted = (struct ev_vote_granted){
            .node = node, .about = receiver, .epoch = message->current_epoch};
        break;
    case BUS_AUTH_NACK:
        event.type = EV_vote_refused;
        event.vote_refused = (struct ev_vote_refused){.node = node,
                                                      .about = receiver,
                                                      .epoch = message->about_epoch,
                                                      .reason = message->reason};
        break;
    case BUS_MFSTART:
        event.type = EV_manual_failover;
        event.manual_failover = (struct ev_manual_failover){.node = node, .about = receiver};
        break;
    case BUS_UPDATE:
        event.type = EV_update_sent;
        event.update_sent = (struct ev_update_sent){.node = node,
                                                    .about = receiver,
                                                    .owner = message->about,
                                                    .config_epoch = message->about_epoch};
        break;
    default:
        return;
    }
    model_conclude(model, &event);
}

/* It says so in every header meanwhile, ten times a second at least. */
static void note_pause(struct write_pause *pause, struct stamp now) {
    if (pause->last.time == TIME_NONE || now.time - pause->last.time > NS_PER_SEC)
        pause->first = now;
    pause->last = now;
}

/* What the header says of its sender, and gossip of others. */
static void learn_message(struct model *model, struct message_ends ends,
                          const struct ev_bus_message *message, nstime heard_before) {
    uint32_t sender = ends.sender;
    struct node *node = &model->nodes[sender]->node;
    bool was_replica = node->heard && node->replica;
    struct replica_was was = {node->primary, heard_before, node->current_epoch};
    learn_header(model, sender, message);
    learn_extensions(model, ends, message);
    if (UNLIKELY(was_replica && !node->replica))
        model_election_won(model, sender, was, message);
    if (UNLIKELY(message->mflags & MFLAG_PAUSED))
        note_pause(&model->nodes[sender]->pause, stamp_of(model->cause));
    if (message->gossip.count)
        learn_gossip(model, ends, &message->gossip, message->version > 0);
}

/* A PING, MEET, or the PONG that answers it; one that nobody asked for is on its sender's link. */
static bool is_heartbeat(const struct event *event, enum bus_type type) {
    return type <= BUS_MEET &&
           (type != BUS_PONG || event->direction != (unsigned)event->flow->connector);
}

void model_message(struct model *model, struct message_ends ends,
                   const struct ev_bus_message *message) {
    struct node *node = &model->nodes[ends.sender]->node;
    nstime before = node->last_heard;
    if (model->cause->time > node->last_heard)
        node->last_heard = model->cause->time;
    if (model->cause->time > node->last_seen)
        node->last_seen = model->cause->time;
    model_sign_spoke(node, model->cause);
    if (message->light)
        return;
    if (!is_old_news(model, node, message)) /* a vote or a FAIL counts also then */
        learn_message(model, ends, message, before);
    if (UNLIKELY(!is_heartbeat(model->cause, message->type)))
        model_election_message(model, ends, message);
    conclude_message(model, node, message);
}
