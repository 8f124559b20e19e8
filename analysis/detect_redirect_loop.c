/* detect_redirect_loop.c - a request goes from server to server and back, and nobody serves it.
 *
 * Each redirect comes from the server that the one before named, for the same slot and host, within
 * a second. A request that is served begins anew at the first server, so a chain that goes on does
 * not end. */
#include "analysis/detector.h"
#include "analysis/model_redirects.h"

#include <inttypes.h>

enum { LOOPS = 64 /* of a host and a slot; of further ones nothing is kept */, LOOPS_TOLD = 8 };

struct loop {
    struct redirect_chain chain;      /* the longest */
    struct introduction introduction; /* of the client; empty: not known */
    uint64_t chains, hops;            /* of all of them */
    nstime last;
};

struct loops {
    struct loop list[LOOPS];
    size_t count;
};

static struct loop *loop_of(struct loops *loops, const struct redirect *redirect) {
    for (size_t i = 0; i < loops->count; i++) {
        struct loop *loop = &loops->list[i];
        if (loop->chain.slot == redirect->slot &&
            endpoint_same_ip(&loop->chain.client, &redirect->client))
            return loop;
    }
    if (loops->count == LOOPS)
        return NULL;
    struct loop *loop = &loops->list[loops->count++];
    loop->chain = *redirect->chain;
    if (redirect->introduction)
        loop->introduction = *redirect->introduction;
    return loop;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct loops *loops = state;
    const struct redirect *redirect = model_redirect_in_hand(detection->model);
    uint64_t least = threshold(detection, THRESHOLD_redirect_loop);
    if (!redirect || !redirect->chain || redirect->chain->hops < least)
        return;
    struct loop *loop = loop_of(loops, redirect);
    if (!loop)
        return;
    bool begins = redirect->chain->hops == least || loop->chains == 0;
    loop->chains += begins;
    loop->hops += begins ? redirect->chain->hops : 1;
    loop->last = event->time;
    if (redirect->chain->hops > loop->chain.hops) {
        struct place first = loop->chain.place;
        loop->chain = *redirect->chain;
        loop->chain.place = first;
    }
}

/* ---- telling it ---- */

/* ASK was followed without ASKING. */
static bool by_asking(const struct loop *loop) {
    return loop->chain.asks > 0 && loop->chain.turned_off == 0;
}

/* It was followed as it should be, and its target sent that away. */
static bool is_not_imported(const struct loop *loop) {
    return loop->chain.asks > 0 && loop->chain.turned_off > 0;
}

static bool at_one_server(const struct loop *loop) {
    return endpoint_equal(&loop->chain.servers[0], &loop->chain.servers[1]);
}

static const char *verdict_of(const struct loop *loop) {
    return by_asking(loop)         ? "ask-ignored"
           : is_not_imported(loop) ? "not-importing"
           : at_one_server(loop)   ? "self-redirect"
                                   : "disagreement";
}

static void explain(struct finding *finding, const struct loop *loop) {
    char servers[2][ENDPOINT_TEXT];
    endpoint_text(&loop->chain.servers[0], servers[0]);
    endpoint_text(&loop->chain.servers[1], servers[1]);
    if (at_one_server(loop))
        finding_explain(finding, "%s named itself each time, and did not serve the slot.",
                        servers[0]);
    else
        finding_explain(finding, "%s sent it to %s, and so on; nobody served the slot.", servers[0],
                        servers[1]);
    if (by_asking(loop))
        finding_explain(finding, "ASK was among the answers: the server that it names serves the "
                                 "slot only to a request right behind ASKING, and sends all "
                                 "others back by MOVED.");
    if (is_not_imported(loop))
        finding_explain(finding,
                        "ASK was among the answers, and the client did send ASKING: the server "
                        "that ASK names does not import the slot (any more): it has been started "
                        "again, or is a replica by now.");
}

static void advise(struct finding *finding, const struct loop *loop) {
    if (by_asking(loop)) {
        finding_advise(finding, "use a client that sends ASKING before it follows ASK; let the "
                                "migration of the slot end");
        finding_advise(finding, "do not just restart the client: it will do the same as long as "
                                "the slot is open");
    } else if (is_not_imported(loop)) {
        finding_advise(finding, "the migration of the slot has lost its target: redis-cli "
                                "--cluster fix, or CLUSTER SETSLOT slot STABLE at the server that "
                                "answers ASK, once the keys that had moved are accounted for");
    } else if (at_one_server(loop)) {
        finding_advise(finding, "compare what the node announces (cluster-announce-ip, -port) with "
                                "the address that the client connects to");
    } else {
        finding_advise(finding, "compare CLUSTER SLOTS of these servers: they disagree on who "
                                "owns the slot; redis-cli --cluster fix settles it");
    }
}

static void measure(struct finding *finding, const struct loop *loop) {
    const struct redirect_chain *longest = &loop->chain;
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "slot", longest->slot);
    struct value *chain = value_list(metrics, "chain");
    for (size_t i = 0; i < longest->hops && i < CHAIN_SERVERS; i++) {
        value_addr(chain, NULL, &longest->servers[i]);
        finding_addr(finding, &longest->servers[i]);
    }
    value_addr(metrics, "client", &longest->client);
    if (loop->introduction.name[0])
        value_key(metrics, "client_name", bytes_str(loop->introduction.name));
    if (loop->introduction.library[0])
        value_wire(metrics, "library", bytes_str(loop->introduction.library));
    value_number(metrics, "hops", longest->hops);
    value_number(metrics, "chains", loop->chains);
    value_number(metrics, "redirects", loop->hops);
}

static void tell(const struct detection *detection, const struct loops *loops,
                 const struct loop *loop) {
    char host[ENDPOINT_TEXT];
    endpoint_ip_text(&loop->chain.client, host);
    struct finding *finding =
        finding_new("redirect-loop", SEVERITY_WARNING, loop->chain.place.time);
    finding_title(finding,
                  "Requests of %s for slot %u are sent from server to server and back, up to "
                  "%" PRIu32 " times, and not served",
                  host, loop->chain.slot, loop->chain.hops);
    explain(finding, loop);
    advise(finding, loop);
    if (loops->count > LOOPS_TOLD)
        finding_caveat(finding,
                       "there are %zu such loops or more, by host and slot; only the "
                       "first %d are told",
                       loops->count, (int)LOOPS_TOLD);
    finding_evidence(finding, &loop->chain.place, "the first of these redirects");
    finding_slot(finding, loop->chain.slot);
    finding_client(finding, &loop->chain.client);
    measure(finding, loop);
    finding_ends(finding, loop->last, verdict_of(loop));
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct loops *loops = state;
    for (size_t i = 0; i < loops->count && i < LOOPS_TOLD; i++)
        tell(detection, loops, &loops->list[i]);
}

const struct detector detect_redirect_loop = {
    .name = "redirect-loop",
    .help = "a request is sent from server to server and back",
    .wants = EVENT_BIT(redirect),
    .state = sizeof(struct loops),
    .event = on_event,
    .finish = finish,
};
