/* resp_repl_offset.c - the offset of a replication stream whose beginning was not captured.
 *
 * A replica acknowledges what it has carried out, by offset (REPLCONF ACK). If it
 * has received all that was sent, and has carried that out, the offset is that of the end of the
 * last command. It may not have come so far yet: then it says less, and more the next time. So the
 * greatest difference between what ACKs say and our count is believed once three ACKs agree in it:
 * they come a second apart, and a replica that has something left to do would go on with it
 * meanwhile. An ACK of more than was sent shows that it was a mistake after all. */
#include "decode/resp_link.h"

enum { ACKS_AGREE = 3 };

/* Has the replica's TCP taken the last whole command, and nothing that we have not seen? */
static bool is_all_taken(const struct flow_side *primary, const struct repl *repl) {
    int32_t open = (int32_t)(primary->stream.next - primary->acked);
    return primary->acked_known && primary->stream.next == primary->high && open >= 0 &&
           (uint64_t)open <= repl->offset - repl->guess.end;
}

static bool agree(struct repl_guess *guess, uint64_t acked) {
    if (acked < guess->end) /* of the commands before the first one that was seen whole */
        return false;
    uint64_t ahead = acked - guess->end;
    if (guess->agreed == 0 || ahead > guess->ahead) {
        guess->ahead = ahead;
        guess->agreed = 0;
    }
    guess->agreed += ahead == guess->ahead;
    return guess->agreed >= ACKS_AGREE;
}

static bool forget(struct repl *repl) {
    repl->offset_known = repl->guess.learnt = false;
    repl->guess.agreed = 0;
    return true;
}

bool repl_learn_offset(const struct resp_walk *walk, uint64_t acked) {
    struct repl *repl = walk->link->repl;
    struct repl_guess *guess = &repl->guess;
    if (!guess->ended || !is_all_taken(&walk->flow->sides[walk->direction], repl))
        return false;
    if (repl->offset_known)
        return guess->learnt && acked > repl->offset && forget(repl);
    if (!agree(guess, acked))
        return false;
    repl->offset += guess->ahead;
    guess->end += guess->ahead;
    repl->offset_known = guess->learnt = true;
    return true;
}
