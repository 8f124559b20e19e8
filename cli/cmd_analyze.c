/* cmd_analyze.c - `bustap analyze`: the report. */
#include "cli/run.h"

static int analyze(const struct config *config) {
    static const struct run_kind kind = {&cmd_analyze, &sink_text, &sink_json, true, true, false};
    return run(config, &kind);
}

const struct subcommand cmd_analyze = {
    .name = "analyze",
    .arguments = "FILE...",
    .help = "read captures and report: verdict, findings, cluster, timeline, links, numbers",
    .more =
        "FILE is a pcap or pcapng capture, plain, zstd or gzip, seen from its content; - is\n"
        "standard input. Several are read as one capture, merged by time.\n"
        "Exit status: 0 done; 1 done, and --fail-on met; 2 it could not be done, or the input is\n"
        "damaged (the report then goes up to the damage).\n",
    .bit = FOR_ANALYZE,
    .run = analyze,
};
