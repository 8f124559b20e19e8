/* model_links.c - bus connections and the ordered pairs of nodes that they join.
 *
 * A connection's ends are known by the messages that they send, or by their address. Until both
 * are known what was counted waits with the connection; what nobody claims in the end is counted
 * as unclaimed. */
#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* ---- the ordered pairs ---- */

struct pair {
    uint32_t from, to;
};

static bool has_pair(const void *owner, uint32_t index, const void *key) {
    const struct link *link = &((const struct model *)owner)->links[index];
    const struct pair *pair = key;
    return link->from == pair->from && link->to == pair->to;
}

static bool room_for_link(struct model *model) {
    struct link *links =
        list_with_room(model->links, model->link_count, &model->link_room, sizeof *links);
    model->links = links ? links : model->links;
    return links;
}

static uint32_t add_link(struct model *model, uint32_t from, uint32_t to) {
    struct pair pair = {from, to};
    uint32_t hash = (uint32_t)siphash(&model->key, &pair, sizeof pair);
    uint32_t index = table_find(&model->link_index, hash, has_pair, model, &pair);
    if (index != TABLE_NONE)
        return index;
    bool room = model->link_count < CAP_LINKS && room_for_link(model);
    if (!room || !table_add(&model->link_index, hash, model->link_count)) {
        model->books.links_over_cap++;
        return NODE_NONE;
    }
    model->links[model->link_count] = (struct link){
        .from = from,
        .to = to,
        .waiting = {.time = TIME_NONE},
        .delivered = {{.time = TIME_NONE}, {.time = TIME_NONE}},
        .unacked_since = {TIME_NONE, TIME_NONE},
        .got_at = TIME_NONE,
        .seen = TIME_NONE,
        .knocks = {.first = {.time = TIME_NONE}},
        .closed = {{.time = TIME_NONE}, {.time = TIME_NONE}},
        .full = {{.time = TIME_NONE}, {.time = TIME_NONE}},
    };
    return model->link_count++;
}

size_t model_link_count(const struct model *model) {
    return model->link_count;
}

const struct link *model_link(const struct model *model, size_t index) {
    return &model->links[index];
}

const struct link *model_link_between(const struct model *model, uint32_t from, uint32_t to) {
    struct pair pair = {from, to};
    uint32_t hash = (uint32_t)siphash(&model->key, &pair, sizeof pair);
    uint32_t index = table_find(&model->link_index, hash, has_pair, model, &pair);
    return index == TABLE_NONE ? NULL : &model->links[index];
}

static bool is_end_of_all(const struct model *model, uint32_t node) {
    for (uint32_t i = 0; i < model->link_count; i++)
        if (model->links[i].from != node && model->links[i].to != node)
            return false;
    return true;
}

uint32_t model_vantage(const struct model *model) {
    if (model->link_count == 0)
        return NODE_NONE;
    bool from = is_end_of_all(model, model->links[0].from);
    bool to = is_end_of_all(model, model->links[0].to);
    if (from == to)
        return NODE_NONE;
    return from ? model->links[0].from : model->links[0].to;
}

/* ---- connections ---- */

/* The flow's connection, made when it is first asked for. NULL: out of memory, or it is not one of
 * the bus. */
static struct conn *conn_of(struct flow *flow) {
    struct conn *conn = flow->note;
    if (LIKELY(conn))
        return conn->kind == NOTE_LINK ? conn : NULL;
    conn = malloc(sizeof *conn);
    if (!conn)
        return NULL;
    *conn = (struct conn){.kind = NOTE_LINK,
                          .node = {NODE_NONE, NODE_NONE},
                          .link = NODE_NONE,
                          .early_ping = {.time = TIME_NONE},
                          .ponged = {TIME_NONE, TIME_NONE},
                          .pinged = TIME_NONE};
    flow->note = conn;
    return conn;
}

static void drop_conn(struct flow *flow) {
    free(flow->note);
    flow->note = NULL;
}

/* Counts what has waited for this end's name to its node, or to nobody. */
static void claim(struct model *model, struct conn *conn, unsigned end) {
    struct node *node =
        conn->node[end] == NODE_NONE ? NULL : &model_node_at(model, conn->node[end])->node;
    struct model_books *books = &model->books;
    for (int type = 0; type < BUS_COUNTERS; type++) {
        uint32_t *sent = &conn->unclaimed_sent[end][type];
        uint32_t *received = &conn->unclaimed_received[end][type];
        *(node ? &node->sent[type] : &books->unclaimed_sent[type]) += *sent;
        *(node ? &node->received[type] : &books->unclaimed_received[type]) += *received;
        *sent = *received = 0;
    }
}

