/* model_restore.c - RESTORE-ASKING: the request by which a source hands one key over, and what the
 * target says to it. Where MIGRATE was not seen it is settled here, else with its call. */
#include "analysis/model_migrate.h"
#include "base/limits.h"

void model_restore_release(struct model *model, struct restore *restore) {
    if (restore->queued || restore->call || restore->doubtful)
        return;
    model->migrations.key_bytes -= restore->key_len;
    model_free_move(model, &restore->move);
}

void model_restore_moved(struct model *model, struct restore *restore) {
    model_doubt_moved(model, restore);
    if (restore->settled || !restore->migration)
        return;
    restore->settled = true;
    restore->migration->keys++;
    restore->migration->bytes += restore->bytes;
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

/* The target had ended the connection before, as it does when its process ends: nobody reads that.
 */
static bool comes_too_late(const struct event *event) {
    return event->flow->sides[!event->direction].fin;
}

static void refuse_late(struct migrate_call *call, struct restore *r) {
    r->answer = ANSWER_REFUSED;
    if (call)
        call->unreached |= call->first == r;
}

static struct move *restore_asked(struct model *model, struct moves *moves,
                                  const struct event *event) {
    struct migrate_call *call = model_migrate_of(model, moves, event);
    struct restore *r = new_restore(model, event);
    struct migration *m = NULL;
    if (call && r)
        model_migrate_join(model, call, r, event);
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
    if (r && comes_too_late(event))
        refuse_late(call, r);
    else if (r && call && call->failed)
        model_doubt(model, r);
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
        model_restore_moved(model, r);
        return;
    }
    if (r->answer == ANSWER_BUSY)
        model_doubt(model, r);
}

static void count_refusal(struct migration *m, const struct event *event) {
    if (m->failed.time == TIME_NONE)
        m->failed = place_of(event);
    if (event->time > m->last)
        m->last = event->time;
    struct bytes word = migrate_cause(event->move_answered.said);
    by_word_add(&m->errors, word, 1);
    by_word_add(&m->refusals, word, 1);
}

static void restore_answered(struct model *model, struct moves *moves, struct move *move,
                             const struct event *event) {
    struct restore *r = (struct restore *)move;
    (void)moves;
    r->queued = false;
    r->answer = answer_of(event);
    r->answered = event->time;
    if (r->answer == ANSWER_OK)
        model_doubt_refuted(model, r);
    if (r->answer >= ANSWER_BUSY && r->migration)
        count_refusal(r->migration, event);
    if (!r->call)
        settle_alone(model, r);
    model_restore_release(model, r);
}

/* No reply: the connection has ended, or it was not seen. */
static void restore_dropped(struct model *model, struct move *move) {
    struct restore *r = (struct restore *)move;
    r->queued = false;
    model_restore_release(model, r);
}

/* Which end sent it is the end that asked: of keys it is the source. */
static void restore_closing(struct move *move, const struct flow *flow) {
    struct restore *r = (struct restore *)move;
    for (int i = 0; r->migration && i < 2; i++) {
        const struct flow_side *side = &flow->sides[i];
        bool from_source = endpoint_equal(&flow->ends[!i], &r->migration->target);
        r->delivered |= from_source && side->acked_known && !seq_after(r->end, side->acked);
    }
}

const struct move_kind move_restore = {
    .command = "restore-asking",
    .asked = restore_asked,
    .answered = restore_answered,
    .dropped = restore_dropped,
    .closing = restore_closing,
};
