/* losses_emptied.c - a server came back empty, faster than its replica could take over. There is no
 * winner and no offset to compare: the replica's copy tells, which holds no keys. Where the replica
 * had been the primary before, and the server had taken over from it, the copy costs what the
 * replica had acknowledged then, too. */
#include "analysis/losses_emptied.h"

#include <inttypes.h>

#include "analysis/losses.h"
#include "analysis/write_kind.h"

/* Bytes of a copy with nothing in it but what describes it; some have fewer. */
enum { EMPTY_COPY = 256 };

/* Has the server, whose replica has got this copy, lost its data set? Another id, and an offset
 * that begins anew. */
static bool is_begun_anew(const struct write_log *log) {
    return log && !log->stale && log->copy.begun && log->stream != NOT_KNOWN &&
           log->copy.offset < log->stream;
}

/* Likewise of one that never had a replica which asked for its id: its stream begins before the
 * place at which it took over. */
static bool is_before_takeover(const struct takeover *takeover) {
    return takeover && !takeover->emptied && takeover->offset != NOT_KNOWN &&
           takeover->copy_offset != NOT_KNOWN && takeover->copy_offset < takeover->offset;
}

static bool is_acknowledged(const struct write *write) {
    return write->state == WRITE_DONE || write->state == WRITE_DOUBTED;
}

/* It may have expired, or have changed nothing. */
static void add_or_leave_open(struct losses *losses, uint64_t number) {
    const struct write *write = write_at(losses->log, number);
    if (write->state == WRITE_DONE && !(write->kind & WRITE_REWRITTEN))
        losses_add(losses, number);
    else
        losses->open++;
}

/* Writes from the number `oldest` on, acknowledged after `from` and before the copy began; not
 * those that replicas get in another form: they may have expired. */
static struct losses losses_of(const struct model *model, const struct write_log *log,
                               const struct endpoint *server, uint64_t oldest, nstime from,
                               nstime until) {
    struct losses losses = {.log = log};
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    for (uint64_t number = oldest; number < log->next; number++) {
        const struct write *write = write_at(log, number);
        if (is_acknowledged(write) && write->acked > from && write->acked < until &&
            !losses_is_elsewhere(model, owners, write_key_of(log, number), server))
            add_or_leave_open(&losses, number);
    }
    return losses;
}

/* What the loser had acknowledged before the takeover, and the winner had got. */
static struct losses losses_handed_down(const struct model *model, const struct write_log *log,
                                        const struct takeover *takeover) {
    struct losses losses = {.log = log};
    struct winner winner = losses_takeover_winner(takeover, log);
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    const struct endpoint *server = &model_node(model, takeover->winner)->addr;
    for (uint64_t number = write_oldest(log); number < log->next; number++) {
        const struct write *write = write_at(log, number);
        enum write_fate fate = write_fate(log, number, &winner);
        if (!is_acknowledged(write) || write->acked >= takeover->claim.time || fate == FATE_LOST ||
            losses_is_elsewhere(model, owners, write_key_of(log, number), server))
            continue;
        if (fate == FATE_OPEN)
            losses.open++;
        else
            add_or_leave_open(&losses, number);
    }
    return losses;
}

static void explain(struct finding *finding, uint64_t bytes, const char *name) {
    finding_explain(finding,
                    "%s came back with another data set: its replica asked to go on with the old "
                    "one and got a copy of %" PRIu64 " bytes, which holds no keys. What it had "
                    "acknowledged before is gone, on its replica too.",
                    name, bytes);
    finding_caveat(finding, "nobody took over, so there is no winner, and no offset to compare");
}

static void explain_handed_down(struct finding *finding, uint64_t bytes, const char *name,
                                const char *winner) {
    finding_explain(finding,
                    "%s had taken over from %s, with what is listed, and came back with another "
                    "data set. %s still had it all, but is its replica now: it asked to go on with "
                    "the old one and got a copy of %" PRIu64 " bytes, which holds no keys.",
                    winner, name, name, bytes);
    finding_caveat(finding,
                   "the takeover itself did not cost them, so there is no proof by offsets "
                   "or claims");
}

static void doubt(struct finding *finding, const struct losses *losses) {
    if (losses->open)
        finding_caveat(finding, "%" PRIu64 " more writes may have expired, or have changed nothing",
                       losses->open);
    if (losses->log->forgotten + losses->log->dropped)
        finding_caveat(finding,
                       "older writes were not remembered: %" PRIu64 " more (bustap list limits)",
                       losses->log->forgotten + losses->log->dropped);
    finding_doubt(finding, CONFIDENCE_LIKELY);
}

