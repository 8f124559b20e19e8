/* pulse.c - counters now, and what they were a second ago. */
#include "cli/pulse.h"

#include "cli/clock.h"

static void count(struct pulse *pulse, const struct merge *merge, const struct engine *engine) {
    for (size_t i = 0; i < merge_count(merge); i++) {
        const struct source_info *info = merge_info(merge, i);
        pulse->packets += info->packets;
        pulse->bytes += info->bytes;
        pulse->kernel_drops += info->kernel_drops;
        pulse->cut += info->truncated_packets;
    }
    pulse->gaps = model_books(engine_model(engine))->gaps;
    pulse->vitals = vitals_of(engine_model(engine));
}

static void compare(struct pulse *pulse, const struct pulse *before) {
    double seconds = (double)(pulse->at - before->at) / (double)NS_PER_SEC;
    uint64_t pongs = pulse->vitals.pongs - before->vitals.pongs;
    pulse->packets_per_s = (double)(pulse->packets - before->packets) / seconds;
    pulse->bytes_per_s = (double)(pulse->bytes - before->bytes) / seconds;
    pulse->redirects_per_s = (double)(pulse->vitals.redirects - before->vitals.redirects) / seconds;
    pulse->bus_rtt = before->bus_rtt;
    if (pongs > 0)
        pulse->bus_rtt = (pulse->vitals.rtt - before->vitals.rtt) / (nstime)pongs;
}

bool pulse_take(struct pulse *pulse, const struct merge *merge, const struct engine *engine) {
    struct pulse before = *pulse;
    nstime now = clock_steady();
    if (before.at != 0 && now - before.at < NS_PER_SEC)
        return false;
    *pulse = (struct pulse){.at = now};
    count(pulse, merge, engine);
    if (before.at != 0)
        compare(pulse, &before);
    return true;
}
