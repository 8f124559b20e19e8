/* source.h - where packets come from. A kind of source is one row of sources.def.
 *
 *   struct source *s = source_open("a.pcapng.zst", &options, &err);
 *   while ((got = source_next(s, &packet, &err)) == SOURCE_PACKET) ...
 *   source_close(s);
 *
 * A source owns its buffers; the packet is valid until the next call. Damage ends a source: every
 * packet before it has been handed out, the text names the path, the byte offset and what was
 * found there. */
#ifndef BUSTAP_CAPTURE_SOURCE_H
#define BUSTAP_CAPTURE_SOURCE_H

#include "base/err.h"
#include "base/port_set.h"
#include "capture/packet.h"

enum source_got {
    SOURCE_PACKET, /* *ret_packet is filled */
    SOURCE_IDLE,   /* a moment has passed, with packets or without: ask again; of live ones only */
    SOURCE_END,    /* no more packets, all was in order */
    SOURCE_FAILED, /* damaged or unreadable from here on; err says where and what, every time */
};

struct source_options {
    size_t together;    /* files that share CAP_READ_BLOCK; 0 is 1 */
    bool sha256;        /* hash the input as it is read (costs more than the analysis itself) */
    bool (*stop)(void); /* asked when a signal interrupts a read: true ends the input; or NULL */

    /* Of interfaces: */
    nstime (*stopped_at)(void); /* by the wall clock, when it was told to end; TIME_NONE: not yet */
    nstime (*now)(void);        /* the wall clock, by which packets are stamped; or NULL */
    nstime (*steady)(void);     /* the monotonic one, by which eBPF stamps them */
    const char *filter;         /* the user's, as tcpdump's; NULL: none */
    struct port_set ports;      /* of which a packet has one; empty: all pass */
    int snaplen;                /* bytes of each packet; SNAPLEN_WHOLE: all */
    int ring_mib; /* the kernel's buffer: of libpcap for each interface, of eBPF for all CPUs */
};

/* What to say of a filter that libpcap does not take: the user's text, and libpcap's. */
#define FILTER_IS_WRONG "the filter '%.200s' is wrong: %.100s; `man pcap-filter` shows how (-f)"

enum {
    SOURCE_LINK_TYPES = 8,
    SNAPLEN_WHOLE = 262144, /* as tools say "whole packets"; eBPF brings longer ones, too */
};
#define COUNT_UNKNOWN UINT64_MAX

struct source_interface {
    const char *name;
    nstime gone;      /* noticed then, by the wall clock; TIME_NONE: it is there */
    uint64_t packets; /* of those handed out; or COUNT_UNKNOWN, as the drops */
    uint64_t drops;   /* known once it is gone */
};

/* What is known of a source so far; final once source_next returned something else than a packet.
 * All strings live as long as the source. */
struct source_info {
    const char *path; /* as given; "-" for standard input; the names of the interfaces */
    const char
        *format; /* "pcap", "pcapng", with ".zst" or ".gz" if compressed, as "pcap.zst"; "live" */
    char sha256[65]; /* of the whole input as stored, hex; empty if not asked or not read whole */
    uint16_t link_types[SOURCE_LINK_TYPES]; /* the first that were seen in packets, in order */
    size_t link_type_count;
    uint64_t packets;
    uint64_t bytes;             /* captured bytes of those packets */
    uint64_t truncated_packets; /* captured less than their length on the wire (snaplen) */
    uint64_t kernel_drops; /* as the kernel or the capture says (pcapng interface statistics) */
    uint64_t input_offset; /* bytes read of the stored input, for progress */
    uint64_t input_size;   /* its size; 0 if unknown (a pipe) */
    const struct source_interface *interfaces; /* of a live one */
    size_t interface_count;
};

/* Both ways, as they passed: also what was dropped, and each once, whatever it was seen by. */
struct source_port {
    uint16_t port; /* the server's */
    uint64_t packets, bytes;
    uint64_t late; /* of the packets: sent again, or out of order */
};

struct source_traffic {
    struct source_port ports[64]; /* in no order */
    size_t count;
    struct source_port others; /* further ports together */
    uint64_t unplaced;         /* packets that are in none of these: of flows that are not kept */
};

struct source;

/* Opens a file, or standard input for "-", whatever its format and compression: both are seen
 * from the content; for "live:eth0,lo@1234" these interfaces, lo in the network namespace that
 * process 1234 is in. NULL and a message on failure. */
struct source *source_open(const char *path, const struct source_options *options, struct err *err);

/* Would it open a file, or standard input? */
bool source_is_file(const char *path);

/* The next packet in the order of the file. */
enum source_got source_next(struct source *source, struct packet *ret_packet, struct err *err);

/* From now on packets of these ports pass, too: they are all that did and some more. None of those
 * that pass anyway is missed meanwhile. False and a message: all is as before. Files have no ports.
 */
bool source_widen(struct source *source, const struct port_set *ports, struct err *err);

/* False: nobody counts that. */
bool source_traffic(const struct source *source, struct source_traffic *ret_traffic);

const struct source_info *source_info(const struct source *source);
void source_close(struct source *source); /* NULL is fine */

#endif
