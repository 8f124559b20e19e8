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

/* A plateau: its height is what the highest tenth of the samples reached. It is flat if most
 * samples in which the migration sent anything are near it; between one MIGRATE and the next there
 * are pauses. Most of it is the migration. */
enum { TOP_PERCENT = 90, HEIGHT_PERCENT = 60, SAMPLES_PERCENT = 70, SHARE_PERCENT = 50 };
static const nstime PLATEAU_TIME = 2 * NS_PER_SEC;

/* What crosses a link in one direction, of the hosts or of the migration. */
struct crossed {
    uint64_t total[LOAD_ENDS]; /* out of the source's host; into the target's */
    uint64_t moved;            /* from the one to the other, for the migration */
    uint64_t retransmits, zero_windows;
    uint64_t acks; /* how often the time to an acknowledgement was measured, and its sum */
    nstime ack_sum, ack_least; /* least 0: none */
    bool waits;                /* some of it is not acknowledged yet */
};

struct sample {
    nstime at, span;
    uint64_t total[LOAD_ENDS], moved;
    bool waits;
};

/* Cumulative, at one moment. */
struct book {
    struct histogram latency;
    uint64_t pings;
    nstime rtt_sum;
};

struct load {
    const struct migration *migration;
    bool active;
    nstime sampled;            /* TIME_NONE: not yet, since it is active */
    nstime moved_at;           /* the last sample in which bytes of it moved */
    struct crossed ended, now; /* of connections that have ended; of all */
    struct crossed before;     /* `now` of the sample before */
    struct sample *samples;    /* a ring */
    uint32_t count, room, next;
    struct book start[LOAD_ENDS], end[LOAD_ENDS];
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

void model_load_felt(const struct model *model, const struct migration *migration,
                     struct felt ret_felt[LOAD_ENDS][LOAD_PHASES]) {
    const struct load *load = migration->load;
    struct book now[LOAD_ENDS];
    take_books(model, migration, now);
    for (int end = 0; end < LOAD_ENDS; end++) {
        ret_felt[end][LOAD_BEFORE] = difference(NULL, &load->start[end]);
        ret_felt[end][LOAD_DURING] = difference(&load->start[end], &load->end[end]);
        ret_felt[end][LOAD_AFTER] = difference(&load->end[end], &now[end]);
    }
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
    take_books(model, migration, load->start);
    memcpy(load->end, load->start, sizeof load->end);
}

void model_load_free(struct load *load) {
    if (load)
        free(load->samples);
    free(load);
}

static nstime last_sign(const struct load *load) {
    nstime sign = load->migration->last;
    return sign > load->moved_at ? sign : load->moved_at;
}

/* One that went quiet is watched again when it goes on, from its next sample on. */
static bool is_active(struct load *load, nstime now) {
    bool active = now - last_sign(load) < QUIET_TIME;
    if (active && !load->active)
        load->sampled = TIME_NONE;
    return load->active = active;
}

bool model_load_is_wanted(const struct model *model, nstime now) {
    bool wanted = false;
    for (uint32_t i = 0; i < model->migrations.count; i++) {
        struct load *load = model->migrations.list[i]->load;
        wanted |= load && is_active(load, now);
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

static struct sample *next_sample(struct load *load) {
    if (load->count == load->room && load->room < CAP_LOAD_SAMPLES) {
        uint32_t room = load->room ? load->room * 2 : 32;
        room = (uint32_t)min_size(room, CAP_LOAD_SAMPLES);
        struct sample *samples = realloc(load->samples, room * sizeof *samples);
        if (samples) {
            load->samples = samples;
            load->room = room;
        }
    }
    if (load->count < load->room)
        return &load->samples[load->count++];
    return load->room ? &load->samples[load->next++ % load->room] : NULL;
}

static void end_sample(const struct model *model, struct load *load, nstime now) {
    const struct crossed *before = &load->before, *after = &load->now;
    uint64_t moved = after->moved - before->moved;
    struct sample *sample =
        load->sampled != TIME_NONE && now > load->sampled ? next_sample(load) : NULL;
    if (sample)
        *sample = (struct sample){
            .at = now,
            .span = now - load->sampled,
            .total = {after->total[0] - before->total[0], after->total[1] - before->total[1]},
            .moved = moved,
            .waits = after->waits,
        };
    if (sample && moved) {
        load->moved_at = now;
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

/* ---- the plateau ---- */

static uint64_t per_second(uint64_t bytes, nstime span) {
    return span > 0 ? (uint64_t)((double)bytes * (double)NS_PER_SEC / (double)span) : 0;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What the traffic of an end reached in the highest tenth of the samples in which keys moved; their
 * number. */
static uint64_t height_of(const struct load *load, int end, uint32_t *ret_busy) {
    uint64_t *rates = malloc((load->count + 1) * sizeof *rates);
    uint32_t busy = 0;
    for (uint32_t i = 0; rates && i < load->count; i++)
        if (load->samples[i].moved)
            rates[busy++] = per_second(load->samples[i].total[end], load->samples[i].span);
    if (busy)
        qsort(rates, busy, sizeof *rates, by_size);
    uint64_t height = busy ? rates[(size_t)busy * TOP_PERCENT / 100] : 0;
    free(rates);
    *ret_busy = busy;
    return height;
}

struct level {
    uint32_t samples, waiting;
    uint64_t total, moved;
    struct plateau plateau;
};

static void add_to_level(struct level *level, const struct sample *sample, int end) {
    struct plateau *plateau = &level->plateau;
    if (level->samples++ == 0)
        plateau->from = sample->at - sample->span;
    plateau->to = sample->at > plateau->to ? sample->at : plateau->to;
    plateau->lasted += sample->span;
    level->waiting += sample->waits;
    level->total += sample->total[end];
    level->moved += sample->moved;
}

/* The samples near the height. False: they are too few, or the migration is not what fills them. */
static bool level_of(const struct load *load, int end, struct level *ret_level) {
    uint32_t busy;
    uint64_t height = height_of(load, end, &busy);
    *ret_level = (struct level){.plateau = {.at_target = end == LOAD_TARGET, .link_per_s = height}};
    for (uint32_t i = 0; i < load->count; i++) {
        const struct sample *sample = &load->samples[(load->next + i) % load->count];
        uint64_t rate = per_second(sample->total[end], sample->span);
        if (sample->moved && rate * 100 >= height * HEIGHT_PERCENT)
            add_to_level(ret_level, sample, end);
    }
    const struct level *level = ret_level;
    return level->plateau.lasted >= PLATEAU_TIME &&
           level->samples * 100 >= busy * SAMPLES_PERCENT &&
           level->moved * 100 >= level->total * SHARE_PERCENT;
}

bool model_load_plateau(const struct load *load, struct plateau *ret_plateau) {
    struct level levels[LOAD_ENDS];
    bool is[LOAD_ENDS];
    for (int end = 0; end < LOAD_ENDS; end++)
        is[end] = load->count > 0 && level_of(load, end, &levels[end]);
    if (!is[LOAD_SOURCE] && !is[LOAD_TARGET])
        return false;
    bool target = is[LOAD_TARGET] &&
                  (!is[LOAD_SOURCE] || levels[LOAD_TARGET].samples >= levels[LOAD_SOURCE].samples);
    const struct level *level = &levels[target ? LOAD_TARGET : LOAD_SOURCE];
    *ret_plateau = level->plateau;
    ret_plateau->bytes_per_s = per_second(level->moved, level->plateau.lasted);
    ret_plateau->all_per_s = per_second(level->total, level->plateau.lasted);
    ret_plateau->waiting_percent = level->waiting * 100 / level->samples;
    ret_plateau->forgotten = load->next;
    ret_plateau->ack_least = load->now.ack_least;
    ret_plateau->ack_mean = load->now.acks ? load->now.ack_sum / (nstime)load->now.acks : 0;
    return true;
}

struct load_troubles model_load_troubles(const struct load *load) {
    return (struct load_troubles){.retransmits = load->now.retransmits,
                                  .zero_windows = load->now.zero_windows};
}
