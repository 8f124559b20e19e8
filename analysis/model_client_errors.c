/* model_client_errors.c - errors that clients are answered with: counted by their first word, and
 * told with the time at which the same connection last had the same one: so a burst of them knows
 * how many clients it meets (detect_error_burst.c). */
#include <stdlib.h>

#include "analysis/model_clients_private.h"

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

void model_count_error(struct model *model, struct client_conn *conn, struct bytes word,
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

void model_inner_error(struct model *model, const struct event *event) {
    model_count_error(model, conn_of(model, event, event->direction), event->error.error, false);
}
