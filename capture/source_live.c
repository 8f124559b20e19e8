/* source_live.c - packets of this host's interfaces as they come, from the ring of libpcap.
 *
 *   live:eth0        one interface
 *   live:eth0,lo     several, as one source; "any" is all there are
 *   live:eth0@1234   of the network namespace in which process 1234 is
 *
 * Rings hand packets over by the block. With several interfaces the oldest packet goes first, once
 * no other ring can hold an older one back: a moment after it came. So their order is that of time,
 * as far as the host itself keeps it. Nothing is ever sent, and no interface is made promiscuous.
 *
 * When it is told to stop, what the rings hold up to that moment is still handed out. It also ends
 * when no interface is left; the others of one that goes away go on. */
#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdlib.h>

#include "base/limits.h"
#include "capture/link_type.h"
#include "capture/netns.h"
#include "capture/port_filter.h"
#include "capture/source_kind.h"

enum {
    BLOCK_MS = 100,                  /* a ring hands a block over when it is full, or that old */
    SHARED_BLOCK_MS = 20,            /* likewise, one of several */
    SETTLE_MS = 3 * SHARED_BLOCK_MS, /* after that all that came before is at hand */
    IDLE_MS = 100,                   /* so often a moment is said to have passed */
    LAST_MS = 250,                   /* told to stop, and nothing for so long: that was all */
    PREFIX = sizeof "live:" - 1,
};

struct tap {
    char *name; /* points into live.names */
    pcap_t *pcap;
    struct port_filter filter;
    uint16_t link_type;
    bool gone;       /* its interface is; what the ring holds is still read */
    bool waits;      /* a packet that was not yet handed out */
    nstime empty_at; /* asked then, it had none; TIME_NONE: not asked since it had one */
    struct pcap_pkthdr *head;
    const u_char *bytes;
};

struct live {
    struct source source;
    char *names;
    struct tap taps[CAP_TAPS];
    struct source_interface interfaces[CAP_TAPS]; /* of each tap */
    struct pollfd polled[CAP_TAPS];
    size_t count, left; /* of these are not gone */
    uint64_t drops_of_gone;
    nstime (*stopped_at)(void), (*now)(void);
    nstime until; /* told to stop then; TIME_NONE: not yet */
    nstime idled; /* by the packets' times, when a moment was last said to have passed */
};

/* ---- opening ---- */

static bool tap_refused(const struct tap *tap, int status, struct err *err) {
    const char *why = pcap_geterr(tap->pcap);
    if (status == PCAP_ERROR_NO_SUCH_DEVICE)
        return err_set(err, "%.100s: there is no such interface: `ip link` lists them", tap->name);
    if (status == PCAP_ERROR_PERM_DENIED)
        return err_set(err,
                       "%.100s: no permission to capture: run as root, or give the program "
                       "CAP_NET_RAW (setcap cap_net_raw+ep)",
                       tap->name);
    if (status == PCAP_ERROR_IFACE_NOT_UP)
        return err_set(err, "%.100s: the interface is down: `ip link set %.100s up`", tap->name,
                       tap->name);
    return err_set(err, "%.100s: cannot be captured from: %.200s", tap->name,
                   *why ? why : pcap_statustostr(status));
}

static void configure(const struct tap *tap, const struct source_options *options, bool several) {
    (void)pcap_set_snaplen(tap->pcap, options->snaplen);
    (void)pcap_set_promisc(tap->pcap, 0);
    (void)pcap_set_timeout(tap->pcap, several ? SHARED_BLOCK_MS : BLOCK_MS);
    (void)pcap_set_buffer_size(tap->pcap, options->ring_mib << 20);
    (void)pcap_set_tstamp_precision(tap->pcap, PCAP_TSTAMP_PRECISION_NANO);
}

