/* suspicion.h - episodes in which nodes hold something against one of them: from the first word of
 * it until the last of them has taken it back. Kept by the detectors that tell of it. */
#ifndef BUSTAP_ANALYSIS_SUSPICION_H
#define BUSTAP_ANALYSIS_SUSPICION_H

#include "analysis/detector.h"
#include "analysis/verdict.h"

enum { REPORTERS_MAX = 64 /* of one episode; further ones are counted */ };

struct reporter {
    uint32_t node;
    bool holds;         /* still */
    bool itself_cut;    /* several missed it then, or it suspected most of the others as well */
    bool voter;         /* a primary with slots */
    struct place place; /* its first word of it */
};

struct suspicion {
    uint32_t subject;
    bool primary; /* it owned slots when it began */
    bool late;    /* it spoke again before anybody was heard to miss it */
    struct reporter reporters[REPORTERS_MAX];
    size_t reporter_count, reporters_left_out;
    uint32_t holders;
    nstime since;           /* it fell silent; TIME_NONE: not known */
    struct stamp last_sign; /* its last message that arrived before; TIME_NONE: none was seen */
    struct place let_go;    /* the last time that somebody took it back; TIME_NONE: nobody did */
    struct place begin;     /* the first word */
    struct verdict verdict; /* then; when it failed, then */
    struct place failed;    /* the first word that it has failed; TIME_NONE: none */
    uint32_t announcer;     /* NODE_NONE: no such message was seen */
    uint32_t needed;        /* primaries that have to agree */
    uint32_t agreed;        /* that were known to, when it failed */
    struct place end;       /* the last one takes it back, or most have; TIME_NONE: not yet */
    nstime returned; /* its process was started again, and nothing keeps it failed; likewise */
};

struct watched {
    struct verdict verdict;  /* the last one while the node was missed; `at` 0: none */
    uint32_t calls, in_vain; /* other nodes that it asks; of these, who do not answer */
};

struct suspicions {
    struct suspicion **list; /* in order of their beginning */
    uint32_t count, room;
    uint64_t left_out; /* for CAP_SUSPICIONS, or want of memory */

    struct watched *recent; /* by node */
    size_t recent_count;
};

/* The events that it follows. */
#define SUSPICION_WANTS                                                               \
    (EVENT_BIT(node_suspected) | EVENT_BIT(node_failed) | EVENT_BIT(fail_announced) | \
     EVENT_BIT(node_cleared))

/* What a detector does whose state is a struct suspicions. */
void suspicions_event(const struct detection *detection, void *state, const struct event *event);
void suspicions_tick(const struct detection *detection, void *state, nstime now);
void suspicions_free(void *state);

/* Adds whose word it rests on to the finding: the list "reporters", and packets; and its end. */
void suspicion_tell(const struct detection *detection, const struct suspicion *suspicion,
                    struct finding *finding);

static inline bool suspicion_failed(const struct suspicion *suspicion) {
    return suspicion->failed.time != TIME_NONE;
}

/* Since when most have taken it back; TIME_NONE: they have not. */
nstime suspicion_end(const struct suspicion *suspicion);

/* When it fell silent, as far as that is known. */
static inline nstime suspicion_start(const struct suspicion *suspicion) {
    return suspicion->since != TIME_NONE ? suspicion->since : suspicion->begin.time;
}

#endif
