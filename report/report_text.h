/* report_text.h - the sections of the text report; private to report_text*.c.
 *
 * Each section appends to page->buf and is silent when it has nothing to say. */
#ifndef BUSTAP_REPORT_REPORT_TEXT_H
#define BUSTAP_REPORT_REPORT_TEXT_H

#include "report/columns.h"
#include "report/view.h"

struct page {
    struct buf *buf;
    const struct sink_options *options;
    const struct report *report;
    const struct model *model;
    const struct model_books *books;
    const struct view *view;
    const uint32_t *order; /* of the nodes in tables (node_order.h) */
    bool endless;          /* lines are not broken: whoever shows them does it */
};

/* The whole report; of a brief one the verdict alone, a line. */
void page_report(struct sink *sink, const struct report *report);

enum tone { TONE_PLAIN, TONE_HEADING, TONE_GOOD, TONE_WARNING, TONE_BAD };

/* Text in a colour, where colours are wanted. */
void page_toned(struct page *page, enum tone tone, const char *text);

enum tone page_severity_tone(enum severity severity);

/* An empty line and a heading. */
void page_section(struct page *page, const char *title);

/* HH:MM:SS.uuuuuu: microseconds are enough for people. */
void page_clock(struct buf *buf, nstime time);

/* "#17"; with several captures "#0:17". */
void page_frame(struct page *page, struct buf *buf, uint16_t source, uint64_t frame);

/* How a node is called in tables: its address, else its short id. */
void page_node(struct page *page, struct buf *buf, uint32_t node);
void page_node_cell(struct page *page, struct columns *columns, uint32_t node);

/* "0-5460" of a primary, "of 10.0.0.1:7000" of a replica; "-" where neither is known. */
void page_slots_or_primary(struct page *page, struct buf *buf, uint32_t node);

/* How many of a table's rows are shown; all of them, if all was asked for. */
enum { NODES_SHOWN = 100 };
size_t page_rows(const struct page *page, size_t rows, size_t most);

/* A long text, broken into lines and indented. */
void page_paragraph(struct page *page, const char *label, const char *text);

/* "  (12 more rows: -v shows all)" */
void page_more(struct page *page, uint64_t more, const char *noun);

void page_findings(struct page *page);

/* One, whole; it needs no report, only options and model. */
void page_finding(struct page *page, const struct finding *finding);

/* Those that hang together, as stories. */
void page_incidents(struct page *page);

/* What an incident cost; nothing, if that was not measured. */
void page_cost(struct buf *buf, const struct engine *engine, size_t incident);

/* When the first of an incident's findings began; "+5.310 s" after that. */
nstime page_incident_start(const struct engine *engine, size_t incident);
void page_since(struct buf *buf, nstime time, nstime start);

void page_timeline(struct page *page);
void page_unseen(struct page *page);
void page_numbers(struct page *page);

void page_nodes(struct page *page);
void page_views(struct page *page);
void page_slots(struct page *page);
void page_links(struct page *page);
void page_messages(struct page *page);

/* "get 800, set 20 and 4 more", of counts by row of command_rows, and one more of the unknown. */
void page_busiest(struct page *page, struct buf *buf, const uint64_t *counts);

void page_clients(struct page *page);
void page_top(struct page *page); /* within that section */
void page_replicas(struct page *page);
void page_replication(struct page *page);

#endif
