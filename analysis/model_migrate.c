/* model_migrate.c - MIGRATE, from request to reply: which keys it names, whose requests for them it
 * waits for, and which of them its source has deleted in the end.
 *
 * A call that fails leaves doubt about its keys. The source deletes those that the target took in
 * time, once it has sent all of them; not one if the target refused AUTH or SELECT. What it gave up
 * waiting for is carried out all the same, and even what it had only begun to send may arrive later
 * on the same connection. */
#include "analysis/model_migrate.h"

/* ---- it is asked for ---- */

/* A host name is one that a node announces; else the port must do. */
static void learn_target(const struct model *model, struct migrate_call *call,
                         const struct event *event) {
    struct bytes host = move_word(event, 1);
    uint32_t port = 0;
    move_number(move_word(event, 2), UINT16_MAX, &port);
    call->target.port = (uint16_t)port;
    call->target_known = endpoint_parse(host, (uint16_t)port, &call->target);
    uint32_t node = call->target_known ? NODE_NONE : model_node_named(model, host);
    if (node == NODE_NONE)
        return;
    call->target_known = true;
    call->target = model_node(model, node)->addr;
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

static void know_migration(struct model *model, struct migrate_call *call,
                           const struct event *event) {
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

static void append_call(struct model_migrations *migrations, struct migrate_call *call) {
    struct migrate_call **at = &migrations->calls;
    while (*at)
        at = &(*at)->next;
    *at = call;
}

static void remove_call(struct model_migrations *migrations, struct migrate_call *call) {
    struct migrate_call **at = &migrations->calls;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    call->next = NULL;
}

static struct move *migrate_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    struct migrate_call *call = model_new_move(model, sizeof *call);
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

/* ---- its keys ---- */

static bool may_be_of(const struct migrate_call *call, const struct event *event) {
    const struct endpoint *source = &event->flow->ends[event->direction];
    const struct endpoint *target = &event->flow->ends[!event->direction];
    return endpoint_same_ip(&call->source, source) &&
           (call->target_known ? endpoint_equal(&call->target, target)
                               : call->target.port == target->port);
}

static void carry(struct moves *moves, struct migrate_call *call) {
    if (moves->call)
        moves->call->carrier = NULL;
    if (call && call->carrier)
        call->carrier->call = NULL;
    if (call)
        call->carrier = moves;
    moves->call = call;
}

/* A connection is not used again after it broke. */
struct migrate_call *model_migrate_of(struct model *model, struct moves *moves,
                                      const struct event *event) {
    if (moves->call && moves->call->broken)
        return moves->call;
    struct migrate_call *call = model->migrations.calls;
    while (call && !may_be_of(call, event))
        call = call->next;
    if (call != moves->call)
        carry(moves, call);
    return call;
}

void model_migrate_join(struct model *model, struct migrate_call *call, struct restore *restore,
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

void model_migrate_carrier_ends(struct moves *moves) {
    carry(moves, NULL);
}

/* The source learns of it when it writes: nothing was sent. */
void model_migrate_turned_away(struct model *model, const struct event *event) {
    const struct flow *flow = event->flow;
    for (struct migrate_call *call = model->migrations.calls; call; call = call->next)
        call->unreached |= !call->carrier && call->target_known &&
                           endpoint_same_ip(&call->source, &flow->ends[flow->connector]) &&
                           endpoint_equal(&call->target, &flow->ends[!flow->connector]);
}

/* ---- the end of it ---- */

/* Nothing more is to be learnt of the call. */
static void free_call(struct model *model, struct migrate_call *call) {
    if (call->carrier)
        call->carrier->call = NULL;
    for (struct restore *r = call->first, *next; r; r = next) {
        next = r->next;
        r->call = NULL;
        model_restore_release(model, r);
    }
    model_free_move(model, &call->move);
}

/* Does the source delete keys that the target took, although the call failed? */
static bool deletes(const struct migrate_call *call) {
    return !(call->broken && call->count < call->keys) && !call->refused_first;
}

static bool target_has_closed(const struct migrate_call *call) {
    const struct flow *flow = call->carrier ? call->carrier->flow : NULL;
    return flow && flow->sides[endpoint_equal(&flow->ends[1], &call->target)].fin;
}

/* Until when the source has read answers: it gives up when none has come for the timeout, and says
 * so at once. If it was the target that ended the connection it did not wait. */
static nstime read_until(const struct migrate_call *call, nstime failed) {
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
struct bytes migrate_cause(struct bytes said) {
    static const char target[] = "ERR Target instance replied with error: ";
    struct bytes text = bytes_begin(said, target) ? bytes_after(said, sizeof target - 1) : said;
    size_t len = 0;
    while (len < text.len && text.data[len] != ' ')
        len++;
    return bytes_first(text, len);
}

static bool all_taken(const struct migrate_call *call) {
    for (const struct restore *r = call->first; r; r = r->next)
        if (r->answer != ANSWER_OK)
            return false;
    return call->first;
}

static void settle_failed(struct model *model, struct migrate_call *call, nstime failed) {
    bool deleted = deletes(call);
    nstime until = read_until(call, failed);
    for (struct restore *r = call->first; r; r = r->next) {
        if (r->answer == ANSWER_OK && deleted && r->answered <= until)
            model_restore_moved(model, r);
        else if (r->answer != ANSWER_REFUSED)
            model_doubt(model, r);
    }
}

/* The target refused keys, and MIGRATE says why it refused the last of them. */
static bool is_told_by_keys(const struct migrate_call *call) {
    for (const struct restore *r = call->first; r; r = r->next)
        if (r->answer >= ANSWER_BUSY)
            return !call->broken;
    return false;
}

static void call_failed(struct model *model, struct migrate_call *call, const struct event *event) {
    struct bytes said = event->move_answered.said;
    struct migration *m = call->migration;
    call->failed = true;
    call->broken = bytes_begin(said, "IOERR");
    m->calls_failed++;
    if (m->failed.time == TIME_NONE)
        m->failed = place_of(event);
    if (!is_told_by_keys(call))
        by_word_add(&m->errors, migrate_cause(said), 1);
    call->refused_first = !call->broken && all_taken(call);
    m->refused_first |= call->refused_first;
    bool unreached = call->unreached || bytes_begin(said, "IOERR error or timeout connecting");
    m->calls_unreached += unreached;
    if (call->count == 0 && !unreached)
        m->keys_unseen += call->keys;
    settle_failed(model, call, event->time);
}

/* NOKEY: there was nothing to move. */
static void call_succeeded(struct model *model, struct migrate_call *call, struct bytes said) {
    if (!bytes_equal(said, bytes_str("NOKEY")))
        call->migration->keys_called += call->keys;
    for (struct restore *r = call->first; r; r = r->next)
        if (r->answer == ANSWER_OK)
            model_restore_moved(model, r);
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

static void end_calling(struct model *model, const struct migrate_call *call) {
    if (!call->migration)
        return;
    model_migration_moves(model, call->migration, call->slot);
    call->migration->calling--;
}

static void migrate_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    struct migrate_call *call = (struct migrate_call *)move;
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
        call_succeeded(model, call, event->move_answered.said);
    if (!call->broken) {
        free_call(model, call);
        return;
    }
    call->next = migrations->failed;
    migrations->failed = call;
}

/* What became of it was not seen. The keys that the target took count as moved. */
static void migrate_dropped(struct model *model, struct move *move) {
    struct migrate_call *call = (struct migrate_call *)move;
    remove_call(&model->migrations, call);
    end_calling(model, call);
    for (struct restore *r = call->first; r; r = r->next)
        if (r->answer == ANSWER_OK && !call->copy)
            model_restore_moved(model, r);
    free_call(model, call);
}

const struct move_kind move_migrate = {
    .command = "migrate",
    .asked = migrate_asked,
    .answered = migrate_answered,
    .dropped = migrate_dropped,
};

void model_migrate_free(struct model *model) {
    struct model_migrations *migrations = &model->migrations;
    while (migrations->failed) {
        struct migrate_call *call = migrations->failed;
        migrations->failed = call->next;
        free_call(model, call);
    }
}
