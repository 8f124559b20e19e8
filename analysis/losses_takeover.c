/* losses_takeover.c - which writes a takeover has cost, how that is proven, and what is told of it.
 *
 * The winner's first header as a primary tells how much of the loser's replication stream it had;
 * where that stream ended the loser tells when it asks the winner to go on from there. What lies
 * between the two offsets is lost, to the byte. Writes are placed in the stream by what replicas
 * were sent of it (model_write_stream.c). Without the offsets only what was asked for after the
 * winner's claim is proven. */
#include "analysis/losses_takeover.h"

#include <inttypes.h>

#include "analysis/losses.h"

/* ---- counting ---- */

struct winner losses_takeover_winner(const struct takeover *takeover, const struct write_log *log) {
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

void losses_takeover_tell(const struct detection *detection, const struct takeover *takeover) {
    const struct node *node = model_node(detection->model, takeover->loser);
    const struct write_log *log =
        node->addr_known ? model_write_log(detection->model, &node->addr) : NULL;
    if (!log)
        return;
    struct winner winner = losses_takeover_winner(takeover, log);
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
