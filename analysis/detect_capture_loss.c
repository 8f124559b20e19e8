/* detect_capture_loss.c - we did not see everything: holes in streams, the kernel's drops, packets
 * cut by the snaplen. Every other conclusion of the run is the weaker for it. */
#include <inttypes.h>

#include "analysis/detector.h"

/* Suricata's operators are told to keep drops under one in a hundred; past that, warn. */
enum { WARN_ONE_IN = 100, PROOFS = 4 };

struct loss {
    nstime first, last;
    struct {
        struct place place;
        bool lost; /* else cut short */
    } proofs[PROOFS];
    size_t proof_count;
    bool any;
};

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    (void)detection;
    struct loss *loss = state;
    if (!loss->any)
        loss->first = event->time;
    loss->any = true;
    loss->last = event->time;
    if (loss->proof_count == PROOFS)
        return;
    loss->proofs[loss->proof_count].place = place_of(event);
    loss->proofs[loss->proof_count++].lost = strcmp(event->tcp_gap.why, "lost") == 0;
}

/* One byte in a hundred of the bus is enough to miss the message that matters. */
static bool is_bus_hit(const struct model_books *books) {
    return books->bus_missing_bytes * WARN_ONE_IN > books->bus_bytes;
}

static enum severity severity_of(const struct model_books *books, const struct run_facts *facts) {
    uint64_t seen = books->bus_bytes + books->resp.bytes + books->other.bytes + books->tls.bytes;
    bool much = books->gap_bytes * WARN_ONE_IN > seen || facts->kernel_drops > 0;
    return much || is_bus_hit(books) ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

/* What was lost, one sentence for each way. */
static void explain(struct finding *finding, const struct model_books *books,
                    const struct run_facts *facts) {
    if (books->gaps)
        finding_explain(finding,
                        "%" PRIu64 " holes of together %" PRIu64 " bytes in TCP streams were "
                        "acknowledged by their receivers but are not in the capture.",
                        books->gaps, books->gap_bytes);
    if (facts->kernel_drops)
        finding_explain(finding, "The capture itself says that %" PRIu64 " packets were dropped.",
                        facts->kernel_drops);
    if (facts->truncated_packets)
        finding_explain(finding, "%" PRIu64 " packets were cut short (snaplen).",
                        facts->truncated_packets);
    if (books->bus_missing_bytes)
        finding_explain(finding, "%" PRIu64 " bytes of bus connections are missing.",
                        books->bus_missing_bytes);
}

static void measure(struct finding *finding, const struct model_books *books,
                    const struct run_facts *facts) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "gaps", books->gaps);
    value_number(metrics, "gap_bytes", books->gap_bytes);
    value_number(metrics, "kernel_drops", facts->kernel_drops);
    value_number(metrics, "truncated_packets", facts->truncated_packets);
}

static void finish(const struct detection *detection, void *state) {
    const struct loss *loss = state;
    const struct model_books *books = model_books(detection->model);
    const struct run_facts *facts = detection->facts;
    if (!books->gaps && !facts->kernel_drops && !facts->truncated_packets)
        return;
    struct finding *finding = finding_new("capture-loss", severity_of(books, facts),
                                          loss->any ? loss->first : books->first);
    finding_title(finding, is_bus_hit(books)
                               ? "The capture misses parts of the cluster bus: what it shows is "
                                 "not all that happened"
                               : "The capture does not show everything");
    explain(finding, books, facts);
    measure(finding, books, facts);
    for (size_t i = 0; i < loss->proof_count; i++)
        finding_evidence(finding, &loss->proofs[i].place, "%s",
                         loss->proofs[i].lost ? "first packet after missing bytes"
                                              : "packet of the bus that is cut short");
    finding_caveat(finding,
                   "what was lost may have been the message that explains another finding");
    finding_advise(finding,
                   "capture again with a larger kernel buffer (-B) and without a snaplen (-s 0)");
    finding_ends(finding, loss->any ? loss->last : books->last,
                 facts->kernel_drops                        ? "kernel-drops"
                 : facts->truncated_packets && !books->gaps ? "snaplen"
                                                            : "unknown");
    detection_report(detection, finding);
}

const struct detector detect_capture_loss = {
    .name = "capture-loss",
    .help = "the capture does not show everything: gaps, kernel drops, cut packets",
    .wants = EVENT_BIT(tcp_gap),
    .state = sizeof(struct loss),
    .event = on_event,
    .finish = finish,
};
