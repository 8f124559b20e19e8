/* report_json.h - the parts of the JSON report; private to report_json*.c. */
#ifndef BUSTAP_REPORT_REPORT_JSON_H
#define BUSTAP_REPORT_REPORT_JSON_H

#include "base/histogram.h"
#include "report/sink.h"
#include "report/view.h"

struct writer {
    struct json json;
    struct sink *sink;
    const struct report *report;
    const struct model *model;
    const struct view *view;
};

/* An event as an object on a line of its own. */
void ndjson_event(struct sink *sink, const struct event *event);

/* Called wherever much has been added. */
void writer_piece(struct writer *w);

/* A list whose items stand on a line each. */
void writer_open_lines(struct writer *w, const char *key);
void writer_close_lines(struct writer *w);

/* The id of a node, null for NODE_NONE. */
void writer_node(struct writer *w, const char *key, uint32_t node);

void writer_anomalies(struct json *json, const uint64_t counts[AN_COUNT]);

/* Percentiles in microseconds, all null if nothing was timed. */
void writer_latency(struct json *json, const char *key, const struct histogram *histogram);

void writer_clients(struct writer *w);
void writer_top(struct writer *w);
void writer_replicas(struct writer *w);
void writer_replication(struct writer *w);
void writer_findings(struct writer *w);

/* One alone, without the numbers that it has among all. */
void writer_finding(struct writer *w, const char *key, const struct finding *finding);

#endif
