/* report_text_replicas.c - replicas in the text report: how far each is behind its primary, and how
 * often it had to copy everything. */
#include "analysis/model_followers.h"
#include "report/format.h"
#include "report/report_text.h"

enum { REPLICAS_SHOWN = 40 };

/* By its node's name, else by where it is. */
static void name_cell(struct page *page, struct columns *columns, uint32_t node,
                      const struct endpoint *addr) {
    char text[ENDPOINT_TEXT];
    if (node == NODE_NONE)
        endpoint_text(addr, text);
    else
        model_node_text(page->model, node, text);
    columns_text(columns, text);
}

static void size_cell(struct columns *columns, bool known, uint64_t bytes) {
    if (known)
        columns_size(columns, bytes);
    else
        columns_text(columns, "?");
}

static void time_cell(struct columns *columns, bool known, nstime span) {
    if (!known)
        buf_text(&columns->cells, "?");
    else if (span)
        buf_duration(&columns->cells, span);
    else
        buf_text(&columns->cells, "-");
    columns_next(columns);
}

static void row(struct page *page, struct columns *columns, const struct follower *follower) {
    const char *link = model_follower_link(page->model, follower);
    bool now = follower->lag.time != TIME_NONE, ever = follower->worst.time != TIME_NONE;
    name_cell(page, columns, model_follower_node(page->model, follower), &follower->replica);
    name_cell(page, columns, model_followed_node(page->model, follower), &follower->primary->addr);
    columns_text(columns, link ? link : "not seen");
    columns_maybe(columns, follower->primary->offset);
    size_cell(columns, now, follower->lag.bytes);
    time_cell(columns, now, follower->lag.behind);
    size_cell(columns, ever, follower->most_bytes);
    time_cell(columns, ever, follower->worst.behind);
    columns_rare(columns, follower->full_resyncs);
    columns_rare(columns, follower->partial_resyncs);
    columns_rare(columns, follower->unsettled);
    columns_size(columns, follower->rdb_bytes);
    columns_size(columns, follower->stream_bytes);
}

void page_replicas(struct page *page) {
    static const struct column heads[] = {{"replica", LEFT},  {"of", LEFT},      {"link", LEFT},
                                          {"offset", RIGHT},  {"behind", RIGHT}, {"", RIGHT},
                                          {"worst", RIGHT},   {"", RIGHT},       {"full", RIGHT},
                                          {"partial", RIGHT}, {"lost", RIGHT},   {"copied", RIGHT},
                                          {"streamed", RIGHT}};
    size_t count = model_follower_count(page->model);
    size_t shown = page_rows(page, count, REPLICAS_SHOWN);
    if (count == 0)
        return;
    struct columns columns = columns_of(heads, countof(heads));
    page_section(page, "Replicas, how far they are behind: when they last said so, and at worst");
    buf_text(page->buf, "  full, partial: resyncs; lost: links that ended within ten seconds\n");
    for (size_t i = 0; i < shown; i++)
        row(page, &columns, model_follower(page->model, i));
    columns_print(&columns, page->buf);
    page_more(page, count - shown, "replica");
}
