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
enum { ERRORS_NAMED = 3, ERRORS_TEXT = ERRORS_NAMED * (WORD_LENGTH_MAX + 2) + 2 };

/* ---- the keys ---- */

struct sums {
    uint64_t at_risk, both, both_bytes, left;
    uint64_t unseen; /* of those at risk: nothing of what was sent of them was captured */
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
    sums->unseen = m->restores ? 0 : m->keys_unseen;
    sums->at_risk += sums->unseen;
    value_number(metrics, "keys_at_risk", sums->at_risk);
    if (sums->unseen) {
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

/* Why a target refuses keys: nothing of these is there then. */
static const struct refusal {
    const char *word, *says, *advice;
} refusals[] = {
    {"NOAUTH", "it wants a password, and MIGRATE came with none",
     "give MIGRATE the target's password (AUTH, AUTH2; redis-cli -a)"},
    {"NOPERM", "the user may not do that there (ACL)",
     "let the user RESTORE-ASKING at the target (ACL SETUSER), on all keys"},
    {"OOM", "it is at maxmemory and may not evict",
     "make room at the target first: slots bring their memory with them"},
    {"MISCONF", "it cannot write its RDB or AOF", "look at the target's disk and log"},
    {"NOREPLICAS", "too few of its replicas are near enough (min-replicas-to-write)",
     "bring the target's replicas back first"},
    {"LOADING", "it still loads its data", "wait until the target has loaded"},
    {"BUSY", "a script holds it up", "wait for the script at the target, or SCRIPT KILL it"},
    {"READONLY", "it is a replica", "name the primary of that shard as the target"},
    {"MOVED", "the slot is not its own and it was not told to import it, or it is a replica",
     "CLUSTER SETSLOT IMPORTING at the target before the first MIGRATE"},
    {"CLUSTERDOWN", "it holds the cluster for down", "see cluster-down"},
    {"ERR", "it makes nothing of them, as a server does with keys of a newer version",
     "read the error itself in the answer to MIGRATE; compare the versions of both"},
};

/* Where their own requests were not captured the answer to MIGRATE tells, but not whether "ERR" was
 * said to a key or to AUTH. */
static uint64_t keys_refused(const struct migration *m, const char *word) {
    bool may_be_login = strcmp(word, "ERR") == 0;
    return m->restores    ? by_word_of(&m->refusals, word)
           : may_be_login ? 0
                          : by_word_of(&m->errors, word);
}

static void explain_refusals(struct finding *finding, const struct migration *m) {
    for (size_t i = 0; i < countof(refusals); i++) {
        const struct refusal *refusal = &refusals[i];
        uint64_t count = keys_refused(m, refusal->word);
        if (count == 0)
            continue;
        finding_explain(finding, "%" PRIu64 " time%s the target refused keys with %s: %s.", count,
                        count == 1 ? "" : "s", refusal->word, refusal->says);
        finding_advise(finding, "%s", refusal->advice);
    }
}

static void list_errors(struct finding *finding, const struct migration *m) {
    struct value *errors = value_object(finding_metrics(finding), "errors");
    for (uint32_t i = 0; i < m->errors.count; i++)
        value_number(errors, m->errors.list[i].word, m->errors.list[i].count);
}

/* MIGRATE alone was seen, and the target accepted no password: so it is with AUTH. */
static bool login_refused(const struct migration *m) {
    return m->refused_first || by_word_of(&m->errors, "WRONGPASS");
}

static const char *verdict_of(const struct migration *m) {
    uint64_t given_up = by_word_of(&m->errors, "IOERR");
    return m->atomic                                                          ? "broken-off"
           : login_refused(m)                                                 ? "login-refused"
           : given_up > m->calls_unreached                                    ? "timeout"
           : given_up                                                         ? "not-reached"
           : by_word_of(&m->errors, "BUSYKEY") * 2 >= by_word_sum(&m->errors) ? "key-exists"
                                                                              : "refused";
}

static const char *left_text(const struct sums *sums, char text[LEFT_TEXT]) {
    if (sums->left == sums->both)
        return "they still were";
    (void)snprintf(text, LEFT_TEXT, "%" PRIu64 " of them still %s", sums->left,
                   sums->left == 1 ? "was" : "were");
    return sums->left ? text : "none of them was any more";
}

static void explain_io(struct finding *finding, const struct migration *m) {
    uint64_t given_up = by_word_of(&m->errors, "IOERR");
    if (m->calls_unreached)
        finding_explain(finding,
                        "%" PRIu64 " time%s the source had no connection to the target (IOERR): "
                        "nothing arrived there.",
                        m->calls_unreached, m->calls_unreached == 1 ? "" : "s");
    if (given_up > m->calls_unreached)
        finding_explain(finding,
                        "The source gave up waiting (IOERR: %" PRIu64
                        "); the target carries out all the same what has reached it.",
                        given_up - m->calls_unreached);
    if (login_refused(m))
        finding_explain(finding,
                        "The target refused AUTH or SELECT and took the keys all the same; the "
                        "source then deletes none of them.");
}

static void explain_keys(struct finding *finding, const struct migration *m,
                         const struct sums *sums) {
    char bytes[BYTES_TEXT], left[LEFT_TEXT];
    if (sums->both)
        finding_explain(finding,
                        "%" PRIu64 " key%s on both sides, %s twice; when that was last seen, %s.",
                        sums->both, sums->both == 1 ? " was" : "s were",
                        finding_bytes(sums->both_bytes, bytes), left_text(sums, left));
    else if (sums->at_risk && !sums->unseen)
        finding_explain(finding, "Whether the target has these keys was not seen.");
    if (by_word_of(&m->errors, "BUSYKEY"))
        finding_explain(finding,
                        "%" PRIu64 " time%s the target had a key already (BUSYKEY) and kept its "
                        "own.",
                        by_word_of(&m->errors, "BUSYKEY"),
                        by_word_of(&m->errors, "BUSYKEY") == 1 ? "" : "s");
}

/* A key that no MIGRATE before is known to have brought may have been written there. */
static bool may_be_newer(const struct migration *m) {
    return by_word_of(&m->errors, "BUSYKEY") && !login_refused(m) &&
           by_word_of(&m->errors, "IOERR") == m->calls_unreached;
}

static void advise(struct finding *finding, const struct migration *m, const struct sums *sums) {
    bool login = login_refused(m);
    if (m->calls_unreached)
        finding_advise(finding, "see why the target cannot be reached at the port that MIGRATE "
                                "named: its process, a firewall, the address");
    if (sums->both > 0 && sums->both == sums->at_risk && sums->left == 0)
        finding_advise(finding, "nothing is left to do for these keys; the next time %s",
                       login ? "give MIGRATE the password that the target asks for, and "
                               "none if it asks for none"
                             : "fewer keys for each MIGRATE, or a longer timeout");
    else if (sums->at_risk)
        finding_advise(finding,
                       "repeat MIGRATE with REPLACE for the keys of these slots%s; do not "
                       "close the slots with SETSLOT NODE before, or what is left at the source is "
                       "lost",
                       login             ? ", with the password that the target asks for, if it "
                                           "does"
                       : may_be_newer(m) ? ", after a look at both values: no MIGRATE that was "
                                           "seen has brought the target's"
                                         : ", with a longer timeout");
}

static void explain(struct finding *finding, const struct migration *m, const struct sums *sums) {
    explain_io(finding, m);
    explain_refusals(finding, m);
    explain_keys(finding, m, sums);
    advise(finding, m, sums);
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

/* " (NOAUTH, BUSYKEY)": the first of them. */
static const char *errors_text(const struct migration *m, char text[ERRORS_TEXT]) {
    size_t len = 0;
    for (uint32_t i = 0; i < m->errors.count && i < ERRORS_NAMED; i++)
        len += (size_t)snprintf(text + len, ERRORS_TEXT - len, "%s%s", i ? ", " : " (",
                                m->errors.list[i].word);
    (void)snprintf(text + len, ERRORS_TEXT - len, "%s", len ? ")" : "");
    return text;
}

static void title(const struct migration_finding *named, const struct migration *m,
                  const struct sums *sums) {
    struct finding *finding = named->finding;
    char times[TIMES_TEXT] = "once", keys[LEFT_TEXT] = "no key", errors[ERRORS_TEXT];
    uint64_t count = sums->both ? sums->both : sums->at_risk;
    if (m->calls_failed > 1)
        (void)snprintf(times, sizeof times, "%" PRIu64 " times", m->calls_failed);
    if (count)
        (void)snprintf(keys, sizeof keys, "%" PRIu64 " key%s", count, count == 1 ? "" : "s");
    if (m->atomic)
        finding_title(finding, "Slots of %s did not move to %s: the migration broke off",
                      named->source, named->target);
    else
        finding_title(finding, "MIGRATE from %s to %s failed %s%s; %s %s on both", named->source,
                      named->target, times, errors_text(m, errors), keys,
                      sums->both ? (count == 1 ? "was" : "were")
                      : count    ? "may be"
                                 : "is");
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
