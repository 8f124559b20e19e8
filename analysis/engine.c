/* engine.c - the order of things: decoder, model, detectors, listener. */
#include "analysis/engine.h"

#include <stdlib.h>

#include "analysis/incident.h"
#include "analysis/model_load.h"
#include "base/limits.h"
#include "base/list.h"

#define DETECTOR(symbol) extern const struct detector detect_##symbol;
#include "analysis/detectors.def"
#undef DETECTOR

const struct detector *const detectors[] = {
#define DETECTOR(symbol) &detect_##symbol,
#include "analysis/detectors.def"
#undef DETECTOR
};
const size_t detector_count = countof(detectors);

struct engine {
    struct engine_options options;
    struct decoder *decoder;
    struct model *model;
    struct detection detection;
    struct run_facts facts;           /* the detection's, once there are any */
    void *states[countof(detectors)]; /* NULL: left out */
    uint64_t wanted[EV_COUNT];        /* bit i: detectors[i] wants the event */
    uint64_t heard;                   /* events that others want than the model */
    struct finding **findings;
    uint32_t finding_count, finding_room;
    uint64_t findings_left_out;
    nstime now;       /* the newest packet's time */
    nstime next_tick; /* of the detectors; from this time on */
    nstime next_wake; /* to see whether it is time for that, or for a sample of the load */
};

/* Times beyond this make no sense and would overflow differences; year 2116. */
#define TIME_MAX (INT64_MAX / 2)

/* ---- events ---- */

static __attribute__((noinline)) void tell_detectors(struct engine *engine, uint64_t wanted,
                                                     const struct event *event) {
    while (wanted) {
        int i = __builtin_ctzll(wanted);
        wanted &= wanted - 1;
        detectors[i]->event(&engine->detection, engine->states[i], event);
    }
}

static inline void detect(struct engine *engine, const struct event *event) {
    uint64_t wanted = engine->wanted[event->type];
    if (wanted)
        tell_detectors(engine, wanted, event);
}

static inline void tell_listener(struct engine *engine, const struct event *event) {
    if (engine->options.wants >> event->type & 1)
        engine->options.on_event(engine->options.context, event);
}

static void on_conclusion(void *context, const struct event *event) {
    detect(context, event);
    tell_listener(context, event);
}

/* The listener hears of an observed event before it hears what the model makes of it. */
static __attribute__((noinline)) void tell_all(struct engine *engine, const struct event *event) {
    tell_listener(engine, event);
    model_event(engine->model, event);
    detect(engine, event);
}

/* Requests and replies are mostly the model's alone. */
static void on_observed(void *context, const struct event *event) {
    struct engine *engine = context;
    if (LIKELY(!(engine->heard >> event->type & 1)))
        model_event(engine->model, event);
    else
        tell_all(engine, event);
}

/* ---- what findings are worth ---- */

enum { MUCH = 1000 /* one in so many */ };

/* Bytes, of the bus or of all; or packets that were dropped or cut. */
static bool missed_much(const struct engine *engine) {
    const struct model_books *books = model_books(engine->model);
    const struct run_facts *facts = &engine->facts;
    uint64_t seen = books->bus_bytes + books->resp.bytes + books->other.bytes + books->tls.bytes;
    return books->bus_missing_bytes * MUCH > books->bus_bytes || books->gap_bytes * MUCH > seen ||
           (facts->kernel_drops + facts->truncated_packets) * MUCH > facts->packets;
}

/* What rests on something not seen is less sure, and less loud, if the capture missed things. */
static void lessen(const struct engine *engine, struct finding *finding) {
    bool much = missed_much(engine);
    if (!finding || !finding->rests_on_unseen ||
        (!much && !detection_missed_bytes(&engine->detection)))
        return;
    finding_caveat(finding, "the capture misses packets: what was not seen may have been there");
    finding_doubt(finding, much ? CONFIDENCE_POSSIBLE : CONFIDENCE_LIKELY);
    if (much && finding->severity > SEVERITY_NOTICE)
        finding->severity = SEVERITY_NOTICE;
}

/* ---- findings ---- */

static bool room_for_finding(struct engine *engine) {
    if (engine->finding_count == CAP_FINDINGS)
        return false;
    struct finding **findings = list_with_room(engine->findings, engine->finding_count,
                                               &engine->finding_room, sizeof(struct finding *));
    engine->findings = findings ? findings : engine->findings;
    return findings;
}

static void on_finding(void *context, struct finding *finding) {
    struct engine *engine = context;
    finding_seal(finding);
    if (engine->options.live)
        lessen(engine, finding);
    if (finding && engine->options.on_finding)
        engine->options.on_finding(engine->options.context, finding);
    if (finding && room_for_finding(engine)) {
        engine->findings[engine->finding_count++] = finding;
        return;
    }
    engine->findings_left_out++;
    finding_free(finding);
}

/* What another finding explains need not be as loud. */
static void quieten(struct finding *finding) {
    if (finding->quiet_if_caused && finding->cause && finding->severity > SEVERITY_NOTICE)
        finding->severity = SEVERITY_NOTICE;
}

static int by_severity(const void *a, const void *b) {
    const struct finding *x = *(struct finding *const *)a, *y = *(struct finding *const *)b;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return strcmp(x->type, y->type);
}

