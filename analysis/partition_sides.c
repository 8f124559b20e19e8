/* partition_sides.c - sides are nodes that hang together, of which one lives: it sends, it serves,
 * or it tries to connect. A host that is dead is no side, and from one host all others look like
 * one.
 *
 * Two nodes hang together if anything between them was acknowledged since the first pair is apart.
 */
#include "analysis/model_clients.h"
#include "analysis/partition.h"

#include <stdlib.h>

/* ---- who hangs together, and who lives ---- */

static void join_all(struct groups *groups, const struct view *view, nstime since) {
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        nstime delivered = later(link->delivered[0].time, link->delivered[1].time);
        bool apart =
            view->vantage == NODE_NONE ? pair_is_hushed(view, link) : pair_is_apart(view, link);
        if (delivered > since && !pair_is_cut(link, view->now) && !apart)
            groups_join(groups, link->from, link->to);
    }
}

/* Did it send, serve or call since then? In a hush it is not known when the last pair fell apart:
 * then lately. What comes after a hush tells nothing of it. */
static bool lives(const struct view *view, uint32_t index, nstime since) {
    const struct model *model = view->model;
    const struct node *node = model_node(model, index);
    if (view->hush.time.to && !view->hush.goes_on)
        return index == view->accuser || model_lived(model, index, &view->hush.time);
    if (view->hush.time.to)
        since = later(since, view->now - QUIET_MS * NS_PER_MS);
    const struct server *server = node->addr_known ? model_server_at(model, &node->addr) : NULL;
    if (node->spoke.time > since || (server && server->last_reply > since))
        return true;
    for (uint32_t peer = 0; peer < model_node_count(model); peer++) {
        const struct link *link = model_link_between(model, index, peer);
        if (link && link->knocks.first.time != TIME_NONE && link->knocks.last > since)
            return true;
    }
    return false;
}

/* ---- sides ---- */

/* The side of the node's group, a new one if it has none yet. */
static uint8_t side_of(const struct groups *groups, struct sides *sides, uint32_t node) {
    uint32_t top = groups_root(groups, node);
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] != NO_SIDE && groups_root(groups, i) == top)
            return sides->of[i];
    return sides->count < SIDES_MAX ? (uint8_t)sides->count++ : NO_SIDE;
}

/* Nodes that live make sides; others belong to the side that they hang together with. */
static void place_nodes(const struct groups *groups, const struct view *view, struct sides *sides) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (lives(view, i, sides->since))
            sides->of[i] = side_of(groups, sides, i);
    size_t living = sides->count;
    for (uint32_t i = 0; i < sides->nodes; i++)
        for (uint32_t k = 0; sides->of[i] == NO_SIDE && k < sides->nodes; k++)
            if (sides->of[k] < living && groups_root(groups, k) == groups_root(groups, i))
                sides->of[i] = sides->of[k];
}

/* Fewer live than do not: rather one host that is cut off than all others dead. */
static bool is_smaller(const struct model *model, const struct sides *sides) {
    size_t living = 0, others = 0;
    for (size_t i = 0; i < sides->nodes; i++) {
        living += sides->of[i] != NO_SIDE;
        others += sides->of[i] == NO_SIDE && model_node(model, i)->heard;
    }
    return living < others;
}

/* From one host it looks as if it were alone: it calls, and none of the others answers. */
static void place_others(const struct view *view, struct sides *sides) {
    const struct model *model = view->model;
    size_t apart = 0, known = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        bool calls = sides->of[link->from] == 0 && sides->of[link->to] == NO_SIDE;
        known += calls;
        apart += calls && pair_is_apart(view, link);
    }
    if (sides->count != 1 || apart < 2 || apart != known)
        return;
    sides->unproven = !is_smaller(model, sides);
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] == NO_SIDE && model_node(model, i)->heard)
            sides->of[i] = 1;
    sides->count = 2;
    sides->alone = true;
}

static bool are_apart(const struct view *view, uint32_t one, uint32_t other) {
    const struct link *out = model_link_between(view->model, one, other);
    const struct link *in = model_link_between(view->model, other, one);
    return (out && pair_is_apart(view, out)) || (in && pair_is_apart(view, in));
}

