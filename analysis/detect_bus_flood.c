/* detect_bus_flood.c - the bus carries too much: a node that sends more messages a second than
 * operators let pass, over ten seconds. Says what they are (mostly PUBLISH, which goes to every
 * node), what that did to PONGs, and what twice the nodes would make of it. */
#include "analysis/detector.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WINDOW = 10 /* seconds */ };

/* One node's counters at the last ticks, a ring, and its worst window. */
struct talker {
    message_counts counts[WINDOW + 1];
    uint64_t bytes[WINDOW + 1];
    nstime times[WINDOW + 1];
    uint32_t ticks;
    uint64_t peak; /* messages/s; 0: never at the threshold */
    message_counts peak_counts;
    uint64_t peak_bytes;
    struct stamp peak_at;          /* one of them */
    nstime first, last, peak_span; /* windows at the threshold; the length of the worst */
};

struct flood {
    struct talker **talkers; /* by node */
    size_t count;
};

static uint64_t per_second(uint64_t count, nstime span) {
    return span > 0 ? count * (uint64_t)NS_PER_SEC / (uint64_t)span : 0;
}

static void keep_peak(struct talker *talker, const struct node *node, size_t oldest, size_t newest,
                      uint64_t rate) {
    nstime span = talker->times[newest] - talker->times[oldest];
    if (talker->peak == 0)
        talker->first = talker->times[oldest];
    talker->last = talker->times[newest];
    if (rate <= talker->peak)
        return;
    talker->peak = rate;
    talker->peak_at = node->spoke;
    talker->peak_span = span;
    talker->peak_bytes = talker->bytes[newest] - talker->bytes[oldest];
    for (size_t i = 0; i < BUS_COUNTERS; i++)
        talker->peak_counts[i] = talker->counts[newest][i] - talker->counts[oldest][i];
}

/* Takes the counters of this tick and looks back over the window. */
static void look(struct talker *talker, const struct node *node, nstime now, uint64_t least) {
    size_t newest = talker->ticks++ % (WINDOW + 1);
    memcpy(talker->counts[newest], node->sent, sizeof node->sent);
    talker->bytes[newest] = node->bytes_sent;
    talker->times[newest] = now;
    if (talker->ticks <= WINDOW)
        return;
    size_t oldest = talker->ticks % (WINDOW + 1);
    uint64_t sent = messages_sum(talker->counts[newest]) - messages_sum(talker->counts[oldest]);
    uint64_t rate = per_second(sent, now - talker->times[oldest]);
    if (rate >= least)
        keep_peak(talker, node, oldest, newest, rate);
}

static bool room_for(struct flood *flood, size_t count) {
    struct talker **talkers =
        list_up_to(flood->talkers, &flood->count, count, sizeof(struct talker *));
    flood->talkers = talkers ? talkers : flood->talkers;
    return talkers;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct flood *flood = state;
    size_t count = model_node_count(detection->model);
    if (!room_for(flood, count))
        return;
    for (size_t i = 0; i < count; i++) {
        if (!flood->talkers[i])
            flood->talkers[i] = calloc(1, sizeof *flood->talkers[i]);
        if (flood->talkers[i])
            look(flood->talkers[i], model_node(detection->model, i), now,
                 threshold(detection, THRESHOLD_bus_flood_messages));
    }
}

/* A PUBLISH goes to every other node; so does, over a while, everything else of a node. */
static uint64_t at_twice_the_nodes(uint64_t rate, size_t nodes) {
    return nodes > 1 ? rate * (2 * nodes - 1) / (nodes - 1) : rate;
}

/* The longest that a PONG of the node was waited for. */
static nstime worst_pong(const struct model *model, size_t index) {
    nstime worst = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (link->to == index && link->rtt.count && link->rtt.max > worst)
            worst = link->rtt.max;
    }
    return worst;
}

