/* detect_slot_stuck.c - a slot stays open while no key of it moves, nor any other of its migration:
 * its source sends clients on by ASK for what it does not have, two round trips for each request,
 * and nobody ends it. */
#include "analysis/detector.h"
#include "analysis/migration_finding.h"

#include <inttypes.h>

enum { SLOTS_TOLD = 32 /* one by one */ };

static const nstime STILL = 1 * NS_PER_SEC; /* an ASK so long ago: it may be closed by now */

struct stuck {
    const struct detection *detection;
    nstime least, last;
    size_t all, told;
};

/* Known from ASK alone it is open as long as there are some. */
static struct pause idle_of(const struct open_slot *slot) {
    struct pause asked = {slot->first_ask, slot->last_ask};
    if (slot->set || slot->asks == 0)
        return slot->idle;
    if (slot->idle.from > asked.from)
        asked.from = slot->idle.from;
    return asked;
}

static nstime end_of(const struct stuck *stuck, const struct open_slot *slot) {
    if (slot->closed != TIME_NONE)
        return slot->closed;
    bool quiet = !slot->set && stuck->last - slot->last_ask > STILL;
    return quiet ? slot->last_ask : TIME_NONE;
}

/* Redis: importing_slots_from is left alone by clusterUpdateSlotsConfigWith(), and no replica knows
 * of migrating_slots_to; Valkey's replicas do. */
static void advise_taken(struct finding *finding, const struct open_slot *slot) {
    finding_advise(finding,
                   "CLUSTER SETSLOT %u STABLE at the target, or end the migration: while a Redis "
                   "imports a slot it accepts no new owner of it, and may hold the cluster for "
                   "down for that",
                   slot->slot);
    finding_advise(finding,
                   "see whether the new owner knows of the migration (CLUSTER NODES): if not, "
                   "CLUSTER SETSLOT %u MIGRATING there, or nobody finds the keys that had moved",
                   slot->slot);
}

static void tell_end(struct finding *finding, const struct open_slot *slot) {
    finding_explain(finding, "%s",
                    slot->taken                 ? "Then another node took the slot from its source."
                    : slot->closed != TIME_NONE ? "It was closed again."
                                                : "No more was heard of it.");
    if (slot->taken)
        advise_taken(finding, slot);
    finding_advise(finding,
                   "see that no key was left where nobody looks for it: CLUSTER COUNTKEYSINSLOT "
                   "%u must be 0 at the one of the two that does not own it",
                   slot->slot);
}

static void explain(struct finding *finding, const struct open_slot *slot, bool over) {
    if (slot->asks)
        finding_explain(finding,
                        "%" PRIu64 " requests for keys that its source does not have were sent on "
                        "by ASK, each a round trip more.",
                        slot->asks);
    finding_explain(finding, "Meanwhile no key was migrated between the two.");
    if (!slot->set)
        finding_caveat(finding, "who opened it was not seen: it is known from ASK alone");
    if (over)
        tell_end(finding, slot);
    else
        finding_advise(finding,
                       "end the migration: redis-cli --cluster fix, or MIGRATE what is left and "
                       "CLUSTER SETSLOT %u NODE on both; SETSLOT %u STABLE leaves keys behind on "
                       "the target that nobody finds",
                       slot->slot, slot->slot);
}

static bool is_stuck(const struct stuck *stuck, const struct open_slot *slot) {
    struct pause idle = idle_of(slot);
    return idle.to - idle.from >= stuck->least;
}

static void count(void *context, const struct open_slot *slot) {
    struct stuck *stuck = context;
    stuck->all += is_stuck(stuck, slot);
}

static void tell(const struct stuck *stuck, const struct open_slot *slot) {
    const struct detection *detection = stuck->detection;
    char lasted[DURATION_TEXT];
    struct pause idle = idle_of(slot);
    nstime length = idle.to - idle.from, end = end_of(stuck, slot);
    struct migration_finding named = migration_finding(detection, "slot-stuck", SEVERITY_WARNING,
                                                       idle.from, &slot->source, &slot->target);
    struct finding *finding = named.finding;
    struct value *metrics = finding_metrics(finding);
    finding_title(finding, "Slot %u stood open between %s and %s for %s, and no key moved",
                  slot->slot, named.source, named.target, finding_duration(length, lasted));
    explain(finding, slot, end != TIME_NONE);
    finding_evidence(finding, &slot->place, "it was open by then");
    finding_slot(finding, slot->slot);
    value_number(metrics, "slot", slot->slot);
    value_number(metrics, "asks", slot->asks);
    value_ms(metrics, "duration_ms", length);
    finding_ends(finding, end, "migration-stopped");
    finding_rests_on_unseen(finding);
    if (stuck->told == SLOTS_TOLD && stuck->all > stuck->told)
        finding_caveat(finding, "%zu more slots were stuck and are not told one by one",
                       stuck->all - stuck->told);
    if (slot->asks == 0 && finding)
        finding->severity = SEVERITY_NOTICE; /* it costs nobody anything so far */
    detection_report(detection, finding);
}

static void look_at(void *context, const struct open_slot *slot) {
    struct stuck *stuck = context;
    if (!is_stuck(stuck, slot) || stuck->told == SLOTS_TOLD)
        return;
    stuck->told++;
    tell(stuck, slot);
}

static void finish(const struct detection *detection, void *state) {
    struct stuck stuck = {
        .detection = detection,
        .least = (nstime)threshold(detection, THRESHOLD_slot_stuck) * NS_PER_SEC,
        .last = model_books(detection->model)->last,
    };
    (void)state;
    model_open_slots(detection->model, stuck.last, count, &stuck);
    model_open_slots(detection->model, stuck.last, look_at, &stuck);
}

const struct detector detect_slot_stuck = {
    .name = "slot-stuck",
    .help = "a slot stays open while no key of it moves",
    .finish = finish,
};
