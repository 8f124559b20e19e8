/* redirect_storm_finding.c - the finding: how many redirects were no news, to whom, where they led,
 * since when. */
#include <inttypes.h>

#include "analysis/model_addresses.h"
#include "analysis/redirect_storm.h"

static uint64_t attempts_failed(const struct storm_target *target) {
    return target->tried > target->opened ? target->tried - target->opened : target->vain;
}

static void measure(const struct detection *detection, struct finding *finding,
                    const struct redirect_storm *storm, enum redirect_cause cause) {
    static const char *const names[REDIRECT_NEXTS] = {"followed_with_asking", "followed",
                                                      "repeated", "gave_up"};
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "moved", storm->moved);
    value_number(metrics, "ask", storm->ask);
    value_number(metrics, "told_again", storm->again);
    value_number(metrics, "peak_per_s", pace_peak(&storm->pace));
    value_number(metrics, "clients", storm->crowd.connections);
    struct value *servers = value_list(metrics, "servers");
    for (size_t i = 0; i < storm->server_count; i++) {
        value_addr(servers, NULL, &storm->servers[i]);
        finding_addr(finding, &storm->servers[i]);
    }
    value_slots(metrics, "slots", storm->slots);
    finding_slots(finding, storm->slots);
    value_text(metrics, "cause", storm_words[cause].name);
    value_number(metrics, "refreshes", storm->refreshes);
    struct value *next = value_object(metrics, "next");
    for (int i = 0; i < REDIRECT_NEXTS; i++)
        value_number(next, names[i], storm_next(detection->model, storm, (enum redirect_next)i));
    crowd_tell(&storm->crowd, finding);
}

/* Since when, as far as the bus or the answers tell. */
static void explain_change(const struct detection *detection, struct finding *finding,
                           const struct redirect_storm *storm, enum redirect_cause cause) {
    char before[DURATION_TEXT], owner[ENDPOINT_TEXT];
    const struct slot_change *change = &storm->change;
    if (cause != REDIRECT_STALE && cause != REDIRECT_CHANGE)
        return;
    if (!change->at.time) {
        finding_explain(finding, "In this capture the slots did not change hands: the clients are "
                                 "wrong since before it.");
        return;
    }
    nstime ago = storm->last_place.time - change->at.time;
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
                           const struct redirect_storm *storm, enum redirect_cause cause) {
    const struct storm_target *target = storm_in_vain(model, storm);
    char addr[ENDPOINT_TEXT];
    if (storm->named[0] == '?')
        finding_explain(finding, "It names \"?\" for the host: so it does if it is to name host "
                                 "names (cluster-preferred-endpoint-type) and the owner announces "
                                 "none (cluster-announce-hostname).");
    else if (storm->named[0] == ':')
        finding_explain(finding, "It names a port alone, which means the same host "
                                 "(cluster-preferred-endpoint-type unknown-endpoint): good only "
                                 "where each node has a port of its own.");
    else if (storm->named[0] && cause != REDIRECT_UNREACHABLE)
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
                    const struct redirect_storm *storm, enum redirect_cause cause, unsigned kind) {
    char who[CROWD_TEXT];
    bool nowhere = cause == REDIRECT_SELF || kind == STORM_UNNAMED;
    finding_explain(finding, "%s: %" PRIu64 " of %" PRIu64 " redirects %s. %s",
                    crowd_text(&storm->crowd, who), storm->again, storm->moved + storm->ask,
                    nowhere ? "led nowhere" : "told a connection what it had been told before",
                    storm_words[kind].why);
    if (kind != STORM_AT_REPLICAS)
        explain_change(detection, finding, storm, cause);
    explain_target(detection->model, finding, storm, cause);
    if (cause == REDIRECT_STALE && storm->refreshes == 0)
        finding_explain(finding, "None of these hosts asked for the topology meanwhile.");
    else if (cause == REDIRECT_STALE)
        finding_explain(finding,
                        "These hosts were told the topology %" PRIu64 " times meanwhile, "
                        "and some of their connections do not go by it.",
                        storm->refreshes);
}

