/* model_replication.c - replication and migration links: one record for each connection on which a
 * stream of commands runs that nobody answers, with what it says of offsets. */
#include <stdlib.h>

#include "analysis/model_clients.h"
#include "analysis/model_private.h"
#include "base/limits.h"

/* ---- links ---- */

static void free_link(struct replication *link) {
    free(link->commands);
    free(link->back);
    free(link);
}

/* The first link of those whose connection is gone. False: there is none. */
static bool forget_oldest(struct model *model) {
    struct model_clients *clients = &model->clients;
    uint32_t oldest = 0;
    while (oldest < clients->replication_count && !clients->replications[oldest]->over)
        oldest++;
    if (oldest == clients->replication_count)
        return false;
    model_follower_forgets(clients->replications[oldest]);
    free_link(clients->replications[oldest]);
    clients->replication_count--;
    memmove(&clients->replications[oldest], &clients->replications[oldest + 1],
            (clients->replication_count - oldest) * sizeof clients->replications[0]);
    model->books.replications_over_cap++;
    return true;
}

static struct replication *add_replication(struct model *model, const struct event *event,
                                           unsigned primary_end) {
    struct model_clients *clients = &model->clients;
    struct replication **links =
        list_with_room(clients->replications, clients->replication_count,
                       &clients->replication_room, sizeof(struct replication *));
    if (!links)
        return NULL;
    clients->replications = links;
    bool room = clients->replication_count < CAP_REPLICATIONS || forget_oldest(model);
    struct replication *link = room ? malloc(sizeof *link) : NULL;
    if (!link)
        return NULL;
    const struct flow *flow = event->flow;
    *link = (struct replication){.kind = "replication",
                                 .primary = flow->ends[primary_end],
                                 .replica = flow->ends[!primary_end],
                                 .base_offset = NOT_KNOWN,
                                 .offset = NOT_KNOWN,
                                 .acked = NOT_KNOWN,
                                 .asked = TIME_NONE,
                                 .asked_offset = NOT_KNOWN,
                                 .past = link_past_none(),
                                 .first = event->time,
                                 .last = event->time};
    clients->replications[clients->replication_count++] = link;
    return link;
}

/* The link of the event's connection; NULL: there is no room for it, which is counted once. */
static struct replication *replication_of(struct model *model, const struct event *event,
                                          unsigned primary_end) {
    struct client_conn *conn = model_client_note(event->flow);
    if (UNLIKELY(conn && !conn->replication && !conn->no_replication)) {
        conn->replication = add_replication(model, event, primary_end);
        conn->no_replication = !conn->replication;
        model->books.replications_over_cap += conn->no_replication;
    }
    if (!conn || !conn->replication)
        return NULL;
    if (event->time > conn->replication->last)
        conn->replication->last = event->time;
    return conn->replication;
}

/* ---- steps ---- */

static void learn_replid(struct replication *link, struct bytes replid) {
    if (!bytes_is_word(replid)) /* "?": the replica knows none */
        return;
    memcpy(link->replid, replid.data, replid.len);
    link->replid[replid.len] = '\0';
}

static void begin_at(struct replication *link, uint64_t offset) {
    if (offset != NOT_KNOWN)
        link->base_offset = link->offset = offset;
}

static void on_fullresync(struct replication *link, const struct ev_replication *step) {
    link->full_resyncs++;
    learn_replid(link, step->replid);
    begin_at(link, step->offset);
}

static void on_continue(struct replication *link, const struct ev_replication *step) {
    link->partial_resyncs++;
    learn_replid(link, step->replid);
    begin_at(link, step->offset);
}

/* What the replica asks for is the best guess until the primary answers. */
static void on_psync(struct replication *link, const struct ev_replication *step) {
    learn_replid(link, step->replid);
}

static void on_rdb(struct replication *link, const struct ev_replication *step) {
    if (step->bytes != NOT_KNOWN)
        link->rdb_bytes += step->bytes;
}

static void on_ack(struct replication *link, const struct ev_replication *step) {
    if (step->offset != NOT_KNOWN)
        link->acked = step->offset;
}

static void on_stream(struct replication *link, const struct ev_replication *step) {
    begin_at(link, step->offset);
}

/* It was learnt, or what was learnt was wrong. */
static void on_offset(struct replication *link, const struct ev_replication *step) {
    link->offset = step->offset;
    link->learnt = step->offset != NOT_KNOWN;
}

static void on_refused(struct replication *link, const struct ev_replication *step) {
    (void)step;
    link->refused++;
}

static void on_rdb_channel(struct replication *link, const struct ev_replication *step) {
    (void)step;
    link->rdb_elsewhere = true;
}

static void on_migration(struct replication *link, const struct ev_replication *step) {
    (void)step;
    link->kind = "migration";
}

