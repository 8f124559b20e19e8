/* detect_cluster_down.c - nodes said that the cluster is down, or answered CLUSTERDOWN.
 *
 * A node says so while a slot has no live owner, or while it cannot reach most primaries. It also
 * says so when it starts, until it knows better: so only a node counts that was well before, in
 * this capture and in this life; or that ran before the capture, if it goes on for longer than a
 * cluster is without all of its slots while it is made. */
#include "analysis/detector.h"
#include "analysis/model_alarms.h"
#include "analysis/model_clients.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES_SHOWN = 8, CLIENTS_TOLD = 16 };

/* Without a word for this long a node is no witness any more; answers this far apart are of two
 * outages; nodes that are well again within this time of each other were so together. */
static const nstime SILENT = 10 * NS_PER_SEC, APART = 2 * NS_PER_SEC, LAG = 1 * NS_PER_SEC,
                    BLIP = 20 * NS_PER_MS, MAKING = 5 * NS_PER_SEC;

/* Whoever has heard from another node within this time is not cut off from it. */
static const nstime IN_TOUCH = 2 * NS_PER_SEC;

struct witness {
    bool well;         /* it has said that the cluster is ok, in this life */
    bool joined;       /* it never has, and ran before the capture */
    nstime changed;    /* when it last changed its mind; what is told later of before is no news */
    bool starting;     /* its port refused connections: a new life has begun, or will */
    bool down;         /* it says that the cluster is down, and was well before */
    bool told;         /* it is one of those who said or answered so in this outage */
    bool answered;     /* its first sign in this outage was an answer */
    bool cut_off;      /* it missed most of the primaries then */
    bool in_touch;     /* it had just heard from most of them when it began, */
    bool reached;      /* and did again after that */
    struct place said; /* that sign */
    nstime until;      /* when it took it back, or answered so last */
    bool on;           /* it has not taken it back, */
    nstime since;      /* since this first sign; */
    nstime until_then; /* when it had, before */
    nstime longest;    /* of those before, in this outage */
    bool vague;        /* it was silent for long before it took it back: it may have sooner */
};

struct outage {
    bool on;
    bool joined;          /* it was so when the capture began */
    nstime start, last;   /* last: of a sign of it */
    nstime taken_back;    /* by the last of those who said so; TIME_NONE: not so, or not by all */
    nstime most_since;    /* more than half of the nodes say so; TIME_NONE: not now */
    nstime most_for;      /* before that */
    uint32_t peak, heard; /* the most who said so at once; nodes that could be heard then */
    uint64_t replies, replies_of_starting;
    struct place first_reply;
    struct endpoint clients[CLIENTS_TOLD];
    size_t client_count;
    uint32_t failed; /* a primary that was held for failed then; NODE_NONE: none */
    bool bereft;     /* a node said so that was not held for failed itself, after that */
};

struct downs {
    struct witness *witnesses; /* by node */
    size_t room;
    struct outage outage;
};

static struct witness *witness_at(struct downs *downs, uint32_t index) {
    size_t wanted = index < downs->room ? downs->room : index + 64;
    struct witness *list = list_up_to(downs->witnesses, &downs->room, wanted, sizeof *list);
    if (!list)
        return NULL;
    downs->witnesses = list;
    return &list[index];
}

/* ---- an outage begins and goes on ---- */

static bool is_held_for_failed(const struct model *model, uint32_t index) {
    const struct alarm *alarm = model_alarm(model, index);
    return alarm && alarm->failed.node != NODE_NONE;
}

static uint32_t failed_primary(const struct model *model) {
    for (uint32_t i = 0; i < model_node_count(model); i++)
        if (is_held_for_failed(model, i) && !model_node(model, i)->replica)
            return i;
    return NODE_NONE;
}

static void tell(const struct detection *detection, struct downs *downs, nstime end);

/* A node says or answers so now; NODE_NONE: some server. Once all have taken it back for a while,
 * that is another outage. */
