/* model_follower_lag.c - how far a replica is behind: how much, for how long, and where the bytes
 * are that it lacks. */
#include "analysis/model_follower_private.h"

/* Where the bytes are that the replica lacks, by the link on which they should come. What is sent
 * of a command that is not complete yet is under way, or else waits. */
static void find_bytes(struct lag *lag, const struct followed *followed,
                       const struct replication *link, const struct event *event, uint64_t done) {
    if (link->offset == NOT_KNOWN || link->offset > followed->offset || link->offset < done)
        return;
    uint64_t unacked = flow_unacked(&event->flow->sides[!event->direction]);
    uint64_t sent = link->offset - done;
    lag->in_flight = unacked < lag->bytes ? unacked : lag->bytes;
    lag->unread = sent > lag->in_flight ? sent - lag->in_flight : 0;
    lag->waiting = lag->bytes - lag->in_flight - lag->unread;
}

/* After a link began, what was written meanwhile is caught up with in about the time it took to
 * begin; a replica that needs much longer is behind. */
static bool is_catching_up(struct follower *follower, const struct replication *link,
                           const struct lag *lag) {
    static const nstime moment = 1 * NS_PER_SEC, least = 10 * NS_PER_SEC;
    const struct link_past *past = &link->past;
    if (lag->behind < moment)
        follower->caught_up = true;
    nstime took = past->began == TIME_NONE ? 0 : past->online - past->began;
    return !follower->caught_up && (lag->time - past->online - least) / 2 < took;
}

/* Most of the time for which it is behind it said nothing to anybody. */
static bool was_mute(const struct pause *pause, const struct lag *lag) {
    nstime since = lag->time - lag->behind;
    nstime from = pause->from > since ? pause->from : since;
    return lag->by_header && (pause->to - from) * 2 > lag->behind;
}

/* One that tries to connect anew has given its link up, whatever is seen of that one's end. */
static bool has_knocked(const struct follower *follower) {
    return follower->knocked &&
           (follower->acked_at == TIME_NONE || follower->knocked > follower->acked_at);
}

void model_follower_knocks(struct model *model, const struct event *event) {
    const struct flow *flow = event->flow;
    const struct model_followers *all = &model->followers;
    for (uint32_t i = 0; i < all->count; i++) {
        struct follower *follower = all->list[i];
        if (endpoint_same_ip(&follower->replica, &flow->ends[flow->connector]) &&
            endpoint_equal(&follower->primary->addr, &flow->ends[!flow->connector]))
            follower->knocked = event->time;
    }
}

void model_follower_measure(struct follower *follower, const struct replication *link,
                            const struct event *event, uint64_t done) {
    const struct followed *followed = follower->primary;
    struct lag lag = {.time = event->time,
                      .offset = followed->offset,
                      .by_header = !link,
                      .linked = follower->open && !has_knocked(follower),
                      .waiting = NOT_KNOWN,
                      .in_flight = NOT_KNOWN,
                      .unread = NOT_KNOWN,
                      .place = place_of(event)};
    lag.bytes = followed->offset > done ? followed->offset - done : 0;
    nstime passed = offset_history_passed(&followed->history, done);
    if (lag.bytes && passed != TIME_NONE && passed < event->time)
        lag.behind = event->time - passed;
    lag.mute = was_mute(&follower->mute, &lag);
    if (link) {
        lag.retransmits = event->flow->sides[!event->direction].stats.retransmits;
        lag.zero_windows = event->flow->sides[event->direction].stats.zero_windows;
        find_bytes(&lag, followed, link, event, done);
    }
    lag.catching_up = link && is_catching_up(follower, link, &lag);
    follower->lag = lag;
    if (lag.catching_up)
        return;
    if (lag.bytes > follower->most_bytes)
        follower->most_bytes = lag.bytes;
    if (follower->worst.time == TIME_NONE || lag.behind > follower->worst.behind)
        follower->worst = lag;
}
