/* model_load.c - samples of the traffic of two hosts while a migration runs between them, and the
 * books of both at its start and at its end.
 *
 * Each sample is the sum over all connections, so nothing is counted per packet; connections that
 * have ended are added to what was before. The books are cumulative: a phase is a difference. */
#include "analysis/model_load.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"

/* It is over when nothing of it was sent for so long. */
static const nstime QUIET_TIME = 5 * NS_PER_SEC;

/* What crosses a link in one direction, of the hosts or of the migration. */
struct crossed {
    uint64_t total[LOAD_ENDS]; /* out of the source's host; into the target's */
    uint64_t moved;            /* from the one to the other, for the migration */
    uint64_t retransmits, zero_windows;
    uint64_t acks; /* how often the time to an acknowledgement was measured, and its sum */
    nstime ack_sum, ack_least; /* least 0: none */
    bool waits;                /* some of it is not acknowledged yet */
};

/* Cumulative, at one moment. */
struct book {
    struct histogram latency;
    uint64_t pings;
    nstime rtt_sum;
};

/* A stretch that filled the link, and the books at its start and at its end. */
struct filled {
    struct plateau plateau;
    struct book start[LOAD_ENDS], end[LOAD_ENDS];
};

struct load {
    const struct migration *migration;
    bool active;
    nstime sampled;            /* TIME_NONE: not yet, since it is active */
    nstime moved_at;           /* the last sample in which bytes of it moved */
    struct crossed ended, now; /* of connections that have ended; of all */
    struct crossed before;     /* `now` of the sample before */
    struct book first[LOAD_ENDS];
    struct stretch stretch; /* the one that goes on, the books of it, and where it may have ended */
    struct book start[LOAD_ENDS], end[LOAD_ENDS], turn[LOAD_ENDS];
    struct filled *longest; /* of those before; NULL: none filled the link */
};

/* ---- books ---- */

static void take_book(const struct model *model, const struct endpoint *addr, struct book *ret) {
    const struct server *server = model_server_at(model, addr);
    uint32_t node = addr->port ? model_node_at_address(model, addr) : NODE_NONE;
    *ret = (struct book){0};
    if (server)
        model_server_latency(server, &ret->latency);
    for (size_t i = 0; node != NODE_NONE && i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        if (link->from != node && link->to != node)
            continue;
        ret->pings += link->rtt.count;
        ret->rtt_sum += link->rtt.sum;
    }
}

static void take_books(const struct model *model, const struct migration *m,
                       struct book ret_books[LOAD_ENDS]) {
    take_book(model, &m->source, &ret_books[LOAD_SOURCE]);
    take_book(model, &m->target, &ret_books[LOAD_TARGET]);
}

/* What came between two books of one end. */
static struct felt difference(const struct book *from, const struct book *to) {
    struct histogram latency = to->latency;
    if (from)
        histogram_subtract(&latency, &from->latency);
    uint64_t pings = to->pings - (from ? from->pings : 0);
    nstime rtt = to->rtt_sum - (from ? from->rtt_sum : 0);
    return (struct felt){
        .pings = pings,
        .rtt_us = pings ? (uint64_t)(rtt / NS_PER_US) / pings : 0,
        .replies = latency.count,
        .p99_us = latency.count ? histogram_percentile(&latency, 990) : 0,
    };
}

static void copy_books(struct book to[LOAD_ENDS], const struct book from[LOAD_ENDS]) {
    memcpy(to, from, LOAD_ENDS * sizeof *to);
}

/* ---- stretches that filled the link ---- */

static bool fills(const struct load *load, struct plateau *ret_plateau) {
    return stretch_plateau(&load->stretch, ret_plateau) &&
           plateau_is_full(ret_plateau, load->now.ack_least) &&
           (!load->longest || ret_plateau->lasted > load->longest->plateau.lasted);
}

/* The stretch has ended: it is kept if none of those before filled the link for longer. */
static void keep_stretch(struct load *load, const struct book end[LOAD_ENDS]) {
    struct plateau plateau;
    if (!fills(load, &plateau))
        return;
    if (!load->longest)
        load->longest = malloc(sizeof *load->longest);
    if (!load->longest)
        return;
    load->longest->plateau = plateau;
    copy_books(load->longest->start, load->start);
    copy_books(load->longest->end, end);
}

bool model_load_filled(const struct model *model, const struct migration *migration,
                       struct filling *ret_filling) {
    const struct load *load = migration->load;
    struct filling *f = ret_filling;
    struct book now[LOAD_ENDS];
    if (!load)
        return false;
    bool last = fills(load, &f->plateau);
    if (!last && !load->longest)
        return false;
    if (!last)
        f->plateau = load->longest->plateau;
    f->ack_least = load->now.ack_least;
    const struct book *start = last ? load->start : load->longest->start;
    const struct book *end = last ? load->end : load->longest->end;
    take_books(model, migration, now);
    for (int i = 0; i < LOAD_ENDS; i++) {
        f->felt[i][LOAD_BEFORE] = difference(NULL, &load->first[i]);
        f->felt[i][LOAD_DURING] = difference(&start[i], &end[i]);
        f->felt[i][LOAD_AFTER] = difference(&end[i], &now[i]);
    }
    return true;
}

/* ---- which migrations are watched ---- */

/* On one host there is no link. */
static bool is_on_one_host(const struct migration *m) {
    return endpoint_same_ip(&m->source, &m->target);
}

