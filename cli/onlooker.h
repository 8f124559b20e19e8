/* onlooker.h - what `watch` shows to whoever sits at the terminal, besides what it tells: a full
 * screen with --tui, else a status line, else nothing. */
#ifndef BUSTAP_CLI_ONLOOKER_H
#define BUSTAP_CLI_ONLOOKER_H

#include "cli/options.h"
#include "cli/status.h"
#include "cli/tui.h"

struct onlooker {
    struct status status;
    struct tui *tui; /* NULL: none is wanted */
    struct buf title;
};

/* Before privileges are given up; `coloured` is standard error. False and a message: the terminal
 * cannot be had. */
bool onlooker_open(struct onlooker *onlooker, const struct config *config, bool coloured,
                   const struct merge *merge, const struct sink_options *options, struct err *err);

void onlooker_event(struct onlooker *onlooker, const struct event *event);
void onlooker_finding(struct onlooker *onlooker, const struct finding *finding);

/* Several times a second. */
void onlooker_tick(struct onlooker *onlooker, const struct merge *merge,
                   const struct engine *engine);

/* Something else is to be written to standard error: true, if there is place for it. */
bool onlooker_make_way(struct onlooker *onlooker);

/* Gives the terminal back. */
void onlooker_close(struct onlooker *onlooker);

#endif
