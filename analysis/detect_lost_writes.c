/* detect_lost_writes.c - writes that a primary acknowledged and that are gone: another node took
 * its slots over without having got them, and the primary has thrown them away, or is dead.
 *
 * The proof: the winner's first header as a primary tells how much of the loser's
 * replication stream it had. When the loser gives in it asks the winner to go on from where its own
 * stream ended (PSYNC), and is refused: what lies between the two offsets is lost, to the byte.
 * Writes are placed in the stream by what replicas were sent of it (model_write_stream.c). Without
 * the offsets only what was asked for after the winner's claim is proven. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/losses.h"
#include "analysis/losses_reread.h"
#include "analysis/write_kind.h"
#include "base/list.h"
#include "decode/key_slot.h"

/* A takeover of slots, until it is known what becomes of the node that had them. */
struct takeover {
    uint32_t loser, winner; /* indexes */
    bool settled;           /* what became of the loser's writes is known */
    struct place claim;
    uint64_t epoch;
    uint64_t offset; /* in the winner's first header as a primary; NOT_KNOWN: it was one before */
    uint8_t slots[BUS_SLOT_BYTES];
    bool prompt;  /* its election was seen: that header was its first one as a primary */
    nstime until; /* the loser gave in, or is right again; TIME_NONE: not so far */
    bool asked;   /* the loser wants to follow the winner */
    struct place psync;
    uint64_t psync_offset; /* the next byte that it wants; NOT_KNOWN: none of its own stream */
};

enum { REQUESTS_KEPT = 8 };

struct takeovers {
    struct {
        uint32_t node;
        uint64_t epoch;
    } requests[REQUESTS_KEPT]; /* the last elections */
    size_t request_next;
    struct takeover *list; /* one for each loser */
    uint32_t count, room;
};

/* ---- takeovers ---- */

/* NULL: out of memory. */
static struct takeover *takeover_of(struct takeovers *takeovers, uint32_t loser) {
    for (size_t i = 0; i < takeovers->count; i++)
        if (takeovers->list[i].loser == loser)
            return &takeovers->list[i];
    struct takeover *list =
        list_with_room(takeovers->list, takeovers->count, &takeovers->room, sizeof *list);
    if (!list)
        return NULL;
    takeovers->list = list;
    return &list[takeovers->count++];
}

/* The loser's, of which it is not known yet what became of its writes; NULL: none. */
static struct takeover *pending_takeover(struct takeovers *takeovers, uint32_t loser) {
    for (size_t i = 0; i < takeovers->count; i++)
        if (takeovers->list[i].loser == loser && !takeovers->list[i].settled)
            return &takeovers->list[i];
    return NULL;
}

static void on_vote_requested(const struct detection *detection, struct takeovers *takeovers,
                              const struct event *event) {
    size_t at = takeovers->request_next++ % REQUESTS_KEPT;
    takeovers->requests[at].node = model_index_of(detection->model, event->vote_requested.node);
    takeovers->requests[at].epoch = event->vote_requested.epoch;
}

static bool was_elected(const struct takeovers *takeovers, uint32_t node, uint64_t epoch) {
    for (size_t i = 0; i < REQUESTS_KEPT; i++)
        if (takeovers->requests[i].node == node && takeovers->requests[i].epoch == epoch)
            return true;
    return false;
}

/* ---- counting ---- */

static struct winner winner_of(const struct takeover *takeover, const struct write_log *log) {
    struct winner winner = {
        .offset = takeover->offset,
        .claimed = takeover->claim.time,
        .slots = takeover->slots,
        .until = takeover->until,
        .end = takeover->psync_offset == NOT_KNOWN ? NOT_KNOWN : takeover->psync_offset - 1};
    winner_prepare(log, &winner);
    return winner;
}

