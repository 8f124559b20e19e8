/* status.c - parts, of which as many are shown as fit. */
#include "cli/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report/format.h"

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

/* ---- the parts ---- */

static bool put_nodes(struct buf *buf, const struct pulse *pulse) {
    const size_t *nodes = pulse->vitals.nodes;
    bool well = !nodes[HEALTH_SUSPECTED] && !nodes[HEALTH_FAILED];
    buf_printf(buf, "nodes %zu ok", nodes[HEALTH_OK]);
    if (nodes[HEALTH_SUSPECTED])
        buf_printf(buf, ", %zu suspected", nodes[HEALTH_SUSPECTED]);
    if (nodes[HEALTH_FAILED])
        buf_printf(buf, ", %zu failed", nodes[HEALTH_FAILED]);
    return well;
}

static bool put_packets(struct buf *buf, const struct pulse *pulse) {
    buf_printf(buf, "%.0f pkt/s", pulse->packets_per_s);
    return true;
}

static bool put_bytes(struct buf *buf, const struct pulse *pulse) {
    buf_size(buf, (uint64_t)pulse->bytes_per_s);
    buf_text(buf, "/s");
    return true;
}

static bool put_drops(struct buf *buf, const struct pulse *pulse) {
    const struct {
        uint64_t count;
        const char *cause;
    } rows[] = {{pulse->kernel_drops, "kernel"}, {pulse->cut, "cut"}, {pulse->gaps, "gaps"}};
    bool well = true;
    buf_text(buf, "drops ");
    for (size_t i = 0; i < countof(rows); i++) {
        if (!rows[i].count)
            continue;
        buf_printf(buf, "%s%" PRIu64 " %s", well ? "" : ", ", rows[i].count, rows[i].cause);
        well = false;
    }
    buf_text(buf, well ? "0" : "");
    return well;
}

static bool put_redirects(struct buf *buf, const struct pulse *pulse) {
    buf_printf(buf, "redirects %.0f/s", pulse->redirects_per_s);
    return true;
}

static bool put_rtt(struct buf *buf, const struct pulse *pulse) {
    buf_text(buf, "bus RTT ");
    if (pulse->bus_rtt)
        buf_duration(buf, pulse->bus_rtt);
    else
        buf_text(buf, "-");
    return true;
}

/* The most important first. Each says whether all is well. */
static bool (*const parts[])(struct buf *buf, const struct pulse *pulse) = {
    put_nodes, put_packets, put_bytes, put_drops, put_redirects, put_rtt};

/* ---- the line ---- */

/* A terminal of which all columns are used goes to the next line. */
static size_t columns_usable(void) {
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col - 1U : WIDTH - 1;
}

static size_t put_line(struct buf *line, const struct status *status, size_t columns) {
    size_t used = 0;
    for (size_t i = 0; i < countof(parts); i++) {
        struct buf part = {.max = TEXT_MAX};
        bool well = parts[i](&part, &status->pulse);
        size_t gap = used ? 2 : 0;
        if (used + gap + part.len <= columns) {
            bool alarming = !well && status->coloured;
            buf_printf(line, "%*s%s", (int)gap, "", alarming ? "\x1b[1;31m" : "");
            buf_text(line, buf_str(&part));
            buf_text(line, alarming ? "\x1b[0m" : "");
            used += gap + part.len;
        }
        line->failed |= part.failed;
        buf_free(&part);
    }
    return used;
}

void status_tick(struct status *status, const struct merge *merge, const struct engine *engine) {
    struct buf line = {.max = TEXT_MAX};
    if (!status->shown || !pulse_take(&status->pulse, merge, engine))
        return;
    size_t used = put_line(&line, status, columns_usable());
    status_clear(status);
    (void)fputs(buf_str(&line), stderr);
    status->drawn = line.failed ? 0 : used;
    buf_free(&line);
}
