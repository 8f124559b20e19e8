/* detect_refresh_storm.c - clients ask a server for the topology too often.
 *
 * After a failover every client asks once or twice, which is as it should be; it is a storm if they
 * ask again and again, or go on asking. An episode lasts until nobody asks for some seconds. */
#include "analysis/crowd.h"
#include "analysis/detector.h"
#include "analysis/pace.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SERVERS = 64 /* watched at once */, OFTEN = 3 /* each, on average */ };

static const nstime APART = 5 * NS_PER_SEC, LONG = 10 * NS_PER_SEC, JUST = 2 * NS_PER_SEC;

struct refreshes {
    struct endpoint server;
    nstime first, last;
    uint64_t count, bytes, fresh; /* fresh: the first time that the connection asked */
    uint64_t redirects;           /* of any client at any server, when the episode began */
    bool after_outage;            /* CLUSTERDOWN was answered just before it */
    struct pace pace;
    struct crowd crowd;
    struct place place;
};

struct watch {
    struct refreshes *list; /* SERVERS; NULL: nobody has asked so far */
    size_t count;
    uint64_t redirects;
    nstime down; /* the last CLUSTERDOWN; if any_down */
    bool any_down;
};

static struct refreshes *refreshes_of(struct watch *watch, const struct endpoint *server) {
    if (!watch->list)
        watch->list = calloc(SERVERS, sizeof *watch->list);
    for (size_t i = 0; watch->list && i < watch->count; i++)
        if (endpoint_equal(&watch->list[i].server, server))
            return &watch->list[i];
    if (!watch->list || watch->count == SERVERS)
        return NULL;
    watch->list[watch->count].server = *server;
    return &watch->list[watch->count++];
}

static struct place place_between(const struct event *event, const struct endpoint *from,
                                  const struct endpoint *to) {
    struct place place = place_of(event);
    place.ends_known = true;
    place.ends[0] = *from;
    place.ends[1] = *to;
    return place;
}

static void on_asked(const struct detection *detection, struct watch *watch,
                     const struct event *event) {
    const struct ev_topology_asked *asked = &event->topology_asked;
    struct refreshes *now = refreshes_of(watch, asked->server);
    if (!now)
        return;
    if (now->count == 0)
        *now = (struct refreshes){
            .server = *asked->server,
            .first = event->time,
            .redirects = watch->redirects,
            .pace.least = threshold(detection, THRESHOLD_refresh_storm),
            .after_outage = watch->any_down && event->time - watch->down < JUST,
            .place = place_between(event, asked->server, asked->client),
        };
    now->last = event->time;
    now->count++;
    now->bytes += asked->bytes;
    now->fresh += asked->before == 0;
    pace_add(&now->pace, stamp_of(event));
    crowd_add(&now->crowd, asked->client, model_introduction_in_hand(detection->model),
              asked->before == 0 || (nstime)asked->before < now->first);
}

/* ---- telling it ---- */

enum reason { OUTAGE, CONNECTION, REDIRECT, OTHER };

static const struct {
    const char *verdict, *why, *advice;
} reasons[] = {
    [OUTAGE] = {"after-outage",
                "It began when servers answered CLUSTERDOWN: clients ask all at "
                "once, and again when it does not help.",
                "let clients refresh with a minimal interval and some randomness; mend the outage "
                "first"},
    [CONNECTION] = {"each-connection",
                    "Nearly every connection asked once: the clients connect "
                    "anew all the time, and learn the topology each time.",
                    "let clients keep their connections and share the topology (persistent "
                    "connections, a cache of the slot map)"},
    [REDIRECT] = {"each-redirect",
                  "There were as many redirects: clients ask for the whole "
                  "topology on each of them.",
                  "limit how often the clients refresh on MOVED (a minimal interval), and look why "
                  "they are redirected"},
    [OTHER] = {"too-often", "Each connection asked many times.",
               "let clients refresh less often (minutes) and on MOVED only, from different nodes "
               "in turn"},
};

