/* detect_slot_migration.c - slots moved from one primary to another: which, how many keys, how
 * long.
 *
 * A slot has moved when one primary claims it and the other one, still a primary, claims it no
 * more. (After a failover the former one is a replica, or silent.) What moves between the same two
 * without a pause is one migration. */
#include "analysis/detector.h"
#include "analysis/model_clients.h"
#include "analysis/model_migrations.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdlib.h>

/* Both sides of a handover are told within that time; a longer pause ends a migration. */
static const nstime HANDOVER = 30 * NS_PER_SEC, PAUSE = 10 * NS_PER_SEC;

struct claim {
    uint32_t node;
    nstime time; /* 0: none */
};

struct move {
    uint32_t from, to;
    nstime first, last;
    struct place place;
    size_t count;
    uint8_t slots[BUS_SLOT_BYTES];
};

struct moves {
    struct claim *gained, *lost; /* BUS_SLOTS each; NULL: nothing changed hands so far */
    struct move *list;
    size_t count, room;
};

static bool know_slots(struct moves *moves) {
    if (!moves->gained)
        moves->gained = calloc(BUS_SLOTS, sizeof *moves->gained);
    if (!moves->lost)
        moves->lost = calloc(BUS_SLOTS, sizeof *moves->lost);
    return moves->gained && moves->lost;
}

static struct move *move_between(struct moves *moves, uint32_t from, uint32_t to,
                                 const struct event *event) {
    for (size_t i = 0; i < moves->count; i++)
        if (moves->list[i].from == from && moves->list[i].to == to)
            return &moves->list[i];
    if (moves->count == moves->room) {
        size_t room = moves->room ? moves->room * 2 : 4;
        struct move *list = realloc(moves->list, room * sizeof *list);
        if (!list)
            return NULL;
        moves->list = list;
        moves->room = room;
    }
    struct move *move = &moves->list[moves->count++];
    *move = (struct move){.from = from, .to = to, .first = event->time, .place = place_of(event)};
    return move;
}

static void has_moved(struct moves *moves, uint32_t slot, uint32_t from, uint32_t to,
                      const struct event *event) {
    struct move *move = move_between(moves, from, to, event);
    moves->gained[slot].time = moves->lost[slot].time = 0;
    if (!move)
        return;
    move->last = event->time;
    move->count += !(move->slots[slot >> 3] & 1u << (slot & 7));
    move->slots[slot >> 3] |= (uint8_t)(1u << (slot & 7));
}

static bool is_met(const struct claim *claim, uint32_t node, nstime now) {
    return claim->time && claim->node != node && now - claim->time < HANDOVER;
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct moves *moves = state;
    uint32_t node = model_index_of(detection->model, event->node_slots.node);
    if (node == NODE_NONE || !know_slots(moves))
        return;
    bool primary = !model_node(detection->model, node)->replica;
    for (uint32_t slot = 0; slot < BUS_SLOTS; slot++) {
        uint8_t bit = (uint8_t)(1u << (slot & 7));
        struct claim now = {node, event->time};
        if (event->node_slots.gained[slot >> 3] & bit) {
            moves->gained[slot] = now;
            if (is_met(&moves->lost[slot], node, event->time))
                has_moved(moves, slot, moves->lost[slot].node, node, event);
        } else if (event->node_slots.lost[slot >> 3] & bit && primary) {
            moves->lost[slot] = now;
            if (is_met(&moves->gained[slot], node, event->time))
                has_moved(moves, slot, node, moves->gained[slot].node, event);
        }
    }
}

/* ---- telling it ---- */

static bool is_at(const struct model *model, uint32_t node, const struct endpoint *host) {
    const struct node *n = model_node(model, node);
    return n->addr_known && memcmp(n->addr.ip, host->ip, sizeof host->ip) == 0;
}

static const struct migration *keys_of(const struct model *model, const struct move *move) {
    for (size_t i = 0; i < model_migration_count(model); i++) {
        const struct migration *m = model_migration(model, i);
        if (is_at(model, move->from, &m->source) && is_at(model, move->to, &m->target))
            return m;
    }
    return NULL;
}

