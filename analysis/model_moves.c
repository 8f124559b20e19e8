/* model_moves.c - MIGRATE, the requests by which its source hands the keys over, and SETSLOT.
 *
 *   client > source   MIGRATE target ... KEYS a b        a call; the source does nothing else
 * meanwhile source > target   RESTORE-ASKING a, RESTORE-ASKING b      each key's request, in one go
 *   target > source   +OK, +OK                                then the source deletes a and b
 *   source > client   +OK
 *
 * A call that fails leaves doubt about its keys. The source deletes those that the target took in
 * time, once it has sent all of them; not one if the target refused AUTH or SELECT. What it gave up
 * waiting for is carried out all the same, and even what it had only begun to send may arrive later
 * on the same connection. A key that the target says it has (BUSYKEY), or whose whole request it
 * acknowledged, is on both sides then. */
#include <stdlib.h>

#include "analysis/model_moves.h"
#include "base/limits.h"

/* ---- records ---- */

enum answer { ANSWER_NONE, ANSWER_OK, ANSWER_BUSY, ANSWER_REFUSED };

/* One key's request. */
struct restore {
    struct move move;
    struct restore *next;  /* of its call */
    struct restore *older; /* about the same key, if it is doubtful */
    struct call *call;     /* NULL: not known, or it is settled */
    struct migration *migration;
    bool queued;    /* on its connection: `move` waits */
    bool doubtful;  /* it stays, for its call failed */
    bool settled;   /* counted */
    bool delivered; /* the target's TCP has acknowledged all of it */
    bool again;     /* later the key could be restored without REPLACE: it was not there any more */
    bool replace;
    uint8_t answer;  /* enum answer */
    nstime answered; /* when */
    uint32_t end;    /* sequence number behind it */
    uint16_t slot;
    uint64_t bytes;
    uint32_t key_hash;
    uint32_t key_len; /* 0: not kept */
    uint8_t key[];
};

struct call {
    struct move move;
    struct call *next;
    struct endpoint source, target;
    bool target_known;     /* else its port only */
    bool copy;             /* the source keeps its keys, as it was told */
    bool failed, broken;   /* broken: its connection is given up, but what is sent may arrive */
    bool refused_first;    /* the target refused AUTH or SELECT, and took all keys */
    struct moves *carrier; /* the connection with its keys; NULL: not known, or ended */
    struct migration *migration; /* NULL: not known yet */
    uint64_t slot, keys;
    nstime timeout; /* of each step of its I/O */
    struct restore *first, *last;
    uint64_t count; /* of these */
};

struct setslot {
    struct move move;
    uint16_t slot;
    uint8_t verb; /* enum verb */
    bool id_known;
    char id[BUS_NODE_ID];
};

struct move_row {
    const char *name; /* of the command */
    struct move *(*asked)(struct model *model, struct moves *moves, const struct event *event);
    void (*answered)(struct model *model, struct moves *moves, struct move *move,
                     const struct event *event);
    void (*dropped)(struct model *model, struct moves *moves, struct move *move);
};

void *model_new_move(struct model *model, size_t size) {
    struct model_migrations *migrations = &model->migrations;
    void *move = migrations->rows < CAP_MOVES ? calloc(1, size) : NULL;
    if (!move) {
        model->books.moves_over_cap++;
        return NULL;
    }
    migrations->rows++;
    return move;
}

static void free_move(struct model *model, void *move) {
    model->migrations.rows--;
    free(move);
}

/* Nobody points to it any more? */
static void release(struct model *model, struct restore *restore) {
    if (restore->queued || restore->call || restore->doubtful)
        return;
    model->migrations.key_bytes -= restore->key_len;
    free_move(model, restore);
}

/* ---- keys in doubt ---- */

static bool same_key(const struct restore *a, const struct restore *b) {
    return a->key_len == b->key_len && a->key_len > 0 && memcmp(a->key, b->key, a->key_len) == 0;
}

static bool is_same_key(const void *owner, uint32_t index, const void *restore) {
    const struct model_migrations *migrations = owner;
    return same_key(migrations->doubtful[index], restore);
}

static uint32_t find_doubtful(const struct model_migrations *migrations,
                              const struct restore *restore) {
    return table_find(&migrations->doubtful_index, restore->key_hash, is_same_key, migrations,
                      restore);
}

