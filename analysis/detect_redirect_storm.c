/* detect_redirect_storm.c - clients are told again and again what they have been told.
 *
 * What is no news to whom it is told makes a storm; a client that learns is told once, whatever
 * happens to the cluster. An episode lasts until no redirect comes for some seconds; it is a storm
 * if enough of them were no news. Its cause is that of most of these, as the model has it; a target
 * that clients call in vain makes it unreachable. */
#include "analysis/crowd.h"
#include "analysis/detector.h"
#include "analysis/model_addresses.h"
#include "analysis/model_redirects.h"
#include "analysis/pace.h"
#include "decode/slot_set.h"

#include <inttypes.h>

enum { SERVERS_TOLD = 16, TARGETS = 8, VAIN = 3, NAMED_MAX = 80 };

static const nstime APART = 5 * NS_PER_SEC;

static const struct words {
    const char *name;
    enum severity severity;
    const char *title, *why, *advice, *not_advised;
} causes[REDIRECT_CAUSES] = {
    [REDIRECT_STALE] =
        {"stale-clients", SEVERITY_WARNING, "and never learn where the slots are",
         "They go to the same wrong server for each request, with a slot map that they do not "
         "renew.",
         "make these clients renew their slot map on MOVED (a cluster-aware client, its periodic "
         "or adaptive topology refresh switched on); until then restart them",
         "do not move the slots back for their sake: the servers agree and serve well"},
    [REDIRECT_CHANGE] =
        {"topology-change", SEVERITY_NOTICE, "while slots changed hands",
         "The slots had changed hands within the last ten seconds: clients were still learning.",
         "wait; look again if it goes on ten seconds after the last change", NULL},
    [REDIRECT_MIGRATION] =
        {"migration", SEVERITY_NOTICE, "for slots that are being migrated",
         "The slots are being migrated: each request for a key that has gone already is sent on "
         "(ASK), which clients must not remember.",
         "let the migration end; if nobody is at it any more, redis-cli --cluster fix ends it",
         NULL},
    [REDIRECT_SELF] =
        {"self-redirect", SEVERITY_WARNING, "to the server at which they are already",
         "The address that the server names is its own: what it announces does not tell the nodes "
         "apart, or an address translation in between leads clients elsewhere than they think.",
         "compare cluster-announce-ip, -port and -hostname of the nodes with what clients connect "
         "to, and look at whatever translates addresses or names between",
         "restarting clients does not help"},
    [REDIRECT_DISAGREEMENT] =
        {"disagreement", SEVERITY_WARNING, "by servers that disagree",
         "Servers named different owners for one slot at the same time.",
         "compare CLUSTER SLOTS of these servers, look for a partition or an epoch collision; "
         "redis-cli --cluster check names the slots, --cluster fix settles them",
         "do not restart clients: they do what they are told"},
    [REDIRECT_UNREACHABLE] =
        {"unreachable-target", SEVERITY_WARNING, "to a server that they cannot reach",
         "Nobody answers them where they are sent to.",
         "look at the address that the owner of these slots announces (cluster-announce-ip, "
         "CLUSTER NODES), and at the way there from the clients",
         "do not fail over for it: the owner itself may be well"},
};

/* Stale in another way: no slot map would help them where they go. */
static const struct words at_replicas = {
    "stale-clients",
    SEVERITY_WARNING,
    "from replicas to their primary",
    "The servers that they ask are replicas of the owner: a replica serves reads on connections "
    "that have said READONLY, and no writes.",
    "let these clients say READONLY on each connection to a replica (the library's option to read "
    "from replicas), and send their writes to the primary",
    "do not move slots or fail over for it: the servers agree and serve well"};

static const struct words unnamed = {
    "unreachable-target",
    SEVERITY_WARNING,
    "to a server that is not named",
    "The server does not name the host that clients are to go to.",
    "set cluster-announce-hostname on each node, or cluster-preferred-endpoint-type to ip",
    "do not fail over for it: the owner itself may be well"};

static const struct words not_looked_up = {
    "unreachable-target",
    SEVERITY_WARNING,
    "to host names to which they do not go",
    "Not one of these redirects was followed: these clients cannot look the name up, or do not "
    "follow redirects at all.",
    "look the names that CLUSTER SLOTS tells up on a host of these clients (getent hosts NAME): "
    "each cluster-announce-hostname has to be known there; or set cluster-preferred-endpoint-type "
    "to ip",
    "do not fail over for it: the owner itself may be well"};

