/* report_text_findings.c - the findings as a person reads them: first the incidents, then every
 * finding with its proof and what to do. */
#include <inttypes.h>

#include "base/limits.h"
#include "decode/slot_set.h"
#include "report/format.h"
#include "report/render.h"
#include "report/report_text.h"

enum { LINE_MAX_TEXT = 4096, ITEMS_SHOWN = 12 /* of a list among the numbers */, SLOTS_SHOWN = 60 };

enum tone page_severity_tone(enum severity severity) {
    static const enum tone tones[] = {TONE_PLAIN, TONE_PLAIN, TONE_WARNING, TONE_BAD};
    return tones[severity];
}

/* ---- values ---- */

static void put_value(struct page *page, struct buf *buf, const struct value *value);

static bool is_hidden(const struct page *page, const struct value *value) {
    return value->kind == VALUE_LIST && value->keyed && page->options->style.keys == SHOW_NO_KEYS;
}

static void put_key(struct page *page, struct buf *buf, struct bytes key) {
    if (key.len && page->options->style.keys != SHOW_NO_KEYS)
        render_key(buf, &page->options->style, key);
    else
        buf_text(buf, "?");
}

static void put_items(struct page *page, struct buf *buf, const struct value *container) {
    size_t shown = page->options->style.whole ? SIZE_MAX : ITEMS_SHOWN, at = 0;
    buf_text(buf, container->kind == VALUE_LIST ? "[" : "{");
    for (const struct value *item = container->first; item && at < shown; item = item->next) {
        buf_text(buf, at++ ? ", " : "");
        if (item->name)
            buf_printf(buf, "%s ", item->name);
        put_value(page, buf, item);
    }
    if (at < container->count)
        buf_printf(buf, ", ... %zu more", container->count - at);
    buf_text(buf, container->kind == VALUE_LIST ? "]" : "}");
}

/* Where the id itself is the news, the address is that of old and new. */
static bool is_id(const struct value *value) {
    size_t len = value->name ? strlen(value->name) : 0;
    return len > 3 && strcmp(value->name + len - 3, "_id") == 0;
}

static void put_node(struct page *page, struct buf *buf, const struct value *value) {
    uint32_t index = is_id(value) ? NODE_NONE : model_index_of(page->model, value->node);
    if (index == NODE_NONE)
        render_node_short(buf, value->node);
    else
        page_node(page, buf, index);
}

static void put_addr(struct buf *buf, const struct endpoint *addr) {
    char text[ENDPOINT_TEXT];
    endpoint_text(addr, text);
    buf_text(buf, text);
}

/* Scattered slots make long lists, which say little: their beginning and how many there are. */
static void put_slots(struct page *page, struct buf *buf, const uint8_t *slots) {
    size_t from = buf->len;
    buf_slots(buf, slots);
    if (page->options->style.whole || buf->len - from <= SLOTS_SHOWN)
        return;
    size_t end = from + SLOTS_SHOWN;
    while (end > from && buf->data[end] != ',')
        end--;
    buf_cut(buf, end);
    buf_printf(buf, ",... (%zu slots)", slots_count(slots));
}

static void put_value(struct page *page, struct buf *buf, const struct value *value) {
    switch (value->kind) {
    case VALUE_NUMBER:
        buf_u64(buf, value->number);
        break;
    case VALUE_REAL:
        buf_printf(buf, "%.3f", value->real);
        break;
    case VALUE_BOOL:
        buf_text(buf, value->truth ? "yes" : "no");
        break;
    case VALUE_TEXT:
        buf_add(buf, value->text.data, value->text.len);
        break;
    case VALUE_WIRE:
        buf_wire_text(buf, value->text, value->text.len);
        break;
    case VALUE_KEY:
        put_key(page, buf, value->text);
        break;
    case VALUE_NODE:
        put_node(page, buf, value);
        break;
    case VALUE_ADDR:
        put_addr(buf, &value->addr);
        break;
    case VALUE_SLOTS:
        put_slots(page, buf, value->slots);
        break;
    case VALUE_TIME:
        page_clock(buf, value->time);
        break;
    case VALUE_LIST:
    case VALUE_OBJECT:
        put_items(page, buf, value);
        break;
    }
}

/* ---- the parts of a finding ---- */

static void span(struct buf *buf, nstime start, nstime end) {
    page_clock(buf, start);
    if (end == TIME_NONE) {
        buf_text(buf, " until the end of the capture");
    } else if (end > start) {
        buf_text(buf, " to ");
        page_clock(buf, end);
        buf_text(buf, ", ");
        buf_duration(buf, end - start);
    }
}

