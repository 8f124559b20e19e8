/* input.c - the loop that everything hangs on: merge, window, engine. */
#include "cli/input.h"

#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/live.h"
#include "cli/progress.h"
#include "cli/say.h"

enum {
    TICK = 4096, /* packets between looks at the clock */
    TEXT_MAX = 8192,
    RING_MIB =
        32, /* of eBPF, all CPUs' together; of libpcap, each interface's, but not more than: */
    RINGS_MIB = 128,
};

/* ---- opening ---- */

static bool open_files(struct input *input, const struct source_options *options, struct err *err) {
    const struct words *files = &input->config->files;
    for (size_t i = 0; i < files->count; i++)
        if (!source_is_file(files->list[i])) /* for files no privilege is given up */
            return err_set(err, "%.200s: interfaces are named with -i; a file of that name is ./%s",
                           files->list[i], files->list[i]);
    if (input->config->filter && !(input->sieve = sieve_new(input->config->filter, err)))
        return false;
    input->merge = merge_open(files->list, files->count, options, err);
    return input->merge;
}

static bool open_by(struct input *input, const char *backend, const struct source_options *options,
                    struct err *err) {
    buf_free(&input->path);
    input->path.max = TEXT_MAX;
    buf_text(&input->path, backend);
    buf_text(&input->path, buf_str(&input->live.interfaces));
    if (input->path.failed)
        return err_no_memory(err);
    const char *path = buf_str(&input->path);
    input->merge = merge_open(&path, 1, options, err);
    return input->merge;
}

/* Of each interface's ring, unless it was said. It is memory that the servers cannot have, so that
 * many interfaces share what four would get. */
static int preset_ring_mib(const struct buf *interfaces) {
    int count = 1;
    for (const char *at = buf_str(interfaces); *at; at++)
        count += *at == ',';
    return count > RINGS_MIB / RING_MIB ? RINGS_MIB / count : RING_MIB;
}

/* What eBPF cannot do here, libpcap perhaps can. */
static bool open_interfaces(struct input *input, struct source_options *options, struct err *err) {
    const struct config *config = input->config;
    if (!live_choose(config, &input->live, err))
        return false;
    options->filter = config->filter;
    options->ports = input->live.ports;
    options->snaplen = (int)config->snaplen;
    options->ring_mib = config->ring ? (int)config->ring : RING_MIB;
    if (config->backend == BACKEND_EBPF) {
        if (open_by(input, "ebpf:", options, err))
            return true;
        (void)say("%s; trying libpcap", err->text);
    }
    if (!config->ring)
        options->ring_mib = preset_ring_mib(&input->live.interfaces);
    return open_by(input, "live:", options, err);
}

bool input_open(struct input *input, const struct config *config, bool sha256, struct err *err) {
    struct source_options options = {.sha256 = sha256,
                                     .stop = interrupted,
                                     .stopped_at = interrupted_at,
                                     .now = clock_wall,
                                     .steady = clock_steady};
    *input = (struct input){.config = config,
                            .tally = {.first = INT64_MAX,
                                      .last = TIME_NONE,
                                      .outside_first = INT64_MAX,
                                      .outside_last = TIME_NONE}};
    input->from = INT64_MAX; /* until the window is known every packet is doubtful */
    if (config->files.count)
        return open_files(input, &options, err);
    return open_interfaces(input, &options, err);
}

void input_close(struct input *input) {
    merge_close(input->merge);
    sieve_free(input->sieve);
    live_free(&input->live);
    buf_free(&input->path);
}

/* ---- reading ---- */

/* HH:MM:SS is on the day of the first packet, so the window is only known with that. */
static void set_window(struct input *input, nstime first) {
    const struct config *config = input->config;
    input->from = config->from.set ? when_time(&config->from, first) : INT64_MIN;
    input->until = config->to.set ? when_time(&config->to, first) : INT64_MAX;
    input->window_known = true;
}

/* Packets without a time, before all that have one, are of no day. */
static bool is_outside(struct input *input, nstime time) {
    struct tally *tally = &input->tally;
    if (time == TIME_NONE)
        return input->config->from.set;
    if (!input->window_known)
        set_window(input, time);
    if (time >= input->from && time <= input->until)
        return false;
    tally->outside++;
    if (time < tally->outside_first)
        tally->outside_first = time;
    if (time > tally->outside_last)
        tally->outside_last = time;
    return true;
}

static inline void count(struct tally *tally, const struct packet *packet) {
    tally->packets += !packet->more;
    tally->bytes += packet->data.len;
    if (UNLIKELY(packet->time < tally->first && packet->time != TIME_NONE))
        tally->first = packet->time;
    if (LIKELY(packet->time > tally->last))
        tally->last = packet->time;
}

static inline enum source_got next(struct input *input, struct packet *ret_packet, bool *ret_passes,
                                   struct err *err) {
    enum source_got got = merge_next(input->merge, ret_packet, err);
    *ret_passes = true;
    if (UNLIKELY(input->sieve) && got == SOURCE_PACKET &&
        !sieve_look(input->sieve, ret_packet, ret_passes, err))
        return SOURCE_FAILED;
    return got;
}

/* Reads some packets, at least one unless there are none; takes those that pass off *left. */
static enum source_got run_some(struct input *input, struct engine *engine, uint64_t *left,
                                struct err *err) {
    struct packet packet;
    bool passes;
    for (int i = 0; i < TICK && *left; i++) {
        enum source_got got = next(input, &packet, &passes, err);
        if (UNLIKELY(got != SOURCE_PACKET))
            return got;
        if (UNLIKELY(!passes)) {
            input->tally.filtered += !packet.more;
            continue;
        }
        *left -= !packet.more;
        bool doubtful = packet.time < input->from || packet.time > input->until;
        if (UNLIKELY(doubtful) && is_outside(input, packet.time))
            continue;
        count(&input->tally, &packet);
        engine_packet(engine, &packet);
    }
    return SOURCE_PACKET;
}

bool input_run(struct input *input, struct engine *engine, bool show_progress, keep_on *ask,
               void *context, struct err *err) {
    struct progress progress = progress_start(show_progress);
    uint64_t left = input->config->count ? input->config->count : UINT64_MAX;
    enum source_got got = SOURCE_PACKET;
    while (got <= SOURCE_IDLE && left > 0 && ask(context)) {
        got = run_some(input, engine, &left, err);
        progress_tick(&progress, input->merge);
    }
    progress_end(&progress);
    if (input->tally.first == INT64_MAX)
        input->tally.first = input->tally.last; /* none, or the last time there is */
    return got != SOURCE_FAILED;
}

struct run_facts input_facts(const struct input *input) {
    struct run_facts facts = {0};
    for (size_t i = 0; i < merge_count(input->merge); i++) {
        const struct source_info *info = merge_info(input->merge, i);
        facts.packets += info->packets;
        facts.kernel_drops += info->kernel_drops;
        facts.truncated_packets += info->truncated_packets;
    }
    return facts;
}
