/* detect_partition.c - the cluster has fallen into sides that do not hear each other, and each of
 * which lives: it sends, it serves, or it tries to connect. A host that is dead is no side.
 *
 * Looked at once a second, while anything is unacknowledged: two nodes are apart if what they sent
 * each other since some moment was not acknowledged, and together if anything was since the first
 * such moment. Sides are what hangs together. */
#include "analysis/detector.h"
#include "analysis/model_clients.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    APART_MS = 1000, /* unacknowledged for so long */
    QUIET_MS = 3000, /* nothing of a pair for so long, beside that */
    SIDES_MAX = 8,   /* told; there are rarely more than three */
    NO_SIDE = 255,
};

struct sides {
    uint8_t *of; /* by node: its side, or NO_SIDE */
    size_t nodes, count, placed;
    nstime since;       /* the first that was not acknowledged across */
    nstime last;        /* when it was last looked at and went on */
    struct place place; /* a connection across */
    bool alone;         /* one side only was seen to live: the capture was taken there */
    bool unproven;      /* nor is it likely that the other one lived */
};

struct partition {
    struct sides now;   /* the widest of what goes on; count 0: nothing does */
    struct sides maybe; /* likewise, seen from one host and not proven */
    uint32_t accuser;   /* a node of its other side that missed one of this side; NODE_NONE */
    nstime told_at;     /* when the last one was told; 0: none was */
    uint32_t *group;    /* for the search: by node, another one of its group */
    size_t room;
};

/* ---- pairs ---- */

static nstime earlier(nstime a, nstime b) {
    return a == TIME_NONE || (b != TIME_NONE && b < a) ? b : a;
}

static nstime later(nstime a, nstime b) {
    return a > b ? a : b;
}

/* When a connection was last accepted; its SYN-ACK may have been lost. */
static nstime last_opened(const struct link *link) {
    return link->opens ? link->opened[(link->opens - 1) % countof(link->opened)] : TIME_NONE;
}

/* Since when nothing of it is acknowledged; TIME_NONE: it is, or nothing was sent. A refusal is an
 * answer, and so is a SYN-ACK: it takes a way there. */
static nstime apart_since(const struct link *link) {
    nstime since = earlier(link->unacked_since[0], link->unacked_since[1]);
    if (link->knocks.first.time != TIME_NONE && link->knocks.refused == 0)
        since = earlier(since, link->knocks.first.time);
    nstime answered =
        later(later(link->delivered[0].time, link->delivered[1].time), last_opened(link));
    return since != TIME_NONE && answered <= since ? since : TIME_NONE;
}

static bool is_apart(const struct link *link, nstime now) {
    nstime since = apart_since(link);
    return since != TIME_NONE && now - since >= APART_MS * NS_PER_MS;
}

/* Both connections of the pair say so. From one host the other's calls are not seen at all: then
 * nothing of it for so long that it would have been pinged on one or the other. */
static bool is_pair_apart(const struct model *model, const struct link *link, nstime now) {
    if (!is_apart(link, now))
        return false;
    const struct link *back = model_link_between(model, link->to, link->from);
    if (!back)
        return true;
    nstime since = apart_since(link);
    bool silent = now - since > QUIET_MS * NS_PER_MS &&
                  later(back->delivered[0].time, back->delivered[1].time) <= since &&
                  last_opened(back) <= since;
    return is_apart(back, now) || silent;
}

/* The first moment since which some pair is apart; TIME_NONE: none is. */
static nstime first_apart(const struct model *model, nstime now) {
    nstime since = TIME_NONE;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (is_pair_apart(model, link, now))
            since = earlier(since, apart_since(link));
    }
    return since;
}

/* ---- groups ---- */

static uint32_t root(const struct partition *partition, uint32_t node) {
    while (partition->group[node] != node)
        node = partition->group[node];
    return node;
}

static bool room_for(struct partition *partition, size_t nodes) {
    if (nodes <= partition->room)
        return true;
    uint32_t *group = realloc(partition->group, nodes * sizeof *group);
    if (!group)
        return false;
    partition->group = group;
    partition->room = nodes;
    return true;
}

static void join_all(struct partition *partition, const struct model *model, nstime since,
                     nstime now) {
    for (uint32_t i = 0; i < model_node_count(model); i++)
        partition->group[i] = i;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        nstime delivered = later(link->delivered[0].time, link->delivered[1].time);
        if (delivered > since && !is_apart(link, now))
            partition->group[root(partition, link->from)] = root(partition, link->to);
    }
}

/* Did it send, serve or call since then? */
static bool lives(const struct model *model, uint32_t index, nstime since) {
    const struct node *node = model_node(model, index);
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
static uint8_t side_of(const struct partition *partition, struct sides *sides, uint32_t node) {
    uint32_t top = root(partition, node);
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] != NO_SIDE && root(partition, i) == top)
            return sides->of[i];
    return sides->count < SIDES_MAX ? (uint8_t)sides->count++ : NO_SIDE;
}