static struct outage *outage_at(const struct detection *detection, struct downs *downs,
                                uint32_t index, nstime now) {
    struct outage *outage = &downs->outage;
    if (outage->on && outage->taken_back != TIME_NONE && now - outage->taken_back > LAG)
        tell(detection, downs, outage->last);
    if (!outage->on) {
        *outage = (struct outage){.on = true,
                                  .joined = index != NODE_NONE && downs->witnesses[index].joined,
                                  .start = now,
                                  .taken_back = TIME_NONE,
                                  .most_since = TIME_NONE,
                                  .failed = NODE_NONE};
        outage->first_reply = place_none();
        for (size_t i = 0; i < downs->room; i++)
            downs->witnesses[i].told = false;
    }
    if (outage->failed == NODE_NONE)
        outage->failed = failed_primary(detection->model);
    if (outage->failed != NODE_NONE && index != NODE_NONE)
        outage->bereft |= !is_held_for_failed(detection->model, index);
    outage->last = now;
    outage->taken_back = TIME_NONE;
    return outage;
}

static bool is_heard(const struct model *model, uint32_t index, nstime now) {
    nstime last = model_node(model, index)->last_heard;
    return last != TIME_NONE && now - last < SILENT;
}

/* Who says so now: after every change of that. */
static void recount(const struct detection *detection, struct downs *downs, nstime now) {
    struct outage *outage = &downs->outage;
    uint32_t down = 0, heard = 0;
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        down += downs->witnesses[i].down;
        heard += is_heard(detection->model, i, now);
    }
    if (down > outage->peak) {
        outage->peak = down;
        outage->heard = heard;
    }
    bool most = down * 2 > heard;
    if (most == (outage->most_since != TIME_NONE))
        return;
    outage->most_for += most ? 0 : now - outage->most_since;
    outage->most_since = most ? now : TIME_NONE;
}

/* With so many that it cannot reach it holds the cluster for down, whoever owns the slots. */
static bool misses_most(const struct model *model, uint32_t index) {
    uint32_t voters = 0, missed = 0;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool votes = model_is_voter(model, i);
        voters += votes;
        missed += votes && i != index && model_view(model, index, i) != 0;
    }
    return missed * 2 >= voters && missed > 0;
}

/* Did messages of another node arrive there since then? */
static bool has_heard(const struct model *model, uint32_t index, uint32_t other, nstime since) {
    const struct link *own = model_link_between(model, index, other);
    const struct link *its = model_link_between(model, other, index);
    return (own && own->delivered[1].time >= since) || (its && its->delivered[0].time >= since);
}

static bool has_heard_most(const struct model *model, uint32_t index, nstime since) {
    uint32_t voters = 0, heard = 0;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        bool votes = model_is_voter(model, i);
        voters += votes;
        heard += votes && (i == index || has_heard(model, index, i, since));
    }
    return heard * 2 > voters;
}

static void note_told(const struct model *model, struct downs *downs, uint32_t index,
                      struct place place, bool answered) {
    struct witness *witness = &downs->witnesses[index];
    if (!witness->on || !witness->told) {
        witness->since = place.time;
        witness->until_then = witness->until;
    }
    witness->on = true;
    witness->until = place.time;
    if (witness->told)
        return;
    witness->told = true;
    witness->vague = false;
    witness->longest = 0;
    witness->answered = answered;
    witness->cut_off = witness->reached = false;
    witness->in_touch = has_heard_most(model, index, place.time - IN_TOUCH);
    witness->said = place;
}

static void says_down(const struct detection *detection, struct downs *downs, uint32_t index,
                      const struct event *event) {
    struct witness *witness = &downs->witnesses[index];
    (void)outage_at(detection, downs, index, event->time);
    witness->down = true;
    note_told(detection->model, downs, index, place_of(event), false);
    witness->cut_off |= misses_most(detection->model, index);
    recount(detection, downs, event->time);
}

static bool anyone_told(const struct downs *downs) {
    for (size_t i = 0; i < downs->room; i++)
        if (downs->witnesses[i].told)
            return true;
    return false;
}

/* When it did so is in `until`. */
static void takes_back(struct witness *witness) {
    if (witness->on && witness->until - witness->since > witness->longest)
        witness->longest = witness->until - witness->since;
    witness->on = witness->down = false;
}

static bool anyone_says_so(const struct downs *downs) {
    for (size_t i = 0; i < downs->room; i++)
        if (downs->witnesses[i].down)
            return true;
    return false;
}

/* An old message that comes after newer ones, over another connection or behind a hole, looks like
 * a change of mind that is taken back at once. It never was. */
static bool was_blip(struct downs *downs, struct witness *witness, nstime now) {
    if (witness->answered || now - witness->since >= BLIP)
        return false;
    witness->down = false;
    witness->told = witness->said.time < witness->since;
    witness->until = witness->until_then;
    downs->outage.on = downs->outage.replies > 0 || anyone_told(downs);
    return true;
}