static struct losses losses_of(const struct write_log *log, const struct winner *winner) {
    struct losses losses = {.log = log};
    for (uint64_t number = write_oldest(log); number < log->next; number++) {
        enum write_fate fate = write_fate(log, number, winner);
        if (fate == FATE_LOST)
            losses_add(&losses, number);
        losses.open += fate == FATE_OPEN;
    }
    return losses;
}

/* ---- telling ---- */

/* Bytes of the loser's stream that the winner never had; NOT_KNOWN. */
static uint64_t suffix_of(const struct takeover *takeover) {
    bool known = takeover->psync_offset != NOT_KNOWN && takeover->psync_offset > 0 &&
                 takeover->offset != NOT_KNOWN;
    uint64_t end = known ? takeover->psync_offset - 1 : 0;
    return !known ? NOT_KNOWN : end > takeover->offset ? end - takeover->offset : 0;
}

/* Do the writes make up the suffix, but for some PINGs? */
static bool agree(const struct takeover *takeover, const struct losses *losses, uint64_t suffix) {
    return suffix != NOT_KNOWN &&
           stream_adds_up(losses->bytes, suffix, takeover->psync.time - losses->first.time);
}

static void explain(struct finding *finding, const struct takeover *takeover,
                    const struct losses *losses, const char *loser, const char *winner) {
    uint64_t suffix = suffix_of(takeover);
    finding_explain(finding,
                    "%s took over the slots of %s with config epoch %" PRIu64 ", having got %sthe "
                    "first %" PRIu64 " bytes of its replication stream.",
                    winner, loser, takeover->epoch, takeover->prompt ? "" : "at most ",
                    takeover->offset);
    if (suffix != NOT_KNOWN)
        finding_explain(finding,
                        "%s later asked %s to go on from byte %" PRIu64 " and was refused: the "
                        "last %" PRIu64 " bytes of its stream%s were thrown away.",
                        loser, winner, takeover->psync_offset, suffix,
                        takeover->prompt ? "" : ", if not more,");
    else if (takeover->asked)
        finding_explain(finding,
                        "%s later took a whole new copy of %s's data, and did not say where its "
                        "own stream had ended: it had been restarted.",
                        loser, winner);
    if (suffix != NOT_KNOWN && agree(takeover, losses, suffix))
        finding_explain(finding, "The writes listed make up these bytes exactly%s.",
                        losses->bytes < suffix ? ", together with the PINGs in between" : "");
    else if (suffix != NOT_KNOWN && losses->bytes < suffix)
        finding_explain(finding, "The writes that can be named make up %" PRIu64 " of these bytes.",
                        losses->bytes);
}

/* What makes the proof weaker than it looks. */
static void doubt(struct finding *finding, const struct takeover *takeover,
                  const struct losses *losses, const char *loser) {
    uint64_t suffix = suffix_of(takeover);
    if (suffix != NOT_KNOWN && losses->bytes > suffix) {
        finding_caveat(finding,
                       "the writes listed are %" PRIu64 " bytes, more than was thrown away: some "
                       "of them may have changed nothing",
                       losses->bytes);
        finding_doubt(finding, CONFIDENCE_POSSIBLE);
    } else if (suffix != NOT_KNOWN && !agree(takeover, losses, suffix)) {
        finding_caveat(finding, "the rest of the bytes are commands whose requests were not seen, "
                                "or that replicas get in another form");
    }
    if (!takeover->prompt)
        finding_caveat(finding,
                       "no votes for the takeover were seen: it may have been earlier than "
                       "the first message that tells of it, and more may be lost");
    if (losses->open)
        finding_caveat(finding,
                       "of %" PRIu64 " more writes that %s acknowledged it cannot be told whether "
                       "they were replicated",
                       losses->open, loser);
    if (losses->log->forgotten)
        finding_caveat(finding,
                       "older writes were not remembered: %" PRIu64 " are past the cap (bustap "
                       "list limits)",
                       losses->log->forgotten);
    if (!takeover->asked) {
        finding_caveat(finding,
                       "%s was not seen to take the new primary's data: until it does, its own "
                       "disk and memory may still have them",
                       loser);
        finding_doubt(finding, CONFIDENCE_LIKELY);
    }
}

