/* timeline.h - what the model concluded, as sentences: the second block of events.def,
 * kept for a report. At most CAP_TIMELINE entries; later ones are counted. */
#ifndef BUSTAP_REPORT_TIMELINE_H
#define BUSTAP_REPORT_TIMELINE_H

#include "analysis/model.h"
#include "base/buf.h"
#include "decode/event.h"

struct timeline_entry {
    nstime time;
    uint64_t frame;
    uint16_t source;
    uint16_t type; /* enum event_type */
    bool node_known, about_known;
    char node[BUS_NODE_ID], about[BUS_NODE_ID];
    uint32_t text; /* where it begins in timeline.text; NUL-terminated */
};

struct timeline {
    struct timeline_entry *entries;
    uint32_t count, room;
    uint64_t seen[EV_COUNT]; /* also those left out */
    uint64_t left_out;       /* for the cap, or for want of memory */
    struct buf text;
};

void timeline_init(struct timeline *timeline);
void timeline_free(struct timeline *timeline);

/* Takes any event; keeps the conclusions. The model gives the nodes their addresses. */
void timeline_event(struct timeline *timeline, const struct model *model,
                    const struct event *event);

static inline const char *timeline_text(const struct timeline *timeline, size_t index) {
    return timeline->text.data + timeline->entries[index].text;
}

/* Puts the entries in the order of time: what was held behind a hole was told late. */
void timeline_sort(struct timeline *timeline);

/* The sentence for a conclusion; key=value pairs for a kind that has none. */
void timeline_sentence(struct buf *buf, const struct model *model, const struct event *event);

#endif
