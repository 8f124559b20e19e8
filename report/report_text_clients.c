/* report_text_clients.c - clients in the text report: how much each server was asked, how fast it
 * answered and with which errors. */
#include <stdlib.h>

#include "analysis/model_clients.h"
#include "report/format.h"
#include "report/report_text.h"
#include "report/top.h"

enum {
    SERVERS_SHOWN = 40,
    COMMANDS_SHOWN = 3, /* of a server, the busiest */
    WORDS_SHOWN = 6,    /* of a server's errors, the commonest */
};

/* ---- cells ---- */

static void microseconds(struct buf *buf, const struct histogram *histogram, uint64_t us) {
    static const uint64_t most = INT64_MAX / NS_PER_US;
    if (histogram->count == 0)
        buf_text(buf, "-");
    else
        buf_duration(buf, (nstime)(us < most ? us : most) * NS_PER_US);
}

static void microseconds_cell(struct columns *columns, const struct histogram *histogram,
                              uint64_t us) {
    microseconds(&columns->cells, histogram, us);
    columns_next(columns);
}

static void latency_cells(struct columns *columns, const struct histogram *histogram) {
    microseconds_cell(columns, histogram, histogram_percentile(histogram, 500));
    microseconds_cell(columns, histogram, histogram_percentile(histogram, 990));
    microseconds_cell(columns, histogram, histogram->max);
}

/* ---- what is most ---- */

/* Something named that was counted. */
struct named {
    const char *name;
    uint64_t count;
};

