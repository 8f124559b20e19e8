/* engine.h - packets in; events and findings out. The only file that knows the order in which
 * decoder, model, detectors and listener see things: the listener hears of an observed event, then
 * the model; what that concludes goes to detectors and listener at once; then the detectors see
 * the observed event, with a model that knows it. */
#ifndef BUSTAP_ANALYSIS_ENGINE_H
#define BUSTAP_ANALYSIS_ENGINE_H

#include "analysis/detector.h"
#include "analysis/finding.h"
#include "analysis/model.h"
#include "base/err.h"
#include "base/siphash.h"
#include "capture/packet.h"
#include "decode/decoder.h"

typedef void finding_fn(void *context, const struct finding *finding);

struct engine_options {
    struct siphash_key key;  /* secret and random */
    uint64_t skip_detectors; /* bit i: leave out detectors[i] */
    struct thresholds thresholds;
    uint64_t wants; /* the events that on_event gets, if they are SHOWN */
    event_fn *on_event;
    finding_fn *on_finding; /* hears of findings when they are reported; NULL: nobody does */
    void *context;
    bool live; /* a finding is weighed by what was missed until it is reported, not by all */
};

struct engine;

/* NULL and a message: out of memory. */
struct engine *engine_new(const struct engine_options *options, struct err *err);
void engine_free(struct engine *engine); /* NULL is fine */

/* In the order of the capture; nothing of the packet is kept. One without a sensible time counts as
 * of the time of the packet before it. */
void engine_packet(struct engine *engine, const struct packet *packet);

/* What is known of losses by now, in a live run. */
void engine_facts(struct engine *engine, const struct run_facts *facts);

/* The capture is over. */
void engine_finish(struct engine *engine, const struct run_facts *facts);

const struct model *engine_model(const struct engine *engine);
struct decoder_stats engine_decoder_stats(const struct engine *engine);

/* In order of severity, then of start. Complete after engine_finish; they live as long as the
 * engine. */
size_t engine_finding_count(const struct engine *engine);
const struct finding *engine_finding(const struct engine *engine, size_t index);
uint64_t engine_findings_left_out(const struct engine *engine); /* for a cap or want of memory */

#endif