static void measure(struct finding *finding, const struct detection *detection,
                    const struct takeover *takeover, const struct losses *losses) {
    struct value *metrics = finding_metrics(finding);
    uint64_t suffix = suffix_of(takeover);
    const struct node *loser = model_node(detection->model, takeover->loser);
    const struct node *by = model_node(detection->model, takeover->winner);
    value_node(metrics, "loser", loser->id);
    value_node(metrics, "winner", by->id);
    finding_node(finding, loser->id);
    finding_node(finding, by->id);
    if (losses->count)
        value_number(metrics, "count", losses->count);
    value_number(metrics, "bytes", suffix == NOT_KNOWN ? losses->bytes : suffix);
    value_text(metrics, "proof", suffix == NOT_KNOWN ? "claim-order" : "psync-offset");
    losses_measure(losses, finding, &loser->addr);
}

static void show(struct finding *finding, const struct takeover *takeover,
                 const struct losses *losses, const char *loser, const char *winner) {
    if (losses->count) {
        finding_evidence(finding, &losses->first, "%s acknowledges the first of them", loser);
        if (losses->count > 1)
            finding_evidence(finding, &losses->last, "%s acknowledges the last of them", loser);
    }
    finding_evidence(finding, &takeover->claim, "%s claims the slots, with offset %" PRIu64, winner,
                     takeover->offset);
    if (takeover->asked)
        finding_evidence(finding, &takeover->psync, "%s asks %s for its data", loser, winner);
}

static void advise(struct finding *finding, const struct takeover *takeover, const char *loser) {
    finding_advise(finding, "make these writes again where the clients know them; --keys full "
                            "lists them");
    if (!takeover->asked)
        finding_advise(finding,
                       "before %s joins the cluster again, save its data file (dump.rdb, "
                       "appendonlydir)",
                       loser);
    finding_advise(finding, "WAIT 1 after writes that must not be lost, or min-replicas-to-write "
                            "1, bounds what a failover can lose");
}

/* Stream that was thrown away, of which no write is known: is it more than PINGs? */
static bool is_worth_telling(const struct losses *losses, uint64_t suffix) {
    return losses->count || (suffix != NOT_KNOWN && suffix % PING_BYTES != 0 && losses->open);
}

static void title(struct finding *finding, const struct losses *losses, uint64_t suffix,
                  const char *loser) {
    if (losses->count)
        finding_title(finding, "%u write%s that %s acknowledged %s lost", losses->count,
                      losses->count == 1 ? "" : "s", loser, losses->count == 1 ? "is" : "are");
    else
        finding_title(finding, "%" PRIu64 " bytes of what %s had written are lost", suffix, loser);
}

static nstime end_of(const struct takeover *takeover, const struct losses *losses) {
    return takeover->asked ? takeover->psync.time : losses->last.time;
}

static void tell_losses(const struct detection *detection, const struct takeover *takeover,
                        const struct losses *losses) {
    char loser[ENDPOINT_TEXT], by[ENDPOINT_TEXT];
    model_node_text(detection->model, takeover->loser, loser);
    model_node_text(detection->model, takeover->winner, by);
    struct finding *finding =
        finding_new("lost-writes", losses->count ? SEVERITY_CRITICAL : SEVERITY_WARNING,
                    losses->count ? losses->first.time : takeover->claim.time);
    title(finding, losses, suffix_of(takeover), loser);
    explain(finding, takeover, losses, loser, by);
    show(finding, takeover, losses, loser, by);
    measure(finding, detection, takeover, losses);
    doubt(finding, takeover, losses, loser);
    if (finding && finding->confidence == CONFIDENCE_POSSIBLE)
        finding->severity = SEVERITY_WARNING;
    advise(finding, takeover, loser);
    finding_rests_on_unseen(finding);
    finding_ends(finding, end_of(takeover, losses), NULL);
    detection_report(detection, finding);
}

