/* model_signs.c - signs of life: who said something last and whether it arrived, who tries to open
 * connections and is let in, who closes them. From these a verdict can tell a process that stopped
 * from a host that is gone, and both from a path that carries nothing. */
#include "analysis/model_private.h"

void model_sign_sent(struct conn *conn, struct link *link, unsigned direction, unsigned end,
                     nstime now) {
    conn->in_flight[direction]++;
    if (link->unacked_since[end] == TIME_NONE)
        link->unacked_since[end] = now;
}

enum { LATE_MS = 180 /* TCP sends again after 200 ms at the earliest */ };

/* What waited at the same time for the same reason is one time. */
static void note_late(struct link *link, nstime sent, nstime now) {
    if (sent <= link->late[1])
        return;
    link->late[0] = link->late[1];
    link->late[1] = now;
}

/* Of several messages in flight the next one has been sent by now: a little too late, never early.
 */
void model_sign_delivered(struct conn *conn, struct link *link, unsigned direction, unsigned end,
                          const struct event *event) {
    if (conn->in_flight[direction] > 0)
        conn->in_flight[direction]--;
    if (link->unacked_since[end] != TIME_NONE &&
        UNLIKELY(event->time - link->unacked_since[end] > LATE_MS * NS_PER_MS))
        note_late(link, link->unacked_since[end], event->time);
    if (end == 0 && link->waiting_since != TIME_NONE && !link_has_got(link))
        link->got_at = event->time;
    link->delivered[end] = stamp_of(event);
    link->unacked_since[end] = conn->in_flight[direction] ? event->time : TIME_NONE;
}

void model_sign_spoke(struct node *node, const struct event *event) {
    if (node->spoke.time != TIME_NONE &&
        UNLIKELY(event->time - node->spoke.time > PAUSE_MIN_MS * NS_PER_MS)) {
        node->pause = (struct pause){node->spoke.time, event->time};
        node->before_pause = node->spoke;
    }
    node->spoke = stamp_of(event);
}

/* ---- what TCP tells ---- */

static void knock(struct knocks *knocks, const struct event *event) {
    if (knocks->first.time == TIME_NONE)
        knocks->first = stamp_of(event);
    knocks->last = event->time;
    *(event->type == EV_tcp_refused ? &knocks->refused : &knocks->unanswered) += 1;
}

static void let_in(struct link *link, struct node *target, nstime now) {
    struct knocks none = {.first = {.time = TIME_NONE}};
    link->knocks = target->knocks = none;
    link->reconnects = link->pongs == link->pongs_then ? 0 : link->reconnects + 1;
    link->pongs_then = link->pongs;
    link->opened[link->opens++ % countof(link->opened)] = now;
}

/* Its end answered whatever was in flight: by ending the connection. */
static void note_close(struct link *link, const struct event *event) {
    bool by_acceptor = event->direction != (unsigned)event->flow->connector;
    link->closed[by_acceptor] = stamp_of(event);
    link->unacked_since[!by_acceptor] = TIME_NONE;
}

static void note_knock(struct link *link, struct node *target, const struct event *event) {
    if (link)
        knock(&link->knocks, event);
    if (target)
        knock(&target->knocks, event);
}

void model_tcp_event(struct model *model, const struct event *event) {
    struct flow *flow = event->flow;
    if (note_is_client(flow) && event->type == EV_tcp_close)
        model_replication_closed(model, event);
    if (flow->connector == FLOW_CONNECTOR_UNKNOWN || note_is_client(flow))
        return;
    struct link *link = model_link_of_flow(model, flow);
    uint32_t to = link ? link->to : model_node_by_bus_address(model, &flow->ends[!flow->connector]);
    struct node *target = to == NODE_NONE ? NULL : &model->nodes[to]->node;
    if (event->type == EV_tcp_refused)
        model_reread_refused(model, to, event);
    if (event->type == EV_tcp_unanswered || event->type == EV_tcp_refused)
        note_knock(link, target, event);
    else if (link && target && event->type == EV_tcp_open)
        let_in(link, target, event->time);
    else if (link && event->type == EV_tcp_close)
        note_close(link, event);
    else if (link && event->type == EV_tcp_zero_window)
        link->full[event->direction != (unsigned)flow->connector] = stamp_of(event);
}