static bool ends_long_silence(const struct node *node, nstime now) {
    return node->pause.to == now && now - node->pause.from >= LAG;
}

static void on_state(const struct detection *detection, struct downs *downs, const char *id,
                     bool ok, const struct event *event) {
    uint32_t index = model_index_of(detection->model, id);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (!witness || event->time < witness->changed)
        return;
    witness->changed = event->time;
    if (!ok && (witness->well || witness->joined) && !witness->starting) {
        says_down(detection, downs, index, event);
        return;
    }
    bool over = ok && witness->down && downs->outage.on && !was_blip(downs, witness, event->time);
    witness->until = over ? event->time : witness->until;
    witness->vague |= over && ends_long_silence(model_node(detection->model, index), event->time);
    takes_back(witness);
    witness->well |= ok;
    witness->joined &= !ok;
    witness->starting &= !ok;
    if (!over)
        return;
    downs->outage.last = event->time;
    if (!anyone_says_so(downs))
        downs->outage.taken_back = event->time;
    recount(detection, downs, event->time);
}

/* The first words of a node. */
static void on_heard(const struct detection *detection, struct downs *downs,
                     const struct event *event) {
    const char *id = event->node_heard.node;
    uint32_t index = model_index_of(detection->model, id);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (witness)
        witness->joined = model_node(detection->model, index)->ran_before;
    on_state(detection, downs, id, event->node_heard.state == 0, event);
}

/* Nobody listens there: the node's process is gone. What comes next at the address starts anew. */
static void refused(const struct detection *detection, struct downs *downs,
                    const struct endpoint *addr) {
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        const struct node *node = model_node(detection->model, i);
        bool its = node->addr_known && endpoint_same_ip(&node->addr, addr) &&
                   (addr->port == node->bus_port || addr->port == node->addr.port);
        if (!its)
            continue;
        downs->witnesses[i].starting = true;
        takes_back(&downs->witnesses[i]);
    }
}

/* ---- answers ---- */

/* Who has this address; if several had it, the one that spoke last. */
static uint32_t node_at(const struct model *model, const struct endpoint *addr) {
    uint32_t found = NODE_NONE;
    for (uint32_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (node->addr_known && endpoint_equal(&node->addr, addr) &&
            (found == NODE_NONE || node->last_heard > model_node(model, found)->last_heard))
            found = i;
    }
    return found;
}

static bool has_served(const struct model *model, const struct endpoint *addr) {
    const struct server *server = model_server_at(model, addr);
    for (size_t i = 0; server && i < SERVED; i++)
        if (server->served[i].client)
            return true;
    return false;
}

static void keep_client(struct outage *outage, const struct endpoint *client) {
    for (size_t i = 0; i < outage->client_count; i++)
        if (endpoint_equal(&outage->clients[i], client))
            return;
    if (outage->client_count < CLIENTS_TOLD)
        outage->clients[outage->client_count++] = *client;
}

static void on_error(const struct detection *detection, struct downs *downs,
                     const struct event *event) {
    const struct ev_client_error *error = &event->client_error;
    if (!bytes_equal(error->error, bytes_str("CLUSTERDOWN")))
        return;
    uint32_t index = node_at(detection->model, error->server);
    struct witness *witness = index == NODE_NONE ? NULL : witness_at(downs, index);
    if (!(witness && (witness->well || witness->joined)) &&
        !has_served(detection->model, error->server))
        return; /* it never was well */
    struct outage *outage = outage_at(detection, downs, index, event->time);
    struct place place = place_of(event);
    place.ends_known = true;
    place.ends[0] = *error->server;
    place.ends[1] = *error->client;
    if (outage->replies++ == 0)
        outage->first_reply = place;
    keep_client(outage, error->client);
    if (!witness)
        return;
    outage->replies_of_starting += witness->starting;
    note_told(detection->model, downs, index, place, true);
}

/* ---- the finding ---- */

