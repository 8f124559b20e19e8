/* flow_table.h - the connections being followed, at most CAP_FLOWS.
 *
 * When the table is full the longest idle connection goes: one that is half-open or closed, if
 * there is any, else one that is not decoded, else a decoded one. A flood of SYNs so displaces
 * nothing but itself. */
#ifndef BUSTAP_DECODE_FLOW_TABLE_H
#define BUSTAP_DECODE_FLOW_TABLE_H

#include "base/siphash.h"
#include "decode/flow.h"

enum flow_rank { FLOW_IDLE, FLOW_PLAIN, FLOW_DECODED, FLOW_RANKS }; /* idle: half-open, closed */

struct flow_table;

typedef void flow_fn(void *context, struct flow *flow);

/* The pool is that of what the flows' streams hold. `ended` is called for each flow that leaves,
 * before it is freed. NULL: out of memory. */
struct flow_table *flow_table_new(struct siphash_key key, struct pool *pool, flow_fn *ended,
                                  void *context);

/* Ends every flow. */
void flow_table_free(struct flow_table *table);

/* The flow between two ends, *ret_direction is 0 if `src` is its ends[0]. NULL: none. */
struct flow *flow_find(struct flow_table *table, const struct endpoint *src,
                       const struct endpoint *dst, unsigned *ret_direction);

/* The next packet is probably one of the flow between two ends, whose endpoints_mix is `mix`: has
 * flow_find look there first. A hint. The flow, if there are so many that it cannot be in the
 * cache: its memory is being fetched, and what it points to should be; else NULL. */
struct flow *flow_expect(struct flow_table *table, uint32_t mix);

/* A new flow; there must be none between these ends. The first sender is ends[0] or ends[1] as the
 * table likes, told by *ret_direction. NULL: out of memory. */
struct flow *flow_add(struct flow_table *table, const struct endpoint *src,
                      const struct endpoint *dst, unsigned *ret_direction);

/* Moves the flow to the young end of its rank's list. */
void flow_touch(struct flow_table *table, struct flow *flow, enum flow_rank rank);

void flow_remove(struct flow_table *table, struct flow *flow);

/* In order of creation. */
void flow_each(struct flow_table *table, flow_fn *visit, void *context);

/* Live flows forgotten because the table was full (idle ones not counted). */
uint64_t flow_evicted(const struct flow_table *table);

#endif
