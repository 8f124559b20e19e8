/* net_fragment.c - reassembly in a few fixed places: a datagram's bytes, and one bit for each
 * 8-byte unit that has arrived (fragment offsets count in those units, RFC 791 and RFC 8200). */
#include "decode/net_fragment.h"

#include <stdlib.h>

#include "base/limits.h"

enum { UNIT = 8, DATAGRAM_MAX = 65536, UNITS = DATAGRAM_MAX / UNIT };
#define WAIT_MAX (30 * NS_PER_SEC)

struct datagram {
    uint8_t src[16], dst[16];
    uint32_t id;
    uint8_t protocol;
    bool used;
    nstime since;
    uint32_t total; /* payload length, 0 while the last fragment is missing */
    uint32_t high;  /* end of the farthest fragment */
    uint32_t units; /* arrived */
    uint8_t *data;  /* DATAGRAM_MAX bytes, then UNITS / 8 bytes of marks; kept for reuse */
};

struct fragments {
    struct datagram datagrams[CAP_FRAGMENTS];
};

struct fragments *fragments_new(void) {
    return calloc(1, sizeof(struct fragments));
}

void fragments_free(struct fragments *fragments) {
    for (size_t i = 0; i < CAP_FRAGMENTS; i++)
        free(fragments->datagrams[i].data);
    free(fragments);
}

static bool matches(const struct datagram *datagram, const struct fragment *fragment) {
    return datagram->used && datagram->id == fragment->id &&
           datagram->protocol == fragment->protocol &&
           memcmp(datagram->src, fragment->src->ip, 16) == 0 &&
           memcmp(datagram->dst, fragment->dst->ip, 16) == 0;
}

/* The datagram of this fragment: the one under way, else a free place, else the oldest one's. */
static struct datagram *find(struct fragments *fragments, const struct fragment *fragment) {
    struct datagram *oldest = &fragments->datagrams[0];
    for (size_t i = 0; i < CAP_FRAGMENTS; i++) {
        struct datagram *datagram = &fragments->datagrams[i];
        if (matches(datagram, fragment))
            return datagram;
        if (oldest->used && (!datagram->used || datagram->since < oldest->since))
            oldest = datagram;
    }
    return oldest;
}

static bool start(struct datagram *datagram, const struct fragment *fragment) {
    if (!datagram->data)
        datagram->data = malloc(DATAGRAM_MAX + UNITS / 8);
    if (!datagram->data)
        return false;
    memset(datagram->data + DATAGRAM_MAX, 0, UNITS / 8);
    memcpy(datagram->src, fragment->src->ip, 16);
    memcpy(datagram->dst, fragment->dst->ip, 16);
    datagram->id = fragment->id;
    datagram->protocol = fragment->protocol;
    datagram->used = true;
    datagram->since = fragment->time;
    datagram->total = datagram->high = datagram->units = 0;
    return true;
}

/* Copies the units that are new. False: one that was there is different. */
static bool copy_units(struct datagram *datagram, uint32_t offset, struct bytes payload) {
    uint8_t *marks = datagram->data + DATAGRAM_MAX;
    bool same = true;
    for (size_t at = 0; at < payload.len; at += UNIT) {
        uint32_t unit = (uint32_t)(offset + at) / UNIT;
        size_t len = min_size(UNIT, payload.len - at);
        uint8_t *to = datagram->data + offset + at;
        if (marks[unit / 8] & (1u << unit % 8)) {
            same = same && memcmp(to, payload.data + at, len) == 0;
            continue;
        }
        memcpy(to, payload.data + at, len);
        marks[unit / 8] |= (uint8_t)(1u << unit % 8);
        datagram->units++;
    }
    return same;
}

/* What a fragment that ends there says of the datagram's length. False: the fragments contradict
 * each other, so that counting them would not show the holes between them. */
static bool learn_length(struct datagram *datagram, uint32_t end, bool more) {
    if (!more && datagram->total && datagram->total != end)
        return false;
    if (!more)
        datagram->total = end;
    if (end > datagram->high)
        datagram->high = end;
    return datagram->total == 0 || datagram->high <= datagram->total;
}

static bool acceptable(const struct fragment *fragment, struct bytes payload) {
    bool whole_units = payload.len % UNIT == 0 || !fragment->more;
    return payload.len > 0 && whole_units && fragment->offset + payload.len <= DATAGRAM_MAX;
}

bool fragments_add(struct fragments *fragments, const struct fragment *fragment,
                   struct bytes payload, struct bytes *ret_whole, enum anomaly *ret_anomaly) {
    if (!acceptable(fragment, payload)) {
        *ret_anomaly = AN_net_malformed;
        return false;
    }
    struct datagram *datagram = find(fragments, fragment);
    bool stale = datagram->used && fragment->time - datagram->since > WAIT_MAX;
    if (!matches(datagram, fragment) || stale) {
        if (datagram->used)
            *ret_anomaly = AN_fragment_dropped;
        if (!start(datagram, fragment)) {
            *ret_anomaly = AN_no_memory;
            return false;
        }
    }
    if (!learn_length(datagram, fragment->offset + (uint32_t)payload.len, fragment->more)) {
        datagram->used = false;
        *ret_anomaly = AN_net_malformed;
        return false;
    }
    if (!copy_units(datagram, fragment->offset, payload))
        *ret_anomaly = AN_fragment_overlap;
    if (datagram->total == 0 || datagram->units < (datagram->total + UNIT - 1) / UNIT)
        return false;
    datagram->used = false;
    *ret_whole = bytes_of(datagram->data, datagram->total);
    return true;
}
