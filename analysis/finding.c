/* finding.c - filling in a finding. */
#include "analysis/finding.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "decode/slot_set.h"

static const char *const severities[] = {"info", "notice", "warning", "critical"};
static const char *const confidences[] = {"possible", "likely", "certain"};

const char *severity_name(enum severity severity) {
    return severities[severity];
}
const char *confidence_name(enum confidence confidence) {
    return confidences[confidence];
}

struct finding *finding_new(const char *type, enum severity severity, nstime start) {
    struct finding *finding = calloc(1, sizeof *finding);
    if (!finding)
        return NULL;
    finding->type = type;
    finding->severity = severity;
    finding->confidence = CONFIDENCE_CERTAIN;
    finding->start = start;
    finding->end = TIME_NONE;
    finding->title = finding->explanation = "";
    finding->verdict = "unknown";
    finding->arena.max = CAP_FINDING;
    finding->nodes = value_root(VALUE_LIST, &finding->arena);
    finding->clients = value_root(VALUE_LIST, &finding->arena);
    finding->addrs = value_root(VALUE_LIST, &finding->arena);
    finding->metrics = value_root(VALUE_OBJECT, &finding->arena);
    return finding;
}

void finding_free(struct finding *finding) {
    if (finding)
        arena_free(&finding->arena);
    free(finding);
}

void finding_ends(struct finding *finding, nstime end, const char *verdict) {
    if (!finding)
        return;
    finding->end = end;
    if (verdict)
        finding->verdict = verdict;
}

/* ---- texts ---- */

/* What a sentence quotes may come from the wire: names, first words of errors. NULL is NULL. */
static char *printable(char *text) {
    for (char *at = text; at && *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return text;
}

/* Puts what the format makes of the values behind `...` into *ret_text; NULL: there is no room. */
#define FORMATTED(finding, format, ret_text)                                                \
    do {                                                                                    \
        va_list values;                                                                     \
        va_start(values, format);                                                           \
        *(ret_text) =                                                                       \
            (finding) ? printable(arena_vprintf(&(finding)->arena, format, values)) : NULL; \
        va_end(values);                                                                     \
    } while (0)

void finding_title(struct finding *finding, const char *format, ...) {
    char *text;
    FORMATTED(finding, format, &text);
    if (text)
        finding->title = text;
}

static char *join(struct arena *arena, const char *before, const char *after) {
    size_t size = strlen(before) + 1 + strlen(after) + 1;
    char *joined = arena_take(arena, size);
    if (joined)
        (void)snprintf(joined, size, "%s %s", before, after);
    return joined;
}

void finding_explain(struct finding *finding, const char *format, ...) {
    char *text;
    FORMATTED(finding, format, &text);
    if (!text)
        return;
    bool first = !*finding->explanation;
    char *joined = first ? text : join(&finding->arena, finding->explanation, text);
    if (joined)
        finding->explanation = joined;
}

static void add_sentence(struct finding *finding, struct sentence **list, const char *text) {
    struct sentence *sentence = text ? arena_take(&finding->arena, sizeof *sentence) : NULL;
    if (!sentence)
        return;
    sentence->text = text;
    while (*list)
        list = &(*list)->next;
    *list = sentence;
}

#define ADDS_SENTENCE(function, list)                                 \
    void function(struct finding *finding, const char *format, ...) { \
        char *text;                                                   \
        FORMATTED(finding, format, &text);                            \
        if (finding)                                                  \
            add_sentence(finding, &finding->list, text);              \
    }

ADDS_SENTENCE(finding_rule_out, ruled_out)
ADDS_SENTENCE(finding_caveat, caveats)
ADDS_SENTENCE(finding_advise, advice)

void finding_evidence(struct finding *finding, const struct place *place, const char *format, ...) {
    char *note;
    if (!finding || place->time == TIME_NONE)
        return;
    if (finding->evidence_count == CAP_EVIDENCE) {
        finding->evidence_left_out++;
        return;
    }
    FORMATTED(finding, format, &note);
    struct evidence *evidence = note ? arena_take(&finding->arena, sizeof *evidence) : NULL;
    if (!evidence)
        return;
    *evidence = (struct evidence){.place = *place, .note = note};
    struct evidence **at = &finding->evidence; /* in the order of time */
    while (*at && (*at)->place.time <= place->time)
        at = &(*at)->next;
    evidence->next = *at;
    *at = evidence;
    finding->evidence_count++;
}

/* ---- whom it concerns ---- */

void finding_node(struct finding *finding, const char *node) {
    if (finding && !value_has_node(&finding->nodes, node))
        value_node(&finding->nodes, NULL, node);
}

void finding_client(struct finding *finding, const struct endpoint *client) {
    if (finding && !value_has_addr(&finding->clients, client))
        value_addr(&finding->clients, NULL, client);
}

void finding_addr(struct finding *finding, const struct endpoint *addr) {
    if (finding && addr->port && !value_has_addr(&finding->addrs, addr))
        value_addr(&finding->addrs, NULL, addr);
}

static uint8_t *slots_of(struct finding *finding) {
    if (finding && !finding->slots)
        finding->slots = arena_take(&finding->arena, BUS_SLOT_BYTES);
    return finding ? finding->slots : NULL;
}

void finding_slot(struct finding *finding, uint32_t slot) {
    uint8_t *slots = slots_of(finding);
    if (slots)
        slots_add(slots, slot);
}

void finding_slots(struct finding *finding, const uint8_t *more) {
    uint8_t *slots = slots_of(finding);
    if (slots)
        slots_add_all(slots, more);
}

struct value *finding_metrics(struct finding *finding) {
    return finding ? &finding->metrics : NULL;
}

void finding_rests_on_unseen(struct finding *finding) {
    if (finding)
        finding->rests_on_unseen = true;
}

void finding_doubt(struct finding *finding, enum confidence confidence) {
    if (finding && confidence < finding->confidence)
        finding->confidence = confidence;
}

const char *finding_duration(nstime duration, char text[DURATION_TEXT]) {
    double s = (double)duration / (double)NS_PER_SEC;
    if (duration > 0 && duration < NS_PER_MS)
        (void)snprintf(text, DURATION_TEXT, "%.0f us", s * 1e6);
    else if (s < 1)
        (void)snprintf(text, DURATION_TEXT, "%.0f ms", s * 1000);
    else if (s < 120)
        (void)snprintf(text, DURATION_TEXT, "%.1f s", s);
    else
        (void)snprintf(text, DURATION_TEXT, "%.0f min", s / 60);
    return text;
}

const char *finding_bytes(uint64_t bytes, char text[BYTES_TEXT]) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes < 10000) {
        (void)snprintf(text, BYTES_TEXT, "%u B", (unsigned)bytes);
        return text;
    }
    for (value /= 1000; value >= 1000 && unit + 1 < countof(units); unit++)
        value /= 1000;
    (void)snprintf(text, BYTES_TEXT, "%.1f %s", value, units[unit]);
    return text;
}

enum { SEAL_ROOM = 512 /* bytes, for the last caveats */ };

void finding_seal(struct finding *finding) {
    if (!finding)
        return;
    bool cut = finding->arena.failed;
    finding->arena.max += SEAL_ROOM;
    if (cut)
        finding_caveat(finding, "there was no room for all that belongs here");
    if (finding->evidence_left_out)
        finding_caveat(finding, "%zu more packets prove it", finding->evidence_left_out);
}
