/* model_elections.c - gathers the requests, votes and promotions that belong together. */
#include "analysis/model_elections.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* A manual failover is over within this time; a primary that has paused its writes says so ten
 * times a second; what follows a request does so at once; clients come back to a new primary within
 * the last one, or were not waiting. */
static const nstime HANDOVER_MAX = 6 * NS_PER_SEC, PAUSED_MAX = 2 * NS_PER_SEC,
                    AFTER_REQUEST = 2 * NS_PER_SEC, SERVED_MAX = 10 * NS_PER_SEC;

struct write_pause model_write_pause(const struct model *model, uint32_t node) {
    return model->nodes[node]->pause;
}

size_t model_election_count(const struct model *model) {
    return model->election_count;
}

const struct election *model_election(const struct model *model, size_t index) {
    return model->elections[index];
}

void model_elections_free(struct model *model) {
    for (uint32_t i = 0; i < model->election_count; i++) {
        free(model->elections[i]->votes);
        free(model->elections[i]);
    }
    free(model->elections);
}

/* ---- who could vote ---- */

/* A vote comes on the voter's own link, or on the candidate's. */
static bool in_reach(const struct model *model, uint32_t candidate, uint32_t voter) {
    return model_link_between(model, voter, candidate) ||
           model_link_between(model, candidate, voter);
}

/* Marks those who own slots; `slots`, if any, count as the old primary's, even if it was never
 * heard. Returns how many slots are nobody's. */
static uint32_t mark_owners(const struct model *model, uint32_t old_primary, const uint8_t *slots,
                            bool owner[CAP_NODES]) {
    uint32_t owners[BUS_SLOTS], nobodys = 0;
    model_slot_owners(model, owners);
    for (size_t s = 0; s < BUS_SLOTS; s++) {
        uint32_t index = owners[s];
        if (slots_have(slots, s))
            index = old_primary;
        if (index == NODE_NONE)
            nobodys++;
        else
            owner[index] = true;
    }
    return nobodys;
}

uint32_t model_voters(const struct model *model) {
    bool owner[CAP_NODES] = {0};
    uint32_t voters = 0;
    (void)mark_owners(model, NODE_NONE, NULL, owner);
    for (uint32_t i = 0; i < model->node_count; i++)
        voters += owner[i];
    return voters;
}

static void count_voters(const struct model *model, struct election *election) {
    bool owner[CAP_NODES] = {0};
    uint32_t old = election->old_primary;
    election->voters_known = mark_owners(model, old, election->slots, owner) == 0;
    for (uint32_t i = 0; i < model->node_count; i++) {
        bool other = owner[i] && i != old && i != election->candidate;
        election->voters += owner[i];
        election->in_reach += other && in_reach(model, election->candidate, i);
        election->sound += other && !model->nodes[i]->alarm;
    }
}

/* ---- what led to it ---- */

static struct stamp later_stamp(struct stamp a, struct stamp b) {
    return b.time != TIME_NONE && (a.time == TIME_NONE || b.time > a.time) ? b : a;
}

static struct stamp last_between(const struct model *model, uint32_t node, uint32_t other) {
    const struct link *out = model_link_between(model, node, other);
    const struct link *in = model_link_between(model, other, node);
    struct stamp last = {.time = TIME_NONE};
    if (out)
        last = out->delivered[0];
    return in ? later_stamp(last, in->delivered[1]) : last;
}

struct stamp model_last_sign(const struct model *model, uint32_t node, uint32_t other) {
    struct stamp last = last_between(model, node, other);
    if (last.time != TIME_NONE)
        return last;
    for (uint32_t i = 0; i < model->link_count; i++) {
        const struct link *link = &model->links[i];
        if (link->from == node || link->to == node)
            last = later_stamp(last, link->delivered[link->to == node]);
    }
    return last;
}

/* A handover that began then may be the one that goes on. */
static bool is_recent(nstime time, nstime now, nstime most) {
    return time != TIME_NONE && now - time <= most;
}

static void note_background(const struct model *model, struct election *election) {
    nstime now = model->cause->time;
    const struct node_private *candidate = model->nodes[election->candidate];
    const struct node_private *old =
        election->old_primary == NODE_NONE ? NULL : model->nodes[election->old_primary];
    if (is_recent(candidate->handover.time, now, HANDOVER_MAX))
        election->handover = candidate->handover;
    if (!old)
        return;
    if (is_recent(old->pause.last.time, now, PAUSED_MAX))
        election->paused = old->pause.last;
    election->last_sign = model_last_sign(model, election->old_primary, election->candidate);
    election->alarmed = old->alarm;
    if (old->alarm)
        election->alarm = *old->alarm;
}

