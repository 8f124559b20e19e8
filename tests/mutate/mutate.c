/* mutate.c - ten thousand damaged captures through the whole program in one process, meant to run
 * under sanitizers: no crash, no report, no input that takes long or much memory.
 *
 * Small slices of the captures of pcaps/ are damaged as disks, snaplens, cables and people do it:
 * bits flip, lengths lie, packets are repeated, lost, swapped, cut. A failure prints the seed and
 * the number of the mutant; `PROP_SEED=... mutate NUMBER` repeats that one alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/lib/captures.h"
#include "tests/lib/dice.h"
#include "tests/lib/made.h"
#include "tests/lib/whole_run.h"

enum {
    MUTANTS = 10000,
    SLICE_PACKETS = 200,
    SLICE_BYTES = 96 << 10,
    SLICES_EACH = 8,
    SLICES_MAX = 1024,
    SECONDS_MAX = 5,          /* for one mutant; the usual is a few milliseconds */
    MEMORY_MAX = 1536 * 1024, /* KiB, of the whole process with the sanitizer's own */
};

/* ---- slices ---- */

struct record {
    struct packet packet;
    bool gone;
    uint32_t captured; /* as its header says */
    uint32_t wire_len;
};

struct slice {
    struct record records[SLICE_PACKETS];
    size_t count;
};

static struct slice slices[SLICES_MAX];
static size_t slice_count;

static bool add_record(struct slice *slice, const struct packet *packet, size_t *left) {
    if (slice->count == SLICE_PACKETS || packet->data.len > *left)
        return false;
    uint8_t *data = malloc(packet->data.len);
    if (!data)
        return false;
    memcpy(data, packet->data.data, packet->data.len);
    struct record *record = &slice->records[slice->count++];
    record->packet = *packet;
    record->packet.data.data = data;
    record->captured = (uint32_t)packet->data.len;
    record->wire_len = packet->wire_len;
    *left -= packet->data.len;
    return true;
}

/* A few stretches of a capture, from its beginning to its end. */
static void add_slices(void *context, const char *path) {
    (void)context;
    struct packets packets = capture_read(path, 16 << 20);
    for (size_t k = 0; k < SLICES_EACH && slice_count < SLICES_MAX; k++) {
        struct slice *slice = &slices[slice_count];
        size_t left = SLICE_BYTES;
        for (size_t i = packets.count * k / SLICES_EACH; i < packets.count; i++) {
            if (!add_record(slice, &packets.list[i], &left))
                break;
        }
        slice_count += slice->count > 0;
    }
    packets_free(&packets);
}

/* ---- damage: each kind may be done several times ---- */

static uint8_t *any_byte(struct slice *slice, struct dice *dice) {
    struct record *record = &slice->records[dice_below(dice, (uint32_t)slice->count)];
    if (!record->packet.data.len)
        return NULL;
    uint8_t *data = (uint8_t *)(uintptr_t)record->packet.data.data; /* ours: see copy_slice() */
    return data + dice_below(dice, (uint32_t)record->packet.data.len);
}

static void flip_bits(struct slice *slice, struct dice *dice) {
    for (uint32_t n = 1 + dice_below(dice, 8); n > 0; n--) {
        uint8_t *at = any_byte(slice, dice);
        if (at)
            *at ^= (uint8_t)(1u << dice_below(dice, 8));
    }
}

static uint32_t lie(struct dice *dice, uint32_t truth) {
    static const uint32_t lies[] = {0, 1, 7, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff};
    switch (dice_below(dice, 3)) {
    case 0:
        return lies[dice_below(dice, countof(lies))];
    case 1:
        return truth + dice_below(dice, 17) - 8;
    default:
        return (uint32_t)dice_throw(dice);
    }
}

