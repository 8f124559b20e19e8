/* model_follower_private.h - what the files of model_follower*.c share: model_followers.c has the
 * records, model_follower_link.c and model_follower_header.c learn from links and from headers of
 * the bus, model_follower_lag.c measures. */
#ifndef BUSTAP_ANALYSIS_MODEL_FOLLOWER_PRIVATE_H
#define BUSTAP_ANALYSIS_MODEL_FOLLOWER_PRIVATE_H

#include "analysis/model_private.h"

/* model_followers.c: found or added; NULL: the cap or the memory does not allow it. */
struct followed *model_followed_at(struct model *model, const struct endpoint *addr);
struct follower *model_follower_at(struct model *model, const struct followed *primary,
                                   const struct endpoint *replica);

/* Another data set: its offsets are not to be compared with those before. */
void model_followed_begins_anew(struct model *model, struct followed *followed);

/* The primary has no less than this. */
static inline void followed_note_offset(struct followed *followed, nstime now, uint64_t offset) {
    if (followed->offset != NOT_KNOWN && offset <= followed->offset)
        return;
    followed->offset = offset;
    followed->offset_at = now;
    offset_history_note(&followed->history, now, offset);
}

/* model_follower_lag.c: the replica says that it has carried out all up to `done`: by an ACK on
 * this link, or (NULL) by a header. */
void model_follower_measure(struct follower *follower, const struct replication *link,
                            const struct event *event, uint64_t done);

#endif