/* What leads nowhere did from the first time on. */
static nstime start_of(const struct model *model, const struct redirect_storm *storm,
                       enum redirect_cause cause) {
    nstime from = pace_from(&storm->pace, (struct place){.time = storm->since}).time;
    const struct storm_target *target =
        cause == REDIRECT_UNREACHABLE ? storm_in_vain(model, storm) : NULL;
    return target && target->first.time < from ? target->first.time : from;
}

/* Others hear the node there: it has not just died. */
static bool is_heard(const struct model *model, const struct redirect_storm *storm,
                     const struct storm_target *target) {
    uint32_t index = model_node_at_address(model, &target->addr);
    return index != NODE_NONE && storm->last - model_node(model, index)->last_heard < STORM_APART;
}

/* Clients that wait for an answer that never comes ask seldom, and are not served for all that. */
static bool goes_on_in_vain(const struct detection *detection, const struct redirect_storm *storm,
                            enum redirect_cause cause) {
    bool nowhere = cause == REDIRECT_SELF || cause == REDIRECT_UNREACHABLE;
    const struct storm_target *target = storm_in_vain(detection->model, storm);
    return nowhere && storm->last - storm->place.time >= REDIRECT_SETTLING &&
           storm->again >= threshold(detection, THRESHOLD_redirect_storm) &&
           (!target || is_heard(detection->model, storm, target));
}

static bool is_storm(const struct detection *detection, const struct redirect_storm *storm,
                     enum redirect_cause cause) {
    uint64_t least = threshold(detection, THRESHOLD_redirect_storm) * PACE_WINDOW;
    bool much = storm->pace.peak >= least && storm->again > 0;
    return much || goes_on_in_vain(detection, storm, cause);
}

void redirect_storm_tell(const struct detection *detection, struct redirect_storm *storm,
                         nstime last) {
    uint64_t least = threshold(detection, THRESHOLD_redirect_storm) * PACE_WINDOW;
    enum redirect_cause cause = storm_cause(detection->model, storm, least);
    unsigned kind = storm_kind(detection->model, storm, cause);
    const struct storm_words *words = &storm_words[kind];
    uint64_t clients = storm->crowd.connections;
    nstime from = start_of(detection->model, storm, cause);
    if (!is_storm(detection, storm, cause))
        return;
    struct finding *finding = finding_new("redirect-storm", words->severity, from);
    finding_title(finding,
                  "%" PRIu64 " client connection%s redirected up to %" PRIu64 " times a second, %s",
                  clients, clients == 1 ? " is" : "s are", pace_peak(&storm->pace), words->title);
    explain(detection, finding, storm, cause, kind);
    struct place change = place_of_stamp(storm->change.at);
    if (change.time)
        finding_evidence(finding, &change, "the last of these slots changes hands");
    finding_evidence(finding, &storm->place, "the first redirect");
    finding_evidence(finding, &storm->last_place, "the last that was no news");
    finding_advise(finding, "%s", words->advice);
    if (words->not_advised)
        finding_advise(finding, "%s", words->not_advised);
    if (model_books(detection->model)->redirects_over_cap)
        finding_caveat(finding, "there were more clients and slots than are kept apart: some of "
                                "what was told again counts as news");
    measure(detection, finding, storm, cause);
    if (kind == STORM_NOT_LOOKED_UP)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (kind == REDIRECT_STALE && storm_nobody_goes(detection->model, storm)) {
        finding_doubt(finding, CONFIDENCE_LIKELY);
        finding_caveat(finding,
                       "no client was seen at the server that it was sent to: whether they "
                       "went there and were not let in is not known");
    }
    if (cause == REDIRECT_STALE) /* on there being no ASK, no change, no new map */
        finding_rests_on_unseen(finding);
    /* Redirects that were news to others may go on. */
    nstime end = pace_end(&storm->pace, storm->last_place.time, last, REDIRECT_GRACE);
    finding_ends(finding, end, words->name);
    detection_report(detection, finding);
}
