/* model_alarms.h - what is held against a node: who suspects it since when, who said that it has
 * failed. It is over when nobody who held something does so any more. */
#ifndef BUSTAP_ANALYSIS_MODEL_ALARMS_H
#define BUSTAP_ANALYSIS_MODEL_ALARMS_H

#include "analysis/model.h"

enum { ALARM_SIGNS = 8 /* suspicions kept, the first ones */ };

struct sign {
    uint32_t node; /* who said it; NODE_NONE: nobody */
    struct place place;
};

struct alarm {
    uint32_t holders;                   /* nodes whose last gossip has it as PFAIL or FAIL */
    uint32_t most;                      /* of these, at a time */
    uint32_t suspects;                  /* times that a node began to suspect it */
    struct sign suspected[ALARM_SIGNS]; /* `suspects` of them, or all there is room for */
    struct sign announced;              /* the first FAIL message about it */
    struct sign failed; /* the first that held it for failed, by message or gossip */
};

/* NULL: nothing is held against the node. */
const struct alarm *model_alarm(const struct model *model, size_t index);

/* Is it held for failed? Not if most have taken it back: the others may not mention it. */
bool model_is_failed(const struct model *model, size_t index);

/* Has somebody held it for failed, since anything is held against it? */
static inline bool model_was_failed(const struct model *model, size_t index) {
    const struct alarm *alarm = model_alarm(model, index);
    return alarm && alarm->failed.node != NODE_NONE;
}

/* Is this event the first word that the node has failed, since anything is held against it? */
bool model_is_first_failure(const struct model *model, size_t index, const struct event *event);

#endif
