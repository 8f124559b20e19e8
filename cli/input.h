/* input.h - packets from the user's FILEs or interfaces, that pass -f, within --from, --to and
 * -c, into an engine. */
#ifndef BUSTAP_CLI_INPUT_H
#define BUSTAP_CLI_INPUT_H

#include "analysis/engine.h"
#include "base/buf.h"
#include "capture/merge.h"
#include "capture/sieve.h"
#include "cli/live.h"
#include "report/sink.h"

struct input {
    const struct config *config;
    struct merge *merge;
    struct sieve *sieve; /* of FILEs; NULL: all packets pass */
    struct live live;    /* what is captured, without FILEs */
    struct buf path;     /* of that */
    struct tally tally;
    nstime from, until; /* the window, both included */
    bool window_known;
};

/* Opens the FILEs; without any, interfaces. False and a message if one cannot be read. */
bool input_open(struct input *input, const struct config *config, bool sha256, struct err *err);
void input_close(struct input *input);

/* Asked every few thousand packets, and whenever none come: false stops the run. */
typedef bool keep_on(void *context);

/* Reads to the end. False: the input is damaged, and the message says where; what stood before
 * the damage has been used. */
bool input_run(struct input *input, struct engine *engine, bool show_progress, keep_on *ask,
               void *context, struct err *err);

/* What the sources know of themselves, for the engine. */
struct run_facts input_facts(const struct input *input);

#endif
