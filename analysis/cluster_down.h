/* cluster_down.h - who said that the cluster is down, from when to when: kept by
 * detect_cluster_down.c while it happens, and made a finding by cluster_down_finding.c. */
#ifndef BUSTAP_ANALYSIS_CLUSTER_DOWN_H
#define BUSTAP_ANALYSIS_CLUSTER_DOWN_H

#include "analysis/detector.h"

enum { OUTAGE_CLIENTS = 16 };

/* Nodes that are well again within this time of each other were so together. */
static const nstime OUTAGE_LAG = 1 * NS_PER_SEC;

struct witness {
    bool well;         /* it has said that the cluster is ok, in this life */
    bool joined;       /* it never has, and ran before the capture */
    nstime changed;    /* when it last changed its mind; what is told later of before is no news */
    bool starting;     /* its port refused connections: a new life has begun, or will */
    bool down;         /* it says that the cluster is down, and was well before */
    bool told;         /* it is one of those who said or answered so in this outage */
    bool answered;     /* its first sign in this outage was an answer */
    bool cut_off;      /* it missed most of the primaries then, or a moment before */
    nstime missed;     /* when it did last, while it said so; 0: never */
    bool in_touch;     /* it had just heard from most of them when it began, */
    bool reached;      /* and did again after that */
    struct place said; /* that sign */
    nstime until;      /* when it took it back, or answered so last */
    bool on;           /* it has not taken it back, */
    nstime since;      /* since this first sign; */
    nstime until_then; /* when it had, before */
    nstime longest;    /* of those before, in this outage */
    bool vague;        /* it was silent for long before it took it back: it may have sooner */
};

struct outage {
    bool on;
    bool joined;          /* it was so when the capture began */
    nstime start, last;   /* last: of a sign of it */
    nstime taken_back;    /* by the last of those who said so; TIME_NONE: not so, or not by all */
    nstime most_since;    /* more than half of the nodes say so; TIME_NONE: not now */
    nstime most_for;      /* before that */
    uint32_t peak, heard; /* the most who said so at once; nodes that could be heard then */
    uint32_t unheard;     /* the others then, of which nothing was heard so far in the capture */
    bool others_well;     /* one of those is a primary, and its first words were that all is well */
    uint64_t replies, replies_of_starting;
    struct place first_reply;
    struct endpoint clients[OUTAGE_CLIENTS];
    size_t client_count;
    uint32_t failed; /* a primary that was held for failed then; NODE_NONE: none */
    bool bereft;     /* a node said so that was not held for failed itself, after that */
};

struct downs {
    struct witness *witnesses; /* by node */
    size_t room;
    struct outage outage;
};

/* It was so when the capture began, and those of whom nothing was heard are no fewer than those who
 * said so: it may be that the others went on. */
static inline bool outage_may_be_of_a_side(const struct outage *outage) {
    return outage->joined && outage->peak * 2 <= outage->heard + outage->unheard;
}

/* The outage has ended; `end` TIME_NONE: it goes on. */
void cluster_down_tell(const struct detection *detection, struct downs *downs, nstime end);

#endif
