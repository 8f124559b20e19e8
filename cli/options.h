/* options.h - the command line of a subcommand as a struct. The options are the rows of
 * options.def; whatever is none is a FILE (or for `list`, a word). Options and FILEs may be mixed
 * in any order; "--" ends the options, "-" is a FILE. */
#ifndef BUSTAP_CLI_OPTIONS_H
#define BUSTAP_CLI_OPTIONS_H

#include "analysis/thresholds.h"
#include "base/err.h"
#include "base/port_set.h"
#include "report/format.h"
#include "report/render.h"

enum {
    FOR_ANALYZE = 1,
    FOR_DUMP = 2,
    FOR_LIST = 4,
    FOR_WATCH = 8,
    FOR_LIVE = FOR_DUMP | FOR_WATCH,
    FOR_RUNS = FOR_ANALYZE | FOR_LIVE,
    FOR_ALL = FOR_RUNS | FOR_LIST,
};

struct words {
    const char **list; /* borrowed from argv */
    size_t count;
};

struct target {
    bool wanted;
    const char *path; /* NULL: standard output, in the place of the text */
};

enum colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

enum { SEVERITY_NEVER = -1 };

enum backend { BACKEND_PCAP, BACKEND_EBPF };

struct config {
    struct words files;
    struct words interfaces;
    struct port_set ports; /* of clients; none: any */
    const char *filter;    /* NULL: none */
    enum backend backend;
    uint64_t snaplen; /* bytes */
    uint64_t ring;    /* MiB; 0: not said */
    struct when from, to;
    uint64_t count; /* 0: all */
    struct target json;
    uint64_t only, skip; /* bit i: detectors[i]; only 0: all */
    struct thresholds thresholds;
    int fail_on; /* enum severity, or SEVERITY_NEVER */
    enum colour colour;
    enum show_keys keys;
    bool tui, quiet, verbose, help, version;
};

/* Reads the words after the subcommand. False: the message says what is wrong. Whatever happened,
 * config_free() the result. */
bool config_parse(struct config *config, unsigned command, int argc, char *const *argv,
                  struct err *err);
void config_free(struct config *config);

/* The options of a command, a line or two each. */
void config_help(struct buf *buf, unsigned command);

#endif
