/* report_watch_json.c - `watch --json`: each conclusion and each finding as a JSON object on a line
 * of its own; a finding is {"finding": {...}} with the fields of the report's. */
#include "report/report_json.h"

static void finding_object(struct sink *sink, const struct finding *finding) {
    struct writer w = {.json = {.buf = &sink->buf}, .sink = sink, .model = sink->options.model};
    json_open(&w.json, NULL, '{');
    writer_finding(&w, "finding", finding);
    json_close(&w.json, '}');
    buf_add(&sink->buf, "\n", 1);
    sink_flush(sink);
}

const struct sink_ops sink_watch_json = {
    .name = "watch-json",
    .help = "watch --json: one JSON object per conclusion or finding, and line",
    .event = ndjson_event,
    .finding = finding_object,
};
