/* report_json.c - `analyze --json`: the report as one object. Members may come; those that are
 * there stay as they are, for programs read them (tests/lib/contract.py).
 *
 * The object is written in pieces, so that a report of any length needs little memory. */
#include <stdlib.h>

#include "report/format.h"
#include "report/link_types.h"
#include "report/render.h"
#include "report/report_json.h"

enum { PIECE = 64 << 10, PRETTY_DEPTH = 3 };

void writer_piece(struct writer *w) {
    if (w->sink->buf.len > PIECE)
        sink_flush(w->sink);
}

void writer_open_lines(struct writer *w, const char *key) {
    json_open(&w->json, key, '[');
    w->json.pretty = PRETTY_DEPTH - 1;
}

void writer_close_lines(struct writer *w) {
    w->json.pretty = PRETTY_DEPTH;
    json_close(&w->json, ']');
}

void writer_node(struct writer *w, const char *key, uint32_t index) {
    render_json_node(&w->json, key, index == NODE_NONE ? NULL : model_node(w->model, index)->id);
}

static void address(struct json *json, const char *key, const struct node *node) {
    if (node->addr_known)
        render_json_endpoint(json, key, &node->addr);
    else
        json_null(json, key);
}

/* ---- capture ---- */

static void link_types(struct json *json, const struct source_info *info) {
    json_open(json, "link_types", '[');
    for (size_t i = 0; i < info->link_type_count; i++) {
        struct buf name = {.max = 64};
        link_type_name(&name, info->link_types[i]);
        json_text(json, NULL, name.data);
        buf_free(&name);
    }
    json_close(json, ']');
}

static void source(struct json *json, const struct source_info *info) {
    json_open(json, NULL, '{');
    json_wire_text(json, "path", bytes_str(info->path), SIZE_MAX);
    json_text(json, "sha256", info->sha256[0] ? info->sha256 : NULL);
    json_text(json, "format", info->format);
    link_types(json, info);
    json_u64(json, "packets", info->packets);
    json_u64(json, "bytes", info->bytes);
    json_u64(json, "truncated_packets", info->truncated_packets);
    json_u64(json, "kernel_drops", info->kernel_drops);
    json_close(json, '}');
}

void writer_anomalies(struct json *json, const uint64_t counts[AN_COUNT]) {
    json_open(json, "anomalies", '{');
    for (size_t i = 0; i < AN_COUNT; i++)
        if (counts[i])
            json_u64(json, anomaly_rows[i].name, counts[i]);
    json_close(json, '}');
}

static void loss(struct writer *w, const struct model_books *books) {
    struct json *json = &w->json;
    json_open(json, "loss", '{');
    json_u64(json, "gaps", books->gaps);
    json_u64(json, "gap_bytes", books->gap_bytes + books->snaplen_bytes); /* all not seen */
    json_u64(json, "estimated_lost_packets", w->view->lost_packets);
    json_u64(json, "kernel_drops", w->view->kernel_drops);
    json_u64(json, "snaplen_bytes", books->snaplen_bytes);
    json_close(json, '}');
}

static void traffic(struct json *json, const char *key, const struct traffic *traffic) {
    json_open(json, key, '{');
    json_u64(json, "flows", traffic->flows);
    json_u64(json, "bytes", traffic->bytes);
    json_close(json, '}');
}

static void flows(struct writer *w, const struct model_books *books) {
    struct decoder_stats stats = engine_decoder_stats(w->report->engine);
    struct json *json = &w->json;
    json_open(json, "flows", '{');
    json_u64(json, "all", stats.flows);
    json_u64(json, "bus", books->bus_flows);
    traffic(json, "resp", &books->resp);
    traffic(json, "tls", &books->tls);
    traffic(json, "other", &books->other);
    json_u64(json, "evicted", stats.flows_evicted);
    json_close(json, '}');
    json_open(json, "tcp", '{');
    json_u64(json, "segments", stats.segments);
    json_u64(json, "retransmits", books->retransmits);
    json_u64(json, "out_of_order", books->early);
    json_u64(json, "captured_twice", books->duplicates);
    json_close(json, '}');
    json_u64(json, "other_packets", stats.other_packets);
    json_u64(json, "stray_packets", stats.stray_packets);
}

static void capture(struct writer *w) {
    const struct model_books *books = model_books(w->model);
    const struct tally *tally = &w->report->tally;
    struct json *json = &w->json;
    json_open(json, "capture", '{');
    json_open(json, "sources", '[');
    for (size_t i = 0; i < merge_count(w->report->sources); i++)
        source(json, merge_info(w->report->sources, i));
    json_close(json, ']');
    json_u64(json, "packets", tally->packets);
    json_u64(json, "bytes", tally->bytes);
    json_time(json, "first", tally->first);
    json_time(json, "last", tally->last);
    loss(w, books);
    flows(w, books);
    writer_anomalies(json, books->other_anomalies);
    json_text(json, "damage", w->report->damage);
    json_close(json, '}');
    writer_piece(w);
}

