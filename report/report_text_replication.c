/* report_text_replication.c - connections in the text report over which primaries feed replicas, or
 * slots move at once. */
#include "analysis/model_clients.h"
#include "report/format.h"
#include "report/report_text.h"

enum { LINKS_SHOWN = 40 };

/* How far the replica was behind at the end, as far as the connection tells. */
static void behind_cell(struct columns *columns, const struct replication *link) {
    bool known = link->offset != NOT_KNOWN && link->acked != NOT_KNOWN;
    if (known)
        buf_size(&columns->cells, link->offset > link->acked ? link->offset - link->acked : 0);
    else
        buf_text(&columns->cells, "?");
    columns_next(columns);
}

static void replication_row(struct page *page, struct columns *columns,
                            const struct replication *link) {
    columns_endpoint(columns, &link->primary);
    columns_endpoint(columns, &link->replica);
    columns_text(columns, link->kind);
    columns_rare(columns, link->full_resyncs);
    columns_rare(columns, link->partial_resyncs);
    columns_rare(columns, link->refused);
    columns_size(columns, link->rdb_bytes);
    columns_size(columns, link->stream_bytes);
    columns_maybe(columns, link->offset);
    behind_cell(columns, link);
    if (link->commands)
        page_busiest(page, &columns->cells, link->commands);
    else
        buf_text(&columns->cells, "-");
    columns_next(columns);
}

/* What stands in the table of replicas need not stand here. */
static bool is_shown(const struct page *page, const struct replication *link) {
    return page->options->style.whole || !link->follower;
}

void page_replication(struct page *page) {
    static const struct column heads[] = {{"from", LEFT},    {"to", LEFT},       {"kind", LEFT},
                                          {"full", RIGHT},   {"partial", RIGHT}, {"refused", RIGHT},
                                          {"rdb", RIGHT},    {"stream", RIGHT},  {"offset", RIGHT},
                                          {"behind", RIGHT}, {"commands", LEFT}};
    struct columns columns = columns_of(heads, countof(heads));
    size_t count = 0, rows = 0;
    for (size_t i = 0; i < model_replication_count(page->model); i++) {
        const struct replication *link = model_replication(page->model, i);
        if (!is_shown(page, link))
            continue;
        if (rows == 0)
            page_section(page, "Connections of replication and migration, as they were at the end");
        if (page->options->style.whole || rows < LINKS_SHOWN) {
            replication_row(page, &columns, link);
            rows++;
        }
        count++;
    }
    columns_print(&columns, page->buf);
    page_more(page, count - rows, "connection");
}