static const struct step_row {
    const char *what;
    bool by_replica; /* who sends it */
    void (*learn)(struct replication *link, const struct ev_replication *step);
    /* what it means for the replica; NULL: nothing */
    void (*follow)(struct model *model, struct replication *link, const struct event *event);
} step_rows[] = {
    {"psync", true, on_psync, model_follower_asked},
    {"ack", true, on_ack, model_follower_acked},
    {"fullresync", false, on_fullresync, model_follower_full},
    {"continue", false, on_continue, model_follower_goes_on},
    {"rdb-channel", false, on_rdb_channel, NULL},
    {"rdb", false, on_rdb, model_follower_copied},
    {"stream", false, on_stream, model_follower_streams},
    {"offset", false, on_offset, NULL},
    {"refused", false, on_refused, model_follower_refused},
    {"migration", false, on_migration, NULL},
};

static const struct step_row *step_of(const char *what) {
    for (size_t i = 0; i < countof(step_rows); i++)
        if (strcmp(step_rows[i].what, what) == 0)
            return &step_rows[i];
    return NULL;
}

/* Is it the connection with the stream, of a pair of which `rdb` is the one with the data? */
static bool is_stream_of(const struct replication *stream, const struct replication *rdb) {
    return stream != rdb && stream->rdb_elsewhere && stream->base_offset == NOT_KNOWN &&
           endpoint_equal(&stream->primary, &rdb->primary) &&
           endpoint_same_ip(&stream->replica, &rdb->replica);
}

/* Redis 8 sends the data over a connection of their own, and says on that one whose stream runs on
 * the other one, and at which offset it begins. */
static void join_channels(struct model *model, struct replication *rdb) {
    struct model_clients *clients = &model->clients;
    for (uint32_t i = 0; i < clients->replication_count; i++) {
        struct replication *stream = clients->replications[i];
        if (rdb->offset == NOT_KNOWN || !is_stream_of(stream, rdb))
            continue;
        memcpy(stream->replid, rdb->replid, sizeof stream->replid);
        stream->base_offset = rdb->offset;
        stream->offset = rdb->offset + stream->stream_bytes;
        rdb->kind = "rdb";
    }
}

static struct server *server_of(struct model *model, struct replication *link) {
    if (UNLIKELY(!link->server))
        link->server = model_find_server(model, &link->primary);
    return link->server;
}

/* What it means for the writes that the primary has taken. */
static void tell_writes(struct model *model, struct replication *link, const struct step_row *row) {
    struct server *server = server_of(model, link);
    if (!server)
        return;
    if (row->learn == on_ack)
        model_write_acked(model, server);
    else if (row->learn == on_stream)
        model_write_copied(model, server);
    else if (row->learn == on_fullresync || row->learn == on_continue)
        model_write_attached(model, server, link, row->learn == on_fullresync);
}

void model_replication_step(struct model *model, const struct event *event) {
    const struct step_row *row = step_of(event->replication.what);
    if (!row)
        return;
    unsigned primary_end = row->by_replica ? !event->direction : event->direction;
    struct replication *link = replication_of(model, event, primary_end);
    if (!link)
        return;
    row->learn(link, &event->replication);
    if (row->learn == on_fullresync)
        join_channels(model, link);
    if (row->follow)
        row->follow(model, link, event);
    tell_writes(model, link, row);
}

/* ---- the stream ---- */

static void count_command(uint64_t **counts, const struct command *command) {
    if (UNLIKELY(!*counts))
        *counts = calloc(command_count + 1, sizeof **counts);
    if (*counts)
        (*counts)[command ? (size_t)(command - command_rows) : command_count]++;
}

void model_replicated(struct model *model, const struct event *event) {
    const struct ev_replicated *replicated = &event->replicated;
    struct replication *link = replication_of(model, event, event->direction);
    if (!link)
        return;
    bool by_primary = endpoint_equal(&event->flow->ends[event->direction], &link->primary);
    struct moves *moves = ((struct client_conn *)event->flow->note)->moves;
    if (UNLIKELY(moves))
        model_handover_streamed(model, moves, event, by_primary);
    if (!by_primary) {
        count_command(&link->back, replicated->command);
        return;
    }
    count_command(&link->commands, replicated->command);
    link->stream_bytes += replicated->bytes;
    if (replicated->offset != NOT_KNOWN)
        link->offset = replicated->offset;
    else if (link->base_offset != NOT_KNOWN)
        link->offset = link->base_offset + link->stream_bytes;
    model_follower_sent(link, event, replicated->bytes);
    if (server_of(model, link))
        model_write_replicated(model, link->server, link, event);
}

/* ---- looking at it, and the end ---- */

void model_replication_closed(struct model *model, const struct event *event) {
    const struct client_conn *conn = event->flow->note;
    if (conn->replication)
        model_follower_closed(model, conn->replication, event);
}

size_t model_replication_count(const struct model *model) {
    return model->clients.replication_count;
}

const struct replication *model_replication(const struct model *model, size_t index) {
    return model->clients.replications[index];
}

void model_replications_free(struct model_clients *clients) {
    for (uint32_t i = 0; i < clients->replication_count; i++)
        free_link(clients->replications[i]);
    free(clients->replications);
}