static void doubt(struct model *model, struct restore *restore) {
    struct model_migrations *migrations = &model->migrations;
    if (restore->doubtful)
        return;
    uint32_t index = find_doubtful(migrations, restore);
    restore->doubtful = true;
    if (index != TABLE_NONE) {
        restore->older = migrations->doubtful[index];
        migrations->doubtful[index] = restore;
        return;
    }
    struct restore **list = list_with_room(migrations->doubtful, migrations->doubtful_count,
                                           &migrations->doubtful_room, sizeof(struct restore *));
    if (list)
        migrations->doubtful = list;
    bool known = restore->key_len > 0;
    if (!list || (known && !table_add(&migrations->doubtful_index, restore->key_hash,
                                      migrations->doubtful_count))) {
        restore->doubtful = false;
        return;
    }
    list[migrations->doubtful_count++] = restore;
}

/* The target took the key as a new one: what was said of it before is over. */
static void refute(struct model *model, const struct restore *restore) {
    struct model_migrations *migrations = &model->migrations;
    uint32_t index = migrations->doubtful_count ? find_doubtful(migrations, restore) : TABLE_NONE;
    if (index == TABLE_NONE || restore->replace)
        return;
    for (struct restore *r = migrations->doubtful[index]; r; r = r->older)
        r->again |= r != restore;
}

/* Was the key on both sides, as this request tells? One that is known by its delivery alone is not
 * believed if the key was not there later. */
static bool was_on_both(const struct restore *restore) {
    return restore->answer == ANSWER_OK || restore->answer == ANSWER_BUSY ||
           (restore->answer == ANSWER_NONE && restore->delivered && !restore->again);
}

static bool is_at_risk(const struct restore *restore) {
    return restore->answer != ANSWER_REFUSED && !(restore->answer == ANSWER_NONE && restore->again);
}

/* What all requests about the key say together. False: it was nowhere but at its source. */
static bool judge(const struct restore *restore, struct doubtful *ret_doubtful) {
    bool at_risk = false;
    *ret_doubtful = (struct doubtful){.migration = restore->migration,
                                      .slot = restore->slot,
                                      .bytes = restore->bytes,
                                      .gone = true,
                                      .key = bytes_of(restore->key, restore->key_len)};
    for (const struct restore *r = restore; r; r = r->older) {
        at_risk |= is_at_risk(r);
        ret_doubtful->both |= was_on_both(r);
        ret_doubtful->gone &= r->again;
    }
    return at_risk;
}

void model_migration_doubtful(const struct model *model, const struct migration *migration,
                              void (*visit)(void *context, const struct doubtful *doubtful),
                              void *context) {
    const struct model_migrations *migrations = &model->migrations;
    struct doubtful doubtful;
    for (uint32_t i = 0; i < migrations->doubtful_count; i++) {
        const struct restore *restore = migrations->doubtful[i];
        if (restore->migration == migration && judge(restore, &doubtful))
            visit(context, &doubtful);
    }
}

/* ---- MIGRATE ---- */

/* A host name is one that a node announces; else the port must do. */
static void learn_target(const struct model *model, struct call *call, const struct event *event) {
    struct bytes host = move_word(event, 1);
    uint32_t port = 0;
    move_number(move_word(event, 2), UINT16_MAX, &port);
    call->target.port = (uint16_t)port;
    call->target_known = endpoint_parse(host, (uint16_t)port, &call->target);
    for (size_t i = 0; !call->target_known && i < model_node_count(model); i++) {
        const struct node *node = model_node(model, i);
        call->target_known = node->addr_known && bytes_equal(host, bytes_str(node->hostname));
        if (call->target_known)
            call->target = node->addr;
    }
}

static bool has_option(const struct event *event, const char *word) {
    for (size_t i = 6; i < event->move_asked.asked.args->kept; i++) {
        if (bytes_are_word(move_word(event, i), "keys"))
            return false;
        if (bytes_are_word(move_word(event, i), word))
            return true;
    }
    return false;
}

/* Servers make a second of none. */
static nstime timeout_of(const struct event *event) {
    uint32_t ms = 0;
    bool known = move_number(move_word(event, 5), INT32_MAX, &ms) && ms > 0;
    return (known ? ms : 1000) * NS_PER_MS;
}

static uint64_t count_keys(const struct event *event) {
    struct command_keys keys;
    const struct request_keys *asked = &event->move_asked.asked;
    return command_keys(asked->command, asked->args, &keys) ? keys.count : 0;
}

