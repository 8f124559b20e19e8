/* report_text_cluster.c - the cluster in the text report: its nodes, what they hold against each
 * other, who owns the slots. */
#include "report/format.h"
#include "report/render.h"
#include "report/report_text.h"

enum { VIEWS_TEXT = 1 << 18 /* every node's address */ };

enum {
    SLOTS_SHOWN = 36, /* characters of a node's slot ranges */
    FLAGS_SHOWN = 40,
};

/* Ends a cell, cut to a width. */
static void cut_cell(const struct page *page, struct columns *columns, size_t from, size_t width) {
    struct buf *cells = &columns->cells;
    if (!page->options->style.whole && cells->len - from > width) {
        buf_cut(cells, from + width - 3);
        buf_text(cells, "...");
    }
    columns_next(columns);
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

void page_slots_or_primary(struct page *page, struct buf *buf, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    size_t from = buf->len;
    if (node->replica && node->primary != NODE_NONE) {
        buf_text(buf, "of ");
        page_node(page, buf, node->primary);
    } else {
        view_slots_of(page->view, index, buf);
    }
    if (buf->len == from)
        buf_text(buf, "-");
}

static void role_cells(struct page *page, struct columns *columns, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    columns_text(columns, node->replica ? "replica" : "primary");
    size_t from = columns->cells.len;
    page_slots_or_primary(page, &columns->cells, index);
    cut_cell(page, columns, from, SLOTS_SHOWN);
}

/* Whether the others know it; if they do, what it says of the cluster. */
static const char *state_text(const struct model *model, uint32_t index) {
    if (model_is_replaced(model, index))
        return "replaced";
    if (!model_is_member(model, index))
        return "no member";
    return model_node(model, index)->state ? "FAIL" : "ok";
}

static void node_row(struct page *page, struct columns *columns, uint32_t index) {
    const struct node *node = model_node(page->model, index);
    render_node_short(&columns->cells, node->id);
    columns_next(columns);
    if (node->addr_known)
        page_node_cell(page, columns, index);
    else
        columns_text(columns, "-");
    role_cells(page, columns, index);
    if (node->heard) {
        columns_u64(columns, node->config_epoch);
        columns_u64(columns, node->repl_offset);
        columns_text(columns, state_text(page->model, index));
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
    for (size_t i = 0; i < page_rows(page, count, NODES_SHOWN); i++)
        node_row(page, &columns, page->order[i]);
    columns_print(&columns, page->buf);
    page_more(page, count - page_rows(page, count, NODES_SHOWN), "node");
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
