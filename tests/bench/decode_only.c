/* decode_only.c - what bench.py measures the analysis against: the packets are read and decoded,
 * all that `bustap analyze` wants to hear is told, and nobody listens. */
#include <stdio.h>

#include "analysis/detector.h"
#include "analysis/model.h"
#include "capture/merge.h"
#include "decode/decoder.h"

static void nothing(void *context, const struct event *event) {
    (void)context, (void)event;
}

static uint64_t wants_of_an_analysis(void) {
    uint64_t wants = model_wants;
    for (size_t i = 0; i < detector_count; i++)
        wants |= detectors[i]->wants;
    return wants;
}

static enum source_got decode(struct merge *merge, struct err *err) {
    struct siphash_key key = {1, 2};
    struct decoder *decoder = decoder_new(key, wants_of_an_analysis(), nothing, NULL);
    struct packet packet;
    enum source_got got;
    if (!decoder) {
        err_no_memory(err);
        return SOURCE_FAILED;
    }
    while ((got = merge_next(merge, &packet, err)) == SOURCE_PACKET)
        decoder_packet(decoder, &packet);
    decoder_finish(decoder);
    decoder_free(decoder);
    return got;
}

int main(int argc, char **argv) {
    struct err err = {"usage: decode_only FILE..."};
    struct source_options options = {0};
    const char *const *paths = (const char *const *)argv + 1;
    struct merge *merge = argc > 1 ? merge_open(paths, (size_t)argc - 1, &options, &err) : NULL;
    enum source_got got = merge ? decode(merge, &err) : SOURCE_FAILED;
    merge_close(merge);
    if (got != SOURCE_END)
        fprintf(stderr, "%s\n", err.text);
    return got == SOURCE_END ? 0 : 2;
}