static void tell(const struct detection *detection, const struct takeover *takeover) {
    const struct node *node = model_node(detection->model, takeover->loser);
    const struct write_log *log =
        node->addr_known ? model_write_log(detection->model, &node->addr) : NULL;
    if (!log)
        return;
    struct winner winner = winner_of(takeover, log);
    struct losses losses = losses_of(log, &winner);
    if (suffix_of(takeover) != NOT_KNOWN && losses.bytes > suffix_of(takeover)) {
        losses_free(&losses); /* more than there was room for: some were taken for another's */
        winner.only_placed = true;
        losses = losses_of(log, &winner);
    }
    if (is_worth_telling(&losses, suffix_of(takeover)))
        tell_losses(detection, takeover, &losses);
    losses_free(&losses);
}

/* The loser is a primary again, with the greater epoch. */
static void end_takeover(const struct detection *detection, struct takeovers *takeovers,
                         const struct event *event, uint32_t loser) {
    struct takeover *takeover = pending_takeover(takeovers, loser);
    if (!takeover)
        return;
    if (takeover->until == TIME_NONE)
        takeover->until = event->time;
    tell(detection, takeover);
    takeover->settled = true;
}

/* Slots that a primary moves to another one are no takeover: their keys moved before. */
static void on_contested(const struct detection *detection, struct takeovers *takeovers,
                         const struct event *event) {
    const struct ev_slots_contested *contested = &event->slots_contested;
    end_takeover(detection, takeovers, event, model_index_of(detection->model, contested->node));
    if (contested->repl_offset == NOT_KNOWN)
        return;
    uint32_t loser = model_index_of(detection->model, contested->about);
    struct takeover *takeover = takeover_of(takeovers, loser);
    if (!takeover)
        return;
    *takeover = (struct takeover){.loser = loser,
                                  .winner = model_index_of(detection->model, contested->node),
                                  .claim = place_of(event),
                                  .epoch = contested->config_epoch,
                                  .offset = contested->repl_offset,
                                  .until = TIME_NONE,
                                  .psync = place_none(),
                                  .psync_offset = NOT_KNOWN};
    takeover->prompt = was_elected(takeovers, takeover->winner, takeover->epoch);
    memcpy(takeover->slots, contested->slots, BUS_SLOT_BYTES);
}

/* ---- a server that comes back empty ---- */

/* Bytes of a copy with nothing in it but what describes it; some have fewer. */
enum { EMPTY_COPY = 256 };

/* Has the server, whose replica has got this copy, lost its data set? Another id, an offset that
 * begins anew, and nothing in it. */
static bool is_emptied(const struct write_log *log, uint64_t bytes) {
    return log && !log->stale && log->copy.begun && bytes <= EMPTY_COPY &&
           log->stream != NOT_KNOWN && log->copy.offset < log->stream;
}

/* Does another node own the key's slot by now? Then the key is there. */
static bool is_elsewhere(const struct model *model, const uint32_t owners[BUS_SLOTS],
                         struct bytes key, const struct endpoint *server) {
    uint32_t owner = key.len ? owners[key_slot(key)] : NODE_NONE;
    return owner != NODE_NONE && !endpoint_equal(&model_node(model, owner)->addr, server);
}

/* Writes before the copy; not those that replicas get in another form: they may have expired. */
static struct losses emptied(const struct model *model, const struct write_log *log,
                             const struct endpoint *server) {
    struct losses losses = {.log = log};
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    for (uint64_t number = write_oldest(log); number < log->copy.from; number++) {
        const struct write *write = write_at(log, number);
        bool acked = write->state == WRITE_DONE || write->state == WRITE_DOUBTED;
        if (!acked || write->acked >= log->copy.since ||
            is_elsewhere(model, owners, write_key_of(log, number), server))
            continue;
        if (write->state == WRITE_DONE && !(write->kind & WRITE_REWRITTEN))
            losses_add(&losses, number);
        else
            losses.open++;
    }
    return losses;
}

