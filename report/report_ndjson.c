/* report_ndjson.c - `dump --json`: each event as a JSON object on a line of its own. */
#include "report/render.h"
#include "report/report_json.h"

void ndjson_event(struct sink *sink, const struct event *event) {
    struct json json = {.buf = &sink->buf};
    render_json(&json, event, &sink->options.style);
    buf_add(&sink->buf, "\n", 1);
    sink_flush(sink);
}

const struct sink_ops sink_ndjson = {
    .name = "ndjson",
    .help = "dump --json: one JSON object per event and line",
    .event = ndjson_event,
};
