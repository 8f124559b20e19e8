/* cluster_down_finding.c - how long the cluster was down, to whom, and why. */
#include "analysis/cluster_down.h"
#include "analysis/model_clients.h"

#include <inttypes.h>
#include <stdio.h>

enum { NODES_SHOWN = 8 };

/* For longer than this a cluster is not without all of its slots while it is made. */
static const nstime MAKING = 5 * NS_PER_SEC;

static enum severity severity_of(const struct detection *detection, const struct outage *outage,
                                 nstime most_for) {
    nstime critical = (nstime)threshold(detection, THRESHOLD_cluster_down) * NS_PER_SEC;
    if (most_for >= critical)
        return SEVERITY_CRITICAL;
    return outage->replies > outage->replies_of_starting ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

/* How long more than half of the nodes said so, by `now`, as far as is known. */
static nstime most_for(const struct outage *outage, nstime now) {
    return outage_may_be_of_a_side(outage)
               ? 0
               : outage->most_for +
                     (outage->most_since == TIME_NONE ? 0 : now - outage->most_since);
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
    else if (length - by_most < OUTAGE_LAG)
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
    CAUSE_OF_A_SIDE,
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
    [CAUSE_OF_A_SIDE] = {"unknown",
                         "Of most of the others nothing was heard: whether they were down as well, "
                         "or went on without these, is not known.",
                         "look from one of the others", true},
    [CAUSE_UNKNOWN] = {"unknown", NULL, NULL, false},
};

/* The others, so far as they were heard, did not say so, and whoever did missed no owner of slots
 * that most had given up. Or they were heard only later, and were well: a primary that was down, or
 * has just been started, says so for half a second more. */
static bool is_minority(const struct outage *outage) {
    return (outage->peak * 2 <= outage->heard && !outage->bereft) ||
           (outage_may_be_of_a_side(outage) && outage->others_well);
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
    if (outage_may_be_of_a_side(outage))
        return CAUSE_OF_A_SIDE;
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

/* ---- the finding ---- */

void cluster_down_tell(const struct detection *detection, struct downs *downs, nstime end) {
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
