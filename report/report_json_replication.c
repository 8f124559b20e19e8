/* report_json_replication.c - the JSON report on connections over which primaries feed replicas, or
 * slots move at once. */
#include "analysis/model_clients.h"
#include "report/render.h"
#include "report/report_json.h"

static void stream_commands(struct json *json, const char *key, const uint64_t *counts) {
    json_open(json, key, '{');
    for (size_t i = 0; counts && i < command_count; i++)
        if (counts[i])
            json_u64(json, command_rows[i].name, counts[i]);
    json_close(json, '}');
}

static void replication(struct writer *w, const struct replication *link) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    json_text(json, "kind", link->kind);
    render_json_endpoint(json, "primary", &link->primary);
    render_json_endpoint(json, "replica", &link->replica);
    json_text(json, "replid", link->replid[0] ? link->replid : NULL);
    render_json_maybe(json, "base_offset", link->base_offset);
    render_json_maybe(json, "offset", link->offset);
    json_bool(json, "offset_learnt", link->learnt);
    render_json_maybe(json, "acked", link->acked);
    json_u64(json, "full_resyncs", link->full_resyncs);
    json_u64(json, "partial_resyncs", link->partial_resyncs);
    json_u64(json, "refused", link->refused);
    json_u64(json, "rdb_bytes", link->rdb_bytes);
    json_u64(json, "stream_bytes", link->stream_bytes);
    stream_commands(json, "commands", link->commands);
    json_u64(json, "unknown_commands", link->commands ? link->commands[command_count] : 0);
    if (link->back) /* a migration's target talks, too */
        stream_commands(json, "commands_back", link->back);
    json_time(json, "first", link->first);
    json_time(json, "last", link->last);
    json_close(json, '}');
    writer_piece(w);
}

void writer_replication(struct writer *w) {
    writer_open_lines(w, "replication");
    for (size_t i = 0; i < model_replication_count(w->model); i++)
        replication(w, model_replication(w->model, i));
    writer_close_lines(w);
    json_u64(&w->json, "replications_over_cap", model_books(w->model)->replications_over_cap);
    json_u64(&w->json, "writes_over_cap", model_books(w->model)->writes_over_cap);
}
