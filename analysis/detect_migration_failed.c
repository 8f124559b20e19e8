/* detect_migration_failed.c - MIGRATE ended in an error, and keys may now be on both sides.
 *
 * The source deletes a key when it has read the target's answer. If it gives up first (IOERR), the
 * target still carries out what has arrived; the next try finds these keys there (BUSYKEY). */
#include "analysis/detector.h"
#include "analysis/model_migrations.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdlib.h>

struct failure {
    uint64_t io, busy;
    struct place first, last;
};

struct failures {
    struct failure *of; /* by index of the migration */
    size_t room;
};

static struct failure *failure_at(struct failures *failures, size_t index) {
    if (index >= failures->room) {
        size_t room = index + 16;
        struct failure *of = realloc(failures->of, room * sizeof *of);
        if (!of)
            return NULL;
        memset(of + failures->room, 0, (room - failures->room) * sizeof *of);
        failures->of = of;
        failures->room = room;
    }
    return &failures->of[index];
}

static bool same_host(const struct endpoint *a, const struct endpoint *b) {
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* MIGRATE failed at its source; the target is the one that keys were sent to last. */
static size_t of_source(const struct model *model, const struct endpoint *source) {
    size_t count = model_migration_count(model), latest = count;
    for (size_t i = 0; i < count; i++) {
        const struct migration *m = model_migration(model, i);
        bool its = same_host(&m->source, source) && m->last.time != TIME_NONE;
        if (its && (latest == count || m->last.time > model_migration(model, latest)->last.time))
            latest = i;
    }
    return latest;
}

static size_t of_pair(const struct model *model, const struct endpoint *source,
                      const struct endpoint *target) {
    size_t count = model_migration_count(model), i = 0;
    while (i < count && !(same_host(&model_migration(model, i)->source, source) &&
                          endpoint_equal(&model_migration(model, i)->target, target)))
        i++;
    return i;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct failures *failures = state;
    const struct ev_client_error *error = &event->client_error;
    bool io = bytes_equal(error->error, bytes_str("IOERR"));
    if (!io && !bytes_equal(error->error, bytes_str("BUSYKEY")))
        return;
    const struct model *model = detection->model;
    size_t index =
        io ? of_source(model, error->server) : of_pair(model, error->client, error->server);
    struct failure *failure =
        index < model_migration_count(model) ? failure_at(failures, index) : NULL;
    if (!failure)
        return;
    struct place place = place_of(event);
    place.ends_known = true;
    place.ends[0] = *error->server;
    place.ends[1] = *error->client;
    if (failure->io + failure->busy == 0)
        failure->first = place;
    failure->last = place;
    failure->io += io;
    failure->busy += !io;
}

/* ---- telling it ---- */

static uint64_t on_both(const struct migration *m, const struct failure *failure) {
    uint64_t risk = m->late + m->unanswered;
    uint64_t busy = failure->busy < risk ? failure->busy : risk;
    return busy > m->late ? busy : m->late;
}

static void name_ends(const struct detection *detection, struct finding *finding,
                      const struct migration *m, char source[ENDPOINT_TEXT],
                      char target[ENDPOINT_TEXT]) {
    const struct model *model = detection->model;
    struct value *metrics = finding_metrics(finding);
    endpoint_ip_text(&m->source, source);
    endpoint_text(&m->target, target);
    for (size_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (!node->addr_known)
            continue;
        if (endpoint_equal(&node->addr, &m->target)) {
            finding_node(finding, node->id);
            value_node(metrics, "target", node->id);
        } else if (same_host(&node->addr, &m->source)) {
            model_node_text(model, i, source);
            finding_node(finding, node->id);
            value_node(metrics, "source", node->id);
        }
    }
}

static void tell(const struct detection *detection, const struct migration *m,
                 const struct failure *failure) {
    char source[ENDPOINT_TEXT], target[ENDPOINT_TEXT];
    uint64_t risk = m->late + m->unanswered, both = on_both(m, failure);
    struct finding *finding =
        finding_new("migration-failed", SEVERITY_WARNING, failure->first.time);
    name_ends(detection, finding, m, source, target);
    finding_title(finding,
                  "MIGRATE from %s to %s failed %" PRIu64 " times; %" PRIu64 " keys may be on both",
                  source, target, failure->io + failure->busy, risk);
    finding_explain(finding,
                    "The source gave up waiting (IOERR: %" PRIu64 "). Of the keys that it had "
                    "sent by then %" PRIu64 " were taken after that and %" PRIu64 " were not seen "
                    "answered: the source has them still.",
                    failure->io, m->late, m->unanswered);
    if (failure->busy)
        finding_explain(finding,
                        "Later the target refused %" PRIu64 " keys that it had already "
                        "(BUSYKEY).",
                        failure->busy);
    finding_evidence(finding, &failure->first, "the first error");
    if (failure->io + failure->busy > 1)
        finding_evidence(finding, &failure->last, "the last one");
    finding_advise(finding,
                   "repeat MIGRATE with REPLACE for the keys of these slots, with a longer "
                   "timeout; do not close the slots with SETSLOT NODE before");
    finding_slots(finding, m->slots);
    struct value *metrics = finding_metrics(finding);
    struct value *errors = value_object(metrics, "errors");
    if (failure->io)
        value_number(errors, "IOERR", failure->io);
    if (failure->busy)
        value_number(errors, "BUSYKEY", failure->busy);
    value_number(metrics, "keys_at_risk", risk);
    value_number(metrics, "keys_on_both", both);
    finding_ends(finding, failure->last.time, failure->io ? "timeout" : "key-exists");
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct failures *failures = state;
    for (size_t i = 0; i < failures->room && i < model_migration_count(detection->model); i++)
        if (failures->of[i].io + failures->of[i].busy)
            tell(detection, model_migration(detection->model, i), &failures->of[i]);
}

static void dispose(void *state) {
    free(((struct failures *)state)->of);
}

const struct detector detect_migration_failed = {
    .name = "migration-failed",
    .help = "MIGRATE ended in an error; keys may be on both sides",
    .wants = EVENT_BIT(client_error),
    .state = sizeof(struct failures),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
