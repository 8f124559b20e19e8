/* model_writes.c - the logs of writes: what clients asked for, and the answers.
 *
 * A log is a queue of chunks. All servers' chunks share one cap, and the oldest of all goes when it
 * is hit. A connection's writes that wait are chained through the log, as answers come in order.
 *
 * This stands on the way of every write: what is rare is left to functions of its own, called last,
 * so that the usual one needs no frame. */
#include "analysis/model_writes.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "analysis/write_kind.h"
#include "base/limits.h"

/* ---- chunks ---- */

/* Takes the log's oldest chunk out of it; it must be the oldest of all servers', too. */
static void drop_oldest(struct model_writes *writes) {
    struct write_chunk *chunk = writes->oldest;
    struct write_log *log = chunk->log;
    writes->oldest = chunk->younger;
    writes->chunks--;
    writes->key_bytes -= chunk->keys_room;
    if (log) {
        log->chunk_count--;
        memmove(log->chunks, log->chunks + 1, log->chunk_count * sizeof(struct write_chunk *));
        log->base += WRITES_CHUNK;
        if (log->next < log->base) /* it was the only one, and not full */
            log->next = log->base;
    }
    free(chunk->keys);
    free(chunk);
}

static uint64_t count_of(const struct write_chunk *chunk) {
    return (uint64_t)(chunk->free - chunk->list);
}

/* Have all replicas what is in it, or was none seen that could miss it? */
static bool is_safe(const struct write_chunk *chunk) {
    const struct write_log *log = chunk->log;
    bool replicated = log && log->safe != TIME_NONE && chunk->last_acked < log->safe;
    return !log || log->stream == NOT_KNOWN || (count_of(chunk) == WRITES_CHUNK && replicated);
}

/* What is dropped although a replica may lack it is counted. */
static void give_up_oldest(struct model *model) {
    const struct write_chunk *chunk = model->writes.oldest;
    struct write_log *log = chunk->log;
    if (is_safe(chunk)) {
        if (log)
            log->dropped += count_of(chunk);
    } else {
        log->forgotten += count_of(chunk);
        model->books.writes_over_cap += count_of(chunk);
    }
    drop_oldest(&model->writes);
}

/* What is safe is kept for a while, for a server that comes back empty; not for long, as a log that
 * grows beyond the cache costs more than all else that is done for a write. */
enum { SAFE_KEPT = 8192 };

static bool is_full(const struct model_writes *writes) {
    bool much = writes->chunks >= SAFE_KEPT / WRITES_CHUNK;
    return writes->chunks >= CAP_WRITES / WRITES_CHUNK || writes->key_bytes >= CAP_WRITE_KEYS ||
           (much && is_safe(writes->oldest));
}

