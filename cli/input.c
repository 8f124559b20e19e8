/* input.c - the loop that everything hangs on: merge, window, engine. */
#include "cli/input.h"

#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/progress.h"

enum { TICK = 4096 }; /* packets between looks at the clock */

bool input_open(struct input *input, const struct config *config, bool sha256, struct err *err) {
    struct source_options options = {.sha256 = sha256, .stop = interrupted};
    *input = (struct input){.config = config, .tally = {.first = INT64_MAX, .last = TIME_NONE}};
    input->from = INT64_MAX; /* until the window is known every packet is doubtful */
    for (size_t i = 0; i < config->files.count; i++)
        if (strcmp(config->files.list[i], "-") == 0 && isatty(STDIN_FILENO))
            return err_set(err, "-: standard input is a terminal: pipe a capture into it");
    input->merge = merge_open(config->files.list, config->files.count, &options, err);
    return input->merge;
}

void input_close(struct input *input) {
    merge_close(input->merge);
}

/* HH:MM:SS is on the day of the first packet, so the window is only known with that. */
static void set_window(struct input *input, nstime first) {
    const struct config *config = input->config;
    input->from = config->from.set ? when_time(&config->from, first) : INT64_MIN;
    input->until = config->to.set ? when_time(&config->to, first) : INT64_MAX;
    input->window_known = true;
}

static bool is_outside(struct input *input, nstime time) {
    if (!input->window_known)
        set_window(input, time);
    return time < input->from || time > input->until;
}

static inline void count(struct tally *tally, const struct packet *packet) {
    tally->packets++;
    tally->bytes += packet->data.len;
    if (UNLIKELY(packet->time < tally->first && packet->time != TIME_NONE))
        tally->first = packet->time;
    if (LIKELY(packet->time > tally->last))
        tally->last = packet->time;
}

/* Reads at most `most` packets, at least one unless there are no more. */
static enum source_got run_some(struct input *input, struct engine *engine, uint64_t most,
                                struct err *err) {
    struct packet packet;
    enum source_got got = SOURCE_PACKET;
    for (; most > 0 && (got = merge_next(input->merge, &packet, err)) == SOURCE_PACKET; most--) {
        bool doubtful = packet.time < input->from || packet.time > input->until;
        if (UNLIKELY(doubtful) && is_outside(input, packet.time))
            continue;
        count(&input->tally, &packet);
        engine_packet(engine, &packet);
    }
    return got;
}

bool input_run(struct input *input, struct engine *engine, keep_on *ask, void *context,
               struct err *err) {
    struct progress progress = progress_start(!input->config->quiet);
    uint64_t left = input->config->count ? input->config->count : UINT64_MAX;
    enum source_got got = SOURCE_PACKET;
    while (got == SOURCE_PACKET && left > 0 && ask(context)) {
        uint64_t some = left < TICK ? left : TICK;
        got = run_some(input, engine, some, err);
        left -= some;
        progress_tick(&progress, input->merge);
    }
    progress_end(&progress);
    if (input->tally.first == INT64_MAX)
        input->tally.first = TIME_NONE;
    return got != SOURCE_FAILED;
}

struct run_facts input_facts(const struct input *input) {
    struct run_facts facts = {0};
    for (size_t i = 0; i < merge_count(input->merge); i++) {
        const struct source_info *info = merge_info(input->merge, i);
        facts.kernel_drops += info->kernel_drops;
        facts.truncated_packets += info->truncated_packets;
    }
    return facts;
}