/* Makes its socket, in the namespace where we are. */
static bool tap_activate(struct tap *tap, const char *interface,
                         const struct source_options *options, bool several, struct err *err) {
    char why[PCAP_ERRBUF_SIZE] = "";
    tap->pcap = pcap_create(interface, why);
    if (!tap->pcap)
        return err_set(err, "%.100s: %.300s", tap->name, why);
    configure(tap, options, several);
    int status = pcap_activate(tap->pcap);
    if (status < 0) /* above 0 are warnings: what was asked for is not to be had, and not needed */
        return tap_refused(tap, status, err);
    return true;
}

static bool tap_activate_there(struct tap *tap, const struct source_options *options, bool several,
                               struct err *err) {
    char interface[IF_NAMESIZE];
    struct err lost;
    int home;
    pid_t pid = netns_split(tap->name, interface);
    if (pid == 0)
        return tap_activate(tap, tap->name, options, several, err);
    if (!netns_enter(pid, &home, err))
        return false;
    bool active = tap_activate(tap, interface, options, several, err);
    return netns_leave(home, &lost) ? active : err_set(err, "%s", lost.text);
}

static bool tap_open(struct tap *tap, const struct source_options *options, bool several,
                     struct err *err) {
    char why[PCAP_ERRBUF_SIZE] = "";
    if (!tap_activate_there(tap, options, several, err))
        return false;
    tap->link_type = link_type_of_dlt(pcap_datalink(tap->pcap));
    if (pcap_setnonblock(tap->pcap, 1, why) != 0)
        return err_set(err, "%.100s: %.300s", tap->name, why);
    return port_filter_open(&tap->filter, tap->pcap, options->filter, err) &&
           port_filter_set(&tap->filter, tap->pcap, &options->ports, err);
}

static bool open_taps(struct live *live, const struct source_options *options, struct err *err) {
    char *rest = live->names;
    bool several = strchr(live->names, ',') != NULL;
    for (char *name; (name = strsep(&rest, ","));) {
        if (live->count == CAP_TAPS)
            return err_set(err, "more than %d interfaces: name fewer, or `any`", CAP_TAPS);
        struct tap *tap = &live->taps[live->count];
        tap->name = name;
        tap->empty_at = TIME_NONE;
        live->interfaces[live->count++] =
            (struct source_interface){.name = name, .gone = TIME_NONE};
        if (!tap_open(tap, options, several, err))
            return false;
        live->polled[live->count - 1] =
            (struct pollfd){.fd = pcap_get_selectable_fd(tap->pcap), .events = POLLIN};
    }
    return true;
}

/* ---- reading ---- */

static nstime time_of(const struct pcap_pkthdr *head) {
    return (nstime)head->ts.tv_sec * NS_PER_SEC + (nstime)head->ts.tv_usec; /* these are ns */
}

static uint64_t drops_of(const struct tap *tap) {
    struct pcap_stat stat;
    return tap->pcap && pcap_stats(tap->pcap, &stat) == 0 ? stat.ps_drop : 0;
}

static void count_drops(struct live *live) {
    uint64_t drops = live->drops_of_gone;
    for (size_t i = 0; i < live->count; i++)
        drops += drops_of(&live->taps[i]);
    live->source.info.kernel_drops = drops;
}

static void tap_close(struct tap *tap) {
    port_filter_free(&tap->filter);
    if (tap->pcap)
        pcap_close(tap->pcap);
    tap->pcap = NULL;
}

/* Its ring is read. False: it was the last. */
static bool depart(struct live *live, struct tap *tap, struct err *err) {
    size_t index = (size_t)(tap - live->taps);
    struct source_interface *interface = &live->interfaces[index];
    interface->drops = drops_of(tap);
    interface->gone = live->now ? live->now() : 0;
    live->drops_of_gone += interface->drops;
    live->polled[index].fd = -1; /* poll(2) passes it over */
    live->left--;
    if (live->count > 1)
        (void)err_set(err, "the capture has ended: none of its %zu interfaces is left",
                      live->count);
    else
        (void)err_set(err, "%.100s: the capture has ended: %.200s", tap->name,
                      pcap_geterr(tap->pcap));
    tap_close(tap);
    return live->left > 0;
}

