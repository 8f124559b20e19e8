/* detect_migration_saturation.c - a migration filled a link: what crossed it stayed on a plateau,
 * which is then its capacity, while more always waited to be acknowledged and waited longer than on
 * an idle link. What that did to others is told by numbers: of the bus, of clients, of TCP.
 *
 * Traffic that is even because its sender is slow waits for nothing: that is no full link. Neither
 * is one whose receiver does not read: that closes its window. */
#include "analysis/detector.h"
#include "analysis/migration_finding.h"
#include "analysis/model_load.h"

#include <inttypes.h>

/* Harm: so much slower than before, and slow enough for people to see. */
enum { HARM_FACTOR = 3, HARM_US = 20000 };

enum { ALARMS = 64 };

struct alarm_seen {
    uint32_t about;
    nstime time;
};

struct saturation {
    struct migrations_told told;
    struct alarm_seen alarms[ALARMS]; /* a ring */
    size_t alarm_count;
};

/* All that is told of one. */
struct filled {
    const struct migration *migration;
    struct filling link;
    enum load_end bus_end, client_end; /* who felt it most */
    size_t suspected;                  /* times that one of the two was held for failed meanwhile */
};

/* ---- harm ---- */

static bool is_worse(uint64_t before, uint64_t during) {
    return during >= HARM_US && during >= before * HARM_FACTOR;
}

static bool hurts_bus(const struct filled *f) {
    const struct felt *felt = f->link.felt[f->bus_end];
    return felt[LOAD_BEFORE].pings && felt[LOAD_DURING].pings &&
           is_worse(felt[LOAD_BEFORE].rtt_us, felt[LOAD_DURING].rtt_us);
}

static bool hurts_clients(const struct filled *f) {
    const struct felt *felt = f->link.felt[f->client_end];
    return felt[LOAD_BEFORE].replies && felt[LOAD_DURING].replies &&
           is_worse(felt[LOAD_BEFORE].p99_us, felt[LOAD_DURING].p99_us);
}

static bool hurts(const struct filled *f) {
    return hurts_bus(f) || hurts_clients(f) || f->suspected > 0;
}

static size_t suspected_in(const struct detection *detection, const struct saturation *state,
                           const struct filled *f) {
    const struct migration *m = f->migration;
    uint32_t source = model_node_at_address(detection->model, &m->source);
    uint32_t target = model_node_at_address(detection->model, &m->target);
    size_t count = 0;
    for (size_t i = 0; i < state->alarm_count && i < ALARMS; i++) {
        const struct alarm_seen *alarm = &state->alarms[i];
        count += (alarm->about == source || alarm->about == target) &&
                 alarm->time >= f->link.plateau.from && alarm->time <= f->link.plateau.to;
    }
    return count;
}

static bool measure(const struct detection *detection, const struct saturation *state,
                    const struct migration *m, struct filled *ret) {
    *ret = (struct filled){.migration = m};
    if (!model_load_filled(detection->model, m, &ret->link))
        return false;
    const struct felt *source = &ret->link.felt[LOAD_SOURCE][LOAD_DURING];
    const struct felt *target = &ret->link.felt[LOAD_TARGET][LOAD_DURING];
    ret->bus_end = source->rtt_us > target->rtt_us ? LOAD_SOURCE : LOAD_TARGET;
    ret->client_end = source->p99_us > target->p99_us ? LOAD_SOURCE : LOAD_TARGET;
    ret->suspected = suspected_in(detection, state, ret);
    return true;
}

/* ---- telling it ---- */

static void put_number(struct finding *finding, const char *name, uint64_t measured, uint64_t value,
                       const char *what) {
    if (measured)
        value_number(finding_metrics(finding), name, value);
    else
        finding_caveat(finding, "nothing was measured of %s", what);
}

static void put_metrics(struct finding *finding, const struct filled *f) {
    const struct plateau *plateau = &f->link.plateau;
    const struct felt *bus = f->link.felt[f->bus_end], *clients = f->link.felt[f->client_end];
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "bytes_per_s", plateau->bytes_per_s);
    value_number(metrics, "link_bytes_per_s", plateau->link_per_s);
    value_number(metrics, "other_bytes_per_s", plateau->all_per_s - plateau->bytes_per_s);
    value_ms(metrics, "plateau_ms", plateau->lasted);
    value_number(metrics, "ack_mean_us", (uint64_t)(plateau->ack_mean / NS_PER_US));
    value_number(metrics, "ack_least_us", (uint64_t)(f->link.ack_least / NS_PER_US));
    put_number(finding, "bus_rtt_before_us", bus[LOAD_BEFORE].pings, bus[LOAD_BEFORE].rtt_us,
               "the bus before it");
    put_number(finding, "bus_rtt_during_us", bus[LOAD_DURING].pings, bus[LOAD_DURING].rtt_us,
               "the bus during it");
    if (bus[LOAD_AFTER].pings)
        value_number(metrics, "bus_rtt_after_us", bus[LOAD_AFTER].rtt_us);
    put_number(finding, "client_p99_before_us", clients[LOAD_BEFORE].replies,
               clients[LOAD_BEFORE].p99_us, "clients before it");
    put_number(finding, "client_p99_during_us", clients[LOAD_DURING].replies,
               clients[LOAD_DURING].p99_us, "clients during it");
    if (clients[LOAD_AFTER].replies)
        value_number(metrics, "client_p99_after_us", clients[LOAD_AFTER].p99_us);
    value_number(metrics, "retransmits", plateau->retransmits);
    value_number(metrics, "zero_windows", plateau->zero_windows);
    value_number(metrics, "suspicions", f->suspected);
}