/* The link of a connection both of whose ends and roles are known; NULL: not (yet). */
static struct link *link_of(struct model *model, struct conn *conn, const struct flow *flow) {
    if (LIKELY(conn->link != NODE_NONE))
        return &model->links[conn->link];
    if (flow->connector == FLOW_CONNECTOR_UNKNOWN)
        return NULL;
    uint32_t from = conn->node[flow->connector], to = conn->node[!flow->connector];
    if (to == NODE_NONE)
        to = model_node_by_bus_address(model, &flow->ends[!flow->connector]);
    if (from == NODE_NONE || to == NODE_NONE)
        return NULL;
    conn->link = add_link(model, from, to);
    if (conn->link == NODE_NONE)
        return NULL;
    struct link *link = &model->links[conn->link];
    link->pings += conn->early_pings;
    if (link->waiting.time == TIME_NONE)
        link->waiting = conn->early_ping;
    conn->early_pings = 0;
    conn->early_ping.time = TIME_NONE;
    return link;
}

/* Somebody else was there before, or was taken to be there by the address. */
static bool is_another(const struct model *model, const struct conn *conn, unsigned end,
                       uint32_t node) {
    const struct link *link = conn->link == NODE_NONE ? NULL : &model->links[conn->link];
    return conn->node[end] != NODE_NONE || (link && link->from != node && link->to != node);
}

static void set_end(struct model *model, struct conn *conn, unsigned end, uint32_t node) {
    if (LIKELY(conn->node[end] == node))
        return;
    if (is_another(model, conn, end, node)) { /* who was asked, or asked, is not there any more */
        if (conn->link != NODE_NONE)
            model->links[conn->link].waiting.time = TIME_NONE;
        conn->pinged = TIME_NONE;
    }
    if (conn->node[end] != NODE_NONE)
        model_node_at(model, node)->node.was = conn->node[end];
    conn->node[end] = node;
    conn->link = NODE_NONE;
    claim(model, conn, end);
}

/* ---- pings and pongs ---- */

/* A PING that is found behind a gap is told late, perhaps after its PONG: then it does not wait. */
static void on_ping(struct conn *conn, struct link *link, const struct event *event,
                    nstime ponged) {
    struct stamp *waiting = link ? &link->waiting : &conn->early_ping;
    if (link)
        link->pings++;
    else
        conn->early_pings++;
    if (UNLIKELY(ponged != TIME_NONE && event->time < ponged))
        return;
    if (waiting->time == TIME_NONE)
        *waiting = stamp_of(event);
    if (conn->pinged == TIME_NONE)
        conn->pinged = event->time;
}

static void keep_silence(struct link *link, nstime now) {
    if (now - link->waiting.time <= link->longest_silence)
        return;
    link->longest_silence = now - link->waiting.time;
    link->silent = link->waiting;
}

/* The round trip is that of the connection; the silence lasts from connection to connection. A
 * PONG from before the PING, told late after a gap, answers neither. */
static void on_pong(struct conn *conn, struct link *link, nstime now) {
    link->pongs++;
    if (conn->pinged != TIME_NONE && now >= conn->pinged) {
        spread_add(&link->rtt, now - conn->pinged);
        conn->pinged = TIME_NONE;
    }
    if (link->waiting.time == TIME_NONE || now < link->waiting.time)
        return;
    keep_silence(link, now);
    link->waiting.time = TIME_NONE;
}

static void on_liveness(struct model *model, struct conn *conn, const struct event *event) {
    const struct flow *flow = event->flow;
    enum bus_type type = event->bus_message.type;
    if (type == BUS_PONG)
        conn->ponged[event->direction] = event->time;
    if (flow->connector == FLOW_CONNECTOR_UNKNOWN)
        return;
    bool from_connector = event->direction == (unsigned)flow->connector;
    struct link *link = link_of(model, conn, flow);
    if (from_connector && (type == BUS_PING || type == BUS_MEET))
        on_ping(conn, link, event, conn->ponged[!event->direction]);
    else if (type == BUS_PONG && link && !from_connector)
        on_pong(conn, link, event->time);
    else if (type == BUS_PONG && link)
        link->broadcasts++;
}

/* ---- events ---- */

/* The node that sent the message: mostly the one that sent the connection's last one. */
static uint32_t sender_of(struct model *model, const struct conn *conn, unsigned end,
                          const char *id) {
    uint32_t known = conn->node[end];
    if (LIKELY(id && known != NODE_NONE &&
               memcmp(model_node_at(model, known)->node.id, id, BUS_NODE_ID) == 0))
        return known;
    return id ? model_add_node(model, id) : NODE_NONE;
}

