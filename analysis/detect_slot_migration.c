/* detect_slot_migration.c - slots moved from one primary to another, or were to: which, how many
 * keys and bytes, how long that took and held the source up, who asked for it, how it ended. */
#include "analysis/detector.h"
#include "analysis/migration_finding.h"
#include "decode/slot_set.h"

#include <inttypes.h>

static const nstime RUNNING = 2 * NS_PER_SEC;

static bool is_running(const struct detection *detection, const struct migration *m) {
    bool over = m->atomic ? m->handover >= HANDOVER_GRANTED : m->opened && m->open == 0;
    return !over && model_books(detection->model)->last - m->last < RUNNING;
}

/* NULL: nothing that was seen says so. */
static const char *outcome_of(const struct detection *detection, const struct migration *m) {
    bool failed = m->atomic ? m->handover == HANDOVER_BROKEN : m->calls_failed > 0;
    if (model_migration_is_complete(detection->model, m))
        return "completed";
    if (is_running(detection, m))
        return "running";
    if (failed)
        return "failed";
    if (m->handover == HANDOVER_GRANTED)
        return "completed";
    bool told = slots_any(m->given) || m->opened ||
                model_node_at_address(detection->model, &m->target) != NODE_NONE;
    return told ? "unfinished" : NULL;
}

/* Where MIGRATE alone was seen, the keys that it named must do; it may name some that are gone. */
static uint64_t keys_of(const struct migration *m) {
    return m->restores || m->atomic ? m->keys : m->keys_called;
}

static void measure_source(struct finding *finding, const struct migration *m) {
    struct value *metrics = finding_metrics(finding);
    char sum[DURATION_TEXT], longest[DURATION_TEXT];
    if (m->calls == 0)
        return;
    value_number(metrics, "migrate_calls", m->calls);
    value_ms(metrics, "blocked_ms", m->blocked.sum);
    value_ms(metrics, "blocked_longest_ms", m->blocked.max);
    finding_explain(finding,
                    "%" PRIu64 " MIGRATE held the source up for %s in all, %s at the most: it "
                    "serves nobody meanwhile.",
                    m->calls, finding_duration(m->blocked.sum, sum),
                    finding_duration(m->blocked.max, longest));
}

static void measure_atomic(struct finding *finding, const struct migration *m) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "writes", m->writes);
    if (m->paused && m->resumed >= m->paused)
        value_ms(metrics, "paused_ms", m->resumed - m->paused);
    if (m->jobs > 1)
        value_number(metrics, "attempts", m->jobs);
    if (m->thrown.bytes) {
        value_number(metrics, "thrown_keys", m->thrown.keys);
        value_number(metrics, "thrown_bytes", m->thrown.bytes);
    }
}

static void measure(struct finding *finding, const struct migration *m, const char *outcome) {
    struct value *metrics = finding_metrics(finding);
    bool seen = m->restores || m->atomic;
    nstime lasted = m->last - m->first;
    value_slots(metrics, "slots", m->slots);
    value_number(metrics, "slot_count", slots_count(m->slots));
    value_number(metrics, "keys", keys_of(m));
    if (seen || keys_of(m) == 0)
        value_number(metrics, "bytes", m->bytes);
    else
        finding_caveat(finding, "what the source sent to the target was not captured: bytes are "
                                "not known, keys as MIGRATE named them");
    value_ms(metrics, "duration_ms", lasted);
    if (lasted > 0)
        value_number(metrics, "keys_per_s", keys_of(m) * (uint64_t)NS_PER_SEC / (uint64_t)lasted);
    value_text(metrics, "kind", m->atomic ? "atomic" : "migrate");
    if (outcome)
        value_text(metrics, "outcome", outcome);
    else
        finding_caveat(finding, "how it ended was not seen");
    if (m->uncounted)
        finding_caveat(finding,
                       "%" PRIu64 " keys more, past the cap: whether they arrived is not "
                       "known",
                       m->uncounted);
}

static bool is_outcome(const char *outcome, const char *word) {
    return outcome && strcmp(outcome, word) == 0;
}

/* None of their keys had moved before, nor were any moved then. */
static bool were_torn(const struct migration *m) {
    return m->slots_torn > 0 && m->keys == 0 && m->calls == 0;
}

static void title(const struct migration_finding *named, const struct migration *m,
                  const char *outcome, bool stranded) {
    char bytes[BYTES_TEXT], lasted[DURATION_TEXT];
    size_t slots = slots_count(m->slots);
    bool one = slots == 1, open = !outcome || is_outcome(outcome, "running");
    bool ended = !open && !is_outcome(outcome, "completed");
    finding_title(named->finding, "%s%zu slot%s%s from %s to %s%s: %" PRIu64 " keys, %s, in %s%s",
                  ended ? "Moving " : "", slots, one ? "" : "s",
                  ended     ? ""
                  : !open   ? " moved"
                  : outcome ? (one ? " is being moved" : " are being moved")
                  : one     ? " was being moved"
                            : " were being moved",
                  named->source, named->target, ended ? " was not finished" : "", keys_of(m),
                  finding_bytes(m->bytes, bytes), finding_duration(m->last - m->first, lasted),
                  were_torn(m) ? "; their keys are lost"
                  : stranded   ? "; nobody finds them there"
                               : "");
}

