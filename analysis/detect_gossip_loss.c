/* detect_gossip_loss.c - PINGs of a directed pair went unanswered for longer than they should, and
 * nothing larger explains it: the path loses packets, one way or both, or answers wait behind other
 * bytes. What a dead, stalled or cut-off node leaves unanswered is told with that. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/verdict.h"

struct loss {
    struct verdict verdict; /* the last one while a PONG was late; `at` 0: none */
    nstime suspected;       /* when somebody last suspected the node that owes it; 0: never */
};

struct losses {
    struct loss *list; /* by link */
    size_t count;
};

static bool room_for(struct losses *losses, size_t links) {
    if (links <= losses->count)
        return true;
    struct loss *list = realloc(losses->list, links * sizeof *list);
    if (!list)
        return false;
    memset(list + losses->count, 0, (links - losses->count) * sizeof *list);
    losses->list = list;
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

/* Some of it arrives: where nothing did before, in the same silence, this is its end. */
static bool is_its_end(const struct verdict *before, const struct verdict *verdict,
                       const struct link *link) {
    return before->at > link->waiting_since && before->kind != VERDICT_UNKNOWN &&
           verdict->kind == VERDICT_LOSSY_PATH;
}

static void look_at(const struct model *model, const struct link *link, struct verdict *ret_verdict,
                    nstime now) {
    struct verdict verdict = judge(model, link, now);
    if (!is_its_end(ret_verdict, &verdict, link))
        *ret_verdict = verdict;
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
            look_at(detection->model, link, &losses->list[i].verdict, now);
    }
}

/* Somebody suspected the node: then that is the finding, and this one says how it came about. */
static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct losses *losses = state;
    const char *about = event->node_suspected.about; /* as in node_failed */
    uint32_t subject = about ? model_index_of(detection->model, about) : NODE_NONE;
    if (subject == NODE_NONE || !room_for(losses, model_link_count(detection->model)))
        return;
    for (size_t i = 0; i < losses->count; i++)
        if (model_link(detection->model, i)->to == subject)
            losses->list[i].suspected = event->time;
}

enum { WORD_S = 5 /* so long after a silence the suspicion may be heard */ };

static bool is_told_elsewhere(const struct link *link, const struct loss *loss) {
    return loss->suspected >= link->silent_from &&
           loss->suspected <= link->silent_from + link->longest_silence + WORD_S * NS_PER_SEC;
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
                 const struct loss *loss) {
    char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
    model_node_text(detection->model, link->from, from);
    model_node_text(detection->model, link->to, to);
    struct finding *finding = finding_new(
        "gossip-loss", is_told_elsewhere(link, loss) ? SEVERITY_NOTICE : SEVERITY_WARNING,
        link->silent_from);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "%s waited %.1f s for an answer of %s", from,
                  (double)link->longest_silence / (double)NS_PER_SEC, to);
    verdict_tell(&loss->verdict, finding);
    finding_node(finding, model_node(detection->model, link->from)->id);
    finding_node(finding, model_node(detection->model, link->to)->id);
    measure(detection, link, finding);
    finding_advise(finding, "measure loss between these two hosts (retransmissions, drops of "
                            "interfaces and queues)");
    finding_rests_on_unseen(finding);
    if (finding) {
        finding->quiet_if_caused = true;
        finding->end = link->silent_from + link->longest_silence;
    }
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct losses *losses = state;
    for (size_t i = 0; i < losses->count; i++)
        if (losses->list[i].verdict.at && is_of_the_path(losses->list[i].verdict.kind))
            tell(detection, model_link(detection->model, i), &losses->list[i]);
}

static void dispose(void *state) {
    free(((struct losses *)state)->list);
}

const struct detector detect_gossip_loss = {
    .name = "gossip-loss",
    .help = "pings of a directed pair went unanswered for long, and the path is why",
    .wants = EVENT_BIT(node_suspected) | EVENT_BIT(node_failed),
    .state = sizeof(struct losses),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
