/* report_watch.c - `watch`: what is concluded and what is found, the moment it is, a line each.
 *
 *   18:51:40.980204 10.77.0.12:6379 suspects 10.77.0.11:6379 (PFAIL)
 *   18:51:41.207813 warning: 10.77.0.15:6379 waited 1.8 s for an answer ... [gossip-loss]
 *                   do: measure loss between these two hosts
 *
 * A finding stands at the time at which it ended: it is told when it is over, or at the end. The
 * last line is the verdict, as that of a report. */
#include "report/format.h"
#include "report/report_text.h"

enum { INDENT = 16 };

static void conclusion_line(struct sink *sink, const struct event *event) {
    buf_clock(&sink->buf, event->time);
    buf_text(&sink->buf, " ");
    timeline_sentence(&sink->buf, sink->options.model, event);
    buf_text(&sink->buf, "\n");
    sink_flush(sink);
}

static void put_sentence(struct buf *buf, const char *label, const char *text) {
    buf_printf(buf, "%*s%s: ", INDENT, "", label);
    buf_text(buf, text);
    buf_text(buf, "\n");
}

static void put_sentences(struct buf *buf, const char *label, const struct sentence *sentence) {
    for (; sentence; sentence = sentence->next)
        put_sentence(buf, label, sentence->text);
}

static void finding_lines(struct sink *sink, const struct finding *finding) {
    struct page page = {.buf = &sink->buf, .options = &sink->options};
    buf_clock(&sink->buf, finding->end == TIME_NONE ? finding->start : finding->end);
    buf_text(&sink->buf, " ");
    page_toned(&page, page_severity_tone(finding->severity), severity_name(finding->severity));
    buf_text(&sink->buf, ": ");
    buf_text(&sink->buf, finding->title);
    buf_printf(&sink->buf, " [%s]\n", finding->type);
    put_sentences(&sink->buf, "but", finding->caveats);
    put_sentences(&sink->buf, "do", finding->advice);
    sink_flush(sink);
}

static void summary(struct sink *sink, const struct report *report) {
    sink->options.brief = true;
    page_report(sink, report);
}

const struct sink_ops sink_watch = {
    .name = "watch",
    .help = "watch: what is concluded and what is found, as it happens",
    .event = conclusion_line,
    .finding = finding_lines,
    .finish = summary,
};
