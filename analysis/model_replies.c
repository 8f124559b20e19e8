/* model_replies.c - a reply is counted for its server, its client and its command, and what else it
 * may mean is looked at.
 *
 * This stands on the way of every packet with a reply. So the flow's note knows its server and its
 * client, the command's row is its index, and a sum over the commands is made when it is asked for;
 * and a reply with nothing special about it is done with without a call. */
#include "analysis/model_clients_private.h"

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
        model_count_error(model, conn, reply->error, false);
        if (model->claims.open)
            model_claim_refusal(model, conn->server);
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
