/* detect_node_identity_changed.c - another node answers at an address that belonged to a node: a
 * restart without nodes.conf, or CLUSTER RESET HARD. To the others the old node is lost, with its
 * slots; and what replicates from the address may copy an empty data set. */
#include "analysis/detector.h"
#include "analysis/model_elections.h"
#include "analysis/model_orders.h"
#include "decode/slot_set.h"

enum {
    SEEN_MAX = 32, /* of a run */
    RESET_S = 10,  /* from the order until the new node is heard */
};

struct changes {
    struct {
        uint32_t old, new;
        bool owner; /* the old one was a primary, and nobody had taken its slots over */
        struct place place;
    } seen[SEEN_MAX];
    size_t count;
};

/* Who spoke from this address before; NODE_NONE: nobody. */
static uint32_t predecessor(const struct model *model, uint32_t index) {
    const struct node *node = model_node(model, index);
    for (size_t i = model_node_count(model); i-- > 0;) {
        const struct node *other = model_node(model, i);
        if (i != index && other->heard && other->addr_known &&
            endpoint_equal(&other->addr, &node->addr))
            return (uint32_t)i;
    }
    return NODE_NONE;
}

static void on_heard(const struct detection *detection, void *state, const struct event *event) {
    struct changes *changes = state;
    const struct model *model = detection->model;
    uint32_t index = model_index_of(model, event->node_heard.node);
    uint32_t old = index == NODE_NONE ? NODE_NONE : predecessor(model, index);
    if (old == NODE_NONE || changes->count == SEEN_MAX)
        return;
    changes->seen[changes->count].old = old;
    changes->seen[changes->count].new = index;
    changes->seen[changes->count].owner = model_owns_slots(model, old);
    changes->seen[changes->count++].place = place_of(event);
}

/* A replica had spoken as one last before that, and next as the primary: it may have taken over
 * before the old node was replaced, where this capture did not reach. */
static bool may_be_taken_before(const struct model *model, uint32_t old, nstime replaced) {
    for (size_t i = 0; i < model_election_count(model); i++) {
        const struct election *e = model_election(model, i);
        if (e->old_primary == old && e->promoted.time != TIME_NONE && e->replica_until < replaced)
            return true;
    }
    return false;
}

/* Does another claim slots of it with a newer epoch? */
static bool is_taken_over(const struct model *model, uint32_t old_index) {
    const struct node *old = model_node(model, old_index);
    for (size_t i = 0; i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        if (model_is_voter(model, i) && node->config_epoch > old->config_epoch &&
            slots_meet(node->slots, old->slots))
            return true;
    }
    return false;
}

static void advise(const struct model *model, struct finding *finding, uint32_t old_index,
                   bool primary, bool reset) {
    if (!reset)
        finding_advise(finding, "look for a lost or unwritable nodes.conf (a volume that was not "
                                "mounted), or for CLUSTER RESET HARD");
    if (primary && !is_taken_over(model, old_index))
        finding_advise(finding, "fail over to a replica that still has the data (CLUSTER FAILOVER "
                                "TAKEOVER) before anything resynchronises");
    else
        finding_advise(finding, "CLUSTER FORGET the old id on every node, then CLUSTER MEET the "
                                "new one and make it a replica");
}

static void tell(const struct detection *detection, uint32_t old_index, uint32_t new_index,
                 bool primary, const struct place *place) {
    const struct node *old = model_node(detection->model, old_index);
    const struct node *new = model_node(detection->model, new_index);
    char name[ENDPOINT_TEXT];
    const struct order *reset = model_order(detection->model, new_index, ORDER_RESET,
                                            place->time - RESET_S * NS_PER_SEC, place->time);
    model_node_text(detection->model, new_index, name);
    bool was_reset = reset || new->was == old_index; /* a primary that has keys refuses that */
    struct finding *finding = finding_new(
        "node-identity-changed", primary ? SEVERITY_CRITICAL : SEVERITY_WARNING, place->time);
    finding_title(finding, "%s came back as another node%s", name,
                  primary ? ", without its slots" : "");
    finding_explain(finding,
                    "Node %.8s spoke from this address; from now on node %.8s does. To the other "
                    "nodes the old one is gone and the new one is a stranger.",
                    old->id, new->id);
    if (primary)
        finding_explain(finding, "The old one was a primary with slots. %s",
                        was_reset ? "It had no keys, or the reset would have been refused."
                                  : "If a replica follows the address, it may copy the new node's "
                                    "empty data set over what it has.");
    if (reset)
        finding_explain(finding, "Somebody told it to forget all that it knew (CLUSTER RESET).");
    else if (new->was == old_index)
        finding_explain(finding, "Its process went on, on connections that were open before: so it "
                                 "was told to become another node (CLUSTER RESET HARD).");
    advise(detection->model, finding, old_index, primary, was_reset);
    finding_evidence(finding, place, "the first message of node %.8s from this address", new->id);
    order_tell(reset, finding);
    finding_node(finding, old->id);
    finding_node(finding, new->id);
    finding_addr(finding, &new->addr);
    struct value *metrics = finding_metrics(finding);
    value_addr(metrics, "addr", &new->addr);
    value_node(metrics, "old_id", old->id);
    value_node(metrics, "new_id", new->id);
    finding_ends(finding, place->time, "administrative");
    detection_report(detection, finding);
}

/* At the end it is known whether the old node has spoken since, from elsewhere: then it has moved,
 * and the address is another's now. Where nobody who knew it is left the cluster was made anew. */
static void finish(const struct detection *detection, void *state) {
    const struct changes *changes = state;
    for (size_t i = 0; i < changes->count; i++) {
        const struct node *old = model_node(detection->model, changes->seen[i].old);
        const struct place *place = &changes->seen[i].place;
        bool owner = changes->seen[i].owner &&
                     model_is_member(detection->model, changes->seen[i].old) &&
                     !may_be_taken_before(detection->model, changes->seen[i].old, place->time);
        if (old->last_heard < place->time)
            tell(detection, changes->seen[i].old, changes->seen[i].new, owner, place);
    }
}

const struct detector detect_node_identity_changed = {
    .name = "node-identity-changed",
    .help = "another node answers at a node's address: a restart without nodes.conf, a hard reset",
    .wants = EVENT_BIT(node_heard),
    .state = sizeof(struct changes),
    .event = on_heard,
    .finish = finish,
};
