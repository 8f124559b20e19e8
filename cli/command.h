/* command.h - a subcommand: one row of the table in main.c, one cmd_*.c. */
#ifndef BUSTAP_CLI_COMMAND_H
#define BUSTAP_CLI_COMMAND_H

#include "cli/options.h"

struct subcommand {
    const char *name;
    const char *arguments;                   /* as the help shows them, "FILE..." */
    const char *help;                        /* one line */
    const char *more;                        /* some lines on how it is used */
    unsigned bit;                            /* FOR_... */
    int (*run)(const struct config *config); /* gives the exit status */
};

extern const struct subcommand cmd_analyze, cmd_dump, cmd_watch, cmd_list;

/* "bustap: NAME: ..., `bustap help NAME` ..."; gives EXIT_TROUBLE. */
int usage_error(const struct subcommand *command, const char *what);

#endif