/* An address that clients were sent to, and attempts to connect to it meanwhile. */
struct target {
    struct endpoint addr;
    uint64_t tried, opened; /* begun; accepted */
    uint64_t vain;          /* refused, or repeated for want of an answer */
    struct place first;     /* of those */
};

struct episode {
    uint64_t moved, ask, again, by_cause[REDIRECT_CAUSES];
    uint64_t by_name;   /* to a host whose name a node announces */
    nstime last, since; /* since: of what is no news */
    struct pace pace;
    struct crowd crowd;
    uint64_t refreshes;             /* of the topology, by hosts of the crowd */
    uint64_t nexts[REDIRECT_NEXTS]; /* when it began */
    uint8_t slots[BUS_SLOT_BYTES];
    struct slot_change change; /* the last one of these slots */
    struct endpoint servers[SERVERS_TOLD];
    size_t server_count, target_count;
    struct target targets[TARGETS];
    char named[NAMED_MAX]; /* a target that is no address, as written; empty: none */
    struct place place, last_place;
};

struct storm {
    struct episode now;
};

static bool is_on(const struct episode *now) {
    return now->moved + now->ask > 0;
}

/* ---- an episode ---- */

static void add_server(struct episode *now, const struct endpoint *server) {
    for (size_t i = 0; i < now->server_count; i++)
        if (endpoint_equal(&now->servers[i], server))
            return;
    if (now->server_count < SERVERS_TOLD)
        now->servers[now->server_count++] = *server;
}

static struct target *target_at(struct episode *now, const struct endpoint *addr) {
    for (size_t i = 0; i < now->target_count; i++)
        if (endpoint_equal(&now->targets[i].addr, addr))
            return &now->targets[i];
    return NULL;
}

static void add_target(struct episode *now, const struct redirect *redirect) {
    const struct target *target = target_at(now, &redirect->target);
    now->by_name += redirect->by_name && redirect->target_known;
    if (!redirect->target_known || redirect->by_name || bytes_begin(redirect->named, ":")) {
        size_t len = min_size(redirect->named.len, NAMED_MAX - 1);
        memcpy(now->named, redirect->named.data, len);
        now->named[len] = '\0';
    }
    if (redirect->target_known && !target && now->target_count < TARGETS)
        now->targets[now->target_count++] = (struct target){.addr = redirect->target};
}

static void begin(struct episode *now, const struct model *model, const struct event *event,
                  uint64_t least) {
    *now = (struct episode){.since = TIME_NONE,
                            .change.owner = NODE_NONE,
                            .pace.least = least,
                            .place = place_of(event)};
    model_redirect_nexts(model, now->nexts);
}

static void add_again(struct episode *now, const struct model *model,
                      const struct redirect *redirect, const struct event *event) {
    struct slot_change change = model_slot_change(model, redirect->slot);
    bool joins = now->since == TIME_NONE || redirect->before < now->since;
    if (now->since == TIME_NONE)
        now->since = event->time;
    now->again++;
    now->by_cause[redirect->cause]++;
    slots_add(now->slots, redirect->slot);
    if (change.at.time > now->change.at.time)
        now->change = change;
    now->last_place = place_of(event);
    add_server(now, &redirect->server);
    crowd_add(&now->crowd, &redirect->client, redirect->introduction, joins);
    pace_add(&now->pace, stamp_of(event));
}

static void on_redirect(const struct detection *detection, struct storm *storm,
                        const struct event *event) {
    const struct redirect *redirect = model_redirect_in_hand(detection->model);
    struct episode *now = &storm->now;
    if (!redirect)
        return;
    if (!is_on(now))
        begin(now, detection->model, event, threshold(detection, THRESHOLD_redirect_storm));
    now->moved += !redirect->ask;
    now->ask += redirect->ask;
    now->last = event->time;
    add_target(now, redirect);
    if (redirect->again)
        add_again(now, detection->model, redirect, event);
}

/* ---- telling it ---- */

/* Clients give up before they repeat a SYN, if they wait for less than a second. */
static bool nobody_answers(const struct model *model, const struct episode *now,
                           const struct target *target) {
    return target->tried >= VAIN && target->opened == 0 &&
           now->last - target->first.time >= REDIRECT_GRACE &&
           !model_server_at(model, &target->addr);
}

static const struct target *in_vain(const struct model *model, const struct episode *now) {
    for (size_t i = 0; i < now->target_count; i++) {
        const struct target *target = &now->targets[i];
        if (target->vain >= VAIN || nobody_answers(model, now, target))
            return target;
    }
    return NULL;
}