static void know_migration(struct model *model, struct call *call, const struct event *event) {
    struct migration *m = model_migration_at(model, &call->source, &call->target, false);
    call->migration = m;
    if (!m)
        return;
    if (!m->asked_by_known && event->type == EV_move_asked) {
        m->asked_by = event->flow->ends[event->direction];
        m->asked_by_known = true;
    }
    model_migration_moves(model, m, call->slot);
    m->calling++;
}

static void append_call(struct model_migrations *migrations, struct call *call) {
    struct call **at = &migrations->calls;
    while (*at)
        at = &(*at)->next;
    *at = call;
}

static void remove_call(struct model_migrations *migrations, struct call *call) {
    struct call **at = &migrations->calls;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    call->next = NULL;
}

static struct move *migrate_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    struct call *call = model_new_move(model, sizeof *call);
    (void)moves;
    if (!call)
        return NULL;
    call->source = event->flow->ends[!event->direction];
    call->slot = event->move_asked.slot;
    call->keys = count_keys(event);
    call->copy = has_option(event, "copy");
    call->timeout = timeout_of(event);
    learn_target(model, call, event);
    append_call(&model->migrations, call);
    if (call->target_known && !call->copy)
        know_migration(model, call, event);
    return &call->move;
}

/* The source deletes the key. */
static void count_moved(struct restore *restore) {
    if (restore->settled || !restore->migration)
        return;
    restore->settled = true;
    restore->migration->keys++;
    restore->migration->bytes += restore->bytes;
}

/* Nothing more is to be learnt of the call. */
static void free_call(struct model *model, struct call *call) {
    if (call->carrier)
        call->carrier->call = NULL;
    for (struct restore *r = call->first, *next; r; r = next) {
        next = r->next;
        r->call = NULL;
        release(model, r);
    }
    free_move(model, call);
}

/* Does the source delete keys that the target took, although the call failed? */
static bool deletes(const struct call *call) {
    return !(call->broken && call->count < call->keys) && !call->refused_first;
}

static bool target_has_closed(const struct call *call) {
    const struct flow *flow = call->carrier ? call->carrier->flow : NULL;
    return flow && flow->sides[endpoint_equal(&flow->ends[1], &call->target)].fin;
}

/* Until when the source has read answers: it gives up when none has come for the timeout, and says
 * so at once. If it was the target that ended the connection it did not wait. */
static nstime read_until(const struct call *call, nstime failed) {
    if (!call->broken || target_has_closed(call))
        return failed;
    nstime until = failed - call->timeout, last = TIME_NONE;
    for (const struct restore *r = call->first; r && r->answer; r = r->next) {
        if (last != TIME_NONE && r->answered - last > call->timeout)
            return last < until ? last : until;
        last = r->answered;
    }
    return until;
}

/* "ERR Target instance replied with error: BUSYKEY Target key name already exists." */
static struct bytes cause_of(struct bytes said) {
    static const char target[] = "ERR Target instance replied with error: ";
    struct bytes text = bytes_begin(said, target) ? bytes_after(said, sizeof target - 1) : said;
    size_t len = 0;
    while (len < text.len && text.data[len] != ' ')
        len++;
    return bytes_first(text, len);
}

static bool all_taken(const struct call *call) {
    for (const struct restore *r = call->first; r; r = r->next)
        if (r->answer != ANSWER_OK)
            return false;
    return call->first;
}

static void settle_failed(struct model *model, struct call *call, nstime failed) {
    bool deleted = deletes(call);
    nstime until = read_until(call, failed);
    for (struct restore *r = call->first; r; r = r->next) {
        if (r->answer == ANSWER_OK && deleted && r->answered <= until)
            count_moved(r);
        else if (r->answer != ANSWER_REFUSED)
            doubt(model, r);
    }
}

/* The target refused keys, and MIGRATE says why it refused the last of them. */
static bool is_told_by_keys(const struct call *call) {
    for (const struct restore *r = call->first; r; r = r->next)
        if (r->answer >= ANSWER_BUSY)
            return !call->broken;
    return false;
}

static void call_failed(struct model *model, struct call *call, const struct event *event) {
    struct bytes said = event->move_answered.said;
    struct migration *m = call->migration;
    call->failed = true;
    call->broken = bytes_begin(said, "IOERR");
    m->calls_failed++;
    if (m->failed.time == TIME_NONE)
        m->failed = place_of(event);
    if (!is_told_by_keys(call))
        by_word_add(&m->errors, cause_of(said), 1);
    call->refused_first = !call->broken && all_taken(call);
    m->refused_first |= call->refused_first;
    if (call->count == 0 && !bytes_begin(said, "IOERR error or timeout connecting"))
        m->keys_unseen += call->keys;
    settle_failed(model, call, event->time);
}