static void advise(struct finding *finding) {
    finding_advise(finding,
                   "look whether persistence is on (appendonly, save) and whether the data "
                   "directory was there when the process started");
    finding_advise(finding, "make these writes again where the clients know them; --keys full "
                            "lists them");
    finding_advise(finding,
                   "do not let a primary without persistence restart by itself faster than "
                   "its replica takes over");
}

static void show(struct finding *finding, const struct event *event, const struct losses *losses,
                 const char *name) {
    struct place copied = place_of(event);
    finding_evidence(finding, &losses->first, "%s acknowledges the first of them", name);
    if (losses->count > 1)
        finding_evidence(finding, &losses->last, "%s acknowledges the last of them", name);
    finding_evidence(finding, &copied, "its replica has got an empty copy");
}

static void name_node(const struct model *model, struct finding *finding, const char *key,
                      uint32_t index) {
    if (index == NODE_NONE) {
        finding_caveat(finding, "the bus did not tell which node this is");
        return;
    }
    value_node(finding_metrics(finding), key, model_node(model, index)->id);
    finding_node(finding, model_node(model, index)->id);
}

/* `server` had acknowledged them; `takeover`: by which the one that came back had got them, or
 * NULL. */
static void tell(const struct detection *detection, const struct event *event,
                 const struct losses *losses, const struct endpoint *server,
                 const struct takeover *takeover) {
    const char *are = losses->count == 1 ? "is" : "are", *s = losses->count == 1 ? "" : "s";
    char name[ENDPOINT_TEXT], winner[ENDPOINT_TEXT];
    endpoint_text(server, name);
    endpoint_text(&event->flow->ends[event->direction], winner);
    struct finding *finding = finding_new("lost-writes", SEVERITY_CRITICAL, losses->first.time);
    if (takeover) {
        finding_title(finding,
                      "%u write%s that %s acknowledged %s lost with %s, which came back "
                      "empty",
                      losses->count, s, name, are, winner);
        explain_handed_down(finding, event->replication.bytes, name, winner);
    } else {
        finding_title(finding, "%s came back empty: %u write%s that it had acknowledged %s lost",
                      name, losses->count, s, are);
        explain(finding, event->replication.bytes, name);
    }
    doubt(finding, losses);
    advise(finding);
    show(finding, event, losses, name);
    name_node(detection->model, finding, "loser", model_node_at_address(detection->model, server));
    if (takeover)
        name_node(detection->model, finding, "winner", takeover->winner);
    finding_addr(finding, server);
    value_number(finding_metrics(finding), "count", losses->count);
    value_number(finding_metrics(finding), "bytes", losses->bytes);
    losses_measure(losses, finding, server);
    finding_rests_on_unseen(finding);
    finding_ends(finding, event->time, NULL);
    detection_report(detection, finding);
}

static void tell_and_free(const struct detection *detection, const struct event *event,
                          struct losses losses, const struct endpoint *server,
                          const struct takeover *takeover) {
    if (losses.count)
        tell(detection, event, &losses, server, takeover);
    losses_free(&losses);
}

void losses_emptied_tell(const struct detection *detection, const struct event *event,
                         struct takeover *takeover) {
    const struct model *model = detection->model;
    const struct endpoint *server = &event->flow->ends[event->direction];
    const struct write_log *log = model_write_log(model, server);
    bool handed_down = is_before_takeover(takeover);
    if (event->replication.bytes > EMPTY_COPY)
        return;
    if (handed_down && log) /* a copy that it gave before is gone as well: this replica had it */
        tell_and_free(
            detection, event,
            losses_of(model, log, server, log->base, takeover->claim.time, event->flow->first),
            server, NULL);
    else if (is_begun_anew(log))
        tell_and_free(detection, event,
                      losses_of(model, log, server, write_oldest(log), TIME_NONE, log->copy.since),
                      server, NULL);
    if (!handed_down)
        return;
    takeover->emptied = true;
    const struct endpoint *loser = &model_node(model, takeover->loser)->addr;
    log = model_write_log(model, loser);
    if (log)
        tell_and_free(detection, event, losses_handed_down(model, log, takeover), loser, takeover);
}
