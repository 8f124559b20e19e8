/* detect_cluster_down.c - nodes said that the cluster is down, or answered CLUSTERDOWN.
 *
 * A node says so while a slot has no live owner, or while it cannot reach most primaries. It also
 * says so when it starts, until it knows better: so only a node counts that was well before, in
 * this capture and in this life; or that ran before the capture, if it goes on for longer than a
 * cluster is without all of its slots while it is made. */
#include "analysis/cluster_down.h"
#include "analysis/model_alarms.h"
#include "analysis/model_clients.h"
#include "analysis/process_end.h"
#include "base/list.h"
#include "decode/slot_set.h"

#include <stdlib.h>

/* Without a word for this long a node is no witness any more; answers this far apart are of two
 * outages; what is taken back so soon was never meant. */
static const nstime SILENT = 10 * NS_PER_SEC, APART = 2 * NS_PER_SEC, BLIP = 20 * NS_PER_MS;

/* Whoever has heard from another node within this time is not cut off from it. */
static const nstime IN_TOUCH = 2 * NS_PER_SEC;

static struct witness *witness_at(struct downs *downs, uint32_t index) {
    size_t wanted = index < downs->room ? downs->room : index + 64;
    struct witness *list = list_up_to(downs->witnesses, &downs->room, wanted, sizeof *list);
    if (!list)
        return NULL;
    downs->witnesses = list;
    return &list[index];
}

/* ---- an outage begins and goes on ---- */

static uint32_t failed_primary(const struct model *model) {
    for (uint32_t i = 0; i < model_node_count(model); i++)
        if (model_was_failed(model, i) && !model_node(model, i)->replica)
            return i;
    return NODE_NONE;
}

/* A node says or answers so now; NODE_NONE: some server. Once all have taken it back for a while,
 * that is another outage. */
static struct outage *outage_at(const struct detection *detection, struct downs *downs,
                                uint32_t index, nstime now) {
    struct outage *outage = &downs->outage;
    if (outage->on && outage->taken_back != TIME_NONE && now - outage->taken_back > OUTAGE_LAG)
        cluster_down_tell(detection, downs, outage->last);
    if (!outage->on) {
        *outage = (struct outage){.on = true,
                                  .joined = index != NODE_NONE && downs->witnesses[index].joined,
                                  .start = now,
                                  .taken_back = TIME_NONE,
                                  .most_since = TIME_NONE,
                                  .failed = NODE_NONE};
        outage->first_reply = place_none();
        for (size_t i = 0; i < downs->room; i++)
            downs->witnesses[i].told = false;
    }
    if (outage->failed == NODE_NONE)
        outage->failed = failed_primary(detection->model);
    if (outage->failed != NODE_NONE && index != NODE_NONE)
        outage->bereft |= !model_was_failed(detection->model, index);
    outage->last = now;
    outage->taken_back = TIME_NONE;
    return outage;
}

static bool is_heard(const struct model *model, uint32_t index, nstime now) {
    nstime last = model_node(model, index)->last_heard;
    return last != TIME_NONE && now - last < SILENT;
}

/* Who says so now: after every change of that. */
static void recount(const struct detection *detection, struct downs *downs, nstime now) {
    struct outage *outage = &downs->outage;
    uint32_t down = 0, heard = 0, unheard = 0;
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        down += downs->witnesses[i].down;
        heard += is_heard(detection->model, i, now);
        unheard += !model_node(detection->model, i)->heard;
    }
    if (down > outage->peak) {
        outage->peak = down;
        outage->heard = heard;
        outage->unheard = unheard;
    }
    bool most = down * 2 > heard;
    if (most == (outage->most_since != TIME_NONE))
        return;
    outage->most_for += most ? 0 : now - outage->most_since;
    outage->most_since = most ? now : TIME_NONE;
}

