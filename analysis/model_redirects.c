/* model_redirects.c - what is remembered of redirects, in three places of fixed size.
 *
 * Who was told what: sets of four, found by a keyed hash that stands for connection (or host), slot
 * and kind; the one that was told longest ago makes room. Chains: likewise sets of eight, by host
 * and slot. Slots: a row each. All of it comes into being with the first redirect, and nothing here
 * is on the way of a request that is served, but for one load while its host was redirected a
 * moment ago. */
#include "analysis/model_redirects.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

enum { TOLD_WAYS = 4, CHAIN_WAYS = 8, CHAIN_SETS = 256 };
enum told_kind { TOLD_MOVED, TOLD_ASK, TOLD_HOST };

/* A host follows a redirect, and a chain goes on, within this time. */
static const nstime SOON = 1 * NS_PER_SEC;

struct told {
    uint64_t id; /* 0: free */
    uint64_t target;
    nstime first, last; /* told that; the last time */
};

struct answer {
    nstime at; /* 0: none */
    struct endpoint server, target;
};

struct slot_news {
    struct slot_change change;
    struct answer asked;    /* the last ASK */
    struct answer moved[2]; /* the last MOVED; the last one of another server than that */
};

struct pair {
    struct endpoint server, target;
    bool one_node;
};

struct redirects {
    struct redirect in_hand;
    struct pair pair; /* looked at last */
    struct told told[CAP_REDIRECTS];
    struct redirect_chain chains[CHAIN_SETS * CHAIN_WAYS];
    struct slot_news slots[BUS_SLOTS];
};

/* What a host was told a moment ago, and has not done yet. */
struct open_step {
    nstime at;
    const struct command *command;
    struct endpoint client, server, target;
    uint16_t slot;
};

enum { STEPS = 8 /* of a host that are waited for; more make no difference to what is typical */ };

struct redirected {
    struct open_step steps[STEPS];
};

/* ---- the target ---- */

