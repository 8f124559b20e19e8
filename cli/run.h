/* run.h - what analyze, dump and watch share: FILEs or interfaces in, an engine, one or two sinks
 * out. */
#ifndef BUSTAP_CLI_RUN_H
#define BUSTAP_CLI_RUN_H

#include "cli/command.h"
#include "report/sink.h"

struct run_kind {
    const struct subcommand *command;
    const struct sink_ops *text, *json;
    bool concludes;   /* detectors, timeline and hashes of the input are wanted */
    bool files, live; /* what it reads: FILEs, or without any, interfaces */
};

/* Gives the exit status (EXIT_...), having said on standard error whatever went wrong. */
int run(const struct config *config, const struct run_kind *kind);

#endif
