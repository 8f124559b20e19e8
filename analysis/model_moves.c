/* model_moves.c - requests that move slots or keys: each connection has a queue of those that wait
 * for their replies. What one of them means is its kind's to know. */
#include <stdlib.h>

#include "analysis/model_migrate.h"
#include "base/limits.h"

/* The commonest first. */
static const struct move_kind *const kinds[] = {
    &move_restore, &move_migrate, &move_setslot, &move_syncslots, &move_migrateslots,
};

void *model_new_move(struct model *model, size_t size) {
    struct model_migrations *migrations = &model->migrations;
    void *move = migrations->rows < CAP_MOVES ? calloc(1, size) : NULL;
    if (!move) {
        model->books.moves_over_cap++;
        return NULL;
    }
    migrations->rows++;
    return move;
}

void model_free_move(struct model *model, struct move *move) {
    model->migrations.rows--;
    free(move);
}

/* NULL: nothing is to be learnt from it. */
static const struct move_kind *kind_of(const struct command *command) {
    for (size_t i = 0; i < countof(kinds); i++)
        if (strcmp(kinds[i]->command, command->name) == 0)
            return kinds[i];
    return NULL;
}

static struct moves *moves_of(const struct event *event) {
    struct client_conn *conn = model_client_note(event->flow);
    if (conn && !conn->moves)
        conn->moves = calloc(1, sizeof *conn->moves);
    if (!conn || !conn->moves)
        return NULL;
    conn->moves->flow = event->flow;
    return conn->moves;
}

void model_move_asked(struct model *model, const struct event *event) {
    struct moves *moves = moves_of(event);
    const struct move_kind *kind = kind_of(event->move_asked.command);
    struct move *move = moves && kind ? kind->asked(model, moves, event) : NULL;
    if (!move)
        return;
    move->kind = kind;
    move->number = (uint32_t)event->move_asked.number;
    move->asked = event->time;
    if (moves->last)
        moves->last->next = move;
    else
        moves->first = move;
    moves->last = move;
}

static struct move *take_first(struct moves *moves) {
    struct move *move = moves->first;
    moves->first = move->next;
    if (!moves->first)
        moves->last = NULL;
    move->next = NULL;
    return move;
}

/* Those before it were not answered, and will not be. */
void model_move_answered(struct model *model, const struct event *event) {
    uint32_t number = (uint32_t)event->move_answered.number;
    struct moves *moves = moves_of(event);
    while (moves && moves->first && (int32_t)(moves->first->number - number) <= 0) {
        struct move *move = take_first(moves);
        if (move->number == number)
            move->kind->answered(model, moves, move, event);
        else
            move->kind->dropped(model, move);
    }
}

void model_moves_flow_end(struct model *model, const struct flow *flow) {
    struct moves *moves = ((struct client_conn *)flow->note)->moves;
    if (!moves)
        return;
    for (struct move *move = moves->first; move; move = move->next)
        if (move->kind->closing)
            move->kind->closing(move, flow);
    model_migrate_carrier_ends(moves);
    while (moves->first) {
        struct move *move = take_first(moves);
        move->kind->dropped(model, move);
    }
    if (moves->migration)
        model_handover_ended(moves, flow);
    free(moves);
}

void model_moves_free(struct model *model) {
    model_migrate_free(model);
    model_doubtful_free(model);
}