/* NOKEY: there was nothing to move. */
static void call_succeeded(struct call *call, struct bytes said) {
    if (!bytes_equal(said, bytes_str("NOKEY")))
        call->migration->keys_called += call->keys;
    for (struct restore *r = call->first; r; r = r->next)
        if (r->answer == ANSWER_OK)
            count_moved(r);
}

/* The server would not even begin: it sent the client elsewhere, or makes nothing of the request.
 */
static bool is_refusal(const struct event *event) {
    static const char *const words[] = {"MOVED ",  "ASK ",    "TRYAGAIN",    "CROSSSLOT",
                                        "ERR syn", "NOAUTH ", "CLUSTERDOWN", "NOPERM "};
    for (size_t i = 0; event->move_answered.failed && i < countof(words); i++)
        if (bytes_begin(event->move_answered.said, words[i]))
            return true;
    return false;
}

static void end_calling(struct model *model, const struct call *call) {
    if (!call->migration)
        return;
    model_migration_moves(model, call->migration, call->slot);
    call->migration->calling--;
}

static void migrate_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    struct call *call = (struct call *)move;
    struct model_migrations *migrations = &model->migrations;
    (void)moves;
    remove_call(migrations, call);
    end_calling(model, call);
    if (!call->migration || call->copy || is_refusal(event)) {
        free_call(model, call);
        return;
    }
    call->migration->calls++;
    spread_add(&call->migration->blocked, event->time - move->asked);
    if (event->move_answered.failed)
        call_failed(model, call, event);
    else
        call_succeeded(call, event->move_answered.said);
    if (!call->broken) {
        free_call(model, call);
        return;
    }
    call->next = migrations->failed;
    migrations->failed = call;
}

/* What became of it was not seen. The keys that the target took count as moved. */
static void migrate_dropped(struct model *model, struct moves *moves, struct move *move) {
    struct call *call = (struct call *)move;
    (void)moves;
    remove_call(&model->migrations, call);
    end_calling(model, call);
    for (struct restore *r = call->first; r; r = r->next)
        if (r->answer == ANSWER_OK && !call->copy)
            count_moved(r);
    free_call(model, call);
}

/* ---- RESTORE-ASKING ---- */

static bool may_be_of(const struct call *call, const struct event *event) {
    const struct endpoint *source = &event->flow->ends[event->direction];
    const struct endpoint *target = &event->flow->ends[!event->direction];
    return memcmp(call->source.ip, source->ip, sizeof source->ip) == 0 &&
           (call->target_known ? endpoint_equal(&call->target, target)
                               : call->target.port == target->port);
}

static void carry(struct moves *moves, struct call *call) {
    if (moves->call)
        moves->call->carrier = NULL;
    if (call && call->carrier)
        call->carrier->call = NULL;
    if (call)
        call->carrier = moves;
    moves->call = call;
}

/* The MIGRATE that the key is of. A connection is not used again after it broke. */
static struct call *call_of(struct model *model, struct moves *moves, const struct event *event) {
    if (moves->call && moves->call->broken)
        return moves->call;
    struct call *call = model->migrations.calls;
    while (call && !may_be_of(call, event))
        call = call->next;
    if (call != moves->call)
        carry(moves, call);
    return call;
}

/* MIGRATE was not seen: of the source no more is known than its host, or whose that is. */
static struct migration *migration_of(struct model *model, const struct event *event) {
    struct endpoint source = event->flow->ends[event->direction];
    uint32_t node = model_node_by_ip(model, &source);
    source.port = 0;
    if (node != NODE_NONE)
        source = model_node(model, node)->addr;
    return model_migration_at(model, &source, &event->flow->ends[!event->direction], false);
}

static void join_call(struct model *model, struct call *call, struct restore *restore,
                      const struct event *event) {
    if (!call->target_known && !call->copy) {
        call->target = event->flow->ends[!event->direction];
        call->target_known = true;
        know_migration(model, call, event);
    }
    restore->call = call;
    restore->migration = call->migration;
    if (call->last)
        call->last->next = restore;
    else
        call->first = restore;
    call->last = restore;
    call->count++;
}