void model_load_begin(struct model *model, struct migration *migration) {
    struct load *load = is_on_one_host(migration) ? NULL : calloc(1, sizeof *load);
    migration->load = load;
    if (!load)
        return;
    load->migration = migration;
    load->active = true;
    load->sampled = TIME_NONE;
    load->moved_at = migration->first;
    take_books(model, migration, load->first);
    copy_books(load->start, load->first);
    copy_books(load->end, load->first);
}

void model_load_free(struct load *load) {
    if (!load)
        return;
    stretch_free(&load->stretch);
    free(load->longest);
    free(load);
}

static nstime last_sign(const struct load *load) {
    nstime sign = load->migration->last;
    return sign > load->moved_at ? sign : load->moved_at;
}

/* One that went quiet is watched again when it goes on, from its next sample on: as a stretch of
 * its own. */
static void watch_again(const struct model *model, struct load *load) {
    keep_stretch(load, load->end);
    stretch_clear(&load->stretch);
    load->sampled = TIME_NONE;
    take_books(model, load->migration, load->start);
    copy_books(load->end, load->start);
}

static bool is_active(const struct model *model, struct load *load, nstime now) {
    bool active = now - last_sign(load) < QUIET_TIME;
    if (active && !load->active)
        watch_again(model, load);
    return load->active = active;
}

bool model_load_is_wanted(const struct model *model, nstime now) {
    bool wanted = false;
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        wanted |= load && is_active(model, load, now);
    }
    return wanted;
}

/* ---- a sample ---- */

/* What the source sends to the target's client port are keys, if MIGRATE moves them: also those
 * whose requests are not complete yet. */
static bool carries_keys(const struct migration *m, const struct flow *flow, int direction) {
    if (!m->atomic)
        return endpoint_equal(&flow->ends[!direction], &m->target);
    return note_is_client(flow) && ((const struct client_conn *)flow->note)->moves;
}

static void add_moved(struct crossed *crossed, const struct flow *flow, int direction) {
    const struct flow_side *side = &flow->sides[direction];
    const struct spread *ack = &side->stats.rtt;
    crossed->moved += side->stats.bytes;
    crossed->retransmits += side->stats.retransmits;
    crossed->zero_windows += flow->sides[!direction].stats.zero_windows;
    crossed->waits |= flow->close == FLOW_OPEN && flow_unacked(side) > 0;
    crossed->acks += ack->count;
    crossed->ack_sum += ack->sum;
    if (ack->count && (crossed->ack_least == 0 || ack->min < crossed->ack_least))
        crossed->ack_least = ack->min;
}

static void add_flow(struct crossed *crossed, const struct migration *m, const struct flow *flow) {
    for (int i = 0; i < 2; i++) {
        bool out = endpoint_same_ip(&flow->ends[i], &m->source);
        bool in = endpoint_same_ip(&flow->ends[!i], &m->target);
        crossed->total[LOAD_SOURCE] += out ? flow->sides[i].stats.bytes : 0;
        crossed->total[LOAD_TARGET] += in ? flow->sides[i].stats.bytes : 0;
        if (out && in && carries_keys(m, flow, i))
            add_moved(crossed, flow, i);
    }
}

void model_load_begin_sample(struct model *model) {
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        if (load && load->active) {
            load->now = load->ended;
            load->now.waits = false;
        }
    }
}

void model_load_count(void *context, struct flow *flow) {
    struct model *model = context;
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        if (load && load->active)
            add_flow(&load->now, load->migration, flow);
    }
}

void model_load_flow_end(struct model *model, const struct flow *flow) {
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        if (load && load->active)
            add_flow(&load->ended, load->migration, flow);
    }
}

static struct sample crossed_since(const struct load *load, nstime now) {
    const struct crossed *before = &load->before, *after = &load->now;
    return (struct sample){
        .at = now,
        .span = now - load->sampled,
        .total = {after->total[0] - before->total[0], after->total[1] - before->total[1]},
        .moved = after->moved - before->moved,
        .retransmits = after->retransmits - before->retransmits,
        .zero_windows = after->zero_windows - before->zero_windows,
        .acks = after->acks - before->acks,
        .ack_sum = after->ack_sum - before->ack_sum,
        .waits = after->waits,
    };
}

static void add_sample(const struct model *model, struct load *load, const struct sample *sample) {
    enum stretch_turn turn = stretch_add(&load->stretch, sample);
    if (turn == STRETCH_MAY_TURN)
        copy_books(load->turn, load->end);
    if (turn == STRETCH_TURNS) {
        keep_stretch(load, load->turn);
        stretch_turn(&load->stretch);
        copy_books(load->start, load->turn);
    }
    load->moved_at = sample->at;
    take_books(model, load->migration, load->end);
}

static void end_sample(const struct model *model, struct load *load, nstime now) {
    if (load->sampled != TIME_NONE && now > load->sampled) {
        struct sample sample = crossed_since(load, now);
        if (sample.moved)
            add_sample(model, load, &sample);
        else if (load->moved_at == load->sampled) /* those that waited for it were answered since */
            take_books(model, load->migration, load->end);
    }
    load->before = load->now;
    load->sampled = now;
}

void model_load_end_sample(struct model *model, nstime now) {
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        if (load && load->active)
            end_sample(model, load, now);
    }
}
