/* verdict.h - why a node fell silent: what TCP and the application say together. The table is that
 * of the design, the facts are those of model_signs.c.
 *
 * A verdict is given while the silence lasts. It may be looked at, told, and kept: it owns nothing.
 */
#ifndef BUSTAP_ANALYSIS_VERDICT_H
#define BUSTAP_ANALYSIS_VERDICT_H

#include "analysis/finding.h"
#include "analysis/model.h"
#include "analysis/model_orders.h"

enum verdict_kind {
    VERDICT_UNKNOWN,
    VERDICT_PROCESS_STALLED,
    VERDICT_HOST_UNREACHABLE,
    VERDICT_PATH_CUT,  /* it lives, but nothing passes between it and others */
    VERDICT_LOSS_TO,   /* one way: what is sent to it does not arrive */
    VERDICT_LOSS_FROM, /* one way: what it sends does not arrive */
    VERDICT_BUS_PORT_BLOCKED,
    VERDICT_PROCESS_DIED,
    VERDICT_HEAD_OF_LINE,
    VERDICT_RECEIVER_NOT_READING,
    VERDICT_LOSSY_PATH,
    VERDICT_ADMINISTRATIVE,
    VERDICT_REPLACED, /* another node answers at its address */
    VERDICT_KINDS
};

struct verdict {
    enum verdict_kind kind;
    nstime since, at; /* the silence that was looked at */

    /* the facts, since then */
    uint32_t peers;                  /* nodes with connections from or to it */
    uint32_t acked_to, stuck_to;     /* of these: what they sent it was acknowledged; is not */
    uint32_t acked_from, stuck_from; /* what it sent them was acknowledged; is not */
    uint32_t fine, cut, loss_to, loss_from, mixed; /* what each of them tells, one of these */
    uint32_t late;                                 /* acknowledged late, again and again */
    uint32_t full;                                 /* it closed its receive window towards them */
    bool had_time;                /* it was acknowledged for long enough to be answered */
    bool behind;                  /* it sent something on a connection on which a PONG was due */
    uint32_t unanswered, refused; /* attempts to reach its bus port */
    bool of_pair;                 /* only one witness was asked */
    bool missed;                  /* somebody waits for it */
    bool unseen;                  /* somebody does, but none of what it tried was seen */
    bool spoke, served, called;   /* it sent messages, answered clients, tried to connect */
    const struct order *order;    /* that it follows from; NULL: none. Set by verdict_settle */
    struct stamp acked;           /* an acknowledgement of its kernel; TIME_NONE: none */
};

/* About a node that is missed now, by all or by `witness` alone (NODE_NONE: by all). The silence
 * begins with the first of their PINGs, or attempts to connect, that it owes an answer; where none
 * of them was seen, with the first of its own that nobody answers, else with `last_sign`. */
struct verdict verdict_about(const struct model *model, uint32_t subject, uint32_t witness,
                             nstime last_sign, nstime now);

/* `witness` says that it misses the subject. Where nothing at all was seen between the two, while
 * one of them went on elsewhere, that is the verdict, if there is no other. */
void verdict_hear(const struct model *model, uint32_t subject, uint32_t witness, nstime now,
                  struct verdict *verdict);

/* What the silence of one node, as another one alone has it, says of that other one. */
struct verdict verdict_mirrored(const struct verdict *verdict);

/* At the end: did somebody tell it to end, or to stand still? That is known by its answer, or when
 * the connection is gone on which it was told. */
void verdict_settle(const struct model *model, uint32_t subject, struct verdict *verdict);

/* Says so in a finding: the verdict, how we know, what it was not. */
void verdict_tell(const struct verdict *verdict, struct finding *finding);

/* Does the pair lose packets: were acknowledgements late lately, not once only? */
bool link_is_lossy(const struct link *link, nstime now);

/* Its word, as the contract has it. */
const char *verdict_word(enum verdict_kind kind);

#endif
