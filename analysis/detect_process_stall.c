/* detect_process_stall.c - a process stopped, its kernel did not: what it was sent is acknowledged
 * and not answered, and it says nothing to anybody. Found also when it was too short for a PFAIL,
 * and by clients alone: where all stand still at once, nobody is left to send a PING. One that
 * ended on the host of the capture is of this kind, too (process_end.c). */
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/model_clients.h"
#include "analysis/model_orders.h"
#include "analysis/model_slow.h"
#include "analysis/process_end.h"
#include "analysis/verdict.h"
#include "base/list.h"

struct stall {
    uint32_t node;
    bool over;
    bool died; /* its port refuses: it had ended, and somebody kept its connections for a while */
    nstime since, end;   /* its last sign of life, the next one */
    struct stamp last;   /* its last message on the bus */
    struct stamp acked;  /* an acknowledgement meanwhile */
    struct stamp closed; /* it closed its connections: it had ended, and another one was started
                            that answered nobody yet; TIME_NONE: it did not */
    struct stamp waited; /* the reply to a client that waited for all that time */
    uint32_t witnesses;  /* nodes that it left waiting, at most, at a time */
    nstime looked_at;
    uint32_t seen; /* witnesses then */
    const struct command *command;
    bool clients; /* one of them waited for it, too */
    bool joined;  /* it was not heard before: so it was when the capture began, perhaps for long */
    bool lossy;   /* acknowledgements of a witness were late: its path loses packets */
    enum { WAS_LAST, WAS_FIRST, IS_UNANSWERED } command_is; /* answered before; after; never */
    double share;                                           /* IS_UNANSWERED: model_slow.h */
};

struct stalls {
    struct stall *list;
    uint32_t count, room;
    struct process_ends ends;
};

enum {
    STALLS_MAX = 1024,
    CLOSES_ALL = 2 /* connections: who closes one only may have had its reasons */
};

/* A PING that its kernel has had for so long and it does not answer; its connections still stand.
 */
static bool is_ignored(const struct model *model, const struct link *link, nstime now,
                       nstime least) {
    return link_has_got(link) && now - link->got_at >= least &&
           link->closed[1].time < link->waiting.time && link->knocks.refused == 0 &&
           process_last_sign(model, link->to) < link->waiting.time;
}

/* ---- the list ---- */

static struct stall *open_of(const struct stalls *stalls, uint32_t node) {
    for (size_t i = stalls->count; i-- > 0;)
        if (stalls->list[i].node == node)
            return stalls->list[i].over ? NULL : &stalls->list[i];
    return NULL;
}

static struct stall *add(struct stalls *stalls) {
    struct stall *list = stalls->count < STALLS_MAX ? list_with_room(stalls->list, stalls->count,
                                                                     &stalls->room, sizeof *list)
                                                    : NULL;
    if (!list)
        return NULL;
    stalls->list = list;
    return &list[stalls->count++];
}

/* One that was never heard has been silent since somebody waits for it, at least. */
static struct stall *begin(const struct detection *detection, struct stalls *stalls,
                           const struct link *link) {
    uint32_t node = link->to;
    nstime last = process_last_sign(detection->model, node);
    const struct server *server = process_server(detection->model, node);
    uint32_t closes = 0;
    struct stamp closed = {.time = TIME_NONE};
    if (last != TIME_NONE)
        closed = process_closes(detection->model, node, last, &closes);
    if (closes < CLOSES_ALL)
        closed.time = TIME_NONE;
    struct stall *stall = add(stalls);
    if (!stall)
        return NULL;
    *stall = (struct stall){.node = node,
                            .joined = last == TIME_NONE,
                            .since = last == TIME_NONE ? link->waiting.time : last,
                            .end = TIME_NONE,
                            .closed = closed,
                            .last = model_node(detection->model, node)->spoke,
                            .waited = {.time = TIME_NONE},
                            .command = server ? server->last_command : NULL};
    return stall;
}

/* ---- its end ---- */

/* The first thing that it said again. What it answers first had been asked before it stopped, or is
 * what it was busy with. */