/* Its last packets are in a block that the kernel hands over a moment later. */
static int ask_once_gone(struct tap *tap) {
    tap->gone = true;
    (void)poll(NULL, 0, LAST_MS);
    return pcap_next_ex(tap->pcap, &tap->head, &tap->bytes);
}

static bool ask(struct live *live, struct tap *tap, struct err *err) {
    int got = pcap_next_ex(tap->pcap, &tap->head, &tap->bytes);
    if (got < 0 && !tap->gone)
        got = ask_once_gone(tap);
    tap->waits = got == 1;
    tap->empty_at = got == 0 && live->now ? live->now() : TIME_NONE;
    return got == 1 || (got == 0 && !tap->gone) || depart(live, tap, err);
}

static bool is_older(const struct tap *tap, const struct tap *than) {
    return tap->waits && (!than || time_of(tap->head) < time_of(than->head));
}

/* Of those that wait; NULL: none does. */
static struct tap *oldest_waiting(struct live *live) {
    struct tap *oldest = NULL;
    for (size_t i = 0; i < live->count; i++)
        if (is_older(&live->taps[i], oldest))
            oldest = &live->taps[i];
    return oldest;
}

/* Can an empty ring have got a packet before that time, so that it is to be asked once more? */
static bool is_doubtful(const struct tap *tap, nstime time) {
    return tap->empty_at == TIME_NONE || time + SETTLE_MS * NS_PER_MS > tap->empty_at;
}

/* Is the ring to be asked before that packet (NULL: none) is handed out? */
static bool is_to_be_asked(const struct tap *tap, const struct tap *oldest) {
    return tap->pcap && !tap->waits && (!oldest || is_doubtful(tap, time_of(oldest->head)));
}

/* The tap with the oldest packet at hand; *ret_tap NULL: there is none. False: no tap is left. */
static bool oldest(struct live *live, struct tap **ret_tap, struct err *err) {
    *ret_tap = oldest_waiting(live);
    for (size_t i = 0; i < live->count; i++) {
        struct tap *tap = &live->taps[i];
        if (!is_to_be_asked(tap, *ret_tap))
            continue;
        if (!ask(live, tap, err))
            return false;
        if (is_older(tap, *ret_tap))
            *ret_tap = tap;
    }
    return true;
}

/* Must the oldest packet at hand wait, since an empty ring may still hold an older one back? For
 * so many milliseconds; 0: no. One that comes from the future does not: the clock was set back. */
