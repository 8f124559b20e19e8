/* source_ebpf.c - packets of this host's interfaces as eBPF programs hand them up (bpf/skim.bpf.c).
 *
 *   ebpf:eth0,lo     these interfaces; "any" is all there are
 *   ebpf:eth0@1234   of the network namespace in which process 1234 is
 *
 * Each CPU has a ring. Records are handed out in the order of their times, and only once they are
 * SETTLE_NS old: a younger one may still come from another CPU. Nobody is woken for a record: the
 * rings are looked at every few milliseconds, more often while they fill fast, seldom while nothing
 * happens.
 *
 * The kernel stamps packets by the monotonic clock, which never jumps. What that is by the wall
 * clock is looked up every second, in pairs of readings of which the tightest counts. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "capture/flow_sums.h"
#include "capture/sieve.h"
#include "capture/skim.h"
#include "capture/source_kind.h"

enum {
    PREFIX = sizeof "ebpf:" - 1,
    PAIRS = 8, /* of readings of the clocks, of which the tightest counts */
    SETTLE_NS = 100 * 1000,
    LOOK_MS = 10,  /* between looks at the rings: a look after each packet would cost the most */
    HASTY_MS = 2,  /* while one of them fills fast */
    HASTY = 16,    /* which is, by this part of a ring from one look to the next */
    LAZY_MS = 20,  /* while there is nothing */
    QUIET_MS = 250 /* a moment, of which whoever reads is told */
};

struct reader {
    struct skim_ring *ring;
    uint64_t tail; /* of what is handed out */
    uint64_t head; /* of what is known to be there */
};

struct ebpf {
    struct source source;
    struct skim skim;
    char *names;
    struct reader *readers; /* one for each ring */
    struct reader *last;    /* whose record was handed out, and is not needed any more */
    nstime settled;         /* monotonic: what is older than this is all there */
    nstime wall_less_mono;
    nstime looked;    /* monotonic: when that was looked up */
    nstime idled;     /* monotonic: when a moment was last said to have passed */
    uint64_t fullest; /* bytes in the fullest ring since the last pause */
    struct source_interface interfaces[CAP_TAPS]; /* of each device */
    nstime left_at[CAP_TAPS]; /* it was missed then, and the rings are looked at since; 0: never */
    struct sieve *filter;     /* the user's own; NULL: none */
    bool inside, passing;     /* a packet of which records are to come; it passes the filter */
    nstime (*stopped_at)(void), (*wall)(void), (*steady)(void);
    nstime ahead; /* of the kernel's monotonic clock is this process's, in a time namespace */
    nstime until; /* monotonic: told to stop then; TIME_NONE: not yet */
};

/* ---- time ---- */

/* time_namespaces(7) */
static nstime ahead_of_kernel(void) {
    FILE *offsets = fopen("/proc/self/timens_offsets", "re");
    long long seconds = 0, rest = 0;
    if (!offsets || fscanf(offsets, "monotonic %lld %lld", &seconds, &rest) != 2)
        seconds = rest = 0;
    if (offsets)
        (void)fclose(offsets);
    return seconds * NS_PER_SEC + rest;
}

static nstime monotonic(const struct ebpf *ebpf) {
    return ebpf->steady() - ebpf->ahead;
}

/* What comes between two readings makes the pair wrong, by half of what it takes at most. */
static void pair_clocks(struct ebpf *ebpf) {
    nstime tightest = INT64_MAX;
    for (int i = 0; i < PAIRS; i++) {
        nstime before = monotonic(ebpf), wall = ebpf->wall(), took = monotonic(ebpf) - before;
        if (took >= tightest)
            continue;
        tightest = took;
        ebpf->wall_less_mono = wall - (before + took / 2);
    }
}

static void look_at_clocks(struct ebpf *ebpf, nstime mono) {
    if (ebpf->looked && mono - ebpf->looked < NS_PER_SEC)
        return;
    ebpf->looked = mono;
    pair_clocks(ebpf);
}

