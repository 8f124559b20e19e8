/* report_text_capture.c - the end of the text report: what could not be seen, and how much was. */
#include "report/format.h"
#include "report/link_types.h"
#include "report/report_text.h"

/* ---- what could not be seen ---- */

/* A line of the list, begun with the section's heading if it is the first. */
static void unseen_line(struct page *page, bool *any) {
    if (!*any)
        page_section(page, "What could not be seen");
    *any = true;
    buf_text(page->buf, "  - ");
}

/* One line about a count that should be zero: "12 gaps ...". */
static void unseen_count(struct page *page, bool *any, uint64_t count, const char *noun,
                         const char *why) {
    if (count == 0)
        return;
    unseen_line(page, any);
    buf_count(page->buf, count, noun);
    buf_text(page->buf, why);
    buf_text(page->buf, "\n");
}

static void unseen_traffic(struct page *page, bool *any, const struct traffic *traffic,
                           const char *noun, const char *why) {
    if (traffic->flows == 0)
        return;
    unseen_line(page, any);
    buf_count(page->buf, traffic->flows, noun);
    buf_text(page->buf, " (");
    buf_size(page->buf, traffic->bytes);
    buf_text(page->buf, why);
    buf_text(page->buf, "\n");
}

static void unseen_gaps(struct page *page, bool *any) {
    if (page->books->gaps == 0)
        return;
    unseen_line(page, any);
    buf_count(page->buf, page->books->gaps, "gap");
    buf_text(page->buf, " in TCP streams, ");
    buf_size(page->buf, page->books->gap_bytes);
    buf_text(page->buf, ": lost by whoever captured, for the receivers acknowledged them\n");
}

static void unseen_anomalies(struct page *page, bool *any, const uint64_t counts[AN_COUNT],
                             const char *where) {
    for (size_t i = 0; i < AN_COUNT; i++) {
        if (counts[i] == 0)
            continue;
        unseen_line(page, any);
        buf_u64(page->buf, counts[i]);
        buf_printf(page->buf, " x %s%s: %s\n", anomaly_rows[i].name, where, anomaly_rows[i].help);
    }
}

static uint64_t never_heard(const struct model *model) {
    uint64_t count = 0;
    for (size_t i = 0; i < model_node_count(model); i++)
        count += !model_node(model, i)->heard;
    return count;
}

/* Most pairs of nodes talk; where few do, the capture stands at one of them. */
static void unseen_links(struct page *page, bool *any) {
    uint64_t nodes = model_node_count(page->model), links = model_link_count(page->model);
    if (nodes < 3 || links * 2 >= nodes * (nodes - 1))
        return;
    unseen_line(page, any);
    buf_text(page->buf, "the links of ");
    buf_count(page->buf, nodes * (nodes - 1) - links, "pair");
    buf_text(page->buf, " of nodes: this capture was taken where they do not pass, so what is said "
                        "of\n    them is hearsay\n");
}

static void unseen_bus(struct page *page, bool *any) {
    const struct model_books *books = page->books;
    uint64_t unclaimed = messages_sum(books->unclaimed_sent);
    unseen_count(page, any, books->undecoded_bytes, "byte",
                 " on bus connections belong to no complete message");
    unseen_count(page, any, unclaimed, "bus message", " whose sender could not be told");
    unseen_count(page, any, never_heard(page->model), "node",
                 " never heard: known from what others gossip");
    unseen_links(page, any);
    unseen_count(page, any, books->nodes_over_cap, "mention",
                 " of further nodes, past the cap on nodes (bustap list limits)");
    unseen_count(page, any, books->elections_over_cap, "election",
                 " not followed, past the cap (bustap list limits)");
    unseen_count(page, any, books->links_over_cap, "use",
                 " of further links, past the cap on links (bustap list limits)");
    unseen_count(page, any, books->contests_over_cap, "double claim",
                 " of slots not kept, past the cap (bustap list limits)");
}

#define PAST_CAP ", past the cap (bustap list limits): counted together"

