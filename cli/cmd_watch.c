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
        "Times are UTC. A finding is told when it is over, or at the end: SIGINT or SIGTERM;\n"
        "then the verdict, in a line. With --json each line is a JSON object: a change or a\n"
        "finding. Packets captured and dropped are told at the end, and on SIGUSR1, on standard\n"
        "error, where a terminal also has a line on how it goes; with --backend ebpf also\n"
        "packets and bytes of each port, as the kernel counted them.\n"
        "Without -i and -p the Redis and Valkey servers of this host are found, also in\n"
        "containers; what is captured is told on standard error, and so are ports that nodes\n"
        "announce later: they are captured from then on. An interface that goes away is told,\n"
        "too; without the last one the run ends, with status 2.\n"
        "Capturing needs root, or CAP_NET_RAW (--backend ebpf: CAP_BPF and CAP_NET_ADMIN); once\n"
        "the interfaces are open it is given up.\n",
    .bit = FOR_WATCH,
    .run = watch,
};
