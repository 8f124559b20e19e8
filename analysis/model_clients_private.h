/* model_clients_private.h - where what clients and servers say is counted: the connection of an
 * event with its server and client, and the row of a command. Shared by model_clients.c, which
 * makes them, and by model_replies.c, model_client_errors.c and model_client_events.c, which count.
 *
 * Inline is what every reply passes through. */
#ifndef BUSTAP_ANALYSIS_MODEL_CLIENTS_PRIVATE_H
#define BUSTAP_ANALYSIS_MODEL_CLIENTS_PRIVATE_H

#include "analysis/model_private.h"

/* The first event that names a server makes the ends what they are. Without memory for a note the
 * event counts for the others: never NULL. */
struct client_conn *model_bind_ends(struct model *model, struct flow *flow, unsigned server_end);

/* The row of a command that the server was not asked for before; past the cap, or without memory,
 * the one that others share. */
struct command_stats *model_add_stats(struct model *model, struct server *server, size_t row);

/* model_client_errors.c: a client is answered with an error, by its first word. A refusal is what
 * a server says to a connection that it turns away: not in its books of errors. */
void model_count_error(struct model *model, struct client_conn *conn, struct bytes word,
                       bool refusal);

static inline struct client_conn *conn_of(struct model *model, const struct event *event,
                                          unsigned server_end) {
    struct client_conn *conn = model_bound_conn(event);
    return LIKELY(conn) ? conn : model_bind_ends(model, event->flow, server_end);
}

/* NULL: it was not counted so far. */
static inline struct command_stats *known_stats(struct server *server,
                                                const struct command *command) {
    return LIKELY(command) ? server->commands[command - command_rows] : &server->rest;
}

static inline struct command_stats *stats_of(struct model *model, struct server *server,
                                             const struct command *command) {
    struct command_stats *stats = known_stats(server, command);
    return LIKELY(stats) ? stats : model_add_stats(model, server, (size_t)(command - command_rows));
}

/* A request is counted once it is known what became of it: so nothing need be told of it before.
 * `bytes` are those of the reply, too. */
static inline void count_request(struct client_conn *conn, struct command_stats *stats,
                                 uint64_t request_bytes, uint64_t bytes) {
    conn->server->requests++;
    conn->server->request_bytes += request_bytes;
    conn->client->requests++;
    conn->client->bytes += bytes;
    stats->requests++;
    stats->bytes += bytes;
}

/* One past the cap is known by its address alone. */
static inline void note_stranger(struct model *model, const struct client_conn *conn) {
    if (UNLIKELY(conn->client->others && conn->client_addr))
        model_stranger(model, conn->client_addr);
}

#endif
