/* merge.c - a heap of the sources, by the time of the packet that each has ready.
 *
 * The packet that was handed out last stays on top until the next call, for its bytes live only
 * until its source is asked again. A single source needs none of this and is passed through. */
#include "capture/merge.h"

#include "base/limits.h"

#include <stdlib.h>

struct head {
    nstime time; /* of `packet`, the heap's key */
    struct source *source;
    struct packet packet;
};

struct merge {
    size_t count;        /* of the heads */
    size_t live;         /* of the heap */
    bool top_is_used;    /* the packet on top has been handed out */
    size_t first_failed; /* index of a source; count if none */
    size_t failed;
    struct err failure; /* of that first source */
    struct head *heads; /* by index of the source */
    uint16_t heap[CAP_SOURCES];
};

/* --- the heap: the earliest on top, of the same time the one named first --- */

static bool before(const struct merge *merge, uint16_t a, uint16_t b) {
    nstime a_time = merge->heads[a].time, b_time = merge->heads[b].time;
    return a_time != b_time ? a_time < b_time : a < b;
}

static void sift_down(struct merge *merge, size_t at) {
    uint16_t *heap = merge->heap;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < merge->live; child++)
            if (before(merge, heap[child], heap[least]))
                least = child;
        if (least == at)
            return;
        uint16_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

/* --- the sources --- */

/* One after another fails, in the order of time; the one named first is reported. */
static void note_failure(struct merge *merge, size_t index, const struct err *err) {
    merge->failed++;
    if (index > merge->first_failed)
        return;
    merge->first_failed = index;
    merge->failure = *err;
}

/* The next packet of one source; one without a time gets that of the packet before it. */
static enum source_got advance(struct merge *merge, uint16_t index, struct packet *ret_packet,
                               struct err *err) {
    struct head *head = &merge->heads[index];
    enum source_got got = source_next(head->source, ret_packet, err);
    if (got == SOURCE_PACKET) {
        if (UNLIKELY(ret_packet->time == TIME_NONE))
            ret_packet->time = head->time;
        head->time = ret_packet->time;
        ret_packet->source = index;
    }
    return got;
}

/* Gets the packet for the head; false if its source has ended or failed. */
static bool fill_head(struct merge *merge, uint16_t index) {
    struct err err;
    enum source_got got = advance(merge, index, &merge->heads[index].packet, &err);
    if (got == SOURCE_FAILED)
        note_failure(merge, index, &err);
    return got == SOURCE_PACKET;
}

static void start(struct merge *merge) {
    for (size_t i = 0; i < merge->count; i++)
        if (fill_head(merge, (uint16_t)i))
            merge->heap[merge->live++] = (uint16_t)i;
    for (size_t i = merge->live; i-- > 0;)
        sift_down(merge, i);
}

static bool check_paths(const char *const *paths, size_t count, struct err *err) {
    bool stdin_seen = false;
    if (count > CAP_SOURCES)
        return err_set(err, "%zu captures: at most %d are read at once: join some with mergecap",
                       count, CAP_SOURCES);
    for (size_t i = 0; i < count; i++) {
        bool is_stdin = strcmp(paths[i], "-") == 0;
        if (is_stdin && stdin_seen)
            return err_set(err, "-: standard input is named twice: name it once");
        stdin_seen |= is_stdin;
    }
    return true;
}

static bool open_all(struct merge *merge, const char *const *paths, size_t count,
                     const struct source_options *options, struct err *err) {
    struct source_options shared = *options;
    shared.together = count;
    merge->heads = calloc(count ? count : 1, sizeof *merge->heads);
    if (!merge->heads)
        return err_no_memory(err);
    for (; merge->count < count; merge->count++) {
        struct head *head = &merge->heads[merge->count];
        head->time = TIME_NONE;
        head->source = source_open(paths[merge->count], &shared, err);
        if (!head->source)
            return false;
    }
    merge->first_failed = count;
    return true;
}

struct merge *merge_open(const char *const *paths, size_t count,
                         const struct source_options *options, struct err *err) {
    if (!check_paths(paths, count, err))
        return NULL;
    struct merge *merge = calloc(1, sizeof *merge);
    if (!merge) {
        err_no_memory(err);
        return NULL;
    }
    if (!open_all(merge, paths, count, options, err)) {
        merge_close(merge);
        return NULL;
    }
    if (count > 1)
        start(merge);
    return merge;
}

static enum source_got end(struct merge *merge, struct err *err) {
    size_t failed = merge->failed;
    merge->failed = 0; /* said once */
    if (failed == 0)
        return SOURCE_END;
    if (failed > 1)
        err_set(err, "%.440s (and %zu more are damaged)", merge->failure.text, failed - 1);
    else
        *err = merge->failure;
    return SOURCE_FAILED;
}

static void replace_top(struct merge *merge) {
    if (!fill_head(merge, merge->heap[0]))
        merge->heap[0] = merge->heap[--merge->live];
    if (merge->live)
        sift_down(merge, 0);
}

/* A single source; once it has failed it goes on as an empty merge. */
static enum source_got next_of_one(struct merge *merge, struct packet *ret_packet,
                                   struct err *err) {
    enum source_got got = advance(merge, 0, ret_packet, err);
    if (UNLIKELY(got == SOURCE_FAILED))
        merge->top_is_used = true;
    return got;
}

enum source_got merge_next(struct merge *merge, struct packet *ret_packet, struct err *err) {
    if (merge->count == 1 && !merge->top_is_used)
        return next_of_one(merge, ret_packet, err);
    if (merge->live && merge->top_is_used)
        replace_top(merge);
    if (merge->live == 0)
        return end(merge, err);
    *ret_packet = merge->heads[merge->heap[0]].packet;
    merge->top_is_used = true;
    return SOURCE_PACKET;
}

bool merge_widen(struct merge *merge, const struct port_set *ports, struct err *err) {
    for (size_t i = 0; i < merge->count; i++)
        if (!source_widen(merge->heads[i].source, ports, err))
            return false;
    return true;
}

bool merge_traffic(const struct merge *merge, struct source_traffic *ret_traffic) {
    return source_traffic(merge->heads[0].source, ret_traffic);
}

size_t merge_count(const struct merge *merge) {
    return merge->count;
}

const struct source_info *merge_info(const struct merge *merge, size_t index) {
    return source_info(merge->heads[index].source);
}

void merge_close(struct merge *merge) {
    if (!merge)
        return;
    for (size_t i = 0; i < merge->count; i++)
        source_close(merge->heads[i].source);
    free(merge->heads);
    free(merge);
}