static enum reason reason_of(const struct watch *watch, const struct refreshes *now) {
    if (now->after_outage)
        return OUTAGE;
    if (now->fresh * 5 >= now->count * 4)
        return CONNECTION;
    return (watch->redirects - now->redirects) * 5 >= now->count * 4 ? REDIRECT : OTHER;
}

static bool is_storm(const struct detection *detection, const struct refreshes *now) {
    return now->count > 0 &&
           pace_peak(&now->pace) >= threshold(detection, THRESHOLD_refresh_storm) &&
           (now->count >= OFTEN * now->crowd.connections || now->last - now->first >= LONG);
}

static void tell(const struct detection *detection, const struct watch *watch,
                 struct refreshes *now, nstime last) {
    struct place from = pace_from(&now->pace, now->place);
    enum reason reason = reason_of(watch, now);
    char server[ENDPOINT_TEXT], who[CROWD_TEXT];
    endpoint_text(&now->server, server);
    struct finding *finding = finding_new("refresh-storm", SEVERITY_WARNING, from.time);
    finding_title(finding, "%s was asked for the topology up to %" PRIu64 " times a second", server,
                  pace_peak(&now->pace));
    finding_explain(finding, "%s: %" PRIu64 " requests, answered by %.1f MB in all. %s",
                    crowd_text(&now->crowd, who), now->count, (double)now->bytes / 1e6,
                    reasons[reason].why);
    finding_explain(finding, "CLUSTER SLOTS, SHARDS and NODES cost a server the more, the more "
                             "nodes and ranges there are, and everybody else waits meanwhile.");
    finding_advise(finding, "%s", reasons[reason].advice);
    finding_evidence(finding, &from, "the first of them");
    finding_addr(finding, &now->server);
    struct value *metrics = finding_metrics(finding);
    value_addr(metrics, "server", &now->server);
    value_number(metrics, "per_s", pace_peak(&now->pace));
    value_number(metrics, "clients", now->crowd.connections);
    value_number(metrics, "count", now->count);
    value_number(metrics, "bytes", now->bytes);
    crowd_tell(&now->crowd, finding);
    if (finding)
        finding->quiet_if_caused = true;
    finding_ends(finding, pace_end(&now->pace, now->last, last, NS_PER_SEC),
                 reasons[reason].verdict);
    detection_report(detection, finding);
}

/* ---- events ---- */

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct watch *watch = state;
    if (event->type == EV_topology_asked) {
        on_asked(detection, watch, event);
    } else if (event->type == EV_redirect) {
        watch->redirects++;
    } else if (bytes_equal(event->client_error.error, bytes_str("CLUSTERDOWN"))) {
        watch->any_down = true;
        watch->down = event->time;
    }
}

static void on_tick(const struct detection *detection, void *state, nstime time) {
    struct watch *watch = state;
    for (size_t i = 0; i < watch->count; i++) {
        struct refreshes *now = &watch->list[i];
        if (now->count == 0 || time - now->last < APART)
            continue;
        if (is_storm(detection, now))
            tell(detection, watch, now, time);
        now->count = 0;
    }
}

static void finish(const struct detection *detection, void *state) {
    struct watch *watch = state;
    nstime last = model_books(detection->model)->last;
    for (size_t i = 0; i < watch->count; i++) {
        struct refreshes *now = &watch->list[i];
        if (is_storm(detection, now))
            tell(detection, watch, now, last);
    }
}

static void dispose(void *state) {
    free(((struct watch *)state)->list);
}

const struct detector detect_refresh_storm = {
    .name = "refresh-storm",
    .help = "clients ask a server for the topology too often",
    .wants = EVENT_BIT(topology_asked) | EVENT_BIT(redirect) | EVENT_BIT(client_error),
    .state = sizeof(struct watch),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