static void conclude(const struct model *model, struct stall *stall) {
    const struct node *node = model_node(model, stall->node);
    const struct server *server = process_server(model, stall->node);
    nstime spoke = process_pause_end(&node->pause, stall->since);
    nstime served = server ? process_pause_end(&server->pause, stall->since) : TIME_NONE;
    stall->over = true;
    stall->end = spoke == TIME_NONE || (served != TIME_NONE && served < spoke) ? served : spoke;
    if (stall->end == TIME_NONE)
        stall->end = process_last_sign(model, stall->node);
    const struct pause *wait = server ? &server->wait : NULL;
    stall->clients = wait && wait->to > 0 && wait->from >= stall->since && wait->to > stall->since;
    bool whole = stall->closed.time == TIME_NONE && !stall->joined; /* of one process, to its end */
    if (!whole)
        return;
    if (server && served != TIME_NONE && server->pause_command &&
        server->pause_asked <= stall->since + PAUSE_MIN_MS * NS_PER_MS) {
        stall->command = server->pause_command;
        stall->command_is = WAS_FIRST;
    }
}

/* ---- by clients alone ---- */

/* Which of the two silences lasted for all that time? NULL: neither. A shorter one may have come
 * since the long one. */
static const struct pause *covering(const struct pause *pause, const struct pause *lull,
                                    const struct pause *wait) {
    const struct pause *each[] = {pause, lull};
    nstime slack = PAUSE_MIN_MS * NS_PER_MS;
    for (size_t i = 0; i < countof(each); i++)
        if (each[i]->from <= wait->from + slack && each[i]->to >= wait->to - slack)
            return each[i];
    return NULL;
}

static bool is_known(const struct stalls *stalls, uint32_t node, nstime from) {
    for (size_t i = 0; i < stalls->count; i++)
        if (stalls->list[i].node == node && (!stalls->list[i].over || stalls->list[i].end > from))
            return true;
    return false;
}

/* A client waited for long, and all that time its server said nothing to anybody. */
static void look_at_wait(const struct model *model, struct stalls *stalls, uint32_t index,
                         nstime least) {
    const struct node *node = model_node(model, index);
    const struct server *server = process_server(model, index);
    if (!server || !server->wait_had || server->wait.to - server->wait.from < least ||
        is_known(stalls, index, server->wait.from))
        return;
    const struct pause *mute = covering(&node->pause, &node->lull, &server->wait);
    const struct pause *idle = covering(&server->pause, &server->lull, &server->wait);
    if (!mute || !idle)
        return;
    struct stall *stall = add(stalls);
    if (!stall)
        return;
    nstime slack = PAUSE_MIN_MS * NS_PER_MS;
    *stall = (struct stall){.node = index,
                            .over = true,
                            .since = later(mute->from, idle->from),
                            .end = mute->to < idle->to ? mute->to : idle->to,
                            .last = node->before_pause,
                            .acked = {.time = TIME_NONE},
                            .closed = {.time = TIME_NONE},
                            .waited = server->wait_over,
                            .command = server->pause_command,
                            .clients = true};
    if (stall->command && server->pause_asked <= stall->since + slack)
        stall->command_is = WAS_FIRST;
    if (stall->last.time > stall->since)
        stall->last.time = TIME_NONE;
}

static void look_at_waits(const struct detection *detection, struct stalls *stalls) {
    nstime least = (nstime)threshold(detection, THRESHOLD_process_stall) * NS_PER_MS;
    for (uint32_t i = 0; i < model_node_count(detection->model); i++)
        look_at_wait(detection->model, stalls, i, least);
}

static void note_witness(struct stall *stall, const struct link *link, nstime now) {
    stall->acked = link->delivered[0];
    stall->lossy |= link_is_lossy(link, now);
    stall->seen = stall->looked_at == now ? stall->seen + 1 : 1;
    stall->looked_at = now;
    if (stall->seen > stall->witnesses)
        stall->witnesses = stall->seen;
}

/* ---- what it was busy with ---- */

/* A big reply is complete some time after others that were asked for together with it. */
static const nstime REPLY_TIME = 30 * NS_PER_SEC;

/* Several were asked for before it fell silent and are answered together, in any order: the head of
 * the line is the one whose calls take long, if one of them does. */
static void look_for_command(const struct model *model, struct stall *stall, nstime now) {
    const struct server *server = process_server(model, stall->node);
    if (!stall->over || stall->died || stall->joined || stall->closed.time != TIME_NONE ||
        !server || now - stall->end > REPLY_TIME)
        return;
    const struct slow_call *call = model_slow_culprit(server, stall->since, stall->end);
    nstime slack = PAUSE_MIN_MS * NS_PER_MS;
    if (!call || call->over - call->busy > stall->since + slack)
        return;
    stall->command = call->command;
    stall->command_is = WAS_FIRST;
}

