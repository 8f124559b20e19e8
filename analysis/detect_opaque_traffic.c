/* detect_opaque_traffic.c - TLS connections in the capture: what they carry cannot be judged. It
 * matters when nothing else was there to judge, as with `tls-cluster yes`. */
#include <stdio.h>

#include "analysis/detector.h"

struct opaque {
    bool any;
    struct evidence first;
};

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    (void)detection;
    struct opaque *opaque = state;
    if (!opaque->any)
        opaque->first = (struct evidence){event->frame, event->source, event->time,
                                          "first TLS record of the first such connection"};
    opaque->any = true;
}

static void finish(const struct detection *detection, void *state) {
    const struct opaque *opaque = state;
    const struct model_books *books = model_books(detection->model);
    if (!opaque->any)
        return;
    bool blind = books->bus_flows == 0;
    struct finding finding = {
        .type = "opaque-traffic",
        .severity = blind ? SEVERITY_NOTICE : SEVERITY_INFO,
        .confidence = CONFIDENCE_CERTAIN,
        .start = opaque->first.time,
        .end = books->last,
        .verdict = "tls",
        .advice = {"sizes, times and resets of these connections can still be read in the dump"},
    };
    (void)snprintf(finding.title, sizeof finding.title,
                   blind ? "Everything that could be the cluster bus is encrypted"
                         : "Some connections are encrypted and were not decoded");
    (void)snprintf(finding.explanation, sizeof finding.explanation,
                   "%llu connections with %llu bytes speak TLS. Their contents are not visible to "
                   "a passive reader.",
                   (unsigned long long)books->tls.flows, (unsigned long long)books->tls.bytes);
    finding_metric(&finding, "flows", books->tls.flows);
    finding_metric(&finding, "bytes", books->tls.bytes);
    finding_evidence(&finding, opaque->first);
    detection->report(detection->context, &finding);
}

const struct detector detect_opaque_traffic = {
    .name = "opaque-traffic",
    .help = "TLS connections that cannot be decoded",
    .wants = EVENT_BIT(opaque),
    .state = sizeof(struct opaque),
    .event = on_event,
    .finish = finish,
};
