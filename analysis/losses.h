/* losses.h - a list of writes that are lost, for a finding: counted, measured, named. */
#ifndef BUSTAP_ANALYSIS_LOSSES_H
#define BUSTAP_ANALYSIS_LOSSES_H

#include "analysis/finding.h"
#include "analysis/model_writes.h"

/* Zero-initialised with a log it is empty. */
struct losses {
    const struct write_log *log;
    uint64_t *numbers;
    uint32_t count, room;
    uint64_t bytes;           /* of the requests, as they would stand in the stream */
    uint64_t open;            /* of which nobody can tell; to be set by the caller */
    struct place first, last; /* where they were acknowledged */
    bool failed;              /* out of memory */
};

/* Has another node than the server the key's slot by now? Then the key is there, and not lost.
 * `owners`: see model_slot_owners. */
bool losses_is_elsewhere(const struct model *model, const uint32_t owners[BUS_SLOTS],
                         struct bytes key, const struct endpoint *server);

/* The write of that number in the log is lost. Without memory it is left out, and `failed` set. */
void losses_add(struct losses *losses, uint64_t number);
void losses_free(struct losses *losses);

/* Puts count, bytes_of_writes, slots, clients, first, last, undecided and the list into the
 * metrics, and slots and clients among the subjects. */
void losses_measure(const struct losses *losses, struct finding *finding,
                    const struct endpoint *server);

#endif
