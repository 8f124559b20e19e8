/* incident.c - links findings by a table of what can lead to what.
 *
 * Two findings are linked if a row has their types, they overlap in time or nearly so, and they
 * concern the same nodes or slots; what is felt in the whole cluster needs only the time. */
#include "analysis/incident.h"

#include <stdlib.h>

#include "decode/slot_set.h"

/* For each effect the most direct cause first: that one is told as its cause. */
const struct incident_row incident_rows[] = {
    {"slow-commands", "process-stall", 1, SAME},
    {"big-key", "process-stall", 1, SAME},

    {"process-stall", "gossip-loss", 2, SAME},
    {"slow-commands", "gossip-loss", 2, SAME},
    {"big-key", "gossip-loss", 2, SAME},
    {"bus-unreachable", "gossip-loss", 10, SAME},
    {"partition", "gossip-loss", 2, SAME},
    {"bus-flood", "gossip-loss", 2, SAME},

    {"process-stall", "node-suspected", 2, SAME},
    {"slow-commands", "node-suspected", 2, SAME},
    {"big-key", "node-suspected", 2, SAME},
    {"bus-unreachable", "node-suspected", 2, SAME},
    {"partition", "node-suspected", 2, SAME},
    {"bus-flood", "node-suspected", 2, SAME},

    {"process-stall", "node-failed", 2, SAME},
    {"slow-commands", "node-failed", 2, SAME},
    {"big-key", "node-failed", 2, SAME},
    {"bus-unreachable", "node-failed", 2, SAME},
    {"partition", "node-failed", 2, SAME},
    {"bus-flood", "node-failed", 2, SAME},
    {"gossip-loss", "node-failed", 2, SAME},
    {"node-identity-changed", "node-failed", 2, SAME},

    {"process-stall", "link-flap", 2, SAME},
    {"bus-unreachable", "link-flap", 2, SAME},
    {"partition", "link-flap", 2, SAME},
    {"gossip-loss", "link-flap", 2, SAME},

    {"node-failed", "failover", 1, SAME},
    {"process-stall", "failover", 1, SAME},
    {"bus-unreachable", "failover", 1, SAME},
    {"partition", "failover", 1, SAME},

    {"node-failed", "failover-failed", 1, SAME},
    {"process-stall", "failover-failed", 1, SAME},
    {"bus-unreachable", "failover-failed", 1, SAME},
    {"partition", "failover-failed", 1, SAME},
    {"node-suspected", "failover-failed", 10, SAME},
    {"replication-lag", "failover-failed", 10, SAME},

    {"process-stall", "replication-lag", 5, SAME},
    {"partition", "replication-lag", 10, SAME},
    {"full-resync-loop", "replication-lag", 10, SAME},

    {"node-failed", "slot-uncovered", 1, SAME},
    {"process-stall", "slot-uncovered", 1, SAME},
    {"bus-unreachable", "slot-uncovered", 1, SAME},
    {"partition", "slot-uncovered", 1, SAME},
    {"failover-failed", "slot-uncovered", 1, SAME},

    {"node-failed", "cluster-down", 2, ANYWHERE},
    {"slot-uncovered", "cluster-down", 2, ANYWHERE},
    {"process-stall", "cluster-down", 2, ANYWHERE},
    {"bus-unreachable", "cluster-down", 2, ANYWHERE},
    {"partition", "cluster-down", 2, ANYWHERE},
    {"node-suspected", "cluster-down", 2, ANYWHERE},
    {"failover-failed", "cluster-down", 2, ANYWHERE},
    {"node-identity-changed", "cluster-down", 2, SAME},

    {"failover", "split-brain", 10, SAME},
    {"partition", "split-brain", 10, SAME},

    {"failover", "epoch-collision", 10, SAME},
    {"partition", "epoch-collision", 10, SAME},

    /* Writes can be lost from the moment on in which the replica stopped to hear of them. */
    {"split-brain", "lost-writes", 30, SAME},
    {"failover", "lost-writes", 30, SAME},
    {"partition", "lost-writes", 30, SAME},
    {"replication-lag", "lost-writes", 30, SAME},
    {"node-failed", "lost-writes", 30, SAME},
    {"node-suspected", "lost-writes", 30, SAME},

    {"migration-saturation", "migration-failed", 2, SAME},
    {"migration-saturation", "process-stall", 2, SAME},
    {"migration-saturation", "node-suspected", 2, SAME},
    {"migration-saturation", "node-failed", 2, SAME},
    {"migration-saturation", "gossip-loss", 2, SAME},
    {"migration-saturation", "slow-commands", 2, SAME},
    {"migration-failed", "slot-stuck", 30, SAME},
    {"slot-stuck", "redirect-loop", 2, SAME},
    {"redirect-loop", "redirect-storm", 2, SAME},
    {"slot-stuck", "redirect-storm", 2, SAME},
    {"slot-migration", "redirect-storm", 10, SAME},
    {"slot-migration", "bus-flood", 10, SAME},
    {"failover", "redirect-storm", 10, ANYWHERE},
    {"cluster-down", "redirect-storm", 10, ANYWHERE},
    {"partition", "redirect-storm", 10, ANYWHERE},

    {"redirect-storm", "refresh-storm", 5, ANYWHERE},
    {"cluster-down", "refresh-storm", 10, ANYWHERE},
    {"failover", "refresh-storm", 10, ANYWHERE},
    {"node-failed", "refresh-storm", 10, ANYWHERE},

    {"node-failed", "connection-storm", 10, SAME},
    {"node-suspected", "connection-storm", 10, SAME},
    {"failover", "connection-storm", 10, SAME},

    {"memory-pressure", "error-burst OOM", 10, SAME},
    {"cluster-down", "error-burst", 10, ANYWHERE},
    {"failover", "error-burst", 10, ANYWHERE},
    {"node-failed", "error-burst", 10, ANYWHERE},
};
const size_t incident_row_count = countof(incident_rows);

