/* losses_emptied.c - a server came back empty, faster than its replica could take over. There is no
 * winner and no offset to compare: the replica's copy tells, which holds no keys. */
#include "analysis/losses_emptied.h"

#include <inttypes.h>

#include "analysis/losses.h"
#include "analysis/write_kind.h"

/* Bytes of a copy with nothing in it but what describes it; some have fewer. */
enum { EMPTY_COPY = 256 };

/* Has the server, whose replica has got this copy, lost its data set? Another id, an offset that
 * begins anew, and nothing in it. */
static bool is_emptied(const struct write_log *log, uint64_t bytes) {
    return log && !log->stale && log->copy.begun && bytes <= EMPTY_COPY &&
           log->stream != NOT_KNOWN && log->copy.offset < log->stream;
}

/* Writes before the copy; not those that replicas get in another form: they may have expired. */
static struct losses losses_of(const struct model *model, const struct write_log *log,
                               const struct endpoint *server) {
    struct losses losses = {.log = log};
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    for (uint64_t number = write_oldest(log); number < log->copy.from; number++) {
        const struct write *write = write_at(log, number);
        bool acked = write->state == WRITE_DONE || write->state == WRITE_DOUBTED;
        if (!acked || write->acked >= log->copy.since ||
            losses_is_elsewhere(model, owners, write_key_of(log, number), server))
            continue;
        if (write->state == WRITE_DONE && !(write->kind & WRITE_REWRITTEN))
            losses_add(&losses, number);
        else
            losses.open++;
    }
    return losses;
}

static void explain(struct finding *finding, const struct losses *losses, uint64_t bytes,
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

static void tell(const struct detection *detection, const struct event *event,
                 const struct losses *losses) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    uint32_t index = model_node_at_address(detection->model, server);
    char name[ENDPOINT_TEXT];
    struct place copied = place_of(event);
    endpoint_text(server, name);
    struct finding *finding = finding_new("lost-writes", SEVERITY_CRITICAL, losses->first.time);
    finding_title(finding, "%s came back empty: %u write%s that it had acknowledged %s lost", name,
                  losses->count, losses->count == 1 ? "" : "s", losses->count == 1 ? "is" : "are");
    explain(finding, losses, event->replication.bytes, name);
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

void losses_emptied_tell(const struct detection *detection, const struct event *event) {
    const struct endpoint *server = &event->flow->ends[event->direction];
    const struct write_log *log = model_write_log(detection->model, server);
    if (!is_emptied(log, event->replication.bytes))
        return;
    struct losses losses = losses_of(detection->model, log, server);
    if (losses.count)
        tell(detection, event, &losses);
    losses_free(&losses);
}