/* ---- the list ---- */

/* The candidate's election in this epoch; NULL: none. */
static struct election *find(const struct model *model, uint32_t candidate, uint64_t epoch) {
    for (uint32_t i = model->election_count; i-- > 0;)
        if (model->elections[i]->candidate == candidate && model->elections[i]->epoch == epoch)
            return model->elections[i];
    return NULL;
}

/* NULL: there is no room for one more. */
static struct election *add(struct model *model, uint32_t candidate, uint32_t old_primary,
                            uint64_t epoch) {
    const struct node *node = &model->nodes[candidate]->node;
    struct election **list = list_with_room(model->elections, model->election_count,
                                            &model->election_room, sizeof(struct election *));
    if (list)
        model->elections = list;
    bool room = list && model->election_count < CAP_ELECTIONS;
    struct election *election = room ? calloc(1, sizeof *election) : NULL;
    if (!election) {
        model->books.elections_over_cap++;
        return NULL;
    }
    election->candidate = candidate;
    election->old_primary = old_primary;
    election->epoch = epoch;
    election->behind = epoch < model->books.current_epoch;
    election->asked = election->handover = election->promoted = election->served = election->stale =
        place_none();
    election->paused.time = election->last_sign.time = election->served_before.time = TIME_NONE;
    if (node->slots)
        memcpy(election->slots, node->slots, BUS_SLOT_BYTES);
    model->elections[model->election_count++] = election;
    count_voters(model, election);
    note_background(model, election);
    return election;
}

/* ---- requests and votes ---- */

static void on_request(struct model *model, uint32_t candidate,
                       const struct ev_bus_message *message) {
    struct election *election = find(model, candidate, message->current_epoch);
    if (!election)
        election =
            add(model, candidate, model->nodes[candidate]->node.primary, message->current_epoch);
    if (!election)
        return;
    election->forced |= (message->mflags & MFLAG_FORCEACK) != 0;
    election->says_failed |= (message->flags & NODE_MY_PRIMARY_FAIL) != 0;
    if (election->asked.time == TIME_NONE || model->cause->time < election->asked.time)
        election->asked = place_of(model->cause);
}

void model_election_reached(struct model *model, uint32_t candidate, uint32_t receiver) {
    if (candidate == NODE_NONE || receiver == NODE_NONE)
        return;
    struct election *election = NULL;
    for (uint32_t i = model->election_count; i-- > 0 && !election;)
        if (model->elections[i]->candidate == candidate)
            election = model->elections[i];
    const struct node *node = &model->nodes[receiver]->node;
    if (election)
        election->reached += node->heard && !node->replica && slots_any(node->slots);
}

/* The election that a vote is for: the receiver's, or the only one of its epoch. */
static struct election *election_voted_in(const struct model *model, uint32_t receiver,
                                          uint64_t epoch) {
    struct election *found = NULL;
    for (uint32_t i = model->election_count; i-- > 0;) {
        struct election *election = model->elections[i];
        if (election->epoch != epoch || (receiver != NODE_NONE && election->candidate != receiver))
            continue;
        if (found)
            return NULL;
        found = election;
    }
    return found;
}

static struct vote *vote_of(struct election *election, uint32_t voter) {
    for (uint32_t i = 0; i < election->vote_count; i++)
        if (election->votes[i].voter == voter)
            return &election->votes[i];
    struct vote *votes =
        list_with_room(election->votes, election->vote_count, &election->vote_room, sizeof *votes);
    if (!votes)
        return NULL;
    election->votes = votes;
    votes[election->vote_count] = (struct vote){.voter = voter};
    return &votes[election->vote_count++];
}

static void on_vote(struct model *model, struct message_ends ends, uint64_t epoch, bool granted,
                    uint64_t reason) {
    struct election *election = election_voted_in(model, ends.receiver, epoch);
    if (!election && ends.receiver != NODE_NONE && model->nodes[ends.receiver]->node.replica)
        election = add(model, ends.receiver, model->nodes[ends.receiver]->node.primary, epoch);
    struct vote *vote = election ? vote_of(election, ends.sender) : NULL;
    if (!vote || vote->granted)
        return;
    election->granted += granted;
    vote->granted = granted;
    vote->reason = reason;
    vote->place = place_of(model->cause);
}

/* Somebody tells a candidate, when it has asked, that its slots are another's by now. */
static void on_update(struct model *model, struct message_ends ends) {
    for (uint32_t i = model->election_count; i-- > 0 && ends.receiver != NODE_NONE;) {
        struct election *election = model->elections[i];
        if (election->candidate == ends.receiver && election->promoted.time == TIME_NONE &&
            election->stale.time == TIME_NONE && election->asked.time != TIME_NONE &&
            model->cause->time - election->asked.time <= AFTER_REQUEST)
            election->stale = place_of(model->cause);
    }
}

