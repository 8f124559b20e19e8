/* report_text_cluster.c - the tables of the text report: nodes, slots, links, messages. */
#include <stdlib.h>

#include "report/format.h"
#include "report/render.h"
#include "report/report_text.h"

enum { VIEWS_TEXT = 1 << 18 /* every node's address */ };

enum {
    NODES_SHOWN = 100, /* rows of a table of nodes */
    SLOTS_SHOWN = 36,  /* characters of a node's slot ranges */
    FLAGS_SHOWN = 40,
    LINKS_ALL = 20, /* so many links are all shown; of more, the worst ones */
};

static size_t rows_shown(const struct page *page, size_t rows, size_t most) {
    return page->options->style.whole ? rows : min_size(rows, most);
}

/* Ends a cell, cut to a width. */
static void cut_cell(const struct page *page, struct columns *columns, size_t from, size_t width) {
    struct buf *cells = &columns->cells;
    if (!page->options->style.whole && cells->len - from > width) {
        buf_cut(cells, from + width - 3);
        buf_text(cells, "...");
    }
    columns_next(columns);
}

static void node_cell(struct page *page, struct columns *columns, uint32_t node) {
    page_node(page, &columns->cells, node);
    columns_next(columns);
}

/* ---- the order of nodes ---- */

struct rank {
    struct endpoint shard, addr; /* of its primary, and its own */
    bool replica;
    uint32_t index;
};

static int by_rank(const void *a, const void *b) {
    const struct rank *x = a, *y = b;
    int by_shard = endpoint_order(&x->shard, &y->shard),
        by_addr = endpoint_order(&x->addr, &y->addr);
    if (by_shard || x->replica != y->replica)
        return by_shard ? by_shard : (int)x->replica - (int)y->replica;
    return by_addr ? by_addr : (x->index > y->index) - (x->index < y->index);
}

static struct rank rank_of(const struct model *model, uint32_t index) {
    const struct node *node = model_node(model, index);
    bool of_other = node->replica && node->primary != NODE_NONE;
    const struct node *shard = of_other ? model_node(model, node->primary) : node;
    return (struct rank){shard->addr, node->addr, node->replica, index};
}

uint32_t *page_order(const struct model *model) {
    uint32_t count = (uint32_t)model_node_count(model);
    struct rank *ranks = calloc(count + 1, sizeof *ranks);
    uint32_t *order = calloc(count + 1, sizeof *order);
    if (ranks && order) {
        for (uint32_t i = 0; i < count; i++)
            ranks[i] = rank_of(model, i);
        qsort(ranks, count, sizeof *ranks, by_rank);
        for (uint32_t i = 0; i < count; i++)
            order[i] = ranks[i].index;
    } else {
        free(order);
        order = NULL;
    }
    free(ranks);
    return order;
}

/* ---- nodes ---- */

/* Flags that tell an operator something: not the role, which has its column, nor what the software
 * supports. */
enum {
    FLAGS_TOLD = NODE_PFAIL | NODE_FAIL | NODE_HANDSHAKE | NODE_NOADDR | NODE_NOFAILOVER |
                 NODE_MY_PRIMARY_FAIL
};

static void flags_cell(struct page *page, struct columns *columns, uint32_t index) {
    size_t from = columns->cells.len;
    uint16_t flags = view_flags(page->model, index) & FLAGS_TOLD;
    render_flags(&columns->cells, flags, bus_node_flag_rows, bus_node_flag_count);
    if (!model_node(page->model, index)->heard)
        buf_text(&columns->cells, flags ? ",never-heard" : "never-heard");
    if (columns->cells.len == from)
        buf_text(&columns->cells, "-");
    cut_cell(page, columns, from, FLAGS_SHOWN);
}

static void role_cells(struct page *page, struct columns *columns, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    columns_text(columns, node->replica ? "replica" : "primary");
    size_t from = columns->cells.len;
    if (node->replica && node->primary != NODE_NONE) {
        buf_text(&columns->cells, "of ");
        page_node(page, &columns->cells, node->primary);
    } else {
        view_slots_of(page->view, index, &columns->cells);
    }
    if (columns->cells.len == from)
        buf_text(&columns->cells, "-");
    cut_cell(page, columns, from, SLOTS_SHOWN);
}

static void node_row(struct page *page, struct columns *columns, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    render_node_short(&columns->cells, node->id);
    columns_next(columns);
    if (node->addr_known)
        node_cell(page, columns, index);
    else
        columns_text(columns, "-");
    role_cells(page, columns, index);
    if (node->heard) {
        columns_u64(columns, node->config_epoch);
        columns_u64(columns, node->repl_offset);
        columns_text(columns, !model_is_member(page->model, index) ? "gone"
                              : node->state                        ? "FAIL"
                                                                   : "ok");
    } else {
        for (int i = 0; i < 3; i++)
            columns_text(columns, "?");
    }
    flags_cell(page, columns, index);
}