static size_t count_apart(const struct view *view, const struct sides *sides, size_t side) {
    size_t apart = 0;
    for (uint32_t i = 0; i < sides->nodes; i++)
        for (uint32_t k = 0; sides->of[i] == side && k < sides->nodes; k++)
            apart += sides->of[k] != side && sides->of[k] != NO_SIDE && are_apart(view, i, k);
    return apart;
}

/* One pair of many may be apart for itself: a side must be cut off in two places, at least. */
static void drop_thin_sides(const struct view *view, struct sides *sides) {
    size_t placed = 0;
    for (size_t i = 0; i < sides->nodes; i++)
        placed += sides->of[i] != NO_SIDE;
    for (size_t side = sides->count; placed > 2 && sides->count > 1 && side-- > 0;) {
        if (count_apart(view, sides, side) > 1)
            continue;
        sides->count--;
        for (size_t i = 0; i < sides->nodes; i++)
            if (sides->of[i] == side)
                sides->of[i] = NO_SIDE;
            else if (sides->of[i] != NO_SIDE && sides->of[i] > side)
                sides->of[i]--;
    }
}

static bool is_across(const struct sides *sides, const struct link *link) {
    return link->from < sides->nodes && link->to < sides->nodes &&
           sides->of[link->from] != sides->of[link->to] && sides->of[link->from] != NO_SIDE &&
           sides->of[link->to] != NO_SIDE;
}

static void find_across(const struct view *view, struct sides *sides) {
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        if (!is_across(sides, link) || !pair_is_cut(link, view->now) ||
            link->knocks.first.time == TIME_NONE)
            continue;
        sides->place = place_of_stamp(link->knocks.first);
        return;
    }
}

static void find_passed(const struct view *view, struct sides *sides) {
    sides->passed.time = TIME_NONE;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        for (unsigned end = 0; end < 2 && is_across(sides, link); end++)
            if (later(link->delivered[end].time, sides->passed.time) != sides->passed.time)
                sides->passed = link->delivered[end];
    }
}

/* Where nothing at all is seen across, it begins when the last of it was. */
static void find_hush(const struct view *view, struct sides *sides) {
    nstime last = TIME_NONE;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        struct hush hush;
        if (!is_across(sides, link))
            continue;
        if (!pair_is_hushed(view, link) ||
            !model_hush(view->model, link->from, link->to, view->now, &hush))
            return;
        last = later(last, hush.time.from);
    }
    sides->unseen = last != TIME_NONE;
    if (sides->unseen)
        sides->since = last;
}

struct sides sides_search(struct groups *groups, const struct view *view, nstime since) {
    struct sides sides = {
        .nodes = model_node_count(view->model), .since = since, .place = place_none()};
    sides.of = malloc(sides.nodes);
    if (!sides.of || !groups_begin(groups, sides.nodes))
        return sides;
    memset(sides.of, NO_SIDE, sides.nodes);
    join_all(groups, view, since);
    place_nodes(groups, view, &sides);
    place_others(view, &sides);
    drop_thin_sides(view, &sides);
    find_across(view, &sides);
    find_passed(view, &sides);
    find_hush(view, &sides);
    for (size_t i = 0; i < sides.nodes; i++)
        sides.placed += sides.of[i] != NO_SIDE;
    return sides;
}

void sides_forget(struct sides *sides) {
    free(sides->of);
    *sides = (struct sides){0};
}

/* ---- their end ---- */

nstime sides_healed_at(const struct model *model, const struct sides *sides) {
    nstime at = TIME_NONE;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        size_t known = sides->nodes;
        if (link->from >= known || link->to >= known ||
            sides->of[link->from] == sides->of[link->to])
            continue;
        for (unsigned end = 0; end < 2; end++)
            if (link->delivered[end].time > sides->last)
                at = earlier(at, link->delivered[end].time);
    }
    return at == TIME_NONE ? sides->last : at;
}
