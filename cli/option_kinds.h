/* option_kinds.h - the kinds of value that options take; private to options.c. A kind is a row here
 * and a function read_KIND in option_kinds.c. */
#ifndef BUSTAP_CLI_OPTION_KINDS_H
#define BUSTAP_CLI_OPTION_KINDS_H

#include "capture/source.h"
#include "cli/options.h"

enum takes { TAKES_NOTHING, TAKES_VALUE, MAY_TAKE_VALUE };

/* KIND(name, whether it takes a value, how the help calls that) */
#define OPTION_KINDS(KIND)                     \
    KIND(FLAG, TAKES_NOTHING, NULL)            \
    KIND(FILE, TAKES_VALUE, "FILE")            \
    KIND(INTERFACES, TAKES_VALUE, "IF")        \
    KIND(PORTS, TAKES_VALUE, "PORTS")          \
    KIND(FILTER, TAKES_VALUE, "FILTER")        \
    KIND(SNAPLEN, TAKES_VALUE, "BYTES")        \
    KIND(MIB, TAKES_VALUE, "MIB")              \
    KIND(TIME, TAKES_VALUE, "TIME")            \
    KIND(COUNT, TAKES_VALUE, "COUNT")          \
    KIND(TARGET, MAY_TAKE_VALUE, "FILE")       \
    KIND(DETECTORS, TAKES_VALUE, "DETECTORS")  \
    KIND(THRESHOLD, TAKES_VALUE, "NAME=VALUE") \
    KIND(SEVERITY, TAKES_VALUE, "SEVERITY")    \
    KIND(COLOUR, TAKES_VALUE, "WHEN")          \
    KIND(KEYS, TAKES_VALUE, "HOW")             \
    KIND(BACKEND, TAKES_VALUE, "HOW")

#define KIND(name, takes, value) KIND_##name,
enum kind_index { OPTION_KINDS(KIND) };
#undef KIND

struct option_kind {
    enum takes takes;
    const char *value; /* as the help calls it */

    /* Reads `text` (NULL: no value given) into the member of struct config, which is of the kind's
     * type. False, and what would have been right. */
    bool (*read)(void *member, const char *text, struct err *err);
};

extern const struct option_kind option_kinds[]; /* by kind_index */

#endif
