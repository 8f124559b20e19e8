/* detect_capture_loss.c - we did not see everything: holes in streams, the kernel's drops, packets
 * cut by the snaplen. Every other conclusion of the run is the weaker for it. */
#include <inttypes.h>
#include <stdio.h>

#include "analysis/detector.h"
#include "base/buf.h"

/* Suricata's operators are told to keep drops under one in a hundred; past that, warn. */
enum { WARN_ONE_IN = 100 };

struct loss {
    nstime first, last;
    struct evidence evidence[FINDING_EVIDENCE];
    size_t evidence_count;
    bool any;
};

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    (void)detection;
    struct loss *loss = state;
    if (!loss->any)
        loss->first = event->time;
    loss->any = true;
    loss->last = event->time;
    if (loss->evidence_count < FINDING_EVIDENCE)
        loss->evidence[loss->evidence_count++] = (struct evidence){
            event->frame, event->source, event->time,
            strcmp(event->tcp_gap.why, "lost") == 0 ? "first packet after missing bytes"
                                                    : "packet of the bus that is cut short"};
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
static void explain(const struct model_books *books, const struct run_facts *facts, char *text,
                    size_t room) {
    struct buf buf = {.max = room - 1};
    if (books->gaps)
        buf_printf(&buf,
                   "%" PRIu64 " holes of together %" PRIu64 " bytes in TCP streams were "
                   "acknowledged by their receivers but are not in the capture. ",
                   books->gaps, books->gap_bytes);
    if (facts->kernel_drops)
        buf_printf(&buf, "The capture itself says that %" PRIu64 " packets were dropped. ",
                   facts->kernel_drops);
    if (facts->truncated_packets)
        buf_printf(&buf, "%" PRIu64 " packets were cut short (snaplen). ",
                   facts->truncated_packets);
    if (books->bus_missing_bytes)
        buf_printf(&buf, "%" PRIu64 " bytes of bus connections are missing.",
                   books->bus_missing_bytes);
    (void)snprintf(text, room, "%s", buf.data ? buf.data : "");
    buf_free(&buf);
}

static void finish(const struct detection *detection, void *state) {
    const struct loss *loss = state;
    const struct model_books *books = model_books(detection->model);
    const struct run_facts *facts = detection->facts;
    if (!books->gaps && !facts->kernel_drops && !facts->truncated_packets)
        return;
    struct finding finding = {
        .type = "capture-loss",
        .severity = severity_of(books, facts),
        .confidence = CONFIDENCE_CERTAIN,
        .start = loss->any ? loss->first : books->first,
        .end = loss->any ? loss->last : books->last,
        .verdict = facts->kernel_drops                        ? "kernel-drops"
                   : facts->truncated_packets && !books->gaps ? "snaplen"
                                                              : "unknown",
        .caveats = {"what was lost may have been the message that explains another finding"},
        .advice = {"capture again with a larger kernel buffer (-B) and without a snaplen (-s 0)"},
    };
    (void)snprintf(finding.title, sizeof finding.title,
                   is_bus_hit(books) ? "The capture misses parts of the cluster bus: what it shows "
                                       "is not all that happened"
                                     : "The capture does not show everything");
    explain(books, facts, finding.explanation, sizeof finding.explanation);
    finding_metric(&finding, "gaps", books->gaps);
    finding_metric(&finding, "gap_bytes", books->gap_bytes);
    finding_metric(&finding, "kernel_drops", facts->kernel_drops);
    finding_metric(&finding, "truncated_packets", facts->truncated_packets);
    for (size_t i = 0; i < loss->evidence_count; i++)
        finding_evidence(&finding, loss->evidence[i]);
    detection->report(detection->context, &finding);
}

const struct detector detect_capture_loss = {
    .name = "capture-loss",
    .help = "the capture does not show everything: gaps, kernel drops, cut packets",
    .wants = EVENT_BIT(tcp_gap),
    .state = sizeof(struct loss),
    .event = on_event,
    .finish = finish,
};
