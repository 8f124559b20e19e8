/* report_text_bus.c - the bus in the text report: its links, and who sent and got which messages.
 */
#include <stdlib.h>

#include "report/format.h"
#include "report/report_text.h"

enum { LINKS_ALL = 20 /* so many links are all shown; of more, the worst ones */ };

/* ---- links ---- */

static uint32_t failed_connections(const struct link *link) {
    return link->unanswered + link->refused;
}

/* Worst first: those that could not connect, then by silence. */
static int by_badness(const void *a, const void *b) {
    const struct link *x = *(const struct link *const *)a, *y = *(const struct link *const *)b;
    uint32_t x_failed = failed_connections(x), y_failed = failed_connections(y);
    if (x_failed != y_failed)
        return x_failed > y_failed ? -1 : 1;
    if (x->longest_silence != y->longest_silence)
        return x->longest_silence > y->longest_silence ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static void duration_cell(struct columns *columns, bool known, nstime span) {
    if (known)
        buf_duration(&columns->cells, span);
    else
        buf_text(&columns->cells, "-");
    columns_next(columns);
}

static void link_row(struct page *page, struct columns *columns, const struct link *link) {
    bool timed = link->rtt.count > 0;
    page_node_cell(page, columns, link->from);
    page_node_cell(page, columns, link->to);
    columns_u64(columns, link->connections);
    columns_rare(columns, failed_connections(link));
    buf_u64(&columns->cells, link->pings);
    buf_text(&columns->cells, "/");
    buf_u64(&columns->cells, link->pongs);
    columns_next(columns);
    duration_cell(columns, timed, link->rtt.min);
    duration_cell(columns, timed, spread_mean(&link->rtt));
    duration_cell(columns, timed, link->rtt.max);
    duration_cell(columns, link->pings > 0, link->longest_silence);
    columns_rare(columns, link->retransmits);
    columns_rare(columns, link->zero_windows);
    columns_rare(columns, link->unacked_bytes);
}

/* One line about the links that are not shown. */
static void links_summary(struct page *page, const struct link **links, size_t from, size_t count) {
    uint64_t pings = 0, pongs = 0;
    for (size_t i = from; i < count; i++) {
        pings += links[i]->pings;
        pongs += links[i]->pongs;
    }
    if (from == count)
        return;
    buf_text(page->buf, "  The other ");
    buf_count(page->buf, count - from, "link");
    buf_text(page->buf, " did better: ");
    buf_count(page->buf, pings, "ping");
    buf_text(page->buf, ", ");
    buf_count(page->buf, pongs, "pong");
    buf_text(page->buf, "; -v shows them.\n");
}

static void links_table(struct page *page, const struct link **links, size_t count) {
    static const struct column heads[] = {
        {"from", LEFT},       {"to", LEFT},    {"conns", RIGHT}, {"failed", RIGHT},
        {"ping/pong", RIGHT}, {"min", RIGHT},  {"mean", RIGHT},  {"max", RIGHT},
        {"silence", RIGHT},   {"retr", RIGHT}, {"0win", RIGHT},  {"unack", RIGHT},
    };
    struct columns columns = columns_of(heads, countof(heads));
    size_t shown = count > LINKS_ALL ? page_rows(page, count, LINKS_ALL) : count;
    for (size_t i = 0; i < shown; i++)
        link_row(page, &columns, links[i]);
    columns_print(&columns, page->buf);
    links_summary(page, links, shown, count);
}

void page_links(struct page *page) {
    size_t count = model_link_count(page->model);
    const struct link **links = calloc(count ? count : 1, sizeof(struct link *));
    if (!links) {
        page->buf->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        links[i] = model_link(page->model, i);
    if (count > 0) {
        qsort(links, count, sizeof(struct link *), by_badness);
        page_section(page, "Bus links, the worst first");
        buf_text(page->buf,
                 "  Each node opens its own connections to all others. failed: refused or never "
                 "answered; min, mean,\n  max: from PING to PONG; silence: the longest that a PING "
                 "waited; retr: retransmits; 0win: times a\n  receiver closed its window; unack: "
                 "bytes without an ACK in the end.\n");
        links_table(page, links, count);
    }
    free(links);
}

/* ---- messages ---- */

static void counts_cells(struct columns *columns, const uint64_t *seen, const uint64_t *sent,
                         const uint64_t *received) {
    for (size_t i = 0; i < BUS_COUNTERS; i++) {
        if (!seen[i])
            continue;
        if (!sent[i] && !(received && received[i])) {
            columns_text(columns, "-");
            continue;
        }
        buf_u64(&columns->cells, sent[i]);
        if (received) {
            buf_text(&columns->cells, "/");
            buf_u64(&columns->cells, received[i]);
        }
        columns_next(columns);
    }
}

static void node_messages(struct page *page, struct columns *columns, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    page_node_cell(page, columns, index);
    counts_cells(columns, page->books->messages, node->sent, node->received);
    buf_size(&columns->cells, node->bytes_sent);
    columns_next(columns);
}

static size_t message_heads(const uint64_t *seen, struct column *ret_heads) {
    size_t count = 0;
    ret_heads[count++] = (struct column){"node", LEFT};
    for (size_t i = 0; i < BUS_COUNTERS; i++)
        if (seen[i])
            ret_heads[count++] = (struct column){bus_type_names[i], RIGHT};
    ret_heads[count++] = (struct column){"sent bytes", RIGHT};
    return count;
}

static void unclaimed_row(struct page *page, struct columns *columns) {
    const struct model_books *books = page->books;
    if (!messages_sum(books->unclaimed_sent) && !messages_sum(books->unclaimed_received))
        return;
    columns_text(columns, "(not known)");
    counts_cells(columns, books->messages, books->unclaimed_sent, books->unclaimed_received);
    columns_text(columns, "-");
}

void page_messages(struct page *page) {
    struct column heads[BUS_COUNTERS + 2];
    size_t count = model_node_count(page->model);
    if (!messages_sum(page->books->messages))
        return;
    struct columns columns = columns_of(heads, message_heads(page->books->messages, heads));
    page_section(page, "Bus messages: sent / received and acknowledged");
    for (size_t i = 0; i < page_rows(page, count, NODES_SHOWN); i++)
        node_messages(page, &columns, page->order[i]);
    unclaimed_row(page, &columns);
    columns_text(&columns, "all");
    counts_cells(&columns, page->books->messages, page->books->messages, NULL);
    buf_size(&columns.cells, page->books->bus_bytes);
    columns_next(&columns);
    columns_print(&columns, page->buf);
    page_more(page, count - page_rows(page, count, NODES_SHOWN), "node");
}
