// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* skim.bpf.c - reads packets as they pass a network device, and hands up what analysis needs.
 *
 * Handed up is everything but the inside of large bulk strings, where that is known. So the
 * requests and replies of a connection are followed from header line to header line: the length of
 * a bulk string says where the next line stands, and what lies between is not even looked at. The
 * "\r\n" behind it goes with it where a packet ends so. What cannot be followed (the cluster bus,
 * TLS, a connection that was joined midway, one that lost a packet) is handed up whole. It is
 * followed again from a packet that clearly begins with a request, and its replies from what that
 * packet acknowledges.
 *
 * Each flow that has had data is counted beside that, whether there is room for its packets or not.
 * A packet is always let through as it is. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/record.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- what the reader sets before the programs are loaded ---- */

const volatile __u64 ring_bytes = SKIM_RING_MIN; /* a power of two */
const volatile __u32 snaplen = 262144;
const volatile __u32 secret = 0;      /* of the table of flows */
const volatile bool all_ports = true; /* else those in `ports` */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);                                                    /* set: CPUs */
    __uint(value_size, sizeof(struct skim_ring) + SKIM_RING_MIN + SKIM_SLACK); /* set */
    __type(key, __u32);
} rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1 << 16);
    __type(key, __u32);
    __type(value, __u64);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1 << SKIM_FLOW_BITS);
    __type(key, __u32);
    __type(value, struct skim_bundle);
} flows SEC(".maps");

/* ---- a packet's headers ---- */

/* The packet in hand. It is kept in a map, not on the stack, because there the verifier takes every
 * value for possible, and need not try each way to it. */
struct walk {
    __u64 time;
    __u32 l3, l4, headers; /* where IP, TCP and the payload begin */
    __u32 len;             /* of the payload */
    __u32 pos;             /* in the payload: so much is handed up, or left out */
    __u32 seq, ack;        /* of the payload's first byte */
    __u32 hash, tag;       /* of this direction */
    __u32 back_hash, back_tag;
    __u16 sport, dport;
    bool is_ip6, is_fragment, is_request, is_syn;

    /* how its stream is followed */
    __u8 at;    /* enum skim_at */
    __u32 left; /* see there */
    bool old, cut;
    bool whole, unreadable; /* all its records are written; or cannot be */
    __u64 head;             /* the ring's, behind its records so far */

    /* the record in hand */
    __u32 offset; /* in the ring */
    __u32 chunk;  /* bytes of the payload in it */
    __u32 index;  /* of these are followed */
    __u32 leap;   /* behind these, so many are left out */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct walk);
} walks SEC(".maps");

/* What the loops hand on. */
struct hands {
    struct __sk_buff *skb;
    struct walk *walk;
    struct skim_ring *ring;
};

static __always_inline __u32 mix(__u32 hash, __u32 word) {
    hash = (hash ^ word) * 0x9e3779b1u;
    return hash ^ hash >> 15;
}

static __always_inline bool port_wanted(__be16 port) {
    __u32 key = bpf_ntohs(port);
    __u64 *wanted = bpf_map_lookup_elem(&ports, &key);
    return wanted && *wanted;
}

/* Two hashes, one to find the bundle by and one to know the flow by; so from each end. */
static __always_inline void hash_flow(struct walk *walk, __u32 src, __u32 dst, __be16 sport,
                                      __be16 dport) {
    walk->hash = mix(mix(mix(secret, src), dst), (__u32)sport << 16 | dport);
    walk->tag = mix(mix(mix(~secret, dst), src), (__u32)dport << 16 | sport) | 1;
    walk->back_hash = mix(mix(mix(secret, dst), src), (__u32)dport << 16 | sport);
    walk->back_tag = mix(mix(mix(~secret, src), dst), (__u32)sport << 16 | dport) | 1;
}

enum { IP_MORE = 0x2000, IP_OFFSET = 0x1fff };