/* A request that it had, when it fell silent, and never answered. */
static void on_event(const struct detection *detection, void *state, const struct event *event) {
    const struct ev_unanswered *unanswered = &event->unanswered;
    const struct endpoint *addr = &event->flow->ends[!event->direction];
    const struct model *model = detection->model;
    const struct server *server = model_server_at(model, addr);
    struct stall *stall = open_of(state, model_node_at_address(model, addr));
    nstime asked = (nstime)unanswered->asked, slack = PAUSE_MIN_MS * NS_PER_MS;
    if (!unanswered->command || !server || !stall || stall->closed.time != TIME_NONE ||
        asked < stall->since - slack || asked > stall->since + slack)
        return;
    double share = model_slow_share(server, unanswered->command);
    if (share <= stall->share)
        return;
    stall->command = unanswered->command;
    stall->command_is = IS_UNANSWERED;
    stall->share = share;
}

/* A child that it had forked (to save, or for a replica) keeps the connections of a process that
 * has ended, until it ends, too. */
static void look_for_end(const struct model *model, struct stall *stall) {
    if (stall->over)
        return;
    if (process_last_sign(model, stall->node) > stall->since)
        conclude(model, stall);
    else if (model_node(model, stall->node)->knocks.refused)
        stall->over = stall->died = true;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct stalls *stalls = state;
    const struct model *model = detection->model;
    nstime least = (nstime)threshold(detection, THRESHOLD_process_stall) * NS_PER_MS;
    for (size_t i = 0; i < stalls->count; i++) {
        look_for_end(model, &stalls->list[i]);
        look_for_command(model, &stalls->list[i], now);
    }
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (!is_ignored(model, link, now, least))
            continue;
        struct stall *stall = open_of(stalls, link->to);
        if (!stall)
            stall = begin(detection, stalls, link);
        if (stall)
            note_witness(stall, link, now);
    }
    look_at_waits(detection, stalls);
    process_ends_tick(detection, &stalls->ends, now);
}

/* ---- telling it ---- */

/* What happened to the process. */
struct why {
    const char *did, *what, *advice, *verdict;
};

static const struct why stood_still = {
    "stood still",
    "Its kernel acknowledged what it was sent, but it answered nobody: it was stopped, busy with "
    "one long command, forking or swapped out.",
    "look at its slow log, at latency of fork, at swap and at CPU steal for this time",
    "process-stalled"};

static const struct why was_told = {
    "stood still",
    "Its kernel acknowledged what it was sent, but it answered nobody: it had been told to "
    "(DEBUG).",
    "nothing, if this was meant; do not use DEBUG where others wait for the server",
    "administrative"};

static const struct why was_restarted = {
    "ended, and the next one answered nobody",
    "It closed its connections, as a process does only when it ends. Then its port was open again "
    "and its kernel acknowledged what it was sent, but nobody was answered: so it is while a new "
    "process loads its data.",
    "look at its log: why the old process ended, and how long the new one loaded its data",
    "process-died"};

static const struct why was_shut_down = {
    "was told to end, and the next one answered nobody",
    "It closed its connections, as it had been told to end (SHUTDOWN). Then its port was open "
    "again and its kernel acknowledged what it was sent, but nobody was answered: so it is while "
    "a new process loads its data.",
    "nothing, if this was meant; before a primary is stopped, let a replica take over (CLUSTER "
    "FAILOVER)",
    "administrative"};

static const struct order *order_of(const struct model *model, const struct stall *stall) {
    if (stall->closed.time != TIME_NONE)
        return model_order(model, stall->node, ORDER_SHUTDOWN, stall->since - NS_PER_SEC,
                           stall->closed.time + NS_PER_SEC);
    return model_order(model, stall->node, ORDER_SLEEP, stall->since + PAUSE_MIN_MS * NS_PER_MS,
                       stall->since + NS_PER_SEC);
}

static const struct why *why_of(const struct model *model, const struct stall *stall) {
    if (stall->closed.time != TIME_NONE)
        return order_of(model, stall) ? &was_shut_down : &was_restarted;
    return order_of(model, stall) ? &was_told : &stood_still;
}

static void tell_command(const struct stall *stall, struct finding *finding) {
    if (!stall->command) {
        finding_caveat(finding, "no command was seen that it answered before");
        return;
    }
    value_text(finding_metrics(finding), "last_command", stall->command->name);
    static const struct {
        const char *begins, *ends;
    } says[] = {
        [WAS_LAST] = {"The last command that it answered before was ", ""},
        [WAS_FIRST] = {"Of the first answers that it gave again one was to ",
                       ", asked before it fell silent: it may have been busy with that"},
        [IS_UNANSWERED] = {"Before it fell silent it had been asked for ",
                           ", and never answered: it may be busy with that"},
    };
    finding_explain(finding, "%s%s%s.", says[stall->command_is].begins, stall->command->name,
                    says[stall->command_is].ends);
}

