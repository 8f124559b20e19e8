/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* record.h - what the kernel side of live capture hands up, and where: both sides include this.
 *
 * Every CPU has a ring of its own, which its programs alone fill and the reader alone empties, so
 * that neither waits for anybody. A ring is memory that both see; `head` and `tail` count bytes
 * since the beginning. A record never wraps: the data is followed by room for one more.
 *
 *      tail           head
 *   ....[record][record]..........|  one record  |
 *
 * A record is a TCP segment as a frame: headers and the beginning of its payload. A packet becomes
 * several records where the middle of it is not wanted: each has the packet's headers with
 * sequence number and lengths of its own, so that it reads as a segment that was cut.
 *
 *   packet   [headers|SET k $70000  v v v v v v v v v v  GET k]
 *   records  [headers|SET k $70000 v] + 69000 left out,  [headers|v GET k] */
#ifndef BUSTAP_BPF_RECORD_H
#define BUSTAP_BPF_RECORD_H

#include <linux/types.h>

/* Of strings, bytes: names, keys and most values are shorter, and handed up whole; of others, their
 * head. */
enum { SKIM_SHOWN = 1024, SKIM_HEAD = 64 };

enum {
    SKIM_CHUNK = 2048,  /* payload bytes in a record at most */
    SKIM_HEADERS = 192, /* more than Ethernet, IP and TCP ever have */
    SKIM_LINE = 64,     /* the bytes of a cache line */
};

struct skim_record {
    __u64 time;     /* CLOCK_MONOTONIC, ns */
    __u32 size;     /* of all of it, a multiple of 8: where the next one begins */
    __u32 len;      /* bytes of `frame` */
    __u32 wire_len; /* of which they are the beginning */
    __u32 ifindex;
    __u8 more; /* the packet goes on in the next record */
    __u8 cut;  /* the snaplen left bytes out, not we who know what they are */
    __u8 pad[6];
    __u8 frame[];
};

enum {
    SKIM_RECORD_MAX = sizeof(struct skim_record) + SKIM_HEADERS + SKIM_CHUNK + 8,
    SKIM_SLACK = 8192,         /* behind the data; the verifier wants more than a record's length */
    SKIM_RING_MIN = 256 << 10, /* a smaller ring does not even bridge the time between two looks */
};

struct skim_ring {
    /* Written by the kernel. */
    __u64 head __attribute__((aligned(SKIM_LINE)));
    __u64 full;       /* packets not handed up: no room in the ring for all of one */
    __u64 unreadable; /* likewise: the headers could not be read */
    __u64 unplaced;   /* packets of no flow that has a place, which are counted with none */
    /* Written by the reader. */
    __u64 tail __attribute__((aligned(SKIM_LINE)));
    __u8 data[] __attribute__((aligned(SKIM_LINE)));
};

/* A direction of a connection that has had data. Its requests or replies may be followed. Four to a
 * cache line. */
struct skim_flow {
    __u32 tag;  /* which one; 0: none */
    __u32 next; /* sequence number of the byte that comes next */
    __u32 left; /* of the bulk string in hand; or its length as far as it is read */
    __u8 at;    /* enum skim_at */
    __u8 pad[3];
};

/* What passed of it, also what the ring had no room for. */
struct skim_counts {
    __u64 packets, bytes;
    __u32 late;    /* of the packets: later data had passed, so they came again, or out of order */
    __u32 ifindex; /* by other devices the same packets come again */
    __u16 sport, dport;
    __u32 pad;
};

enum {
    SKIM_WAYS = SKIM_LINE / sizeof(struct skim_flow),
    SKIM_FLOW_BITS = 15,
    SKIM_BUNDLES = 1 << SKIM_FLOW_BITS, /* so many bundles of SKIM_WAYS flows: 6 MiB */
};

struct skim_bundle {
    struct skim_flow flows[SKIM_WAYS];
    struct skim_counts counts[SKIM_WAYS];
};

#endif
