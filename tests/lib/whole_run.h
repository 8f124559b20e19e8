/* whole_run.h - the whole program but its command line, over a capture in memory: read, decode,
 * model, detectors, every output. For inputs that nobody made a capture of: what is checked is what
 * must hold for any input. Header only: fuzz targets share it.
 *
 *   struct whole_run run = {.capture = bytes_of(data, size)};
 *   whole_run(&run);                      a claim that does not hold ends the process */
#ifndef BUSTAP_TESTS_WHOLE_RUN_H
#define BUSTAP_TESTS_WHOLE_RUN_H

#include "analysis/model_clients.h"
#include "report/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct whole_run {
    struct bytes capture;
    bool silent; /* no outputs */

    /* what came of it */
    uint64_t packets, events;
    bool opened;    /* the capture's first bytes were those of a capture */
    bool damaged;   /* and its last ones not */
    bool no_memory; /* the engine could not be made */

    /* private */
    struct engine *engine;
    struct timeline timeline;
    struct sink sinks[8];
    size_t sink_count;
    int out;
};

static inline void whole_claim(bool holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "whole_run: %s\n", what);
    abort();
}

/* A file without a name, and the path that opens it. */
static inline int whole_file(struct bytes content, char path[32]) {
    int fd = memfd_create("whole_run", MFD_CLOEXEC);
    whole_claim(fd >= 0, "memfd_create failed");
    for (size_t done = 0; done < content.len;) {
        ssize_t put = write(fd, content.data + done, content.len - done);
        whole_claim(put > 0, "write failed");
        done += (size_t)put;
    }
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static inline void whole_event(void *context, const struct event *event) {
    struct whole_run *run = context;
    run->events++;
    whole_claim(event->type < EV_COUNT, "an event of no kind");
    timeline_event(&run->timeline, engine_model(run->engine), event);
    for (size_t i = 0; i < run->sink_count; i++)
        sink_event(&run->sinks[i], event);
}

static inline void whole_finding(void *context, const struct finding *finding) {
    struct whole_run *run = context;
    for (size_t i = 0; i < run->sink_count; i++)
        sink_finding(&run->sinks[i], finding);
}

static inline void whole_open_sinks(struct whole_run *run, const char *path) {
    struct err err;
    struct sink_options options = {.style = {.whole = true, .keys = SHOW_KEYS},
                                   .sources = 1,
                                   .model = engine_model(run->engine)};
    whole_claim(sink_count <= countof(run->sinks), "more sinks than whole_run.h has room for");
    for (size_t i = 0; i < sink_count && !run->silent; i++) {
        if (sink_open(&run->sinks[run->sink_count], sinks[i], &options, path, &err))
            run->sink_count++;
    }
}

/* What the nodes sent, and what nobody could be named for, is all that was sent. */
static inline void whole_check_books(const struct model *model) {
    const struct model_books *books = model_books(model);
    for (int type = 0; type < BUS_COUNTERS; type++) {
        uint64_t sent = books->unclaimed_sent[type], received = books->unclaimed_received[type];
        for (size_t i = 0; i < model_node_count(model); i++) {
            sent += model_node(model, i)->sent[type];
            received += model_node(model, i)->received[type];
        }
        whole_claim(sent == books->messages[type], "the books of what was sent do not add up");
        whole_claim(received <= sent, "more was received than was sent");
    }
}

/* Whatever found no row of its own is in the one that others share. */
static inline void whole_check_clients(const struct model *model) {
    uint64_t asked = 0, heard = 0, unanswered = 0, unmatched = 0;
    for (size_t i = 0; i < model_client_count(model); i++)
        asked += model_client(model, i)->requests;
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct server *server = model_server(model, i);
        uint64_t requests = server->rest.requests;
        for (size_t row = 0; row < command_count; row++)
            requests += server->commands[row] ? server->commands[row]->requests : 0;
        whole_claim(requests == server->requests, "a server's commands do not add up");
        heard += server->requests;
        unanswered += server->unanswered;
        unmatched += server->unmatched;
    }
    whole_claim(asked == heard, "clients asked other than servers heard");
    whole_claim(unanswered == model_books(model)->unanswered, "unanswered requests got lost");
    whole_claim(unmatched == model_books(model)->unmatched, "unmatched replies got lost");
}

/* Nothing in it that a terminal would obey. */
static inline void whole_check_output(int fd) {
    static char block[1 << 16];
    ssize_t got;
    off_t at = 0;
    while ((got = pread(fd, block, sizeof block, at)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            unsigned char c = (unsigned char)block[i];
            whole_claim((c >= 0x20 && c != 0x7f) || c == '\n', "a control character was printed");
        }
        at += got;
    }
}

static inline void whole_finish(struct whole_run *run, struct merge *merge, const char *damage) {
    const struct source_info *info = merge_info(merge, 0);
    struct run_facts facts = {.kernel_drops = info->kernel_drops,
                              .truncated_packets = info->truncated_packets};
    struct report report = {.version = "0",
                            .engine = run->engine,
                            .sources = merge,
                            .timeline = &run->timeline,
                            .tally = {.packets = run->packets, .first = 0, .last = 0},
                            .damage = damage};
    struct err err;
    engine_finish(run->engine, &facts);
    whole_check_books(engine_model(run->engine));
    whole_check_clients(engine_model(run->engine));
    for (size_t i = 0; i < run->sink_count; i++)
        (void)sink_finish(&run->sinks[i], &report, &err);
}

static inline void whole_read(struct whole_run *run, struct merge *merge) {
    struct packet packet;
    struct err err = {{0}};
    enum source_got got;
    while ((got = merge_next(merge, &packet, &err)) == SOURCE_PACKET) {
        run->packets++;
        engine_packet(run->engine, &packet);
    }
    run->damaged = got == SOURCE_FAILED;
    whole_finish(run, merge, run->damaged ? err.text : NULL);
}

static inline void whole_run(struct whole_run *run) {
    char in_path[32], out_path[32];
    const char *paths[] = {in_path};
    struct err err;
    int in = whole_file(run->capture, in_path);
    int out = whole_file(bytes_of(NULL, 0), out_path);
    struct merge *merge = merge_open(paths, 1, &(struct source_options){0}, &err);
    run->opened = merge != NULL;
    if (merge) {
        struct engine_options options = {.key = {0x5eed, 0xc0ffee},
                                         .wants = UINT64_MAX,
                                         .on_event = whole_event,
                                         .on_finding = whole_finding,
                                         .context = run};
        timeline_init(&run->timeline);
        run->engine = engine_new(&options, &err);
        run->no_memory = !run->engine;
        if (run->engine) {
            whole_open_sinks(run, out_path);
            whole_read(run, merge);
        }
        engine_free(run->engine);
        timeline_free(&run->timeline);
        merge_close(merge);
        whole_check_output(out);
    }
    close(in);
    close(out);
}

#endif
