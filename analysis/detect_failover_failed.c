/* detect_failover_failed.c - a failover that came to nothing: an election that nobody won
 * (election_lost.c), a failed primary for which no replica even asked (failure_watch.c,
 * failure_finding.c), or a replica that was told to take over and gave up (handover_watch.c,
 * handover_finding.c). Why, as far as that shows, is one of a table (failover_reason.c). */
#include "analysis/failover_failed.h"

struct watches {
    struct failure_watch failures;
    struct handover_watch handovers;
};

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct watches *watches = state;
    if (event->type == EV_manual_failover)
        handover_watch_asked(&watches->handovers, detection->model, event);
    else
        failure_watch_failed(&watches->failures, detection->model, event);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct watches *watches = state;
    failure_watch_look(&watches->failures, detection->model, now);
    handover_watch_look(&watches->handovers, detection->model, now);
}

static void finish(const struct detection *detection, void *state) {
    const struct watches *watches = state;
    const struct model *model = detection->model;
    for (size_t i = 0; i < model_election_count(model); i++)
        if (election_is_lost(model, model_election(model, i)))
            election_lost_tell(detection, model_election(model, i));
    for (size_t i = 0; i < watches->failures.count; i++)
        if (watches->failures.list[i].nobody_asked)
            failure_tell(detection, &watches->failures.list[i]);
    for (size_t i = 0; i < watches->handovers.count; i++)
        if (handover_came_to_nothing(&watches->handovers.list[i], model))
            handover_tell(detection, &watches->handovers.list[i]);
}

const struct detector detect_failover_failed = {
    .name = "failover-failed",
    .help = "an election that nobody won, or a failed primary for which no replica asked",
    .wants = EVENT_BIT(node_failed) | EVENT_BIT(fail_announced) | EVENT_BIT(manual_failover),
    .state = sizeof(struct watches),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
