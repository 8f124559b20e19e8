/* losses_reread.c - a server has died and came back without what it had acknowledged, and nobody
 * else had it: no takeover tells of that, no copy, no offset. A client that reads a key which is
 * gone does (model_reread.c). What a server loads from its disk ends at some write, so with the
 * oldest one that is gone all younger ones are. */
#include "analysis/losses_reread.h"

#include <inttypes.h>

#include "analysis/losses.h"
#include "analysis/write_kind.h"

/* Does what was read tell of an end, before which all is there and behind which nothing is? */
static bool is_proven(const struct write_log *log) {
    return log && !log->stale && log->reread.gone && log->reread.there <= log->reread.lost;
}

static struct losses losses_of(const struct model *model, const struct server *server) {
    const struct write_log *log = server->writes;
    struct losses losses = {.log = log};
    uint32_t owners[BUS_SLOTS];
    model_slot_owners(model, owners);
    for (uint64_t number = write_oldest(log); number < log->reread.before; number++) {
        const struct write *write = write_at(log, number);
        bool acked = write->state == WRITE_DONE || write->state == WRITE_DOUBTED;
        if (!acked || losses_is_elsewhere(model, owners, write_key_of(log, number), &server->addr))
            continue;
        bool sure = write->state == WRITE_DONE && !(write->kind & WRITE_REWRITTEN);
        if (sure && number >= log->reread.lost)
            losses_add(&losses, number);
        else
            losses.open += number >= log->reread.there;
    }
    return losses;
}

static void advise(struct finding *finding) {
    finding_advise(finding,
                   "give the primary a replica, or persistence (appendonly): what it alone "
                   "has in memory is gone when its process ends");
    finding_advise(finding, "make these writes again where the clients know them; --keys full "
                            "lists them");
}

static void explain(struct finding *finding, const struct server *server,
                    const struct losses *losses, const char *name) {
    struct place place = server->writes->reread.place;
    finding_explain(finding,
                    "The process of %s had ended and was started again. A client then read a key "
                    "whose write had been acknowledged before, and got nothing; nobody had written "
                    "or deleted it since. Nobody took over meanwhile, and no replica had it.",
                    name);
    finding_evidence(finding, &losses->first, "%s acknowledges the first of them", name);
    if (losses->count > 1)
        finding_evidence(finding, &losses->last, "%s acknowledges the last of them", name);
    finding_evidence(finding, &place, "%s answers that the key is not there", name);
    finding_caveat(finding, "nobody took over, so there is no winner, and no proof by offsets or "
                            "claims");
    finding_caveat(finding, "one key was read and was not there; of younger writes it follows, as "
                            "a data set that is loaded ends at some write");
    if (losses->open)
        finding_caveat(finding,
                       "of %" PRIu64 " more writes that %s acknowledged it cannot be told whether "
                       "they are there",
                       losses->open, name);
    if (losses->log->forgotten + losses->log->dropped)
        finding_caveat(finding,
                       "older writes were not remembered: %" PRIu64 " more (bustap list limits)",
                       losses->log->forgotten + losses->log->dropped);
}

static void tell(const struct detection *detection, const struct server *server,
                 const struct losses *losses) {
    uint32_t index = model_node_at_address(detection->model, &server->addr);
    char name[ENDPOINT_TEXT];
    endpoint_text(&server->addr, name);
    struct finding *finding = finding_new("lost-writes", SEVERITY_CRITICAL, losses->first.time);
    finding_title(finding, "%s came back without %u write%s that it had acknowledged", name,
                  losses->count, losses->count == 1 ? "" : "s");
    explain(finding, server, losses, name);
    if (index != NODE_NONE) {
        value_node(finding_metrics(finding), "loser", model_node(detection->model, index)->id);
        finding_node(finding, model_node(detection->model, index)->id);
    } else {
        finding_caveat(finding, "the bus did not tell which node this is");
    }
    finding_addr(finding, &server->addr);
    value_number(finding_metrics(finding), "count", losses->count);
    value_number(finding_metrics(finding), "bytes", losses->bytes);
    value_text(finding_metrics(finding), "shown_by", "read-again");
    losses_measure(losses, finding, &server->addr);
    advise(finding);
    finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_rests_on_unseen(finding);
    finding_ends(finding, server->writes->reread.place.time, NULL);
    detection_report(detection, finding);
}

void losses_reread_tell(const struct detection *detection) {
    for (size_t i = 0; i < model_server_count(detection->model); i++) {
        const struct server *server = model_server(detection->model, i);
        if (!is_proven(server->writes))
            continue;
        struct losses losses = losses_of(detection->model, server);
        if (losses.count)
            tell(detection, server, &losses);
        losses_free(&losses);
    }
}
