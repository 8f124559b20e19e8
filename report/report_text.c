/* report_text.c - `analyze`: the report that a person reads, perhaps at night. The verdict is its
 * first line; then what was found, what the cluster is, what happened, and what could not be seen.
 *
 * ASCII, under some 110 columns, colour only where it was asked for. */
#include "report/report_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "report/format.h"
#include "report/node_order.h"
#include "report/render.h"

enum { WIDTH = 100 /* of paragraphs */, VERDICT_MAX = 512 };

/* ---- pieces ---- */

void page_toned(struct page *page, enum tone tone, const char *text) {
    static const char *const codes[] = {"", "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m"};
    bool coloured = page->options->colour && tone != TONE_PLAIN;
    if (coloured)
        buf_text(page->buf, codes[tone]);
    buf_text(page->buf, text);
    if (coloured)
        buf_text(page->buf, "\x1b[0m");
}

void page_section(struct page *page, const char *title) {
    buf_text(page->buf, "\n");
    page_toned(page, TONE_HEADING, title);
    buf_text(page->buf, "\n");
}

void page_clock(struct buf *buf, nstime time) {
    buf_clock(buf, time);
    if (!buf->failed)
        buf_cut(buf, buf->len - 3);
}

void page_node(struct page *page, struct buf *buf, uint32_t index) {
    if (index == NODE_NONE) {
        buf_text(buf, "?");
        return;
    }
    const struct node *node = model_node(page->model, index);
    char text[ENDPOINT_TEXT];
    if (!node->addr_known) {
        render_node_short(buf, node->id);
        return;
    }
    endpoint_text(&node->addr, text);
    buf_text(buf, text);
}

void page_node_cell(struct page *page, struct columns *columns, uint32_t node) {
    page_node(page, &columns->cells, node);
    columns_next(columns);
}

size_t page_rows(const struct page *page, size_t rows, size_t most) {
    return page->options->style.whole ? rows : min_size(rows, most);
}

void page_more(struct page *page, uint64_t more, const char *noun) {
    if (more == 0)
        return;
    buf_text(page->buf, "  (");
    buf_u64(page->buf, more);
    buf_printf(page->buf, " more %s%s: -v shows all)\n", noun, more == 1 ? "" : "s");
}

void page_paragraph(struct page *page, const char *label, const char *text) {
    buf_text(page->buf, "    ");
    buf_text(page->buf, label);
    buf_lines(page->buf, text, strlen(label) + 4, page->endless ? SIZE_MAX : WIDTH);
}

/* ---- the verdict ---- */

/* The first finding of the worst severity. */
static const struct finding *worst_finding(const struct engine *engine) {
    int worst = view_worst(engine);
    for (size_t i = 0; i < engine_finding_count(engine); i++)
        if ((int)engine_finding(engine, i)->severity == worst)
            return engine_finding(engine, i);
    return NULL;
}

static void others(struct page *page, uint64_t count, const char *noun) {
    if (count == 0 || page->options->brief)
        return;
    buf_text(page->buf, " (");
    buf_count(page->buf, count, noun);
    buf_text(page->buf, " below)");
}

/* No detector spoke, but what the nodes said of each other was not all peace. */
static bool is_uneasy(const struct report *report) {
    static const enum event_type signs[] = {
        EV_node_suspected, EV_node_failed, EV_fail_announced, EV_vote_requested, EV_manual_failover,
    };
    uint64_t seen = 0;
    for (size_t i = 0; i < countof(signs); i++)
        seen += report->timeline->seen[signs[i]];
    return seen > 0;
}

/* How the cluster stands at the end, where it does not stand well; false: it does. */
static bool ends_badly(struct page *page, struct buf *text) {
    uint64_t failing = 0, uncovered = 0, claimed = 0;
    for (size_t i = 0; i < model_node_count(page->model); i++)
        failing += model_is_member(page->model, i) && model_node(page->model, i)->heard &&
                   model_node(page->model, i)->state != 0;
    for (size_t s = 0; s < BUS_SLOTS; s++)
        *(page->view->owners[s] == NODE_NONE ? &uncovered : &claimed) += 1;
    if (failing)
        buf_printf(text, "At the end %" PRIu64 " of the nodes say%s that the cluster is down.",
                   failing, failing == 1 ? "s" : "");
    else if (uncovered && claimed)
        buf_printf(text, "At the end %" PRIu64 " slots have no owner that was heard.", uncovered);
    return text->len > 0;
}