static void paragraph_of(struct page *page, const char *label, struct buf *text) {
    page_paragraph(page, label, buf_str(text));
    page->buf->failed |= text->failed;
    buf_free(text);
}

static void metrics(struct page *page, const struct finding *finding) {
    struct buf text = {.max = CAP_FINDING};
    for (const struct value *metric = finding->metrics.first; metric; metric = metric->next) {
        if (is_hidden(page, metric))
            continue;
        buf_printf(&text, "%s%s ", text.len > 0 ? ", " : "", metric->name);
        put_value(page, &text, metric);
    }
    if (text.len > 0)
        paragraph_of(page, "numbers   ", &text);
    else
        buf_free(&text);
}

static void evidence(struct page *page, const struct finding *finding) {
    const char *label = "evidence  ";
    nstime start = finding->incident ? page_incident_start(page->report->engine, finding->incident)
                                     : TIME_NONE;
    for (const struct evidence *e = finding->evidence; e; e = e->next) {
        struct buf text = {.max = LINE_MAX_TEXT};
        page_frame(page, &text, e->place.source, e->place.frame);
        buf_text(&text, " ");
        page_clock(&text, e->place.time);
        buf_text(&text, " ");
        if (start != TIME_NONE) {
            page_since(&text, e->place.time, start);
            buf_text(&text, " ");
        }
        buf_text(&text, e->note);
        paragraph_of(page, label, &text);
        label = "          ";
    }
}

/* The conversation of the first packet: what to look at in Wireshark. */
static void filter(struct page *page, const struct finding *finding) {
    struct buf text = {.max = LINE_MAX_TEXT};
    if (!finding->evidence || !finding->evidence->place.ends_known)
        return;
    view_filter(&text, &finding->evidence->place);
    paragraph_of(page, "filter    ", &text);
}

static void sentences(struct page *page, const char *label, const struct sentence *sentence) {
    for (; sentence; sentence = sentence->next)
        page_paragraph(page, label, sentence->text);
}

/* The first finding that says the same, which has been told whole; 0: there is none. */
static size_t told_before(const struct page *page, size_t index) {
    const struct engine *engine = page->report->engine;
    for (size_t i = 0; i < index && !page->options->style.whole; i++)
        if (view_alike(engine_finding(engine, i), engine_finding(engine, index)))
            return i + 1;
    return 0;
}

/* Number 0: it has none yet. */
static void put_heading(struct page *page, const struct finding *finding, size_t number) {
    if (number)
        buf_printf(page->buf, "  f%zu ", number);
    page_toned(page, page_severity_tone(finding->severity), severity_name(finding->severity));
    buf_text(page->buf, ": ");
    buf_text(page->buf, finding->title);
    buf_text(page->buf, " [");
    buf_text(page->buf, finding->type);
    buf_text(page->buf, "]\n    when      ");
    span(page->buf, finding->start, finding->end);
    buf_text(page->buf, "\n");
}

static void put_finding(struct page *page, const struct finding *finding) {
    page_paragraph(page, "what      ", finding->explanation);
    bool known = strcmp(finding->verdict, "unknown") != 0;
    buf_printf(page->buf, "    verdict   %s (%s%s)\n", finding->verdict,
               known ? "" : "the rest is ", confidence_name(finding->confidence));
    sentences(page, "not       ", finding->ruled_out);
    metrics(page, finding);
    evidence(page, finding);
    filter(page, finding);
    sentences(page, "but       ", finding->caveats);
    sentences(page, "do        ", finding->advice);
}

void page_finding(struct page *page, const struct finding *finding) {
    put_heading(page, finding, 0);
    put_finding(page, finding);
}

/* ---- the section ---- */

void page_findings(struct page *page) {
    const struct engine *engine = page->report->engine;
    if (engine_finding_count(engine) == 0)
        return;
    page_section(page, "Findings");
    page_incidents(page);
    for (size_t i = 0; i < engine_finding_count(engine); i++) {
        const struct finding *finding = engine_finding(engine, i);
        size_t before = told_before(page, i);
        put_heading(page, finding, i + 1);
        if (before) {
            metrics(page, finding);
            buf_printf(page->buf, "    what      as f%zu (-v tells it whole)\n", before);
        } else {
            put_finding(page, finding);
        }
    }
    if (engine_findings_left_out(engine))
        buf_printf(page->buf, "  ... and %" PRIu64 " more that were not kept\n",
                   engine_findings_left_out(engine));
}
