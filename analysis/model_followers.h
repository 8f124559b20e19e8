/* model_followers.h - each replica of each primary: how far it is behind, in bytes and in time, and
 * how often it had to copy everything.
 *
 * Three primaries tell of offsets: the stream itself (what the primary has sent), REPLCONF ACK
 * (what the replica has carried out), and the headers of the bus (both, by their own word). How far
 * a replica is behind is measured when it speaks: at its ACKs, or, where no ACK is seen, at its
 * headers; a silent one is not behind but silent, which others tell of. */
#ifndef BUSTAP_ANALYSIS_MODEL_FOLLOWERS_H
#define BUSTAP_ANALYSIS_MODEL_FOLLOWERS_H

#include "analysis/model_clients.h"
#include "analysis/offset_history.h"
#include "analysis/place.h"
#include "analysis/resync_cause.h"

/* How far behind, at one moment. */
struct lag {
    nstime time;     /* TIME_NONE: not measured */
    uint64_t offset; /* of the primary */
    uint64_t bytes;
    nstime behind;    /* so long ago the primary's stream went on from where the replica is */
    bool by_header;   /* of the bus, else by ACK */
    bool linked;      /* a link was open, as far as seen */
    bool mute;        /* by_header: most of the time the replica said nothing on the bus either */
    bool catching_up; /* with what was written while it copied all, or had no link */
    /* Where the bytes were; each NOT_KNOWN, or: */
    uint64_t waiting;                   /* at the primary, not sent yet */
    uint64_t in_flight;                 /* sent, not acknowledged by TCP */
    uint64_t unread;                    /* received, not carried out */
    uint32_t retransmits, zero_windows; /* of the link so far: the primary's, the replica's */
    struct place place;
};

/* One copy of everything. */
struct resync {
    nstime asked, began; /* the replica asked; the primary agreed */
    nstime copied;       /* the payload's last byte; TIME_NONE: not (yet) */
    nstime online;       /* the replica acknowledged for the first time; likewise */
    uint64_t bytes;      /* of the payload, once it is copied */
    uint64_t offset;     /* of the primary's stream, where the copy begins; NOT_KNOWN */
    struct resync_cause cause;
    struct place place;
};

enum { RESYNCS_KEPT = 32 /* of one replica; the last ones */ };

/* A primary that replicas follow, by the address at which it answers. */
struct followed {
    struct endpoint addr;
    uint64_t offset; /* the greatest that anything told; NOT_KNOWN */
    nstime offset_at;
    uint64_t header;                  /* as its last header has it; NOT_KNOWN */
    char replid[WORD_LENGTH_MAX + 1]; /* empty: not seen */
    struct offset_history history;
};

struct follower {
    const struct followed *primary;
    struct endpoint replica;  /* where it listens; port 0: not known */
    uint32_t number;          /* by appearance */
    struct replication *link; /* its last one; NULL: none was seen, or it is forgotten */
    bool open;                /* that is open still, as far as seen */
    uint64_t acked, header;   /* by its last ACK; by its last header; NOT_KNOWN */
    nstime acked_at;          /* TIME_NONE: never */
    nstime knocked;           /* it last tried in vain to connect to its primary; 0: never */
    bool comparable;          /* its headers' offsets are of this primary's stream */
    bool fell;                /* they said less than before */
    struct pause mute;        /* the last time in which it said nothing on the bus */
    bool caught_up;           /* on this link, once */
    struct lag lag, worst;    /* the last; that with the longest time, once caught up */
    uint64_t most_bytes;      /* likewise */

    uint32_t links, unsettled, unsettled_in_row; /* unsettled: ended before SETTLED_AFTER */
    struct link_past past;                       /* the link before */
    uint64_t full_resyncs, partial_resyncs, refused, rdb_bytes, stream_bytes;
    struct resync *resyncs; /* a ring of RESYNCS_KEPT; NULL: none */
};

/* What holds for so long has settled. */
static const nstime SETTLED_AFTER = 10 * NS_PER_SEC;

size_t model_follower_count(const struct model *model);
const struct follower *model_follower(const struct model *model, size_t index); /* by appearance */

/* The follower of the event's connection; NULL: there is none (yet). */
const struct follower *model_follower_of(const struct event *event);

/* Its node and its primary's; NODE_NONE: not known. */
uint32_t model_follower_node(const struct model *model, const struct follower *follower);
uint32_t model_followed_node(const struct model *model, const struct follower *follower);

/* "up", "syncing" or "down", or "former": the replica follows another one now, or none. NULL: no
 * link was seen. */
const char *model_follower_link(const struct model *model, const struct follower *follower);

/* The resync with this number, from 0 on; NULL: it is not kept any more. */
static inline const struct resync *follower_resync(const struct follower *follower,
                                                   uint64_t number) {
    bool kept = follower->resyncs && number < follower->full_resyncs &&
                follower->full_resyncs - number <= RESYNCS_KEPT;
    return kept ? &follower->resyncs[number % RESYNCS_KEPT] : NULL;
}

#endif
