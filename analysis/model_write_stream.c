/* model_write_stream.c - where writes stand in the replication stream, which of them the replicas
 * have, and which of them are lost when another node wins.
 *
 * The stream's commands come about in the order in which the writes were asked for, so a match is
 * mostly the first one that is looked at. A replica may get a write before its client gets the
 * answer. What one replica was sent counts for all, as they share the stream. */
#include <stdlib.h>

#include "analysis/model_private.h"
#include "analysis/model_writes.h"
#include "analysis/write_kind.h"
#include "decode/key_slot.h"

/* ---- matching ---- */

enum { WINDOW = 1024 /* writes looked at for a command of the stream */ };

/* A write can be this command's if it is in no place yet. */
static bool is_exact(const struct write *write, const struct ev_replicated *command,
                     uint32_t print) {
    return write->print == print && command_rows + write->command == command->command &&
           write->bytes == command->bytes;
}

static bool has_key(const struct write_log *log, uint64_t number, struct bytes key) {
    return key.len > 0 && bytes_equal(write_key_of(log, number), key);
}

/* The first write that the command can be: the same one, else one that is rewritten, with its key.
 * log->next: none. */
static uint64_t find_write(const struct write_log *log, const struct ev_replicated *command) {
    const struct request_args *args = command->keys.args;
    uint32_t print = write_print(args->list[args->kept - 1]);
    struct bytes key = command_first_key(command->command, args);
    uint64_t end = min_size(log->next, log->match + WINDOW), loose = log->next;
    for (uint64_t number = log->match; number < end; number++) {
        const struct write *write = write_at(log, number);
        if (write->offset != NOT_KNOWN)
            continue;
        if (is_exact(write, command, print) && has_key(log, number, key))
            return number;
        if (loose == log->next && write->kind & WRITE_REWRITTEN && has_key(log, number, key))
            loose = number;
    }
    return loose;
}

/* Goes on past those that are matched and those that cannot be any more: they were acknowledged
 * before one that is in the stream already was asked for. */
static void advance(struct write_log *log) {
    while (log->match < log->next) {
        struct write *write = write_at(log, log->match);
        bool late = write->acked != TIME_NONE && write->acked < log->matched;
        if (write->offset == NOT_KNOWN && !late)
            return;
        write->passed = write->offset == NOT_KNOWN;
        log->match++;
    }
}

/* How far the stream has been seen. False: this part has been seen before. */
static bool follow_stream(struct write_log *log, uint64_t offset, uint64_t bytes, nstime now) {
    if (log->stream != NOT_KNOWN && offset <= log->stream)
        return false;
    if (log->stream != NOT_KNOWN && offset - bytes > log->stream)
        log->stream_since = now;
    log->stream = offset;
    return true;
}

void model_write_replicated(struct model *model, struct server *server,
                            const struct replication *link, const struct event *event) {
    const struct ev_replicated *command = &event->replicated;
    struct write_log *log = server->writes;
    if (!log || log->stale || link->offset == NOT_KNOWN || log->stream == NOT_KNOWN ||
        strcmp(log->replid, link->replid) != 0 ||
        !follow_stream(log, link->offset, command->bytes, model->cause->time))
        return;
    if (!command->command || !command->write)
        return;
    if (log->match < log->base)
        log->match = log->base;
    uint64_t number = find_write(log, command);
    if (number == log->next)
        return;
    struct write *write = write_at(log, number);
    write->offset = link->offset;
    if (write->asked > log->matched)
        log->matched = write->asked;
    advance(log);
}

/* ---- what replicas have ---- */

/* Has another link of the same replica taken this one's place? */
static bool is_replaced(const struct model_clients *clients, const struct replication *link) {
    for (uint32_t i = 0; i < clients->replication_count; i++) {
        const struct replication *other = clients->replications[i];
        if (other != link && other->first > link->last &&
            endpoint_equal(&other->primary, &link->primary) &&
            endpoint_same_ip(&other->replica, &link->replica))
            return true;
    }
    return false;
}

/* The offset that all replicas of the server have acknowledged; 0: one has said nothing. */
static uint64_t acked_by_all(const struct model_clients *clients, const struct endpoint *server) {
    uint64_t acked = NOT_KNOWN;
    for (uint32_t i = 0; i < clients->replication_count; i++) {
        const struct replication *link = clients->replications[i];
        if (strcmp(link->kind, "replication") != 0 || !endpoint_equal(&link->primary, server) ||
            is_replaced(clients, link))
            continue;
        uint64_t has = link->acked == NOT_KNOWN ? 0 : link->acked;
        acked = has < acked ? has : acked;
    }
    return acked == NOT_KNOWN ? 0 : acked;
}

/* Chunks go in the order of all servers', so here they only become free to go. */
void model_write_acked(struct model *model, struct server *server) {
    struct write_log *log = server->writes;
    if (!log || log->stale || log->stream == NOT_KNOWN)
        return;
    uint64_t acked = acked_by_all(&model->clients, &server->addr);
    if (log->safe_next < log->base)
        log->safe_next = log->base;
    for (; log->safe_next < log->next; log->safe_next++) {
        const struct write *write = write_at(log, log->safe_next);
        if (write->offset == NOT_KNOWN)
            continue;
        if (write->offset > acked)
            return;
        if (write->asked > log->safe)
            log->safe = write->asked;
    }
}