/* The end is kept by the clock that is not set. */
static void note_stop(struct ebpf *ebpf) {
    nstime wall = ebpf->until == TIME_NONE && ebpf->stopped_at ? ebpf->stopped_at() : TIME_NONE;
    if (wall == TIME_NONE)
        return;
    pair_clocks(ebpf);
    ebpf->until = wall - ebpf->wall_less_mono;
}

static bool is_over(const struct ebpf *ebpf, nstime mono) {
    return ebpf->until != TIME_NONE && mono > ebpf->until;
}

/* ---- the rings ---- */

static struct skim_record *record_of(const struct ebpf *ebpf, const struct reader *reader) {
    return (struct skim_record *)(reader->ring->data +
                                  (reader->tail & (ebpf->skim.ring_bytes - 1)));
}

static void look_at_rings(struct ebpf *ebpf) {
    nstime mono = monotonic(ebpf);
    look_at_clocks(ebpf, mono);
    ebpf->settled = mono - SETTLE_NS;
    for (size_t i = 0; i < ebpf->skim.ring_count; i++) {
        struct reader *reader = &ebpf->readers[i];
        reader->head = __atomic_load_n(&reader->ring->head, __ATOMIC_ACQUIRE);
        if (reader->head - reader->tail > ebpf->fullest)
            ebpf->fullest = reader->head - reader->tail;
    }
}

/* The busier, the shorter. */
static void pause_for_more(struct ebpf *ebpf) {
    int busy = ebpf->fullest > ebpf->skim.ring_bytes / HASTY ? HASTY_MS : LOOK_MS;
    (void)poll(NULL, 0, ebpf->fullest ? busy : LAZY_MS);
    ebpf->fullest = 0;
}

/* The room of the record that was handed out is the kernel's again. */
static void give_back(struct ebpf *ebpf) {
    struct reader *reader = ebpf->last;
    if (!reader)
        return;
    reader->tail += record_of(ebpf, reader)->size;
    __atomic_store_n(&reader->ring->tail, reader->tail, __ATOMIC_RELEASE);
    ebpf->last = NULL;
}

/* The ring with the oldest record that is settled; NULL: there is none. */
static struct reader *oldest(struct ebpf *ebpf) {
    struct reader *first = NULL;
    nstime time = ebpf->settled;
    for (size_t i = 0; i < ebpf->skim.ring_count; i++) {
        struct reader *reader = &ebpf->readers[i];
        if (reader->tail == reader->head)
            continue;
        nstime stamp = (nstime)record_of(ebpf, reader)->time;
        if (stamp <= time) {
            time = stamp;
            first = reader;
        }
    }
    return first;
}

static void count_drops(struct ebpf *ebpf) {
    uint64_t drops = 0;
    for (size_t i = 0; i < ebpf->skim.ring_count; i++) {
        const struct skim_ring *ring = ebpf->readers[i].ring;
        drops += ring->full + ring->unreadable;
    }
    ebpf->source.info.kernel_drops = drops;
}

/* ---- packets ---- */

static uint32_t device_of(const struct ebpf *ebpf, uint32_t ifindex) {
    uint32_t i = 0;
    while (i + 1 < ebpf->skim.device_count && ebpf->skim.devices[i].ifindex != ifindex)
        i++;
    return i;
}

static void fill(struct ebpf *ebpf, const struct skim_record *record, struct packet *packet) {
    uint32_t device = device_of(ebpf, record->ifindex);
    *packet = (struct packet){
        .data = bytes_of(record->frame, record->len),
        .time = (nstime)record->time + ebpf->wall_less_mono,
        .wire_len = record->wire_len,
        .interface = device,
        .link_type = ebpf->skim.devices[device].link_type,
        .more = record->more,
        .skimmed = !record->cut,
    };
}

/* Two devices of different namespaces may have the same number: what is of which is not known. */
static void count(struct ebpf *ebpf, struct packet *packet) {
    struct source_interface *interface = &ebpf->interfaces[packet->interface];
    source_count_skimmed(&ebpf->source, packet);
    if (interface->packets != COUNT_UNKNOWN)
        interface->packets += !packet->more;
}

