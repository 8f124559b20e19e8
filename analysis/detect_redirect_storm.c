/* detect_redirect_storm.c - clients are sent elsewhere again and again.
 *
 * A redirect is news once: a client that is told of a slot by MOVED goes to the other server from
 * then on. In excess is what tells a connection what it has been told a second before, what sends
 * it to the server that says so, and ASK for a slot that has been open for long. An episode lasts
 * until no redirect comes for some seconds; it is a storm if enough of them are in excess. */
#include "analysis/detector.h"
#include "analysis/model_clients.h"
#include "analysis/redirects.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 5 /* seconds */, SERVERS_TOLD = 16, CLIENTS_TOLD = 16, VAIN = 3 };
enum { KIND_MOVED, KIND_ASK, KIND_CLIENT };
enum cause { STALE, CHANGE, OPEN, SELF, DISAGREEMENT, UNREACHABLE, CAUSES };

/* A client may have asked before it was told; a change takes clients that long to learn. */
static const nstime GRACE = 1 * NS_PER_SEC, SETTLING = 10 * NS_PER_SEC, APART = 5 * NS_PER_SEC;

static const struct {
    const char *name;
    enum severity severity;
    const char *title, *why, *advice;
} causes[CAUSES] = {
    [STALE] =
        {"stale-clients", SEVERITY_WARNING, "which do not learn from it",
         "The clients follow each redirect and do not learn from it.",
         "make these clients refresh their slot map on MOVED (CLUSTER SLOTS or CLUSTER SHARDS); "
         "restart those that cannot"},
    [CHANGE] =
        {"topology-change", SEVERITY_NOTICE, "while slots changed hands",
         "The slots had changed hands within the last ten seconds: clients are still learning.",
         "wait; look again if it goes on ten seconds after the last change"},
    [OPEN] =
        {"migration", SEVERITY_NOTICE, "to slots that are being migrated",
         "The slots are being migrated: each request for a key that has gone already is sent on "
         "(ASK), which clients must not remember.",
         "let the migration end (redis-cli --cluster fix, if nobody is at it any more)"},
    [SELF] =
        {"self-redirect", SEVERITY_WARNING, "to the server at which they are",
         "Servers send clients to the address at which they are already: what they announce is "
         "not where clients reach them, or does not tell them apart.",
         "look at cluster-announce-ip and -port, and at whatever translates addresses between"},
    [DISAGREEMENT] =
        {"disagreement", SEVERITY_WARNING, "by servers that disagree",
         "Servers name different owners for one slot at the same time.",
         "compare CLUSTER SLOTS of these servers; look for a partition, or for an epoch "
         "collision"},
    [UNREACHABLE] = {"unreachable-target", SEVERITY_WARNING, "to a server that cannot be reached",
                     "The server that clients are sent to cannot be reached, or is not named.",
                     "look at the address that the nodes announce, and at the way there from the "
                     "clients"},
};

/* What is known of a slot, whoever asked. */
struct slot_news {
    nstime owned;                   /* it changed hands, says the bus; 0: not in this capture */
    nstime asked;                   /* the last ASK; 0: none */
    nstime told;                    /* the last MOVED; 0: none */
    struct endpoint server, target; /* of that */
};

struct episode {
    uint64_t moved, ask, excess, by_cause[CAUSES], vain;
    nstime first, last, since;  /* since: of what is in excess */
    uint64_t ring[WINDOW];      /* in excess, by second */
    int64_t second;             /* of the newest entry */
    uint64_t peak;              /* of a window */
    uint64_t clients, topology; /* topology: requests for it so far, when the episode began */
    uint8_t slots[BUS_SLOT_BYTES];
    nstime owned; /* the last change of one of the slots */
    struct endpoint servers[SERVERS_TOLD], told[CLIENTS_TOLD], target;
    size_t server_count, told_count;
    struct place place, last_place;
};

struct storm {
    struct redirects redirects;
    struct slot_news *slots; /* BUS_SLOTS; NULL: nothing known */
    struct episode now;
};

/* ---- what the bus knows ---- */

static struct slot_news *news_of(struct storm *storm) {
    if (!storm->slots)
        storm->slots = calloc(BUS_SLOTS, sizeof *storm->slots);
    return storm->slots;
}

static void on_slots(struct storm *storm, const struct event *event) {
    const uint8_t *gained = event->node_slots.gained;
    struct slot_news *news = news_of(storm);
    for (size_t slot = 0; news && slot < BUS_SLOTS; slot++)
        if (gained[slot >> 3] & 1u << (slot & 7))
            news[slot].owned = event->time;
}

/* Requests for the topology, by anybody to anybody, so far. */
static uint64_t asked_for_topology(const struct model *model) {
    static const char *const names[] = {"cluster|nodes", "cluster|shards", "cluster|slots"};
    uint64_t asked = 0;
    for (size_t row = 0; row < command_count; row++) {
        bool is = false;
        for (size_t i = 0; i < countof(names); i++)
            is |= strcmp(command_rows[row].name, names[i]) == 0;
        for (size_t i = 0; is && i < model_server_count(model); i++) {
            const struct server *server = model_server(model, i);
            asked += server->commands[row] ? server->commands[row]->requests : 0;
        }
    }
    return asked;
}

