/* detect_opaque_traffic.c - TLS connections in the capture: what they carry cannot be judged. It
 * matters when nothing else was there to judge, as with `tls-cluster yes`. */
#include <inttypes.h>

#include "analysis/detector.h"

struct opaque {
    bool any;
    struct place first;
};

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    (void)detection;
    struct opaque *opaque = state;
    if (!opaque->any)
        opaque->first = place_of(event);
    opaque->any = true;
}

static void finish(const struct detection *detection, void *state) {
    const struct opaque *opaque = state;
    const struct model_books *books = model_books(detection->model);
    if (!opaque->any)
        return;
    bool blind = books->bus_flows == 0;
    struct finding *finding =
        finding_new("opaque-traffic", blind ? SEVERITY_NOTICE : SEVERITY_INFO, opaque->first.time);
    struct value *metrics = finding_metrics(finding);
    finding_title(finding, blind ? "Everything that could be the cluster bus is encrypted"
                                 : "Some connections are encrypted and were not decoded");
    finding_explain(finding,
                    "TLS connections: %" PRIu64 ", with %" PRIu64 " bytes. Their contents are not "
                    "visible to a passive reader.",
                    books->tls.flows, books->tls.bytes);
    finding_advise(finding,
                   "sizes, times and resets of these connections can still be read in the dump");
    finding_evidence(finding, &opaque->first, "first TLS record of the first such connection");
    value_number(metrics, "flows", books->tls.flows);
    value_number(metrics, "bytes", books->tls.bytes);
    finding_ends(finding, books->last, "tls");
    detection_report(detection, finding);
}

const struct detector detect_opaque_traffic = {
    .name = "opaque-traffic",
    .help = "TLS connections that cannot be decoded",
    .wants = EVENT_BIT(opaque),
    .state = sizeof(struct opaque),
    .event = on_event,
    .finish = finish,
};
