/* detect_lost_writes.c - writes that a primary acknowledged and that are gone.
 *
 * Here each takeover of slots is followed, from the winner's claim until it is known what becomes
 * of the loser: it gives in and asks for the winner's data (PSYNC), is right again, or is never
 * heard. What that has cost is counted in losses_takeover.c; losses without a takeover in
 * losses_emptied.c and losses_reread.c. */
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/losses_emptied.h"
#include "analysis/losses_reread.h"
#include "analysis/losses_takeover.h"
#include "analysis/model_writes.h"
#include "base/list.h"

enum { REQUESTS_KEPT = 8 };

struct takeovers {
    struct {
        uint32_t node;
        uint64_t epoch;
    } requests[REQUESTS_KEPT]; /* the last elections */
    size_t request_next;
    struct takeover *list; /* one for each loser */
    uint32_t count, room;
};

/* ---- the takeovers ---- */

/* NULL: out of memory. */
static struct takeover *takeover_of(struct takeovers *takeovers, uint32_t loser) {
    for (size_t i = 0; i < takeovers->count; i++)
        if (takeovers->list[i].loser == loser)
            return &takeovers->list[i];
    struct takeover *list =
        list_with_room(takeovers->list, takeovers->count, &takeovers->room, sizeof *list);
    if (!list)
        return NULL;
    takeovers->list = list;
    return &list[takeovers->count++];
}

/* The loser's, of which it is not known yet what became of its writes; NULL: none. */
static struct takeover *pending_takeover(struct takeovers *takeovers, uint32_t loser) {
    for (size_t i = 0; i < takeovers->count; i++)
        if (takeovers->list[i].loser == loser && !takeovers->list[i].settled)
            return &takeovers->list[i];
    return NULL;
}

static void on_vote_requested(const struct detection *detection, struct takeovers *takeovers,
                              const struct event *event) {
    size_t at = takeovers->request_next++ % REQUESTS_KEPT;
    takeovers->requests[at].node = model_index_of(detection->model, event->vote_requested.node);
    takeovers->requests[at].epoch = event->vote_requested.epoch;
}

static bool was_elected(const struct takeovers *takeovers, uint32_t node, uint64_t epoch) {
    for (size_t i = 0; i < REQUESTS_KEPT; i++)
        if (takeovers->requests[i].node == node && takeovers->requests[i].epoch == epoch)
            return true;
    return false;
}

/* The loser is a primary again, with the greater epoch. */
static void end_takeover(const struct detection *detection, struct takeovers *takeovers,
                         const struct event *event, uint32_t loser) {
    struct takeover *takeover = pending_takeover(takeovers, loser);
    if (!takeover)
        return;
    if (takeover->until == TIME_NONE)
        takeover->until = event->time;
    losses_takeover_tell(detection, takeover);
    takeover->settled = true;
}

/* Slots that a primary moves to another one are no takeover: their keys moved before. */
static void on_contested(const struct detection *detection, struct takeovers *takeovers,
                         const struct event *event) {
    const struct ev_slots_contested *contested = &event->slots_contested;
    end_takeover(detection, takeovers, event, model_index_of(detection->model, contested->node));
    if (contested->repl_offset == NOT_KNOWN)
        return;
    uint32_t loser = model_index_of(detection->model, contested->about);
    struct takeover *takeover = takeover_of(takeovers, loser);
    if (!takeover)
        return;
    *takeover = (struct takeover){.loser = loser,
                                  .winner = model_index_of(detection->model, contested->node),
                                  .claim = place_of(event),
                                  .epoch = contested->config_epoch,
                                  .offset = contested->repl_offset,
                                  .until = TIME_NONE,
                                  .psync = place_none(),
                                  .psync_offset = NOT_KNOWN,
                                  .copy_offset = NOT_KNOWN};
    takeover->prompt = was_elected(takeovers, takeover->winner, takeover->epoch);
    memcpy(takeover->slots, contested->slots, BUS_SLOT_BYTES);
}

/* ---- the loser gives in ---- */

static bool is_ip_of(const struct node *node, const struct endpoint *end) {
    return node->addr_known && endpoint_same_ip(&node->addr, end);
}

/* The takeover whose loser this replica is, as far as addresses tell, settled or not. */
static struct takeover *takeover_between(const struct detection *detection,
                                         struct takeovers *takeovers,
                                         const struct endpoint *replica,
                                         const struct endpoint *primary) {
    for (size_t i = 0; i < takeovers->count; i++) {
        struct takeover *takeover = &takeovers->list[i];
        const struct node *winner = model_node(detection->model, takeover->winner);
        if (winner->addr_known && endpoint_equal(&winner->addr, primary) &&
            is_ip_of(model_node(detection->model, takeover->loser), replica))
            return takeover;
    }
    return NULL;
}

