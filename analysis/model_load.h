/* model_load.h - what a migration does to the link that it goes over: bytes out of the source's
 * host and into the target's, those of the migration and those of all, several times a second while
 * it runs; and what the bus and the clients of both felt before, during and after.
 *
 * plateau.h says how the capacity of the link is learnt from that. */
#ifndef BUSTAP_ANALYSIS_MODEL_LOAD_H
#define BUSTAP_ANALYSIS_MODEL_LOAD_H

#include "analysis/model_migrations.h"
#include "analysis/plateau.h"

struct load;

/* Times between samples. */
#define LOAD_STEP (200 * NS_PER_MS)

/* ---- the engine's: while migrations run, every LOAD_STEP ---- */

bool model_load_is_wanted(const struct model *model, nstime now);

/* Begins a sample; tells of each connection that there is; ends it. */
void model_load_begin_sample(struct model *model);
void model_load_count(void *model, struct flow *flow);
void model_load_end_sample(struct model *model, nstime now);

/* ---- looking at it ---- */

/* What was felt at one end. 0: nothing was measured. */
struct felt {
    uint64_t pings, rtt_us; /* PONGs that came on its bus links; the mean time from PING to PONG */
    uint64_t replies, p99_us; /* to its clients, without what may block; their 99th percentile */
};

/* Before the migration; while it filled the link; after that. */
enum load_phase { LOAD_BEFORE, LOAD_DURING, LOAD_AFTER, LOAD_PHASES };

struct filling {
    struct plateau plateau;
    nstime ack_least; /* from data to acknowledgement where nothing was in the way */
    struct felt felt[LOAD_ENDS][LOAD_PHASES];
};

/* The longest time in which the migration filled the link. False: it did not, as far as is seen. */
bool model_load_filled(const struct model *model, const struct migration *migration,
                       struct filling *ret_filling);

#endif