static struct restore *new_restore(struct model *model, const struct event *event) {
    struct bytes key = move_word(event, 1);
    bool whole = event->move_asked.slot != NOT_KNOWN && key.len > 0 && key.len < KEY_WHOLE &&
                 model->migrations.key_bytes + key.len <= CAP_MOVE_KEYS;
    struct restore *r = model_new_move(model, sizeof *r + (whole ? key.len : 0));
    if (!r)
        return NULL;
    r->queued = true;
    r->slot = event->move_asked.slot == NOT_KNOWN ? BUS_SLOTS : (uint16_t)event->move_asked.slot;
    r->bytes = event->move_asked.bytes;
    r->end = event->flow->sides[event->direction].stream.next;
    for (size_t i = 4; i < event->move_asked.asked.args->kept; i++)
        r->replace |= bytes_are_word(move_word(event, i), "replace");
    if (whole) {
        r->key_len = (uint32_t)key.len;
        r->key_hash = move_hash(model, key);
        memcpy(r->key, key.data, key.len);
        model->migrations.key_bytes += key.len;
    }
    return r;
}

static struct move *restore_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    struct call *call = call_of(model, moves, event);
    struct restore *r = new_restore(model, event);
    struct migration *m = NULL;
    if (call && r)
        join_call(model, call, r, event);
    if (call)
        m = call->migration;
    else
        m = migration_of(model, event);
    if (m) {
        m->restores++;
        m->uncounted += !r;
        model_migration_moves(model, m, event->move_asked.slot);
    }
    if (r)
        r->migration = m;
    if (r && call && call->failed)
        doubt(model, r);
    return r ? &r->move : NULL;
}

static enum answer answer_of(const struct event *event) {
    if (!event->move_answered.failed)
        return ANSWER_OK;
    return bytes_begin(event->move_answered.said, "BUSYKEY") ? ANSWER_BUSY : ANSWER_REFUSED;
}

/* MIGRATE was not seen, so it is settled here. */
static void settle_alone(struct model *model, struct restore *r) {
    if (r->doubtful || !r->migration)
        return;
    if (r->answer == ANSWER_OK) {
        count_moved(r);
        return;
    }
    if (r->answer == ANSWER_BUSY)
        doubt(model, r);
}

static void count_refusal(struct migration *m, const struct event *event) {
    if (m->failed.time == TIME_NONE)
        m->failed = place_of(event);
    if (event->time > m->last)
        m->last = event->time;
    by_word_add(&m->errors, cause_of(event->move_answered.said), 1);
}

static void restore_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    struct restore *r = (struct restore *)move;
    (void)moves;
    r->queued = false;
    r->answer = answer_of(event);
    r->answered = event->time;
    if (r->answer == ANSWER_OK)
        refute(model, r);
    if (r->answer >= ANSWER_BUSY && r->migration)
        count_refusal(r->migration, event);
    if (!r->call)
        settle_alone(model, r);
    release(model, r);
}

/* No reply: the connection has ended, or it was not seen. */
static void restore_dropped(struct model *model, struct moves *moves, struct move *move) {
    struct restore *r = (struct restore *)move;
    (void)moves;
    r->queued = false;
    release(model, r);
}

/* ---- SETSLOT ---- */

enum verb { VERB_MIGRATING, VERB_IMPORTING, VERB_NODE, VERB_STABLE, VERBS };

static struct move *setslot_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    static const char *const words[VERBS] = {"migrating", "importing", "node", "stable"};
    uint32_t slot;
    struct bytes id = move_word(event, 4);
    struct setslot *set = NULL;
    (void)moves;
    if (move_number(move_word(event, 2), BUS_SLOTS - 1, &slot))
        set = model_new_move(model, sizeof *set);
    if (!set)
        return NULL;
    set->slot = (uint16_t)slot;
    set->verb = VERBS;
    for (int i = 0; i < VERBS; i++)
        if (bytes_are_word(move_word(event, 3), words[i]))
            set->verb = (uint8_t)i;
    set->id_known = id.len == BUS_NODE_ID;
    if (set->id_known)
        memcpy(set->id, id.data, BUS_NODE_ID);
    return &set->move;
}

static void setslot_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    const struct setslot *set = (struct setslot *)move;
    const struct endpoint *server = &event->flow->ends[event->direction];
    const char *id = set->id_known ? set->id : NULL;
    (void)moves;
    if (event->move_answered.failed || set->verb == VERBS)
        ;
    else if (set->verb == VERB_MIGRATING || set->verb == VERB_IMPORTING)
        model_slot_opened(model, set->slot, server, set->verb == VERB_IMPORTING, id);
    else
        model_slot_closed(model, set->slot, server, set->verb == VERB_NODE ? id : NULL);
    free_move(model, move);
}