static enum severity severity_of(const struct detection *detection, const struct outage *outage,
                                 nstime most_for) {
    nstime critical = (nstime)threshold(detection, THRESHOLD_cluster_down) * NS_PER_SEC;
    if (most_for >= critical)
        return SEVERITY_CRITICAL;
    return outage->replies > outage->replies_of_starting ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

/* How long more than half of the nodes said so, by `now`. */
static nstime most_for(const struct outage *outage, nstime now) {
    return outage->most_for + (outage->most_since == TIME_NONE ? 0 : now - outage->most_since);
}

/* How long it said or answered so, at a stretch. */
static nstime length_of(const struct witness *witness, nstime over) {
    nstime last = witness->on ? (witness->down ? over : witness->until) - witness->since : 0;
    return last > witness->longest ? last : witness->longest;
}

/* For whom it lasted longest; NODE_NONE: for no node of the bus. */
static uint32_t longest_down(const struct downs *downs, nstime over) {
    uint32_t longest = NODE_NONE;
    for (uint32_t i = 0; i < downs->room; i++)
        if (downs->witnesses[i].told &&
            (longest == NODE_NONE ||
             length_of(&downs->witnesses[i], over) > length_of(&downs->witnesses[longest], over)))
            longest = i;
    return longest;
}

static void title(const struct detection *detection, struct finding *finding,
                  const struct downs *downs, uint32_t told, nstime over) {
    const struct outage *outage = &downs->outage;
    char longest[DURATION_TEXT], most[DURATION_TEXT], name[ENDPOINT_TEXT], requests[64] = "";
    uint32_t node = longest_down(downs, over);
    const char *up_to = node != NODE_NONE && downs->witnesses[node].vague ? "up to " : "";
    nstime length =
        node == NODE_NONE ? over - outage->start : length_of(&downs->witnesses[node], over);
    nstime by_most = most_for(outage, over);
    finding_duration(length, longest);
    finding_duration(by_most, most);
    if (outage->replies)
        (void)snprintf(requests, sizeof requests, "; %" PRIu64 " request%s answered CLUSTERDOWN",
                       outage->replies, outage->replies == 1 ? " was" : "s were");
    if (node == NODE_NONE)
        endpoint_text(&outage->first_reply.ends[0], name);
    else
        model_node_text(detection->model, node, name);
    if (told <= 1)
        finding_title(finding, "%s held the cluster for down for %s%s%s", name, up_to, longest,
                      requests);
    else if (by_most == 0)
        finding_title(finding, "%" PRIu32 " nodes held the cluster for down, %s for %s%s%s", told,
                      name, up_to, longest, requests);
    else if (length - by_most < LAG)
        finding_title(finding, "The cluster was down for %s%s", most, requests);
    else
        finding_title(finding, "The cluster was down for %s, to %s for %s%s%s", most, name, up_to,
                      longest, requests);
}

/* ---- why ---- */

enum cause {
    CAUSE_STARTED,
    CAUSE_MINORITY,
    CAUSE_OWN_VIEW,
    CAUSE_UNCOVERED,
    CAUSE_NO_MAJORITY,
    CAUSE_UNKNOWN
};

static const struct {
    const char *verdict, *what, *advice; /* advice: NULL, or what helps */
    bool while_it_lasts;                 /* it is of no use later */
} causes[] = {
    [CAUSE_STARTED] = {"restarted",
                       "Its process had just been started: a primary refuses requests until it has "
                       "heard most of the others for some two seconds.",
                       "nothing for this; find out why the process was started anew", false},
    [CAUSE_MINORITY] = {"minority",
                        "The others went on: so speaks a node that cannot reach most of the "
                        "primaries. It refuses requests until it can again.",
                        "look at its network, not at its data: it serves again some seconds after "
                        "it reaches the others",
                        false},
    [CAUSE_OWN_VIEW] = {"slots-uncovered",
                        "The others went on, and it heard from most of the primaries all the time: "
                        "so speaks a node in whose own view a slot has no owner. That is so, for "
                        "one, where it imports a slot whose old owner was replaced meanwhile.",
                        "compare its CLUSTER NODES with that of the others; end or give up what it "
                        "imports (CLUSTER SETSLOT slot NODE id, or STABLE)",
                        true},
    [CAUSE_UNCOVERED] = {"slots-uncovered", NULL,
                         "bring the failed primary back, or a replica of it to power (CLUSTER "
                         "FAILOVER TAKEOVER if no majority is left); do not reset or forget it "
                         "while it has the only copy",
                         true},
    [CAUSE_NO_MAJORITY] = {"no-majority",
                           "Most of those who said so could not reach most of the primaries: no "
                           "node is marked failed or replaced then, and all refuse requests.",
                           "bring back the primaries that are missed, or the network between them: "
                           "the cluster serves again some seconds after most of the primaries hear "
                           "each other",
                           true},
    [CAUSE_UNKNOWN] = {"unknown", NULL, NULL, false},
};

/* The others, so far as they were heard, did not say so, and whoever did missed no owner of slots
 * that most had given up. */
static bool is_minority(const struct outage *outage) {
    return outage->peak * 2 <= outage->heard && !outage->bereft;
}

/* All who said so went on to hear most of the primaries. */
static bool is_view_of_their_own(const struct downs *downs) {
    bool all = true, any = false;
    for (size_t i = 0; i < downs->room; i++) {
        const struct witness *witness = &downs->witnesses[i];
        any |= witness->told;
        all &= !witness->told || (witness->reached && !witness->cut_off);
    }
    return any && all;
}

static enum cause cause_of(const struct downs *downs, uint32_t told) {
    const struct outage *outage = &downs->outage;
    uint32_t cut_off = 0;
    for (size_t i = 0; i < downs->room; i++)
        cut_off += downs->witnesses[i].told && downs->witnesses[i].cut_off;
    if (outage->peak == 0 && outage->replies == outage->replies_of_starting)
        return CAUSE_STARTED;
    if (is_minority(outage))
        return is_view_of_their_own(downs) ? CAUSE_OWN_VIEW : CAUSE_MINORITY;
    if (outage->failed != NODE_NONE)
        return CAUSE_UNCOVERED;
    return cut_off * 2 > told ? CAUSE_NO_MAJORITY : CAUSE_UNKNOWN;
}

static void explain(const struct detection *detection, struct finding *finding,
                    const struct outage *outage, enum cause cause) {
    char name[ENDPOINT_TEXT];
    model_node_text(detection->model, outage->failed, name);
    if (outage->peak && outage->heard == 1)
        finding_explain(finding, "The only node that could be heard said that the cluster state is "
                                 "fail.");
    else if (outage->peak)
        finding_explain(finding,
                        "When it was worst, %" PRIu32 " of the %" PRIu32 " nodes that could be "
                        "heard said that the cluster state is fail.",
                        outage->peak, outage->heard);
    if (cause == CAUSE_UNCOVERED)
        finding_explain(finding,
                        "%s was held for failed, so its slots had no owner; while "
                        "cluster-require-full-coverage is yes, which is the default, that stops "
                        "requests for all slots.",
                        name);
    else if (causes[cause].what)
        finding_explain(finding, "%s", causes[cause].what);
}

static void advise(struct finding *finding, enum cause cause, bool over) {
    if (causes[cause].advice && !(over && causes[cause].while_it_lasts))
        finding_advise(finding, "%s", causes[cause].advice);
}

static uint32_t count_told(const struct downs *downs) {
    uint32_t told = 0;
    for (size_t i = 0; i < downs->room; i++)
        told += downs->witnesses[i].told;
    return told;
}

/* The node that said so first of those that said so at this time or later, but were not told. */
static uint32_t next_to_tell(const struct downs *downs, nstime after, uint32_t last) {
    uint32_t next = NODE_NONE;
    for (uint32_t i = 0; i < downs->room; i++) {
        const struct witness *w = &downs->witnesses[i];
        bool later = w->told && (w->said.time > after || (w->said.time == after && i > last));
        if (later && (next == NODE_NONE || w->said.time < downs->witnesses[next].said.time))
            next = i;
    }
    return next;
}

/* Names all of them, in order of time. */
static void tell_nodes(const struct detection *detection, struct finding *finding,
                       const struct downs *downs) {
    struct value *nodes = value_list(finding_metrics(finding), "nodes");
    uint32_t told = 0, last = NODE_NONE;
    nstime at = INT64_MIN;
    for (uint32_t i; (i = next_to_tell(downs, at, last)) != NODE_NONE; told++) {
        const struct witness *witness = &downs->witnesses[i];
        const char *id = model_node(detection->model, i)->id;
        char name[ENDPOINT_TEXT];
        model_node_text(detection->model, i, name);
        value_node(nodes, NULL, id);
        finding_node(finding, id);
        if (told < NODES_SHOWN)
            finding_evidence(finding, &witness->said, "%s %s", name,
                             witness->answered ? "answers CLUSTERDOWN"
                                               : "says that the state is fail");
        at = witness->said.time;
        last = i;
    }
}

static void tell(const struct detection *detection, struct downs *downs, nstime end) {
    struct outage *outage = &downs->outage;
    nstime over = end == TIME_NONE ? model_books(detection->model)->last : end;
    outage->on = false;
    if (outage->joined && over - outage->start < MAKING)
        return;
    struct finding *finding = finding_new(
        "cluster-down", severity_of(detection, outage, most_for(outage, over)), outage->start);
    uint32_t told = count_told(downs);
    enum cause cause = cause_of(downs, told);
    tell_nodes(detection, finding, downs);
    if (told == 0) /* of a server that is no node of the bus, as far as is known */
        finding_evidence(finding, &outage->first_reply, "the first answer CLUSTERDOWN");
    for (size_t i = 0; i < outage->client_count; i++)
        finding_client(finding, &outage->clients[i]);
    title(detection, finding, downs, told, over);
    explain(detection, finding, outage, cause);
    advise(finding, cause, end != TIME_NONE);
    value_number(finding_metrics(finding), "replies", outage->replies);
    value_ms(finding_metrics(finding), "duration_ms", over - outage->start);
    finding_ends(finding, end, causes[cause].verdict);
    if (outage->joined)
        finding_caveat(finding, "it was down already when the capture began: since when, and why, "
                                "is not known");
    finding_rests_on_unseen(finding);
    detection_report(detection, finding);
}

/* ---- the way of it ---- */

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct downs *downs = state;
    if (event->type == EV_client_error)
        on_error(detection, downs, event);
    else if (event->type == EV_node_state)
        on_state(detection, downs, event->node_state.node, event->node_state.state == 0, event);
    else if (event->type == EV_node_heard)
        on_heard(detection, downs, event);
    else if (event->flow && event->flow->connector != FLOW_CONNECTOR_UNKNOWN)
        refused(detection, downs, &event->flow->ends[!event->flow->connector]);
}

