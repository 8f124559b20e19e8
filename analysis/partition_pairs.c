/* partition_pairs.c - two nodes are apart if what they sent each other since some moment was not
 * acknowledged.
 *
 * Where packets are dropped on the hosts, nothing of it is on the wire. Then it takes the word of a
 * node that misses another one, from which nothing was seen to come or go: from that moment on all
 * pairs of which nothing is seen are apart. */
#include "analysis/partition.h"

enum {
    APART_MS = 1000, /* unacknowledged for so long */
    DEAF_MS = 1500,  /* of several others one says something before */
};

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

bool pair_is_cut(const struct link *link, nstime now) {
    nstime since = apart_since(link);
    return since != TIME_NONE && now - since >= APART_MS * NS_PER_MS;
}

bool pair_is_hushed(const struct view *view, const struct link *link) {
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

/* Nothing has passed on it since then, for so long that one would have pinged the other. */
static bool is_silent(const struct view *view, const struct link *link, nstime since) {
    return (view->deaf || view->now - since > QUIET_MS * NS_PER_MS) &&
           later(link->delivered[0].time, link->delivered[1].time) <= since &&
           last_opened(link) <= since;
}

/* Both connections of the pair say so. From one host the other's calls are not seen at all: then
 * nothing of it for so long that it would have been pinged on one or the other. */
bool pair_is_apart(const struct view *view, const struct link *link) {
    nstime now = view->now;
    if (pair_is_hushed(view, link))
        return true;
    const struct link *back = model_link_between(view->model, link->to, link->from);
    bool cut = pair_is_cut(link, now), back_cut = back && pair_is_cut(back, now);
    if (!cut && !back_cut)
        return false;
    if (view->vantage == NODE_NONE)
        return cut && (!back || (back_cut && are_both_stuck(link, back)));
    if (!cut)
        return is_silent(view, link, apart_since(back));
    return !back || back_cut || is_silent(view, back, apart_since(link));
}

bool pairs_hear_nobody(const struct view *view) {
    nstime last = TIME_NONE;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        last = later(last, link->delivered[link->from == view->vantage].time);
    }
    return last != TIME_NONE && view->now - last > DEAF_MS * NS_PER_MS;
}

nstime pairs_first_apart(const struct view *view) {
    nstime since = view->hush.time.to ? view->hush.time.from : TIME_NONE;
    for (size_t i = 0; i < model_link_count(view->model); i++) {
        const struct link *link = model_link(view->model, i);
        if (pair_is_cut(link, view->now) && pair_is_apart(view, link))
            since = earlier(since, apart_since(link));
    }
    return since;
}