static void explain_emptied(struct finding *finding, const struct losses *losses, uint64_t bytes,
                            const char *name) {
    finding_explain(finding,
                    "%s came back with another data set: its replica asked to go on with the old "
                    "one and got a copy of %" PRIu64 " bytes, which holds no keys. What it had "
                    "acknowledged before is gone, on its replica too.",
                    name, bytes);
    finding_caveat(finding, "nobody took over, so there is no winner, and no offset to compare");
    if (losses->open)
        finding_caveat(finding, "%" PRIu64 " more writes may have expired, or have changed nothing",
                       losses->open);
    if (losses->log->forgotten + losses->log->dropped)
        finding_caveat(finding,
                       "older writes were not remembered: %" PRIu64 " more (bustap list limits)",
                       losses->log->forgotten + losses->log->dropped);
    finding_advise(finding,
                   "look whether persistence is on (appendonly, save) and whether the data "
                   "directory was there when the process started");
    finding_advise(finding, "make these writes again where the clients know them; --keys full "
                            "lists them");
    finding_advise(finding,
                   "do not let a primary without persistence restart by itself faster than "
                   "its replica takes over");
}

static void tell_emptied(const struct detection *detection, const struct event *event,
                         const struct losses *losses) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    uint32_t index = model_node_at_address(detection->model, server);
    char name[ENDPOINT_TEXT];
    struct place copied = place_of(event);
    endpoint_text(server, name);
    struct finding *finding = finding_new("lost-writes", SEVERITY_CRITICAL, losses->first.time);
    finding_title(finding, "%s came back empty: %u write%s that it had acknowledged %s lost", name,
                  losses->count, losses->count == 1 ? "" : "s", losses->count == 1 ? "is" : "are");
    explain_emptied(finding, losses, event->replication.bytes, name);
    finding_evidence(finding, &losses->first, "%s acknowledges the first of them", name);
    if (losses->count > 1)
        finding_evidence(finding, &losses->last, "%s acknowledges the last of them", name);
    finding_evidence(finding, &copied, "its replica has got an empty copy");
    if (index != NODE_NONE) {
        value_node(finding_metrics(finding), "loser", model_node(detection->model, index)->id);
        finding_node(finding, model_node(detection->model, index)->id);
    } else {
        finding_caveat(finding, "the bus did not tell which node this is");
    }
    finding_addr(finding, server);
    value_number(finding_metrics(finding), "count", losses->count);
    value_number(finding_metrics(finding), "bytes", losses->bytes);
    losses_measure(losses, finding, server);
    finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_rests_on_unseen(finding);
    finding_ends(finding, event->time, NULL);
    detection_report(detection, finding);
}

static void on_copied(const struct detection *detection, const struct event *event) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    const struct write_log *log = model_write_log(detection->model, server);
    if (!is_emptied(log, event->replication.bytes))
        return;
    struct losses losses = emptied(detection->model, log, server);
    if (losses.count)
        tell_emptied(detection, event, &losses);
    losses_free(&losses);
}

/* ---- the loser gives in ---- */

static bool is_ip_of(const struct node *node, const struct endpoint *end) {
    return node->addr_known && endpoint_same_ip(&node->addr, end);
}

/* The takeover whose loser this replica is, as far as addresses tell. */
static struct takeover *takeover_by_link(const struct detection *detection,
                                         struct takeovers *takeovers,
                                         const struct endpoint *replica,
                                         const struct endpoint *primary) {
    for (size_t i = 0; i < takeovers->count; i++) {
        struct takeover *takeover = &takeovers->list[i];
        if (takeover->settled)
            continue;
        const struct node *winner = model_node(detection->model, takeover->winner);
        if (winner->addr_known && endpoint_equal(&winner->addr, primary) &&
            is_ip_of(model_node(detection->model, takeover->loser), replica))
            return takeover;
    }
    return NULL;
}

