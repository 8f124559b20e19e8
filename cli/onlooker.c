/* onlooker.c - the status line makes way for every line that is told; the full screen takes it in.
 */
#include "cli/onlooker.h"

#include <unistd.h>

enum { TITLE_MAX = 4096, NAMES_SHOWN = 200 };

bool onlooker_open(struct onlooker *onlooker, const struct config *config, bool coloured,
                   const struct merge *merge, const struct sink_options *options, struct err *err) {
    onlooker->status = status_start(!config->quiet && !config->tui, coloured);
    if (!config->tui)
        return true;
    onlooker->title.max = TITLE_MAX;
    buf_text(&onlooker->title, "bustap watch: ");
    buf_wire_text(&onlooker->title, bytes_str(merge_info(merge, 0)->path), NAMES_SHOWN);
    onlooker->tui = tui_open(options, buf_str(&onlooker->title), err);
    return onlooker->tui;
}

/* A line of standard output is to stand alone on the terminal. */
static void clear_for_a_line(struct onlooker *onlooker) {
    if (onlooker->status.drawn && isatty(STDOUT_FILENO))
        status_clear(&onlooker->status);
}

void onlooker_event(struct onlooker *onlooker, const struct event *event) {
    clear_for_a_line(onlooker);
    if (onlooker->tui)
        tui_event(onlooker->tui, event);
}

void onlooker_finding(struct onlooker *onlooker, const struct finding *finding) {
    clear_for_a_line(onlooker);
    if (onlooker->tui)
        tui_finding(onlooker->tui, finding);
}

void onlooker_tick(struct onlooker *onlooker, const struct merge *merge,
                   const struct engine *engine) {
    if (onlooker->tui)
        tui_tick(onlooker->tui, merge, engine);
    else
        status_tick(&onlooker->status, merge, engine);
}

bool onlooker_make_way(struct onlooker *onlooker) {
    status_clear(&onlooker->status);
    return !onlooker->tui;
}

void onlooker_close(struct onlooker *onlooker) {
    status_clear(&onlooker->status);
    tui_close(onlooker->tui);
    onlooker->tui = NULL;
    buf_free(&onlooker->title);
}
