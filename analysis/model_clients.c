/* model_clients.c - servers, clients, their connections and the commands that they use: found, or
 * made when the first event names them.
 *
 * What finds no place, for a cap or for want of memory, is counted in a row that others share: the
 * sums are always right. */
#include <stdlib.h>

#include "analysis/model_clients_private.h"
#include "base/limits.h"

/* ---- servers ---- */

static struct server *new_server(void) {
    return calloc(1, sizeof(struct server) + command_count * sizeof(struct command_stats *));
}

static void free_server(struct server *server) {
    if (!server)
        return;
    by_word_free(&server->errors);
    by_word_free(&server->redirects);
    by_word_free(&server->pushes);
    free(server->slow);
    for (size_t i = 0; i < command_count; i++)
        free(server->commands[i]);
    free(server);
}

static bool has_addr(const void *owner, uint32_t index, const void *addr) {
    const struct model_clients *clients = owner;
    return endpoint_equal(&clients->servers[index]->addr, addr);
}

static struct server *add_server(struct model_clients *clients, uint32_t hash,
                                 const struct endpoint *addr) {
    struct server **servers = list_with_room(clients->servers, clients->server_count,
                                             &clients->server_room, sizeof(struct server *));
    if (!servers)
        return NULL;
    clients->servers = servers;
    struct server *server = clients->server_count < CAP_SERVERS ? new_server() : NULL;
    if (!server || !table_add(&clients->server_index, hash, clients->server_count)) {
        free(server);
        return NULL;
    }
    server->addr = *addr;
    clients->servers[clients->server_count++] = server;
    return server;
}

static uint32_t hash_of(const struct model *model, const struct endpoint *addr) {
    return (uint32_t)siphash(&model->key, addr, sizeof *addr);
}

struct server *model_find_server(const struct model *model, const struct endpoint *addr) {
    const struct model_clients *clients = &model->clients;
    uint32_t index =
        table_find(&clients->server_index, hash_of(model, addr), has_addr, clients, addr);
    return index == TABLE_NONE ? NULL : clients->servers[index];
}

static struct server *server_at(struct model *model, const struct endpoint *addr) {
    struct server *server = model_find_server(model, addr);
    if (server)
        return server;
    server = add_server(&model->clients, hash_of(model, addr), addr);
    if (server)
        return server;
    model->books.servers_over_cap++;
    return model->clients.other_server;
}

const struct server *model_server_at(const struct model *model, const struct endpoint *addr) {
    return model_find_server(model, addr);
}

/* ---- clients ---- */

static bool has_ip(const void *owner, uint32_t index, const void *ip) {
    const struct model_clients *clients = owner;
    return memcmp(clients->list[index]->addr.ip, ip, sizeof clients->list[index]->addr.ip) == 0;
}

static struct client *add_client(struct model_clients *clients, uint32_t hash,
                                 const struct endpoint *addr) {
    struct client **list =
        list_with_room(clients->list, clients->count, &clients->room, sizeof(struct client *));
    if (!list)
        return NULL;
    clients->list = list;
    struct client *client = clients->count < CAP_CLIENTS ? calloc(1, sizeof *client) : NULL;
    if (!client || !table_add(&clients->index, hash, clients->count)) {
        free(client);
        return NULL;
    }
    client->addr = *addr;
    client->number = clients->count;
    clients->list[clients->count++] = client;
    return client;
}

static struct client *client_at(struct model *model, const struct endpoint *addr) {
    struct model_clients *clients = &model->clients;
    uint32_t hash = (uint32_t)siphash(&model->key, addr->ip, sizeof addr->ip);
    uint32_t index = table_find(&clients->index, hash, has_ip, clients, addr->ip);
    if (index != TABLE_NONE)
        return clients->list[index];
    struct client *client = add_client(clients, hash, addr);
    if (client)
        return client;
    model->books.clients_over_cap++;
    return &clients->other;
}

/* ---- connections ---- */

struct client_conn *model_client_note(struct flow *flow) {
    struct client_conn *conn = flow->note;
    if (conn)
        return conn->kind == NOTE_CLIENT ? conn : NULL;
    conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->kind = NOTE_CLIENT;
    flow->note = conn;
    return conn;
}

struct client_conn *model_bind_ends(struct model *model, struct flow *flow, unsigned server_end) {
    struct client_conn *conn = model_client_note(flow);
    if (!conn) {
        model->books.servers_over_cap++;
        model->books.clients_over_cap++;
        return &model->clients.other_conn;
    }
    conn->server = server_at(model, &flow->ends[server_end]);
    conn->client = client_at(model, &flow->ends[!server_end]);
    conn->served = &conn->server->served[conn->client->number % SERVED];
    conn->client_addr = &flow->ends[!server_end];
    conn->client->connections++;
    return conn;
}

struct server *model_server_of(struct model *model, const struct event *event, unsigned end) {
    return conn_of(model, event, end)->server;
}

void model_client_flow_end(struct flow *flow) {
    struct client_conn *conn = flow->note;
    if (conn->replication)
        conn->replication->over = true;
    free(conn->introduction);
    free(conn->erred);
    free(conn);
    flow->note = NULL;
}

/* ---- commands ---- */

struct command_stats *model_add_stats(struct model *model, struct server *server, size_t row) {
    struct command_stats *stats =
        model->clients.stats_count < CAP_SERVER_COMMANDS ? calloc(1, sizeof *stats) : NULL;
    if (!stats) {
        model->books.commands_over_cap++;
        return &server->rest;
    }
    model->clients.stats_count++;
    server->commands[row] = stats;
    return stats;
}

/* ---- looking at it ---- */

size_t model_server_count(const struct model *model) {
    return model->clients.server_count + (model->books.servers_over_cap > 0);
}

const struct server *model_server(const struct model *model, size_t index) {
    const struct model_clients *clients = &model->clients;
    return index < clients->server_count ? clients->servers[index] : clients->other_server;
}

void model_server_latency(const struct server *server, struct histogram *ret_latency) {
    *ret_latency = server->rest.latency;
    for (size_t i = 0; i < command_count; i++)
        if (server->commands[i])
            histogram_merge(ret_latency, &server->commands[i]->latency);
}

size_t model_client_count(const struct model *model) {
    return model->clients.count + (model->books.clients_over_cap > 0);
}

const struct client *model_client(const struct model *model, size_t index) {
    const struct model_clients *clients = &model->clients;
    return index < clients->count ? clients->list[index] : &clients->other;
}

/* ---- life ---- */

bool model_clients_init(struct model_clients *clients) {
    clients->other_server = new_server();
    if (!clients->other_server)
        return false;
    clients->other_server->others = clients->other.others = true;
    clients->other_conn = (struct client_conn){.kind = NOTE_CLIENT,
                                               .server = clients->other_server,
                                               .client = &clients->other,
                                               .served = clients->other_server->served};
    return true;
}

void model_clients_free(struct model_clients *clients) {
    for (uint32_t i = 0; i < clients->server_count; i++)
        free_server(clients->servers[i]);
    free_server(clients->other_server);
    free(clients->other_conn.erred);
    free(clients->servers);
    table_free(&clients->server_index);
    for (uint32_t i = 0; i < clients->count; i++) {
        free(clients->list[i]->redirected);
        free(clients->list[i]);
    }
    free(clients->list);
    table_free(&clients->index);
}
