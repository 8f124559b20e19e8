/* plateau.c - a plateau: its height is what the highest tenth of the samples of a stretch reached.
 * It is flat if most samples in which the migration sent anything are near it; between one MIGRATE
 * and the next there are pauses. Most of it is the migration. */
#include "analysis/plateau.h"

#include <stdlib.h>

#include "base/limits.h"

enum { TOP_PERCENT = 90, HEIGHT_PERCENT = 60, SAMPLES_PERCENT = 70, SHARE_PERCENT = 50 };
static const nstime PLATEAU_TIME = 2 * NS_PER_SEC;

/* Another pace: so many samples in a row that are not near the mean of those before. */
enum { APART_SAMPLES = 5 };

/* A queue: acknowledgements take so much longer than the quickest one, and so long. */
enum { QUEUE_FACTOR = 3, WAITING_PERCENT = 70 };
static const nstime QUEUE_LEAST = 1 * NS_PER_MS;

static uint64_t per_second(uint64_t bytes, nstime span) {
    return span > 0 ? (uint64_t)((double)bytes * (double)NS_PER_SEC / (double)span) : 0;
}

static uint64_t rate_of(const struct sample *sample, int end) {
    return per_second(sample->total[end], sample->span);
}

/* ---- a stretch ---- */

/* Where the next sample goes; NULL: no memory. */
static struct sample *next_place(struct stretch *stretch) {
    if (stretch->count == CAP_LOAD_SAMPLES)
        return &stretch->samples[stretch->next++ % CAP_LOAD_SAMPLES];
    if (stretch->count == stretch->room) {
        uint32_t room = stretch->room ? stretch->room * 2 : 32;
        room = (uint32_t)min_size(room, CAP_LOAD_SAMPLES);
        struct sample *samples = realloc(stretch->samples, room * sizeof *samples);
        if (!samples)
            return NULL;
        stretch->samples = samples;
        stretch->room = room;
    }
    return &stretch->samples[stretch->count++];
}

static const struct sample *sample_at(const struct stretch *stretch, uint32_t index) {
    return &stretch->samples[(stretch->next + index) % stretch->count];
}

static void pace_by(struct stretch *stretch, const struct sample *sample) {
    stretch->paced++;
    for (int end = 0; end < LOAD_ENDS; end++)
        stretch->rates[end] += (double)rate_of(sample, end);
}

static bool is_near(double a, double b) {
    return a * 100 >= b * HEIGHT_PERCENT && b * 100 >= a * HEIGHT_PERCENT;
}

/* At both ends: other traffic comes and goes at one of them. */
static bool is_apart(const struct stretch *stretch, const struct sample *sample) {
    bool near = stretch->paced == 0;
    for (int end = 0; end < LOAD_ENDS && !near; end++)
        near = is_near((double)rate_of(sample, end), stretch->rates[end] / stretch->paced);
    return !near;
}

/* What was apart for less than a turn is its own after all. */
static void take_back(struct stretch *stretch) {
    for (; stretch->apart > 0; stretch->apart--)
        pace_by(stretch, sample_at(stretch, stretch->count - 1 - stretch->apart));
}

enum stretch_turn stretch_add(struct stretch *stretch, const struct sample *sample) {
    struct sample *place = next_place(stretch);
    if (!place)
        return STRETCH_GOES_ON;
    *place = *sample;
    if (!is_apart(stretch, sample)) {
        take_back(stretch);
        pace_by(stretch, sample);
        return STRETCH_GOES_ON;
    }
    stretch->apart++;
    return stretch->apart == 1               ? STRETCH_MAY_TURN
           : stretch->apart == APART_SAMPLES ? STRETCH_TURNS
                                             : STRETCH_GOES_ON;
}

void stretch_clear(struct stretch *stretch) {
    *stretch = (struct stretch){.samples = stretch->samples, .room = stretch->room};
}

void stretch_turn(struct stretch *stretch) {
    struct sample kept[APART_SAMPLES];
    for (uint32_t i = 0; i < APART_SAMPLES; i++)
        kept[i] = *sample_at(stretch, stretch->count - APART_SAMPLES + i);
    stretch_clear(stretch);
    for (uint32_t i = 0; i < APART_SAMPLES; i++) {
        stretch->samples[stretch->count++] = kept[i];
        pace_by(stretch, &kept[i]);
    }
}