/* ---- what is lost ---- */

static nstime sooner(nstime a, nstime b) {
    return a == TIME_NONE || b < a ? b : a;
}

/* From the writes that were seen behind the winner's offset, or at it. */
static nstime beyond_by_place(const struct write_log *log, uint64_t offset) {
    nstime beyond = TIME_NONE;
    for (uint64_t number = write_oldest(log); number < log->next; number++) {
        const struct write *write = write_at(log, number);
        if (write->offset != NOT_KNOWN && write->offset >= offset && write->acked != TIME_NONE)
            beyond = sooner(beyond, write->acked);
    }
    return beyond;
}

/* A write behind what was seen of the stream. */
struct unseen {
    nstime acked;
    uint64_t bytes;
};

static int by_acked(const void *a, const void *b) {
    nstime x = ((const struct unseen *)a)->acked, y = ((const struct unseen *)b)->acked;
    return (x > y) - (x < y);
}

/* Sorted by time; to be freed. NULL: none, or one of them is in the stream in a form or a size that
 * is not known. */
static struct unseen *list_unseen(const struct write_log *log, const struct winner *winner,
                                  size_t *ret_count, uint64_t *ret_bytes) {
    size_t room = (size_t)(log->next - log->base);
    struct unseen *list = room ? malloc(room * sizeof *list) : NULL;
    bool sized = true;
    *ret_count = 0;
    *ret_bytes = 0;
    for (uint64_t number = write_oldest(log); list && number < log->next; number++) {
        const struct write *write = write_at(log, number);
        if (write->state < WRITE_DONE || write->state == WRITE_NO_OP || write->passed ||
            (winner->until != TIME_NONE && write->acked > winner->until) ||
            write->offset != NOT_KNOWN || write->acked < log->safe)
            continue;
        sized &= write->state == WRITE_DONE && !(write->kind & WRITE_REWRITTEN);
        list[(*ret_count)++] = (struct unseen){write->acked, write->bytes};
        *ret_bytes += write->bytes;
    }
    if (list && sized && *ret_count) {
        qsort(list, *ret_count, sizeof *list, by_acked);
        return list;
    }
    free(list);
    return NULL;
}

/* The stream was seen up to `log->stream`. If the writes that follow add up to its end, nothing
 * else is in it: one that is asked for when enough of them are acknowledged stands behind the
 * offset. */
static nstime beyond_by_size(const struct write_log *log, const struct winner *winner) {
    size_t count;
    uint64_t bytes, at = log->stream;
    struct unseen *list = list_unseen(log, winner, &count, &bytes);
    nstime beyond = TIME_NONE;
    if (list && stream_adds_up(bytes, winner->end - at, list[count - 1].acked - list[0].acked))
        for (size_t i = 0; i < count && beyond == TIME_NONE; i++) {
            at += list[i].bytes;
            beyond = at >= winner->offset ? list[i].acked : TIME_NONE;
        }
    free(list);
    return beyond;
}

void winner_prepare(const struct write_log *log, struct winner *winner) {
    winner->beyond = TIME_NONE;
    if (winner->offset == NOT_KNOWN || log->stream == NOT_KNOWN)
        return;
    winner->beyond = beyond_by_place(log, winner->offset);
    bool ends_later = winner->end != NOT_KNOWN && winner->end > winner->offset;
    if (winner->beyond == TIME_NONE && ends_later && log->stream < winner->offset)
        winner->beyond = beyond_by_size(log, winner);
}

static bool is_claimed(const struct write_log *log, uint64_t number, const struct write *write,
                       const struct winner *winner) {
    struct bytes key = write_key_of(log, number);
    uint32_t slot = key.len ? key_slot(key) : 0;
    return key.len && winner->claimed != TIME_NONE && write->asked > winner->claimed &&
           slots_have(winner->slots, slot);
}

/* Was all of the stream that the winner got seen, and this write is not in it? */
static bool is_missing(const struct write_log *log, const struct write *write,
                       const struct winner *winner) {
    bool seen = winner->offset != NOT_KNOWN && log->stream != NOT_KNOWN &&
                log->stream >= winner->offset && log->stream_since <= write->asked;
    bool behind = winner->beyond != TIME_NONE && write->asked >= winner->beyond;
    return behind || (seen && !(write->kind & WRITE_REWRITTEN));
}

enum write_fate write_fate(const struct write_log *log, uint64_t number,
                           const struct winner *winner) {
    const struct write *write = write_at(log, number);
    bool placed = write->offset != NOT_KNOWN && winner->offset != NOT_KNOWN;
    bool later = winner->until != TIME_NONE && write->acked > winner->until;
    if (write->state == WRITE_ASKED || write->state == WRITE_NO_OP || later)
        return FATE_KEPT;
    if (placed)
        return write->offset > winner->offset ? FATE_LOST : FATE_KEPT;
    if (write->passed || (write->acked < log->safe))
        return FATE_KEPT;
    if (write->state == WRITE_DOUBTED || winner->only_placed)
        return FATE_OPEN;
    if (is_missing(log, write, winner) || is_claimed(log, number, write, winner))
        return FATE_LOST;
    return FATE_OPEN;
}
