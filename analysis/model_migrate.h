/* model_migrate.h - MIGRATE and the requests by which its source hands keys over; private to
 * model_migrate.c (the call), model_restore.c (each key's request) and model_doubtful.c (keys that
 * a call left in doubt).
 *
 *   client > source   MIGRATE target ... KEYS a b            a call; the source does nothing else
 *   source > target   RESTORE-ASKING a, RESTORE-ASKING b     meanwhile; a request for each key
 *   target > source   +OK, +OK                               then the source deletes a and b
 *   source > client   +OK
 */
#ifndef BUSTAP_ANALYSIS_MODEL_MIGRATE_H
#define BUSTAP_ANALYSIS_MODEL_MIGRATE_H

#include "analysis/model_moves.h"

enum answer { ANSWER_NONE, ANSWER_OK, ANSWER_BUSY, ANSWER_REFUSED };

/* One key's RESTORE-ASKING. */
struct restore {
    struct move move;
    struct restore *next;      /* of its call */
    struct restore *older;     /* about the same key, if it is doubtful */
    struct migrate_call *call; /* NULL: not known, or it is settled */
    struct migration *migration;
    bool queued;    /* on its connection: `move` waits */
    bool doubtful;  /* it stays, for its call failed */
    bool settled;   /* counted */
    bool delivered; /* the target's TCP has acknowledged all of it */
    bool again;     /* later the key could be restored without REPLACE: it was not there any more */
    bool moved;     /* later the source deleted the key: only the target has it */
    bool replace;
    uint8_t answer;  /* enum answer */
    nstime answered; /* when */
    uint32_t end;    /* sequence number behind it */
    uint16_t slot;
    uint64_t bytes;
    uint32_t key_hash;
    uint32_t key_len; /* 0: not kept */
    uint8_t key[];
};

/* One MIGRATE. */
struct migrate_call {
    struct move move;
    struct migrate_call *next;
    struct endpoint source, target;
    bool target_known;     /* else its port only */
    bool copy;             /* the source keeps its keys, as it was told */
    bool failed, broken;   /* broken: its connection is given up, but what is sent may arrive */
    bool refused_first;    /* the target refused AUTH or SELECT, and took all keys */
    bool unreached;        /* the source had no connection to the target: nothing arrived */
    struct moves *carrier; /* the connection with its keys; NULL: not known, or ended */
    struct migration *migration; /* NULL: not known yet */
    uint64_t slot, keys;
    nstime timeout; /* of each step of its I/O */
    struct restore *first, *last;
    uint64_t count; /* of these */
};

/* model_migrate.c: the call that a key on this connection is of; NULL: it was not seen. The key
 * joins it. The connection ends. */
struct migrate_call *model_migrate_of(struct model *model, struct moves *moves,
                                      const struct event *event);
void model_migrate_join(struct model *model, struct migrate_call *call, struct restore *restore,
                        const struct event *event);
void model_migrate_carrier_ends(struct moves *moves);
void model_migrate_free(struct model *model);

/* Why a target refused a key, in one word, from its error or from the one that MIGRATE makes of it.
 */
struct bytes migrate_cause(struct bytes said);

/* model_restore.c: the source deletes the key. Frees the request unless somebody still points to
 * it. */
void model_restore_moved(struct model *model, struct restore *restore);
void model_restore_release(struct model *model, struct restore *restore);

/* model_doubtful.c: the key may be on both sides now. The target took it as a new one: what was
 * said of it before is over. The source deletes it: it is on one side. */
void model_doubt(struct model *model, struct restore *restore);
void model_doubt_refuted(struct model *model, const struct restore *restore);
void model_doubt_moved(struct model *model, const struct restore *restore);
void model_doubtful_free(struct model *model);

#endif
