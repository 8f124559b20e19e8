/* model_numbers.c - the numbers people ask for that no other part of the model needs. */
#include "analysis/model_numbers.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* ---- slots and keys ---- */

void model_sampled(struct model *model, const struct event *event) {
    const struct ev_sampled *sampled = &event->sampled;
    topk_add(&model->numbers.keys, sampled->key, sampled->weight);
    model_reread_asked(model, event);
}

void model_slot_answered(struct model *model, const struct event *event) {
    struct model_numbers *numbers = &model->numbers;
    const struct ev_reply *reply = &event->reply;
    if (!numbers->slots)
        numbers->slots = calloc(KEY_SLOTS, sizeof *numbers->slots);
    if (!numbers->slots || reply->error.len > 0)
        return;
    struct slot_load *load = &numbers->slots[sample_slot(reply->sample)];
    uint32_t weight = sample_weight(reply->sample);
    if (weight == 1)
        load->every++;
    else
        load->chosen++;
    load->bytes += (reply->request_bytes + reply->bytes) * weight;
}

static uint64_t root(uint64_t square) {
    uint64_t low = 0, high = UINT64_C(1) << 32;
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        if (middle * middle <= square)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint64_t slot_requests_error(const struct slot_load *load) {
    return root(4 * (uint64_t)load->chosen * SAMPLING_EVERY * SAMPLING_EVERY);
}

/* ---- clients ---- */

void model_stranger(struct model *model, const struct endpoint *addr) {
    topk_add(&model->numbers.clients, bytes_of(addr->ip, sizeof addr->ip), 1);
}

/* ---- big replies ---- */

/* The list stays sorted; the last one falls out when it is full. */
void model_big_reply(struct model *model, const struct event *event) {
    struct model_numbers *numbers = &model->numbers;
    const struct ev_reply *reply = &event->reply;
    uint32_t at = numbers->big_count < BIG_REPLIES ? numbers->big_count++ : BIG_REPLIES - 1;
    for (; at > 0 && numbers->big[at - 1].bytes < reply->bytes; at--)
        numbers->big[at] = numbers->big[at - 1];
    numbers->big[at] = (struct big_reply){.bytes = reply->bytes,
                                          .latency_us = reply->latency_us,
                                          .command = reply->command,
                                          .server = event->flow->ends[event->direction],
                                          .client = event->flow->ends[!event->direction],
                                          .at = stamp_of(event)};
    if (numbers->big_count == BIG_REPLIES)
        numbers->big_least = numbers->big[BIG_REPLIES - 1].bytes;
}

/* ---- life ---- */

const struct model_numbers *model_numbers(const struct model *model) {
    return &model->numbers;
}

void model_numbers_init(struct model *model) {
    struct model_numbers *numbers = &model->numbers;
    numbers->keys = (struct topk){.size = CAP_HOT_KEYS, .key = model->key};
    numbers->clients = (struct topk){.size = CAP_FURTHER_CLIENTS, .key = model->key};
    numbers->big_least = BIG_REPLY - 1;
}

void model_numbers_free(struct model_numbers *numbers) {
    free(numbers->slots);
    topk_free(&numbers->keys);
    topk_free(&numbers->clients);
}