/* ---- an episode ---- */

static size_t add_once(struct endpoint *list, size_t count, size_t room,
                       const struct endpoint *one) {
    for (size_t i = 0; i < count; i++)
        if (endpoint_equal(&list[i], one))
            return count;
    if (count < room)
        list[count++] = *one;
    return count;
}

static void count_second(struct episode *now, nstime time) {
    int64_t second = time / NS_PER_SEC;
    if (second - now->second >= WINDOW)
        memset(now->ring, 0, sizeof now->ring);
    else
        for (int64_t at = now->second + 1; at <= second; at++)
            now->ring[at % WINDOW] = 0;
    if (second > now->second)
        now->second = second;
    now->ring[second % WINDOW]++;
    uint64_t sum = 0;
    for (size_t i = 0; i < WINDOW; i++)
        sum += now->ring[i];
    now->peak = sum > now->peak ? sum : now->peak;
}

/* Is it no news to whom it is told? */
static bool is_excess(const struct told *told, nstime now, bool ask) {
    return told->times > 0 && now - told->first >= (ask ? SETTLING : GRACE);
}

static enum cause cause_of(const struct storm *storm, const struct event *event, bool known,
                           const struct endpoint *target) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    const struct slot_news *news = storm->slots ? &storm->slots[event->redirect.slot] : NULL;
    if (known && endpoint_equal(server, target))
        return SELF;
    if (!known && bytes_begin(event->redirect.target, "?"))
        return UNREACHABLE;
    bool open = news && news->asked && event->time - news->asked < GRACE;
    if (event->redirect.kind[0] == 'a' || open) /* back from where ASK without ASKING had led */
        return OPEN;
    bool others = news && known && news->told && event->time - news->told < GRACE &&
                  !endpoint_equal(&news->server, server) && !endpoint_equal(&news->target, target);
    if (others)
        return DISAGREEMENT;
    return news && news->owned && event->time - news->owned < SETTLING ? CHANGE : STALE;
}

static void begin(struct episode *now, const struct model *model, const struct event *event) {
    *now = (struct episode){.first = event->time,
                            .since = TIME_NONE,
                            .topology = asked_for_topology(model),
                            .place = place_of(event)};
}

static void add_client(struct storm *storm, const struct model *model,
                       const struct endpoint *client) {
    struct told_key key = {.client = *client, .kind = KIND_CLIENT};
    struct told *told = redirects_at(&storm->redirects, model, &key);
    if (!told || (told->times && told->first >= storm->now.first))
        return;
    told->times = 1;
    told->first = storm->now.first;
    storm->now.clients++;
    storm->now.told_count = add_once(storm->now.told, storm->now.told_count, CLIENTS_TOLD, client);
}

static void add_excess(struct storm *storm, const struct model *model, const struct event *event,
                       enum cause cause) {
    struct episode *now = &storm->now;
    uint64_t slot = event->redirect.slot;
    now->excess++;
    now->by_cause[cause]++;
    if (now->since == TIME_NONE)
        now->since = event->time;
    now->slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
    if (storm->slots && storm->slots[slot].owned > now->owned)
        now->owned = storm->slots[slot].owned;
    now->last_place = place_of(event);
    now->server_count = add_once(now->servers, now->server_count, SERVERS_TOLD,
                                 &event->flow->ends[event->direction]);
    add_client(storm, model, &event->flow->ends[!event->direction]);
    count_second(now, event->time);
}

/* ---- telling it ---- */

/* What goes on long after a change is no more explained by it. */
static enum cause main_cause(const struct episode *now, uint64_t least) {
    enum cause most = STALE;
    for (int cause = 0; cause < CAUSES; cause++)
        if (now->by_cause[cause] > now->by_cause[most])
            most = (enum cause)cause;
    if (most == CHANGE && now->by_cause[STALE] >= least)
        most = STALE;
    return most == STALE && now->vain >= VAIN ? UNREACHABLE : most;
}

static void measure(struct finding *finding, const struct episode *now, enum cause cause) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "moved", now->moved);
    value_number(metrics, "ask", now->ask);
    value_number(metrics, "told_again", now->excess);
    value_number(metrics, "peak_per_s", now->peak / WINDOW);
    value_number(metrics, "clients", now->clients);
    struct value *servers = value_list(metrics, "servers");
    for (size_t i = 0; i < now->server_count; i++) {
        value_addr(servers, NULL, &now->servers[i]);
        finding_addr(finding, &now->servers[i]);
    }
    value_slots(metrics, "slots", now->slots);
    value_text(metrics, "cause", causes[cause].name);
    finding_slots(finding, now->slots);
    for (size_t i = 0; i < now->told_count; i++)
        finding_client(finding, &now->told[i]);
}