/* Soon after it began to say so, and still did. */
static void note_reached(const struct model *model, struct downs *downs, uint32_t index,
                         nstime now) {
    struct witness *witness = &downs->witnesses[index];
    bool still = witness->told && witness->until - witness->said.time >= LAG;
    if (still && witness->in_touch && now - witness->said.time <= 2 * IN_TOUCH)
        witness->reached |= has_heard_most(model, index, witness->said.time);
}

static nstime last_word(const struct model *model) {
    nstime last = TIME_NONE;
    for (uint32_t i = 0; i < model_node_count(model); i++)
        if (model_node(model, i)->last_heard > last)
            last = model_node(model, i)->last_heard;
    return last;
}

/* Nothing is heard of anybody any more, as on a host whose own process has ended: what was said
 * last holds no longer than that. */
static void end_with_words(const struct detection *detection, struct downs *downs, nstime now) {
    nstime last = last_word(detection->model);
    if (last == TIME_NONE || now - last <= IN_TOUCH)
        return;
    for (uint32_t i = 0; i < downs->room; i++) {
        struct witness *witness = &downs->witnesses[i];
        if (!witness->down)
            continue;
        witness->until = last > witness->since ? last : witness->since;
        takes_back(witness);
    }
    if (downs->outage.most_since != TIME_NONE)
        recount(detection, downs,
                last > downs->outage.most_since ? last : downs->outage.most_since);
}

