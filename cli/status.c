/* status.c - what stands on the terminal is remembered, so that it can be taken away again. */
#include "cli/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/pulse_text.h"

enum { WIDTH = 80 /* of a terminal that does not say */, TEXT_MAX = 1024 };

struct status status_start(bool wanted, bool coloured) {
    const char *term = getenv("TERM");
    return (struct status){
        .shown = wanted && isatty(STDERR_FILENO),
        .coloured = coloured,
        .erases = term && strcmp(term, "dumb") != 0,
    };
}

void status_clear(struct status *status) {
    if (!status->drawn)
        return;
    if (status->erases)
        (void)fputs("\r\x1b[K", stderr);
    else
        (void)fprintf(stderr, "\r%*s\r", (int)status->drawn, "");
    status->drawn = 0;
}

/* A terminal of which all columns are used goes to the next line. */
static size_t columns_usable(void) {
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col - 1U : WIDTH - 1;
}

struct line {
    struct buf buf;
    bool coloured;
};

static void put_part_of(void *context, const char *text, bool alarming) {
    struct line *line = context;
    bool coloured = alarming && line->coloured;
    buf_text(&line->buf, coloured ? "\x1b[1;31m" : "");
    buf_text(&line->buf, text);
    buf_text(&line->buf, coloured ? "\x1b[0m" : "");
}

void status_tick(struct status *status, const struct merge *merge, const struct engine *engine) {
    struct line line = {.buf.max = TEXT_MAX, .coloured = status->coloured};
    if (!status->shown || !pulse_take(&status->pulse, merge, engine))
        return;
    size_t used = pulse_parts(&status->pulse, columns_usable(), put_part_of, &line);
    status_clear(status);
    (void)fputs(buf_str(&line.buf), stderr);
    status->drawn = line.buf.failed ? 0 : used;
    buf_free(&line.buf);
}