struct message_ends model_link_message(struct model *model, const struct event *event) {
    struct conn *conn = conn_of(event->flow);
    const struct ev_bus_message *message = &event->bus_message;
    if (!conn) {
        model->books.unclaimed_sent[message->type]++;
        return (struct message_ends){NODE_NONE, NODE_NONE};
    }
    if (conn->link != NODE_NONE)
        __builtin_prefetch(&model->links[conn->link].pings);
    unsigned end = event->direction;
    uint32_t sender = sender_of(model, conn, end, message->sender);
    if (sender != NODE_NONE) {
        set_end(model, conn, end, sender);
        struct node *node = &model_node_at(model, sender)->node;
        node->sent[message->type]++;
        node->bytes_sent += message->length;
    } else {
        conn->unclaimed_sent[end][message->type]++;
    }
    if (!message->light)
        on_liveness(model, conn, event);
    if (LIKELY(conn->link != NODE_NONE))
        model_sign_sent(conn, &model->links[conn->link], end,
                        end != (unsigned)event->flow->connector, event->time);
    return (struct message_ends){sender, conn->node[!end]};
}

/* A PONG has reached the end that asked. */
static void on_answered(struct model *model, const struct conn *conn, unsigned asker) {
    if (conn->node[0] != NODE_NONE && conn->node[1] != NODE_NONE)
        model_recovery_answered(model, conn->node[!asker], conn->node[asker], conn->ponged[!asker]);
}

void model_link_delivered(struct model *model, const struct event *event) {
    enum bus_type type = event->bus_delivered.type;
    struct conn *conn = conn_of(event->flow);
    if (!conn) {
        model->books.unclaimed_received[type]++;
        return;
    }
    unsigned end = !event->direction;
    if (LIKELY(conn->link != NODE_NONE))
        model_sign_delivered(conn, &model->links[conn->link], event->direction,
                             event->direction != (unsigned)event->flow->connector, event);
    if (type == BUS_PONG && event->direction != (unsigned)event->flow->connector)
        on_answered(model, conn, end);
    if (UNLIKELY(type == BUS_AUTH_REQUEST))
        model_election_reached(model, conn->node[!end], conn->node[end]);
    if (conn->node[end] == NODE_NONE)
        conn->unclaimed_received[end][type]++;
    else
        model_node_at(model, conn->node[end])->node.received[type]++;
}

/* How the connection's TCP did, added to its ordered pair. */
static void add_tcp(struct link *link, const struct flow *flow) {
    const struct flow_side *from = &flow->sides[flow->connector];
    const struct flow_side *to = &flow->sides[!flow->connector];
    link->connections += flow->accepted;
    link->unanswered += flow->syns > 0 && !flow->accepted && flow->close != FLOW_REFUSED &&
                        !from->high_known && !to->high_known;
    link->refused += flow->close == FLOW_REFUSED;
    link->resets += flow->close == FLOW_RESET;
    link->retransmits += from->stats.retransmits + to->stats.retransmits;
    link->zero_windows += from->stats.zero_windows + to->stats.zero_windows;
    link->gap_bytes += from->stats.gap_bytes + to->stats.gap_bytes;
    link->unacked_bytes = flow_unacked(from);
}

/* A connection attempt that never carried a message still tells of its pair, by address. */
static struct link *link_of_silent(struct model *model, const struct flow *flow) {
    if (flow->connector == FLOW_CONNECTOR_UNKNOWN || flow->proto)
        return NULL;
    uint32_t to = model_node_by_bus_address(model, &flow->ends[!flow->connector]);
    if (to == NODE_NONE)
        return NULL;
    uint32_t from = model_node_by_ip(model, &flow->ends[flow->connector]);
    uint32_t index = from == NODE_NONE || from == to ? NODE_NONE : add_link(model, from, to);
    return index == NODE_NONE ? NULL : &model->links[index];
}

struct link *model_link_of_flow(struct model *model, struct flow *flow) {
    struct conn *conn = flow->note && !note_is_client(flow) ? flow->note : NULL;
    return conn ? link_of(model, conn, flow) : link_of_silent(model, flow);
}

void model_link_flow_end(struct model *model, const struct event *event) {
    struct flow *flow = event->flow;
    if (!flow->note) {
        struct link *silent = link_of_silent(model, flow);
        if (silent)
            add_tcp(silent, flow);
        return;
    }
    struct conn *conn = conn_of(flow);
    struct link *link = link_of(model, conn, flow);
    for (unsigned end = 0; end < 2; end++) {
        if (conn->node[end] == NODE_NONE && flow->connector == (int)!end)
            conn->node[end] = model_node_by_bus_address(model, &flow->ends[end]);
        claim(model, conn, end);
    }
    if (link) {
        add_tcp(link, flow);
        if (link->waiting.time != TIME_NONE)
            keep_silence(link, event->time);
    }
    drop_conn(flow);
}

void model_links_free(struct model *model) {
    free(model->links);
    table_free(&model->link_index);
}
