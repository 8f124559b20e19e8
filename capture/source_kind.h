/* source_kind.h - what a kind of source gives to source.c; nobody else includes this but kinds of
 * source and their tests.
 *
 * A kind allocates its own struct with a `struct source` as first member. `next` is called once
 * per packet, so it is the one indirect call there is, and a kind may exchange it as it goes. */
#ifndef BUSTAP_CAPTURE_SOURCE_KIND_H
#define BUSTAP_CAPTURE_SOURCE_KIND_H

#include "capture/source.h"

struct source {
    enum source_got (*next)(struct source *source, struct packet *ret_packet, struct err *err);
    void (*close)(struct source *source); /* frees the source itself too */
    bool (*widen)(struct source *source, const struct port_set *ports,
                  struct err *err);                                                   /* or NULL */
    void (*traffic)(const struct source *source, struct source_traffic *ret_traffic); /* likewise */
    uint32_t last_link_type; /* of the packet before, so that one compare will do */
    struct source_info info;
};

enum { LINK_TYPE_NONE = 0x10000 }; /* last_link_type before the first packet */

struct source_kind {
    const char *prefix; /* of the paths that it opens */
    struct source *(*open)(const char *path, const struct source_options *options, struct err *err);
};

#define SOURCE(name, prefix, help)                                                              \
    struct source *source_##name##_open(const char *path, const struct source_options *options, \
                                        struct err *err);
#include "capture/sources.def"
#undef SOURCE

extern const struct source_kind source_kinds[];
extern const size_t source_kind_count;

void source_note_link_type(struct source *source, uint16_t link_type);

/* Numbers the packet and counts it; every kind calls this for each packet that it hands out. */
static inline void source_count(struct source *source, struct packet *packet) {
    struct source_info *info = &source->info;
    packet->frame = ++info->packets;
    info->bytes += packet->data.len;
    info->truncated_packets += packet->data.len < packet->wire_len && !packet->skimmed;
    if (UNLIKELY(packet->link_type != source->last_link_type))
        source_note_link_type(source, packet->link_type);
}

/* The same for a source that leaves out what nobody wants: that is not cut, and a packet that comes
 * in parts is one. */
static inline void source_count_skimmed(struct source *source, struct packet *packet) {
    struct source_info *info = &source->info;
    packet->frame = info->packets + 1;
    info->packets += !packet->more;
    info->bytes += packet->data.len;
    info->truncated_packets += !packet->skimmed;
    if (UNLIKELY(packet->link_type != source->last_link_type))
        source_note_link_type(source, packet->link_type);
}

#endif
