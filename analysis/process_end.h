/* process_end.h - the process of the host on which the capture was taken has ended. Others' words
 * of that do not get there; its own connections tell: it closed them, and its kernel refuses new
 * ones. */
#ifndef BUSTAP_ANALYSIS_PROCESS_END_H
#define BUSTAP_ANALYSIS_PROCESS_END_H

#include "analysis/detector.h"
#include "analysis/model_clients.h"
#include "analysis/verdict.h"

enum { PROCESS_ENDS = 64 /* that are told: the first ones */ };

struct process_end {
    uint32_t node;
    bool over;
    nstime since, back;   /* its last sign of life, the next one */
    struct stamp closed;  /* it closes the first of its connections */
    struct stamp refused; /* the first attempt to reach it that was refused */
    struct verdict verdict;
    const struct command *command; /* the last one that it answered; NULL: none was seen */
};

struct process_ends {
    struct process_end list[PROCESS_ENDS];
    size_t count;
};

/* Once a second. */
void process_ends_tick(const struct detection *detection, struct process_ends *ends, nstime now);

/* At the end of the capture. */
void process_ends_tell(const struct detection *detection, struct process_ends *ends);

/* NULL: nobody asked it anything. */
const struct server *process_server(const struct model *model, uint32_t index);

/* The first of its connections that it closed since then, and how many: a process that stands still
 * closes none, one that has ended all. TIME_NONE: it closed none. */
struct stamp process_closes(const struct model *model, uint32_t index, nstime since,
                            uint32_t *ret_count);

/* When it last said something, to nodes or to clients; TIME_NONE: never. */
nstime process_last_sign(const struct model *model, uint32_t index);

/* The end of the pause that began with its last sign, or before; TIME_NONE: another one. */
static inline nstime process_pause_end(const struct pause *pause, nstime since) {
    return pause->from <= since && pause->to > since ? pause->to : TIME_NONE;
}

#endif