static struct write_chunk *add_chunk(struct model *model, struct write_log *log) {
    struct model_writes *writes = &model->writes;
    while (writes->oldest && (is_full(writes) || !writes->oldest->log))
        give_up_oldest(model);
    struct write_chunk **chunks = list_with_room(log->chunks, log->chunk_count, &log->chunk_room,
                                                 sizeof(struct write_chunk *));
    if (!chunks)
        return NULL;
    log->chunks = chunks;
    struct write_chunk *chunk = malloc(sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->log = log;
    chunk->younger = NULL;
    chunk->free = chunk->list;
    chunk->keys_used = chunk->keys_room = 0;
    chunk->last_acked = TIME_NONE;
    chunk->keys = NULL;
    if (writes->oldest)
        writes->newest->younger = chunk;
    else
        writes->oldest = chunk;
    writes->newest = chunk;
    writes->chunks++;
    return chunks[log->chunk_count++] = chunk;
}

/* The chunks stay in the queue of all, without a log, until their turn comes. */
static void forget_all(struct write_log *log) {
    for (uint32_t i = 0; i < log->chunk_count; i++)
        log->chunks[i]->log = NULL;
    log->base += (uint64_t)log->chunk_count * WRITES_CHUNK;
    log->next = log->match = log->safe_next = log->from = log->base;
    log->chunk_count = 0;
    log->stale = log->copy.begun = false;
    log->forgotten = log->dropped = 0;
    log->matched = log->safe = log->reread.died = TIME_NONE;
    log->reread.gone = false;
}

/* ---- one write more ---- */

/* NULL: out of memory, or it is a replica, and refuses what it is asked. */
static struct write_log *log_of(struct server *server) {
    struct write_log *log = server->writes;
    if (UNLIKELY(!log)) {
        log = server->writes = calloc(1, sizeof *log);
        if (!log)
            return NULL;
        log->stream = NOT_KNOWN;
        log->matched = log->safe = log->reread.died = TIME_NONE;
    }
    return log->stale ? NULL : log;
}

static bool more_room_for_keys(struct model_writes *writes, struct write_chunk *chunk) {
    uint32_t room = chunk->keys_room ? chunk->keys_room * 2 : WRITES_CHUNK * 16;
    uint8_t *keys = realloc(chunk->keys, room);
    if (!keys)
        return false;
    writes->key_bytes += room - chunk->keys_room;
    chunk->keys = keys;
    chunk->keys_room = room;
    return true;
}

/* In a pipeline the next one stands beside it, as was supposed when it was added. */
static inline void chain_add(struct write_log *log, struct write_chain *chain, uint64_t number) {
    uint64_t distance = number - chain->last;
    if (chain->count++ == 0)
        chain->first = number;
    else if (distance > 1 && chain->last >= log->base)
        write_at(log, chain->last)->next = (uint32_t)distance;
    chain->last = number;
}

/* When it was asked for: TIME_NONE if its bytes were held behind a hole, and the packet in hand is
 * not theirs. */
static inline nstime time_asked(const struct client_conn *conn, const struct event *event) {
    const struct flow_side *side = &event->flow->sides[event->direction];
    bool late = side->stream.next != side->high || conn->gap_frame == event->frame;
    return LIKELY(!late) ? event->time : TIME_NONE;
}

/* Field by field: nothing is stored twice on a write's way. */
static inline void fill_in(struct write *write, const struct model *model,
                           const struct client_conn *conn, const struct event *event) {
    const struct ev_write *asked = &event->write;
    size_t row = (size_t)(asked->command - command_rows);
    uint8_t kind = model->writes.kinds[row];
    write->asked = time_asked(conn, event);
    write->acked = TIME_NONE;
    write->offset = NOT_KNOWN;
    write->command = (uint16_t)row;
    write->number = (uint32_t)asked->number;
    write->next = 1;
    write->print = write_print(asked->last);
    write->bytes = (uint32_t)asked->bytes;
    write->client = conn->client;
    write->client_port = event->flow->ends[event->direction].port;
    write->state = WRITE_ASKED;
    write->kind = kind & WRITE_OPTIONS && asked->args > 3 ? kind | WRITE_REWRITTEN : kind;
    write->passed = false;
}

/* There is room for the write, and for the key. */
static void add_write(const struct model *model, struct client_conn *conn,
                      struct write_chunk *chunk, const struct event *event, size_t key_len) {
    struct write *write = chunk->free++;
    fill_in(write, model, conn, event);
    chain_add(chunk->log, &conn->asked, chunk->log->next++);
    write->key = chunk->keys_used;
    write->key_len = (uint16_t)key_len;
    chunk->keys_used += (uint32_t)key_len;
    if (key_len > 0)
        memcpy(chunk->keys + write->key, event->write.key.data, key_len);
}

static inline bool has_room_for_key(const struct write_chunk *chunk, size_t len) {
    return chunk->keys_used + len <= chunk->keys_room;
}

/* The last one, if it is not full; else NULL. */
static inline struct write_chunk *open_chunk(const struct write_log *log) {
    struct write_chunk *chunk = log->chunk_count ? log->chunks[log->chunk_count - 1] : NULL;
    return chunk && chunk->free < chunk->list + WRITES_CHUNK ? chunk : NULL;
}

static __attribute__((noinline)) void make_room_and_add(struct model *model,
                                                        const struct event *event) {
    struct server *server = model_server_of(model, event, !event->direction);
    struct client_conn *conn = event->flow->note;
    struct write_log *log = conn && !server->others ? log_of(server) : NULL;
    if (!log)
        return;
    struct write_chunk *chunk = open_chunk(log);
    if (!chunk)
        chunk = add_chunk(model, log);
    if (!chunk)
        return;
    size_t key_len = event->write.key.len;
    bool keep = has_room_for_key(chunk, key_len) || more_room_for_keys(&model->writes, chunk);
    add_write(model, conn, chunk, event, keep ? key_len : 0);
}

void model_write_asked(struct model *model, const struct event *event) {
    struct client_conn *conn = model_bound_conn(event);
    const struct write_log *log = conn ? conn->server->writes : NULL;
    struct write_chunk *chunk = log && !log->stale ? open_chunk(log) : NULL;
    if (LIKELY(chunk && has_room_for_key(chunk, event->write.key.len)))
        add_write(model, conn, chunk, event, event->write.key.len);
    else
        make_room_and_add(model, event);
}

/* ---- the answer ---- */

static enum write_state state_of(const struct write *write, bool nothing) {
    if (write->kind & WRITE_SERVERS || (nothing && write->kind & WRITE_NOTHING_IF_EMPTY))
        return WRITE_NO_OP;
    bool doubted = write->kind & WRITE_UNCLEAR || (nothing && write->kind & WRITE_UNCLEAR_IF_EMPTY);
    return doubted ? WRITE_DOUBTED : WRITE_DONE;
}

/* The server had died, or others claim its slots: what it takes tells. */
static __attribute__((noinline)) void note_contested(struct model *model, struct server *server,
                                                     const struct write_chunk *chunk,
                                                     const struct write *write,
                                                     const struct event *event) {
    struct write_log *log = server->writes;
    if (log->reread.died != TIME_NONE)
        model_reread_survived(log, event);
    if (model->claims.open && write->state == WRITE_DONE && write->key_len)
        model_claim_write(model, server, write_key_in(chunk, write), write->asked);
}

static __attribute__((noinline)) void acknowledge(struct model *model, struct server *server,
                                                  struct write_chunk *chunk, struct write *write,
                                                  const struct event *event, bool nothing) {
    if (event->flow->sides[!event->direction].fin) /* the client has given up: it never knows */
        return;
    write->acked = event->time;
    write->frame = event->frame;
    write->source = event->source;
    write->state = (uint8_t)state_of(write, nothing);
    if (event->time > chunk->last_acked)
        chunk->last_acked = event->time;
    if (UNLIKELY(server->writes->reread.died != TIME_NONE || model->claims.open))
        note_contested(model, server, chunk, write, event);
}

struct bytes model_write_key(const struct client_conn *conn, uint64_t wanted) {
    const struct write_log *log = conn->server->writes;
    const struct write_chain *asked = &conn->asked;
    bool there = log && asked->count > 0 && asked->first >= log->base &&
                 write_at(log, asked->first)->number == wanted;
    return there ? write_key_of(log, asked->first) : bytes_of(NULL, 0);
}

/* Takes the write with this number on its connection out of the chain; older ones get no answer any
 * more. NULL: it is not there; else its chunk, and its number in the log. */
static inline struct write_chunk *take_numbered(const struct write_log *log,
                                                struct write_chain *chain, uint64_t wanted,
                                                uint64_t *ret_number) {
    while (chain->count > 0 && LIKELY(chain->first >= log->base)) {
        struct write_chunk *chunk = write_chunk_of(log, chain->first);
        const struct write *write = write_in(chunk, chain->first);
        if (write->number > wanted)
            return NULL;
        *ret_number = chain->first;
        chain->first += write->next;
        chain->count--;
        if (LIKELY(write->number == wanted))
            return chunk;
    }
    chain->count = 0; /* or its beginning is forgotten */
    return NULL;
}

void model_write_answered(struct model *model, struct client_conn *conn, const struct event *event,
                          uint64_t wanted, bool nothing) {
    struct write_log *log = conn->server->writes;
    uint64_t number;
    struct write_chunk *chunk = log ? take_numbered(log, &conn->asked, wanted, &number) : NULL;
    if (chunk)
        acknowledge(model, conn->server, chunk, write_in(chunk, number), event, nothing);
}

void model_write_queued(struct client_conn *conn, uint64_t wanted) {
    struct write_log *log = conn->server->writes;
    uint64_t number;
    if (!log || !take_numbered(log, &conn->asked, wanted, &number))
        return;
    write_at(log, number)->next = 1;
    chain_add(log, &conn->queued, number);
}

void model_write_executed(struct model *model, struct client_conn *conn,
                          const struct event *event) {
    const struct ev_executed *executed = &event->executed;
    struct write_log *log = conn->server->writes;
    uint64_t number;
    struct write_chunk *chunk =
        log ? take_numbered(log, &conn->queued, executed->write, &number) : NULL;
    if (chunk)
        acknowledge(model, conn->server, chunk, write_in(chunk, number), event, executed->nothing);
}

/* ---- the data set changes ---- */

/* The server's data set is this one from now on: what was written before `from` is in it. */
static void adopt(struct write_log *log, const char *replid, uint64_t offset, uint64_t from,
                  nstime now) {
    memcpy(log->replid, replid, sizeof log->replid);
    log->stream = offset;
    log->stream_since = now;
    log->from = log->match = log->safe_next = from;
    log->matched = log->safe = TIME_NONE;
    log->copy.begun = false;
}

/* A copy that begins with another id than the data set had may be the sign that the server has lost
 * it: its writes are kept until the copy is complete, so that its size can be looked at. */
static void begin_copy(struct write_log *log, const struct replication *link) {
    log->copy.begun = true;
    memcpy(log->copy.replid, link->replid, sizeof log->copy.replid);
    log->copy.offset = link->offset;
    log->copy.from = log->next;
    log->copy.since = link->first;
}

void model_write_attached(struct model *model, struct server *server,
                          const struct replication *link, bool full) {
    struct write_log *log = log_of(server);
    if (!log || link->offset == NOT_KNOWN ||
        (strcmp(log->replid, link->replid) == 0 && log->stream != NOT_KNOWN))
        return;
    if (full && log->replid[0])
        begin_copy(log, link);
    else
        adopt(log, link->replid, link->offset, full ? log->next : log->from, model->cause->time);
}

void model_write_copied(struct model *model, struct server *server) {
    struct write_log *log = server->writes;
    if (!log || !log->copy.begun)
        return;
    log->reread.died = TIME_NONE; /* the copy tells */
    log->reread.gone = false;
    adopt(log, log->copy.replid, log->copy.offset, log->copy.from, model->cause->time);
}

/* What it wrote is its own until it takes the other one's data, whatever it is asked meanwhile. */
void model_write_demoted(struct model *model, const struct node *node) {
    struct server *server = node->addr_known ? model_find_server(model, &node->addr) : NULL;
    if (server && server->writes)
        server->writes->stale = true;
}

/* What it writes now is of another data set. */
void model_write_promoted(struct model *model, const struct node *node) {
    struct server *server = node->addr_known ? model_find_server(model, &node->addr) : NULL;
    if (server && server->writes && server->writes->stale)
        forget_all(server->writes);
}

/* ---- looking at it, and life ---- */

const struct write_log *model_write_log(const struct model *model, const struct endpoint *server) {
    const struct server *found = model_find_server(model, server);
    return found ? found->writes : NULL;
}

bool model_writes_init(struct model_writes *writes) {
    writes->kinds = write_kinds_new();
    return writes->kinds;
}

void model_writes_free(struct model *model) {
    for (uint32_t i = 0; i < model->clients.server_count; i++) {
        struct write_log *log = model->clients.servers[i]->writes;
        if (log)
            free(log->chunks);
        free(log);
        model->clients.servers[i]->writes = NULL;
    }
    while (model->writes.oldest) {
        model->writes.oldest->log = NULL;
        drop_oldest(&model->writes);
    }
    free(model->writes.kinds);
}
