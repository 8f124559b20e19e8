/* detect_address_disagreement.c - one node, several addresses at a time: it announces one and sends
 * from another, or others gossip what it does not say. A move from one address to the next is none:
 * the old one is soon told no more. */
#include "analysis/detector.h"
#include "analysis/model_addresses.h"

/* How long after the first word of a new address the old one may still be told. */
enum { SETTLING = 5 /* seconds */ };

/* The address that contradicts the first one; NULL: none does. */
static const struct told_address *contradiction(const struct told_address *told, size_t count) {
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (told[j].last > told[i].first.time + SETTLING * NS_PER_SEC &&
                told[i].last > told[i].first.time)
                return &told[i];
    return NULL;
}

/* Did a connection to the announced address ever come about? */
static bool is_reached(const struct model *model, size_t index) {
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (link->to == index && (link->pongs > 0 || link->connections > 0))
            return true;
    }
    return false;
}

static const char *way_text(unsigned ways) {
    return ways & ADDRESS_ANNOUNCED ? "It announces"
           : ways & ADDRESS_SEEN    ? "Its packets come from"
                                    : "Others gossip";
}

static void tell(const struct detection *detection, size_t index, const struct told_address *told,
                 size_t count, const struct told_address *other) {
    const struct node *node = model_node(detection->model, index);
    bool reached = is_reached(detection->model, index);
    char by[ENDPOINT_TEXT];
    model_node_text(detection->model, other->first_by, by);
    struct finding *finding = finding_new(
        "address-disagreement", reached ? SEVERITY_NOTICE : SEVERITY_WARNING, other->first.time);
    struct value *metrics = finding_metrics(finding);
    finding_title(finding, "Node %.8s is told to be at %zu addresses at once", node->id, count);
    value_node(metrics, "node", node->id);
    struct value *addrs = value_list(metrics, "addrs");
    for (size_t i = 0; i < count; i++) {
        char text[ENDPOINT_TEXT];
        endpoint_text(&told[i].addr, text);
        value_addr(addrs, NULL, &told[i].addr);
        finding_addr(finding, &told[i].addr);
        finding_explain(finding, "%s %s.", way_text(told[i].ways), text);
        finding_evidence(finding, &told[i].first, "the first word of %s", text);
    }
    finding_explain(finding, "%s was the first to tell of the second one.",
                    other->first_by == index ? "The node itself" : by);
    if (!reached)
        finding_explain(finding, "No connection to the node came about at any of them.");
    if (other->first_by != NODE_NONE)
        value_node(metrics, "first_said_by", model_node(detection->model, other->first_by)->id);
    finding_node(finding, node->id);
    finding_advise(finding, "compare cluster-announce-ip and cluster-announce-port of the node "
                            "with how others reach it (NAT, containers, several interfaces)");
    bool announced = (other->ways | told[0].ways) & ADDRESS_ANNOUNCED;
    finding_ends(finding, TIME_NONE, announced ? "announced-address" : "gossip");
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    for (size_t i = 0; i < model_node_count(detection->model); i++) {
        const struct told_address *told;
        size_t count = model_addresses(detection->model, i, &told);
        const struct told_address *other = contradiction(told, count);
        if (other)
            tell(detection, i, told, count, other);
    }
}

const struct detector detect_address_disagreement = {
    .name = "address-disagreement",
    .help = "nodes announce or gossip different addresses for one node",
    .finish = finish,
};