void page_nodes(struct page *page) {
    static const struct column heads[] = {
        {"node", LEFT},   {"address", LEFT}, {"role", LEFT},  {"slots, or primary", LEFT},
        {"epoch", RIGHT}, {"offset", RIGHT}, {"state", LEFT}, {"flags", LEFT},
    };
    size_t count = model_node_count(page->model);
    if (count == 0)
        return;
    struct columns columns = columns_of(heads, countof(heads));
    page_section(page, "Cluster, as it was at the end");
    for (size_t i = 0; i < rows_shown(page, count, NODES_SHOWN); i++)
        node_row(page, &columns, page->order[i]);
    columns_print(&columns, page->buf);
    page_more(page, count - rows_shown(page, count, NODES_SHOWN), "node");
    buf_text(page->buf, "  Current epoch ");
    buf_u64(page->buf, page->books->current_epoch);
    buf_text(page->buf, ".\n");
}

/* ---- views ---- */

/* Those who hold this against the node, by address. Appends nothing if nobody does. */
static void holders(struct page *page, struct buf *text, size_t subject, bool failed) {
    const char *lead = failed ? "; failed, say " : "; suspected, say ";
    for (size_t i = 0; i < model_node_count(page->model); i++) {
        uint16_t view = model_view(page->model, i, subject);
        if (!view || failed != ((view & NODE_FAIL) != 0))
            continue;
        buf_text(text, lead);
        page_node(page, text, (uint32_t)i);
        lead = ", ";
    }
}

/* What nodes believe of each other, where it is not all well: with --to, at that moment. */
void page_views(struct page *page) {
    bool any = false;
    for (size_t i = 0; i < model_node_count(page->model); i++) {
        struct buf text = {.max = VIEWS_TEXT};
        holders(page, &text, i, true);
        holders(page, &text, i, false);
        if (text.len > 0) {
            if (!any)
                page_section(page, "Who holds what against whom, at the end");
            any = true;
            buf_text(page->buf, "  ");
            page_node(page, page->buf, (uint32_t)i);
            buf_add(page->buf, text.data, text.len);
            buf_text(page->buf, "\n");
        }
        page->buf->failed |= text.failed;
        buf_free(&text);
    }
}

/* ---- slots ---- */

static uint32_t count_unowned(const struct view *view, struct buf *ranges) {
    struct view_range range = {0};
    uint32_t count = 0;
    while (view_next_range(view, &range))
        count += range.last - range.first + 1;
    view_slots_of(view, NODE_NONE, ranges);
    return BUS_SLOTS - count;
}

void page_slots(struct page *page) {
    struct buf ranges = {.max = SLOTS_TEXT};
    if (model_node_count(page->model) == 0)
        return;
    uint32_t unowned = count_unowned(page->view, &ranges);
    if (unowned == 0) {
        buf_text(page->buf, "  All 16384 slots have an owner.\n");
    } else if (unowned == BUS_SLOTS) {
        buf_text(page->buf, "  No node that was heard claims any slot.\n");
    } else {
        buf_printf(page->buf, "  %u of 16384 slots have no owner that was heard:", unowned);
        page_paragraph(page, "", buf_str(&ranges));
    }
    page->buf->failed |= ranges.failed;
    buf_free(&ranges);
}

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
    node_cell(page, columns, link->from);
    node_cell(page, columns, link->to);
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
    size_t shown = count > LINKS_ALL ? rows_shown(page, count, LINKS_ALL) : count;
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
    node_cell(page, columns, index);
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
    if (!view_messages(books->unclaimed_sent) && !view_messages(books->unclaimed_received))
        return;
    columns_text(columns, "(not known)");
    counts_cells(columns, books->messages, books->unclaimed_sent, books->unclaimed_received);
    columns_text(columns, "-");
}

void page_messages(struct page *page) {
    struct column heads[BUS_COUNTERS + 2];
    size_t count = model_node_count(page->model);
    if (!view_messages(page->books->messages))
        return;
    struct columns columns = columns_of(heads, message_heads(page->books->messages, heads));
    page_section(page, "Bus messages: sent / received and acknowledged");
    for (size_t i = 0; i < rows_shown(page, count, NODES_SHOWN); i++)
        node_messages(page, &columns, page->order[i]);
    unclaimed_row(page, &columns);
    columns_text(&columns, "all");
    counts_cells(&columns, page->books->messages, page->books->messages, NULL);
    buf_size(&columns.cells, page->books->bus_bytes);
    columns_next(&columns);
    columns_print(&columns, page->buf);
    page_more(page, count - rows_shown(page, count, NODES_SHOWN), "node");
}