/* ---- may one have led to the other? ---- */

static bool is_effect(const struct incident_row *row, const struct finding *finding) {
    size_t type = strlen(finding->type);
    const char *verdict = row->effect + type;
    if (strncmp(row->effect, finding->type, type) != 0)
        return false;
    return *verdict == '\0' || (*verdict == ' ' && strcmp(verdict + 1, finding->verdict) == 0);
}

static bool share_nodes(const struct finding *a, const struct finding *b) {
    for (const struct value *item = a->nodes.first; item; item = item->next)
        if (value_has_node(&b->nodes, item->node))
            return true;
    return false;
}

static bool subjects_meet(const struct incident_row *row, const struct finding *cause,
                          const struct finding *effect) {
    return row->where == ANYWHERE || share_nodes(cause, effect) ||
           slots_meet(cause->slots, effect->slots);
}

/* Does `first` end at most this long before `second` begins? */
static bool reaches(const struct finding *first, const struct finding *second, nstime apart) {
    return first->end == TIME_NONE || first->end + apart >= second->start;
}

static bool may_lead_to(const struct incident_row *row, const struct finding *cause,
                        const struct finding *effect) {
    nstime apart = row->apart * NS_PER_SEC;
    return cause != effect && strcmp(cause->type, row->cause) == 0 &&
           reaches(cause, effect, apart) && reaches(effect, cause, apart) &&
           cause->start <= effect->start + apart && subjects_meet(row, cause, effect);
}

/* ---- incidents: sets of findings, each named by one of its members ---- */

struct set {
    size_t parent; /* itself, if the set is named by it; then: */
    size_t members, incident;
    nstime start;
};

static size_t name_of(struct set *sets, size_t member) {
    while (sets[member].parent != member)
        member = sets[member].parent = sets[sets[member].parent].parent;
    return member;
}

/* Of several causes of one type the last to begin before the effect, else the first one. */
static bool is_nearer(const struct finding *cause, const struct finding *than,
                      const struct finding *effect) {
    bool before = cause->start <= effect->start, than_before = than->start <= effect->start;
    if (before != than_before)
        return before;
    return before ? cause->start > than->start : cause->start < than->start;
}

static void link_by(const struct incident_row *row, struct finding *const *findings, size_t count,
                    struct set *sets, size_t effect) {
    const struct finding *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!may_lead_to(row, findings[i], findings[effect]))
            continue;
        sets[name_of(sets, i)].parent = name_of(sets, effect);
        if (!nearest || is_nearer(findings[i], nearest, findings[effect]))
            nearest = findings[i];
    }
    if (!findings[effect]->cause)
        findings[effect]->cause = nearest;
}

/* Numbers the sets of more than one, the earliest first. */
static void number(struct set *sets, size_t count) {
    for (size_t next = 1;; next++) {
        struct set *first = NULL;
        for (size_t i = 0; i < count; i++)
            if (sets[i].members > 1 && !sets[i].incident &&
                (!first || sets[i].start < first->start))
                first = &sets[i];
        if (!first)
            return;
        first->incident = next;
    }
}

static void name_incidents(struct finding *const *findings, size_t count, struct set *sets) {
    for (size_t i = 0; i < count; i++) {
        struct set *set = &sets[name_of(sets, i)];
        if (set->members++ == 0 || findings[i]->start < set->start)
            set->start = findings[i]->start;
    }
    number(sets, count);
    for (size_t i = 0; i < count; i++)
        findings[i]->incident = sets[name_of(sets, i)].incident;
}

void incident_link(struct finding *const *findings, size_t count) {
    struct set *sets = calloc(count + 1, sizeof *sets);
    if (!sets) /* then each stands alone */
        return;
    for (size_t i = 0; i < count; i++)
        sets[i].parent = i;
    for (size_t effect = 0; effect < count; effect++)
        for (size_t i = 0; i < incident_row_count; i++)
            if (is_effect(&incident_rows[i], findings[effect]))
                link_by(&incident_rows[i], findings, count, sets, effect);
    name_incidents(findings, count, sets);
    free(sets);
}
