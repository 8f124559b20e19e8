/* node_lines.c - a table without room for all that the report's has: what changes comes first,
 * slots, which may be many, come last. */
#include "report/node_lines.h"

#include <stdlib.h>

#include "report/format.h"
#include "report/node_order.h"
#include "report/report_text.h"

enum { TEXT_MAX = 1 << 20 };

static const char *const healths[HEALTHS] = {"ok", "suspected", "FAILED", "gone"};

/* How long ago, by the time of the packets, it was last heard. */
static void heard_cell(struct columns *columns, const struct model *model,
                       const struct node *node) {
    if (node->last_heard != TIME_NONE)
        buf_duration(&columns->cells, model_books(model)->last - node->last_heard);
    else
        buf_text(&columns->cells, "never");
    columns_next(columns);
}

static void node_row(struct page *page, struct columns *columns, uint32_t index,
                     enum health health) {
    const struct node *node = model_node(page->model, index);
    page_node_cell(page, columns, index);
    columns_text(columns, node->replica ? "replica" : "primary");
    columns_text(columns, healths[health]);
    heard_cell(columns, page->model, node);
    columns_u64(columns, node->config_epoch);
    page_slots_or_primary(page, &columns->cells, index);
    columns_next(columns);
}

static void put_rows(struct node_lines *lines, struct page *page) {
    static const struct column heads[] = {{"node", LEFT},   {"role", LEFT},
                                          {"state", LEFT},  {"heard", RIGHT},
                                          {"epoch", RIGHT}, {"slots, or primary", LEFT}};
    struct columns columns = columns_of(heads, countof(heads));
    for (size_t i = 0; i < lines->count; i++) {
        lines->health[i] = vitals_health(page->model, page->order[i]);
        node_row(page, &columns, page->order[i], lines->health[i]);
    }
    columns_print(&columns, &lines->text);
}

void node_lines_make(struct node_lines *ret_lines, const struct report *report) {
    const struct model *model = engine_model(report->engine);
    struct view *view = view_new(report);
    uint32_t *order = node_order(model);
    *ret_lines = (struct node_lines){.text.max = TEXT_MAX, .count = model_node_count(model)};
    ret_lines->health = calloc(ret_lines->count + 1, sizeof *ret_lines->health);
    struct page page = {.model = model, .view = view, .order = order};
    if (view && order && ret_lines->health)
        put_rows(ret_lines, &page);
    if (ret_lines->text.failed || !ret_lines->text.len)
        ret_lines->count = 0;
    free(view);
    free(order);
}

void node_lines_free(struct node_lines *lines) {
    buf_free(&lines->text);
    free(lines->health);
}
