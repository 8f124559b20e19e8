/* model_handover.c - slots that move at once, over a connection of their own (CLUSTER SYNCSLOTS):
 * their keys come as the commands that make them, then the writes of clients since, and the target
 * claims the slots when it has all.
 *
 *   Valkey 9    the source connects: ESTABLISH, then all on that connection; PAUSED,
 *               FAILOVER-GRANTED
 *   Redis 8.4   the target connects, twice: SYNC for the writes, RDBCHANNEL for the keys;
 *               STREAM-EOF
 */
#include "analysis/model_moves.h"

struct join {
    struct move move;
    bool pushes;   /* the source asks; else the target does */
    bool snapshot; /* the keys come over it */
    bool source_known;
    char source[BUS_NODE_ID];
    uint32_t job; /* a hash of its name */
    uint8_t slots[BUS_SLOT_BYTES];
};

/* ---- who asks ---- */

/* Pairs of numbers: from, to. */
static void read_slots(struct join *join, const struct event *event, size_t at) {
    uint32_t first, last;
    while (move_number(move_word(event, at), BUS_SLOTS - 1, &first) &&
           move_number(move_word(event, at + 1), BUS_SLOTS - 1, &last)) {
        for (uint32_t slot = first; slot <= last; slot++)
            slots_add(join->slots, slot);
        at += 2;
    }
}

static uint32_t job_of(const struct model *model, struct bytes name) {
    return name.len ? move_hash(model, name) : 0;
}

/* ESTABLISH SOURCE id NAME job SLOTSRANGE from to ... */
static void read_establish(const struct model *model, struct join *join,
                           const struct event *event) {
    join->pushes = join->snapshot = true;
    for (size_t i = 3; i + 1 < event->move_asked.asked.args->kept; i++) {
        struct bytes value = move_word(event, i + 1);
        if (bytes_are_word(move_word(event, i), "source") && value.len == BUS_NODE_ID) {
            memcpy(join->source, value.data, BUS_NODE_ID);
            join->source_known = true;
        } else if (bytes_are_word(move_word(event, i), "name"))
            join->job = job_of(model, value);
        else if (bytes_are_word(move_word(event, i), "slotsrange"))
            read_slots(join, event, i + 1);
    }
}

static struct move *syncslots_asked(struct model *model, struct moves *moves,
                                    const struct event *event) {
    struct bytes word = move_word(event, 2);
    struct join *join = model_new_move(model, sizeof *join);
    (void)moves;
    if (!join)
        return NULL;
    join->job = job_of(model, move_word(event, 3));
    join->snapshot = bytes_are_word(word, "rdbchannel");
    if (bytes_are_word(word, "establish"))
        read_establish(model, join, event);
    else if (bytes_are_word(word, "sync"))
        read_slots(join, event, 4);
    return &join->move;
}

/* The administrator's order: who gave it is told with the migration that comes of it. */
static struct move *migrateslots_asked(struct model *model, struct moves *moves,
                                       const struct event *event) {
    (void)moves;
    model->migrations.ordered_at = event->flow->ends[!event->direction];
    model->migrations.ordered_by = event->flow->ends[event->direction];
    return NULL;
}

const struct move_kind move_migrateslots = {
    .command = "cluster|migrateslots",
    .asked = migrateslots_asked,
};

/* ---- it is accepted ---- */

static struct endpoint host_of(const struct model *model, const struct endpoint *end) {
    uint32_t index = model_node_by_ip(model, end);
    struct endpoint host = *end;
    host.port = 0;
    return index == NODE_NONE ? host : model_node(model, index)->addr;
}

static struct endpoint source_of(const struct model *model, const struct join *join,
                                 const struct event *event) {
    uint32_t index = join->source_known ? model_index_of(model, join->source) : NODE_NONE;
    if (index != NODE_NONE && model_node(model, index)->addr_known)
        return model_node(model, index)->addr;
    return host_of(model, &event->flow->ends[!event->direction]);
}

/* One of the same job, or a new one. */
static struct migration *migration_of(struct model *model, const struct join *join,
                                      const struct event *event) {
    const struct endpoint *asked = &event->flow->ends[event->direction];
    const struct endpoint *asks = &event->flow->ends[!event->direction];
    struct endpoint source = join->pushes ? source_of(model, join, event) : *asked;
    struct endpoint target = join->pushes ? *asked : host_of(model, asks);
    struct migration *m = model_migration_at(model, &source, &target, true);
    if (m && !m->asked_by_known && endpoint_equal(&source, &model->migrations.ordered_at)) {
        m->asked_by = model->migrations.ordered_by;
        m->asked_by_known = true;
    }
    return m;
}

