/* model.c - the books, and which part of the model each kind of event goes to. */
#include "analysis/model.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "decode/proto.h"

struct model *model_new(struct siphash_key key, event_fn *emit, void *context) {
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->key = key;
    model->emit = emit;
    model->context = context;
    model->books.first = model->books.last = TIME_NONE;
    model_numbers_init(model);
    if (!model_clients_init(&model->clients) || !model_writes_init(&model->writes)) {
        model_free(model);
        return NULL;
    }
    return model;
}

void model_free(struct model *model) {
    if (!model)
        return;
    model_claims_free(model);
    model_moves_free(model);
    model_migrations_free(model);
    model_writes_free(model);
    for (uint32_t i = 0; i < model->node_count; i++) {
        free(model->nodes[i]->slots);
        free(model->nodes[i]->views);
        free(model->nodes[i]->alarm);
        free(model->nodes[i]);
    }
    free(model->nodes);
    table_free(&model->node_index);
    model_links_free(model);
    model_elections_free(model);
    model_replications_free(&model->clients);
    model_redirects_free(model);
    model_numbers_free(&model->numbers);
    free(model->big_keys.list);
    model_followers_free(&model->followers);
    model_clients_free(&model->clients);
    free(model);
}

void model_conclude(struct model *model, struct event *event) {
    event->direction = model->cause->direction;
    event->flow = NULL;
    event->time = model->cause->time;
    event->frame = model->cause->frame;
    event->source = model->cause->source;
    model->emit(model->context, event);
}

/* ---- what happens on which event ---- */

static void on_message(struct model *model, const struct event *event) {
    const struct ev_bus_message *message = &event->bus_message;
    model->books.messages[message->type]++;
    model->books.bus_bytes += message->length;
    struct message_ends ends = model_link_message(model, event);
    /* One that the server ignores tells nobody anything. */
    bool credible = !message->incomplete && !message->ignored;
    if (credible && ends.sender != NODE_NONE)
        model_message(model, ends, message);
}

static void on_anomaly(struct model *model, const struct event *event) {
    const struct proto *proto = event->flow ? event->flow->proto : NULL;
    struct model_books *books = &model->books;
    (proto == &proto_bus    ? books->bus_anomalies
     : proto == &proto_resp ? books->client_anomalies
                            : books->other_anomalies)[event->anomaly.name]++;
}

static void count_traffic(struct traffic *traffic, const struct flow *flow) {
    traffic->flows++;
    traffic->bytes += flow->sides[0].stats.bytes + flow->sides[1].stats.bytes;
}

static void count_tcp(struct model_books *books, const struct flow *flow) {
    for (int i = 0; i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        books->retransmits += side->stats.retransmits;
        books->early += side->stats.early;
        books->duplicates += side->stats.duplicates;
        books->gaps += side->stats.gaps;
        books->gap_bytes += side->stats.gap_bytes;
        books->snaplen_bytes += side->stats.snaplen_bytes;
    }
}

static void count_bus_flow(struct model_books *books, const struct flow *flow) {
    books->bus_flows++;
    for (int i = 0; i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        books->undecoded_bytes += side->undecoded;
        books->bus_missing_bytes += side->stats.gap_bytes + side->stats.snaplen_bytes;
    }
}

static void count_resp_flow(struct model_books *books, const struct flow *flow) {
    count_traffic(&books->resp, flow);
    books->resp_joined += flow->connector == FLOW_CONNECTOR_UNKNOWN;
    books->resp_undecoded_bytes += flow->sides[0].undecoded + flow->sides[1].undecoded;
}

static void on_flow_end(struct model *model, const struct event *event) {
    struct flow *flow = event->flow;
    struct model_books *books = &model->books;
    count_tcp(books, flow);
    model_load_flow_end(model, flow);
    if (flow->proto == &proto_resp)
        count_resp_flow(books, flow);
    else if (flow->proto == &proto_bus)
        count_bus_flow(books, flow);
    else
        count_traffic(flow->proto == &proto_tls ? &books->tls : &books->other, flow);
    if (note_is_client(flow)) { /* perhaps of a connection that was not RESP after all */
        model_moves_flow_end(model, flow);
        model_client_flow_end(flow);
    } else
        model_link_flow_end(model, event);
}

typedef void handler(struct model *model, const struct event *event);

#define HANDLERS(HANDLER)                        \
    HANDLER(bus_message, on_message)             \
    HANDLER(bus_delivered, model_link_delivered) \
    HANDLER(tcp_gap, model_client_gap)           \
    HANDLER(reply, model_reply)                  \
    HANDLER(write, model_write_asked)            \
    HANDLER(introduced, model_introduced)        \
    HANDLER(cut_asked, model_cut_asked)          \
    HANDLER(sampled, model_sampled)              \
    HANDLER(move_asked, model_move_asked)        \
    HANDLER(move_answered, model_move_answered)  \
    HANDLER(silent, model_silent)                \
    HANDLER(executed, model_executed)            \
    HANDLER(error, model_inner_error)            \
    HANDLER(unanswered, model_unanswered)        \
    HANDLER(unmatched, model_unmatched)          \
    HANDLER(push, model_push)                    \
    HANDLER(redirect, model_redirect)            \
    HANDLER(replication, model_replication_step) \
    HANDLER(replicated, model_replicated)        \
    HANDLER(tcp_open, model_tcp_event)           \
    HANDLER(tcp_unanswered, model_tcp_event)     \
    HANDLER(tcp_refused, model_tcp_event)        \
    HANDLER(tcp_close, model_tcp_event)          \
    HANDLER(tcp_zero_window, model_tcp_event)    \
    HANDLER(anomaly, on_anomaly)                 \
    HANDLER(flow_end, on_flow_end)

#define HANDLER(symbol, function) [EV_##symbol] = function,
static handler *const handlers[EV_COUNT] = {HANDLERS(HANDLER)};
#undef HANDLER

#define HANDLER(symbol, function) | EVENT_BIT(symbol)
const uint64_t model_wants = 0 HANDLERS(HANDLER);
#undef HANDLER

static inline void note_time(struct model_books *books, nstime time) {
    if (UNLIKELY(books->last == TIME_NONE))
        books->first = time;
    books->last = time;
}

void model_event(struct model *model, const struct event *event) {
    if (event->time > model->books.last)
        note_time(&model->books, event->time);
    model->cause = event;
    if (handlers[event->type])
        handlers[event->type](model, event);
}

const struct model_books *model_books(const struct model *model) {
    return &model->books;
}
