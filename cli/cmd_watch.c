/* cmd_watch.c - `bustap watch`: what happens, while it happens. */
#include "cli/run.h"

static int watch(const struct config *config) {
    static const struct run_kind kind = {&cmd_watch, &sink_watch, &sink_watch_json,
                                         true,       false,       true};
    return run(config, &kind);
}

const struct subcommand cmd_watch = {
    .name = "watch",
    .arguments = "[-i IF] [--tui]",
    .help = "capture from interfaces and tell changes and findings as they happen",
    .more =
        "Times are UTC. A finding is told when it is over, or at the end: SIGINT or SIGTERM; then\n"
        "the verdict, in a line. With --json each line is a JSON object: a change or a finding.\n"
        "Packets captured and dropped are told at the end, and on SIGUSR1, on standard error,\n"
        "where a terminal also has a line on how it goes; with --backend ebpf also packets and\n"
        "bytes of each port, as the kernel counted them.\n"
        "Without -i and -p the Redis and Valkey servers of this host are found, also in "
        "containers;\n"
        "what is captured is told on standard error, and so are ports that nodes announce later:\n"
        "they are captured from then on. An interface that goes away is told, too; without the "
        "last\n"
        "one the run ends, with status 2.\n"
        "Capturing needs root, or CAP_NET_RAW (--backend ebpf: CAP_BPF and CAP_NET_ADMIN); once "
        "the\ninterfaces are open it is given up.\n",
    .bit = FOR_WATCH,
    .run = watch,
};
