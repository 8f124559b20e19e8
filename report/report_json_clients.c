/* report_json_clients.c - the JSON report on servers and their clients. */
#include "analysis/model_clients.h"
#include "report/render.h"
#include "report/report_json.h"

/* ---- values ---- */

static void words(struct json *json, const char *key, const struct by_word *counts) {
    json_open(json, key, '{');
    for (uint32_t i = 0; i < counts->count; i++)
        json_u64(json, counts->list[i].word, counts->list[i].count);
    json_close(json, '}');
}

void writer_latency(struct json *json, const char *key, const struct histogram *histogram) {
    static const struct {
        const char *key;
        unsigned per_mille;
    } shown[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
    json_open(json, key, '{');
    for (size_t i = 0; i < countof(shown); i++) {
        if (histogram->count == 0)
            json_null(json, shown[i].key);
        else if (shown[i].per_mille == 1000)
            json_u64(json, shown[i].key, histogram->max);
        else
            json_u64(json, shown[i].key, histogram_percentile(histogram, shown[i].per_mille));
    }
    json_close(json, '}');
}

/* ---- commands ---- */

static void command(struct json *json, const char *key, const struct command_stats *stats) {
    json_open(json, key, '{');
    json_u64(json, "requests", stats->requests);
    json_u64(json, "calls", stats->calls);
    json_u64(json, "errors", stats->errors);
    json_u64(json, "bytes", stats->bytes);
    writer_latency(json, "latency_us", &stats->latency);
    json_close(json, '}');
}

/* As INFO commandstats counts them. */
static void calls(struct json *json, const struct server *server) {
    json_open(json, "commands", '{');
    for (size_t i = 0; i < command_count; i++)
        if (server->commands[i] && server->commands[i]->calls)
            json_u64(json, command_rows[i].name, server->commands[i]->calls);
    json_close(json, '}');
    json_u64(json, "unknown_commands", server->rest.calls);
}

static void by_command(struct json *json, const struct server *server) {
    json_open(json, "by_command", '{');
    for (size_t i = 0; i < command_count; i++)
        if (server->commands[i])
            command(json, command_rows[i].name, server->commands[i]);
    json_close(json, '}');
}

/* ---- servers and clients ---- */

static void server_counts(struct json *json, const struct server *server) {
    struct histogram all;
    json_u64(json, "requests", server->requests);
    json_u64(json, "replies", server->replies);
    json_u64(json, "request_bytes", server->request_bytes);
    json_u64(json, "reply_bytes", server->reply_bytes);
    json_u64(json, "unanswered", server->unanswered);
    json_u64(json, "unmatched_replies", server->unmatched);
    calls(json, server);
    words(json, "errors", &server->errors);
    json_u64(json, "errors_left_out", server->errors.over);
    words(json, "redirects", &server->redirects);
    words(json, "pushes", &server->pushes);
    model_server_latency(server, &all);
    writer_latency(json, "latency_us", &all);
    writer_latency(json, "blocking_latency_us", &server->blocking);
    by_command(json, server);
}

static void server(struct writer *w, const struct server *server) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    if (server->others) {
        json_null(json, "addr");
        json_null(json, "node");
    } else {
        render_json_endpoint(json, "addr", &server->addr);
        writer_node(w, "node", view_node_at(w->model, &server->addr));
    }
    server_counts(json, server);
    json_close(json, '}');
    writer_piece(w);
}

static void client(struct writer *w, const struct client *client) {
    struct json *json = &w->json;
    char addr[ENDPOINT_TEXT];
    endpoint_ip_text(&client->addr, addr);
    json_open(json, NULL, '{');
    json_text(json, "addr", client->others ? NULL : addr);
    json_u64(json, "connections", client->connections);
    json_u64(json, "requests", client->requests);
    json_u64(json, "bytes", client->bytes);
    json_u64(json, "errors", client->errors);
    json_close(json, '}');
    writer_piece(w);
}

static void sums(struct writer *w, const struct model_books *books) {
    struct json *json = &w->json;
    json_u64(json, "undecoded_bytes", books->resp_undecoded_bytes);
    json_u64(json, "unanswered", books->unanswered);
    json_u64(json, "unmatched_replies", books->unmatched);
    json_u64(json, "joined_connections", books->resp_joined);
    writer_anomalies(json, books->client_anomalies);
    json_u64(json, "servers_over_cap", books->servers_over_cap);
    json_u64(json, "clients_over_cap", books->clients_over_cap);
    json_u64(json, "commands_over_cap", books->commands_over_cap);
    json_u64(json, "redirects_over_cap", books->redirects_over_cap);
    json_u64(json, "big_keys_over_cap", books->big_keys_over_cap);
}

void writer_clients(struct writer *w) {
    struct json *json = &w->json;
    json_open(json, "clients", '{');
    json_open(json, "servers", '[');
    for (size_t i = 0; i < model_server_count(w->model); i++)
        server(w, model_server(w->model, i));
    json_close(json, ']');
    json_open(json, "by_client", '[');
    for (size_t i = 0; i < model_client_count(w->model); i++)
        client(w, model_client(w->model, i));
    json_close(json, ']');
    writer_top(w);
    sums(w, model_books(w->model));
    json_close(json, '}');
    writer_piece(w);
}
