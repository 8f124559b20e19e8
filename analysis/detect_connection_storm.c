/* detect_connection_storm.c - connections to a server come and go too fast.
 *
 * A fleet that starts connects once and stays; in a storm the connections end soon after they are
 * made, or are not accepted at all. Only places where clients are answered, or nodes say that they
 * are, count: those of the bus do not. */
#include "analysis/crowd.h"
#include "analysis/detector.h"
#include "analysis/pace.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SERVERS = 64 /* watched at once */ };

static const nstime APART = 5 * NS_PER_SEC, BRIEF = 5 * NS_PER_SEC;

struct attempts {
    struct endpoint server;
    nstime first, last;
    uint64_t opened, refused, brief; /* brief: closed soon after they were opened */
    struct pace pace;
    struct crowd crowd;
    struct place place;
};

struct watch {
    struct attempts *list; /* SERVERS; NULL: nobody has connected so far */
    size_t count;
};

static struct attempts *attempts_of(struct watch *watch, const struct model *model,
                                    const struct endpoint *server) {
    for (size_t i = 0; i < watch->count; i++)
        if (endpoint_equal(&watch->list[i].server, server))
            return &watch->list[i];
    if (watch->count == SERVERS ||
        (!model_server_at(model, server) && model_node_at_address(model, server) == NODE_NONE))
        return NULL;
    if (!watch->list)
        watch->list = calloc(SERVERS, sizeof *watch->list);
    if (!watch->list)
        return NULL;
    watch->list[watch->count].server = *server;
    return &watch->list[watch->count++];
}

static void on_attempt(const struct detection *detection, struct attempts *now,
                       const struct event *event) {
    const struct flow *flow = event->flow;
    bool refused = event->type == EV_tcp_refused;
    if (now->opened + now->refused == 0)
        *now = (struct attempts){.server = now->server,
                                 .first = event->time,
                                 .pace.least = threshold(detection, THRESHOLD_connection_storm),
                                 .place = place_of(event)};
    now->last = event->time;
    now->opened += !refused;
    now->refused += refused;
    pace_add(&now->pace, stamp_of(event));
    crowd_add(&now->crowd, &flow->ends[flow->connector], NULL, true);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    const struct flow *flow = event->flow;
    if (!flow || flow->connector == FLOW_CONNECTOR_UNKNOWN)
        return;
    struct attempts *now = attempts_of(state, detection->model, &flow->ends[!flow->connector]);
    if (!now)
        return;
    if (event->type != EV_tcp_close)
        on_attempt(detection, now, event);
    else if (event->time - flow->first < BRIEF && flow->first >= now->first)
        now->brief++;
}

/* ---- telling it ---- */

static bool mostly_refused(const struct attempts *now) {
    return now->refused * 2 >= now->opened + now->refused;
}

static bool is_storm(const struct detection *detection, const struct attempts *now) {
    return pace_peak(&now->pace) >= threshold(detection, THRESHOLD_connection_storm) &&
           (now->brief + now->refused) * 2 >= now->opened + now->refused;
}

static void explain(struct finding *finding, const struct attempts *now) {
    char who[CROWD_TEXT];
    finding_explain(finding,
                    "%s. %" PRIu64 " were accepted, of these %" PRIu64 " ended within five "
                    "seconds; %" PRIu64 " were refused.",
                    crowd_text(&now->crowd, who), now->opened, now->brief, now->refused);
    if (mostly_refused(now)) {
        finding_explain(finding, "Nobody listens there, and the clients try again at once.");
        finding_advise(finding, "bring the server back; let the clients wait between attempts, "
                                "longer each time, and ask another node for the topology");
    } else {
        finding_explain(finding, "Each new connection costs the server more than many requests, "
                                 "and with TLS far more.");
        finding_advise(finding, "let these clients keep their connections (a pool, persistent "
                                "connections); look whether a proxy or a health check closes them");
        finding_advise(finding, "raising maxclients does not help against connections that do not "
                                "stay");
    }
}

static void tell(const struct detection *detection, const struct attempts *now, nstime last) {
    struct place from = pace_from(&now->pace, now->place);
    char server[ENDPOINT_TEXT];
    uint64_t rate = pace_peak(&now->pace);
    if (!is_storm(detection, now))
        return;
    endpoint_text(&now->server, server);
    struct finding *finding = finding_new("connection-storm", SEVERITY_WARNING, from.time);
    if (mostly_refused(now))
        finding_title(finding,
                      "Clients try to connect to %s up to %" PRIu64 " times a second in "
                      "vain",
                      server, rate);
    else
        finding_title(finding,
                      "Clients connect to %s up to %" PRIu64 " times a second and do not "
                      "stay",
                      server, rate);
    explain(finding, now);
    finding_evidence(finding, &from, "the first of them");
    finding_addr(finding, &now->server);
    uint32_t node = model_node_at_address(detection->model, &now->server);
    if (node != NODE_NONE)
        finding_node(finding, model_node(detection->model, node)->id);
    struct value *metrics = finding_metrics(finding);
    value_addr(metrics, "server", &now->server);
    value_number(metrics, "per_s", rate);
    value_number(metrics, "refused", now->refused);
    value_number(metrics, "opened", now->opened);
    value_number(metrics, "brief", now->brief);
    crowd_tell(&now->crowd, finding);
    if (finding)
        finding->quiet_if_caused = true;
    finding_ends(finding, pace_end(&now->pace, now->last, last, NS_PER_SEC),
                 mostly_refused(now) ? "refused" : "short-lived");
    detection_report(detection, finding);
}

static void on_tick(const struct detection *detection, void *state, nstime time) {
    struct watch *watch = state;
    for (size_t i = 0; i < watch->count; i++) {
        struct attempts *now = &watch->list[i];
        if (now->opened + now->refused == 0 || time - now->last < APART)
            continue;
        tell(detection, now, time);
        now->opened = now->refused = 0;
    }
}

static void finish(const struct detection *detection, void *state) {
    const struct watch *watch = state;
    nstime last = model_books(detection->model)->last;
    for (size_t i = 0; i < watch->count; i++) {
        const struct attempts *now = &watch->list[i];
        if (now->opened + now->refused)
            tell(detection, now, last);
    }
}

static void dispose(void *state) {
    free(((struct watch *)state)->list);
}

const struct detector detect_connection_storm = {
    .name = "connection-storm",
    .help = "connections to a server come and go too fast",
    .wants = EVENT_BIT(tcp_open) | EVENT_BIT(tcp_refused) | EVENT_BIT(tcp_close),
    .state = sizeof(struct watch),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
