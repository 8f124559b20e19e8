/* losses_takeover.h - the part of lost-writes that a takeover has cost: slots went to a node that
 * had not got all that their primary had acknowledged. */
#ifndef BUSTAP_ANALYSIS_LOSSES_TAKEOVER_H
#define BUSTAP_ANALYSIS_LOSSES_TAKEOVER_H

#include "analysis/detector.h"
#include "analysis/model_writes.h"

/* A takeover of slots, until it is known what becomes of the node that had them. */
struct takeover {
    uint32_t loser, winner; /* indexes */
    bool settled;           /* what became of the loser's writes is known */
    struct place claim;
    uint64_t epoch;
    uint64_t offset; /* in the winner's first header as a primary; NOT_KNOWN: it was one before */
    uint8_t slots[BUS_SLOT_BYTES];
    bool prompt;  /* its election was seen: that header was its first one as a primary */
    nstime until; /* the loser gave in, or is right again; TIME_NONE: not so far */
    bool asked;   /* the loser wants to follow the winner */
    struct place psync;
    uint64_t psync_offset; /* the next byte that it wants; NOT_KNOWN: none of its own stream */
    uint64_t copy_offset;  /* where the stream began of which the winner last gave it a copy */
    bool emptied;          /* that was empty, and has been told */
};

/* What is known of its winner, for write_fate of the loser's writes. */
struct winner losses_takeover_winner(const struct takeover *takeover, const struct write_log *log);

/* What is lost for certain, so far as is known by now; nothing is told if that is nothing. */
void losses_takeover_tell(const struct detection *detection, const struct takeover *takeover);

#endif