/* A packet passes with all its records, by what is in the first. */
static bool passes(struct ebpf *ebpf, const struct packet *packet) {
    struct err never; /* as it is compiled for all devices */
    if (!ebpf->inside && ebpf->filter)
        (void)sieve_look(ebpf->filter, packet, &ebpf->passing, &never);
    ebpf->inside = packet->more;
    return ebpf->passing;
}

/* The next record that is settled and passes. False: there is none. */
static bool take(struct ebpf *ebpf, struct packet *packet) {
    for (;;) {
        give_back(ebpf);
        ebpf->last = oldest(ebpf);
        if (!ebpf->last)
            return false;
        fill(ebpf, record_of(ebpf, ebpf->last), packet);
        if (passes(ebpf, packet))
            return true;
    }
}

/* Also while packets come, every moment is said to pass. */
static bool moment_passed(struct ebpf *ebpf) {
    bool passed = ebpf->settled - ebpf->idled >= QUIET_MS * NS_PER_MS;
    if (passed)
        ebpf->idled = ebpf->settled;
    return passed;
}

static enum source_got say(struct ebpf *ebpf, enum source_got what) {
    count_drops(ebpf);
    return what;
}

/* An interface that is gone brings nothing more; but what it brought may not have been looked at,
 * so it is gone for those who ask only the next time. True: one is newly missed. */
static bool miss(struct ebpf *ebpf) {
    bool news = false;
    for (size_t i = 0; i < ebpf->skim.device_count; i++) {
        if (ebpf->left_at[i]) {
            ebpf->interfaces[i].gone = ebpf->left_at[i];
        } else if (!skim_is_there(&ebpf->skim, i)) {
            ebpf->left_at[i] = ebpf->wall();
            news = true;
        }
    }
    return news;
}

static bool is_any_left(const struct ebpf *ebpf) {
    for (size_t i = 0; i < ebpf->skim.device_count; i++)
        if (ebpf->interfaces[i].gone == TIME_NONE)
            return true;
    return false;
}

static enum source_got fail(const struct ebpf *ebpf, struct err *err) {
    size_t count = ebpf->skim.device_count;
    if (count > 1)
        (void)err_set(err, "the capture has ended: none of its %zu interfaces is left", count);
    else
        (void)err_set(err, "%.100s: the capture has ended: the interface is gone",
                      ebpf->skim.devices[0].name);
    return SOURCE_FAILED;
}

static enum source_got check(struct ebpf *ebpf, struct err *err) {
    if (!miss(ebpf))
        return is_any_left(ebpf) ? SOURCE_IDLE : fail(ebpf, err);
    (void)poll(NULL, 0, HASTY_MS);
    look_at_rings(ebpf);
    return SOURCE_PACKET;
}

/* Nothing is at hand. What that means; SOURCE_PACKET: look again. */
static enum source_got wait(struct ebpf *ebpf, bool looked_in_vain, struct err *err) {
    if (is_over(ebpf, ebpf->settled))
        return say(ebpf, SOURCE_END);
    if (moment_passed(ebpf))
        return say(ebpf, check(ebpf, err));
    if (looked_in_vain)
        pause_for_more(ebpf);
    look_at_rings(ebpf);
    return SOURCE_PACKET;
}

static enum source_got ebpf_next(struct source *source, struct packet *packet, struct err *err) {
    struct ebpf *ebpf = (struct ebpf *)source;
    for (bool looked = false; !take(ebpf, packet); looked = true) {
        note_stop(ebpf);
        enum source_got got = wait(ebpf, looked, err);
        if (got != SOURCE_PACKET)
            return got;
    }
    if (is_over(ebpf, packet->time - ebpf->wall_less_mono))
        return say(ebpf, SOURCE_END);
    count(ebpf, packet);
    return SOURCE_PACKET;
}

/* ---- life ---- */

static void ebpf_traffic(const struct source *source, struct source_traffic *ret_traffic) {
    flow_sums(&((const struct ebpf *)source)->skim, ret_traffic);
}