static void unseen_clients(struct page *page, bool *any) {
    const struct model_books *books = page->books;
    unseen_count(page, any, books->unanswered, "request", " of clients without a reply");
    unseen_count(page, any, books->unmatched, "answer", " to clients without a request");
    unseen_count(page, any, books->resp_undecoded_bytes, "byte",
                 " on client connections belong to no request and no reply");
    unseen_count(page, any, books->resp_joined, "client connection",
                 " joined in the middle: what was said before is not known");
    unseen_count(page, any, books->servers_over_cap, "connection", " to further servers" PAST_CAP);
    unseen_count(page, any, books->clients_over_cap, "connection", " of further clients" PAST_CAP);
    unseen_count(page, any, books->commands_over_cap, "use", " of further commands" PAST_CAP);
    unseen_count(page, any, books->big_keys_over_cap, "use", " of further big keys" PAST_CAP);
    unseen_count(page, any, books->redirects_over_cap, "redirect", " forgotten" PAST_CAP);
    unseen_count(page, any, books->replications_over_cap, "replication link",
                 " forgotten or not followed, past the cap (bustap list limits)");
    unseen_count(page, any, books->followers_over_cap, "step",
                 " of further replicas, past the cap (bustap list limits): not followed");
    unseen_count(page, any, books->migrations_over_cap, "step",
                 " of further migrations, past the cap (bustap list limits): not followed");
    unseen_count(
        page, any, books->moves_over_cap, "request",
        " to move keys, past the cap (bustap list limits): what became of them is not known");
    unseen_count(page, any, books->writes_over_cap, "write",
                 " forgotten before all replicas had them, past the cap (bustap list limits)");
}

void page_unseen(struct page *page) {
    const struct model_books *books = page->books;
    struct decoder_stats stats = engine_decoder_stats(page->report->engine);
    bool any = false;
    if (page->report->damage) {
        unseen_line(page, &any);
        buf_text(page->buf, "the rest of a damaged input (the message stands on standard error)\n");
    }
    unseen_count(page, &any, page->view->kernel_drops, "packet",
                 " dropped by the kernel that captured, says the capture itself");
    unseen_gaps(page, &any);
    unseen_count(page, &any, page->view->truncated_packets, "packet",
                 " cut short by the capture's snaplen");
    unseen_bus(page, &any);
    unseen_clients(page, &any);
    unseen_traffic(page, &any, &books->tls, "encrypted connection",
                   "): TLS; sizes and times are all that shows");
    unseen_traffic(page, &any, &books->other, "other connection",
                   "): neither bus nor clients nor replicas, as far as can be told");
    unseen_count(page, &any, stats.flows_evicted, "connection",
                 " forgotten early to stay within the cap (bustap list limits)");
    unseen_anomalies(page, &any, books->bus_anomalies, " on the bus");
    unseen_anomalies(page, &any, books->client_anomalies, " of a client or server");
    unseen_anomalies(page, &any, books->other_anomalies, "");
}

/* ---- the numbers of the capture ---- */

static void source_line(struct page *page, const struct source_info *info, size_t index) {
    struct buf *buf = page->buf;
    buf_printf(buf, "  %zu: ", index);
    buf_wire_text(buf, bytes_str(info->path), 512);
    buf_printf(buf, ": %s", info->format);
    for (size_t i = 0; i < info->link_type_count; i++) {
        buf_text(buf, i ? "+" : ", ");
        link_type_name(buf, info->link_types[i]);
    }
    buf_text(buf, ", ");
    buf_count(buf, info->packets, "packet");
    buf_text(buf, ", ");
    buf_size(buf, info->bytes);
    buf_text(buf, "\n");
}

static void period_line(struct page *page, const struct tally *tally) {
    if (tally->first == TIME_NONE)
        return;
    buf_text(page->buf, "  from ");
    buf_rfc3339(page->buf, tally->first);
    buf_text(page->buf, " to ");
    buf_rfc3339(page->buf, tally->last);
    buf_text(page->buf, ", ");
    buf_duration(page->buf, tally->last - tally->first);
    buf_text(page->buf, "\n");
}

static void packets_line(struct page *page, const struct tally *tally) {
    struct decoder_stats stats = engine_decoder_stats(page->report->engine);
    struct buf *buf = page->buf;
    buf_text(buf, "  ");
    buf_count(buf, tally->packets, "packet");
    buf_text(buf, ", ");
    buf_size(buf, tally->bytes);
    buf_text(buf, "; ");
    buf_count(buf, stats.flows, "connection");
    buf_text(buf, ", ");
    buf_u64(buf, page->books->bus_flows);
    buf_text(buf, " of them bus links");
    if (page->books->resp.flows > 0) {
        buf_text(buf, ", ");
        buf_u64(buf, page->books->resp.flows);
        buf_text(buf, " of clients and replicas");
    }
    buf_text(buf, "; ");
    buf_count(buf, stats.other_packets, "packet");
    buf_text(buf, " not TCP\n");
}

void page_numbers(struct page *page) {
    page_section(page, "Capture");
    for (size_t i = 0; i < merge_count(page->report->sources); i++)
        source_line(page, merge_info(page->report->sources, i), i);
    period_line(page, &page->report->tally);
    packets_line(page, &page->report->tally);
}
