/* cmd_list.c - `bustap list WHAT`: what the program knows, straight from its tables. */
#include <unistd.h>

#include "analysis/detector.h"
#include "base/limits.h"
#include "cli/command.h"
#include "cli/say.h"
#include "report/columns.h"
#include "report/sink.h"

static void row(struct columns *columns, const char *first, const char *second) {
    columns_text(columns, first);
    columns_text(columns, second);
}

static void list_detectors(struct columns *columns) {
    for (size_t i = 0; i < detector_count; i++)
        row(columns, detectors[i]->name, detectors[i]->help);
}

static void list_events(struct columns *columns) {
    for (size_t i = 0; i < EV_COUNT; i++)
        if (event_rows[i].visibility == SHOWN)
            row(columns, event_rows[i].name, event_rows[i].help);
}

static void list_messages(struct columns *columns) {
#define BUS_MESSAGE(symbol, number, name, body, since) row(columns, name, "message, since " since);
#define BUS_EXTENSION(number, name, value, since) \
    row(columns, name, "extension of ping, pong and meet, since " since);
#include "decode/bus.def"
#undef BUS_MESSAGE
#undef BUS_EXTENSION
}

static void list_sources(struct columns *columns) {
#define SOURCE(name, prefix, help) row(columns, #name, help);
#include "capture/sources.def"
#undef SOURCE
}

static void list_sinks(struct columns *columns) {
    for (size_t i = 0; i < sink_count; i++)
        row(columns, sinks[i]->name, sinks[i]->help);
}

static void list_anomalies(struct columns *columns) {
    for (size_t i = 0; i < AN_COUNT; i++)
        row(columns, anomaly_rows[i].name, anomaly_rows[i].help);
}

static void list_thresholds(struct columns *columns) {
    for (size_t i = 0; i < THRESHOLD_COUNT; i++) {
        columns_text(columns, threshold_rows[i].name);
        columns_u64(columns, threshold_rows[i].preset);
        columns_text(columns, threshold_rows[i].unit);
        columns_text(columns, threshold_rows[i].help);
    }
}

static void list_limits(struct columns *columns) {
#define CAP_ROW(name, value, help)    \
    columns_text(columns, #name);     \
    columns_u64(columns, CAP_##name); \
    columns_text(columns, help);
    LIMITS(CAP_ROW)
#undef CAP_ROW
}

static const struct column two[] = {{"NAME", LEFT}, {"MEANING", LEFT}};
static const struct column three[] = {{"NAME", LEFT}, {"VALUE", RIGHT}, {"WHAT IS LIMITED", LEFT}};

static const struct column four[] = {
    {"NAME", LEFT}, {"PRESET", RIGHT}, {"UNIT", LEFT}, {"WHAT IT DECIDES", LEFT}};

static const struct list {
    const char *what;
    void (*fill)(struct columns *columns);
    const struct column *heads;
    size_t count;
} lists[] = {
    {"detectors", list_detectors, two, countof(two)},
    {"events", list_events, two, countof(two)},
    {"messages", list_messages, two, countof(two)},
    {"sources", list_sources, two, countof(two)},
    {"sinks", list_sinks, two, countof(two)},
    {"anomalies", list_anomalies, two, countof(two)},
    {"limits", list_limits, three, countof(three)},
    {"thresholds", list_thresholds, four, countof(four)},
};

enum { WIDTH = 100 /* on a terminal; for whoever else reads, a row is a line */ };

static int print_list(const struct list *list) {
    struct columns columns = columns_of(list->heads, list->count);
    struct buf buf = {.max = 1 << 20};
    struct output output;
    struct err err;
    columns.width = isatty(STDOUT_FILENO) ? WIDTH : 0;
    list->fill(&columns);
    columns_print(&columns, &buf);
    bool failed = buf.failed;
    if (!output_open(&output, "-", &err))
        return say("%s", err.text);
    output_take(&output, &buf);
    buf_free(&buf);
    if (!output_close(&output, &err) || (failed && !err_no_memory(&err)))
        return say("%s", err.text);
    return EXIT_DONE;
}

static int list(const struct config *config) {
    const char *what = config->files.count ? config->files.list[0] : "";
    struct buf buf = {.max = 1024};
    if (config->files.count > 1)
        return usage_error(&cmd_list, "one list at a time");
    for (size_t i = 0; i < countof(lists); i++)
        if (strcmp(lists[i].what, what) == 0)
            return print_list(&lists[i]);
    if (*what)
        buf_printf(&buf, "there is no list of '%.100s'; ", what);
    buf_text(&buf, "name one of:");
    for (size_t i = 0; i < countof(lists); i++)
        buf_printf(&buf, " %s", lists[i].what);
    int status = usage_error(&cmd_list, buf.failed ? "name a list" : buf.data);
    buf_free(&buf);
    return status;
}

const struct subcommand cmd_list = {
    .name = "list",
    .arguments = "WHAT",
    .help = "list detectors, events, messages, sources, sinks, anomalies, limits or thresholds",
    .more = "WHAT is one of these words.\n",
    .bit = FOR_LIST,
    .run = list,
};
