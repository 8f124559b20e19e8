/* decoder.h - packets in, events out. No I/O, no clock, no globals: the same packets give the same
 * events, whatever the hash key. */
#ifndef BUSTAP_DECODE_DECODER_H
#define BUSTAP_DECODE_DECODER_H

#include "base/siphash.h"
#include "capture/packet.h"
#include "decode/event.h"
#include "decode/flow.h"

struct decoder;

/* `emit` gets the events, SHOWN and QUIET, during decoder_packet and decoder_finish: all those in
 * `wants` (EVENT_BITs), and perhaps others. The key is secret and random, against packets made to
 * collide in the tables. NULL: out of memory. */
struct decoder *decoder_new(struct siphash_key key, uint64_t wants, event_fn *emit, void *context);
void decoder_free(struct decoder *decoder); /* NULL is fine */

void decoder_packet(struct decoder *decoder, const struct packet *packet);

/* Each connection that is followed, in order of creation. */
void decoder_each_flow(struct decoder *decoder, void (*visit)(void *context, struct flow *flow),
                       void *context);

/* The capture is over: holes are given up, and each flow ends (EV_flow_end). */
void decoder_finish(struct decoder *decoder);

struct decoder_stats {
    uint64_t segments;      /* TCP */
    uint64_t other_packets; /* not TCP */
    uint64_t stray_packets; /* TCP that belongs to no connection worth following */
    uint64_t flows, flows_evicted;
};
struct decoder_stats decoder_stats(const struct decoder *decoder);

#endif