static int too_young(const struct live *live, const struct tap *oldest) {
    nstime time = time_of(oldest->head), left = 0;
    for (size_t i = 0; i < live->count; i++) {
        const struct tap *tap = &live->taps[i];
        bool matters =
            tap->pcap && !tap->waits && tap->empty_at != TIME_NONE && time <= tap->empty_at;
        nstime missing = matters ? time + SETTLE_MS * NS_PER_MS - tap->empty_at : 0;
        left = missing > left ? missing : left;
    }
    return (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

/* Until an empty ring has something to hand over, but at most so long. */
static void hold_back(const struct live *live, int ms) {
    struct pollfd polled[CAP_TAPS];
    nfds_t count = 0;
    for (size_t i = 0; i < live->count; i++)
        if (!live->taps[i].waits)
            polled[count++] = live->polled[i];
    (void)poll(polled, count, ms);
}

/* By the filter, not by the user's snaplen. */
static bool is_skimmed(const struct tap *tap) {
    return tap->head->caplen < tap->head->len && (int)tap->head->caplen < pcap_snapshot(tap->pcap);
}

static enum source_got hand_out(struct live *live, struct tap *tap, struct packet *packet) {
    *packet = (struct packet){
        .data = bytes_of(tap->bytes, tap->head->caplen),
        .time = time_of(tap->head),
        .wire_len = tap->head->len,
        .interface = (uint32_t)(tap - live->taps),
        .link_type = tap->link_type,
        .skimmed = is_skimmed(tap),
    };
    tap->waits = false;
    live->interfaces[packet->interface].packets++;
    source_count(&live->source, packet);
    return SOURCE_PACKET;
}

/* That is past. If it is not, the clock was set back since. */
static void note_stop(struct live *live) {
    if (live->until == TIME_NONE && live->stopped_at)
        live->until = live->stopped_at();
    nstime now = live->until != TIME_NONE && live->now ? live->now() : INT64_MAX;
    if (live->until > now)
        live->until = now;
}

/* Did the packet come after it was told to stop? Not if it comes from the future: the clock was set
 * back since, perhaps before that. */
static bool is_over(const struct live *live, const struct tap *tap) {
    nstime time = time_of(tap->head);
    return live->until != TIME_NONE && time > live->until && (!live->now || time <= live->now());
}

/* Also while packets come, every moment is said to pass: whoever reads has other things to do. */
static bool is_time_to_idle(struct live *live, const struct tap *tap) {
    nstime time = time_of(tap->head);
    bool passed = time - live->idled >= IDLE_MS * NS_PER_MS || time < live->idled;
    if (passed)
        live->idled = time;
    return passed;
}

static enum source_got idle(struct live *live) {
    count_drops(live);
    return SOURCE_IDLE;
}

static enum source_got ended(struct live *live) {
    count_drops(live);
    return SOURCE_END;
}

/* True: something may have come. A signal ends the waiting, too. */
static bool await(struct live *live) {
    int ready = poll(live->polled, live->count, live->until == TIME_NONE ? IDLE_MS : LAST_MS);
    return ready > 0 || (ready < 0 && errno == EINTR && live->until == TIME_NONE);
}

static enum source_got live_next(struct source *source, struct packet *packet, struct err *err) {
    struct live *live = (struct live *)source;
    for (;;) {
        struct tap *tap;
        note_stop(live);
        if (!oldest(live, &tap, err)) {
            count_drops(live);
            return SOURCE_FAILED;
        }
        int ms = tap ? too_young(live, tap) : 0;
        if (ms > 0) {
            hold_back(live, ms);
            continue;
        }
        if (tap && is_over(live, tap))
            return ended(live);
        if (tap)
            return is_time_to_idle(live, tap) ? idle(live) : hand_out(live, tap, packet);
        if (await(live))
            continue;
        bool over = live->until != TIME_NONE;
        return over ? ended(live) : idle(live);
    }
}

/* ---- life ---- */

static bool live_widen(struct source *source, const struct port_set *ports, struct err *err) {
    struct live *live = (struct live *)source;
    for (size_t i = 0; i < live->count; i++)
        if (live->taps[i].pcap &&
            !port_filter_set(&live->taps[i].filter, live->taps[i].pcap, ports, err))
            return false;
    return true;
}

static void live_close(struct source *source) {
    struct live *live = (struct live *)source;
    for (size_t i = 0; i < live->count; i++)
        tap_close(&live->taps[i]);
    free(live->names);
    free(live);
}

struct source *source_live_open(const char *path, const struct source_options *options,
                                struct err *err) {
    struct live *live = calloc(1, sizeof *live);
    if (live)
        live->names = strdup(path + PREFIX);
    if (!live || !live->names) {
        free(live);
        err_no_memory(err);
        return NULL;
    }
    live->source = (struct source){.next = live_next,
                                   .close = live_close,
                                   .widen = live_widen,
                                   .last_link_type = LINK_TYPE_NONE,
                                   .info = {.path = path + PREFIX, .format = "live"}};
    live->stopped_at = options->stopped_at;
    live->now = options->now;
    live->until = TIME_NONE;
    if (open_taps(live, options, err)) {
        live->left = live->count;
        live->source.info.interfaces = live->interfaces;
        live->source.info.interface_count = live->count;
        return &live->source;
    }
    live_close(&live->source);
    return NULL;
}
