/* cmd_dump.c - `bustap dump`: every event, one line each. */
#include "cli/run.h"

static int dump(const struct config *config) {
    static const struct run_kind kind = {&cmd_dump, &sink_lines, &sink_ndjson, false, true, true};
    return run(config, &kind);
}

const struct subcommand cmd_dump = {
    .name = "dump",
    .arguments = "FILE... | [-i IF]",
    .help = "read captures, or interfaces, and print one line per message and state change",
    .more = "A line is: frame, time (UTC), source > destination, type, node > node, key=value ...\n"
            "Without FILE, -i and -p it captures from the Redis and Valkey servers of this host.\n"
            "What is not known is -. Requests, replies and replication have no nodes in it.\n"
            "With --json each line is a JSON object. Values are never shown, keys with --keys.\n"
            "`bustap list events` explains the types.\n",
    .bit = FOR_DUMP,
    .run = dump,
};
