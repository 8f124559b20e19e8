/* offset_history.c - places of a stream, with the past thinned out. */
#include "analysis/offset_history.h"

#include "decode/event.h"

enum { HALF = HISTORY_PLACES / 2 };

static const nstime TOGETHER = 100 * NS_PER_MS;

/* Of two the later one stays: what was passed between is told too late, not too early. */
static void thin(struct offset_history *history) {
    for (uint32_t i = 0; i < HALF / 2; i++)
        history->list[i] = history->list[2 * i + 1];
    memmove(&history->list[HALF / 2], &history->list[HALF],
            (HISTORY_PLACES - HALF) * sizeof history->list[0]);
    history->count -= HALF / 2;
}

void offset_history_note(struct offset_history *history, nstime time, uint64_t offset) {
    struct offset_place *last = history->count ? &history->list[history->count - 1] : NULL;
    if (last && (offset <= last->offset || time < last->time))
        return;
    if (last && history->count > 1 && time - last->time < TOGETHER) {
        last->offset = offset;
        return;
    }
    if (history->count == HISTORY_PLACES)
        thin(history);
    history->list[history->count++] = (struct offset_place){time, offset};
}

nstime offset_history_passed(const struct offset_history *history, uint64_t offset) {
    uint32_t low = 0, high = history->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (history->list[middle].offset > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low < history->count ? history->list[low].time : TIME_NONE;
}

uint64_t offset_history_at(const struct offset_history *history, nstime time) {
    uint32_t next = 0;
    while (next < history->count && history->list[next].time <= time)
        next++;
    if (next == 0)
        return NOT_KNOWN;
    const struct offset_place *from = &history->list[next - 1], *to = &history->list[next];
    if (next == history->count)
        return from->offset;
    double share = (double)(time - from->time) / (double)(to->time - from->time);
    return from->offset + (uint64_t)((double)(to->offset - from->offset) * share);
}