static uint64_t attempts_failed(const struct target *target) {
    return target->tried > target->opened ? target->tried - target->opened : target->vain;
}

static uint64_t next_since(const struct model *model, const struct episode *now,
                           enum redirect_next next) {
    uint64_t nexts[REDIRECT_NEXTS];
    model_redirect_nexts(model, nexts);
    return nexts[next] - now->nexts[next];
}

/* No client was seen where it was sent to: it did not go there, or not in this capture. */
static bool nobody_goes(const struct model *model, const struct episode *now) {
    for (size_t i = 0; i < now->target_count; i++)
        if (now->targets[i].tried)
            return false;
    return next_since(model, now, NEXT_FOLLOWED) + next_since(model, now, NEXT_ASKING) == 0;
}

/* Their way to the named server would have been seen, as others' is. */
static bool goes_by_no_name(const struct model *model, const struct episode *now) {
    bool seen = now->by_name > 0 && now->by_name == now->moved + now->ask;
    for (size_t i = 0; seen && i < now->target_count; i++)
        seen = model_server_at(model, &now->targets[i].addr);
    return seen && nobody_goes(model, now);
}

/* What goes on long after a change is no more explained by it. */
static enum redirect_cause main_cause(const struct model *model, const struct episode *now,
                                      uint64_t least) {
    enum redirect_cause most = REDIRECT_STALE;
    for (int cause = 0; cause < REDIRECT_CAUSES; cause++)
        if (now->by_cause[cause] > now->by_cause[most])
            most = (enum redirect_cause)cause;
    if (most == REDIRECT_CHANGE && now->by_cause[REDIRECT_STALE] >= least)
        most = REDIRECT_STALE;
    bool may_be_vain = most == REDIRECT_STALE || most == REDIRECT_CHANGE;
    may_be_vain = may_be_vain && (in_vain(model, now) || goes_by_no_name(model, now));
    return may_be_vain ? REDIRECT_UNREACHABLE : most;
}

static bool is_replica_of_target(const struct model *model, struct episode *now,
                                 const struct endpoint *server) {
    uint32_t index = model_node_at_address(model, server);
    const struct node *node = index == NODE_NONE ? NULL : model_node(model, index);
    uint32_t primary = node && node->replica ? node->primary : NODE_NONE;
    return primary != NODE_NONE && model_node(model, primary)->addr_known &&
           target_at(now, &model_node(model, primary)->addr);
}

/* After a failover the old primary is such a replica, too: then it is the change that they missed.
 */
static const struct words *words_of(const struct model *model, struct episode *now,
                                    enum redirect_cause cause) {
    bool replicas = cause == REDIRECT_STALE && !now->change.at.time && now->server_count > 0;
    for (size_t i = 0; replicas && i < now->server_count; i++)
        replicas = is_replica_of_target(model, now, &now->servers[i]);
    if (cause == REDIRECT_UNREACHABLE && !in_vain(model, now))
        return goes_by_no_name(model, now) ? &not_looked_up : &unnamed;
    return replicas ? &at_replicas : &causes[cause];
}

static void measure(const struct detection *detection, struct finding *finding,
                    const struct episode *now, enum redirect_cause cause) {
    static const char *const names[REDIRECT_NEXTS] = {"followed_with_asking", "followed",
                                                      "repeated", "gave_up"};
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "moved", now->moved);
    value_number(metrics, "ask", now->ask);
    value_number(metrics, "told_again", now->again);
    value_number(metrics, "peak_per_s", pace_peak(&now->pace));
    value_number(metrics, "clients", now->crowd.connections);
    struct value *servers = value_list(metrics, "servers");
    for (size_t i = 0; i < now->server_count; i++) {
        value_addr(servers, NULL, &now->servers[i]);
        finding_addr(finding, &now->servers[i]);
    }
    value_slots(metrics, "slots", now->slots);
    finding_slots(finding, now->slots);
    value_text(metrics, "cause", causes[cause].name);
    value_number(metrics, "refreshes", now->refreshes);
    struct value *next = value_object(metrics, "next");
    for (int i = 0; i < REDIRECT_NEXTS; i++)
        value_number(next, names[i], next_since(detection->model, now, (enum redirect_next)i));
    crowd_tell(&now->crowd, finding);
}

