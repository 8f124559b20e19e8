/* report_json_findings.c - the findings in the JSON report, and which of them make one incident. */

#include "report/format.h"
#include "report/render.h"
#include "report/report_json.h"

enum { FILTER_MAX = 512, NUMBER_MAX = 32 };

/* ---- values ---- */

static void put_value(struct writer *w, const char *key, const struct value *value);

static bool shows_keys(const struct writer *w) {
    return w->sink->options.style.keys != SHOW_NO_KEYS;
}

static void put_items(struct writer *w, const char *key, const struct value *container) {
    bool list = container->kind == VALUE_LIST;
    if (list && container->keyed && !shows_keys(w))
        return;
    json_open(&w->json, key, list ? '[' : '{');
    for (const struct value *item = container->first; item; item = item->next)
        put_value(w, item->name, item);
    json_close(&w->json, list ? ']' : '}');
    writer_piece(w);
}

static void put_key(struct writer *w, const char *key, struct bytes name) {
    if (name.len && shows_keys(w))
        render_json_key(&w->json, key, &w->sink->options.style, name);
    else
        json_null(&w->json, key);
}

static void put_slots(struct json *json, const char *key, const uint8_t *slots) {
    struct buf ranges = {.max = SLOTS_TEXT};
    buf_slots(&ranges, slots);
    json_text(json, key, buf_str(&ranges));
    json->buf->failed |= ranges.failed;
    buf_free(&ranges);
}

static void put_value(struct writer *w, const char *key, const struct value *value) {
    struct json *json = &w->json;
    switch (value->kind) {
    case VALUE_NUMBER:
        json_u64(json, key, value->number);
        break;
    case VALUE_REAL:
        json_real(json, key, value->real);
        break;
    case VALUE_BOOL:
        json_bool(json, key, value->truth);
        break;
    case VALUE_TEXT:
        json_text_of(json, key, value->text);
        break;
    case VALUE_WIRE:
        json_wire_text(json, key, value->text, value->text.len);
        break;
    case VALUE_KEY:
        put_key(w, key, value->text);
        break;
    case VALUE_NODE:
        render_json_node(json, key, value->node);
        break;
    case VALUE_ADDR:
        render_json_endpoint(json, key, &value->addr);
        break;
    case VALUE_SLOTS:
        put_slots(json, key, value->slots);
        break;
    case VALUE_TIME:
        json_time(json, key, value->time);
        break;
    case VALUE_LIST:
    case VALUE_OBJECT:
        put_items(w, key, value);
        break;
    }
}

/* ---- a finding ---- */

static void sentences(struct json *json, const char *key, const struct sentence *sentence) {
    json_open(json, key, '[');
    for (; sentence; sentence = sentence->next)
        json_text(json, NULL, sentence->text);
    json_close(json, ']');
}

static void evidence(struct json *json, const struct evidence *evidence) {
    struct buf filter = {.max = FILTER_MAX};
    json_open(json, NULL, '{');
    json_u64(json, "frame", evidence->place.frame);
    json_u64(json, "source", evidence->place.source);
    json_time(json, "time", evidence->place.time);
    json_text(json, "note", evidence->note);
    view_filter(&filter, &evidence->place);
    json_text(json, "filter", buf_str(&filter));
    json->buf->failed |= filter.failed;
    buf_free(&filter);
    json_close(json, '}');
}

static void subjects(struct writer *w, const struct finding *finding) {
    struct json *json = &w->json;
    json_open(json, "subjects", '{');
    put_items(w, "nodes", &finding->nodes);
    put_items(w, "clients", &finding->clients);
    put_slots(json, "slots", finding->slots);
    put_items(w, "addrs", &finding->addrs);
    json_close(json, '}');
}

/* "f3", "i1"; zero: null */
static void put_id(struct json *json, const char *key, char letter, size_t number) {
    struct buf id = {.max = NUMBER_MAX};
    buf_printf(&id, "%c%zu", letter, number);
    json_text(json, key, number ? buf_str(&id) : NULL);
    json->buf->failed |= id.failed;
    buf_free(&id);
}

static void put_fields(struct writer *w, const struct finding *finding) {
    struct json *json = &w->json;
    json_text(json, "type", finding->type);
    json_text(json, "severity", severity_name(finding->severity));
    json_text(json, "confidence", confidence_name(finding->confidence));
    json_time(json, "start", finding->start);
    json_time(json, "end", finding->end);
    json_text(json, "title", finding->title);
    json_text(json, "explanation", finding->explanation);
    json_text(json, "verdict", finding->verdict);
    sentences(json, "ruled_out", finding->ruled_out);
    subjects(w, finding);
    put_items(w, "metrics", &finding->metrics);
    json_open(json, "evidence", '[');
    for (const struct evidence *e = finding->evidence; e; e = e->next)
        evidence(json, e);
    json_close(json, ']');
    sentences(json, "caveats", finding->caveats);
    sentences(json, "advice", finding->advice);
}

void writer_finding(struct writer *w, const char *key, const struct finding *finding) {
    json_open(&w->json, key, '{');
    put_fields(w, finding);
    json_close(&w->json, '}');
}

static void put_finding(struct writer *w, const struct finding *finding, size_t number) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    put_id(json, "id", 'f', number);
    put_fields(w, finding);
    put_id(json, "incident", 'i', finding->incident);
    put_id(json, "caused_by", 'f', view_finding_number(w->report->engine, finding->cause));
    json_close(json, '}');
    writer_piece(w);
}

void writer_findings(struct writer *w) {
    const struct engine *engine = w->report->engine;
    json_open(&w->json, "findings", '[');
    for (size_t i = 0; i < engine_finding_count(engine); i++)
        put_finding(w, engine_finding(engine, i), i + 1);
    json_close(&w->json, ']');
    json_u64(&w->json, "findings_left_out", engine_findings_left_out(engine));
}