/* ---- life ---- */

static bool start_detectors(struct engine *engine) {
    for (size_t i = 0; i < detector_count; i++) {
        if (engine->options.skip_detectors >> i & 1)
            continue;
        engine->states[i] = calloc(1, detectors[i]->state ? detectors[i]->state : 1);
        if (!engine->states[i])
            return false;
        for (int type = 0; type < EV_COUNT; type++) {
            if (detectors[i]->wants >> type & 1)
                engine->wanted[type] |= UINT64_C(1) << i;
        }
    }
    return true;
}

/* What listener and detectors want. */
static uint64_t others_want(const struct engine *engine) {
    uint64_t wants = engine->options.wants;
    for (size_t i = 0; i < detector_count; i++)
        wants |= engine->states[i] ? detectors[i]->wants : 0;
    return wants;
}

struct engine *engine_new(const struct engine_options *options, struct err *err) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        err_no_memory(err);
        return NULL;
    }
    engine->options = *options;
    for (int type = 0; type < EV_COUNT; type++) {
        if (event_rows[type].visibility == QUIET)
            engine->options.wants &= ~(UINT64_C(1) << type);
    }
    engine->model = model_new(options->key, on_conclusion, engine);
    engine->detection = (struct detection){.model = engine->model,
                                           .thresholds = &engine->options.thresholds,
                                           .report = on_finding,
                                           .context = engine};
    if (start_detectors(engine)) {
        engine->heard = others_want(engine);
        engine->decoder =
            decoder_new(options->key, engine->heard | model_wants, on_observed, engine);
    }
    if (!engine->decoder || !engine->model) {
        err_no_memory(err);
        engine_free(engine);
        return NULL;
    }
    return engine;
}

static void dispose(const struct detector *detector, void *state) {
    if (state && detector->dispose)
        detector->dispose(state);
    free(state);
}

void engine_free(struct engine *engine) {
    if (!engine)
        return;
    decoder_free(engine->decoder); /* before the model, which hears of the flows' end */
    model_free(engine->model);
    for (size_t i = 0; i < detector_count; i++)
        dispose(detectors[i], engine->states[i]);
    for (size_t i = 0; i < engine->finding_count; i++)
        finding_free(engine->findings[i]);
    free(engine->findings);
    free(engine);
}

static void tick(struct engine *engine) {
    for (size_t i = 0; i < detector_count; i++)
        if (engine->states[i] && detectors[i]->tick)
            detectors[i]->tick(&engine->detection, engine->states[i], engine->now);
    engine->next_tick = engine->now - engine->now % NS_PER_SEC + NS_PER_SEC;
}

static void sample_load(struct engine *engine) {
    model_load_begin_sample(engine->model);
    decoder_each_flow(engine->decoder, model_load_count, engine->model);
    model_load_end_sample(engine->model, engine->now);
}

static void wake(struct engine *engine) {
    bool loaded = model_load_is_wanted(engine->model, engine->now);
    if (loaded)
        sample_load(engine);
    if (engine->now >= engine->next_tick)
        tick(engine);
    nstime sample = engine->now + LOAD_STEP;
    engine->next_wake = loaded && sample < engine->next_tick ? sample : engine->next_tick;
}

void engine_packet(struct engine *engine, const struct packet *packet) {
    if (LIKELY(packet->time >= 0 && packet->time <= TIME_MAX)) {
        engine->now = packet->time;
        if (UNLIKELY(engine->now >= engine->next_wake))
            wake(engine);
        decoder_packet(engine->decoder, packet);
        return;
    }
    struct packet timed = *packet; /* no time of its own: that of the packet before it */
    timed.time = engine->now;
    decoder_packet(engine->decoder, &timed);
}

void engine_facts(struct engine *engine, const struct run_facts *facts) {
    engine->facts = *facts;
    engine->detection.facts = &engine->facts;
}

void engine_finish(struct engine *engine, const struct run_facts *facts) {
    if (model_load_is_wanted(engine->model, engine->now))
        sample_load(engine);
    decoder_finish(engine->decoder);
    engine_facts(engine, facts);
    for (size_t i = 0; i < detector_count; i++) {
        if (engine->states[i] && detectors[i]->finish)
            detectors[i]->finish(&engine->detection, engine->states[i]);
    }
    incident_link(engine->findings, engine->finding_count);
    for (size_t i = 0; i < engine->finding_count; i++) {
        if (!engine->options.live)
            lessen(engine, engine->findings[i]);
        quieten(engine->findings[i]);
    }
    if (engine->finding_count)
        qsort(engine->findings, engine->finding_count, sizeof(struct finding *), by_severity);
}

const struct model *engine_model(const struct engine *engine) {
    return engine->model;
}

struct decoder_stats engine_decoder_stats(const struct engine *engine) {
    return decoder_stats(engine->decoder);
}

size_t engine_finding_count(const struct engine *engine) {
    return engine->finding_count;
}

uint64_t engine_findings_left_out(const struct engine *engine) {
    return engine->findings_left_out;
}

const struct finding *engine_finding(const struct engine *engine, size_t index) {
    return engine->findings[index];
}