/* On this connection the winner has spoken as a replica: TCP keeps the order, so a request would
 * have come before, and it goes to everybody. */
static bool is_prompt(const struct event *event, const struct ev_bus_message *message,
                      nstime before) {
    const struct flow *flow = event->flow;
    return event->direction == (unsigned)flow->connector && flow->first <= before &&
           !message->after_gap && flow->sides[event->direction].stats.gaps == 0;
}

/* It tells all that it has won, which may come after an answer to somebody's PING. */
static void on_told_to_all(struct model *model, uint32_t winner,
                           const struct ev_bus_message *message) {
    struct election *election = find(model, winner, message->config_epoch);
    if (election && election->promoted.time != TIME_NONE && !election->prompt &&
        model->cause->time - election->promoted.time <= AFTER_REQUEST)
        election->prompt = is_prompt(model->cause, message, election->replica_until);
}

void model_election_message(struct model *model, struct message_ends ends,
                            const struct ev_bus_message *message) {
    switch (message->type) {
    case BUS_FAIL: {
        uint32_t subject = message->about ? model_find_node(model, message->about) : NODE_NONE;
        if (subject != NODE_NONE)
            model_alarm_announced(model, ends.sender, subject);
        break;
    }
    case BUS_AUTH_REQUEST:
        on_request(model, ends.sender, message);
        break;
    case BUS_AUTH_ACK:
        on_vote(model, ends, message->current_epoch, true, 0);
        break;
    case BUS_AUTH_NACK:
        on_vote(model, ends, message->about_epoch, false, message->reason);
        break;
    case BUS_MFSTART:
        model->nodes[ends.sender]->handover = place_of(model->cause);
        break;
    case BUS_UPDATE:
        on_update(model, ends);
        break;
    case BUS_PONG:
        on_told_to_all(model, ends.sender, message);
        break;
    default:
        break;
    }
}

/* ---- promotions ---- */

/* A takeover raises the epoch. What does not was said before its sender became a replica, and came
 * later: a process that was stopped has much of that in its buffers. */
static bool is_old_news(const struct model *model, uint32_t had, uint64_t epoch) {
    const struct node *old = had == NODE_NONE ? NULL : &model->nodes[had]->node;
    return old && old->heard && epoch <= old->config_epoch;
}

static void keep_served(const struct model *model, struct election *election) {
    uint32_t index = election->old_primary;
    const struct node *old = index == NODE_NONE ? NULL : &model->nodes[index]->node;
    const struct server *server =
        old && old->addr_known ? model_server_at(model, &old->addr) : NULL;
    if (server)
        memcpy(election->served_last, server->served, sizeof server->served);
}

void model_election_won(struct model *model, uint32_t winner, struct replica_was was,
                        const struct ev_bus_message *message) {
    struct election *election = find(model, winner, message->config_epoch);
    if (!election && (!slots_any(message->slots) /* CLUSTER RESET */ ||
                      is_old_news(model, was.primary, message->config_epoch)))
        return;
    if (!election)
        election = add(model, winner, was.primary, message->config_epoch);
    if (!election || election->promoted.time != TIME_NONE)
        return;
    election->promoted = place_of(model->cause);
    model->nodes[winner]->handover = place_none(); /* done with: the next one needs its own */
    election->replica_until = was.heard;
    if (message->config_epoch > was.current_epoch)
        election->epochs_passed = message->config_epoch - was.current_epoch - 1;
    election->prompt = is_prompt(model->cause, message, was.heard);
    memcpy(election->slots, message->slots, BUS_SLOT_BYTES);
    keep_served(model, election);
    model->elections_unserved++;
}

/* ---- who is served again ---- */

void model_election_served(struct model *model, const struct client_conn *conn,
                           const struct event *event) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < model->election_count; i++) {
        struct election *election = model->elections[i];
        const struct node *winner = &model->nodes[election->candidate]->node;
        bool waits = election->promoted.time != TIME_NONE && election->served.time == TIME_NONE &&
                     event->time - election->promoted.time <= SERVED_MAX;
        if (!waits)
            continue;
        if (!winner->addr_known || !endpoint_equal(&winner->addr, &conn->server->addr)) {
            left++;
            continue;
        }
        election->served = place_of(event);
        const struct served *last = &election->served_last[conn->client->number % SERVED];
        if (last->client == conn->client)
            election->served_before = last->at;
    }
    model->elections_unserved = left;
}