/* Nodes that live make sides; others belong to the side that they hang together with. */
static void place_nodes(const struct partition *partition, const struct model *model,
                        struct sides *sides) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (lives(model, i, sides->since))
            sides->of[i] = side_of(partition, sides, i);
    size_t living = sides->count;
    for (uint32_t i = 0; i < sides->nodes; i++)
        for (uint32_t k = 0; sides->of[i] == NO_SIDE && k < sides->nodes; k++)
            if (sides->of[k] < living && root(partition, k) == root(partition, i))
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
static void place_others(const struct model *model, struct sides *sides, nstime now) {
    size_t apart = 0, known = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        bool calls = sides->of[link->from] == 0 && sides->of[link->to] == NO_SIDE;
        known += calls;
        apart += calls && is_pair_apart(model, link, now);
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

static bool are_apart(const struct model *model, uint32_t one, uint32_t other, nstime now) {
    const struct link *out = model_link_between(model, one, other);
    const struct link *in = model_link_between(model, other, one);
    return (out && is_pair_apart(model, out, now)) || (in && is_pair_apart(model, in, now));
}

static size_t count_apart(const struct model *model, const struct sides *sides, size_t side,
                          nstime now) {
    size_t apart = 0;
    for (uint32_t i = 0; i < sides->nodes; i++)
        for (uint32_t k = 0; sides->of[i] == side && k < sides->nodes; k++)
            apart += sides->of[k] != side && sides->of[k] != NO_SIDE && are_apart(model, i, k, now);
    return apart;
}

/* One pair of many may be apart for itself: a side must be cut off in two places, at least. */
static void drop_thin_sides(const struct model *model, struct sides *sides, nstime now) {
    size_t placed = 0;
    for (size_t i = 0; i < sides->nodes; i++)
        placed += sides->of[i] != NO_SIDE;
    for (size_t side = sides->count; placed > 2 && sides->count > 1 && side-- > 0;) {
        if (count_apart(model, sides, side, now) > 1)
            continue;
        sides->count--;
        for (size_t i = 0; i < sides->nodes; i++)
            if (sides->of[i] == side)
                sides->of[i] = NO_SIDE;
            else if (sides->of[i] != NO_SIDE && sides->of[i] > side)
                sides->of[i]--;
    }
}

static void find_across(const struct model *model, struct sides *sides, nstime now) {
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        bool across = sides->of[link->from] != sides->of[link->to];
        if (!across || !is_apart(link, now) || link->knocks.first.time == TIME_NONE)
            continue;
        sides->place = place_of_stamp(link->knocks.first);
        return;
    }
}

static struct sides search(struct partition *partition, const struct model *model, nstime since,
                           nstime now) {
    struct sides sides = {.nodes = model_node_count(model), .since = since, .place = place_none()};
    sides.of = malloc(sides.nodes);
    if (!sides.of || !room_for(partition, sides.nodes))
        return sides;
    memset(sides.of, NO_SIDE, sides.nodes);
    join_all(partition, model, since, now);
    place_nodes(partition, model, &sides);
    place_others(model, &sides, now);
    drop_thin_sides(model, &sides, now);
    find_across(model, &sides, now);
    for (size_t i = 0; i < sides.nodes; i++)
        sides.placed += sides.of[i] != NO_SIDE;
    return sides;
}

/* ---- telling it ---- */

/* The side with more than half of the primaries that own slots; SIDES_MAX: none has. */
static size_t majority(const struct model *model, const struct sides *sides) {
    size_t voters = 0, in[SIDES_MAX] = {0};
    for (uint32_t i = 0; i < sides->nodes; i++) {
        if (!model_is_voter(model, i))
            continue;
        voters++;
        if (sides->of[i] < SIDES_MAX)
            in[sides->of[i]]++;
    }
    for (size_t side = 0; side < sides->count; side++)
        if (in[side] * 2 > voters)
            return side;
    return SIDES_MAX;
}

static bool has_voter(const struct model *model, const struct sides *sides, size_t side) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] == side && model_is_voter(model, i))
            return true;
    return false;
}

static void measure(const struct detection *detection, const struct sides *sides,
                    struct finding *finding) {
    const struct model *model = detection->model;
    struct value *list = value_list(finding_metrics(finding), "sides");
    size_t most = majority(model, sides);
    for (size_t side = 0; side < sides->count; side++) {
        struct value *members = value_list(list, NULL);
        for (uint32_t i = 0; i < sides->nodes; i++) {
            if (sides->of[i] != side)
                continue;
            value_node(members, NULL, model_node(model, i)->id);
            finding_node(finding, model_node(model, i)->id);
        }
    }
    if (most < SIDES_MAX)
        value_number(finding_metrics(finding), "majority_side", most);
}