void stretch_free(struct stretch *stretch) {
    free(stretch->samples);
}

/* ---- the plateau ---- */

static uint32_t own_count(const struct stretch *stretch) {
    return stretch->apart == APART_SAMPLES ? stretch->count - APART_SAMPLES : stretch->count;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What the traffic of an end reached in the highest tenth of the samples. */
static uint64_t height_of(const struct stretch *stretch, int end) {
    uint32_t count = own_count(stretch);
    uint64_t *rates = malloc((count + 1) * sizeof *rates);
    for (uint32_t i = 0; rates && i < count; i++)
        rates[i] = rate_of(sample_at(stretch, i), end);
    if (rates)
        qsort(rates, count, sizeof *rates, by_size);
    uint64_t height = rates && count ? rates[(size_t)count * TOP_PERCENT / 100] : 0;
    free(rates);
    return height;
}

struct level {
    uint32_t samples, waiting;
    uint64_t total, moved, acks;
    nstime ack_sum;
    struct plateau plateau;
};

static void add_to_level(struct level *level, const struct sample *sample, int end) {
    struct plateau *plateau = &level->plateau;
    if (level->samples++ == 0)
        plateau->from = sample->at - sample->span;
    plateau->to = sample->at > plateau->to ? sample->at : plateau->to;
    plateau->lasted += sample->span;
    plateau->retransmits += sample->retransmits;
    plateau->zero_windows += sample->zero_windows;
    level->waiting += sample->waits;
    level->total += sample->total[end];
    level->moved += sample->moved;
    level->acks += sample->acks;
    level->ack_sum += sample->ack_sum;
}

/* The samples near the height: what is far above it crossed while the link carried more. False:
 * they are too few, or the migration is not what fills them. */
static bool level_of(const struct stretch *stretch, int end, struct level *ret_level) {
    uint64_t height = height_of(stretch, end);
    uint32_t count = own_count(stretch);
    *ret_level = (struct level){.plateau = {.at_target = end == LOAD_TARGET, .link_per_s = height}};
    for (uint32_t i = 0; i < count; i++) {
        const struct sample *sample = sample_at(stretch, i);
        if (is_near((double)rate_of(sample, end), (double)height))
            add_to_level(ret_level, sample, end);
    }
    const struct level *level = ret_level;
    return level->plateau.lasted >= PLATEAU_TIME &&
           level->samples * 100 >= count * SAMPLES_PERCENT &&
           level->moved * 100 >= level->total * SHARE_PERCENT;
}

bool stretch_plateau(const struct stretch *stretch, struct plateau *ret_plateau) {
    struct level levels[LOAD_ENDS];
    bool is[LOAD_ENDS];
    for (int end = 0; end < LOAD_ENDS; end++)
        is[end] = stretch->count > 0 && level_of(stretch, end, &levels[end]);
    if (!is[LOAD_SOURCE] && !is[LOAD_TARGET])
        return false;
    bool target = is[LOAD_TARGET] &&
                  (!is[LOAD_SOURCE] || levels[LOAD_TARGET].samples >= levels[LOAD_SOURCE].samples);
    const struct level *level = &levels[target ? LOAD_TARGET : LOAD_SOURCE];
    *ret_plateau = level->plateau;
    ret_plateau->bytes_per_s = per_second(level->moved, level->plateau.lasted);
    ret_plateau->all_per_s = per_second(level->total, level->plateau.lasted);
    ret_plateau->waiting_percent = level->waiting * 100 / level->samples;
    ret_plateau->forgotten = stretch->next;
    ret_plateau->ack_mean = level->acks ? level->ack_sum / (nstime)level->acks : 0;
    return true;
}

/* Its receiver keeps up: a window that closes more often than twice a second is what holds back. */
static bool is_read(const struct plateau *plateau) {
    return (nstime)plateau->zero_windows * NS_PER_SEC < 2 * plateau->lasted;
}

bool plateau_is_full(const struct plateau *plateau, nstime ack_least) {
    return is_read(plateau) && plateau->waiting_percent >= WAITING_PERCENT &&
           plateau->ack_mean >= QUEUE_LEAST && plateau->ack_mean >= ack_least * QUEUE_FACTOR;
}
