/* model_moves.h - requests that move slots or keys, while they wait for their replies; private to
 * model_moves.c, which queues them, and to the file of each kind: model_restore.c, model_migrate.c,
 * model_setslot.c, model_handover.c. */
#ifndef BUSTAP_ANALYSIS_MODEL_MOVES_H
#define BUSTAP_ANALYSIS_MODEL_MOVES_H

#include "analysis/model_private.h"

/* One of them; the beginning of a bigger record, by its kind. */
struct move {
    struct move *next; /* of its connection */
    const struct move_kind *kind;
    uint32_t number;
    nstime asked;
};

/* Those of a connection, and what it carries. */
struct moves {
    struct move *first, *last;
    const struct flow *flow;
    struct migrate_call *call;   /* that the last key on it was of; NULL: not known */
    struct migration *migration; /* whole slots come over it; NULL: no */
    bool whole;         /* all of them, and the writes that follow; else their keys alone */
    bool snapshot;      /* their keys still do, not yet the writes that follow */
    bool granted;       /* the target may claim the slots */
    uint32_t job;       /* a hash of its name */
    struct cargo cargo; /* what came over it */
    uint32_t last_key;  /* a hash: several commands may make up one key */
};

/* What is to be done with those of one kind. */
struct move_kind {
    const char *command; /* its name in commands.def */

    /* A new one, for which a reply is waited; NULL: there is nothing to wait for, or no memory. */
    struct move *(*asked)(struct model *model, struct moves *moves, const struct event *event);

    /* Its reply, or that there will be none. Both free it, once nothing else needs it. */
    void (*answered)(struct model *model, struct moves *moves, struct move *move,
                     const struct event *event);
    void (*dropped)(struct model *model, struct move *move);

    /* Its connection ends, and what TCP has delivered is known; NULL: that does not matter. */
    void (*closing)(struct move *move, const struct flow *flow);
};

extern const struct move_kind move_restore, move_migrate, move_setslot, move_syncslots,
    move_migrateslots;

/* Zeroed memory for one; NULL: there is none, or CAP_MOVES is hit. */
void *model_new_move(struct model *model, size_t size);
void model_free_move(struct model *model, struct move *move);

/* A hash of a key or a name that the network chooses. */
static inline uint32_t move_hash(const struct model *model, struct bytes name) {
    return (uint32_t)siphash(&model->key, name.data, name.len);
}

/* A word of the request, or an empty one. */
static inline struct bytes move_word(const struct event *event, size_t index) {
    const struct request_args *args = event->move_asked.asked.args;
    return index < args->kept ? args->list[index] : bytes_of(NULL, 0);
}

/* A number up to `max`; false: it is none. */
static inline bool move_number(struct bytes word, uint32_t max, uint32_t *ret_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || number > max)
            return false;
        number = number * 10 + (word.data[i] - (uint64_t)'0');
    }
    *ret_number = (uint32_t)number;
    return word.len > 0 && number <= max;
}

#endif