static __always_inline bool read_tcp(struct walk *walk, const struct tcphdr *tcp, void *end,
                                     __u32 src, __u32 dst) {
    if ((void *)(tcp + 1) > end || tcp->doff < 5)
        return false;
    walk->headers = walk->l4 + tcp->doff * 4;
    walk->seq = bpf_ntohl(tcp->seq) + tcp->syn;
    walk->ack = bpf_ntohl(tcp->ack_seq);
    walk->is_syn = tcp->syn;
    walk->sport = bpf_ntohs(tcp->source);
    walk->dport = bpf_ntohs(tcp->dest);
    hash_flow(walk, src, dst, tcp->source, tcp->dest);
    return all_ports || port_wanted(tcp->source) || port_wanted(tcp->dest);
}

/* A fragment has no ports, or only the first one has; it is handed up as it is. */
static __always_inline bool read_fragment(struct walk *walk) {
    walk->headers = walk->l4;
    walk->is_fragment = true;
    return all_ports;
}

/* An IP length of 0 is that of a packet too large for it. */
static __always_inline bool read_ip4(struct walk *walk, const struct iphdr *ip, void *end) {
    if ((void *)(ip + 1) > end || ip->ihl < 5 || ip->protocol != IPPROTO_TCP)
        return false;
    __u32 total = bpf_ntohs(ip->tot_len);
    walk->l4 = walk->l3 + ip->ihl * 4;
    walk->len = total ? walk->l3 + total : 0;
    if (ip->frag_off & bpf_htons(IP_MORE | IP_OFFSET))
        return read_fragment(walk);
    return read_tcp(walk, (void *)ip + ip->ihl * 4, end, ip->saddr, ip->daddr);
}

static __always_inline __u32 fold(const struct in6_addr *address) {
    const __be32 *words = address->in6_u.u6_addr32;
    return mix(mix(mix(words[0], words[1]), words[2]), words[3]);
}

enum { JUMBO = 8 }; /* bytes of the option for the length of a packet over 64 KiB (RFC 2675) */

/* A length of 0: likewise. */
static __always_inline bool read_ip6(struct walk *walk, const struct ipv6hdr *ip, void *end) {
    const __u8 *next = (void *)(ip + 1);
    if ((void *)(next + JUMBO) > end)
        return false;
    __u32 skip = ip->nexthdr == IPPROTO_HOPOPTS && next[1] == 0 ? JUMBO : 0;
    if ((skip ? next[0] : ip->nexthdr) != IPPROTO_TCP)
        return false;
    __u32 payload = bpf_ntohs(ip->payload_len);
    walk->is_ip6 = true;
    walk->l4 = walk->l3 + sizeof *ip + skip;
    walk->len = payload ? walk->l3 + sizeof *ip + payload : 0;
    return read_tcp(walk, (void *)(next + skip), end, fold(&ip->saddr), fold(&ip->daddr));
}

