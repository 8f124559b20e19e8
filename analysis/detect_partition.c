/* detect_partition.c - the cluster has fallen into sides that do not hear each other, and each of
 * which lives: it sends, it serves, or it tries to connect. A host that is dead is no side.
 *
 * Looked at once a second, while anything is unacknowledged: two nodes are apart if what they sent
 * each other since some moment was not acknowledged, and together if anything was since the first
 * such moment. Sides are what hangs together.
 *
 * Where packets are dropped on the hosts, nothing of it is on the wire. Then it takes the word of a
 * node that misses another one, from which nothing was seen to come or go: from that moment on all
 * pairs of which nothing is seen are apart. The word may come when it is over.
 *
 * From one host all others look like one side. What they say of each other when they are heard
 * again tells which of them were apart, too. */
#include "analysis/detector.h"
#include "analysis/model_clients.h"

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
    nstime since;        /* the first that was not acknowledged across */
    nstime last;         /* when it was last looked at and went on */
    struct stamp passed; /* the last message that went across */
    struct place place;  /* a connection across */
    bool alone;          /* one side only was seen to live: the capture was taken there */
    bool unseen;         /* nothing across was seen, not even attempts */
    bool unproven;       /* nor is it likely that the other one lived */
};

/* One of the others says that it misses another one of them. */
struct word {
    uint32_t by, about;
};

enum { WORDS_MAX = 4096 };

/* What is looked at: since a node misses another of which nothing is seen, `hush` tells when that
 * was; `to` 0: nobody does. */
struct view {
    const struct model *model;
    nstime now;
    uint32_t vantage; /* the host that the capture was taken on, if it was on one */
    struct hush hush;
    uint32_t accuser; /* it said so, so it lived */
};