static void explain(const struct detection *detection, struct finding *finding,
                    const struct episode *now, enum cause cause) {
    char since[DURATION_TEXT];
    uint64_t asked = asked_for_topology(detection->model) - now->topology;
    finding_explain(finding,
                    "%" PRIu64 " of %" PRIu64 " redirects told a connection what it had been told "
                    "before. %s",
                    now->excess, now->moved + now->ask, causes[cause].why);
    if (cause == STALE && now->owned)
        finding_explain(finding,
                        "The last of these slots had changed hands %s before the end of it.",
                        finding_duration(now->last - now->owned, since));
    else if (cause == STALE)
        finding_explain(finding, "In this capture these slots did not change hands.");
    finding_explain(finding, "Meanwhile the topology was asked for %" PRIu64 " times.", asked);
}

static void tell(const struct detection *detection, const struct storm *storm, nstime end) {
    const struct episode *now = &storm->now;
    uint64_t least = threshold(detection, THRESHOLD_redirect_storm) * WINDOW;
    enum cause cause = main_cause(now, least);
    if (now->peak < least || now->excess == 0)
        return;
    struct finding *finding = finding_new("redirect-storm", causes[cause].severity, now->since);
    finding_title(finding,
                  "%" PRIu64 " client connection%s redirected up to %" PRIu64 " times a second, %s",
                  now->clients, now->clients == 1 ? " was" : "s were", now->peak / WINDOW,
                  causes[cause].title);
    explain(detection, finding, now, cause);
    finding_evidence(finding, &now->place, "the first redirect");
    finding_evidence(finding, &now->last_place, "the last that was no news");
    finding_advise(finding, "%s", causes[cause].advice);
    if (storm->redirects.left_out)
        finding_caveat(finding, "there were more clients and slots than are kept apart: what these "
                                "were told again is not counted");
    if (cause == STALE) /* no change of owner, no ASK */
        finding_rests_on_unseen(finding);
    measure(finding, now, cause);
    finding_ends(finding, end, causes[cause].name);
    detection_report(detection, finding);
}

/* ---- events ---- */

/* What it was told of the slot before, with this one counted in. True: it was no news. */
static bool remember(struct storm *storm, const struct model *model, const struct event *event,
                     const struct endpoint *target) {
    bool ask = event->redirect.kind[0] == 'a';
    struct told_key key = {.client = event->flow->ends[!event->direction],
                           .slot = (uint16_t)event->redirect.slot,
                           .kind = ask ? KIND_ASK : KIND_MOVED};
    struct told *told = redirects_at(&storm->redirects, model, &key);
    if (!told)
        return false;
    if (!endpoint_equal(&told->target, target))
        told->times = 0; /* it has moved on: news again */
    bool excess = is_excess(told, event->time, ask);
    told->first = told->times++ ? told->first : event->time;
    told->target = *target;
    return excess;
}

static void remember_for_slot(struct storm *storm, const struct event *event,
                              const struct endpoint *target) {
    struct slot_news *news = news_of(storm);
    if (!news)
        return;
    news += event->redirect.slot;
    if (event->redirect.kind[0] == 'a') {
        news->asked = event->time;
        return;
    }
    news->told = event->time;
    news->server = event->flow->ends[event->direction];
    news->target = *target;
}

static void on_redirect(const struct detection *detection, struct storm *storm,
                        const struct event *event) {
    bool ask = event->redirect.kind[0] == 'a';
    struct endpoint target = {0};
    bool known = redirect_target(event, &target);
    if (storm->now.moved + storm->now.ask == 0)
        begin(&storm->now, detection->model, event);
    storm->now.moved += !ask;
    storm->now.ask += ask;
    storm->now.last = event->time;
    storm->now.target = target;
    enum cause cause = cause_of(storm, event, known, &target);
    if (remember(storm, detection->model, event, &target) || cause == SELF || cause == UNREACHABLE)
        add_excess(storm, detection->model, event, cause);
    remember_for_slot(storm, event, &target);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct storm *storm = state;
    if (event->type == EV_node_slots)
        on_slots(storm, event);
    else if (event->type == EV_redirect)
        on_redirect(detection, storm, event);
    else if (storm->now.excess &&
             endpoint_equal(&event->flow->ends[!event->direction], &storm->now.target))
        storm->now.vain++; /* called in vain, or refused by it */
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct storm *storm = state;
    if (storm->now.moved + storm->now.ask == 0 || now - storm->now.last < APART)
        return;
    tell(detection, storm, storm->now.last);
    storm->now = (struct episode){0};
}

static void finish(const struct detection *detection, void *state) {
    struct storm *storm = state;
    nstime last = model_books(detection->model)->last;
    if (storm->now.moved + storm->now.ask)
        tell(detection, storm, last - storm->now.last < GRACE ? TIME_NONE : storm->now.last);
}

static void dispose(void *state) {
    struct storm *storm = state;
    redirects_clear(&storm->redirects);
    free(storm->slots);
}

const struct detector detect_redirect_storm = {
    .name = "redirect-storm",
    .help = "clients are sent elsewhere again and again",
    .wants = EVENT_BIT(redirect) | EVENT_BIT(node_slots) | EVENT_BIT(tcp_unanswered) |
             EVENT_BIT(tcp_refused),
    .state = sizeof(struct storm),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
