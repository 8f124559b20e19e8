/* detect_bus_unreachable.c - nobody gets in at a node's bus port, while the node itself lives: it
 * answers clients, and its own connections to others work. A firewall that knows the client port
 * and not the other one, mostly. */
#include <inttypes.h>

#include "analysis/detector.h"
#include "analysis/verdict.h"

enum { LEAST_MS = 2000 /* attempts go on for so long */, BLOCKS_MAX = 256 };

struct block {
    uint32_t node;
    bool over;
    nstime since;       /* what was sent there is not answered */
    struct stamp first; /* attempt */
    nstime end;
    uint32_t attempts, refused;
    uint32_t callers; /* nodes that tried at a time, at most */
    bool served;      /* it answered clients meanwhile */
    uint32_t looks;   /* how often it looked so; once may be the end of something else */
};

struct blocks {
    struct block list[BLOCKS_MAX];
    size_t count;
};

static struct block *open_of(struct blocks *blocks, uint32_t node) {
    for (size_t i = blocks->count; i-- > 0;)
        if (blocks->list[i].node == node)
            return blocks->list[i].over ? NULL : &blocks->list[i];
    return NULL;
}

/* Nodes that are not let in. */
static uint32_t count_callers(const struct model *model, uint32_t index) {
    uint32_t callers = 0;
    for (uint32_t peer = 0; peer < model_node_count(model); peer++) {
        const struct link *link = model_link_between(model, peer, index);
        callers += link && link->knocks.first.time != TIME_NONE;
    }
    return callers;
}

static void follow(const struct detection *detection, struct blocks *blocks, uint32_t index,
                   nstime now) {
    const struct knocks *knocks = &model_node(detection->model, index)->knocks;
    struct block *block = open_of(blocks, index);
    bool goes_on = knocks->first.time != TIME_NONE;
    if (block && (!goes_on || knocks->first.time != block->first.time)) {
        block->over = true;
        block->end = now;
        return;
    }
    if (!goes_on || now - knocks->first.time < LEAST_MS * NS_PER_MS)
        return;
    struct verdict verdict =
        verdict_about(detection->model, index, NODE_NONE, knocks->first.time, now);
    if (verdict.kind != VERDICT_BUS_PORT_BLOCKED || (!block && blocks->count == BLOCKS_MAX))
        return;
    if (!block) {
        block = &blocks->list[blocks->count++];
        *block = (struct block){.node = index, .since = verdict.since, .first = knocks->first};
    }
    block->looks++;
    block->attempts = knocks->unanswered + knocks->refused;
    block->refused = knocks->refused;
    block->served |= verdict.served;
    uint32_t callers = count_callers(detection->model, index);
    block->callers = callers > block->callers ? callers : block->callers;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    for (uint32_t i = 0; i < model_node_count(detection->model); i++)
        follow(detection, state, i, now);
}

static void tell(const struct detection *detection, const struct block *block) {
    const struct model *model = detection->model;
    struct place first = place_of_stamp(block->first);
    char name[ENDPOINT_TEXT];
    model_node_text(model, block->node, name);
    bool alone = block->callers < 2;
    struct finding *finding =
        finding_new("bus-unreachable", alone ? SEVERITY_NOTICE : SEVERITY_WARNING,
                    block->since < block->first.time ? block->since : block->first.time);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    finding_title(finding, "Nobody gets in at the bus port of %s", name);
    finding_explain(finding,
                    "%" PRIu32 " attempts to connect to port %u were %s, while the node answered "
                    "its clients and its own connections to others worked.",
                    block->attempts, model_node(model, block->node)->bus_port,
                    block->refused ? "refused" : "not answered");
    finding_rule_out(finding, "process or host down: it answered clients");
    finding_evidence(finding, &first, "the first attempt");
    finding_node(finding, model_node(model, block->node)->id);
    value_node(finding_metrics(finding), "node", model_node(model, block->node)->id);
    value_bool(finding_metrics(finding), "client_port_alive", block->served);
    value_number(finding_metrics(finding), "attempts", block->attempts);
    finding_advise(finding, "let the bus port (client port + 10000, unless cluster-port says "
                            "otherwise) pass in both directions");
    if (alone) {
        finding_caveat(finding, "only one node was seen to try");
        finding_doubt(finding, CONFIDENCE_POSSIBLE);
    }
    finding_rests_on_unseen(finding);
    finding_ends(finding, block->over ? block->end : TIME_NONE, "bus-port-blocked");
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct blocks *blocks = state;
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->list[i].looks > 1)
            tell(detection, &blocks->list[i]);
}

const struct detector detect_bus_unreachable = {
    .name = "bus-unreachable",
    .help = "nobody reaches a node's bus port while the node lives",
    .state = sizeof(struct blocks),
    .tick = on_tick,
    .finish = finish,
};
