/* partition_finding.c - what is said of a cluster that fell into sides: who is where, which side
 * can elect, and how it is known. */
#include "analysis/partition.h"

/* The side with more than half of the primaries that own slots; SIDES_MAX: none has. */
static size_t majority(const struct model *model, const struct sides *sides) {
    size_t voters = 0, in[SIDES_MAX] = {0};
    for (uint32_t i = 0; i < sides->nodes; i++) {
        if (!model_is_voter(model, i))
            continue;
        voters++;
        if (sides->of[i] < SIDES_MAX)
            in[sides->of[i]]++;
    }
    for (size_t side = 0; side < sides->count; side++)
        if (in[side] * 2 > voters)
            return side;
    return SIDES_MAX;
}

static bool has_voter(const struct model *model, const struct sides *sides, size_t side) {
    for (uint32_t i = 0; i < sides->nodes; i++)
        if (sides->of[i] == side && model_is_voter(model, i))
            return true;
    return false;
}

static void measure(const struct detection *detection, const struct sides *sides,
                    struct finding *finding) {
    const struct model *model = detection->model;
    struct value *list = value_list(finding_metrics(finding), "sides");
    size_t most = majority(model, sides);
    for (size_t side = 0; side < sides->count; side++) {
        struct value *members = value_list(list, NULL);
        for (uint32_t i = 0; i < sides->nodes; i++) {
            if (sides->of[i] != side)
                continue;
            value_node(members, NULL, model_node(model, i)->id);
            finding_node(finding, model_node(model, i)->id);
        }
    }
    if (most < SIDES_MAX)
        value_number(finding_metrics(finding), "majority_side", most);
    else
        finding_caveat(finding, "there is no side of the majority");
}

void sides_tell(const struct detection *detection, const struct sides *sides, nstime end) {
    const struct model *model = detection->model;
    size_t most = majority(model, sides), serving = 0;
    for (size_t side = 0; side < sides->count; side++)
        serving += has_voter(model, sides, side);
    struct finding *finding =
        finding_new("partition", serving > 1 ? SEVERITY_CRITICAL : SEVERITY_WARNING, sides->since);
    finding_title(finding, "The cluster fell into %zu sides that did not hear each other",
                  sides->count);
    if (sides->unseen)
        finding_explain(finding, "Nothing was seen to pass between them, not even attempts to "
                                 "connect, while both sides lived and missed each other: packets "
                                 "are lost on the hosts themselves (a firewall there), or before "
                                 "they come to where the capture was taken.");
    else
        finding_explain(finding, "What nodes of one side sent to the other was not acknowledged, "
                                 "while both sides lived.");
    if (most < SIDES_MAX)
        finding_explain(finding, "One side has most of the primaries and can elect new ones; the "
                                 "primaries of the other accept writes until their node timeout "
                                 "has passed, and these are lost if somebody else takes over.");
    else
        finding_explain(finding, "No side has most of the primaries: no failover is possible, and "
                                 "all stop to serve after the node timeout.");
    struct place passed = place_of_stamp(sides->passed);
    finding_evidence(finding, &passed, "the last message that went across");
    finding_evidence(finding, &sides->place, "the first attempt across that was not answered");
    measure(detection, sides, finding);
    finding_advise(finding, "look at the network between these hosts; do not use CLUSTER FAILOVER "
                            "TAKEOVER while it lasts, unless the other side is known to be down");
    if (sides->unseen)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (sides->alone) {
        if (sides->count == 2)
            finding_caveat(finding, "the others are told as one side: whether they heard each "
                                    "other cannot be seen from this host");
        else
            finding_caveat(finding, "which of the others heard each other is known from what "
                                    "they said when they were heard again");
        finding_caveat(finding,
                       sides->unproven
                           ? "seen from one host only: that the others lived is known from "
                             "what they said when they were heard again"
                           : "seen from one side only: that the others lived is not proven");
        finding_caveat(finding, "packets that are lost in one direction only look the same from "
                                "here: a capture on a host of the other side tells, by whether "
                                "packets of this one arrive there");
        finding_doubt(finding, CONFIDENCE_LIKELY);
    }
    finding_rests_on_unseen(finding);
    finding_ends(finding, end, "network");
    detection_report(detection, finding);
}