static void explain_atomic(struct finding *finding, const struct migration *m) {
    char thrown[BYTES_TEXT];
    finding_explain(finding, "Slots go over at once, on a connection of their own.");
    if (m->thrown.bytes)
        finding_explain(finding,
                        "What came with attempts that broke off, %" PRIu64 " keys of %s, the "
                        "target has thrown away; it is not counted.",
                        m->thrown.keys, finding_bytes(m->thrown.bytes, thrown));
}

static void explain_torn(struct finding *finding, const struct migration *m) {
    finding_explain(finding,
                    "The source had refused to give %" PRIu32 " of them away, for it held keys of "
                    "%s; then the target took the slots by its greater epoch. A server deletes the "
                    "keys of slots that are taken from it: these are lost.",
                    m->slots_torn, m->slots_torn == 1 ? "it" : "them");
    finding_advise(finding,
                   "look for a copy of these keys: a backup of the source, or a replica of "
                   "it that was cut off before");
    value_number(finding_metrics(finding), "slots_with_lost_keys", m->slots_torn);
    if (finding)
        finding->severity = SEVERITY_WARNING;
}

static void explain(struct finding *finding, const struct migration *m) {
    char host[ENDPOINT_TEXT];
    if (m->asked_by_known) {
        endpoint_text(&m->asked_by, host);
        finding_explain(finding, "It was asked for from %s.", host);
        finding_client(finding, &m->asked_by);
    }
    if (m->atomic)
        explain_atomic(finding, m);
    else if (m->restores && m->calls == 0)
        finding_explain(finding, "The source sent the keys to the target; the MIGRATE that asked "
                                 "for it was not seen.");
    else if (m->calls == 0)
        finding_explain(finding, "No key was seen to move: that the slots changed hands is what "
                                 "the bus tells.");
    if (were_torn(m))
        explain_torn(finding, m);
    measure_source(finding, m);
}

static bool came_back(const struct model *model, const struct migration *m) {
    for (size_t i = 0; i < model_migration_count(model); i++) {
        const struct migration *other = model_migration(model, i);
        if (other->keys && other->last > m->first && endpoint_same_ip(&other->source, &m->target) &&
            endpoint_equal(&other->target, &m->source))
            return true;
    }
    return false;
}

/* The source is asked for these keys, and says that there are none. */
static bool are_stranded(const struct detection *detection, const struct migration *m) {
    return !m->atomic && m->keys && m->closed_back && m->open == 0 && !slots_any(m->given) &&
           !model_migration_is_complete(detection->model, m) && !came_back(detection->model, m);
}

static void tell_stranded(const struct migration_finding *named, const struct migration *m) {
    bool one = m->keys == 1;
    finding_explain(named->finding,
                    "The slots were closed and left to the source: %" PRIu64
                    " key%s that had moved "
                    "%s at the target, where nobody is sent, and the source answers as if there "
                    "were none.",
                    m->keys, one ? "" : "s", one ? "is" : "are");
    finding_advise(named->finding,
                   "open the slots again (CLUSTER SETSLOT IMPORTING at %s, MIGRATING "
                   "at %s) and MIGRATE these keys back, or move the rest as well and "
                   "give the slots to %s; until then do not write to them",
                   named->source, named->target, named->target);
    value_number(finding_metrics(named->finding), "keys_stranded", m->keys);
    if (named->finding)
        named->finding->severity = SEVERITY_NOTICE;
}

static void tell(const struct detection *detection, const struct migration *m) {
    const char *outcome = outcome_of(detection, m);
    bool stranded = are_stranded(detection, m);
    struct migration_finding named = migration_finding(detection, "slot-migration", SEVERITY_INFO,
                                                       m->first, &m->source, &m->target);
    struct finding *finding = named.finding;
    title(&named, m, outcome, stranded);
    explain(finding, m);
    measure(finding, m, outcome);
    if (m->atomic)
        measure_atomic(finding, m);
    finding_evidence(finding, &m->place, "the first sign of it");
    if (m->handed.time != TIME_NONE)
        finding_evidence(finding, &m->handed, "the first slot has changed hands, says the bus");
    finding_slots(finding, m->slots);
    if (stranded)
        tell_stranded(&named, m);
    finding_ends(finding, is_outcome(outcome, "running") ? TIME_NONE : m->last,
                 were_torn(m) ? "keys-lost"
                 : stranded   ? "keys-stranded"
                              : "administrative");
    detection_report(detection, finding);
}

/* Slots that were opened and closed again are no migration. */
static bool is_one(const struct migration *m) {
    return m->atomic || m->restores || m->calls || slots_any(m->given);
}

static void look(const struct detection *detection, struct migrations_told *told, nstime now) {
    const struct migration *m;
    while ((m = migration_next_over(detection, told, now)))
        if (is_one(m))
            tell(detection, m);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    look(detection, state, now);
}

static void finish(const struct detection *detection, void *state) {
    look(detection, state, INT64_MAX);
}

const struct detector detect_slot_migration = {
    .name = "slot-migration",
    .help = "slots moved from one primary to another, or were to",
    .state = sizeof(struct migrations_told),
    .tick = on_tick,
    .finish = finish,
};
