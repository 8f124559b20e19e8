/* model_numbers.h - what is most: slots, keys, replies, and clients that found no row of their own.
 *
 * Slots and keys are those of the requests that were looked at (decode/sampling.h), scaled up; keys
 * and clients are those of a sketch (base/topk.h), each with its bounds. The biggest replies are
 * exact. */
#ifndef BUSTAP_ANALYSIS_MODEL_NUMBERS_H
#define BUSTAP_ANALYSIS_MODEL_NUMBERS_H

#include "analysis/model_clients.h"
#include "base/topk.h"
#include "decode/key_slot.h"
#include "decode/sampling.h"

/* Answered requests to a slot, without errors, by how they were looked at. */
struct slot_load {
    uint32_t every;  /* when every one was */
    uint32_t chosen; /* by chance */
    uint64_t bytes;  /* of requests and replies, scaled up */
};

static inline uint64_t slot_requests(const struct slot_load *load) {
    return load->every + (uint64_t)load->chosen * SAMPLING_EVERY;
}

/* Chance makes that number wrong by no more than this, 19 times of 20: twice the root of the
 * variance, SAMPLING_EVERY squared for each that was chosen. */
uint64_t slot_requests_error(const struct slot_load *load);

enum { BIG_REPLIES = 16, BIG_REPLY = 65536 /* bytes; a smaller one is none */ };

struct big_reply {
    uint64_t bytes, latency_us; /* NOT_KNOWN: the latency */
    const struct command *command;
    struct endpoint server, client;
    struct stamp at; /* where it was complete */
};

struct model_numbers {
    struct slot_load *slots; /* KEY_SLOTS; NULL: nothing was looked at */
    struct topk keys, clients;
    struct big_reply big[BIG_REPLIES]; /* the biggest first; of two the earlier one */
    uint32_t big_count;
    uint64_t big_least; /* a reply must have more bytes than this to be among them */
};

const struct model_numbers *model_numbers(const struct model *model);

#endif