static void tell_proof(const struct stall *stall, struct finding *finding) {
    struct place last = place_of_stamp(stall->last), acked = place_of_stamp(stall->acked);
    struct place closed = place_of_stamp(stall->closed), waited = place_of_stamp(stall->waited);
    finding_evidence(finding, &last, "its last message on the bus");
    finding_evidence(finding, &closed, "it closes the first of its bus connections");
    finding_evidence(finding, &acked, "its kernel acknowledges a PING that it did not answer");
    finding_evidence(finding, &waited, "its answer to a client that had waited all that time");
}

/* Its answers may have been lost on the way to the only one that was seen to wait. */
static bool is_alone(const struct stall *stall) {
    return stall->witnesses < 2 && !stall->clients;
}

/* How many stood still for most of the same time, this one included. */
static size_t at_once(const struct stalls *stalls, const struct stall *one, nstime end) {
    size_t count = 0;
    for (size_t i = 0; i < stalls->count; i++) {
        const struct stall *other = &stalls->list[i];
        nstime until = other->over ? other->end : end;
        nstime from = other->since > one->since ? other->since : one->since;
        nstime to = until < end ? until : end;
        count += (to - from) * 2 > end - one->since && (to - from) * 2 > until - other->since;
    }
    return count;
}

static void tell(const struct detection *detection, const struct stalls *stalls,
                 const struct stall *stall) {
    const struct model *model = detection->model;
    nstime end = stall->over ? stall->end : model_books(model)->last;
    char name[ENDPOINT_TEXT];
    model_node_text(model, stall->node, name);
    bool alone = is_alone(stall);
    const struct why *why = why_of(model, stall);
    nstime long_one = 2 * (nstime)threshold(detection, THRESHOLD_process_stall) * NS_PER_MS;
    struct finding *finding = finding_new(
        "process-stall",
        alone || end - stall->since < long_one ? SEVERITY_NOTICE : SEVERITY_WARNING, stall->since);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "The process at %s %s for %s%.1f s", name, why->did,
                  stall->joined ? "at least " : "",
                  (double)(end - stall->since) / (double)NS_PER_SEC);
    if (stall->joined)
        finding_caveat(finding, "it was never heard before: it was silent when the capture began, "
                                "and since when is not known");
    finding_explain(finding, "%s", why->what);
    finding_rule_out(finding, "host or network down: its kernel acknowledged what it was sent");
    value_node(finding_metrics(finding), "node", model_node(model, stall->node)->id);
    value_ms(finding_metrics(finding), "duration_ms", end - stall->since);
    tell_command(stall, finding);
    tell_proof(stall, finding);
    finding_node(finding, model_node(model, stall->node)->id);
    finding_advise(finding, "%s", why->advice);
    size_t together = at_once(stalls, stall, end);
    if (together > 1)
        finding_advise(finding,
                       "%zu processes stood still at the same time: look at what they "
                       "share, a host, its hypervisor or a disk",
                       together);
    if (alone) {
        finding_caveat(finding, "only one node was seen to wait for it: its answers may have been "
                                "lost on the way there");
        finding_doubt(finding, CONFIDENCE_POSSIBLE);
    }
    finding_rests_on_unseen(finding);
    order_tell(order_of(model, stall), finding);
    finding_ends(finding, stall->over ? stall->end : TIME_NONE, why->verdict);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    struct stalls *stalls = state;
    look_at_waits(detection, stalls);
    for (size_t i = 0; i < stalls->count; i++) {
        struct stall *stall = &stalls->list[i];
        look_for_end(detection->model, stall);
        look_for_command(detection->model, stall, model_books(detection->model)->last);
        if (!stall->died && (!is_alone(stall) || !stall->lossy))
            tell(detection, stalls, stall);
    }
    process_ends_tell(detection, &stalls->ends);
}

static void dispose(void *state) {
    free(((struct stalls *)state)->list);
}

const struct detector detect_process_stall = {
    .name = "process-stall",
    .help = "a process stopped answering while its kernel went on",
    .wants = EVENT_BIT(unanswered),
    .state = sizeof(struct stalls),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
