/* model_reread.c - what clients read of a server that has died and is there again. A key that it
 * had acknowledged, that nobody has written since, and that is not there any more: the server came
 * back without it. Only such reads are looked at as are looked at anyhow (decode/sampling.h). */
#include "analysis/model_private.h"
#include "analysis/model_writes.h"
#include "analysis/write_kind.h"

enum { SEARCHED = 8192 /* writes, from the youngest back, for the one of a key */ };

/* Its kernel refuses connections: its process is gone. What it has logged is from before. */
static void note_death(struct model *model, struct server *server, nstime now) {
    struct write_log *log = server ? server->writes : NULL;
    if (!log || log->stale)
        return;
    model->writes.any_died = true;
    log->reread.died = now;
    log->reread.before = log->next;
}

void model_reread_refused(struct model *model, uint32_t node, const struct event *event) {
    const struct flow *flow = event->flow;
    if (node != NODE_NONE && model_node(model, node)->addr_known)
        note_death(model, model_find_server(model, &model_node(model, node)->addr), event->time);
    else
        note_death(model, model_find_server(model, &flow->ends[!flow->connector]), event->time);
}

void model_reread_survived(struct write_log *log, const struct event *event) {
    if (event->flow->first < log->reread.died)
        log->reread.died = TIME_NONE;
}

/* The last write to this key, if it is one that made it a string, for good, before the death. */
static bool find_write(const struct write_log *log, struct bytes key, uint64_t *ret_number) {
    uint64_t oldest = write_oldest(log);
    uint64_t least = log->next > oldest + SEARCHED ? log->next - SEARCHED : oldest;
    for (uint64_t number = log->next; number-- > least;) {
        const struct write *write = write_at(log, number);
        if (!bytes_equal(write_key_of(log, number), key))
            continue;
        *ret_number = number;
        return number < log->reread.before && write->state == WRITE_DONE &&
               !(write->kind & WRITE_REWRITTEN) &&
               strcmp(command_rows[write->command].name, "set") == 0;
    }
    return false;
}

void model_reread_asked(struct model *model, const struct event *event) {
    const struct ev_sampled *asked = &event->sampled;
    if (LIKELY(!model->writes.any_died) || strcmp(asked->command->name, "get") != 0)
        return;
    struct write_log *log = model_server_of(model, event, !event->direction)->writes;
    if (!log || log->stale || log->reread.died == TIME_NONE ||
        event->flow->first < log->reread.died)
        return;
    bool again = log->reread.frame == event->frame; /* two of one packet: which has which reply? */
    bool known = !again && find_write(log, asked->key, &log->reread.number);
    log->reread.waits = known ? event->flow->note : NULL;
    log->reread.frame = event->frame;
}

/* A data set that is loaded from a disk ends at some write: what is younger is gone, too. */
void model_reread_answered(struct client_conn *conn, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    struct write_log *log = conn->server->writes;
    if (!log || log->reread.waits != conn || log->reread.frame != reply->request_frame ||
        !reply->command || strcmp(reply->command->name, "get") != 0)
        return;
    uint64_t number = log->reread.number;
    log->reread.waits = NULL;
    if (strcmp(reply->type, "null") != 0) {
        log->reread.there = number >= log->reread.there ? number + 1 : log->reread.there;
        return;
    }
    if (log->reread.gone && number >= log->reread.lost)
        return;
    log->reread.gone = true;
    log->reread.lost = number;
    log->reread.place = place_of(event);
}
