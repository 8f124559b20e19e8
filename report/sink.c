/* sink.c - the list of sinks, and what all of them do alike. */
#include "report/sink.h"

const struct sink_ops *const sinks[] = {
#define SINK(symbol) &sink_##symbol,
#include "report/sinks.def"
#undef SINK
};
const size_t sink_count = countof(sinks);

bool sink_open(struct sink *sink, const struct sink_ops *ops, const struct sink_options *options,
               const char *path, struct err *err) {
    *sink = (struct sink){.ops = ops, .options = *options, .buf = {.max = SINK_LINE_MAX}};
    return output_open(&sink->output, path, err);
}

void sink_flush(struct sink *sink) {
    output_take(&sink->output, &sink->buf);
}

bool sink_finish(struct sink *sink, const struct report *report, struct err *err) {
    if (sink->ops->finish)
        sink->ops->finish(sink, report);
    sink_flush(sink);
    bool failed = sink->buf.failed;
    buf_free(&sink->buf);
    if (!output_close(&sink->output, err))
        return false;
    return failed ? err_no_memory(err) : true;
}
