/* model_orders.c - keeps the last orders to each server. They are known by their answers: of one
 * that was refused nothing comes. */
#include "analysis/model_orders.h"

#include "analysis/model_private.h"

/* By how a command is called, and whether it was answered. */
static const struct {
    const char *name;
    enum order_kind kind;
} rows[] = {
    {"cluster|failover", ORDER_FAILOVER},
    {"cluster|reset", ORDER_RESET},
    {"cluster|forget", ORDER_FORGET},
    {"cluster|delslots", ORDER_UNASSIGN},
    {"cluster|delslotsrange", ORDER_UNASSIGN},
    {"cluster|flushslots", ORDER_UNASSIGN},
    {"client|pause", ORDER_PAUSE},
};

static void keep(struct server *server, enum order_kind kind, const struct command *command,
                 nstime asked, const struct event *event, bool answered) {
    struct order *order = &server->orders.kept[server->orders.count++ % ORDERS];
    *order =
        (struct order){.kind = kind, .command = command, .asked = asked, .place = place_of(event)};
    if (answered)
        return;
    order->place.ends[0] = event->flow->ends[!event->direction];
    order->place.ends[1] = event->flow->ends[event->direction];
}

void model_order_answered(struct server *server, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    bool known = reply->latency_us != NOT_KNOWN;
    nstime latency = known ? (nstime)reply->latency_us * NS_PER_US : 0;
    if (strcmp(reply->command->name, "debug") == 0 && latency > PAUSE_MIN_MS * NS_PER_MS)
        keep(server, ORDER_SLEEP, reply->command, event->time - latency, event, true);
    for (size_t i = 0; i < countof(rows); i++)
        if (strcmp(reply->command->name, rows[i].name) == 0)
            keep(server, rows[i].kind, reply->command, event->time - latency, event, true);
}

void model_order_silent(struct server *server, const struct event *event) {
    const struct command *command = event->silent.command;
    if (command && command->reply == REPLY_SHUTDOWN)
        keep(server, ORDER_SHUTDOWN, command, event->time, event, false);
}

/* The server has closed: a client that gives up waiting closes first. */
static bool has_closed(const struct flow *flow, unsigned server_end) {
    return flow->close == FLOW_RESET || flow->sides[server_end].fin;
}

void model_order_unanswered(struct server *server, const struct event *event) {
    const struct command *command = event->unanswered.command;
    if (command && strcmp(command->name, "debug") == 0 &&
        strcmp(event->unanswered.why, "closed") == 0 && has_closed(event->flow, !event->direction))
        keep(server, ORDER_CRASH, command, event->time, event, false);
}

/* ---- looking for one ---- */

const struct order *model_order(const struct model *model, uint32_t node, enum order_kind kind,
                                nstime from, nstime to) {
    const struct node *of = node == NODE_NONE ? NULL : model_node(model, node);
    const struct server *server = of && of->addr_known ? model_server_at(model, &of->addr) : NULL;
    return server ? model_server_order(server, kind, from, to) : NULL;
}

const struct order *model_server_order(const struct server *server, enum order_kind kind,
                                       nstime from, nstime to) {
    uint64_t count = server->orders.count;
    for (uint64_t i = count; i-- > 0 && count - i <= ORDERS;) {
        const struct order *order = &server->orders.kept[i % ORDERS];
        if (order->kind == kind && order->place.time >= from && order->asked <= to)
            return order;
    }
    return NULL;
}

/* "CLUSTER FAILOVER" of "cluster|failover". */
static void spell(char *ret_text, size_t room, const char *name) {
    size_t i = 0;
    for (; name[i] && i + 1 < room; i++)
        ret_text[i] = name[i] == '|'                     ? ' '
                      : name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A')
                                                         : name[i];
    ret_text[i] = '\0';
}

void order_tell(const struct order *order, struct finding *finding) {
    char words[32], server[ENDPOINT_TEXT], client[ENDPOINT_TEXT];
    if (!order)
        return;
    spell(words, sizeof words, order->command->name);
    endpoint_text(&order->place.ends[0], server);
    endpoint_text(&order->place.ends[1], client);
    bool ended = order->kind == ORDER_SHUTDOWN || order->kind == ORDER_CRASH;
    finding_evidence(finding, &order->place, "%s, told by %s, %s (%s)", server, client,
                     ended ? "ends, and with it their connection" : "obeys", words);
}
