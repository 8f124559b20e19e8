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
    return model;
}

void model_free(struct model *model) {
    if (!model)
        return;
    for (uint32_t i = 0; i < model->node_count; i++) {
        free(model->nodes[i]->slots);
        free(model->nodes[i]->views);
        free(model->nodes[i]);
    }
    free(model->nodes);
    table_free(&model->node_index);
    model_links_free(model);
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
    bool bus = event->flow && event->flow->proto == &proto_bus;
    (bus ? model->books.bus_anomalies : model->books.other_anomalies)[event->anomaly.name]++;
}

static void count_traffic(struct traffic *traffic, const struct flow *flow) {
    traffic->flows++;
    traffic->bytes += flow->sides[0].stats.bytes + flow->sides[1].stats.bytes;
}

static void on_flow_end(struct model *model, const struct event *event) {
    const struct flow *flow = event->flow;
    struct model_books *books = &model->books;
    for (int i = 0; i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        books->retransmits += side->stats.retransmits;
        books->early += side->stats.early;
        books->duplicates += side->stats.duplicates;
        books->gaps += side->stats.gaps;
        books->gap_bytes += side->stats.gap_bytes;
        books->snaplen_bytes += side->stats.snaplen_bytes;
        books->undecoded_bytes += side->undecoded;
        if (flow->proto == &proto_bus)
            books->bus_missing_bytes += side->stats.gap_bytes + side->stats.snaplen_bytes;
    }
    if (flow->proto == &proto_tls)
        count_traffic(&books->tls, flow);
    else if (flow->proto == &proto_bus)
        books->bus_flows++;
    else
        count_traffic(&books->other, flow);
    model_link_flow_end(model, event);
}

typedef void handler(struct model *model, const struct event *event);

static handler *const handlers[EV_COUNT] = {
    [EV_bus_message] = on_message,
    [EV_bus_delivered] = model_link_delivered,
    [EV_anomaly] = on_anomaly,
    [EV_flow_end] = on_flow_end,
};

void model_event(struct model *model, const struct event *event) {
    struct model_books *books = &model->books;
    if (UNLIKELY(books->first == TIME_NONE))
        books->first = event->time;
    if (event->time > books->last)
        books->last = event->time;
    model->cause = event;
    if (handlers[event->type])
        handlers[event->type](model, event);
}

const struct model_books *model_books(const struct model *model) {
    return &model->books;
}
