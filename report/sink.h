/* sink.h - the forms of output; the list is sinks.def. A sink hears every SHOWN event as it
 * happens, and at the end gets the whole report to look at; most care for one of the two. */
#ifndef BUSTAP_REPORT_SINK_H
#define BUSTAP_REPORT_SINK_H

#include "analysis/engine.h"
#include "capture/merge.h"
#include "report/output.h"
#include "report/render.h"
#include "report/timeline.h"

/* What was read: packets within --from, --to and -c. */
struct tally {
    uint64_t packets, bytes;
    nstime first, last;                 /* TIME_NONE: no packets */
    uint64_t filtered;                  /* packets that -f left out */
    uint64_t outside;                   /* packets that --from and --to left out, */
    nstime outside_first, outside_last; /* from then to then; without a time they do not count */
};

/* Everything that is known at the end. */
struct report {
    const char *version;
    const struct engine *engine; /* finished */
    const struct merge *sources;
    const struct timeline *timeline;
    struct tally tally;
    const char *damage; /* why the input was not read to its end; NULL: it was */
};

struct sink_options {
    bool colour;
    bool brief;                /* only the verdict */
    struct render_style style; /* whole: no table is cut either */
    size_t sources;            /* captures that are read */
    const struct model *model; /* as it is when an event or a finding comes */
};

struct sink;

struct sink_ops {
    const char *name, *help;
    void (*event)(struct sink *sink, const struct event *event);       /* NULL: does not care */
    void (*finding)(struct sink *sink, const struct finding *finding); /* as it is reported */
    void (*finish)(struct sink *sink, const struct report *report);    /* NULL: nothing to add */
};

extern const struct sink_ops *const sinks[];
extern const size_t sink_count;

#define SINK(symbol) extern const struct sink_ops sink_##symbol;
#include "report/sinks.def"
#undef SINK

enum { SINK_LINE_MAX = 16 << 20 }; /* longest piece of output held at once */

struct sink {
    const struct sink_ops *ops;
    struct sink_options options;
    struct output output;
    struct buf buf; /* being filled */
};

/* The path is borrowed; "-" is standard output. False and a message if it cannot be written. */
bool sink_open(struct sink *sink, const struct sink_ops *ops, const struct sink_options *options,
               const char *path, struct err *err);

static inline void sink_event(struct sink *sink, const struct event *event) {
    if (sink->ops->event)
        sink->ops->event(sink, event);
}

static inline void sink_finding(struct sink *sink, const struct finding *finding) {
    if (sink->ops->finding)
        sink->ops->finding(sink, finding);
}

/* Hands over what is in the buffer. */
void sink_flush(struct sink *sink);

/* Ends the output. False and a message if it is not whole. */
bool sink_finish(struct sink *sink, const struct report *report, struct err *err);

#endif