/* With so many that it cannot reach it holds the cluster for down, whoever owns the slots. */
static bool misses_most(const struct model *model, uint32_t index) {
    uint32_t voters = 0, missed = 0;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool votes = model_is_voter(model, i);
        voters += votes;
        missed += votes && i != index && model_view(model, index, i) != 0;
    }
    return missed * 2 >= voters && missed > 0;
}

/* It may hear from them again before it says so without them. */
static void note_missed(const struct model *model, struct witness *witness, uint32_t index,
                        nstime now) {
    if (!misses_most(model, index))
        return;
    witness->cut_off = true;
    witness->missed = now;
}

/* Did messages of another node arrive there since then? */
static bool has_heard(const struct model *model, uint32_t index, uint32_t other, nstime since) {
    const struct link *own = model_link_between(model, index, other);
    const struct link *its = model_link_between(model, other, index);
    return (own && own->delivered[1].time >= since) || (its && its->delivered[0].time >= since);
}

static bool has_heard_most(const struct model *model, uint32_t index, nstime since) {
    uint32_t voters = 0, heard = 0;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool votes = model_is_voter(model, i);
        voters += votes;
        heard += votes && (i == index || has_heard(model, index, i, since));
    }
    return heard * 2 > voters;
}

static void note_told(const struct model *model, struct downs *downs, uint32_t index,
                      struct place place, bool answered) {
    struct witness *witness = &downs->witnesses[index];
    if (!witness->on || !witness->told) {
        witness->since = place.time;
        witness->until_then = witness->until;
    }
    witness->on = true;
    witness->until = place.time;
    if (witness->told)
        return;
    witness->told = true;
    witness->vague = false;
    witness->longest = 0;
    witness->answered = answered;
    witness->cut_off = witness->missed && place.time - witness->missed <= IN_TOUCH;
    witness->reached = false;
    witness->in_touch = has_heard_most(model, index, place.time - IN_TOUCH);
    witness->said = place;
}

static void says_down(const struct detection *detection, struct downs *downs, uint32_t index,
                      const struct event *event) {
    struct witness *witness = &downs->witnesses[index];
    (void)outage_at(detection, downs, index, event->time);
    witness->down = true;
    note_told(detection->model, downs, index, place_of(event), false);
    note_missed(detection->model, witness, index, event->time);
    recount(detection, downs, event->time);
}

static bool anyone_told(const struct downs *downs) {
    for (size_t i = 0; i < downs->room; i++)
        if (downs->witnesses[i].told)
            return true;
    return false;
}

/* When it did so is in `until`. */
static void takes_back(struct witness *witness) {
    if (witness->on && witness->until - witness->since > witness->longest)
        witness->longest = witness->until - witness->since;
    witness->on = witness->down = false;
}

static bool anyone_says_so(const struct downs *downs) {
    for (size_t i = 0; i < downs->room; i++)
        if (downs->witnesses[i].down)
            return true;
    return false;
}

/* An old message that comes after newer ones, over another connection or behind a hole, looks like
 * a change of mind that is taken back at once. It never was. */
static bool was_blip(struct downs *downs, struct witness *witness, nstime now) {
    if (witness->answered || now - witness->since >= BLIP)
        return false;
    witness->down = false;
    witness->told = witness->said.time < witness->since;
    witness->until = witness->until_then;
    downs->outage.on = downs->outage.replies > 0 || anyone_told(downs);
    return true;
}

static bool ends_long_silence(const struct node *node, nstime now) {
    return node->pause.to == now && now - node->pause.from >= OUTAGE_LAG;
}

enum { CLOSES_ALL = 2 /* connections: who closes one only may have had its reasons */ };

/* Long before these first words it had closed its connections: another process speaks. One that
 * stood still closes what it waits on when it goes on. */
static bool was_restarted(const struct model *model, uint32_t index, nstime now) {
    const struct node *node = model_node(model, index);
    uint32_t closes;
    if (!ends_long_silence(node, now))
        return false;
    struct stamp first = process_closes(model, index, node->pause.from, &closes);
    return closes >= CLOSES_ALL && now - first.time >= OUTAGE_LAG;
}