static void begin_handover(struct model *model, struct moves *moves, const struct join *join,
                           struct migration *m) {
    for (size_t i = 0; i < BUS_SLOT_BYTES; i++) {
        m->slots[i] |= join->slots[i];
        m->given[i] &= (uint8_t)~join->slots[i];
    }
    m->handover = m->job == join->job ? m->handover : HANDOVER_NONE;
    m->job = moves->job = join->job;
    m->opened = true;
    moves->migration = m;
    moves->snapshot = join->snapshot;
    moves->whole = join->pushes || !join->snapshot;
    m->jobs += moves->whole;
    model_migration_moves(model, m, NOT_KNOWN);
}

static void syncslots_answered(struct model *model, struct moves *moves, struct move *move,
                               const struct event *event) {
    const struct join *join = (const struct join *)move;
    struct migration *m = event->move_answered.failed ? NULL : migration_of(model, join, event);
    if (m)
        begin_handover(model, moves, join, m);
    model_free_move(model, move);
}

const struct move_kind move_syncslots = {
    .command = "cluster|syncslots",
    .asked = syncslots_asked,
    .answered = syncslots_answered,
    .dropped = model_free_move,
};

/* ---- what it carries ---- */

static void on_copied(struct migration *m, struct moves *moves, nstime now) {
    (void)now;
    moves->snapshot = false;
    m->handover = HANDOVER_COPIED;
}

static void on_paused(struct migration *m, struct moves *moves, nstime now) {
    (void)moves;
    m->handover = HANDOVER_PAUSED;
    m->paused = now;
}

static void on_granted(struct migration *m, struct moves *moves, nstime now) {
    moves->granted = true;
    m->handover = HANDOVER_GRANTED;
    m->resumed = now;
}

/* The target forgets what it has got. */
static void throw_away(struct migration *m, struct moves *moves) {
    m->keys -= moves->cargo.keys;
    m->bytes -= moves->cargo.bytes;
    m->thrown.keys += moves->cargo.keys;
    m->thrown.bytes += moves->cargo.bytes;
    moves->cargo = (struct cargo){0};
}

static void on_failed(struct migration *m, struct moves *moves, nstime now) {
    (void)now;
    m->handover = HANDOVER_BROKEN;
    throw_away(m, moves);
    by_word_add(&m->errors, bytes_str("fail"), 1);
}

static const struct word_row {
    const char *word;
    void (*learn)(struct migration *migration, struct moves *moves, nstime now);
} word_rows[] = {
    {"snapshot-eof", on_copied}, {"paused", on_paused}, {"failover-granted", on_granted},
    {"stream-eof", on_granted},  {"fail", on_failed},
};

static void on_word(struct migration *m, struct moves *moves, struct bytes word, nstime now) {
    for (size_t i = 0; i < countof(word_rows); i++)
        if (bytes_are_word(word, word_rows[i].word))
            word_rows[i].learn(m, moves, now);
}

/* Several commands in a row may make up one key. */
static void count_key(const struct model *model, struct moves *moves, struct migration *m,
                      const struct event *event) {
    const struct request_keys *keys = &event->replicated.keys;
    struct bytes key =
        keys->command ? command_first_key(keys->command, keys->args) : bytes_of(NULL, 0);
    if (key.len == 0)
        return;
    uint32_t hash = move_hash(model, key);
    m->keys += hash != moves->last_key;
    moves->cargo.keys += hash != moves->last_key;
    moves->last_key = hash;
}

void model_handover_streamed(struct model *model, struct moves *moves, const struct event *event,
                             bool by_source) {
    const struct ev_replicated *replicated = &event->replicated;
    const struct request_args *args = replicated->keys.args;
    struct migration *m = moves->migration;
    if (!m)
        return;
    if (event->time > m->last)
        m->last = event->time;
    if (replicated->command && replicated->command->reply == REPLY_SYNCSLOTS) {
        on_word(m, moves, args->kept > 2 ? args->list[2] : bytes_of(NULL, 0), event->time);
        return;
    }
    if (!by_source)
        return;
    m->bytes += replicated->bytes;
    moves->cargo.bytes += replicated->bytes;
    if (moves->snapshot)
        count_key(model, moves, m, event);
    else
        m->writes += replicated->write;
}

/* The connection of Redis' snapshot ends when that is complete. At the end of the capture
 * connections are still open. Another job may have begun meanwhile. */
void model_handover_ended(struct moves *moves, const struct flow *flow) {
    struct migration *m = moves->migration;
    bool early = moves->whole ? !moves->granted : moves->snapshot, latest = m->job == moves->job;
    if (!early || flow->close == FLOW_OPEN || (latest && m->handover == HANDOVER_BROKEN))
        return;
    throw_away(m, moves);
    by_word_add(&m->errors, bytes_str("closed"), 1);
    m->handover = latest ? HANDOVER_BROKEN : m->handover;
}
