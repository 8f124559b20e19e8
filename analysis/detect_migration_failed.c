/* detect_migration_failed.c - MIGRATE ended in an error, and keys may now be on both sides; or
 * slots that should have moved at once did not.
 *
 * The source deletes a key when it has read the target's answer. If it gives up first (IOERR), the
 * target still carries out what has arrived; the next try finds these keys there (BUSYKEY). If the
 * target refuses AUTH or SELECT it takes the keys all the same, and the source deletes none. */
#include "analysis/detector.h"
#include "analysis/migration_finding.h"
#include "decode/slot_set.h"

#include <inttypes.h>
#include <stdio.h>

enum { KEYS_LISTED = 1000, TIMES_TEXT = 32, LEFT_TEXT = 48 };

/* ---- the keys ---- */

struct sums {
    uint64_t at_risk, both, both_bytes, left;
    uint8_t slots[BUS_SLOT_BYTES];
    struct value *list; /* of those on both; NULL: not wanted yet */
};

static void add_key(void *context, const struct doubtful *doubtful) {
    struct sums *sums = context;
    sums->at_risk++;
    slots_add(sums->slots, doubtful->slot);
    if (!doubtful->both)
        return;
    if (sums->list && sums->both < KEYS_LISTED)
        value_key(sums->list, NULL, doubtful->key);
    sums->both++;
    sums->both_bytes += doubtful->bytes;
    sums->left += !doubtful->gone;
}

static void measure_keys(const struct detection *detection, struct finding *finding,
                         const struct migration *m, struct sums *sums) {
    struct value *metrics = finding_metrics(finding);
    sums->list = value_keyed_list(metrics, "keys");
    model_migration_doubtful(detection->model, m, add_key, sums);
    sums->at_risk += m->keys_unseen;
    value_number(metrics, "keys_at_risk", sums->at_risk);
    if (m->keys_unseen) {
        finding_caveat(finding, "what the source sent to the target was not captured: which of "
                                "the keys arrived is not known");
        return;
    }
    value_number(metrics, "keys_on_both", sums->both);
    value_number(metrics, "bytes_on_both", sums->both_bytes);
    value_number(metrics, "keys_on_both_at_end", sums->left);
    if (sums->both > KEYS_LISTED)
        finding_caveat(finding, "%d of the keys are listed", (int)KEYS_LISTED);
}

/* ---- telling it ---- */

static uint64_t errors_named(const struct migration *m, const char *word) {
    for (uint32_t i = 0; i < m->errors.count; i++)
        if (strcmp(m->errors.list[i].word, word) == 0)
            return m->errors.list[i].count;
    return 0;
}

static void list_errors(struct finding *finding, const struct migration *m) {
    struct value *errors = value_object(finding_metrics(finding), "errors");
    for (uint32_t i = 0; i < m->errors.count; i++)
        value_number(errors, m->errors.list[i].word, m->errors.list[i].count);
}

static const char *verdict_of(const struct migration *m) {
    return m->atomic                        ? "broken-off"
           : m->refused_first               ? "login-refused"
           : errors_named(m, "IOERR")       ? "timeout"
           : errors_named(m, "BUSYKEY") > 0 ? "key-exists"
                                            : "refused";
}

static const char *left_text(const struct sums *sums, char text[LEFT_TEXT]) {
    if (sums->left == sums->both)
        return "they still were";
    (void)snprintf(text, LEFT_TEXT, "%" PRIu64 " of them still %s", sums->left,
                   sums->left == 1 ? "was" : "were");
    return sums->left ? text : "none of them was any more";
}