static void just_dropped(struct model *model, struct moves *moves, struct move *move) {
    (void)moves;
    free_move(model, move);
}

/* ---- connections that carry whole slots ---- */

static struct move *handover_asked(struct model *model, struct moves *moves,
                                   const struct event *event) {
    (void)moves;
    return model_handover_asked(model, event);
}

static void handover_answered(struct model *model, struct moves *moves, struct move *move,
                              const struct event *event) {
    model_handover_answered(model, moves, move, event);
    free_move(model, move);
}

/* ---- the table ---- */

static const struct move_row move_rows[] = {
    {"restore-asking", restore_asked, restore_answered, restore_dropped},
    {"migrate", migrate_asked, migrate_answered, migrate_dropped},
    {"cluster|setslot", setslot_asked, setslot_answered, just_dropped},
    {"", handover_asked, handover_answered, just_dropped}, /* the others */
};

static const struct move_row *row_of(const struct command *command) {
    const struct move_row *row = move_rows;
    while (row->name[0] && strcmp(row->name, command->name) != 0)
        row++;
    return row;
}

static struct moves *moves_of(const struct event *event) {
    struct client_conn *conn = model_client_note(event->flow);
    if (conn && !conn->moves)
        conn->moves = calloc(1, sizeof *conn->moves);
    if (!conn || !conn->moves)
        return NULL;
    conn->moves->flow = event->flow;
    return conn->moves;
}

void model_move_asked(struct model *model, const struct event *event) {
    struct moves *moves = moves_of(event);
    const struct move_row *row = row_of(event->move_asked.command);
    struct move *move = moves ? row->asked(model, moves, event) : NULL;
    if (!move)
        return;
    move->row = row;
    move->number = (uint32_t)event->move_asked.number;
    move->asked = event->time;
    if (moves->last)
        moves->last->next = move;
    else
        moves->first = move;
    moves->last = move;
}

static struct move *take_first(struct moves *moves) {
    struct move *move = moves->first;
    moves->first = move->next;
    if (!moves->first)
        moves->last = NULL;
    move->next = NULL;
    return move;
}

/* Those before it were not answered, and will not be. */
void model_move_answered(struct model *model, const struct event *event) {
    uint32_t number = (uint32_t)event->move_answered.number;
    struct moves *moves = moves_of(event);
    while (moves && moves->first && (int32_t)(moves->first->number - number) <= 0) {
        struct move *move = take_first(moves);
        if (move->number == number)
            move->row->answered(model, moves, move, event);
        else
            move->row->dropped(model, moves, move);
    }
}

/* Which end sent them is the end that asked: of keys it is the source. */
static void note_delivery(struct moves *moves, const struct flow *flow) {
    for (struct move *move = moves->first; move; move = move->next) {
        if (move->row != move_rows)
            continue;
        struct restore *r = (struct restore *)move;
        for (int i = 0; r->migration && i < 2; i++) {
            const struct flow_side *side = &flow->sides[i];
            bool from_source = endpoint_equal(&flow->ends[!i], &r->migration->target);
            r->delivered |= from_source && side->acked_known && !seq_after(r->end, side->acked);
        }
    }
}

void model_moves_flow_end(struct model *model, const struct flow *flow) {
    struct moves *moves = ((struct client_conn *)flow->note)->moves;
    if (!moves)
        return;
    note_delivery(moves, flow);
    carry(moves, NULL);
    while (moves->first) {
        struct move *move = take_first(moves);
        move->row->dropped(model, moves, move);
    }
    if (moves->migration)
        model_handover_ended(moves, flow);
    free(moves);
}

void model_moves_free(struct model *model) {
    struct model_migrations *migrations = &model->migrations;
    while (migrations->failed) {
        struct call *call = migrations->failed;
        migrations->failed = call->next;
        free_call(model, call);
    }
    for (uint32_t i = 0; i < migrations->doubtful_count; i++) {
        for (struct restore *r = migrations->doubtful[i], *older; r; r = older) {
            older = r->older;
            r->doubtful = false;
            release(model, r);
        }
    }
    free(migrations->doubtful);
    table_free(&migrations->doubtful_index);
}