/* ---- bus ---- */

static void messages(struct json *json, const char *key, const message_counts counts) {
    json_open(json, key, '{');
    for (size_t i = 0; i < BUS_COUNTERS; i++)
        if (counts[i])
            json_u64(json, bus_type_names[i], counts[i]);
    json_close(json, '}');
}

static void by_node(struct writer *w) {
    struct json *json = &w->json;
    json_open(json, "by_node", '[');
    for (size_t i = 0; i < model_node_count(w->model); i++) {
        const struct node *node = model_node(w->model, i);
        if (!node->heard && !messages_sum(node->sent) && !messages_sum(node->received))
            continue;
        json_open(json, NULL, '{');
        writer_node(w, "node", (uint32_t)i);
        address(json, "addr", node);
        messages(json, "sent", node->sent);
        messages(json, "received", node->received);
        json_u64(json, "bytes_sent", node->bytes_sent);
        json_close(json, '}');
        writer_piece(w);
    }
    json_close(json, ']');
}

/* Microseconds, rounded down; null if there is none. */
static void microseconds(struct json *json, const char *key, bool known, nstime span) {
    if (known)
        json_u64(json, key, (uint64_t)(span < 0 ? 0 : span / NS_PER_US));
    else
        json_null(json, key);
}

static void link(struct writer *w, const struct link *link) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    writer_node(w, "from", link->from);
    writer_node(w, "to", link->to);
    json_u64(json, "connections", link->connections);
    json_u64(json, "unanswered", link->unanswered);
    json_u64(json, "refused", link->refused);
    json_u64(json, "resets", link->resets);
    json_u64(json, "pings", link->pings);
    json_u64(json, "pongs", link->pongs);
    json_u64(json, "broadcasts", link->broadcasts);
    bool timed = link->rtt.count > 0;
    microseconds(json, "rtt_min_us", timed, link->rtt.min);
    microseconds(json, "rtt_mean_us", timed, spread_mean(&link->rtt));
    microseconds(json, "rtt_max_us", timed, link->rtt.max);
    microseconds(json, "longest_silence_us", true, link->longest_silence);
    json_time(json, "waiting_since", link->waiting.time);
    json_u64(json, "retransmits", link->retransmits);
    json_u64(json, "zero_windows", link->zero_windows);
    json_u64(json, "gap_bytes", link->gap_bytes);
    json_u64(json, "unacked_bytes", link->unacked_bytes);
    json_close(json, '}');
    writer_piece(w);
}

static void bus(struct writer *w) {
    const struct model_books *books = model_books(w->model);
    struct json *json = &w->json;
    json_open(json, "bus", '{');
    messages(json, "messages", books->messages);
    by_node(w);
    json_u64(json, "bytes", books->bus_bytes);
    json_u64(json, "undecoded_bytes", books->undecoded_bytes);
    writer_anomalies(json, books->bus_anomalies);
    json_open(json, "unclaimed", '{');
    messages(json, "sent", books->unclaimed_sent);
    messages(json, "received", books->unclaimed_received);
    json_close(json, '}');
    json_open(json, "links", '[');
    for (size_t i = 0; i < model_link_count(w->model); i++)
        link(w, model_link(w->model, i));
    json_close(json, ']');
    json_close(json, '}');
    writer_piece(w);
}

/* ---- cluster ---- */

/* What only the node itself says is null for one that was never heard. */
static void own_words(struct json *json, const struct node *node, bool failed) {
    if (node->heard) {
        json_u64(json, "config_epoch", node->config_epoch);
        json_u64(json, "repl_offset", node->repl_offset);
        json_text(json, "state", node->state || failed ? "fail" : "ok");
    } else {
        json_null(json, "config_epoch");
        json_null(json, "repl_offset");
        json_text(json, "state", failed ? "fail" : NULL);
    }
}

static void cluster_node(struct writer *w, uint32_t index) {
    const struct node *node = model_node(w->model, index);
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    writer_node(w, "id", index);
    address(json, "addr", node);
    if (node->bus_port)
        json_u64(json, "bus_port", node->bus_port);
    else
        json_null(json, "bus_port");
    json_text(json, "role", node->replica ? "replica" : "primary");
    writer_node(w, "primary", node->primary);
    struct buf slots = {.max = SLOTS_TEXT};
    view_slots_of(w->view, index, &slots);
    json_text_of(json, "slots", bytes_of(slots.data, slots.len));
    buf_free(&slots);
    own_words(json, node, model_failure(w->model, index) == NODE_FAIL);
    json_wire_text(json, "hostname", bytes_str(node->hostname), TEXT_SHOWN);
    render_json_node(json, "shard_id", node->shard_id_known ? node->shard_id : NULL);
    render_json_flags(json, "flags", view_flags(w->model, index), bus_node_flag_rows,
                      bus_node_flag_count);
    json_bool(json, "heard", node->heard);
    json_time(json, "first_seen", node->first_seen);
    json_time(json, "last_seen", node->last_seen);
    json_close(json, '}');
    writer_piece(w);
}

