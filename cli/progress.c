/* progress.c - one line, drawn over and over, gone at the end. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/clock.h"
#include "report/format.h"

#define REDRAW (NS_PER_SEC / 5)

struct progress progress_start(bool wanted) {
    struct progress progress = {.shown = wanted && isatty(STDERR_FILENO)};
    progress.began = progress.at = clock_steady();
    return progress;
}

struct sums {
    uint64_t packets, bytes, offset, size;
    bool sized; /* the size of every input is known */
};

static struct sums sums_of(const struct merge *merge) {
    struct sums sums = {.sized = true};
    for (size_t i = 0; i < merge_count(merge); i++) {
        const struct source_info *info = merge_info(merge, i);
        sums.packets += info->packets;
        sums.bytes += info->bytes;
        sums.offset += info->input_offset;
        sums.size += info->input_size;
        sums.sized &= info->input_size > 0;
    }
    return sums;
}

static void draw(const struct progress *progress, const struct sums *sums) {
    struct buf line = {.max = 256};
    nstime spent = progress->at - progress->began;
    double seconds = (double)spent / (double)NS_PER_SEC;
    buf_text(&line, "\r\x1b[K");
    buf_count(&line, sums->packets, "packet");
    buf_printf(&line, ", %.0f MB/s", (double)sums->bytes / 1e6 / seconds);
    if (sums->sized && sums->offset > 0 && sums->offset <= sums->size) { /* it may have grown */
        double share = (double)sums->offset / (double)sums->size;
        buf_printf(&line, ", %.0f%%, ", share * 100);
        buf_duration(&line, (nstime)((double)spent * (1 - share) / share));
        buf_text(&line, " left");
    }
    if (!line.failed)
        (void)fputs(line.data, stderr);
    buf_free(&line);
}

void progress_tick(struct progress *progress, const struct merge *merge) {
    if (!progress->shown)
        return;
    nstime now = clock_steady();
    if (now - progress->at < REDRAW)
        return;
    progress->at = now;
    progress->drawn = true;
    struct sums sums = sums_of(merge);
    draw(progress, &sums);
}

void progress_end(struct progress *progress) {
    if (progress->drawn)
        (void)fputs("\r\x1b[K", stderr);
    progress->drawn = false;
}
