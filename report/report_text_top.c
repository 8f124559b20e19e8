/* report_text_top.c - what stands out in the text report: the busiest commands of all servers, hot
 * slots and keys, the biggest replies. What is spread evenly is not told. */
#include "report/format.h"
#include "report/report_text.h"
#include "report/top.h"

enum {
    COMMANDS_SHOWN = 5,
    OTHERS_SHOWN = 3,
    HOT_PER_MILLE = 20, /* of all: what has less is not hot */
    HOT_LEAST = 1000,   /* requests in all: of fewer any slot may have that much by chance */
};

/* ---- commands ---- */

static void duration_cell(struct columns *columns, const struct histogram *latency, uint64_t us) {
    static const uint64_t most = INT64_MAX / NS_PER_US;
    if (latency->count == 0)
        buf_text(&columns->cells, "-");
    else
        buf_duration(&columns->cells, (nstime)(us < most ? us : most) * NS_PER_US);
    columns_next(columns);
}

static void command_row(struct columns *columns, const struct top_command *top) {
    const struct histogram *latency = &top->latency;
    columns_text(columns, top->name ? top->name : "(unknown)");
    columns_u64(columns, top->requests);
    columns_rare(columns, top->errors);
    buf_size(&columns->cells, top->bytes);
    columns_next(columns);
    duration_cell(columns, latency, histogram_percentile(latency, 500));
    duration_cell(columns, latency, histogram_percentile(latency, 990));
    duration_cell(columns, latency, latency->max);
}

static void commands_table(struct page *page) {
    static const struct column heads[] = {
        {"command", LEFT}, {"requests", RIGHT}, {"errors", RIGHT}, {"bytes", RIGHT},
        {"p50", RIGHT},    {"p99", RIGHT},      {"max", RIGHT},
    };
    struct top_command top[TOP_SHOWN];
    struct columns columns = columns_of(heads, countof(heads));
    size_t count = top_commands(page->model, top);
    size_t shown = page_rows(page, count, COMMANDS_SHOWN);
    for (size_t i = 0; i < shown; i++)
        command_row(&columns, &top[i]);
    columns_print(&columns, page->buf);
}

/* ---- hot slots and keys ---- */

/* "12.3 %" */
static void share(struct buf *buf, uint64_t part, uint64_t whole) {
    uint64_t per_mille = whole ? (uint64_t)((double)part * 1000 / (double)whole + 0.5) : 0;
    buf_u64(buf, per_mille / 10);
    buf_text(buf, ".");
    buf_u64(buf, per_mille % 10);
    buf_text(buf, " %");
}

static bool is_hot(uint64_t part, uint64_t whole) {
    return part / HOT_PER_MILLE >= whole / 1000 && part > 0;
}

static void slots_by_requests(struct page *page, const struct slot_load *sum) {
    struct top_slot top[TOP_SHOWN];
    size_t count = top_slots_by_requests(page->model, top);
    uint64_t all = slot_requests(sum);
    struct buf *buf = page->buf;
    for (size_t i = 0; i < min_size(count, OTHERS_SHOWN); i++) {
        if (!is_hot(slot_requests(top[i].load), all))
            break;
        buf_printf(buf, "%s%u with ", i ? ", " : "  Hot slots, by requests: ", top[i].slot);
        share(buf, slot_requests(top[i].load), all);
        uint64_t error = slot_requests_error(top[i].load);
        if (error) {
            buf_text(buf, " (+- ");
            share(buf, error, all);
            buf_text(buf, ")");
        }
    }
    if (count > 0 && is_hot(slot_requests(top[0].load), all))
        buf_text(buf, ".\n");
}

static void slots_by_bytes(struct page *page, const struct slot_load *sum) {
    struct top_slot top[TOP_SHOWN];
    size_t count = top_slots_by_bytes(page->model, top);
    struct buf *buf = page->buf;
    for (size_t i = 0; i < min_size(count, OTHERS_SHOWN); i++) {
        if (!is_hot(top[i].load->bytes, sum->bytes))
            break;
        buf_printf(buf, "%s%u with ", i ? ", " : "  Hot slots, by bytes: ", top[i].slot);
        share(buf, top[i].load->bytes, sum->bytes);
    }
    if (count > 0 && is_hot(top[0].load->bytes, sum->bytes))
        buf_text(buf, ".\n");
}

static void key_name(struct page *page, const struct topk_entry *key) {
    const struct render_style *style = &page->options->style;
    if (style->keys != SHOW_NO_KEYS)
        render_key(page->buf, style, topk_text(key));
    else if (key->len <= TOPK_TEXT)
        buf_printf(page->buf, "one in slot %u", key_slot(topk_text(key)));
    else
        buf_text(page->buf, "one");
}

static void hot_keys(struct page *page) {
    const struct topk_entry *top[TOP_SHOWN];
    size_t count = top_keys(page->model, top), shown = 0;
    uint64_t all = model_numbers(page->model)->keys.total;
    for (; shown < min_size(count, OTHERS_SHOWN); shown++) {
        if (!is_hot(top[shown]->count - top[shown]->error, all))
            break;
        buf_text(page->buf, shown ? ", " : "  Hot keys: ");
        key_name(page, top[shown]);
        buf_text(page->buf, " with ");
        share(page->buf, top[shown]->count, all);
    }
    if (shown > 0)
        buf_text(page->buf, page->options->style.keys == SHOW_NO_KEYS
                                ? " of requests (--keys shows their names).\n"
                                : " of requests.\n");
}

/* ---- big replies ---- */

static void big_replies(struct page *page) {
    const struct model_numbers *numbers = model_numbers(page->model);
    size_t shown = min_size(numbers->big_count, OTHERS_SHOWN);
    char server[ENDPOINT_TEXT];
    for (size_t i = 0; i < shown; i++) {
        const struct big_reply *big = &numbers->big[i];
        endpoint_text(&big->server, server);
        buf_text(page->buf, i ? ", " : "  Biggest replies: ");
        buf_size(page->buf, big->bytes);
        buf_printf(page->buf, " to %s by %s (", big->command ? big->command->name : "(unknown)",
                   server);
        page_frame(page, page->buf, big->at.source, big->at.frame);
        buf_text(page->buf, ")");
    }
    if (shown > 0)
        buf_text(page->buf, ".\n");
}

void page_top(struct page *page) {
    struct slot_load sum = top_slots_sum(page->model);
    commands_table(page);
    if (slot_requests(&sum) >= HOT_LEAST) {
        slots_by_requests(page, &sum);
        slots_by_bytes(page, &sum);
        hot_keys(page);
    }
    big_replies(page);
}