/* Since when, as far as the bus or the answers tell. */
static void explain_change(const struct detection *detection, struct finding *finding,
                           const struct episode *now, enum redirect_cause cause) {
    char before[DURATION_TEXT], owner[ENDPOINT_TEXT];
    const struct slot_change *change = &now->change;
    if (cause != REDIRECT_STALE && cause != REDIRECT_CHANGE)
        return;
    if (!change->at.time) {
        finding_explain(finding, "In this capture the slots did not change hands: the clients are "
                                 "wrong since before it.");
        return;
    }
    nstime ago = now->last_place.time - change->at.time;
    finding_duration(ago, before);
    if (change->owner == NODE_NONE) {
        finding_explain(finding,
                        "The answers changed last %s before the last of "
                        "these redirects.",
                        before);
        return;
    }
    model_node_text(detection->model, change->owner, owner);
    finding_explain(finding,
                    "The last of these slots went to %s %s before the last of these redirects, as "
                    "the bus shows; no owner changed in between.",
                    owner, before);
}

/* It announces one, and its packets come from another. */
static void explain_alias(const struct model *model, struct finding *finding,
                          const struct endpoint *target) {
    const struct told_address *told;
    uint32_t node = model_node_at_address(model, target);
    size_t count = node == NODE_NONE ? 0 : model_addresses(model, node, &told);
    char addr[ENDPOINT_TEXT];
    for (size_t i = 0; i < count; i++) {
        if (endpoint_equal(&told[i].addr, target))
            continue;
        endpoint_text(&told[i].addr, addr);
        finding_explain(finding, "The bus knows that node at %s as well.", addr);
        return;
    }
}

static void explain_target(const struct model *model, struct finding *finding,
                           const struct episode *now, enum redirect_cause cause) {
    const struct target *target = in_vain(model, now);
    char addr[ENDPOINT_TEXT];
    if (now->named[0] == '?')
        finding_explain(finding, "It names \"?\" for the host: so it does if it is to name host "
                                 "names (cluster-preferred-endpoint-type) and the owner announces "
                                 "none (cluster-announce-hostname).");
    else if (now->named[0] == ':')
        finding_explain(finding, "It names a port alone, which means the same host "
                                 "(cluster-preferred-endpoint-type unknown-endpoint): good only "
                                 "where each node has a port of its own.");
    else if (now->named[0] && cause != REDIRECT_UNREACHABLE)
        finding_explain(finding, "The owner is named by a host name, which clients have to look up "
                                 "themselves; an old address that they keep leads here again.");
    if (cause != REDIRECT_UNREACHABLE || !target)
        return;
    endpoint_text(&target->addr, addr);
    finding_addr(finding, &target->addr);
    finding_explain(finding,
                    "They were sent to %s; %" PRIu64 " attempts to connect there failed "
                    "meanwhile.",
                    addr, attempts_failed(target));
    explain_alias(model, finding, &target->addr);
    finding_evidence(finding, &target->first, "the first attempt to connect there that failed");
}

static void explain(const struct detection *detection, struct finding *finding,
                    const struct episode *now, enum redirect_cause cause, const char *why) {
    char who[CROWD_TEXT];
    bool nowhere = cause == REDIRECT_SELF || why == unnamed.why;
    finding_explain(finding, "%s: %" PRIu64 " of %" PRIu64 " redirects %s. %s",
                    crowd_text(&now->crowd, who), now->again, now->moved + now->ask,
                    nowhere ? "led nowhere" : "told a connection what it had been told before",
                    why);
    if (why != at_replicas.why)
        explain_change(detection, finding, now, cause);
    explain_target(detection->model, finding, now, cause);
    if (cause == REDIRECT_STALE && now->refreshes == 0)
        finding_explain(finding, "None of these hosts asked for the topology meanwhile.");
    else if (cause == REDIRECT_STALE)
        finding_explain(finding,
                        "These hosts were told the topology %" PRIu64 " times meanwhile, "
                        "and some of their connections do not go by it.",
                        now->refreshes);
}

/* What leads nowhere did from the first time on. */
static nstime start_of(const struct model *model, const struct episode *now,
                       enum redirect_cause cause) {
    nstime from = pace_from(&now->pace, (struct place){.time = now->since}).time;
    const struct target *target = cause == REDIRECT_UNREACHABLE ? in_vain(model, now) : NULL;
    return target && target->first.time < from ? target->first.time : from;
}

/* Others hear the node there: it has not just died. */
static bool is_heard(const struct model *model, const struct episode *now,
                     const struct target *target) {
    uint32_t index = model_node_at_address(model, &target->addr);
    return index != NODE_NONE && now->last - model_node(model, index)->last_heard < APART;
}