/* Is the id that of the data set which the loser's own replicas had? Not after a restart; nor if
 * another node of the same host asks. */
static bool is_own_stream(const struct detection *detection, const struct takeover *takeover,
                          struct bytes replid) {
    const struct node *loser = model_node(detection->model, takeover->loser);
    const struct write_log *log = model_write_log(detection->model, &loser->addr);
    return log && log->replid[0] && bytes_equal(bytes_str(log->replid), replid);
}

static void on_psync(const struct detection *detection, struct takeovers *takeovers,
                     const struct event *event) {
    const struct ev_replication *step = &event->replication;
    struct takeover *takeover =
        takeover_by_link(detection, takeovers, &event->flow->ends[event->direction],
                         &event->flow->ends[!event->direction]);
    if (!takeover)
        return;
    takeover->psync = place_of(event);
    takeover->asked = true;
    takeover->psync_offset =
        is_own_stream(detection, takeover, step->replid) ? step->offset : NOT_KNOWN;
}

/* The primary's answer to that: a whole copy, or the rest of a stream that is the loser's too. */
static void on_answer(const struct detection *detection, struct takeovers *takeovers,
                      const struct event *event, bool copied) {
    struct takeover *takeover =
        takeover_by_link(detection, takeovers, &event->flow->ends[!event->direction],
                         &event->flow->ends[event->direction]);
    if (!takeover || !takeover->asked)
        return;
    if (copied)
        tell(detection, takeover);
    takeover->settled = true;
}

static void on_step(const struct detection *detection, struct takeovers *takeovers,
                    const struct event *event) {
    const char *what = event->replication.what;
    if (strcmp(what, "psync") == 0)
        on_psync(detection, takeovers, event);
    else if (strcmp(what, "fullresync") == 0 || strcmp(what, "rdb-channel") == 0)
        on_answer(detection, takeovers, event, true);
    else if (strcmp(what, "continue") == 0)
        on_answer(detection, takeovers, event, false);
    else if (strcmp(what, "rdb") == 0)
        on_copied(detection, event);
}

/* It is a replica now, and its data will be the winner's: what it wrote so far is known. A primary
 * that claims slots once more is right again, and the takeover is over, seen to its end or not. */
static void on_role(const struct detection *detection, struct takeovers *takeovers,
                    const struct event *event) {
    uint32_t index = model_index_of(detection->model, event->node_role.node);
    if (strcmp(event->node_role.role, "primary") == 0) {
        end_takeover(detection, takeovers, event, index);
        return;
    }
    struct takeover *takeover = pending_takeover(takeovers, index);
    if (takeover && takeover->until == TIME_NONE)
        takeover->until = event->time;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct takeovers *takeovers = state;
    if (event->type == EV_vote_requested)
        on_vote_requested(detection, takeovers, event);
    else if (event->type == EV_node_role)
        on_role(detection, takeovers, event);
    else if (event->type == EV_slots_contested)
        on_contested(detection, takeovers, event);
    else
        on_step(detection, takeovers, event);
}

static void finish(const struct detection *detection, void *state) {
    const struct takeovers *takeovers = state;
    for (size_t i = 0; i < takeovers->count; i++)
        if (!takeovers->list[i].settled)
            tell(detection, &takeovers->list[i]);
    losses_reread_tell(detection);
}

static void dispose(void *state) {
    free(((struct takeovers *)state)->list);
}

const struct detector detect_lost_writes = {
    .name = "lost-writes",
    .help = "writes that were acknowledged, and that the new primary never got",
    .wants = EVENT_BIT(vote_requested) | EVENT_BIT(node_role) | EVENT_BIT(slots_contested) |
             EVENT_BIT(replication),
    .state = sizeof(struct takeovers),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
