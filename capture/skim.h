/* skim.h - the kernel side of live capture (bpf/skim.bpf.c): loaded, attached to interfaces, and
 * its rings mapped. Everything in the kernel belongs to this process, and goes when it goes; where
 * the kernel has no tcx, a keeper sees to that. */
#ifndef BUSTAP_CAPTURE_SKIM_H
#define BUSTAP_CAPTURE_SKIM_H

#include <net/if.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/port_set.h"
#include "bpf/record.h"
#include "capture/clsact.h"
#include "capture/keeper.h"

struct skim_options {
    uint32_t snaplen;
    size_t ring_mib;       /* of all CPUs' rings together */
    struct port_set ports; /* either end of a packet has one of them; empty: all packets */
};

struct skim_device {
    char name[IF_NAMESIZE];
    ino_t netns;
    uint32_t ifindex;
    uint16_t link_type; /* LINKTYPE_ value of its frames */
    int ioctls;         /* a socket to ask about it with, in its namespace */
};

struct skim {
    struct skim_device devices[CAP_TAPS];
    size_t device_count;
    bool full;         /* there was one more than CAP_TAPS */
    size_t ring_count; /* one for each CPU that there may be */
    uint64_t ring_bytes;
    struct skim_bpf *bpf; /* libbpf's skeleton */
    uint8_t *memory;
    uint64_t *ports; /* a word for each: is it wanted? */
    const struct skim_bundle *flows;
    size_t stride; /* from ring to ring */
    int links[2 * CAP_TAPS];
    size_t link_count;
    struct clsact held[CAP_TAPS]; /* without tcx, instead of links */
    size_t held_count;
    bool has_tcx, has_keeper;
    struct keeper keeper;
};

/* Loads the programs. False: the kernel cannot take them; err says why. Whatever happened,
 * skim_close() it. */
bool skim_open(struct skim *skim, const struct skim_options *options, struct err *err);

/* From now on packets of these ports are, too. It needs no privilege. */
void skim_want(struct skim *skim, const struct port_set *ports);

/* Attaches to an interface, or to all there are: "any". "eth0@1234" is one of the network namespace
 * in which process 1234 is. */
bool skim_attach(struct skim *skim, const char *name, struct err *err);

/* After the last: whatever happens to this process from now on, nothing remains. */
bool skim_keep(struct skim *skim, struct err *err);

/* False: the device that was attached to is gone. */
bool skim_is_there(const struct skim *skim, size_t device);

struct skim_ring *skim_ring(const struct skim *skim, size_t cpu);

void skim_close(struct skim *skim);

#endif