static void tell(const struct detection *detection, const struct sides *sides, nstime end) {
    const struct model *model = detection->model;
    size_t most = majority(model, sides), serving = 0;
    for (size_t side = 0; side < sides->count; side++)
        serving += has_voter(model, sides, side);
    struct finding *finding =
        finding_new("partition", serving > 1 ? SEVERITY_CRITICAL : SEVERITY_WARNING, sides->since);
    finding_title(finding, "The cluster fell into %zu sides that did not hear each other",
                  sides->count);
    finding_explain(finding, "What nodes of one side sent to the other was not acknowledged, while "
                             "both sides lived.");
    if (most < SIDES_MAX)
        finding_explain(finding, "One side has most of the primaries and can elect new ones; the "
                                 "primaries of the other accept writes until their node timeout "
                                 "has passed, and these are lost if somebody else takes over.");
    else
        finding_explain(finding, "No side has most of the primaries: no failover is possible, and "
                                 "all stop to serve after the node timeout.");
    finding_evidence(finding, &sides->place, "the first attempt across that was not answered");
    measure(detection, sides, finding);
    finding_advise(finding, "look at the network between these hosts; do not use CLUSTER FAILOVER "
                            "TAKEOVER while it lasts, unless the other side is known to be down");
    if (sides->alone) {
        finding_caveat(finding,
                       sides->unproven
                           ? "seen from one host only: that the others lived is known from "
                             "what they said when they were heard again"
                           : "seen from one side only: that the others lived is not proven");
        finding_caveat(finding, "packets that are lost in one direction only look the same from "
                                "here: a capture on a host of the other side tells, by whether "
                                "packets of this one arrive there");
        finding_doubt(finding, CONFIDENCE_LIKELY);
    }
    finding_rests_on_unseen(finding);
    finding_ends(finding, end, "network");
    detection_report(detection, finding);
}

/* ---- events ---- */

/* The first message across since it was last looked at. */
static nstime healed_at(const struct model *model, const struct sides *sides) {
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

static void forget(struct sides *sides) {
    free(sides->of);
    *sides = (struct sides){0};
}

/* Goes on, or begins: the widest is kept. */
static void keep(struct sides *kept, struct sides *found, nstime now) {
    kept->last = found->last = now;
    if (kept->count && found->placed <= kept->placed) {
        forget(found);
        return;
    }
    if (kept->count)
        found->since = earlier(found->since, kept->since);
    forget(kept);
    *kept = *found;
}

enum { ECHO_S = 10 /* so long after it nodes may still tell whom they missed */ };

/* Of several nodes that were not heard, seen from one host: were they cut off, or dead? Their own
 * words will tell, if they come again. */
static void keep_unproven(struct partition *partition, const struct model *model,
                          struct sides *found, nstime now) {
    if (model_vantage(model) == NODE_NONE || found->since <= partition->told_at) {
        forget(found);
        return;
    }
    if (now - partition->maybe.last > ECHO_S * NS_PER_SEC)
        forget(&partition->maybe);
    if (partition->maybe.count == 0)
        partition->accuser = NODE_NONE;
    keep(&partition->maybe, found, now);
}

static uint8_t side_in(const struct sides *sides, uint32_t node) {
    return node < sides->nodes ? sides->of[node] : NO_SIDE;
}

/* Two of the others say that they missed nodes of this side, which lived: it was both who lived. */
static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct partition *partition = state;
    struct sides *maybe = &partition->maybe;
    const struct ev_node_suspected *told = &event->node_suspected; /* as in node_failed */
    if (maybe->count == 0 || !told->node || !told->about ||
        event->time - maybe->last > ECHO_S * NS_PER_SEC)
        return;
    uint32_t node = model_index_of(detection->model, told->node);
    uint32_t about = model_index_of(detection->model, told->about);
    if (side_in(maybe, node) != 1 || side_in(maybe, about) != 0)
        return;
    if (partition->accuser == NODE_NONE || partition->accuser == node) {
        partition->accuser = node;
        return;
    }
    tell(detection, maybe, healed_at(detection->model, maybe));
    forget(maybe);
    partition->told_at = event->time;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct partition *partition = state;
    nstime since = first_apart(detection->model, now);
    struct sides sides = {0};
    if (since != TIME_NONE)
        sides = search(partition, detection->model, since, now);
    if (sides.count >= 2 && !sides.unproven) {
        forget(&partition->maybe);
        keep(&partition->now, &sides, now);
        return;
    }
    if (partition->now.count) {
        tell(detection, &partition->now, healed_at(detection->model, &partition->now));
        forget(&partition->now);
        partition->told_at = now;
    }
    if (sides.count >= 2)
        keep_unproven(partition, detection->model, &sides, now);
    else
        forget(&sides);
}

static void finish(const struct detection *detection, void *state) {
    struct partition *partition = state;
    if (partition->now.count)
        tell(detection, &partition->now, TIME_NONE);
}

static void dispose(void *state) {
    struct partition *partition = state;
    forget(&partition->now);
    forget(&partition->maybe);
    free(partition->group);
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