static void measure(struct finding *finding, const struct model *model, size_t index,
                    const struct talker *talker) {
    struct value *metrics = finding_metrics(finding);
    value_node(metrics, "node", model_node(model, index)->id);
    value_number(metrics, "messages_per_s", talker->peak);
    value_number(metrics, "bytes_per_s", per_second(talker->peak_bytes, talker->peak_span));
    struct value *by_type = value_object(metrics, "by_type");
    for (size_t i = 0; i < BUS_COUNTERS; i++)
        if (talker->peak_counts[i])
            value_number(by_type, bus_type_names[i],
                         per_second(talker->peak_counts[i], talker->peak_span));
    value_number(metrics, "longest_pong_us", (uint64_t)(worst_pong(model, index) / NS_PER_US));
    value_number(metrics, "messages_per_s_at_twice_the_nodes",
                 at_twice_the_nodes(talker->peak, model_node_count(model)));
}

/* What most of it is, and what that means. */
static const struct flood_kind {
    const char *verdict;
    enum severity severity;
    const char *means, *advice;
} publish =
    {"publish", SEVERITY_WARNING,
     "A PUBLISH is sent to every other node, and PINGs and PONGs wait behind it in the same "
     "connection",
     "use sharded pub/sub (SPUBLISH, SSUBSCRIBE), which stays within a shard, or a cluster "
     "of its own for pub/sub"},
  announcements = {"announcements", SEVERITY_NOTICE,
                   "Most are PONGs that nobody has asked for: a node tells all others at once of "
                   "each slot that is given to it, as in a resharding",
                   "nothing, if slots were moved then; it ends with that"},
  heartbeats = {"heartbeats", SEVERITY_WARNING,
                "PINGs and PONGs, which go from each node to each other one",
                "look at by_type for what it sends; many nodes with a short cluster-node-timeout "
                "ping a lot"};

/* A node gets about as many PINGs as it sends, and answers each with a PONG. */
static const struct flood_kind *kind_of(const message_counts counts) {
    uint64_t published = counts[BUS_PUBLISH] + counts[BUS_PUBLISHSHARD];
    if (published > messages_sum(counts) / 2)
        return &publish;
    return counts[BUS_PONG] > messages_sum(counts) / 2 + counts[BUS_PING] ? &announcements
                                                                          : &heartbeats;
}

static void tell(const struct detection *detection, size_t index, const struct talker *talker) {
    const struct model *model = detection->model;
    const struct flood_kind *kind = kind_of(talker->peak_counts);
    uint64_t published = talker->peak_counts[BUS_PUBLISH] + talker->peak_counts[BUS_PUBLISHSHARD];
    char name[ENDPOINT_TEXT];
    model_node_text(model, index, name);
    struct finding *finding = finding_new("bus-flood", kind->severity, talker->first);
    finding_title(finding, "%s sends %" PRIu64 " bus messages a second", name, talker->peak);
    if (published)
        finding_explain(finding, "Over ten seconds, %" PRIu64 " %% of them PUBLISH.",
                        published * 100 / messages_sum(talker->peak_counts));
    finding_explain(finding, "%s; the longest wait for a PONG of this node was %.1f ms.",
                    kind->means, (double)worst_pong(model, index) / (double)NS_PER_MS);
    finding_advise(finding, "%s", kind->advice);
    finding_node(finding, model_node(model, index)->id);
    struct place place = place_of_stamp(talker->peak_at);
    finding_evidence(finding, &place, "one of them, when there were most");
    measure(finding, model, index, talker);
    finding_ends(finding, talker->last, kind->verdict);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct flood *flood = state;
    for (size_t i = 0; i < flood->count; i++)
        if (flood->talkers[i] && flood->talkers[i]->peak)
            tell(detection, i, flood->talkers[i]);
}

static void dispose(void *state) {
    struct flood *flood = state;
    for (size_t i = 0; i < flood->count; i++)
        free(flood->talkers[i]);
    free(flood->talkers);
}

const struct detector detect_bus_flood = {
    .name = "bus-flood",
    .help = "a node sends more bus messages than the bus is meant for",
    .state = sizeof(struct flood),
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
