/* model_client_events.c - what is told of a client's connection beside replies to its requests:
 * requests that get none, replies to none, pushes, redirects, and what the client says of itself.
 */
#include <stdlib.h>

#include "analysis/model_clients_private.h"

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
        model_count_error(model, conn, unmatched->error, unmatched->refusal);
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

const struct introduction *model_introduction_in_hand(const struct model *model) {
    const struct flow *flow = model->cause->flow;
    return flow && note_is_client(flow) ? ((const struct client_conn *)flow->note)->introduction
                                        : NULL;
}