static void on_state(const struct detection *detection, struct downs *downs, const char *id,
                     bool ok, const struct event *event) {
    uint32_t index = model_index_of(detection->model, id);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (!witness || event->time < witness->changed)
        return;
    witness->changed = event->time;
    witness->starting |= !ok && was_restarted(detection->model, index, event->time);
    if (!ok && (witness->well || witness->joined) && !witness->starting) {
        says_down(detection, downs, index, event);
        return;
    }
    bool over = ok && witness->down && downs->outage.on && !was_blip(downs, witness, event->time);
    witness->until = over ? event->time : witness->until;
    witness->vague |= over && ends_long_silence(model_node(detection->model, index), event->time);
    takes_back(witness);
    witness->well |= ok;
    witness->joined &= !ok;
    witness->starting &= !ok;
    if (!over)
        return;
    downs->outage.last = event->time;
    if (!anyone_says_so(downs))
        downs->outage.taken_back = event->time;
    recount(detection, downs, event->time);
}

/* Whom it misses stands behind its state in the same message. */
static void on_suspected(const struct detection *detection, struct downs *downs,
                         const struct event *event) {
    uint32_t index = model_index_of(detection->model, event->node_suspected.node);
    struct witness *witness = index < downs->room ? &downs->witnesses[index] : NULL;
    if (witness && witness->down && !witness->cut_off)
        note_missed(detection->model, witness, index, event->time);
}

/* The first words of a node. */
static void on_heard(const struct detection *detection, struct downs *downs,
                     const struct event *event) {
    const char *id = event->node_heard.node;
    uint32_t index = model_index_of(detection->model, id);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (witness)
        witness->joined = model_node(detection->model, index)->ran_before;
    const struct ev_node_heard *heard = &event->node_heard;
    downs->outage.others_well |= heard->state == 0 && heard->slots && slots_any(heard->slots);
    on_state(detection, downs, id, event->node_heard.state == 0, event);
}

/* Nobody listens there: the node's process is gone. What comes next at the address starts anew. */
static void refused(const struct detection *detection, struct downs *downs,
                    const struct endpoint *addr) {
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        const struct node *node = model_node(detection->model, i);
        bool its = node->addr_known && endpoint_same_ip(&node->addr, addr) &&
                   (addr->port == node->bus_port || addr->port == node->addr.port);
        if (!its)
            continue;
        downs->witnesses[i].starting = true;
        takes_back(&downs->witnesses[i]);
    }
}

/* ---- answers ---- */

/* Who has this address; if several had it, the one that spoke last. */
static uint32_t node_at(const struct model *model, const struct endpoint *addr) {
    uint32_t found = NODE_NONE;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (node->addr_known && endpoint_equal(&node->addr, addr) &&
            (found == NODE_NONE || node->last_heard > model_node(model, found)->last_heard))
            found = i;
    }
    return found;
}

static bool has_served(const struct model *model, const struct endpoint *addr) {
    const struct server *server = model_server_at(model, addr);
    for (size_t i = 0; server && i < SERVED; i++)
        if (server->served[i].client)
            return true;
    return false;
}

static void keep_client(struct outage *outage, const struct endpoint *client) {
    for (size_t i = 0; i < outage->client_count; i++)
        if (endpoint_equal(&outage->clients[i], client))
            return;
    if (outage->client_count < OUTAGE_CLIENTS)
        outage->clients[outage->client_count++] = *client;
}

static void on_error(const struct detection *detection, struct downs *downs,
                     const struct event *event) {
    const struct ev_client_error *error = &event->client_error;
    if (!bytes_equal(error->error, bytes_str("CLUSTERDOWN")))
        return;
    uint32_t index = node_at(detection->model, error->server);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (!(witness && (witness->well || witness->joined)) &&
        !has_served(detection->model, error->server))
        return; /* it never was well */
    struct outage *outage = outage_at(detection, downs, index, event->time);
    struct place place = place_of(event);
    place.ends_known = true;
    place.ends[0] = *error->server;
    place.ends[1] = *error->client;
    if (outage->replies++ == 0)
        outage->first_reply = place;
    keep_client(outage, error->client);
    if (!witness)
        return;
    outage->replies_of_starting += witness->starting;
    note_told(detection->model, downs, index, place, true);
}