static void explain_link(const struct migration_finding *named, const struct filled *f) {
    const struct plateau *plateau = &f->link.plateau;
    char link[BYTES_TEXT], mine[BYTES_TEXT], lasted[DURATION_TEXT];
    finding_explain(
        named->finding,
        "For %s the traffic %s %s stayed below %s/s and near it, the migration alone "
        "at %s/s (%" PRIu64 " %%), while more waited: that is what the link carries. "
        "Acknowledgements took %" PRIu64 " us on average, %" PRIu64
        " us where nothing was in the way.",
        finding_duration(plateau->lasted, lasted), plateau->at_target ? "into" : "out of",
        plateau->at_target ? named->target : named->source,
        finding_bytes(plateau->link_per_s, link), finding_bytes(plateau->bytes_per_s, mine),
        plateau->bytes_per_s * 100 / plateau->link_per_s, (uint64_t)(plateau->ack_mean / NS_PER_US),
        (uint64_t)(f->link.ack_least / NS_PER_US));
}

static void explain_harm(const struct migration_finding *named, const struct filled *f) {
    struct finding *finding = named->finding;
    const struct felt *bus = f->link.felt[f->bus_end], *clients = f->link.felt[f->client_end];
    const char *const names[LOAD_ENDS] = {named->source, named->target};
    char before[DURATION_TEXT], during[DURATION_TEXT];
    if (hurts_bus(f))
        finding_explain(finding, "PONGs on the bus links of %s took %s before and %s during it.",
                        names[f->bus_end],
                        finding_duration((nstime)bus[LOAD_BEFORE].rtt_us * NS_PER_US, before),
                        finding_duration((nstime)bus[LOAD_DURING].rtt_us * NS_PER_US, during));
    if (hurts_clients(f))
        finding_explain(finding,
                        "One in a hundred requests to %s took %s or more before, %s during it.",
                        names[f->client_end],
                        finding_duration((nstime)clients[LOAD_BEFORE].p99_us * NS_PER_US, before),
                        finding_duration((nstime)clients[LOAD_DURING].p99_us * NS_PER_US, during));
    if (f->suspected)
        finding_explain(finding, "Meanwhile one of the two was suspected %zu times.", f->suspected);
    if (!hurts(f))
        finding_explain(finding, "Neither the bus nor clients were much slower for it.");
}

static void advise(struct finding *finding, const struct migration *m) {
    if (m->atomic)
        finding_advise(finding, "move fewer slots at once, or when there is less traffic");
    else
        finding_advise(finding,
                       "move fewer keys with each MIGRATE (--cluster-pipeline), with pauses "
                       "between them: it blocks its source until the last one has arrived");
    finding_advise(finding, "do not restart nodes that are suspected meanwhile: the link is busy, "
                            "they are not dead");
}

/* The same pace before and after a pause is one story: so does who moves one slot after another. */
static bool has_pauses(const struct plateau *plateau) {
    return plateau->to - plateau->from > 2 * plateau->lasted;
}

static void tell(const struct detection *detection, const struct filled *f) {
    const struct migration *m = f->migration;
    char rate[BYTES_TEXT], lasted[DURATION_TEXT];
    struct migration_finding named = migration_finding(
        detection, "migration-saturation", hurts(f) ? SEVERITY_WARNING : SEVERITY_NOTICE,
        f->link.plateau.from, &m->source, &m->target);
    struct finding *finding = named.finding;
    finding_title(finding, "Moving slots from %s to %s filled the link at %s/s for %s%s%s",
                  named.source, named.target, finding_bytes(f->link.plateau.link_per_s, rate),
                  finding_duration(f->link.plateau.lasted, lasted),
                  has_pauses(&f->link.plateau) ? " in all, with pauses between" : "",
                  hurts(f) ? ", and others suffered" : "");
    explain_link(&named, f);
    explain_harm(&named, f);
    put_metrics(finding, f);
    advise(finding, m);
    finding_caveat(finding, "rates are of TCP payload: what the link carries is some percent more");
    if (f->link.plateau.forgotten)
        finding_caveat(finding,
                       "it went on for so long that the first %u samples of the traffic "
                       "are not kept",
                       f->link.plateau.forgotten);
    finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_evidence(finding, &m->place, "the first sign of the migration");
    finding_slots(finding, m->slots);
    finding_ends(finding, f->link.plateau.to, "link-full");
    detection_report(detection, finding);
}

static void look(const struct detection *detection, struct saturation *state, nstime now) {
    const struct migration *m;
    struct filled filled;
    while ((m = migration_next_over(detection, &state->told, now)))
        if (measure(detection, state, m, &filled))
            tell(detection, &filled);
}

static void on_event(const struct detection *detection, void *context, const struct event *event) {
    struct saturation *state = context;
    const char *about =
        event->type == EV_node_suspected ? event->node_suspected.about : event->node_failed.about;
    state->alarms[state->alarm_count++ % ALARMS] =
        (struct alarm_seen){model_index_of(detection->model, about), event->time};
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    look(detection, state, now);
}

static void finish(const struct detection *detection, void *state) {
    look(detection, state, INT64_MAX);
}

const struct detector detect_migration_saturation = {
    .name = "migration-saturation",
    .help = "a migration filled a link",
    .wants = EVENT_BIT(node_suspected) | EVENT_BIT(node_failed),
    .state = sizeof(struct saturation),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
};
