/* report_text_timeline.c - the timeline of the text report, made short enough to be read: what a
 * node says to one peer after the other is one line, and a long timeline does without routine. */
#include "report/format.h"
#include "report/report_text.h"

enum { LINES_SHOWN = 100 }; /* half of them the first, half the last ones */

/* Conclusions that accompany others, or that every capture begins with. */
static bool is_routine(const struct timeline_entry *entry) {
    return entry->type == EV_node_seen || entry->type == EV_node_epoch ||
           entry->type == EV_cluster_epoch;
}

static bool same_node(const struct timeline_entry *a, const struct timeline_entry *b) {
    return a->node_known == b->node_known && memcmp(a->node, b->node, sizeof a->node) == 0;
}

/* How many entries from `at` on are the same thing, said by the same node. */
static size_t alike(const struct timeline *timeline, size_t at) {
    const struct timeline_entry *entries = timeline->entries;
    size_t end = at + 1;
    while (end < timeline->count && entries[end].type == entries[at].type &&
           same_node(&entries[end], &entries[at]))
        end++;
    return end - at;
}

/* ---- the walk over lines ---- */

struct lines {
    const struct timeline *timeline;
    bool each, routine; /* every entry its own line; routine ones too */
    size_t at, entries; /* the present line: its first entry, and how many it stands for */
};

static bool next_line(struct lines *lines) {
    const struct timeline *timeline = lines->timeline;
    do {
        lines->at += lines->entries;
        if (lines->at >= timeline->count)
            return false;
        lines->entries = lines->each ? 1 : alike(timeline, lines->at);
    } while (!lines->routine && is_routine(&timeline->entries[lines->at]));
    return true;
}

static size_t count_lines(struct lines lines) {
    size_t count = 0;
    while (next_line(&lines))
        count++;
    return count;
}

static void put_line(struct page *page, const struct lines *lines) {
    const struct timeline_entry *entry = &lines->timeline->entries[lines->at];
    buf_text(page->buf, "  ");
    page_clock(page->buf, entry->time);
    buf_text(page->buf, " ");
    size_t from = page->buf->len;
    page_frame(page, page->buf, entry->source, entry->frame);
    buf_pad_right(page->buf, from, 8);
    buf_text(page->buf, " ");
    buf_text(page->buf, timeline_text(lines->timeline, lines->at));
    if (lines->entries > 1) {
        buf_text(page->buf, ", and ");
        buf_u64(page->buf, lines->entries - 1);
        buf_text(page->buf, " more");
    }
    buf_text(page->buf, "\n");
}

/* ---- the section ---- */

/* Prints the lines, or the first and last of too many. Returns how many were left out. */
static size_t put_lines(struct page *page, struct lines lines, size_t total) {
    bool all = page->options->style.whole || total <= LINES_SHOWN;
    for (size_t line = 0; next_line(&lines); line++) {
        if (all || line < LINES_SHOWN / 2 || line >= total - LINES_SHOWN / 2)
            put_line(page, &lines);
        else if (line == LINES_SHOWN / 2)
            buf_text(page->buf, "  ...\n");
    }
    return all ? 0 : total - LINES_SHOWN;
}

static void heading(struct page *page, nstime first) {
    struct buf title = {.max = 256};
    buf_text(&title, "What happened (UTC, from ");
    buf_date(&title, first);
    buf_text(&title, " on)");
    page_section(page, title.failed ? "What happened" : title.data);
    buf_free(&title);
}

void page_timeline(struct page *page) {
    const struct timeline *timeline = page->report->timeline;
    struct lines lines = {
        .timeline = timeline, .each = page->options->style.whole, .routine = true};
    if (timeline->count == 0)
        return;
    size_t everything = count_lines(lines);
    lines.routine = page->options->style.whole || everything <= LINES_SHOWN;
    size_t total = count_lines(lines);
    heading(page, timeline->entries[0].time);
    size_t left_out = put_lines(page, lines, total) + (everything - total);
    page_more(page, left_out, "line");
    if (timeline->left_out > 0) {
        buf_text(page->buf, "  (then ");
        buf_count(page->buf, timeline->left_out, "change");
        buf_text(page->buf, " more, counted but not kept: bustap list limits)\n");
    }
}