static void write_be(uint8_t *at, size_t size, uint32_t value) {
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* Fields of headers, counted from the start of an Ethernet frame; and of a bus message. */
static const struct {
    uint16_t at;
    uint8_t size;
    bool bus; /* counted from "RCmb" */
} lengths[] = {
    {12, 2, false},  {14, 1, false},  {16, 2, false}, {20, 2, false},  {23, 1, false},
    {38, 4, false},  {42, 4, false},  {46, 1, false}, {47, 1, false},  {4, 4, true},
    {8, 2, true},    {12, 2, true},   {14, 2, true},  {2214, 2, true}, {2253, 1, true},
    {2256, 4, true}, {2260, 4, true},
};

static void lie_about_lengths(struct slice *slice, struct dice *dice) {
    struct record *record = &slice->records[dice_below(dice, (uint32_t)slice->count)];
    struct bytes view = record->packet.data;
    size_t k = dice_below(dice, countof(lengths)), from = 0;
    const uint8_t *bus = view.len ? memmem(view.data, view.len, "RCmb", 4) : NULL;
    if (lengths[k].bus && bus)
        from = (size_t)(bus - view.data);
    from += lengths[k].at;
    if (from + lengths[k].size <= view.len)
        write_be((uint8_t *)(uintptr_t)view.data + from, lengths[k].size,
                 lie(dice, view.data[from]));
}

static void lie_about_records(struct slice *slice, struct dice *dice) {
    struct record *record = &slice->records[dice_below(dice, (uint32_t)slice->count)];
    if (dice_once_in(dice, 2))
        record->captured = lie(dice, record->captured);
    else
        record->wire_len = lie(dice, record->wire_len);
}

static void lose(struct slice *slice, struct dice *dice) {
    slice->records[dice_below(dice, (uint32_t)slice->count)].gone = true;
}

static void swap_or_repeat(struct slice *slice, struct dice *dice) {
    struct record *a = &slice->records[dice_below(dice, (uint32_t)slice->count)];
    struct record *b = &slice->records[dice_below(dice, (uint32_t)slice->count)];
    struct record was = *a;
    *a = *b;
    if (dice_once_in(dice, 2))
        *b = was;
}

static void cut_by_snaplen(struct slice *slice, struct dice *dice) {
    uint32_t snaplen = dice_below(dice, 2500);
    for (size_t i = 0; i < slice->count; i++) {
        struct record *record = &slice->records[i];
        record->packet.data.len = min_size(record->packet.data.len, snaplen);
        record->captured = (uint32_t)record->packet.data.len;
    }
}

static void jump_in_time(struct slice *slice, struct dice *dice) {
    slice->records[dice_below(dice, (uint32_t)slice->count)].packet.time =
        (nstime)(dice_throw(dice) >> dice_below(dice, 40));
}

typedef void damage(struct slice *slice, struct dice *dice);

static damage *const damages[] = {flip_bits,         flip_bits,      lie_about_lengths,
                                  lie_about_lengths, lose,           swap_or_repeat,
                                  lie_about_records, cut_by_snaplen, jump_in_time};

/* ---- a mutant ---- */

/* Its bytes are copied to `bytes`, so that damage stays with the copy. */
static void copy_slice(struct slice *copy, const struct slice *slice, uint8_t *bytes) {
    *copy = *slice;
    for (size_t i = 0; i < copy->count; i++) {
        struct bytes *data = &copy->records[i].packet.data;
        if (data->len)
            memcpy(bytes, data->data, data->len);
        data->data = bytes;
        bytes += data->len;
    }
}

static struct made file_of(const struct slice *slice, struct dice *dice) {
    uint16_t link_type = slice->records[0].packet.link_type;
    struct made made = made_pcap(false, 0xa1b2c3d4, dice_once_in(dice, 50) ? 113 : link_type);
    for (size_t i = 0; i < slice->count; i++) {
        const struct record *record = &slice->records[i];
        if (record->gone)
            continue;
        made_u32(&made, (uint32_t)(record->packet.time / NS_PER_SEC));
        made_u32(&made, (uint32_t)(record->packet.time % NS_PER_SEC / NS_PER_US));
        made_u32(&made, record->captured);
        made_u32(&made, record->wire_len);
        made_bytes(&made, record->packet.data.data, record->packet.data.len);
    }
    if (dice_once_in(dice, 10)) /* the disk was full, or is broken */
        made.len -= dice_below(dice, (uint32_t)made.len);
    else if (dice_once_in(dice, 10))
        made.data[dice_below(dice, (uint32_t)min_size(made.len, 100))] ^= 0x11;
    return made;
}

static struct made mutant(struct dice *dice) {
    static uint8_t bytes[SLICE_BYTES];
    static struct slice copy;
    copy_slice(&copy, &slices[dice_below(dice, (uint32_t)slice_count)], bytes);
    for (uint32_t n = 1 + dice_below(dice, 6); n > 0; n--)
        damages[dice_below(dice, countof(damages))](&copy, dice);
    return file_of(&copy, dice);
}

/* ---- all of them ---- */

static uint64_t seed;
static long number; /* of the mutant in hand */

static void last_words(void) {
    fprintf(stderr, "mutate: mutant %ld; again: PROP_SEED=%llu mutate %ld\n", number,
            (unsigned long long)seed, number);
}

static void on_abort(int signal_number) {
    (void)signal_number; /* a claim of whole_run.h; returning from here ends the process */
    last_words();
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *why) {
    fprintf(stderr, "mutate: %s\n", why);
    last_words();
    exit(1);
}

struct sums {
    uint64_t opened, damaged, packets, events;
    double slowest;
};

static void try_mutant(struct sums *sums) {
    struct dice dice = dice_of(seed + (uint64_t)number * 7919);
    struct made made = mutant(&dice);
    struct whole_run run = {.capture = made_view(&made)};
    double before = seconds();
    whole_run(&run);
    double took = seconds() - before;
    made_free(&made);
    if (took > SECONDS_MAX)
        fail("took too long");
    sums->slowest = took > sums->slowest ? took : sums->slowest;
    sums->opened += run.opened;
    sums->damaged += run.damaged;
    sums->packets += run.packets;
    sums->events += run.events;
}

static void check_memory(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (usage.ru_maxrss > MEMORY_MAX)
        fail("took too much memory");
    printf("peak memory %ld MiB\n", usage.ru_maxrss / 1024);
}

/* There when linked with a sanitizer. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void free_slices(void) {
    for (size_t i = 0; i < slice_count; i++) {
        for (size_t k = 0; k < slices[i].count; k++)
            free((void *)(uintptr_t)slices[i].records[k].packet.data.data);
    }
}

int main(int argc, char **argv) {
    struct sums sums = {0};
    seed = dice_seed();
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(last_words);
    signal(SIGABRT, on_abort);
    if (captures_each(add_slices, NULL) == 0) {
        printf("no captures in pcaps/: nothing to mutate\n");
        return 0;
    }
    long first = argc > 1 ? strtol(argv[1], NULL, 10) : 0, last = argc > 1 ? first : MUTANTS - 1;
    printf("PROP_SEED=%llu, %zu slices\n", (unsigned long long)seed, slice_count);
    for (number = first; number <= last; number++)
        try_mutant(&sums);
    printf("%ld mutants: %llu opened, %llu damaged, %llu packets, %llu events, slowest %.0f ms\n",
           last - first + 1, (unsigned long long)sums.opened, (unsigned long long)sums.damaged,
           (unsigned long long)sums.packets, (unsigned long long)sums.events, sums.slowest * 1e3);
    check_memory();
    free_slices();
    return 0;
}
