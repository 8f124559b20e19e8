/* model_signs.c - signs of life: who said something last and whether it arrived, who tries to open
 * connections and is let in, who closes them. From these a verdict can tell a process that stopped
 * from a host that is gone, and both from a path that carries nothing. */
#include "analysis/model_clients.h"
#include "analysis/model_private.h"

static void see(struct link *link, nstime now) {
    if (link->seen != TIME_NONE && UNLIKELY(now - link->seen > HUSH_MIN_MS * NS_PER_MS))
        link->hush = (struct pause){link->seen, now};
    link->seen = now;
}

void model_sign_sent(struct conn *conn, struct link *link, unsigned direction, unsigned end,
                     nstime now) {
    see(link, now);
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
    see(link, event->time);
    if (conn->in_flight[direction] > 0)
        conn->in_flight[direction]--;
    if (link->unacked_since[end] != TIME_NONE &&
        UNLIKELY(event->time - link->unacked_since[end] > LATE_MS * NS_PER_MS))
        note_late(link, link->unacked_since[end], event->time);
    if (end == 0 && link->waiting.time != TIME_NONE && !link_has_got(link))
        link->got_at = event->time;
    link->delivered[end] = stamp_of(event);
    link->unacked_since[end] = conn->in_flight[direction] ? event->time : TIME_NONE;
}

void model_sign_spoke(struct node *node, const struct event *event) {
    if (node->spoke.time != TIME_NONE &&
        UNLIKELY(event->time - node->spoke.time > PAUSE_MIN_MS * NS_PER_MS)) {
        node->pause = (struct pause){node->spoke.time, event->time};
        node->before_pause = node->spoke;
        if (event->time - node->spoke.time > HUSH_MIN_MS * NS_PER_MS)
            node->lull = node->pause;
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

/* One that is refused was made by a process that lives; one that is not answered its kernel may
 * repeat by itself. */
static void note_knock(struct model *model, struct link *link, struct node *target,
                       const struct event *event) {
    if (link)
        knock(&link->knocks, event);
    if (link && event->type == EV_tcp_refused)
        model->nodes[link->from]->node.tried = event->time;
    if (target)
        knock(&target->knocks, event);
}

void model_tcp_event(struct model *model, const struct event *event) {
    struct flow *flow = event->flow;
    if (note_is_client(flow) && event->type == EV_tcp_close)
        model_replication_closed(model, event);
    if (flow->connector == FLOW_CONNECTOR_UNKNOWN || note_is_client(flow))
        return;
    if (event->type == EV_tcp_refused)
        model_migrate_turned_away(model, event);
    if (event->type == EV_tcp_refused || event->type == EV_tcp_unanswered)
        model_follower_knocks(model, event);
    struct link *link = model_link_of_flow(model, flow);
    uint32_t to = link ? link->to : model_node_by_bus_address(model, &flow->ends[!flow->connector]);
    struct node *target = to == NODE_NONE ? NULL : &model->nodes[to]->node;
    if (link)
        see(link, event->time);
    if (event->type == EV_tcp_refused)
        model_reread_refused(model, to, event);
    if (event->type == EV_tcp_unanswered || event->type == EV_tcp_refused)
        note_knock(model, link, target, event);
    else if (link && target && event->type == EV_tcp_open)
        let_in(link, target, event->time);
    else if (link && event->type == EV_tcp_close)
        note_close(link, event);
    else if (link && event->type == EV_tcp_zero_window)
        link->full[event->direction != (unsigned)flow->connector] = stamp_of(event);
}

/* ---- nothing at all ---- */

enum { AFTER_MS = 5000 /* words of a hush may come so long after it */ };

static bool is_none_or_after(nstime time, nstime end) {
    return time == TIME_NONE || time >= end;
}

/* One connection's part of it; false: something waits there, or it is no hush. */
static bool hush_of(const struct link *link, nstime now, struct hush *ret_hush) {
    if (link->seen == TIME_NONE)
        return false;
    ret_hush->goes_on = now - link->seen > HUSH_MIN_MS * NS_PER_MS;
    ret_hush->time = ret_hush->goes_on ? (struct pause){link->seen, now} : link->hush;
    nstime end = ret_hush->time.to;
    return end > 0 && now - end < AFTER_MS * NS_PER_MS &&
           is_none_or_after(link->waiting.time, end) &&
           is_none_or_after(link->unacked_since[0], end) &&
           is_none_or_after(link->unacked_since[1], end) &&
           is_none_or_after(link->knocks.first.time, end);
}

bool model_hush(const struct model *model, uint32_t one, uint32_t other, nstime now,
                struct hush *ret_hush) {
    const struct link *there = model_link_between(model, one, other);
    const struct link *back = model_link_between(model, other, one);
    struct hush found[2];
    if (!there || !back || !hush_of(there, now, &found[0]) || !hush_of(back, now, &found[1]))
        return false;
    bool later = found[1].time.from > found[0].time.from;
    bool sooner = found[1].time.to < found[0].time.to;
    *ret_hush = (struct hush){.time = {found[later].time.from, found[sooner].time.to},
                              .goes_on = found[0].goes_on && found[1].goes_on};
    return ret_hush->time.to - ret_hush->time.from > HUSH_MIN_MS * NS_PER_MS;
}

static nstime overlap(const struct pause *a, const struct pause *b) {
    nstime from = a->from > b->from ? a->from : b->from, to = a->to < b->to ? a->to : b->to;
    return to > from ? to - from : 0;
}

/* `last`: the last of its words; `lull`: the last long time without any. */
static bool is_within(nstime last, const struct pause *lull, const struct pause *time) {
    nstime half = (time->to - time->from) / 2;
    return last != TIME_NONE && last > time->from + half && overlap(lull, time) < half;
}

bool model_lived(const struct model *model, uint32_t node, const struct pause *time) {
    const struct node *it = model_node(model, node);
    const struct server *server = it->addr_known ? model_server_at(model, &it->addr) : NULL;
    return is_within(it->spoke.time, &it->lull, time) ||
           (server && is_within(server->last_reply, &server->lull, time));
}