/* Clients that wait for an answer that never comes ask seldom, and are not served for all that. */
static bool goes_on_in_vain(const struct detection *detection, const struct episode *now,
                            enum redirect_cause cause) {
    bool nowhere = cause == REDIRECT_SELF || cause == REDIRECT_UNREACHABLE;
    const struct target *target = in_vain(detection->model, now);
    return nowhere && now->last - now->place.time >= REDIRECT_SETTLING &&
           now->again >= threshold(detection, THRESHOLD_redirect_storm) &&
           (!target || is_heard(detection->model, now, target));
}

static bool is_storm(const struct detection *detection, const struct episode *now,
                     enum redirect_cause cause) {
    uint64_t least = threshold(detection, THRESHOLD_redirect_storm) * PACE_WINDOW;
    bool much = now->pace.peak >= least && now->again > 0;
    return much || goes_on_in_vain(detection, now, cause);
}

static void tell(const struct detection *detection, struct episode *now, nstime last) {
    uint64_t least = threshold(detection, THRESHOLD_redirect_storm) * PACE_WINDOW;
    enum redirect_cause cause = main_cause(detection->model, now, least);
    const struct words *words = words_of(detection->model, now, cause);
    uint64_t clients = now->crowd.connections;
    nstime from = start_of(detection->model, now, cause);
    if (!is_storm(detection, now, cause))
        return;
    struct finding *finding = finding_new("redirect-storm", words->severity, from);
    finding_title(finding,
                  "%" PRIu64 " client connection%s redirected up to %" PRIu64 " times a second, %s",
                  clients, clients == 1 ? " is" : "s are", pace_peak(&now->pace), words->title);
    explain(detection, finding, now, cause, words->why);
    struct place change = place_of_stamp(now->change.at);
    if (change.time)
        finding_evidence(finding, &change, "the last of these slots changes hands");
    finding_evidence(finding, &now->place, "the first redirect");
    finding_evidence(finding, &now->last_place, "the last that was no news");
    finding_advise(finding, "%s", words->advice);
    if (words->not_advised)
        finding_advise(finding, "%s", words->not_advised);
    if (model_books(detection->model)->redirects_over_cap)
        finding_caveat(finding, "there were more clients and slots than are kept apart: some of "
                                "what was told again counts as news");
    measure(detection, finding, now, cause);
    if (words == &not_looked_up)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (words == &causes[REDIRECT_STALE] && nobody_goes(detection->model, now)) {
        finding_doubt(finding, CONFIDENCE_LIKELY);
        finding_caveat(finding,
                       "no client was seen at the server that it was sent to: whether they "
                       "went there and were not let in is not known");
    }
    if (cause == REDIRECT_STALE) /* on there being no ASK, no change, no new map */
        finding_rests_on_unseen(finding);
    /* Redirects that were news to others may go on. */
    nstime end = pace_end(&now->pace, now->last_place.time, last, REDIRECT_GRACE);
    finding_ends(finding, end, words->name);
    detection_report(detection, finding);
}

/* ---- events ---- */

static void on_attempt(struct episode *now, const struct event *event) {
    struct target *target = target_at(now, &event->flow->ends[!event->flow->connector]);
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
    struct episode *now = &((struct storm *)state)->now;
    if (event->type == EV_redirect) {
        on_redirect(detection, state, event);
    } else if (event->type == EV_topology_asked) {
        now->refreshes += crowd_refreshed(&now->crowd, event->topology_asked.client);
    } else if (event->flow && event->flow->connector != FLOW_CONNECTOR_UNKNOWN) {
        on_attempt(now, event);
    }
}

static void on_tick(const struct detection *detection, void *state, nstime time) {
    struct episode *now = &((struct storm *)state)->now;
    if (!is_on(now) || time - now->last < APART)
        return;
    tell(detection, now, time);
    *now = (struct episode){0};
}

static void finish(const struct detection *detection, void *state) {
    struct episode *now = &((struct storm *)state)->now;
    nstime last = model_books(detection->model)->last;
    if (is_on(now))
        tell(detection, now, last);
}

const struct detector detect_redirect_storm = {
    .name = "redirect-storm",
    .help = "clients are told again and again to go elsewhere",
    .wants = EVENT_BIT(redirect) | EVENT_BIT(topology_asked) | EVENT_BIT(tcp_tried) |
             EVENT_BIT(tcp_open) | EVENT_BIT(tcp_unanswered) | EVENT_BIT(tcp_refused),
    .state = sizeof(struct storm),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
