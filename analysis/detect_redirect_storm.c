/* detect_redirect_storm.c - clients are told again and again what they have been told.
 *
 * What is no news to whom it is told makes a storm; a client that learns is told once, whatever
 * happens to the cluster. An episode lasts until no redirect comes for some seconds; it is a storm
 * if enough of them were no news. Its cause is that of most of these, as the model has it; a target
 * that clients call in vain makes it unreachable. */
#include "analysis/redirect_storm.h"
#include "decode/slot_set.h"

static bool is_on(const struct redirect_storm *storm) {
    return storm->moved + storm->ask > 0;
}

/* ---- an episode ---- */

static void add_server(struct redirect_storm *storm, const struct endpoint *server) {
    for (size_t i = 0; i < storm->server_count; i++)
        if (endpoint_equal(&storm->servers[i], server))
            return;
    if (storm->server_count < STORM_SERVERS)
        storm->servers[storm->server_count++] = *server;
}

static void add_target(struct redirect_storm *storm, const struct redirect *redirect) {
    const struct storm_target *target = storm_target_at(storm, &redirect->target);
    storm->by_name += redirect->by_name && redirect->target_known;
    if (!redirect->target_known || redirect->by_name || bytes_begin(redirect->named, ":")) {
        size_t len = min_size(redirect->named.len, STORM_NAMED - 1);
        memcpy(storm->named, redirect->named.data, len);
        storm->named[len] = '\0';
    }
    if (redirect->target_known && !target && storm->target_count < STORM_TARGETS)
        storm->targets[storm->target_count++] = (struct storm_target){.addr = redirect->target};
}

static void begin(struct redirect_storm *storm, const struct model *model,
                  const struct event *event, uint64_t least) {
    *storm = (struct redirect_storm){.since = TIME_NONE,
                                     .change.owner = NODE_NONE,
                                     .pace.least = least,
                                     .place = place_of(event)};
    model_redirect_nexts(model, storm->nexts);
}

static void add_again(struct redirect_storm *storm, const struct model *model,
                      const struct redirect *redirect, const struct event *event) {
    struct slot_change change = model_slot_change(model, redirect->slot);
    bool joins = storm->since == TIME_NONE || redirect->before < storm->since;
    if (storm->since == TIME_NONE)
        storm->since = event->time;
    storm->again++;
    storm->by_cause[redirect->cause]++;
    slots_add(storm->slots, redirect->slot);
    if (change.at.time > storm->change.at.time)
        storm->change = change;
    storm->last_place = place_of(event);
    add_server(storm, &redirect->server);
    crowd_add(&storm->crowd, &redirect->client, redirect->introduction, joins);
    pace_add(&storm->pace, stamp_of(event));
}

static void on_redirect(const struct detection *detection, struct redirect_storm *storm,
                        const struct event *event) {
    const struct redirect *redirect = model_redirect_in_hand(detection->model);
    if (!redirect)
        return;
    if (!is_on(storm))
        begin(storm, detection->model, event, threshold(detection, THRESHOLD_redirect_storm));
    storm->moved += !redirect->ask;
    storm->ask += redirect->ask;
    storm->last = event->time;
    add_target(storm, redirect);
    if (redirect->again)
        add_again(storm, detection->model, redirect, event);
}

/* ---- events ---- */

static void on_attempt(struct redirect_storm *storm, const struct event *event) {
    struct storm_target *target =
        storm_target_at(storm, &event->flow->ends[!event->flow->connector]);
    if (!target)
        return;
    if (target->first.time == 0 && event->type != EV_tcp_open)
        target->first = place_of(event);
    if (event->type == EV_tcp_open && target->vain == 0)
        target->first.time = 0;
    target->tried += event->type == EV_tcp_tried;
    target->opened += event->type == EV_tcp_open;
    target->vain += event->type == EV_tcp_refused || event->type == EV_tcp_unanswered;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct redirect_storm *storm = state;
    if (event->type == EV_redirect) {
        on_redirect(detection, state, event);
    } else if (event->type == EV_topology_asked) {
        storm->refreshes += crowd_refreshed(&storm->crowd, event->topology_asked.client);
    } else if (event->flow && event->flow->connector != FLOW_CONNECTOR_UNKNOWN) {
        on_attempt(storm, event);
    }
}

static void on_tick(const struct detection *detection, void *state, nstime time) {
    struct redirect_storm *storm = state;
    if (!is_on(storm) || time - storm->last < STORM_APART)
        return;
    redirect_storm_tell(detection, storm, time);
    *storm = (struct redirect_storm){0};
}

static void finish(const struct detection *detection, void *state) {
    struct redirect_storm *storm = state;
    nstime last = model_books(detection->model)->last;
    if (is_on(storm))
        redirect_storm_tell(detection, storm, last);
}

const struct detector detect_redirect_storm = {
    .name = "redirect-storm",
    .help = "clients are told again and again to go elsewhere",
    .wants = EVENT_BIT(redirect) | EVENT_BIT(topology_asked) | EVENT_BIT(tcp_tried) |
             EVENT_BIT(tcp_open) | EVENT_BIT(tcp_unanswered) | EVENT_BIT(tcp_refused),
    .state = sizeof(struct redirect_storm),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