/* Likewise, if it is not known yet what became of the loser's writes. */
static struct takeover *takeover_by_link(const struct detection *detection,
                                         struct takeovers *takeovers,
                                         const struct endpoint *replica,
                                         const struct endpoint *primary) {
    struct takeover *takeover = takeover_between(detection, takeovers, replica, primary);
    return takeover && !takeover->settled ? takeover : NULL;
}

/* Is the id that of the data set which the loser's own replicas had? Not after a restart; nor if
 * another node of the same host asks. */
static bool is_own_stream(const struct detection *detection, const struct takeover *takeover,
                          struct bytes replid) {
    const struct node *loser = model_node(detection->model, takeover->loser);
    const struct write_log *log = model_write_log(detection->model, &loser->addr);
    return log && log->replid[0] && bytes_equal(bytes_str(log->replid), replid);
}

static void on_psync(const struct detection *detection, struct takeovers *takeovers,
                     const struct event *event) {
    const struct ev_replication *step = &event->replication;
    struct takeover *takeover =
        takeover_by_link(detection, takeovers, &event->flow->ends[event->direction],
                         &event->flow->ends[!event->direction]);
    if (!takeover)
        return;
    takeover->psync = place_of(event);
    takeover->asked = true;
    takeover->psync_offset =
        is_own_stream(detection, takeover, step->replid) ? step->offset : NOT_KNOWN;
}

/* The primary's answer to that: a whole copy, or the rest of a stream that is the loser's too. */
static void on_answer(const struct detection *detection, struct takeovers *takeovers,
                      const struct event *event, bool copied) {
    struct takeover *takeover =
        takeover_by_link(detection, takeovers, &event->flow->ends[!event->direction],
                         &event->flow->ends[event->direction]);
    if (!takeover || !takeover->asked)
        return;
    if (copied)
        losses_takeover_tell(detection, takeover);
    takeover->settled = true;
}

/* Where the stream began of which the primary gives a copy. */
static void on_copy(const struct event *event, struct takeover *takeover) {
    if (takeover && event->replication.offset != NOT_KNOWN)
        takeover->copy_offset = event->replication.offset;
}

static void on_step(const struct detection *detection, struct takeovers *takeovers,
                    const struct event *event) {
    const char *what = event->replication.what;
    struct takeover *followed =
        takeover_between(detection, takeovers, &event->flow->ends[!event->direction],
                         &event->flow->ends[event->direction]);
    if (strcmp(what, "fullresync") == 0)
        on_copy(event, followed);
    if (strcmp(what, "psync") == 0)
        on_psync(detection, takeovers, event);
    else if (strcmp(what, "fullresync") == 0 || strcmp(what, "rdb-channel") == 0)
        on_answer(detection, takeovers, event, true);
    else if (strcmp(what, "continue") == 0)
        on_answer(detection, takeovers, event, false);
    else if (strcmp(what, "rdb") == 0)
        losses_emptied_tell(detection, event, followed);
}

/* It is a replica now, and its data will be the winner's: what it wrote so far is known. A primary
 * that claims slots once more is right again, and the takeover is over, seen to its end or not. */
static void on_role(const struct detection *detection, struct takeovers *takeovers,
                    const struct event *event) {
    uint32_t index = model_index_of(detection->model, event->node_role.node);
    if (strcmp(event->node_role.role, "primary") == 0) {
        end_takeover(detection, takeovers, event, index);
        return;
    }
    struct takeover *takeover = pending_takeover(takeovers, index);
    if (takeover && takeover->until == TIME_NONE)
        takeover->until = event->time;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct takeovers *takeovers = state;
    if (event->type == EV_vote_requested)
        on_vote_requested(detection, takeovers, event);
    else if (event->type == EV_node_role)
        on_role(detection, takeovers, event);
    else if (event->type == EV_slots_contested)
        on_contested(detection, takeovers, event);
    else
        on_step(detection, takeovers, event);
}

static void finish(const struct detection *detection, void *state) {
    const struct takeovers *takeovers = state;
    for (size_t i = 0; i < takeovers->count; i++)
        if (!takeovers->list[i].settled)
            losses_takeover_tell(detection, &takeovers->list[i]);
    losses_reread_tell(detection);
}

static void dispose(void *state) {
    free(((struct takeovers *)state)->list);
}

const struct detector detect_lost_writes = {
    .name = "lost-writes",
    .help = "writes that were acknowledged, and that the new primary never got",
    .wants = EVENT_BIT(vote_requested) | EVENT_BIT(node_role) | EVENT_BIT(slots_contested) |
             EVENT_BIT(replication),
    .state = sizeof(struct takeovers),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
