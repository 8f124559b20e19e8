/* plateau.h - what a link carries is not configured but learnt: from the plateau on which its
 * traffic stays while more always waits to be sent.
 *
 * A stretch is a time in which a migration goes on at about one pace: samples of the traffic out of
 * its source and into its target, taken several times a second. When the pace has changed at both
 * ends, for as long as it takes to be sure, another stretch begins: what a link carried before it
 * was limited, or full, says nothing of what it carries since. */
#ifndef BUSTAP_ANALYSIS_PLATEAU_H
#define BUSTAP_ANALYSIS_PLATEAU_H

#include "base/base.h"

enum load_end { LOAD_SOURCE, LOAD_TARGET, LOAD_ENDS };

/* What crossed in a part of a second in which the migration moved something. Bytes are TCP
 * payload, retransmissions included; all but `total` is of the migration's own connections. */
struct sample {
    nstime at, span;           /* its end; how long it is */
    uint64_t total[LOAD_ENDS]; /* out of the source's host; into the target's */
    uint64_t moved;            /* from the one to the other, for the migration */
    uint64_t retransmits, zero_windows;
    uint64_t acks; /* how often the time to an acknowledgement was measured, and its sum */
    nstime ack_sum;
    bool waits; /* some of it is not acknowledged yet */
};

/* Zero-initialised it is empty. */
struct stretch {
    struct sample *samples; /* a ring */
    uint32_t count, room, next;
    uint32_t paced; /* samples that its pace is the mean of, and the sums of their rates */
    double rates[LOAD_ENDS];
    uint32_t apart; /* the last so many samples are at another pace */
};

enum stretch_turn {
    STRETCH_GOES_ON,
    STRETCH_MAY_TURN, /* this sample is the first at another pace */
    STRETCH_TURNS     /* the samples since then are not its own but the next one's */
};

/* A sample that finds no memory is left out. */
enum stretch_turn stretch_add(struct stretch *stretch, const struct sample *sample);

/* Begins anew, with nothing or, after STRETCH_TURNS, with the samples that are not its own. */
void stretch_clear(struct stretch *stretch);
void stretch_turn(struct stretch *stretch);

void stretch_free(struct stretch *stretch);

struct plateau {
    nstime lasted;            /* in all */
    nstime from, to;          /* its first and last moment */
    uint64_t bytes_per_s;     /* of the migration, on it */
    uint64_t all_per_s;       /* of all, on it */
    uint64_t link_per_s;      /* its height: what the link carries */
    bool at_target;           /* into the target's host; else out of the source's */
    uint32_t forgotten;       /* samples before those that it was seen in, past CAP_LOAD_SAMPLES */
    unsigned waiting_percent; /* of the samples on it more waited to be acknowledged */
    nstime ack_mean;          /* from data to acknowledgement, on the migration's connections */
    uint64_t retransmits, zero_windows; /* likewise */
};

/* False: there is none that lasted. Samples that are not the stretch's own are left out. */
bool stretch_plateau(const struct stretch *stretch, struct plateau *ret_plateau);

/* Is the plateau that of a full link? `ack_least`: where nothing is in the way, 0: not known. */
bool plateau_is_full(const struct plateau *plateau, nstime ack_least);

#endif