/* "host:port": false if it is none. */
static bool cut_target(struct bytes text, struct bytes *ret_host, uint16_t *ret_port) {
    const uint8_t *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    uint32_t port = 0;
    if (!colon)
        return false;
    for (const uint8_t *at = colon + 1; at < text.data + text.len && port <= UINT16_MAX; at++) {
        if (*at < '0' || *at > '9')
            return false;
        port = port * 10 + (*at - (uint32_t)'0');
    }
    *ret_host = bytes_of(text.data, (size_t)(colon - text.data));
    if (ret_host->len > 2 && ret_host->data[0] == '[')
        *ret_host = bytes_of(ret_host->data + 1, ret_host->len - 2);
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* ret_by_name may be NULL: a host is named that is no address. */
static bool read_target(const struct model *model, const struct event *event,
                        struct endpoint *ret_target, bool *ret_by_name) {
    struct bytes host;
    uint16_t port;
    if (!cut_target(event->redirect.target, &host, &port))
        return false;
    *ret_target = event->flow->ends[event->direction];
    ret_target->port = port;
    if (host.len == 0 || endpoint_parse(host, port, ret_target))
        return true;
    if (ret_by_name)
        *ret_by_name = !bytes_equal(host, bytes_str("?"));
    uint32_t node = model_node_named(model, host);
    if (node == NODE_NONE)
        return false;
    *ret_target = model_node(model, node)->addr;
    ret_target->port = port;
    return true;
}

bool model_redirect_target(const struct model *model, const struct event *event,
                           struct endpoint *ret_target) {
    return read_target(model, event, ret_target, NULL);
}

static bool is_told_of(const struct model *model, size_t node, const struct endpoint *addr) {
    const struct told_address *told;
    size_t count = model_addresses(model, node, &told);
    for (size_t i = 0; i < count; i++)
        if (endpoint_equal(&told[i].addr, addr))
            return true;
    return false;
}

static bool share_node(const struct model *model, const struct endpoint *a,
                       const struct endpoint *b) {
    for (size_t i = 0; i < model_node_count(model); i++)
        if (is_told_of(model, i, a) && is_told_of(model, i, b))
            return true;
    return false;
}

/* Two addresses of one node, as the bus has it. Where somebody is answered is mostly another node;
 * else storms have one pair of addresses. */
static bool is_alias(const struct model *model, const struct endpoint *server,
                     const struct endpoint *target) {
    struct pair *last = &model->redirects->pair;
    if (model_find_server(model, target))
        return false;
    if (!endpoint_equal(&last->server, server) || !endpoint_equal(&last->target, target))
        *last = (struct pair){*server, *target, share_node(model, server, target)};
    return last->one_node;
}

/* ---- who was told what ---- */

static uint64_t hash_target(const struct model *model, const struct redirect *redirect) {
    uint64_t hash = redirect->target_known
                        ? siphash(&model->key, &redirect->target, sizeof redirect->target)
                        : siphash(&model->key, redirect->named.data, redirect->named.len);
    return hash | 1;
}

static uint64_t told_id(const struct model *model, struct endpoint client, uint16_t slot,
                        enum told_kind kind) {
    uint8_t key[sizeof client + 4] = {0};
    if (kind == TOLD_HOST)
        client.port = 0;
    memcpy(key, &client, sizeof client);
    memcpy(key + sizeof client, &slot, sizeof slot);
    key[sizeof client + 2] = (uint8_t)kind;
    return siphash(&model->key, key, sizeof key) | 1;
}

static struct told *told_at(struct model *model, uint64_t id, nstime now) {
    struct told *set = &model->redirects->told[(id >> 1) % (CAP_REDIRECTS / TOLD_WAYS) * TOLD_WAYS];
    struct told *oldest = set;
    for (size_t i = 0; i < TOLD_WAYS; i++) {
        if (set[i].id == id)
            return &set[i];
        if (set[i].last < oldest->last)
            oldest = &set[i];
    }
    model->books.redirects_over_cap += oldest->id != 0;
    *oldest = (struct told){.id = id, .first = now, .last = now};
    return oldest;
}

/* Since when it has been told this; now, if that is news. */
static nstime told_since(struct model *model, const struct redirect *redirect, enum told_kind kind,
                         nstime now) {
    uint64_t id = told_id(model, redirect->client, redirect->slot, kind);
    uint64_t target = hash_target(model, redirect);
    struct told *told = told_at(model, id, now);
    if (told->target != target)
        told->first = now;
    told->target = target;
    told->last = now;
    return told->first;
}

/* No news, to whom it is told. */
static bool is_again(struct model *model, const struct redirect *redirect,
                     const struct event *event) {
    nstime now = event->time;
    if (redirect->ask)
        return now - told_since(model, redirect, TOLD_ASK, now) >= REDIRECT_SETTLING;
    nstime since = told_since(model, redirect, TOLD_MOVED, now);
    nstime host = told_since(model, redirect, TOLD_HOST, now);
    bool late = event->flow->connector != FLOW_CONNECTOR_UNKNOWN &&
                event->flow->first - host >= REDIRECT_SETTLING;
    return now - since >= REDIRECT_GRACE || late || redirect->cause == REDIRECT_SELF ||
           redirect->cause == REDIRECT_UNREACHABLE;
}

/* ---- the slot ---- */

/* Another server has just named another target. */
static bool contradicts(const struct answer *answer, const struct redirect *redirect, nstime now) {
    return answer->at && now - answer->at < REDIRECT_GRACE &&
           !endpoint_equal(&answer->server, &redirect->server) &&
           !endpoint_equal(&answer->target, &redirect->target);
}

/* Back from where ASK without ASKING had led: the slot is open still. */
static bool is_sent_back(const struct answer *asked, const struct redirect *redirect, nstime now) {
    return asked->at && now - asked->at < REDIRECT_SETTLING &&
           endpoint_equal(&asked->server, &redirect->target) &&
           endpoint_equal(&asked->target, &redirect->server);
}

static enum redirect_cause cause_of(const struct model *model, const struct redirect *redirect,
                                    nstime now) {
    const struct slot_news *news = &model->redirects->slots[redirect->slot];
    const struct endpoint *server = &redirect->server, *target = &redirect->target;
    if (redirect->target_known &&
        (endpoint_equal(server, target) || is_alias(model, server, target)))
        return REDIRECT_SELF;
    if (!redirect->target_known && bytes_begin(redirect->named, "?"))
        return REDIRECT_UNREACHABLE;
    if (redirect->ask || is_sent_back(&news->asked, redirect, now))
        return REDIRECT_MIGRATION;
    if (redirect->target_known && (contradicts(&news->moved[0], redirect, now) ||
                                   contradicts(&news->moved[1], redirect, now)))
        return REDIRECT_DISAGREEMENT;
    bool changed = news->change.at.time && now - news->change.at.time < REDIRECT_SETTLING;
    return changed ? REDIRECT_CHANGE : REDIRECT_STALE;
}

static void note_news(struct slot_news *news, const struct redirect *redirect,
                      const struct event *event) {
    nstime now = event->time;
    if (redirect->ask) {
        news->asked = (struct answer){now, redirect->server, redirect->target};
        return;
    }
    struct answer *last = news->moved;
    bool same = last->at && endpoint_equal(&last->server, &redirect->server);
    if (same && !endpoint_equal(&last->target, &redirect->target) &&
        now - news->change.at.time >= REDIRECT_SETTLING)
        news->change = (struct slot_change){.at = stamp_of(event), .owner = NODE_NONE};
    if (!same)
        news->moved[1] = *last;
    *last = (struct answer){now, redirect->server, redirect->target};
}

/* ---- chains ---- */

static bool goes_on(const struct redirect_chain *chain, const struct redirect *redirect,
                    nstime now) {
    return chain->hops && chain->slot == redirect->slot && now - chain->last <= SOON &&
           endpoint_same_ip(&chain->client, &redirect->client) &&
           endpoint_equal(&chain->target, &redirect->server);
}

/* The chain that the redirect goes on with, or a new one. */
static struct redirect_chain *chain_of(struct model *model, const struct redirect *redirect,
                                       const struct event *event) {
    uint64_t id = told_id(model, redirect->client, redirect->slot, TOLD_HOST);
    struct redirect_chain *set = &model->redirects->chains[id % CHAIN_SETS * CHAIN_WAYS];
    struct redirect_chain *oldest = set;
    for (size_t i = 0; i < CHAIN_WAYS; i++) {
        if (goes_on(&set[i], redirect, event->time))
            return &set[i];
        if (set[i].last < oldest->last)
            oldest = &set[i];
    }
    *oldest = (struct redirect_chain){
        .client = redirect->client, .slot = redirect->slot, .place = place_of(event)};
    return oldest;
}

/* Once for each ASKING. */
static bool asked_in_vain(struct client_conn *conn, const struct redirect *redirect, nstime now) {
    bool asked = !redirect->ask && conn->asked_well && now - conn->asked_well <= SOON;
    conn->asked_well = 0;
    return asked;
}

static const struct redirect_chain *add_hop(struct model *model, struct client_conn *conn,
                                            const struct redirect *redirect,
                                            const struct event *event) {
    struct redirect_chain *chain = chain_of(model, redirect, event);
    if (chain->hops < CHAIN_SERVERS)
        chain->servers[chain->hops] = redirect->server;
    chain->hops++;
    chain->asks += redirect->ask;
    chain->turned_off += asked_in_vain(conn, redirect, event->time);
    chain->target = redirect->target;
    chain->last = event->time;
    return chain;
}

/* ---- what the client does next ---- */

static void end_step(struct client *client, size_t index, uint64_t *count) {
    struct open_step *steps = client->redirected->steps;
    memmove(&steps[index], &steps[index + 1], (--client->steps_open - index) * sizeof *steps);
    (*count)++;
}

/* Those that have waited too long are the first ones. */
static void end_old_steps(struct model *model, struct client *client, nstime now) {
    while (client->steps_open && now - client->redirected->steps[0].at > SOON)
        end_step(client, 0, &model->redirect_nexts[NEXT_GAVE_UP]);
}

static void begin_step(struct client *client, const struct redirect *redirect,
                       const struct event *event) {
    if (!client->redirected)
        client->redirected = calloc(1, sizeof *client->redirected);
    if (!client->redirected)
        return;
    if (client->steps_open == STEPS) {
        uint64_t unknown = 0;
        end_step(client, 0, &unknown);
    }
    client->redirected->steps[client->steps_open++] =
        (struct open_step){.at = event->time,
                           .command = event->redirect.command,
                           .client = redirect->client,
                           .server = redirect->server,
                           .target = redirect->target,
                           .slot = redirect->slot};
}

static void end_repeated(struct model *model, struct client *client,
                         const struct redirect *redirect, const struct command *command) {
    for (size_t i = 0; i < client->steps_open; i++) {
        const struct open_step *step = &client->redirected->steps[i];
        if (step->slot != redirect->slot || !endpoint_equal(&step->client, &redirect->client))
            continue;
        bool same = step->command == command;
        end_step(client, i, &model->redirect_nexts[same ? NEXT_REPEATED : NEXT_GAVE_UP]);
        return;
    }
}

void model_redirect_reply(struct model *model, struct client_conn *conn,
                          const struct event *event) {
    struct client *client = conn->client;
    end_old_steps(model, client, event->time);
    for (size_t i = 0; i < client->steps_open; i++) {
        const struct open_step *step = &client->redirected->steps[i];
        if (step->command != event->reply.command ||
            !endpoint_equal(&step->target, &conn->server->addr))
            continue;
        bool asking = conn->asking && event->time - conn->asking <= SOON;
        bool stayed = endpoint_equal(&step->server, &step->target);
        enum redirect_next next = stayed ? NEXT_REPEATED : asking ? NEXT_ASKING : NEXT_FOLLOWED;
        end_step(client, i, &model->redirect_nexts[next]);
        conn->asking = 0;
        return;
    }
}

/* ---- events ---- */

static struct redirects *redirects_of(struct model *model) {
    if (!model->redirects)
        model->redirects = calloc(1, sizeof *model->redirects);
    return model->redirects;
}

static struct redirect read_redirect(const struct model *model, const struct client_conn *conn,
                                     const struct event *event) {
    struct redirect redirect = {
        .ask = event->redirect.kind && event->redirect.kind[0] == 'a',
        .slot = (uint16_t)event->redirect.slot,
        .client = event->flow->ends[!event->direction],
        .server = event->flow->ends[event->direction],
        .named = event->redirect.target,
        .introduction = conn->introduction,
        .before = conn->redirected,
    };
    redirect.target_known = read_target(model, event, &redirect.target, &redirect.by_name);
    if (!redirect.target_known)
        redirect.target = (struct endpoint){0};
    return redirect;
}

void model_redirect_step(struct model *model, struct client_conn *conn, const struct event *event) {
    struct redirects *redirects = redirects_of(model);
    if (!redirects || event->redirect.slot >= BUS_SLOTS)
        return;
    struct redirect redirect = read_redirect(model, conn, event);
    redirect.cause = cause_of(model, &redirect, event->time);
    redirect.again = is_again(model, &redirect, event);
    redirect.chain = redirect.target_known ? add_hop(model, conn, &redirect, event) : NULL;
    if (redirect.again)
        conn->redirected = event->time;
    note_news(&redirects->slots[redirect.slot], &redirect, event);
    end_old_steps(model, conn->client, event->time);
    end_repeated(model, conn->client, &redirect, event->redirect.command);
    if (!conn->client->others)
        begin_step(conn->client, &redirect, event);
    redirects->in_hand = redirect;
}

/* A primary has got slots that another one had, or nobody. */
void model_redirect_slots(struct model *model, uint32_t owner, const uint8_t *gained) {
    struct redirects *redirects = redirects_of(model);
    struct slot_change change = {.at = stamp_of(model->cause), .owner = owner};
    for (size_t slot = 0; redirects && slot < BUS_SLOTS; slot++)
        if (slots_have(gained, slot))
            redirects->slots[slot].change = change;
}

void model_redirects_free(struct model *model) {
    free(model->redirects);
}

/* ---- looking at it ---- */

const struct redirect *model_redirect_in_hand(const struct model *model) {
    return model->redirects ? &model->redirects->in_hand : NULL;
}

struct slot_change model_slot_change(const struct model *model, uint32_t slot) {
    return model->redirects ? model->redirects->slots[slot].change
                            : (struct slot_change){.owner = NODE_NONE};
}

void model_redirect_nexts(const struct model *model, uint64_t ret_counts[REDIRECT_NEXTS]) {
    nstime now = model->books.last;
    memcpy(ret_counts, model->redirect_nexts, sizeof model->redirect_nexts);
    for (uint32_t i = 0; i < model->clients.count; i++) {
        const struct client *client = model->clients.list[i];
        for (size_t at = 0; at < client->steps_open; at++)
            ret_counts[NEXT_GAVE_UP] += now - client->redirected->steps[at].at > SOON;
    }
}