static int by_count(const void *a, const void *b) {
    const struct named *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* "get 800, set 20 and 4 more"; the list is sorted. */
static void most(struct buf *buf, struct named *list, size_t count, size_t shown) {
    if (count > 1)
        qsort(list, count, sizeof *list, by_count);
    for (size_t i = 0; i < min_size(count, shown); i++) {
        buf_printf(buf, "%s%s ", i ? ", " : "", list[i].name);
        buf_u64(buf, list[i].count);
    }
    if (count > shown) {
        buf_text(buf, " and ");
        buf_u64(buf, count - shown);
        buf_text(buf, " more");
    }
    if (count == 0)
        buf_text(buf, "-");
}

void page_busiest(struct page *page, struct buf *buf, const uint64_t *counts) {
    struct named *list = calloc(command_count + 1, sizeof *list);
    size_t used = 0;
    if (!list) {
        page->buf->failed = true;
        return;
    }
    for (size_t i = 0; i <= command_count; i++)
        if (counts[i])
            list[used++] =
                (struct named){i < command_count ? command_rows[i].name : "unknown", counts[i]};
    most(buf, list, used, page->options->style.whole ? used : COMMANDS_SHOWN);
    free(list);
}

static void commands_cell(struct page *page, struct columns *columns, const struct server *server) {
    uint64_t *calls = calloc(command_count + 1, sizeof *calls);
    if (!calls) {
        page->buf->failed = true;
        return;
    }
    for (size_t i = 0; i < command_count; i++)
        calls[i] = server->commands[i] ? server->commands[i]->calls : 0;
    calls[command_count] = server->rest.calls;
    page_busiest(page, &columns->cells, calls);
    columns_next(columns);
    free(calls);
}

static void most_words(struct page *page, struct buf *buf, const struct by_word *counts) {
    struct named *list = calloc(counts->count + 1, sizeof *list);
    if (!list) {
        page->buf->failed = true;
        return;
    }
    for (uint32_t i = 0; i < counts->count; i++)
        list[i] = (struct named){counts->list[i].word, counts->list[i].count};
    most(buf, list, counts->count, page->options->style.whole ? counts->count : WORDS_SHOWN);
    free(list);
}

/* ---- servers ---- */

/* The busiest first. */
static int by_requests(const void *a, const void *b) {
    const struct server *x = *(const struct server *const *)a;
    const struct server *y = *(const struct server *const *)b;
    if (x->requests != y->requests)
        return x->requests > y->requests ? -1 : 1;
    if (x->others != y->others)
        return x->others ? 1 : -1;
    return endpoint_order(&x->addr, &y->addr);
}

static void server_cell(struct columns *columns, const struct server *server) {
    if (server->others)
        columns_text(columns, "(others)");
    else
        columns_endpoint(columns, &server->addr);
}

static void server_row(struct page *page, struct columns *columns, const struct server *server) {
    struct histogram latency;
    model_server_latency(server, &latency);
    server_cell(columns, server);
    columns_u64(columns, server->requests);
    columns_rare(columns, by_word_sum(&server->errors));
    latency_cells(columns, &latency);
    commands_cell(page, columns, server);
}

static void servers_table(struct page *page, const struct server **servers, size_t count) {
    static const struct column heads[] = {
        {"server", LEFT}, {"requests", RIGHT}, {"errors", RIGHT},          {"p50", RIGHT},
        {"p99", RIGHT},   {"max", RIGHT},      {"busiest commands", LEFT},
    };
    struct columns columns = columns_of(heads, countof(heads));
    for (size_t i = 0; i < count; i++)
        server_row(page, &columns, servers[i]);
    columns_print(&columns, page->buf);
}

static void errors_table(struct page *page, const struct server **servers, size_t count) {
    static const struct column heads[] = {{"server", LEFT}, {"errors, by their first word", LEFT}};
    struct columns columns = columns_of(heads, countof(heads));
    for (size_t i = 0; i < count; i++) {
        if (servers[i]->errors.count == 0)
            continue;
        server_cell(&columns, servers[i]);
        most_words(page, &columns.cells, &servers[i]->errors);
        columns_next(&columns);
    }
    columns_print(&columns, page->buf);
}

/* ---- all servers ---- */

/* "  Redirects: moved 12, ask 3." */
static void words_line(struct page *page, const char *title, size_t member) {
    struct by_word sum = {0};
    for (size_t i = 0; i < model_server_count(page->model); i++) {
        const char *server = (const char *)model_server(page->model, i);
        const struct by_word *words = (const void *)(server + member);
        for (uint32_t k = 0; k < words->count; k++)
            by_word_add(&sum, bytes_str(words->list[k].word), words->list[k].count);
    }
    if (sum.count > 0) {
        buf_printf(page->buf, "  %s: ", title);
        most_words(page, page->buf, &sum);
        buf_text(page->buf, ".\n");
    }
    by_word_free(&sum);
}

static void blocking_line(struct page *page) {
    struct histogram all = {0};
    for (size_t i = 0; i < model_server_count(page->model); i++)
        histogram_merge(&all, &model_server(page->model, i)->blocking);
    if (all.count == 0)
        return;
    buf_text(page->buf, "  Left out of these times are blocking commands: ");
    buf_u64(page->buf, all.count);
    buf_text(page->buf, ", p50 ");
    microseconds(page->buf, &all, histogram_percentile(&all, 500));
    buf_text(page->buf, ", p99 ");
    microseconds(page->buf, &all, histogram_percentile(&all, 990));
    buf_text(page->buf, ", max ");
    microseconds(page->buf, &all, all.max);
    buf_text(page->buf, ".\n");
}

/* "  Requests came from 12 clients; most, 900 of 1000, from 10.0.0.9." */
static void clients_line(struct page *page) {
    struct top_client top[TOP_SHOWN];
    uint64_t requests = 0, further = page->books->clients_over_cap;
    char addr[ENDPOINT_TEXT];
    size_t count = model_client_count(page->model);
    for (size_t i = 0; i < count; i++)
        requests += model_client(page->model, i)->requests;
    if (top_clients(page->model, top) == 0)
        return;
    endpoint_ip_text(&top->addr, addr);
    buf_text(page->buf, further ? "  Requests came from more than " : "  Requests came from ");
    buf_count(page->buf, count - (further > 0), "client");
    buf_text(page->buf, "; most, ");
    buf_u64(page->buf, top->requests);
    buf_text(page->buf, " of ");
    buf_u64(page->buf, requests);
    buf_printf(page->buf, ", from %s.\n", addr);
}

void page_clients(struct page *page) {
    size_t count = model_server_count(page->model);
    const struct server **servers = calloc(count + 1, sizeof(struct server *));
    if (!servers) {
        page->buf->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        servers[i] = model_server(page->model, i);
    if (count > 0) {
        size_t shown = page_rows(page, count, SERVERS_SHOWN);
        qsort(servers, count, sizeof(struct server *), by_requests);
        page_section(page, "Clients: what servers were asked, the busiest first");
        servers_table(page, servers, shown);
        page_more(page, count - shown, "server");
        errors_table(page, servers, shown);
        words_line(page, "Redirects", offsetof(struct server, redirects));
        words_line(page, "Pushes", offsetof(struct server, pushes));
        blocking_line(page);
        clients_line(page);
        page_top(page);
    }
    free(servers);
}
