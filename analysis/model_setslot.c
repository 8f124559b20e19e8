/* model_setslot.c - CLUSTER SETSLOT: what a server that obeyed it has been told of a slot. */
#include "analysis/model_moves.h"

enum verb { VERB_MIGRATING, VERB_IMPORTING, VERB_NODE, VERB_STABLE, VERBS };

struct setslot {
    struct move move;
    uint16_t slot;
    uint8_t verb; /* enum verb */
    bool id_known;
    char id[BUS_NODE_ID];
};

static struct move *setslot_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    static const char *const words[VERBS] = {"migrating", "importing", "node", "stable"};
    uint32_t slot;
    struct bytes id = move_word(event, 4);
    struct setslot *set = NULL;
    (void)moves;
    if (move_number(move_word(event, 2), BUS_SLOTS - 1, &slot))
        set = model_new_move(model, sizeof *set);
    if (!set)
        return NULL;
    set->slot = (uint16_t)slot;
    set->verb = VERBS;
    for (int i = 0; i < VERBS; i++)
        if (bytes_are_word(move_word(event, 3), words[i]))
            set->verb = (uint8_t)i;
    set->id_known = id.len == BUS_NODE_ID;
    if (set->id_known)
        memcpy(set->id, id.data, BUS_NODE_ID);
    return &set->move;
}

/* "ERR Can't assign hashslot 7 to a different node while I still hold keys for this hash slot." */
static bool holds_keys(const struct setslot *set, const struct event *event) {
    return set->verb == VERB_NODE && event->move_answered.failed &&
           bytes_begin(event->move_answered.said, "ERR Can't assign hashslot");
}

static void setslot_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    const struct setslot *set = (struct setslot *)move;
    const struct endpoint *server = &event->flow->ends[event->direction];
    const char *id = set->id_known ? set->id : NULL;
    (void)moves;
    if (set->verb == VERB_NODE)
        model_slot_kept(model, set->slot, server, holds_keys(set, event));
    if (event->move_answered.failed || set->verb == VERBS)
        ;
    else if (set->verb == VERB_MIGRATING || set->verb == VERB_IMPORTING)
        model_slot_opened(model, set->slot, server, set->verb == VERB_IMPORTING, id);
    else
        model_slot_closed(model, set->slot, server, set->verb == VERB_NODE ? id : NULL);
    model_free_move(model, move);
}

const struct move_kind move_setslot = {
    .command = "cluster|setslot",
    .asked = setslot_asked,
    .answered = setslot_answered,
    .dropped = model_free_move,
};
