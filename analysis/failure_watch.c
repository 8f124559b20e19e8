/* failure_watch.c - a replica asks for votes within a second of FAIL, one more for each replica
 * that is ahead of it, and half a one for each other primary that has failed. One that has not by
 * then does not. Source: Redis cluster.c, clusterHandleSlaveFailover. */
#include "analysis/failure_watch.h"

static const nstime TO_ASK = 3 * NS_PER_SEC, TO_ASK_BY_RANK = 1 * NS_PER_SEC;

static const char *failed_node(const struct event *event) {
    return event->type == EV_node_failed ? event->node_failed.about : event->fail_announced.about;
}

void failure_watch_failed(struct failure_watch *watch, const struct model *model,
                          const struct event *event) {
    const char *about = failed_node(event);
    uint32_t index = about ? model_index_of(model, about) : NODE_NONE;
    if (index == NODE_NONE || !model_is_first_failure(model, index, event) ||
        watch->count == FAILURES_MAX || !model_owns_slots(model, index))
        return;
    watch->list[watch->count++] = (struct failure){
        .primary = index, .place = place_of(event), .over = TIME_NONE, .best = NODE_NONE};
}

static bool is_replica_of(const struct model *model, uint32_t index, uint32_t primary) {
    const struct node *node = model_node(model, index);
    return node->replica && node->primary == primary;
}

static bool somebody_asked(const struct model *model, const struct failure *failure) {
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        nstime last = e->promoted.time != TIME_NONE ? e->promoted.time : e->asked.time;
        if (e->old_primary == failure->primary && last >= failure->place.time)
            return true;
    }
    return false;
}

static nstime time_to_ask(const struct model *model, const struct failure *failure) {
    nstime time = TO_ASK;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool failed = model_was_failed(model, i) && !model_node(model, i)->replica;
        time += is_replica_of(model, i, failure->primary) ? TO_ASK_BY_RANK : 0;
        time += failed ? TO_ASK_BY_RANK / 2 : 0;
    }
    return time;
}

/* Nothing is held against it any more, or somebody asked, or has its slots. */
static bool is_over(const struct model *model, const struct failure *failure) {
    return somebody_asked(model, failure) || !model_alarm(model, failure->primary);
}

/* One of its replicas that spoke since FAIL, and nothing is held against it. */
static void weigh_replica(const struct model *model, struct failure *failure, uint32_t index) {
    const struct node *node = model_node(model, index);
    failure->may |= !(node->flags & NODE_NOFAILOVER);
    if (failure->best == NODE_NONE ||
        node->repl_offset > model_node(model, failure->best)->repl_offset)
        failure->best = index;
}

static void weigh_replicas(const struct model *model, struct failure *failure) {
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        if (!is_replica_of(model, i, failure->primary))
            continue;
        failure->replicas++;
        if (model_node(model, i)->last_heard <= failure->place.time)
            continue;
        if (model_was_failed(model, i))
            failure->lost++;
        else
            weigh_replica(model, failure, i);
    }
}

static void look_at_best(const struct model *model, struct failure *failure) {
    uint64_t wanted = model_node(model, failure->primary)->repl_offset;
    uint64_t had = model_node(model, failure->best)->repl_offset;
    failure->behind = had < wanted ? wanted - had : 0;
    if (!model_link_between(model, failure->primary, failure->best))
        return;
    nstime last = model_last_sign(model, failure->primary, failure->best).time;
    failure->heard_it = last != TIME_NONE && last > failure->place.time;
}

static void find_replicas(const struct model *model, struct failure *failure) {
    failure->looked = true;
    weigh_replicas(model, failure);
    if (failure->best != NODE_NONE)
        look_at_best(model, failure);
}

static void look(const struct model *model, struct failure *failure, nstime now) {
    bool over = is_over(model, failure);
    if (over && failure->nobody_asked)
        failure->over = now;
    failure->decided |= over;
    if (!failure->looked && now - failure->place.time >= TO_ASK / 2)
        find_replicas(model, failure);
    if (failure->decided || now - failure->place.time < time_to_ask(model, failure))
        return;
    failure->decided = true;
    failure->nobody_asked = model_owns_slots(model, failure->primary);
    failure->voters = model_voters(model);
}

void failure_watch_look(struct failure_watch *watch, const struct model *model, nstime now) {
    for (size_t i = 0; i < watch->count; i++)
        if (watch->list[i].over == TIME_NONE)
            look(model, &watch->list[i], now);
}
