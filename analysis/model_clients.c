/* model_clients.c - requests and replies, counted by server, command and client.
 *
 * This stands on the way of every packet with a reply. So the flow's note knows its server and its
 * client, the command's row is its index, and a sum over the commands is made when it is asked for;
 * and a reply with nothing special about it is done with without a call.
 * What finds no place, for a cap or for want of memory, is counted in a row that others share: the
 * sums are always right. */
#include "analysis/model_clients.h"

#include <stdlib.h>

#include "analysis/model_private.h"
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

/* The first event that names a server makes the ends what they are. Without memory for a note the
 * event counts for the others. */
static struct client_conn *bind_ends(struct model *model, struct flow *flow, unsigned server_end) {
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

static inline struct client_conn *conn_of(struct model *model, const struct event *event,
                                          unsigned server_end) {
    struct client_conn *conn = model_bound_conn(event);
    return LIKELY(conn) ? conn : bind_ends(model, event->flow, server_end);
}

struct server *model_server_of(struct model *model, const struct event *event, unsigned end) {
    return conn_of(model, event, end)->server;
}

/* ---- commands ---- */

static struct command_stats *add_stats(struct model *model, struct server *server, size_t row) {
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

/* NULL: it was not counted so far. */
static inline struct command_stats *known_stats(struct server *server,
                                                const struct command *command) {
    return LIKELY(command) ? server->commands[command - command_rows] : &server->rest;
}

static inline struct command_stats *stats_of(struct model *model, struct server *server,
                                             const struct command *command) {
    struct command_stats *stats = known_stats(server, command);
    return LIKELY(stats) ? stats : add_stats(model, server, (size_t)(command - command_rows));
}

/* ---- events ---- */

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

/* Notes that there is one of that hash now; when the one before it was, 0: never. */
static nstime note_erred(struct client_conn *conn, uint32_t hash, nstime now) {
    if (!conn->erred)
        conn->erred = calloc(1, sizeof *conn->erred);
    size_t slot = 0;
    for (size_t i = 0; conn->erred && i < ERRED; i++) {
        bool same = conn->erred->list[i].at && conn->erred->list[i].hash == hash;
        if (same || conn->erred->list[i].at < conn->erred->list[slot].at)
            slot = i;
        if (same)
            break;
    }
    if (!conn->erred)
        return 0;
    nstime before = conn->erred->list[slot].hash == hash ? conn->erred->list[slot].at : 0;
    conn->erred->list[slot].hash = hash;
    conn->erred->list[slot].at = now;
    return before;
}

static void count_error(struct model *model, struct client_conn *conn, struct bytes word,
                        bool refusal) {
    const struct event *cause = model->cause;
    uint32_t hash = (uint32_t)siphash(&model->key, word.data, word.len);
    if (!refusal)
        by_word_add(&conn->server->errors, word, 1);
    conn->client->errors += !refusal;
    if (bytes_equal(word, bytes_str("BUSY")))
        conn->server->said_busy = cause->time;
    struct event event = {.type = EV_client_error};
    event.client_error =
        (struct ev_client_error){.server = &cause->flow->ends[cause->direction],
                                 .client = &cause->flow->ends[!cause->direction],
                                 .error = word,
                                 .refusal = refusal,
                                 .before = (uint64_t)note_erred(conn, hash, cause->time)};
    model_conclude(model, &event);
}

/* Data were served, so the server is the owner of their slots: a few stores for each reply. */
static inline void note_served(const struct client_conn *conn, const struct event *event) {
    conn->served->client = conn->client;
    conn->served->at = stamp_of(event);
}

/* The first reply after a long pause tells what the server was busy with, or was asked meanwhile.
 */
static void note_silence(struct server *server, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    model_silence(server, event);
    nstime began = reply_began(event);
    if (began - server->last_reply <= PAUSE_MIN_MS * NS_PER_MS)
        return;
    nstime latency = reply->latency_us == NOT_KNOWN ? 0 : (nstime)reply->latency_us * NS_PER_US;
    server->pause = (struct pause){server->last_reply, began};
    if (began - server->last_reply > HUSH_MIN_MS * NS_PER_MS)
        server->lull = server->pause;
    server->pause_command = reply->command;
    server->pause_asked = began - latency;
}

/* A reply that was waited for for long; unless it was held behind a hole, and came before. */
static void note_late(struct model *model, const struct client_conn *conn,
                      const struct event *event) {
    struct server *server = conn->server;
    nstime latency = (nstime)event->reply.latency_us * NS_PER_US;
    if (latency > PAUSE_MIN_MS * NS_PER_MS) {
        server->wait = (struct pause){reply_began(event) - latency, reply_began(event)};
        server->wait_over = stamp_of(event);
        server->wait_had = event->flow->sides[!event->direction].stats.retransmits == 0;
    }
    if (conn->gap_frame != event->frame)
        model_late_reply(model, server, event);
}

static void note_latency(struct model *model, const struct client_conn *conn,
                         struct command_stats *stats, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    if (reply->latency_us == NOT_KNOWN)
        return;
    histogram_add(reply->blocking ? &conn->server->blocking : &stats->latency, reply->latency_us);
    if (reply->latency_us > SLOW_MIN_US && !reply->blocking)
        note_late(model, conn, event);
}

/* Much was moved or served. */
static void note_big(struct model *model, struct client_conn *conn, const struct event *event) {
    if (event->reply.bytes > model->numbers.big_least)
        model_big_reply(model, event);
    model_big_key_seen(model, conn, event);
}

static bool is_topology(const char *name) {
    return strcmp(name, "cluster|slots") == 0 || strcmp(name, "cluster|shards") == 0 ||
           strcmp(name, "cluster|nodes") == 0;
}

/* What has no key is about the connection, or about the cluster. */
static void note_keyless(struct model *model, struct client_conn *conn, const struct event *event) {
    if (event->reply.command->reply == REPLY_ASKING)
        conn->asking = conn->asked_well = event->time;
    if (event->reply.command->name[0] == 'c' || event->reply.command->name[0] == 'd')
        model_order_answered(conn->server, event);
    if (event->reply.command->name[0] != 'c' || !is_topology(event->reply.command->name))
        return;
    struct event told = {.type = EV_topology_asked};
    told.topology_asked =
        (struct ev_topology_asked){.server = &event->flow->ends[event->direction],
                                   .client = &event->flow->ends[!event->direction],
                                   .bytes = event->reply.bytes,
                                   .before = (uint64_t)conn->refreshed};
    conn->refreshed = event->time;
    model_conclude(model, &told);
}

/* What MULTI queues is answered by EXEC. */
static void answer_write(struct model *model, struct client_conn *conn, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    if (LIKELY(reply->called))
        model_write_answered(model, conn, event, reply->write, reply->nothing);
    else
        model_write_queued(conn, reply->write);
}

/* An error, or data, or what is about the connection. */
static void note_content(struct model *model, struct client_conn *conn, struct command_stats *stats,
                         const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    if (reply->error.len > 0) {
        stats->errors++;
        count_error(model, conn, reply->error, false);
        if (model->claims.open)
            model_claim_refusal(model, &conn->server->addr);
    } else if (reply->command && reply->command->keys == KEYS_NONE) {
        note_keyless(model, conn, event);
    } else if (reply->command) {
        note_served(conn, event);
        if (model->elections_unserved)
            model_election_served(model, conn, event);
    }
}

/* All that a reply may mean beyond the counts. */
static __attribute__((noinline)) void note_unusual(struct model *model, struct client_conn *conn,
                                                   struct command_stats *stats,
                                                   const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    note_stranger(model, conn);
    note_latency(model, conn, stats, event);
    note_content(model, conn, stats, event);
    if (conn->client->steps_open)
        model_redirect_reply(model, conn, event);
    if (reply->sample) {
        model_slot_answered(model, event);
        model_reread_answered(conn, event);
    }
    if (reply->write)
        answer_write(model, conn, event);
}

/* Data, or the answer to a write, in time, and nobody has asked to be told of that. */
static inline bool is_usual(const struct model *model, const struct client *client,
                            const struct ev_reply *reply) {
    return reply->latency_us <= SLOW_MIN_US && !reply->blocking &&
           !(reply->error.len | reply->sample) && reply->command &&
           reply->command->keys != KEYS_NONE &&
           !(client->others | client->steps_open | model->elections_unserved);
}

/* The usual one passes through without a call. */
static void count_reply(struct model *model, struct client_conn *conn, struct command_stats *stats,
                        const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    struct server *server = conn->server;
    count_request(conn, stats, reply->request_bytes, reply->request_bytes + reply->bytes);
    server->replies++;
    server->reply_bytes += reply->bytes;
    server->last_reply = event->time;
    server->last_command = reply->command;
    stats->calls += reply->called;
    if (UNLIKELY(!is_usual(model, conn->client, reply))) {
        note_unusual(model, conn, stats, event);
        return;
    }
    histogram_add(&stats->latency, reply->latency_us);
    note_served(conn, event);
    if (reply->write)
        answer_write(model, conn, event);
}

static inline bool is_big(const struct ev_reply *reply) {
    return reply->bytes + reply->request_bytes >= BIG_REPLY;
}

static inline bool ends_silence(const struct server *server, const struct event *event) {
    return reply_began(event) - server->last_reply > SLOW_MIN_MS * NS_PER_MS;
}

/* The first of its kind, or one to be looked at before it is counted. */
static __attribute__((noinline)) void look_and_count(struct model *model,
                                                     const struct event *event) {
    struct client_conn *conn = conn_of(model, event, event->direction);
    struct command_stats *stats = stats_of(model, conn->server, event->reply.command);
    if (is_big(&event->reply))
        note_big(model, conn, event);
    if (ends_silence(conn->server, event))
        note_silence(conn->server, event);
    count_reply(model, conn, stats, event);
}

void model_reply(struct model *model, const struct event *event) {
    struct client_conn *conn = model_bound_conn(event);
    struct command_stats *stats = conn ? known_stats(conn->server, event->reply.command) : NULL;
    if (LIKELY(stats && !is_big(&event->reply) && !ends_silence(conn->server, event)))
        count_reply(model, conn, stats, event);
    else
        look_and_count(model, event);
}

/* Silence, where it is the answer, is a call and no reply. */
void model_silent(struct model *model, const struct event *event) {
    const struct ev_silent *silent = &event->silent;
    struct client_conn *conn = conn_of(model, event, !event->direction);
    struct command_stats *stats = stats_of(model, conn->server, silent->command);
    count_request(conn, stats, silent->request_bytes, silent->request_bytes);
    note_stranger(model, conn);
    stats->calls++;
    model_order_silent(conn->server, event);
}

void model_executed(struct model *model, const struct event *event) {
    struct client_conn *conn = conn_of(model, event, event->direction);
    stats_of(model, conn->server, event->executed.command)->calls++;
    if (event->executed.write)
        model_write_executed(model, conn, event);
}

void model_inner_error(struct model *model, const struct event *event) {
    count_error(model, conn_of(model, event, event->direction), event->error.error, false);
}

void model_unanswered(struct model *model, const struct event *event) {
    const struct ev_unanswered *unanswered = &event->unanswered;
    struct client_conn *conn = conn_of(model, event, !event->direction);
    conn->server->unanswered += unanswered->count;
    conn->server->requests += unanswered->count;
    conn->client->requests += unanswered->count;
    stats_of(model, conn->server, unanswered->command)->requests += unanswered->count;
    model->books.unanswered += unanswered->count;
    model_order_unanswered(conn->server, event);
}

/* An error before any request is one that the server counts, too; but it has other books for the
 * connections that it turns away (rejected_connections). */
void model_unmatched(struct model *model, const struct event *event) {
    const struct ev_unmatched *unmatched = &event->unmatched;
    struct client_conn *conn = conn_of(model, event, event->direction);
    conn->server->unmatched++;
    conn->server->reply_bytes += unmatched->bytes;
    conn->client->bytes += unmatched->bytes;
    model->books.unmatched++;
    if (unmatched->error.len > 0)
        count_error(model, conn, unmatched->error, unmatched->refusal);
}

/* What the decoder has no word for counts as "other". */
static struct bytes kind_word(const char *kind) {
    return kind ? bytes_str(kind) : bytes_of(NULL, 0);
}

void model_push(struct model *model, const struct event *event) {
    struct client_conn *conn = conn_of(model, event, event->direction);
    by_word_add(&conn->server->pushes, kind_word(event->push.kind), 1);
    conn->server->reply_bytes += event->push.bytes;
    conn->client->bytes += event->push.bytes;
}

void model_redirect(struct model *model, const struct event *event) {
    struct client_conn *conn = conn_of(model, event, event->direction);
    by_word_add(&conn->server->redirects, kind_word(event->redirect.kind), 1);
    model_redirect_step(model, conn, event);
    model_migration_ask(model, event);
}

/* Its end is cut off, so that it stays a text. */
static void keep_word(char *word, struct bytes text) {
    size_t len = min_size(text.len, CLIENT_WORD - 1);
    memcpy(word, text.data, len);
    word[len] = '\0';
}

void model_introduced(struct model *model, const struct event *event) {
    struct client_conn *conn = model_client_note(event->flow);
    const struct ev_introduced *said = &event->introduced;
    (void)model;
    if (!conn)
        return;
    if (!conn->introduction)
        conn->introduction = calloc(1, sizeof *conn->introduction);
    struct introduction *introduction = conn->introduction;
    if (introduction)
        keep_word(said->what[0] == 'n'   ? introduction->name
                  : said->what[0] == 'l' ? introduction->library
                                         : introduction->version,
                  said->value);
}

void model_client_gap(struct model *model, const struct event *event) {
    (void)model;
    if (note_is_client(event->flow))
        ((struct client_conn *)event->flow->note)->gap_frame = event->frame;
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

/* ---- looking at it ---- */

const struct introduction *model_introduction_in_hand(const struct model *model) {
    const struct flow *flow = model->cause->flow;
    return flow && note_is_client(flow) ? ((const struct client_conn *)flow->note)->introduction
                                        : NULL;
}

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
