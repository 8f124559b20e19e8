/* model_claims.c - double claims, noticed when a claim changes: then the node in question is
 * compared with all other primaries that were heard. What a message costs is one look at its
 * sender's own mark, which is mostly not set. */
#include "analysis/model_claims.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"
#include "decode/key_slot.h"

/* ---- sets of slots ---- */

/* The slots of both; false: none. */
static bool common_slots(const uint8_t *a, const uint8_t *b, uint8_t ret_common[BUS_SLOT_BYTES]) {
    uint8_t any = 0;
    for (size_t i = 0; i < BUS_SLOT_BYTES; i++)
        any |= ret_common[i] = a[i] & b[i];
    return any != 0;
}

/* ---- the list ---- */

static nstime span_of(const struct contest_acts *acts) {
    return acts->count ? acts->last.time - acts->first.time : 0;
}

static bool is_worth_keeping(const struct contest *contest) {
    return contest->writes.count || span_of(&contest->claims) > CONTEST_BRIEF ||
           span_of(&contest->refusals) > CONTEST_BRIEF;
}

/* Puts a contest that has ended into the list of those that lasted. */
static void keep(struct model *model, const struct contest *contest) {
    struct model_claims *claims = &model->claims;
    struct contest *kept =
        claims->count < CAP_CONTESTS
            ? list_with_room(claims->kept, claims->count, &claims->room, sizeof *kept)
            : NULL;
    if (!kept) {
        model->books.contests_over_cap++;
        return;
    }
    claims->kept = kept;
    kept[claims->count++] = *contest;
}

static void end(struct model *model, struct node_private *node) {
    struct contest *contest = node->contest;
    if (!contest)
        return;
    contest->ended = model->cause->time;
    if (is_worth_keeping(contest))
        keep(model, contest);
    free(contest);
    node->contest = NULL;
    model->claims.open--;
    model->claims.changes++;
}

/* `promoted`: the claimant was a replica until this message. */
static void begin(struct model *model, uint32_t loser, uint32_t claimant, const uint8_t *slots,
                  bool promoted) {
    struct node_private *node = model->nodes[loser];
    const struct node *other = &model->nodes[claimant]->node;
    struct contest *contest = malloc(sizeof *contest);
    if (!contest)
        return;
    *contest = (struct contest){.node = loser,
                                .claimant = claimant,
                                .node_epoch = node->node.config_epoch,
                                .claimant_epoch = other->config_epoch,
                                .claim = place_of(model->cause),
                                .since = model->cause->time,
                                .ended = TIME_NONE};
    memcpy(contest->slots, slots, BUS_SLOT_BYTES);
    node->contest = contest;
    model->claims.open++;
    model->claims.changes++;
    struct event event = {.type = EV_slots_contested};
    event.slots_contested =
        (struct ev_slots_contested){.node = other->id,
                                    .about = node->node.id,
                                    .slots = contest->slots,
                                    .config_epoch = other->config_epoch,
                                    .repl_offset = promoted ? other->repl_offset : NOT_KNOWN};
    model_conclude(model, &event);
}

/* ---- comparing ---- */

static bool claims_slots(const struct node *node) {
    return node->heard && !node->replica && node->slots;
}

/* The loser is contested by the claimant: a new contest, or more of one that goes on. */
static void contest(struct model *model, uint32_t loser, uint32_t claimant, const uint8_t *slots,
                    bool promoted) {
    struct contest *going_on = model->nodes[loser]->contest;
    if (!going_on)
        begin(model, loser, claimant, slots, promoted);
    else
        slots_add_all(going_on->slots, slots);
}

/* Of two that claim the same slots the one with the greater epoch is right. With equal epochs it is
 * not settled yet: the one that claimed them first is contested. One whose address is another's by
 * now has had its say: its claim is no more than what others remember of it. */