static void explain(struct finding *finding, const struct migration *m, const struct sums *sums) {
    char bytes[BYTES_TEXT], left[LEFT_TEXT];
    if (errors_named(m, "IOERR"))
        finding_explain(finding,
                        "The source gave up waiting (IOERR: %" PRIu64
                        "); the target carries out all the same what has reached it.",
                        errors_named(m, "IOERR"));
    if (m->refused_first)
        finding_explain(finding,
                        "The target refused AUTH or SELECT and took the keys all the same; the "
                        "source then deletes none of them.");
    if (sums->both)
        finding_explain(finding,
                        "%" PRIu64 " key%s on both sides, %s twice; when that was last seen, %s.",
                        sums->both, sums->both == 1 ? " was" : "s were",
                        finding_bytes(sums->both_bytes, bytes), left_text(sums, left));
    else if (sums->at_risk && !m->keys_unseen)
        finding_explain(finding, "Whether the target has these keys was not seen.");
    if (errors_named(m, "BUSYKEY"))
        finding_explain(finding,
                        "Later tries ended because the target had keys already (BUSYKEY: %" PRIu64
                        ").",
                        errors_named(m, "BUSYKEY"));
    if (sums->both > 0 && sums->both == sums->at_risk && sums->left == 0)
        finding_advise(finding, "nothing is left to do for these keys; the next time %s",
                       m->refused_first ? "give MIGRATE the password that the target asks for, and "
                                          "none if it asks for none"
                                        : "fewer keys for each MIGRATE, or a longer timeout");
    else if (sums->at_risk)
        finding_advise(finding,
                       "repeat MIGRATE with REPLACE for the keys of these slots, with %s; do not "
                       "close the slots with SETSLOT NODE before, or what is left at the source is "
                       "lost",
                       m->refused_first ? "the password that the target asks for, if it does"
                                        : "a longer timeout");
}

static void explain_atomic(struct finding *finding, const struct migration *m) {
    finding_explain(finding,
                    "The connection ended, or one side gave up, before the target took the slots "
                    "over. They are the source's as before; what the target had got by then it "
                    "throws away.");
    finding_advise(finding, "see the source's log, and CLUSTER GETSLOTMIGRATIONS, for why%s",
                   m->jobs > 1 ? "; it was tried more than once" : "");
}

static enum severity severity_of(const struct migration *m, const struct sums *sums) {
    return m->atomic || sums->at_risk == 0 ? SEVERITY_NOTICE : SEVERITY_WARNING;
}

static void title(const struct migration_finding *named, const struct migration *m,
                  const struct sums *sums) {
    struct finding *finding = named->finding;
    char times[TIMES_TEXT] = "once";
    if (m->calls_failed > 1)
        (void)snprintf(times, sizeof times, "%" PRIu64 " times", m->calls_failed);
    if (m->atomic)
        finding_title(finding, "Slots of %s did not move to %s: the migration broke off",
                      named->source, named->target);
    else if (sums->both)
        finding_title(finding, "MIGRATE from %s to %s failed %s; %" PRIu64 " key%s on both",
                      named->source, named->target, times, sums->both,
                      sums->both == 1 ? " was" : "s were");
    else
        finding_title(finding, "MIGRATE from %s to %s failed %s; %" PRIu64 " key%s may be on both",
                      named->source, named->target, times, sums->at_risk,
                      sums->at_risk == 1 ? "" : "s");
}

static void tell(const struct detection *detection, const struct migration *m) {
    const struct place *place = m->failed.time == TIME_NONE ? &m->place : &m->failed;
    struct migration_finding named = migration_finding(
        detection, "migration-failed", SEVERITY_NOTICE, place->time, &m->source, &m->target);
    struct finding *finding = named.finding;
    struct sums sums = {0};
    list_errors(finding, m);
    measure_keys(detection, finding, m, &sums);
    title(&named, m, &sums);
    if (m->atomic)
        explain_atomic(finding, m);
    else
        explain(finding, m, &sums);
    finding_evidence(finding, place,
                     m->failed.time == TIME_NONE ? "the first sign of it" : "the first error");
    finding_slots(finding, m->atomic ? m->slots : sums.slots);
    finding_ends(finding, m->last, verdict_of(m));
    if (finding)
        finding->severity = severity_of(m, &sums);
    detection_report(detection, finding);
}

static bool has_failed(const struct detection *detection, const struct migration *m) {
    return m->atomic
               ? m->handover == HANDOVER_BROKEN && !model_migration_is_complete(detection->model, m)
               : by_word_sum(&m->errors) > 0;
}

static void look(const struct detection *detection, struct migrations_told *told, nstime now) {
    const struct migration *m;
    while ((m = migration_next_over(detection, told, now)))
        if (has_failed(detection, m))
            tell(detection, m);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    look(detection, state, now);
}

static void finish(const struct detection *detection, void *state) {
    look(detection, state, INT64_MAX);
}

const struct detector detect_migration_failed = {
    .name = "migration-failed",
    .help = "MIGRATE ended in an error; keys may be on both sides",
    .state = sizeof(struct migrations_told),
    .tick = on_tick,
    .finish = finish,
};