static bool ebpf_widen(struct source *source, const struct port_set *ports, struct err *err) {
    (void)err; /* it cannot fail */
    skim_want(&((struct ebpf *)source)->skim, ports);
    return true;
}

static void ebpf_close(struct source *source) {
    struct ebpf *ebpf = (struct ebpf *)source;
    skim_close(&ebpf->skim);
    sieve_free(ebpf->filter);
    free(ebpf->readers);
    free(ebpf->names);
    free(ebpf);
}

static bool has_twin(const struct skim *skim, size_t index) {
    for (size_t i = 0; i < skim->device_count; i++)
        if (i != index && skim->devices[i].ifindex == skim->devices[index].ifindex)
            return true;
    return false;
}

static void list_interfaces(struct ebpf *ebpf) {
    const struct skim *skim = &ebpf->skim;
    for (size_t i = 0; i < skim->device_count; i++)
        ebpf->interfaces[i] =
            (struct source_interface){.name = skim->devices[i].name,
                                      .gone = TIME_NONE,
                                      .packets = has_twin(skim, i) ? COUNT_UNKNOWN : 0,
                                      .drops = COUNT_UNKNOWN};
    ebpf->source.info.interfaces = ebpf->interfaces;
    ebpf->source.info.interface_count = skim->device_count;
}

static bool attach(struct ebpf *ebpf, struct err *err) {
    char *rest = ebpf->names;
    for (char *name; (name = strsep(&rest, ","));)
        if (!skim_attach(&ebpf->skim, name, err))
            return false;
    list_interfaces(ebpf);
    return true;
}

/* The filter is not for the kernel: it decides here, over the headers and what is there of the
 * rest. It is compiled while names may still be looked up. */
static bool set_filter(struct ebpf *ebpf, const struct source_options *options, struct err *err) {
    if (!options->filter)
        return true;
    ebpf->filter = sieve_new(options->filter, err);
    for (size_t i = 0; ebpf->filter && i < ebpf->skim.device_count; i++)
        if (!sieve_expect(ebpf->filter, ebpf->skim.devices[i].link_type, err))
            return false;
    return ebpf->filter;
}

static bool open_rings(struct ebpf *ebpf, const struct source_options *options, struct err *err) {
    struct skim_options wanted = {
        .snaplen = (uint32_t)options->snaplen,
        .ring_mib = (size_t)options->ring_mib,
        .ports = options->ports,
    };
    if (!skim_open(&ebpf->skim, &wanted, err))
        return false;
    ebpf->readers = calloc(ebpf->skim.ring_count, sizeof *ebpf->readers);
    if (!ebpf->readers)
        return err_no_memory(err);
    for (size_t i = 0; i < ebpf->skim.ring_count; i++)
        ebpf->readers[i].ring = skim_ring(&ebpf->skim, i);
    return attach(ebpf, err) && set_filter(ebpf, options, err) && skim_keep(&ebpf->skim, err);
}

struct source *source_ebpf_open(const char *path, const struct source_options *options,
                                struct err *err) {
    struct ebpf *ebpf = calloc(1, sizeof *ebpf);
    if (ebpf)
        ebpf->names = strdup(path + PREFIX);
    if (!ebpf || !ebpf->names) {
        free(ebpf);
        err_no_memory(err);
        return NULL;
    }
    ebpf->source = (struct source){.next = ebpf_next,
                                   .close = ebpf_close,
                                   .widen = ebpf_widen,
                                   .traffic = ebpf_traffic,
                                   .last_link_type = LINK_TYPE_NONE,
                                   .info = {.path = path + PREFIX, .format = "live"}};
    ebpf->stopped_at = options->stopped_at;
    ebpf->wall = options->now;
    ebpf->steady = options->steady;
    ebpf->ahead = ahead_of_kernel();
    ebpf->until = TIME_NONE;
    ebpf->passing = true;
    if (open_rings(ebpf, options, err))
        return &ebpf->source;
    ebpf_close(&ebpf->source);
    return NULL;
}