static void compare(struct model *model, uint32_t changed, uint32_t other, bool promoted) {
    uint8_t common[BUS_SLOT_BYTES];
    const struct node *a = &model->nodes[changed]->node, *b = &model->nodes[other]->node;
    if (!claims_slots(b) || !common_slots(a->slots, b->slots, common) ||
        model_is_replaced(model, other))
        return;
    if (b->config_epoch > a->config_epoch)
        contest(model, changed, other, common, false);
    else if (!model->nodes[changed]->contest || b->config_epoch < a->config_epoch)
        contest(model, other, changed, common, promoted);
}

/* Does the contested node still claim some of the slots, with an epoch that is no greater? */
static bool goes_on(const struct model *model, const struct contest *contest) {
    uint8_t common[BUS_SLOT_BYTES];
    const struct node *node = &model->nodes[contest->node]->node;
    const struct node *claimant = &model->nodes[contest->claimant]->node;
    return claims_slots(node) && claims_slots(claimant) &&
           node->config_epoch <= claimant->config_epoch &&
           common_slots(node->slots, contest->slots, common) &&
           common_slots(claimant->slots, contest->slots, common);
}

void model_claim_changed(struct model *model, uint32_t index, bool was_replica) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        struct contest *contest = model->nodes[i]->contest;
        if (contest && (i == index || contest->claimant == index) && !goes_on(model, contest))
            end(model, model->nodes[i]);
    }
    if (!claims_slots(&model->nodes[index]->node))
        return;
    for (uint32_t i = 0; i < model->node_count; i++)
        if (i != index)
            compare(model, index, i, was_replica);
}

/* ---- what a contested node does ---- */

/* Only what is done after the other's claim; a message found after a gap may be older. */
static void act(const struct model *model, const struct contest *contest,
                struct contest_acts *acts) {
    struct place place = place_of(model->cause);
    const struct flow_side *side = &model->cause->flow->sides[model->cause->direction];
    bool late = side->stream.next != side->high; /* it was held behind a hole */
    if (place.time <= contest->since || late)
        return;
    if (acts->count++ == 0)
        acts->first = place;
    acts->last = place;
}

void model_claim_repeated(struct model *model, struct node_private *node) {
    struct contest *contest = node->contest;
    if (model->cause->bus_message.after_gap) /* it may be old */
        return;
    act(model, contest, &contest->claims);
    if (node->node.state == 0)
        act(model, contest, &contest->served);
}

static struct contest *find_contest(const struct model *model, const struct endpoint *addr) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        const struct node_private *node = model->nodes[i];
        if (node->contest && node->node.addr_known && endpoint_equal(&node->node.addr, addr))
            return node->contest;
    }
    return NULL;
}

/* The contest of the node that answers there; NULL: none. Looked for when something has changed,
 * not for each write of a client. */
static struct contest *contest_of(const struct model *model, struct server *server) {
    if (UNLIKELY(server->contest_as_of != model->claims.changes)) {
        server->contest = find_contest(model, &server->addr);
        server->contest_as_of = model->claims.changes;
    }
    return server->contest;
}

void model_claim_write(struct model *model, struct server *server, struct bytes key, nstime asked) {
    struct contest *contest = contest_of(model, server);
    if (contest && asked > contest->since && slots_have(contest->slots, key_slot(key)))
        act(model, contest, &contest->writes);
}

void model_claim_refusal(struct model *model, struct server *server) {
    struct contest *contest = contest_of(model, server);
    if (contest)
        act(model, contest, &contest->refusals);
}

/* ---- looking at it, and the end ---- */

size_t model_contest_count(const struct model *model) {
    return model->claims.count + model->claims.open;
}

const struct contest *model_contest(const struct model *model, size_t index) {
    size_t open = index - model->claims.count;
    if (index < model->claims.count)
        return &model->claims.kept[index];
    for (uint32_t i = 0; i < model->node_count; i++)
        if (model->nodes[i]->contest && open-- == 0)
            return model->nodes[i]->contest;
    return NULL;
}

void model_claims_free(struct model *model) {
    for (uint32_t i = 0; i < model->node_count; i++)
        free(model->nodes[i]->contest);
    free(model->claims.kept);
}
