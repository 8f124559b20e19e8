/* detect_partition.c - the cluster has fallen into sides that do not hear each other, and each of
 * which lives. A host that is dead is no side.
 *
 * Looked at once a second, while anything is unacknowledged:
 *
 *   partition_pairs     which pairs of nodes are apart
 *   partition_sides     what hangs together, and lives, is a side
 *   partition_words     what is seen as one side from one host may have been several
 *   partition_finding   what is told of it
 *
 * This file follows a partition from its first moment until it is healed and told, and what others
 * say of it then. */
#include "analysis/model_elections.h"
#include "analysis/partition.h"

struct partition {
    struct sides now;   /* the widest of what goes on; count 0: nothing does */
    struct sides maybe; /* likewise, seen from one host and not proven */
    struct sides over;  /* it has ended, and its others may still tell of each other */
    nstime over_at;     /* when that was seen */
    nstime healed;      /* when it ended */
    struct words words;
    struct word missed; /* that nothing is seen of, while it is so */
    nstime missed_at;   /* when that was said */
    uint32_t accuser;   /* a node of its other side that missed one of this side; NODE_NONE */
    nstime told_at;     /* when the last one was told; 0: none was */
    struct groups groups;
};

/* ---- what is kept of it ---- */

/* Goes on, or begins: the widest is kept. */
static void keep(struct sides *kept, struct sides *found, nstime now) {
    kept->last = found->last = now;
    if (kept->count && found->placed <= kept->placed) {
        sides_forget(found);
        return;
    }
    if (kept->count)
        found->since = earlier(found->since, kept->since);
    sides_forget(kept);
    *kept = *found;
}

enum { ECHO_S = 10 /* so long after it nodes may still tell whom they missed */ };

/* Of several nodes that were not heard, seen from one host: were they cut off, or dead? Their own
 * words will tell, if they come again. */
static void keep_unproven(struct partition *partition, const struct model *model,
                          struct sides *found, nstime now) {
    if (model_vantage(model) == NODE_NONE || found->since <= partition->told_at) {
        sides_forget(found);
        return;
    }
    if (now - partition->maybe.last > ECHO_S * NS_PER_SEC)
        sides_forget(&partition->maybe);
    if (partition->maybe.count == 0) {
        partition->accuser = NODE_NONE;
        partition->words.count = partition->over.count ? partition->words.count : 0;
    }
    keep(&partition->maybe, found, now);
}

static void tell_over(const struct detection *detection, struct partition *partition) {
    if (partition->over.count == 0)
        return;
    if (partition->words.count)
        words_split(&partition->words, &partition->groups, &partition->over);
    sides_tell(detection, &partition->over, partition->healed);
    sides_forget(&partition->over);
    partition->words.count = 0;
}

/* ---- the way of it ---- */

/* It has ended. Seen from one side, the others may tell more in a moment. */
static void end(const struct detection *detection, struct partition *partition, nstime now) {
    tell_over(detection, partition);
    partition->healed = sides_healed_at(detection->model, &partition->now);
    partition->over = partition->now;
    partition->over_at = partition->told_at = now;
    partition->now = (struct sides){0};
    if (!partition->over.alone)
        tell_over(detection, partition);
}

enum { SILENCE_MS = 1500 /* that others may complain of already */ };

/* A word about a node that has fallen silent since is not of the silence before. */
static bool is_silent(const struct model *model, uint32_t node, nstime now) {
    nstime last = model_last_sign(model, node, NODE_NONE).time;
    return last == TIME_NONE || now - last > SILENCE_MS * NS_PER_MS;
}

/* Two of the others say that they missed nodes of this side, which lived: it was both who lived. */
static void hear_of_this_side(const struct detection *detection, struct partition *partition,
                              uint32_t node, uint32_t about, nstime now) {
    struct sides *maybe = &partition->maybe;
    if (maybe->count == 0 || now - maybe->last > ECHO_S * NS_PER_SEC || side_in(maybe, node) != 1 ||
        side_in(maybe, about) != 0 || is_silent(detection->model, about, now))
        return;
    if (partition->accuser == NODE_NONE || partition->accuser == node) {
        partition->accuser = node;
        return;
    }
    tell_over(detection, partition);
    partition->healed = sides_healed_at(detection->model, maybe);
    partition->over = *maybe;
    partition->over_at = partition->told_at = now;
    *maybe = (struct sides){0};
}