/* Some cards put everything elsewhere; IP would fetch its headers next anyway. */
static __always_inline void fetch_headers(struct __sk_buff *skb, __u32 l3) {
    __u32 least =
        l3 + sizeof(struct tcphdr) +
        (skb->protocol == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    if (data + least > end && skb->len >= least)
        (void)bpf_skb_pull_data(skb, least);
}

/* Is the packet wanted? Then its headers are known, and `len` is the payload's. */
static __always_inline bool read_headers(struct walk *walk, struct __sk_buff *skb, __u32 l3) {
    fetch_headers(skb, l3);
    void *end = (void *)(long)skb->data_end, *ip = (void *)(long)skb->data + l3;
    __u32 whole = skb->len;
    walk->l3 = l3;
    if (skb->protocol == bpf_htons(ETH_P_IP)
            ? !read_ip4(walk, ip, end)
            : skb->protocol != bpf_htons(ETH_P_IPV6) || !read_ip6(walk, ip, end))
        return false;
    if (walk->len == 0 || walk->len > whole) /* behind it is padding */
        walk->len = whole;
    walk->len = walk->len > walk->headers ? walk->len - walk->headers : 0;
    return true;
}

/* ---- the flows that are followed ----
 *
 * The table is everybody's, and no lock is taken: the packets of a direction nearly always come by
 * one CPU. Where two write to a bundle at once, a place is lost or a packet not counted, and a flow
 * of which the next packet does not fit is not followed until it is joined anew. */

/* Where the next byte of a stream stands. */
enum skim_at {
    AT_ODD,    /* unknown: the stream is not followed */
    AT_LINE,   /* the first byte of a line */
    IN_TEXT,   /* a line whose text does not matter, up to its end */
    IN_LENGTH, /* "$12": the length of a bulk string, which is read into `left` */
    AT_BULK,   /* the string's first byte: `left` bytes of it to come */
    IN_BULK,   /* further ones */
    IN_SHOWN,  /* the same, but it is handed up whole */
};

static __always_inline struct skim_bundle *bundle_of(__u32 hash) {
    __u32 key = hash >> (32 - SKIM_FLOW_BITS);
    return bpf_map_lookup_elem(&flows, &key);
}

/* SKIM_WAYS: it has no place. */
static __always_inline __u32 way_of(const struct skim_bundle *bundle, __u32 tag) {
    for (__u32 way = 0; way < SKIM_WAYS; way++)
        if (bundle->flows[way].tag == tag)
            return way;
    return SKIM_WAYS;
}

static __always_inline __u32 way_not_followed(const struct skim_bundle *bundle) {
    for (__u32 way = 0; way < SKIM_WAYS; way++)
        if (bundle->flows[way].at == AT_ODD)
            return way;
    return SKIM_WAYS;
}

/* A free one, that of a flow that is not followed, or any. What was counted there goes with the
 * flow to those that have no place. */
static __always_inline __u32 make_place(struct skim_bundle *bundle, struct skim_ring *ring,
                                        __u32 any) {
    __u32 way = way_of(bundle, 0);
    if (way == SKIM_WAYS)
        way = way_not_followed(bundle);
    way = way == SKIM_WAYS ? any & (SKIM_WAYS - 1) : way & (SKIM_WAYS - 1);
    ring->unplaced += bundle->counts[way].packets;
    bundle->counts[way] = (struct skim_counts){0};
    return way;
}

static __always_inline void put_flow(struct skim_bundle *bundle, struct skim_ring *ring, __u32 tag,
                                     __u32 next, __u8 at, __u32 left) {
    __u32 way = way_of(bundle, tag);
    if (way == SKIM_WAYS)
        way = make_place(bundle, ring, next);
    bundle->flows[way & (SKIM_WAYS - 1)] =
        (struct skim_flow){.tag = tag, .next = next, .left = left, .at = at};
}

/* ---- following a stream ---- */

enum {
    BULK_MAX = 1 << 30,
    DIGITS = 6,         /* of a length that is read in one step, and the '\r' */
    FRAME_MASK = 0xfff, /* what an index is held to, so that the verifier sees it */
};

static __always_inline struct skim_record *record_at(struct skim_ring *ring, __u32 offset) {
    return (void *)(ring->data + (offset & (ring_bytes - 1)));
}

static __always_inline __u8 byte_at(const struct skim_record *record, __u32 index) {
    return record->frame[index & FRAME_MASK];
}

static __always_inline __u8 first_of_line(__u8 byte) {
    switch (byte) {
    case '$':
    case '=':
    case '!':
        return IN_LENGTH;
    case '*':
    case '+':
    case '-':
    case ':':
    case '%':
    case '~':
    case '>':
    case '|':
    case '_':
    case '#':
    case ',':
    case '(':
        return IN_TEXT;
    case '\r':
    case '\n': /* behind a bulk string */
        return AT_LINE;
    default:
        return AT_ODD;
    }
}

/* A byte of the length. */
static __always_inline __u8 length_byte(struct walk *walk, __u8 byte) {
    if (byte == '\n')
        return walk->left ? AT_BULK : AT_LINE;
    if (byte == '\r')
        return IN_LENGTH;
    if (byte == '-') /* there is no string */
        return IN_TEXT;
    if (byte < '0' || byte > '9' || walk->left >= BULK_MAX / 10)
        return AT_ODD;
    walk->left = walk->left * 10 + (byte - '0');
    return IN_LENGTH;
}

/* Nothing follows the string in this packet but the end of its line, which then goes with it. */
static __always_inline bool ends_packet(const struct hands *hands, __u32 behind) {
    const struct walk *walk = hands->walk;
    __u8 last[2];
    return behind == sizeof last &&
           bpf_skb_load_bytes(hands->skb, walk->headers + walk->len - sizeof last, last,
                              sizeof last) == 0 &&
           last[0] == '\r' && last[1] == '\n';
}

/* As much of the string as is at hand, or to leave out. INFO's answer is read, so it is shown. */
static __always_inline bool take_bulk(const struct hands *hands, __u8 byte) {
    struct walk *walk = hands->walk;
    __u32 room = walk->chunk - walk->index, left = walk->left;
    bool begins = walk->at == AT_BULK;
    if (begins)
        walk->at = byte == '#' ? IN_SHOWN : IN_BULK;
    if (walk->at == IN_BULK && left > SKIM_SHOWN) {
        __u32 shown = begins ? SKIM_HEAD : 0, rest = walk->len - walk->pos - walk->index;
        shown = shown < room ? shown : room;
        walk->index += shown;
        walk->leap = (left < rest ? left : rest) - shown;
        walk->left = left - shown - walk->leap;
        if (ends_packet(hands, rest - left))
            walk->leap = rest - shown;
    } else {
        room = room < left ? room : left;
        walk->index += room;
        walk->left = left - room;
    }
    if (walk->left == 0)
        walk->at = AT_LINE;
    return walk->leap > 0;
}

/* "*3\r\n", or "$16\r\n" with the string and "\r\n" behind it if that is short, in one step: so
 * they nearly always come. False: it is something else, or not all there. What is read behind the
 * chunk is old, and makes no difference. */
static __always_inline bool take_whole(struct walk *walk, const struct skim_record *record,
                                       __u8 first) {
    __u32 at = walk->headers + walk->index, end = walk->index + 3, number = 0;
    if (first != '$' && first != '*')
        return false;
    for (int i = 1; i <= DIGITS; i++, end++) {
        __u8 byte = byte_at(record, at + i);
        if (byte == '\r' && i > 1) {
            bool is_large = first == '$' && number > SKIM_SHOWN;
            if (first == '$' && !is_large)
                end += number + 2;
            if (end > walk->chunk)
                return false;
            walk->at = is_large ? AT_BULK : AT_LINE;
            walk->left = is_large ? number : 0;
            walk->index = end;
            return true;
        }
        if (byte < '0' || byte > '9')
            return false;
        number = number * 10 + (byte - '0');
    }
    return false;
}

/* A byte of a line, or as much as there is of a bulk string. Not 0: this was the last. */
static long follow(__u32 number, void *context) {
    const struct hands *hands = context;
    struct walk *walk = hands->walk;
    const struct skim_record *record = record_at(hands->ring, walk->offset);
    if (walk->index >= walk->chunk || walk->at == AT_ODD)
        return 1;
    __u8 byte = byte_at(record, walk->headers + walk->index);
    if (walk->at >= AT_BULK)
        return take_bulk(hands, byte);
    if (walk->at == AT_LINE && take_whole(walk, record, byte))
        return 0;
    if (walk->at == AT_LINE) {
        walk->at = first_of_line(byte);
        walk->left = 0;
    } else if (walk->at == IN_LENGTH) {
        walk->at = length_byte(walk, byte);
    } else if (byte == '\n') {
        walk->at = AT_LINE;
    }
    walk->index++;
    return 0;
}

/* "*3\r\n$3": so begins a request, and hardly anything else. */
static __always_inline bool begins_request(const struct walk *walk,
                                           const struct skim_record *record) {
    __u32 at = walk->headers + 1;
    if (walk->chunk < 8 || byte_at(record, at - 1) != '*')
        return false;
    for (int i = 0; i < 4; i++, at++) {
        __u8 byte = byte_at(record, at);
        if (byte < '0' || byte > '9')
            return i > 0 && byte == '\r' && byte_at(record, at + 1) == '\n' &&
                   byte_at(record, at + 2) == '$';
    }
    return false;
}

/* ---- handing up ---- */

static __always_inline void put16(struct skim_record *record, __u32 index, __u16 value) {
    record->frame[index & 0xff] = value >> 8;
    record->frame[(index + 1) & 0xff] = value;
}

static __always_inline void put32(struct skim_record *record, __u32 index, __u32 value) {
    put16(record, index, value >> 16);
    put16(record, index + 2, value);
}

enum { TCP_FLAGS_AT = 13, FLAG_FIN = 1, LEN_MAX = 0xffff };

/* Makes the headers those of a segment from `pos` with `extent` bytes. */
static __always_inline void edit_headers(const struct walk *walk, struct skim_record *record,
                                         __u32 extent) {
    __u32 from = walk->l3 + (walk->is_ip6 ? sizeof(struct ipv6hdr) : 0);
    __u32 len = walk->headers - from + extent;
    put16(record, walk->l3 + (walk->is_ip6 ? 4 : 2), len <= LEN_MAX ? len : 0);
    put32(record, walk->l4 + 4, walk->seq + walk->pos);
    if (walk->pos + extent < walk->len)
        record->frame[(walk->l4 + TCP_FLAGS_AT) & 0xff] &= ~FLAG_FIN;
}

/* The headers and the next `chunk` bytes of the payload. */
static __always_inline bool load(struct __sk_buff *skb, const struct walk *walk,
                                 struct skim_record *record) {
    __u32 headers = walk->headers, chunk = walk->chunk;
    if (headers < 20 || headers > SKIM_HEADERS || chunk > SKIM_CHUNK)
        return false;
    if (walk->pos == 0)
        return bpf_skb_load_bytes(skb, 0, record->frame, headers + chunk) == 0;
    if (bpf_skb_load_bytes(skb, 0, record->frame, headers) != 0)
        return false;
    return chunk == 0 ||
           bpf_skb_load_bytes(skb, headers + walk->pos, record->frame + headers, chunk) == 0;
}

static __always_inline bool has_room(const struct hands *hands) {
    return hands->walk->head - hands->ring->tail <= ring_bytes - SKIM_RECORD_MAX;
}

static __always_inline void complete(const struct hands *hands, struct skim_record *record,
                                     __u32 shown, __u32 extent) {
    struct walk *walk = hands->walk;
    record->time = walk->time;
    record->len = walk->headers + shown;
    record->size = (sizeof *record + record->len + 7) & ~7u;
    record->wire_len = walk->headers + extent;
    record->ifindex = hands->skb->ifindex;
    record->more = walk->pos + extent < walk->len;
    record->cut = walk->cut;
    walk->head += record->size;
    walk->pos += extent;
}

enum { CHUNK_FIRST = 256 }; /* of what may prove to be the head of a large value */

/* What follows `snaplen` is cut off, and then nothing can be followed; so is what a fragment has
 * more than fits one record, for it has no sequence number by which to go on in another. */
static __always_inline void choose_chunk(struct walk *walk) {
    __u32 rest = walk->len - walk->pos;
    walk->leap = walk->index = 0;
    walk->chunk = walk->at != AT_ODD && walk->pos == 0 ? CHUNK_FIRST : SKIM_CHUNK;
    walk->chunk = rest < walk->chunk ? rest : walk->chunk;
    if (walk->at == IN_BULK && walk->left > SKIM_SHOWN)
        walk->chunk = 0;
    __u32 start = walk->headers + walk->pos, end = start + walk->chunk;
    if (end > snaplen || (walk->is_fragment && walk->chunk < rest)) {
        if (end > snaplen)
            walk->chunk = start < snaplen ? snaplen - start : 0;
        walk->leap = rest - walk->chunk;
        walk->at = AT_ODD;
        walk->cut = true;
    }
}

/* A packet that begins with a request puts a stream into step; not where it is known to go on with
 * a string or a line, which may hold anything. */
static __always_inline void join(struct walk *walk, const struct skim_record *record) {
    if (walk->pos > 0 || walk->is_fragment || walk->at > AT_LINE || !begins_request(walk, record))
        return;
    walk->is_request = true;
    if (walk->at == AT_ODD && !walk->cut && !walk->old)
        walk->at = AT_LINE;
}

/* One record: the next bytes of the payload, and what is left out behind them. */
static long put_record(__u32 number, void *context) {
    struct hands *hands = context;
    struct walk *walk = hands->walk;
    if (!has_room(hands))
        return 1;
    walk->offset = walk->head;
    struct skim_record *record = record_at(hands->ring, walk->offset);
    choose_chunk(walk);
    walk->unreadable = !load(hands->skb, walk, record);
    if (walk->unreadable)
        return 1;
    join(walk, record);
    if (walk->at == IN_BULK && walk->chunk == 0)
        (void)take_bulk(hands, 0);
    else if (walk->at != AT_ODD)
        bpf_loop(SKIM_CHUNK, follow, hands, 0);
    __u32 shown = walk->leap && !walk->cut ? walk->index : walk->chunk;
    __u32 extent = shown + walk->leap;
    if (walk->pos > 0 || extent < walk->len)
        edit_headers(walk, record, extent);
    complete(hands, record, shown, extent);
    walk->whole = walk->pos >= walk->len;
    return walk->whole;
}

/* ---- a packet ---- */

enum { RECORDS_MAX = 1024 }; /* of a packet: 512 KiB with a string of middle size after the other */

/* Bytes that did not come by, or not yet, but lie within a string, put nothing out of step. */
static __always_inline bool steps_over(struct walk *walk, const struct skim_flow *flow) {
    __s32 missing = walk->seq - flow->next;
    if (flow->at < AT_BULK || missing < 0 || (__u32)missing > flow->left)
        return false;
    walk->left = flow->left - missing;
    walk->at = walk->left == 0 ? AT_LINE : flow->at == AT_BULK ? IN_SHOWN : flow->at;
    return true;
}

static __always_inline void find_place(struct walk *walk) {
    struct skim_bundle *bundle = bundle_of(walk->hash);
    __u32 way = bundle ? way_of(bundle, walk->tag) : SKIM_WAYS;
    if (way == SKIM_WAYS)
        return;
    const struct skim_flow *flow = &bundle->flows[way];
    if (flow->next == walk->seq) {
        walk->at = flow->at;
        walk->left = flow->left;
    } else if (!steps_over(walk, flow)) {
        walk->old = (__s32)(walk->seq + walk->len - flow->next) <= 0;
    }
}

/* The answers to a request that was sent because those before it had come begin a line; not if more
 * of them than the request knows of has passed already. */
static __always_inline void join_answers(const struct walk *walk, struct skim_ring *ring) {
    struct skim_bundle *bundle = bundle_of(walk->back_hash);
    if (!bundle)
        return;
    __u32 way = way_of(bundle, walk->back_tag);
    if (way < SKIM_WAYS &&
        (bundle->flows[way].at != AT_ODD || (__s32)(walk->ack - bundle->flows[way].next) < 0))
        return;
    put_flow(bundle, ring, walk->back_tag, walk->ack, AT_LINE, 0);
}

/* Where the stream stands behind the packet. */
static __always_inline void keep_place(const struct walk *walk, struct skim_ring *ring) {
    struct skim_bundle *bundle = bundle_of(walk->hash);
    if (!bundle || walk->len == 0 || walk->old || walk->is_fragment)
        return;
    __u8 at = walk->whole ? walk->at : AT_ODD;
    put_flow(bundle, ring, walk->tag, walk->seq + walk->len, at, walk->left);
    if (walk->is_request && at != AT_ODD)
        join_answers(walk, ring);
}

/* A connection begins, perhaps with the ports of one that was. */
static __always_inline void begin_anew(const struct walk *walk) {
    struct skim_bundle *bundle = bundle_of(walk->hash);
    __u32 way = bundle ? way_of(bundle, walk->tag) : SKIM_WAYS;
    if (way == SKIM_WAYS)
        return;
    bundle->flows[way].next = walk->seq;
    bundle->flows[way].at = AT_ODD;
}

/* ---- counting ---- */

/* By another device what brings nothing new has been counted before. */
static __always_inline bool is_again(const struct walk *walk, const struct skim_counts *counts,
                                     __u32 ifindex) {
    return counts->packets && counts->ifindex != ifindex && (walk->old || walk->len == 0);
}

/* Of a fragment it is not known which flow it is of. */
static __always_inline void count(const struct walk *walk, struct skim_ring *ring,
                                  const struct __sk_buff *skb) {
    struct skim_bundle *bundle = bundle_of(walk->hash);
    __u32 way = bundle && !walk->is_fragment ? way_of(bundle, walk->tag) : SKIM_WAYS;
    if (way == SKIM_WAYS) {
        ring->unplaced++;
        return;
    }
    struct skim_counts *counts = &bundle->counts[way];
    if (is_again(walk, counts, skb->ifindex))
        return;
    counts->packets++;
    counts->bytes += skb->len;
    counts->late += walk->old;
    counts->ifindex = skb->ifindex;
    counts->sport = walk->sport;
    counts->dport = walk->dport;
}

/* All records of a packet are handed up in one step, or none is and it is counted. */
static __always_inline void hand_up(struct hands *hands) {
    struct walk *walk = hands->walk;
    struct skim_ring *ring = hands->ring;
    if (walk->is_syn)
        begin_anew(walk);
    if (walk->len && !walk->is_fragment)
        find_place(walk);
    walk->head = ring->head;
    bpf_loop(RECORDS_MAX, put_record, hands, 0);
    if (walk->whole)
        (void)__sync_lock_test_and_set(&ring->head, walk->head);
    else if (walk->unreadable)
        ring->unreadable++;
    else
        ring->full++;
    keep_place(walk, ring);
    count(walk, ring, hands->skb);
}

static __always_inline int skim(struct __sk_buff *skb, __u32 l3) {
    __u32 first = 0, cpu = bpf_get_smp_processor_id();
    struct hands hands = {.skb = skb, .walk = bpf_map_lookup_elem(&walks, &first)};
    if (!hands.walk)
        return TC_ACT_UNSPEC;
    *hands.walk = (struct walk){.time = bpf_ktime_get_ns()};
    if (!read_headers(hands.walk, skb, l3))
        return TC_ACT_UNSPEC;
    hands.ring = bpf_map_lookup_elem(&rings, &cpu);
    if (hands.ring)
        hand_up(&hands);
    return TC_ACT_UNSPEC;
}

SEC("tc")
int skim_ethernet(struct __sk_buff *skb) {
    return skim(skb, sizeof(struct ethhdr));
}

SEC("tc")
int skim_ip(struct __sk_buff *skb) {
    return skim(skb, 0);
}