/* ---- the way of it ---- */

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct downs *downs = state;
    if (event->type == EV_client_error)
        on_error(detection, downs, event);
    else if (event->type == EV_node_state)
        on_state(detection, downs, event->node_state.node, event->node_state.state == 0, event);
    else if (event->type == EV_node_suspected)
        on_suspected(detection, downs, event);
    else if (event->type == EV_node_heard)
        on_heard(detection, downs, event);
    else if (event->flow && event->flow->connector != FLOW_CONNECTOR_UNKNOWN)
        refused(detection, downs, &event->flow->ends[!event->flow->connector]);
}

/* Soon after it began to say so, and still did. */
static void note_reached(const struct model *model, struct downs *downs, uint32_t index,
                         nstime now) {
    struct witness *witness = &downs->witnesses[index];
    bool still = witness->told && witness->until - witness->said.time >= OUTAGE_LAG;
    if (still && witness->in_touch && now - witness->said.time <= 2 * IN_TOUCH)
        witness->reached |= has_heard_most(model, index, witness->said.time);
}

static nstime last_word(const struct model *model) {
    nstime last = TIME_NONE;
    for (uint32_t i = 0; i < model_node_count(model); i++)
        if (model_node(model, i)->last_heard > last)
            last = model_node(model, i)->last_heard;
    return last;
}

/* Nothing is heard of anybody any more, as on a host whose own process has ended: what was said
 * last holds no longer than that. */
static void end_with_words(const struct detection *detection, struct downs *downs, nstime now) {
    nstime last = last_word(detection->model);
    if (last == TIME_NONE || now - last <= IN_TOUCH)
        return;
    for (uint32_t i = 0; i < downs->room; i++) {
        struct witness *witness = &downs->witnesses[i];
        if (!witness->down)
            continue;
        witness->until = last > witness->since ? last : witness->since;
        takes_back(witness);
    }
    if (downs->outage.most_since != TIME_NONE)
        recount(detection, downs,
                last > downs->outage.most_since ? last : downs->outage.most_since);
}

/* Who still says so; those that have fallen silent do not count. */
static bool anyone_down(const struct detection *detection, struct downs *downs, nstime now) {
    bool any = false;
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        struct witness *witness = &downs->witnesses[i];
        witness->until = witness->down ? now : witness->until;
        witness->down = witness->down && is_heard(detection->model, i, now);
        if (witness->down)
            note_missed(detection->model, witness, i, now);
        note_reached(detection->model, downs, i, now);
        any |= witness->down;
    }
    return any;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct downs *downs = state;
    end_with_words(detection, downs, now);
    if (downs->outage.on && !anyone_down(detection, downs, now) && now - downs->outage.last > APART)
        cluster_down_tell(detection, downs, downs->outage.last);
}

static void finish(const struct detection *detection, void *state) {
    struct downs *downs = state;
    nstime now = model_books(detection->model)->last;
    if (downs->outage.on)
        cluster_down_tell(detection, downs,
                          anyone_down(detection, downs, now) ? TIME_NONE : downs->outage.last);
}

static void dispose(void *state) {
    free(((struct downs *)state)->witnesses);
}

const struct detector detect_cluster_down = {
    .name = "cluster-down",
    .help = "nodes said that the cluster is down, or answered CLUSTERDOWN",
    .wants = EVENT_BIT(client_error) | EVENT_BIT(node_state) | EVENT_BIT(node_heard) |
             EVENT_BIT(node_suspected) | EVENT_BIT(tcp_refused),
    .state = sizeof(struct downs),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