/* PFAIL is what the node knows itself. FAIL it may have been told, but not before its first message
 * after a long silence. */
static bool is_first_hand(const struct model *model, uint32_t node, const struct event *event) {
    return event->type == EV_node_suspected || model_node(model, node)->lull.to == event->time;
}

/* One of the others of what goes on, or has just ended, misses another one of them. */
static void hear_of_others(struct partition *partition, uint32_t node, uint32_t about) {
    const struct sides *each[] = {&partition->now, &partition->maybe, &partition->over};
    for (size_t i = 0; i < countof(each); i++)
        if (each[i]->count == 2 && each[i]->alone && side_in(each[i], node) == 1 &&
            side_in(each[i], about) == 1) {
            words_note(&partition->words, node, about);
            return;
        }
}

/* It misses a node of which nothing was seen: that goes on, or is over by now. */
static void hear_of_unseen(const struct detection *detection, struct partition *partition,
                           uint32_t node, uint32_t about, nstime now) {
    struct view view = {.model = detection->model,
                        .now = now,
                        .vantage = model_vantage(detection->model),
                        .accuser = node};
    if (!model_hush(view.model, node, about, now, &view.hush))
        return;
    if (view.hush.goes_on) {
        partition->missed = (struct word){node, about};
        partition->missed_at = now;
        return;
    }
    if (partition->now.count || view.hush.time.from <= partition->told_at)
        return;
    struct sides sides = sides_search(&partition->groups, &view, view.hush.time.from);
    if (sides.count >= 2 && !sides.unproven) {
        sides_tell(detection, &sides, view.hush.time.to);
        partition->told_at = now;
    }
    sides_forget(&sides);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    const struct ev_node_suspected *told = &event->node_suspected; /* as in node_failed */
    if (!told->node || !told->about)
        return;
    uint32_t node = model_index_of(detection->model, told->node);
    uint32_t about = model_index_of(detection->model, told->about);
    if (node == NODE_NONE || about == NODE_NONE)
        return;
    if (is_first_hand(detection->model, node, event))
        hear_of_others(state, node, about);
    hear_of_this_side(detection, state, node, about, event->time);
    hear_of_unseen(detection, state, node, about, event->time);
}

static struct view view_of(const struct detection *detection, const struct partition *partition,
                           nstime now) {
    struct view view = {.model = detection->model,
                        .now = now,
                        .vantage = model_vantage(detection->model),
                        .accuser = NODE_NONE};
    view.deaf = view.vantage != NODE_NONE && pairs_hear_nobody(&view);
    const struct word *missed = &partition->missed;
    bool unseen = missed->by != missed->about &&
                  model_hush(view.model, missed->by, missed->about, now, &view.hush) &&
                  view.hush.goes_on && view.hush.time.from <= partition->missed_at;
    if (!unseen)
        view.hush = (struct hush){0};
    return view;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct partition *partition = state;
    struct view view = view_of(detection, partition, now);
    nstime since = pairs_first_apart(&view);
    struct sides sides = {0};
    if (since != TIME_NONE)
        sides = sides_search(&partition->groups, &view, since);
    if (sides.count >= 2 && !sides.unproven) {
        sides_forget(&partition->maybe);
        keep(&partition->now, &sides, now);
        return;
    }
    if (partition->now.count)
        end(detection, partition, now);
    if (partition->over.count && now - partition->over_at > ECHO_S * NS_PER_SEC)
        tell_over(detection, partition);
    if (sides.count >= 2)
        keep_unproven(partition, detection->model, &sides, now);
    else
        sides_forget(&sides);
}

static void finish(const struct detection *detection, void *state) {
    struct partition *partition = state;
    tell_over(detection, partition);
    if (partition->now.count)
        sides_tell(detection, &partition->now, TIME_NONE);
}

static void dispose(void *state) {
    struct partition *partition = state;
    sides_forget(&partition->now);
    sides_forget(&partition->maybe);
    sides_forget(&partition->over);
    groups_free(&partition->groups);
    words_free(&partition->words);
}

const struct detector detect_partition = {
    .name = "partition",
    .help = "two or more sides of the cluster do not hear each other",
    .wants = EVENT_BIT(node_suspected) | EVENT_BIT(node_failed),
    .state = sizeof(struct partition),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
