/* detect_redirect_loop.c - a request goes from server to server and back, and nobody serves it.
 *
 * Each redirect comes from the server that the one before it named, for the same slot and the same
 * host, soon after: a chain. A request that is served in between begins anew at the first server,
 * so a chain that goes on is one that does not end. */
#include "analysis/detector.h"
#include "analysis/redirects.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdlib.h>

static const nstime SOON = 1 * NS_PER_SEC;

enum { LOOPS_TOLD = 8 /* rows; the rest is counted */ };

struct loop {
    struct redirects redirects; /* by host and slot; `times` counts the hops of all its loops */
    uint64_t least;             /* hops */
    bool asked;                 /* ASK was among what it was told */
};

static bool goes_on(const struct told *told, const struct event *event) {
    return told->hops > 0 && event->time - told->last <= SOON &&
           endpoint_equal(&told->target, &event->flow->ends[event->direction]);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct loop *loop = state;
    struct endpoint target;
    struct told_key key = {.client = event->flow->ends[!event->direction],
                           .slot = (uint16_t)event->redirect.slot};
    key.client.port = 0;
    if (!redirect_target(event, &target))
        return;
    struct told *told = redirects_at(&loop->redirects, detection->model, &key);
    if (!told)
        return;
    if (!goes_on(told, event) && told->times < threshold(detection, THRESHOLD_redirect_loop)) {
        told->hops = 0;
        told->times = 0;
        told->first = event->time;
        told->place = place_of(event);
    }
    if (told->hops < CHAIN_MAX)
        told->chain[told->hops] = event->flow->ends[event->direction];
    loop->asked |= event->redirect.kind[0] == 'a';
    told->hops++;
    told->times++;
    told->target = target;
    told->last = event->time;
}

static void tell(const struct detection *detection, const struct loop *loop,
                 const struct told *told) {
    char host[ENDPOINT_TEXT];
    endpoint_ip_text(&told->key.client, host);
    struct finding *finding = finding_new("redirect-loop", SEVERITY_WARNING, told->first);
    finding_title(finding,
                  "Requests of %s for slot %u were sent on %" PRIu64
                  " times, from server to server and back",
                  host, told->key.slot, told->times);
    finding_explain(finding, "Each server named the next one, and none of them served the slot.");
    if (loop->asked)
        finding_explain(finding, "ASK was among the answers: the other server serves the slot only "
                                 "to a connection that says ASKING first.");
    finding_advise(finding, loop->asked
                                ? "use a client that sends ASKING before it follows ASK, and "
                                  "let the migration of the slot end"
                                : "compare CLUSTER SLOTS of these servers: they disagree on "
                                  "who owns the slot");
    finding_evidence(finding, &told->place, "the first of them");
    finding_slot(finding, told->key.slot);
    finding_client(finding, &told->place.ends[1]);
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "slot", told->key.slot);
    struct value *chain = value_list(metrics, "chain");
    for (size_t i = 0; i < told->hops && i < CHAIN_MAX; i++)
        value_addr(chain, NULL, &told->chain[i]);
    value_addr(metrics, "client", &told->place.ends[1]);
    value_number(metrics, "hops", told->times);
    finding_ends(finding, told->last, loop->asked ? "ask-ignored" : "disagreement");
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct loop *loop = state;
    size_t told = 0;
    for (size_t i = 0; i < loop->redirects.count && told < LOOPS_TOLD; i++) {
        const struct told *row = &loop->redirects.rows[i];
        if (row->times < threshold(detection, THRESHOLD_redirect_loop))
            continue;
        tell(detection, loop, row);
        told++;
    }
}

static void dispose(void *state) {
    struct loop *loop = state;
    redirects_clear(&loop->redirects);
}

const struct detector detect_redirect_loop = {
    .name = "redirect-loop",
    .help = "a request is sent from server to server and back",
    .wants = EVENT_BIT(redirect),
    .state = sizeof(struct loop),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
