/* model_migrations.h - slots and keys that move from one primary to another, as the servers' client
 * ports show it: who moves what to whom, how many keys and bytes, for how long each MIGRATE held
 * its source up, what went wrong, and which keys may since be on both.
 *
 *   classic  SETSLOT opens a slot on both sides, MIGRATE has the source send RESTORE-ASKING for
 *            each key to the target, SETSLOT NODE closes it. None of it is seen on the bus.
 *   atomic   one connection carries whole slots as commands without replies (CLUSTER SYNCSLOTS);
 *            the target claims them at the end. Valkey's source sends, Redis' target asks.
 *
 * A migration is what goes from one source to one target without a long pause. Times are packets'.
 *
 * Source: Redis and Valkey src/cluster.c (MIGRATE), Redis 8.4 src/cluster_asm.c, Valkey 9
 * src/cluster_migrateslots.c. */
#ifndef BUSTAP_ANALYSIS_MODEL_MIGRATIONS_H
#define BUSTAP_ANALYSIS_MODEL_MIGRATIONS_H

#include "analysis/model.h"
#include "base/by_word.h"

struct load;

/* What an atomic migration has come to. */
enum handover {
    HANDOVER_NONE,
    HANDOVER_COPIED,
    HANDOVER_PAUSED,
    HANDOVER_GRANTED,
    HANDOVER_BROKEN
};

struct cargo {
    uint64_t keys, bytes;
};

struct migration {
    bool atomic;
    struct endpoint source, target; /* their client ports; a port of 0: only the host is known */
    uint32_t open, calling; /* its slots that are open now; MIGRATE without a reply so far */
    struct pause idle;      /* the longest in which slots were open and nothing of it moved */
    bool opened;            /* SETSLOT, or the request that moves slots at once, was seen */
    uint32_t closed_back;   /* slots that were closed, and left to the source */
    uint32_t slots_torn; /* that the target got although the source had keys of them, and said so */
    uint8_t slots[BUS_SLOT_BYTES]; /* that were opened, or of keys that moved */
    uint8_t given[BUS_SLOT_BYTES]; /* of these: now the target's */
    uint64_t keys, bytes;          /* that the target took and the source gave up; of requests */
    uint64_t restores;             /* requests that carried a key, whatever became of them */
    uint64_t writes;               /* atomic: commands that clients made meanwhile */
    uint64_t calls, calls_failed;  /* MIGRATE */
    uint64_t calls_unreached;      /* of these: the source had no connection to the target */
    uint64_t keys_called;          /* of those that succeeded */
    struct spread blocked;         /* MIGRATE, from request to reply */
    struct by_word errors;         /* of MIGRATE; where the target refused keys, each of these */
    struct by_word refusals; /* by the target, of keys; only of those requests that were seen */
    bool refused_first;      /* the target refused AUTH or SELECT, and took the keys all the same */
    enum handover handover;
    nstime paused, resumed; /* atomic: the source held writes back; 0: not seen */
    uint32_t job, jobs;     /* atomic: a hash of its name; how many there were */
    struct cargo thrown; /* atomic: what came with jobs that broke off; it is not counted above */
    bool asked_by_known;
    struct endpoint asked_by;    /* whose requests move it */
    nstime first, last;          /* of what was seen of it */
    nstime moved;                /* the last time that a key or a slot of it moved */
    struct place place;          /* the first sign of it */
    struct place failed, handed; /* the first error; the first slot that changed hands */
    uint64_t keys_unseen; /* of MIGRATE that failed and reached the target, of whose requests for
                             the keys none was seen */
    uint64_t uncounted;   /* requests of it past a cap: whether they succeeded is not known */
    struct load *load;    /* model_load.h; NULL: not watched */
};

static inline nstime pause_length(const struct pause *pause) {
    return pause->to - pause->from;
}

size_t model_migration_count(const struct model *model);
const struct migration *model_migration(const struct model *model, size_t index); /* by start */

/* Does the node at the target's address claim all its slots by now, or was it given them? */
bool model_migration_is_complete(const struct model *model, const struct migration *migration);

/* A key that a MIGRATE that failed may have left on both sides. */
struct doubtful {
    uint16_t slot;
    uint64_t bytes;   /* of the request that carried it */
    bool both;        /* it was on both: the target has said so, or has had the whole request */
    bool gone;        /* it was, and is no more: it could be restored again without REPLACE */
    struct bytes key; /* empty: too long to be kept */
};

/* Calls `visit` for each such key of a migration, once for each. */
void model_migration_doubtful(const struct model *model, const struct migration *migration,
                              void (*visit)(void *context, const struct doubtful *doubtful),
                              void *context);

/* A slot that is, or was, open: its source sends clients on by ASK. */
struct open_slot {
    uint16_t slot;
    struct endpoint source, target; /* a port of 0: not known */
    nstime since, closed;           /* closed TIME_NONE: it is open still */
    struct pause idle;              /* the longest time in which no key of its migration moved */
    uint64_t asks;                  /* ASK meanwhile */
    nstime first_ask, last_ask;     /* 0: none */
    bool set;                       /* SETSLOT was seen; else it is known from ASK alone */
    bool taken;                     /* closed: a third node's by now, as after a failover */
    struct place place;
};

/* Slots that were open for more than a moment without a key that moved, and then those that are
 * open: `end` is now. */
void model_open_slots(const struct model *model, nstime end,
                      void (*visit)(void *context, const struct open_slot *slot), void *context);

#endif