/* Nothing was looked at. Who named a time or a filter may have named the wrong one. */
static void put_emptiness(struct buf *text, const struct tally *tally) {
    if (tally->outside > 0) {
        buf_text(text, "No packet is between --from and --to (UTC): the capture's are from ");
        buf_rfc3339(text, tally->outside_first);
        buf_text(text, " to ");
        buf_rfc3339(text, tally->outside_last);
    } else if (tally->filtered > 0) {
        buf_text(text, "No packet passes the filter (-f).");
    } else {
        buf_text(text, "No packets to look at.");
    }
}

static void verdict_empty(struct page *page) {
    struct buf text = {.max = VERDICT_MAX};
    put_emptiness(&text, &page->report->tally);
    page_toned(page, TONE_WARNING, buf_str(&text));
    page->buf->failed |= text.failed;
    buf_free(&text);
}

static void verdict_peace(struct page *page, size_t remarks) {
    struct buf end = {.max = VERDICT_MAX};
    if (page->report->tally.packets == 0)
        verdict_empty(page);
    else if (!messages_sum(page->books->messages))
        page_toned(page, TONE_WARNING, "No message of a cluster bus is in this capture.");
    else if (ends_badly(page, &end))
        page_toned(page, TONE_WARNING, buf_str(&end));
    else if (is_uneasy(page->report))
        page_toned(page, TONE_WARNING,
                   "No detector found a problem, but nodes held others for failed or asked for "
                   "votes: see What happened.");
    else
        page_toned(page, TONE_GOOD, "No problem found in what this capture shows.");
    page->buf->failed |= end.failed;
    buf_free(&end);
    others(page, remarks, "remark");
}

/* The worst finding, or of those as bad that it goes back to the first; what that goes back to;
 * what all of it cost. */
static void verdict_finding(struct page *page, const struct finding *worst) {
    struct buf cost = {.max = VERDICT_MAX};
    const struct finding *told = worst, *root = worst;
    while (root->cause) {
        root = root->cause;
        told = root->severity == worst->severity ? root : told;
    }
    page_toned(page, page_severity_tone(worst->severity), severity_name(worst->severity));
    buf_text(page->buf, ": ");
    page_toned(page, page_severity_tone(worst->severity), told->title);
    /* The silence between two nodes is how it was felt, not why. */
    if (told != root && strcmp(root->type, "gossip-loss") != 0) {
        buf_text(page->buf, ". Cause: ");
        buf_text(page->buf, root->title);
    }
    if (worst->incident)
        page_cost(&cost, page->report->engine, worst->incident);
    if (cost.len > 0) {
        buf_text(page->buf, ". Cost: ");
        buf_text(page->buf, buf_str(&cost));
    }
    page->buf->failed |= cost.failed;
    buf_free(&cost);
}

static void verdict(struct page *page) {
    const struct finding *worst = worst_finding(page->report->engine);
    size_t count = engine_finding_count(page->report->engine);
    if (!worst || worst->severity < SEVERITY_WARNING) {
        verdict_peace(page, count);
    } else {
        verdict_finding(page, worst);
        others(page, count - 1, "more finding");
    }
    buf_text(page->buf, "\n");
    if (page->report->damage)
        page_toned(page, TONE_WARNING,
                   "The input is damaged: this report ends where the damage begins.\n");
}

void page_frame(struct page *page, struct buf *buf, uint16_t source, uint64_t frame) {
    buf_text(buf, "#");
    if (page->options->sources > 1) {
        buf_u64(buf, source);
        buf_text(buf, ":");
    }
    buf_u64(buf, frame);
}

/* ---- the whole ---- */

static void sections(struct page *page) {
    page_findings(page);
    page_nodes(page);
    page_views(page);
    page_slots(page);
    page_timeline(page);
    page_clients(page);
    page_replicas(page);
    page_replication(page);
    page_links(page);
    page_messages(page);
    page_unseen(page);
    page_numbers(page);
}

static void write_page(struct sink *sink, const struct report *report, const struct view *view,
                       const uint32_t *order) {
    struct page page = {
        .buf = &sink->buf,
        .options = &sink->options,
        .report = report,
        .model = engine_model(report->engine),
        .books = model_books(engine_model(report->engine)),
        .view = view,
        .order = order,
    };
    verdict(&page);
    if (!sink->options.brief)
        sections(&page);
}

void page_report(struct sink *sink, const struct report *report) {
    struct view *view = view_new(report);
    uint32_t *order = node_order(engine_model(report->engine));
    if (view && order)
        write_page(sink, report, view, order);
    else
        sink->buf.failed = true;
    free(order);
    free(view);
}

const struct sink_ops sink_text = {
    .name = "text",
    .help = "analyze: a report to read",
    .finish = page_report,
};
