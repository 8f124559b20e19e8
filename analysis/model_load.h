/* model_load.h - what a migration does to the link that it goes over: bytes out of the source's
 * host and into the target's, those of the migration and those of all, several times a second while
 * it runs; and what the bus and the clients of both felt before, during and after.
 *
 * Bytes are TCP payload, retransmissions included. The capacity of a link is not configured but
 * learnt: from the plateau on which its traffic stays while more always waits to be sent. */
#ifndef BUSTAP_ANALYSIS_MODEL_LOAD_H
#define BUSTAP_ANALYSIS_MODEL_LOAD_H

#include "analysis/model_migrations.h"

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

struct plateau {
    nstime lasted;            /* in all */
    nstime from, to;          /* its first and last moment */
    uint64_t bytes_per_s;     /* of the migration, on it */
    uint64_t all_per_s;       /* of all, on it */
    uint64_t link_per_s;      /* its height: what the link carries */
    bool at_target;           /* into the target's host; else out of the source's */
    uint32_t forgotten;       /* samples before those that it was seen in, past CAP_LOAD_SAMPLES */
    unsigned waiting_percent; /* of the samples on it more waited to be acknowledged */
    nstime ack_least, ack_mean; /* from data to acknowledgement, on the migration's connections */
};

/* False: there is none that lasted. */
bool model_load_plateau(const struct load *load, struct plateau *ret_plateau);

/* What was felt at one end. 0: nothing was measured. */
struct felt {
    uint64_t pings, rtt_us; /* PONGs that came on its bus links; the mean time from PING to PONG */
    uint64_t replies, p99_us; /* to its clients, without what may block; their 99th percentile */
};

enum load_end { LOAD_SOURCE, LOAD_TARGET, LOAD_ENDS };
enum load_phase { LOAD_BEFORE, LOAD_DURING, LOAD_AFTER, LOAD_PHASES };

void model_load_felt(const struct model *model, const struct migration *migration,
                     struct felt ret_felt[LOAD_ENDS][LOAD_PHASES]);

/* On the connections of the migration. */
struct load_troubles {
    uint64_t retransmits, zero_windows;
};
struct load_troubles model_load_troubles(const struct load *load);

#endif