struct partition {
    struct sides now;   /* the widest of what goes on; count 0: nothing does */
    struct sides maybe; /* likewise, seen from one host and not proven */
    struct sides over;  /* it has ended, and its others may still tell of each other */
    nstime over_at;     /* when that was seen */
    nstime healed;      /* when it ended */
    struct word *words; /* WORDS_MAX; NULL: none so far */
    size_t word_count;
    struct word missed; /* that nothing is seen of, while it is so */
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

/* Nothing was seen of the pair for most of the time for which one node misses another. */
static bool is_hushed(const struct view *view, const struct link *link) {
    struct hush hush;
    const struct pause *missed = &view->hush.time;
    if (missed->to == 0 || !model_hush(view->model, link->from, link->to, view->now, &hush))
        return false;
    nstime from = later(hush.time.from, missed->from), to = earlier(hush.time.to, missed->to);
    return hush.time.to - hush.time.from > QUIET_MS * NS_PER_MS &&
           (to - from) * 2 > missed->to - missed->from;
}

static bool is_stuck(const struct link *link, unsigned end) {
    return link->unacked_since[end] != TIME_NONE;
}

/* Is anything of either unacknowledged? Who waits for an answer sends nothing: it may only be that
 * nothing reaches it. */
static bool are_both_stuck(const struct link *link, const struct link *back) {
    bool from = is_stuck(link, 0) || is_stuck(back, 1) || link->knocks.first.time != TIME_NONE;
    bool to = is_stuck(link, 1) || is_stuck(back, 0) || back->knocks.first.time != TIME_NONE;
    return from && to;
}

/* Both connections of the pair say so. From one host the other's calls are not seen at all: then
 * nothing of it for so long that it would have been pinged on one or the other. */
static bool is_pair_apart(const struct view *view, const struct link *link) {
    nstime now = view->now;
    if (is_hushed(view, link))
        return true;
    if (!is_apart(link, now))
        return false;
    const struct link *back = model_link_between(view->model, link->to, link->from);
    if (!back)
        return true;
    if (view->vantage == NODE_NONE)
        return are_both_stuck(link, back) && is_apart(back, now);
    nstime since = apart_since(link);
    bool silent = now - since > QUIET_MS * NS_PER_MS &&
                  later(back->delivered[0].time, back->delivered[1].time) <= since &&
                  last_opened(back) <= since;
    return is_apart(back, now) || silent;
}

/* The first moment since which some pair is apart; TIME_NONE: none is. */
static nstime first_apart(const struct view *view) {
    nstime since = view->hush.time.to ? view->hush.time.from : TIME_NONE;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        if (is_apart(link, view->now) && is_pair_apart(view, link))
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

static void join_all(struct partition *partition, const struct view *view, nstime since) {
    for (uint32_t i = 0; i < model_node_count(view->model); i++)
        partition->group[i] = i;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        nstime delivered = later(link->delivered[0].time, link->delivered[1].time);
        if (delivered > since && !is_apart(link, view->now) && !is_hushed(view, link))
            partition->group[root(partition, link->from)] = root(partition, link->to);
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
static uint8_t side_of(const struct partition *partition, struct sides *sides, uint32_t node) {
    uint32_t top = root(partition, node);
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] != NO_SIDE && root(partition, i) == top)
            return sides->of[i];
    return sides->count < SIDES_MAX ? (uint8_t)sides->count++ : NO_SIDE;
}

/* Nodes that live make sides; others belong to the side that they hang together with. */
static void place_nodes(const struct partition *partition, const struct view *view,
                        struct sides *sides) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (lives(view, i, sides->since))
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
static void place_others(const struct view *view, struct sides *sides) {
    const struct model *model = view->model;
    size_t apart = 0, known = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        bool calls = sides->of[link->from] == 0 && sides->of[link->to] == NO_SIDE;
        known += calls;
        apart += calls && is_pair_apart(view, link);
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
    return (out && is_pair_apart(view, out)) || (in && is_pair_apart(view, in));
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
        if (!is_across(sides, link) || !is_apart(link, view->now) ||
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
        if (!is_hushed(view, link) ||
            !model_hush(view->model, link->from, link->to, view->now, &hush))
            return;
        last = later(last, hush.time.from);
    }
    sides->unseen = last != TIME_NONE;
    if (sides->unseen)
        sides->since = last;
}

static struct sides search(struct partition *partition, const struct view *view, nstime since) {
    struct sides sides = {
        .nodes = model_node_count(view->model), .since = since, .place = place_none()};
    sides.of = malloc(sides.nodes);
    if (!sides.of || !room_for(partition, sides.nodes))
        return sides;
    memset(sides.of, NO_SIDE, sides.nodes);
    join_all(partition, view, since);
    place_nodes(partition, view, &sides);
    place_others(view, &sides);
    drop_thin_sides(view, &sides);
    find_across(view, &sides);
    find_passed(view, &sides);
    find_hush(view, &sides);
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
    else
        finding_caveat(finding, "there is no side of the majority");
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
    if (sides->unseen)
        finding_explain(finding, "Nothing was seen to pass between them, not even attempts to "
                                 "connect, while both sides lived and missed each other: packets "
                                 "are lost on the hosts themselves (a firewall there), or before "
                                 "they come to where the capture was taken.");
    else
        finding_explain(finding, "What nodes of one side sent to the other was not acknowledged, "
                                 "while both sides lived.");
    if (most < SIDES_MAX)
        finding_explain(finding, "One side has most of the primaries and can elect new ones; the "
                                 "primaries of the other accept writes until their node timeout "
                                 "has passed, and these are lost if somebody else takes over.");
    else
        finding_explain(finding, "No side has most of the primaries: no failover is possible, and "
                                 "all stop to serve after the node timeout.");
    struct place passed = place_of_stamp(sides->passed);
    finding_evidence(finding, &passed, "the last message that went across");
    finding_evidence(finding, &sides->place, "the first attempt across that was not answered");
    measure(detection, sides, finding);
    finding_advise(finding, "look at the network between these hosts; do not use CLUSTER FAILOVER "
                            "TAKEOVER while it lasts, unless the other side is known to be down");
    if (sides->unseen)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (sides->alone) {
        if (sides->count == 2)
            finding_caveat(finding, "the others are told as one side: whether they heard each "
                                    "other cannot be seen from this host");
        else
            finding_caveat(finding, "which of the others heard each other is known from what "
                                    "they said when they were heard again");
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
    if (partition->maybe.count == 0) {
        partition->accuser = NODE_NONE;
        partition->word_count = partition->over.count ? partition->word_count : 0;
    }
    keep(&partition->maybe, found, now);
}

static uint8_t side_in(const struct sides *sides, uint32_t node) {
    return node < sides->nodes ? sides->of[node] : NO_SIDE;
}

/* ---- the words of the others ---- */

static void note_word(struct partition *partition, uint32_t by, uint32_t about) {
    if (!partition->words)
        partition->words = calloc(WORDS_MAX, sizeof *partition->words);
    if (partition->words && partition->word_count < WORDS_MAX)
        partition->words[partition->word_count++] = (struct word){by, about};
}

/* Which nodes does it miss, or miss it? By node. */
static void find_missed(const struct partition *partition, uint32_t node, bool *ret_missed,
                        size_t nodes) {
    memset(ret_missed, 0, nodes * sizeof *ret_missed);
    for (size_t i = 0; i < partition->word_count; i++) {
        const struct word *word = &partition->words[i];
        if (word->by == node)
            ret_missed[word->about] = true;
        if (word->about == node)
            ret_missed[word->by] = true;
    }
}

/* Those of the other side that did not miss each other hang together. */
static void join_others(struct partition *partition, const struct sides *sides, bool *missed) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        partition->group[i] = i;
    for (uint32_t i = 0; i < sides->nodes; i++) {
        if (sides->of[i] != 1)
            continue;
        find_missed(partition, i, missed, sides->nodes);
        for (uint32_t k = 0; k < i; k++)
            if (sides->of[k] == 1 && !missed[k])
                partition->group[root(partition, i)] = root(partition, k);
    }
}

/* The first group stays the other side, the rest are sides of their own. */
static void split_others(struct partition *partition, struct sides *sides) {
    bool *missed = calloc(sides->nodes, sizeof *missed), first = true;
    if (!missed || !room_for(partition, sides->nodes)) {
        free(missed);
        return;
    }
    join_others(partition, sides, missed);
    free(missed);
    for (uint32_t top = 0; top < sides->nodes; top++) {
        if (sides->of[top] != 1 || root(partition, top) != top)
            continue;
        uint8_t side = first || sides->count == SIDES_MAX ? 1 : (uint8_t)sides->count++;
        first = false;
        for (uint32_t i = 0; i < sides->nodes; i++)
            if (sides->of[i] == 1 && root(partition, i) == top)
                sides->of[i] = side;
    }
}

static void tell_over(const struct detection *detection, struct partition *partition) {
    if (partition->over.count == 0)
        return;
    if (partition->word_count)
        split_others(partition, &partition->over);
    tell(detection, &partition->over, partition->healed);
    forget(&partition->over);
    partition->word_count = 0;
}

/* ---- the way of it ---- */

/* It has ended. Seen from one side, the others may tell more in a moment. */
static void end(const struct detection *detection, struct partition *partition, nstime now) {
    tell_over(detection, partition);
    partition->healed = healed_at(detection->model, &partition->now);
    partition->over = partition->now;
    partition->over_at = partition->told_at = now;
    partition->now = (struct sides){0};
    if (!partition->over.alone)
        tell_over(detection, partition);
}

/* Two of the others say that they missed nodes of this side, which lived: it was both who lived. */
static void hear_of_this_side(const struct detection *detection, struct partition *partition,
                              uint32_t node, uint32_t about, nstime now) {
    struct sides *maybe = &partition->maybe;
    if (maybe->count == 0 || now - maybe->last > ECHO_S * NS_PER_SEC || side_in(maybe, node) != 1 ||
        side_in(maybe, about) != 0)
        return;
    if (partition->accuser == NODE_NONE || partition->accuser == node) {
        partition->accuser = node;
        return;
    }
    tell_over(detection, partition);
    partition->healed = healed_at(detection->model, maybe);
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
            note_word(partition, node, about);
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
        return;
    }
    if (partition->now.count || view.hush.time.from <= partition->told_at)
        return;
    struct sides sides = search(partition, &view, view.hush.time.from);
    if (sides.count >= 2 && !sides.unproven) {
        tell(detection, &sides, view.hush.time.to);
        partition->told_at = now;
    }
    forget(&sides);
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
    const struct word *missed = &partition->missed;
    bool unseen = missed->by != missed->about &&
                  model_hush(view.model, missed->by, missed->about, now, &view.hush) &&
                  view.hush.goes_on;
    if (!unseen)
        view.hush = (struct hush){0};
    return view;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct partition *partition = state;
    struct view view = view_of(detection, partition, now);
    nstime since = first_apart(&view);
    struct sides sides = {0};
    if (since != TIME_NONE)
        sides = search(partition, &view, since);
    if (sides.count >= 2 && !sides.unproven) {
        forget(&partition->maybe);
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
        forget(&sides);
}

static void finish(const struct detection *detection, void *state) {
    struct partition *partition = state;
    tell_over(detection, partition);
    if (partition->now.count)
        tell(detection, &partition->now, TIME_NONE);
}

static void dispose(void *state) {
    struct partition *partition = state;
    forget(&partition->now);
    forget(&partition->maybe);
    forget(&partition->over);
    free(partition->group);
    free(partition->words);
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
