/* top.h - the numbers people ask for, over all servers, the greatest first: what the reports show
 * of analysis/model_numbers.h and of the servers' own counts. */
#ifndef BUSTAP_REPORT_TOP_H
#define BUSTAP_REPORT_TOP_H

#include "analysis/model_numbers.h"

enum { TOP_SHOWN = 10 };

struct top_command {
    const char *name; /* NULL: those that we do not know */
    uint64_t requests, errors, bytes;
    struct histogram latency;
};

struct top_error {
    const char *word;
    uint64_t count;
    uint32_t servers;             /* that answered it */
    const struct server *busiest; /* of them */
    uint64_t busiest_count;
};

/* A client with a row of its own is counted exactly; of another one `error` requests may be those
 * of others. */
struct top_client {
    struct endpoint addr; /* without port */
    uint64_t requests, error;
};

struct top_slot {
    uint32_t slot;
    const struct slot_load *load;
};

/* Each fills in at most TOP_SHOWN and returns how many. */
size_t top_commands(const struct model *model, struct top_command ret_top[TOP_SHOWN]);
size_t top_errors(const struct model *model, struct top_error ret_top[TOP_SHOWN]);
size_t top_clients(const struct model *model, struct top_client ret_top[TOP_SHOWN]);
size_t top_slots_by_requests(const struct model *model, struct top_slot ret_top[TOP_SHOWN]);
size_t top_slots_by_bytes(const struct model *model, struct top_slot ret_top[TOP_SHOWN]);

/* Only those of which most is certain: count - error is the greater part of the count. */
size_t top_keys(const struct model *model, const struct topk_entry *ret_top[TOP_SHOWN]);

/* Of all slots together. */
struct slot_load top_slots_sum(const struct model *model);

#endif