static void slot_range(struct writer *w, const struct view_range *range) {
    struct json *json = &w->json;
    struct buf text = {.max = 64};
    json_open(json, NULL, '{');
    buf_range(&text, 0, range->first, range->last);
    json_text(json, "range", text.data);
    buf_free(&text);
    writer_node(w, "owner", range->owner);
    json_u64(json, "config_epoch", model_node(w->model, range->owner)->config_epoch);
    json_close(json, '}');
    writer_piece(w);
}

/* The members in full; of those that the majority has forgotten the ids. */
static void members(struct writer *w, bool are_members) {
    for (uint32_t i = 0; i < model_node_count(w->model); i++) {
        if (model_is_member(w->model, i) != are_members)
            continue;
        if (are_members)
            cluster_node(w, i);
        else
            writer_node(w, NULL, i);
    }
}

/* Who holds what against whom; those who hold nothing are left out. */
static void views(struct writer *w) {
    size_t count = model_node_count(w->model);
    json_open(&w->json, "views", '[');
    for (size_t observer = 0; observer < count; observer++) {
        for (size_t subject = 0; subject < count; subject++) {
            uint16_t view = model_view(w->model, observer, subject);
            if (!view)
                continue;
            json_open(&w->json, NULL, '{');
            writer_node(w, "observer", (uint32_t)observer);
            writer_node(w, "node", (uint32_t)subject);
            json_text(&w->json, "view", view & NODE_FAIL ? "fail" : "pfail");
            json_close(&w->json, '}');
            writer_piece(w);
        }
    }
    json_close(&w->json, ']');
}

static void cluster(struct writer *w) {
    struct json *json = &w->json;
    json_open(json, "cluster", '{');
    json_u64(json, "current_epoch", model_books(w->model)->current_epoch);
    json_open(json, "nodes", '[');
    members(w, true);
    json_close(json, ']');
    json_open(json, "former_nodes", '[');
    members(w, false);
    json_close(json, ']');
    json_open(json, "slots", '[');
    struct view_range range = {0};
    while (view_next_range(w->view, &range))
        slot_range(w, &range);
    json_close(json, ']');
    views(w);
    json_u64(json, "nodes_over_cap", model_books(w->model)->nodes_over_cap);
    json_u64(json, "links_over_cap", model_books(w->model)->links_over_cap);
    json_u64(json, "elections_over_cap", model_books(w->model)->elections_over_cap);
    json_u64(json, "migrations_over_cap", model_books(w->model)->migrations_over_cap);
    json_u64(json, "moves_over_cap", model_books(w->model)->moves_over_cap);
    json_u64(json, "contests_over_cap", model_books(w->model)->contests_over_cap);
    json_close(json, '}');
}

/* ---- timeline ---- */

static void timeline(struct writer *w) {
    const struct timeline *timeline = w->report->timeline;
    struct json *json = &w->json;
    writer_open_lines(w, "timeline");
    for (size_t i = 0; i < timeline->count; i++) {
        const struct timeline_entry *entry = &timeline->entries[i];
        json_open(json, NULL, '{');
        json_time(json, "time", entry->time);
        json_text(json, "event", event_rows[entry->type].name);
        render_json_node(json, "node", entry->node_known ? entry->node : NULL);
        render_json_node(json, "about", entry->about_known ? entry->about : NULL);
        json_text(json, "text", timeline_text(timeline, i));
        json_u64(json, "frame", entry->frame);
        json_u64(json, "source", entry->source);
        json_close(json, '}');
        writer_piece(w);
    }
    writer_close_lines(w);
    json_u64(json, "timeline_left_out", timeline->left_out);
}

/* ---- the whole ---- */

static void whole(struct writer *w) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    json_text(json, "schema", "bustap.report/1");
    json_open(json, "tool", '{');
    json_text(json, "name", "bustap");
    json_text(json, "version", w->report->version);
    json_close(json, '}');
    capture(w);
    bus(w);
    writer_clients(w);
    writer_replicas(w);
    writer_replication(w);
    cluster(w);
    timeline(w);
    writer_findings(w);
    json_close(json, '}');
    buf_text(json->buf, "\n");
}

static void report_object(struct sink *sink, const struct report *report) {
    struct view *view = view_new(report);
    if (!view) {
        sink->buf.failed = true;
        return;
    }
    struct writer w = {
        .json = {.buf = &sink->buf, .pretty = PRETTY_DEPTH},
        .sink = sink,
        .report = report,
        .model = engine_model(report->engine),
        .view = view,
    };
    whole(&w);
    free(view);
}

const struct sink_ops sink_json = {
    .name = "json",
    .help = "analyze --json: the report as one JSON object",
    .finish = report_object,
};
