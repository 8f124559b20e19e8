/* detect_node_suspected.c - a node was suspected (PFAIL) and never marked failed: nobody agreed, or
 * it answered again in time. What a node says that is cut off from most others counts little. */
#include "analysis/suspicion.h"

static bool only_from_cut_ones(const struct suspicion *suspicion) {
    for (size_t i = 0; i < suspicion->reporter_count; i++)
        if (!suspicion->reporters[i].itself_cut)
            return false;
    return true;
}

static void measure(const struct detection *detection, const struct suspicion *suspicion,
                    struct finding *finding) {
    const struct model_books *books = model_books(detection->model);
    nstime over = suspicion_end(suspicion), end = over == TIME_NONE ? books->last : over;
    struct value *metrics = finding_metrics(finding);
    value_node(metrics, "node", model_node(detection->model, suspicion->subject)->id);
    value_ms(metrics, "duration_ms", end - suspicion->begin.time);
}

static void advise(const struct suspicion *suspicion, struct finding *finding) {
    enum verdict_kind kind = suspicion->verdict.kind;
    bool over = suspicion_end(suspicion) != TIME_NONE;
    if (kind == VERDICT_PROCESS_DIED)
        finding_advise(finding, "look at its log and at the kernel's (out of memory, a crash)%s",
                       over ? "" : "; start it again, if nobody does");
    else if (kind == VERDICT_ADMINISTRATIVE)
        finding_advise(finding, "nothing, if this was meant");
    else if (!over)
        finding_advise(finding, "look at its process, its host and the way there now: it is "
                                "suspected still, and could be marked failed");
    else
        finding_advise(finding, "no action is due for the node itself; look for what made it "
                                "silent before the next time is longer");
}

static void tell(const struct detection *detection, struct suspicion *suspicion) {
    char name[ENDPOINT_TEXT];
    verdict_settle(detection->model, suspicion->subject, &suspicion->verdict);
    bool cut = only_from_cut_ones(suspicion);
    model_node_text(detection->model, suspicion->subject, name);
    struct finding *finding = finding_new(
        "node-suspected", cut ? SEVERITY_NOTICE : SEVERITY_WARNING, suspicion->begin.time);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "%s was suspected, but not marked failed: %s", name,
                  verdict_word(suspicion->verdict.kind));
    verdict_tell(&suspicion->verdict, finding);
    if (cut)
        finding_explain(finding, "Only nodes said so that suspected most of the others as well, or "
                                 "were suspected by several themselves: it is they who were cut "
                                 "off, or stood still.");
    measure(detection, suspicion, finding);
    suspicion_tell(detection, suspicion, finding);
    finding_node(finding, model_node(detection->model, suspicion->subject)->id);
    finding_rests_on_unseen(finding);
    finding->quiet_if_caused = true;
    advise(suspicion, finding);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct suspicions *suspicions = state;
    for (size_t i = 0; i < suspicions->count; i++)
        if (!suspicion_failed(suspicions->list[i]))
            tell(detection, suspicions->list[i]);
}

const struct detector detect_node_suspected = {
    .name = "node-suspected",
    .help = "a node was suspected (PFAIL) and never marked failed",
    .wants = SUSPICION_WANTS,
    .state = sizeof(struct suspicions),
    .event = suspicions_event,
    .tick = suspicions_tick,
    .finish = finish,
    .dispose = suspicions_free,
};
