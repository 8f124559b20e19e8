/* tui.h - `watch --tui`: the cluster on a full screen. Its nodes, the last findings and changes
 * with the newest first, rates; a finding opens with its proof. */
#ifndef BUSTAP_CLI_TUI_H
#define BUSTAP_CLI_TUI_H

#include "capture/merge.h"
#include "report/sink.h"

struct tui;

/* Takes the terminal; `title` is borrowed. NULL and a message: it cannot. */
struct tui *tui_open(const struct sink_options *options, const char *title, struct err *err);
void tui_close(struct tui *tui); /* NULL is fine */

void tui_event(struct tui *tui, const struct event *event); /* conclusions */
void tui_finding(struct tui *tui, const struct finding *finding);

/* Several times a second: does what keys ask for, and draws if there is something new. */
void tui_tick(struct tui *tui, const struct merge *merge, const struct engine *engine);

#endif