/* The connection of an atomic migration, either way round. */
static const struct replication *stream_of(const struct model *model, const struct move *move) {
    for (size_t i = 0; i < model_replication_count(model); i++) {
        const struct replication *r = model_replication(model, i);
        bool there = is_at(model, move->from, &r->primary) && is_at(model, move->to, &r->replica);
        bool back = is_at(model, move->to, &r->primary) && is_at(model, move->from, &r->replica);
        if (r->kind && strcmp(r->kind, "migration") == 0 && (there || back))
            return r;
    }
    return NULL;
}

/* What the two sent each other for it; at most one of them is known. */
struct transfer {
    const struct migration *keys;
    const struct replication *stream;
    nstime first;
};

static struct transfer transfer_of(const struct model *model, const struct move *move) {
    struct transfer transfer = {.keys = keys_of(model, move)};
    if (!transfer.keys)
        transfer.stream = stream_of(model, move);
    nstime first = transfer.keys     ? transfer.keys->first.time
                   : transfer.stream ? transfer.stream->first
                                     : move->first;
    transfer.first = first < move->first ? first : move->first;
    return transfer;
}

static void measure(const struct model *model, struct finding *finding, const struct move *move,
                    const struct transfer *transfer) {
    struct value *metrics = finding_metrics(finding);
    const struct migration *keys = transfer->keys;
    const struct replication *stream = transfer->stream;
    value_slots(metrics, "slots", move->slots);
    value_node(metrics, "source", model_node(model, move->from)->id);
    value_node(metrics, "target", model_node(model, move->to)->id);
    if (!stream)
        value_number(metrics, "keys", keys ? keys->keys : 0);
    value_number(metrics, "bytes", keys ? keys->bytes : stream ? stream->stream_bytes : 0);
    value_number(metrics, "duration_ms", (uint64_t)((move->last - transfer->first) / NS_PER_MS));
    value_text(metrics, "kind", stream ? "atomic" : "migrate");
    value_text(metrics, "outcome", "completed");
    if (stream)
        finding_caveat(finding, "the stream of an atomic migration does not tell how many keys are "
                                "in it: bytes are all of it");
    if (keys)
        finding_evidence(finding, &keys->first, "the first key goes");
}

static void tell(const struct detection *detection, const struct move *move) {
    const struct model *model = detection->model;
    char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
    model_node_text(model, move->from, from);
    model_node_text(model, move->to, to);
    struct transfer transfer = transfer_of(model, move);
    struct finding *finding = finding_new("slot-migration", SEVERITY_INFO, transfer.first);
    finding_title(finding, "%zu slot%s moved from %s to %s", move->count,
                  move->count == 1 ? "" : "s", from, to);
    finding_explain(finding,
                    "Both were primaries before and after: it was handed over, not taken.");
    measure(model, finding, move, &transfer);
    finding_evidence(finding, &move->place, "the first slot is handed over");
    finding_node(finding, model_node(model, move->from)->id);
    finding_node(finding, model_node(model, move->to)->id);
    finding_slots(finding, move->slots);
    finding_ends(finding, move->last, "administrative");
    detection_report(detection, finding);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct moves *moves = state;
    for (size_t i = 0; i < moves->count;) {
        if (now - moves->list[i].last < PAUSE) {
            i++;
            continue;
        }
        tell(detection, &moves->list[i]);
        moves->list[i] = moves->list[--moves->count];
    }
}

static void finish(const struct detection *detection, void *state) {
    const struct moves *moves = state;
    for (size_t i = 0; i < moves->count; i++)
        tell(detection, &moves->list[i]);
}

static void dispose(void *state) {
    struct moves *moves = state;
    free(moves->gained);
    free(moves->lost);
    free(moves->list);
}

const struct detector detect_slot_migration = {
    .name = "slot-migration",
    .help = "slots moved from one primary to another",
    .wants = EVENT_BIT(node_slots),
    .state = sizeof(struct moves),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