/* Who still says so; those that have fallen silent do not count. */
static bool anyone_down(const struct detection *detection, struct downs *downs, nstime now) {
    bool any = false;
    for (uint32_t i = 0; i < downs->room && i < model_node_count(detection->model); i++) {
        struct witness *witness = &downs->witnesses[i];
        witness->until = witness->down ? now : witness->until;
        witness->down = witness->down && is_heard(detection->model, i, now);
        witness->cut_off |= witness->down && misses_most(detection->model, i);
        note_reached(detection->model, downs, i, now);
        any |= witness->down;
    }
    return any;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct downs *downs = state;
    end_with_words(detection, downs, now);
    if (downs->outage.on && !anyone_down(detection, downs, now) && now - downs->outage.last > APART)
        tell(detection, downs, downs->outage.last);
}

static void finish(const struct detection *detection, void *state) {
    struct downs *downs = state;
    nstime now = model_books(detection->model)->last;
    if (downs->outage.on)
        tell(detection, downs, anyone_down(detection, downs, now) ? TIME_NONE : downs->outage.last);
}

static void dispose(void *state) {
    free(((struct downs *)state)->witnesses);
}

const struct detector detect_cluster_down = {
    .name = "cluster-down",
    .help = "nodes said that the cluster is down, or answered CLUSTERDOWN",
    .wants = EVENT_BIT(client_error) | EVENT_BIT(node_state) | EVENT_BIT(node_heard) |
             EVENT_BIT(tcp_refused),
    .state = sizeof(struct downs),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
