/* offset_history.c - places of a stream, with the past thinned out. */
#include "analysis/offset_history.h"

#include "decode/event.h"

static const nstime TOGETHER = 100 * NS_PER_MS;

/* The place goes without which the gap is the least, for so long ago. Without it what was passed
 * there is told too late, not too early. */
static void thin(struct offset_history *history) {
    const struct offset_place *list = history->list;
    nstime now = list[HISTORY_PLACES - 1].time;
    double least = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 1; i + 1 < HISTORY_PLACES; i++) {
        double gap = (double)(list[i + 1].time - list[i - 1].time);
        double share = gap / (double)(now - list[i - 1].time);
        if (chosen == 0 || share < least) {
            least = share;
            chosen = i;
        }
    }
    memmove(&history->list[chosen], &history->list[chosen + 1],
            (HISTORY_PLACES - chosen - 1) * sizeof history->list[0]);
    history->count--;
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
    uint64_t rate = offset_rate(to->offset - from->offset, to->time - from->time);
    double grown = (double)rate * (double)(time - from->time) / (double)NS_PER_SEC;
    return grown < (double)(to->offset - from->offset) ? from->offset + (uint64_t)grown
                                                       : to->offset;
}
