/* detect_gossip_loss.c - PINGs of a directed pair went unanswered for longer than they should, and
 * nothing larger explains it: the path loses packets, one way or both, or answers wait behind other
 * bytes. What a dead, stalled or cut-off node leaves unanswered is told with that. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/verdict.h"

struct losses {
    struct verdict *verdicts; /* by link: the last one while a PONG was late; `at` 0: none */
    size_t count;
};

static bool room_for(struct losses *losses, size_t links) {
    if (links <= losses->count)
        return true;
    struct verdict *verdicts = realloc(losses->verdicts, links * sizeof *verdicts);
    if (!verdicts)
        return false;
    memset(verdicts + losses->count, 0, (links - losses->count) * sizeof *verdicts);
    losses->verdicts = verdicts;
    losses->count = links;
    return true;
}

/* Those that no other finding tells of. */
static bool is_of_the_path(enum verdict_kind kind) {
    return kind == VERDICT_LOSS_TO || kind == VERDICT_LOSS_FROM || kind == VERDICT_LOSSY_PATH ||
           kind == VERDICT_HEAD_OF_LINE || kind == VERDICT_RECEIVER_NOT_READING;
}

/* Of the node as all see it, if that explains it; else of the pair. */
static struct verdict judge(const struct model *model, const struct link *link, nstime now) {
    struct verdict all = verdict_about(model, link->to, NODE_NONE, link->waiting_since, now);
    if (all.kind != VERDICT_UNKNOWN && !is_of_the_path(all.kind))
        return all;
    return verdict_about(model, link->to, link->from, link->waiting_since, now);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct losses *losses = state;
    nstime least = (nstime)threshold(detection, THRESHOLD_gossip_loss) * NS_PER_MS;
    size_t links = model_link_count(detection->model);
    if (!room_for(losses, links))
        return;
    for (size_t i = 0; i < links; i++) {
        const struct link *link = model_link(detection->model, i);
        if (link->waiting_since != TIME_NONE && now - link->waiting_since >= least)
            losses->verdicts[i] = judge(detection->model, link, now);
    }
}

static void measure(const struct detection *detection, const struct link *link,
                    struct finding *finding) {
    struct value *metrics = finding_metrics(finding);
    value_node(metrics, "from", model_node(detection->model, link->from)->id);
    value_node(metrics, "to", model_node(detection->model, link->to)->id);
    value_number(metrics, "pings", link->pings);
    value_number(metrics, "pongs", link->pongs);
    value_number(metrics, "lost", link->pings > link->pongs ? link->pings - link->pongs : 0);
    value_number(metrics, "longest_silence_ms", (uint64_t)(link->longest_silence / NS_PER_MS));
    value_number(metrics, "retransmits", link->retransmits);
}

static void tell(const struct detection *detection, const struct link *link,
                 const struct verdict *verdict) {
    char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
    model_node_text(detection->model, link->from, from);
    model_node_text(detection->model, link->to, to);
    struct finding *finding = finding_new("gossip-loss", SEVERITY_NOTICE, link->silent_from);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "%s waited %.1f s for an answer of %s", from,
                  (double)link->longest_silence / (double)NS_PER_SEC, to);
    verdict_tell(verdict, finding);
    finding_node(finding, model_node(detection->model, link->from)->id);
    finding_node(finding, model_node(detection->model, link->to)->id);
    measure(detection, link, finding);
    finding_advise(finding, "measure loss between these two hosts (retransmissions, drops of "
                            "interfaces and queues)");
    finding_rests_on_unseen(finding);
    finding->end = link->silent_from + link->longest_silence;
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct losses *losses = state;
    for (size_t i = 0; i < losses->count; i++)
        if (losses->verdicts[i].at && is_of_the_path(losses->verdicts[i].kind))
            tell(detection, model_link(detection->model, i), &losses->verdicts[i]);
}

static void dispose(void *state) {
    free(((struct losses *)state)->verdicts);
}

const struct detector detect_gossip_loss = {
    .name = "gossip-loss",
    .help = "pings of a directed pair went unanswered for long, and the path is why",
    .state = sizeof(struct losses),
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
