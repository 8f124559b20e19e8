/* resync_cause.h - why a replica has to copy all of its primary's data once more: how its link had
 * ended before, and why the primary could not go on where that was. When it can: Redis
 * src/replication.c, masterTryPartialResynchronization(). */
#ifndef BUSTAP_ANALYSIS_RESYNC_CAUSE_H
#define BUSTAP_ANALYSIS_RESYNC_CAUSE_H

#include "base/base.h"

/* How a link ended. */
enum link_end {
    LINK_NONE,          /* there was none before, in this capture */
    LINK_OUTPUT_BUFFER, /* the primary closed it, with more and more waiting to be sent on it */
    LINK_TIMEOUT,       /* an end closed it that had heard nothing of the other one for long */
    LINK_KILLED,        /* the primary closed it: somebody had told it to (CLIENT KILL) */
    LINK_CLOSED_BY_PRIMARY,
    LINK_CLOSED_BY_REPLICA,
    LINK_LEFT, /* nobody closed it: the replica came on a new connection */
    LINK_ENDS
};

/* Why it could not be taken up again. */
enum resync_need {
    NEED_UNKNOWN,
    NEED_NOTHING_THERE, /* the replica knows no offset */
    NEED_BACKLOG,       /* the primary has forgotten what the replica missed */
    NEED_HISTORY,       /* its data are of another history than the replica's */
};

/* Had the primary been told to cut its clients off, when it closed? */
enum link_cut {
    CUT_NOT,     /* not as far as is seen */
    CUT_PERHAPS, /* some client: the link's, or another one */
    CUT_NAMED    /* this one */
};

/* What happened on a link; unknown numbers are NOT_KNOWN, unknown times TIME_NONE. */
struct link_past {
    bool any;              /* there was one */
    bool streaming;        /* the payload is over, or there was none */
    nstime began;          /* the primary agreed to the resync */
    uint64_t begin_offset; /* of the stream then */
    nstime online;         /* the replica first acknowledged something of the stream */
    nstime heard_primary;  /* it last sent a command */
    nstime heard_replica;  /* it last acknowledged */
    nstime ended;          /* an end closed it */
    bool by_primary;       /* that one */
    bool reset;            /* by RST */
    enum link_cut cut;     /* by_primary */
    uint64_t unacked;      /* bytes that the primary's TCP had sent and nobody acknowledged, then */
    uint64_t sent;         /* offset up to which the primary had sent the stream then */
    uint64_t produced;     /* offset of the primary's own stream then */
};

/* What the replica asks for and gets. */
struct resync_ask {
    nstime asked, began;   /* the primary agreed */
    uint64_t asked_offset; /* the next byte that it wants; NOT_KNOWN: none */
    uint64_t offset;       /* at which the copy begins */
    bool same_history;     /* it names the primary's own history */
};

struct resync_cause {
    enum link_end end;
    enum resync_need need;
    bool reset;            /* so the link before ended */
    bool transferring;     /* it ended within the payload */
    nstime silence;        /* the end that closed had heard nothing for so long; TIME_NONE */
    nstime lasted;         /* the link before was online for so long; 0: never */
    uint64_t held;         /* bytes that waited at the primary when it ended; NOT_KNOWN */
    uint64_t unacked;      /* of the link before; NOT_KNOWN */
    uint64_t missed;       /* bytes that a backlog would have had to keep; NOT_KNOWN */
    uint64_t growth_per_s; /* of the primary's stream since the link before began; NOT_KNOWN */
};

struct link_past link_past_none(void);

struct resync_cause resync_cause_of(const struct link_past *past, const struct resync_ask *ask);

/* In one word: what to do something about. */
enum resync_word {
    RESYNC_FIRST, /* none before: no loop */
    RESYNC_OUTPUT_BUFFER,
    RESYNC_TIMEOUT,
    RESYNC_BACKLOG,
    RESYNC_HISTORY,
    RESYNC_TRANSFER, /* the copy itself broke off */
    RESYNC_RESTART,  /* the replica lost what it had */
    RESYNC_UNKNOWN,
    RESYNC_WORDS
};

enum resync_word resync_word_of(const struct resync_cause *cause);
const char *resync_word_name(enum resync_word word);
const char *link_end_name(enum link_end end);

#endif
