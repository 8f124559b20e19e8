/* pcap_file.c - the classic capture format (draft-ietf-opsawg-pcap, tcpdump's sf-pcap.c).
 *
 *   file    magic(4) major(2) minor(2) zone(4) accuracy(4) snaplen(4) network(4)
 *   record  seconds(4) fraction(4) captured(4) original(4) [8 more if "modified"]  bytes
 *
 * The magic says in which order the writer's machine kept its bytes, and whether the fraction is
 * in micro- or nanoseconds. `network` is the link type in its low 16 bits, and the length of the
 * frame check sequence above. The "modified" records of old Linux add the interface, protocol and
 * packet type, which we do not need. */
#include "capture/source_file.h"

#include "base/limits.h"

enum { FILE_HEADER = 24, RECORD_HEAD_MAX = 24, VERSION_MAJOR = 2, VERSION_MINOR_LEAST = 4 };

struct pcap_state {
    bool swapped;         /* the other byte order than ours */
    uint16_t link_type;   /* of all packets */
    uint32_t record_head; /* bytes before those of the packet */
    uint32_t fraction_ns; /* nanoseconds of one unit of the fraction */
};

static const struct pcap_variant {
    uint32_t magic, record_head, fraction_ns;
} variants[] = {
    {0xa1b2c3d4, 16, 1000}, /* microseconds */
    {0xa1b23c4d, 16, 1},    /* nanoseconds */
    {0xa1b2cd34, 24, 1000}, /* "modified" */
};

static inline uint32_t load32(const uint8_t *p, bool swapped) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return swapped ? __builtin_bswap32(value) : value;
}

static inline uint16_t load16(const uint8_t *p, bool swapped) {
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return swapped ? __builtin_bswap16(value) : value;
}

static const struct pcap_variant *find_variant(uint32_t magic) {
    for (size_t i = 0; i < countof(variants); i++)
        if (variants[i].magic == magic)
            return &variants[i];
    return NULL;
}

static bool pcap_claims(const uint8_t magic[4]) {
    return find_variant(load32(magic, false)) || find_variant(load32(magic, true));
}

static bool pcap_open(struct source_file *file, struct err *err) {
    struct pcap_state *pcap = file->state;
    const uint8_t *head = window_need(&file->window, FILE_HEADER);
    if (!head) {
        (void)file_short(file, "file header", FILE_HEADER, err);
        return false;
    }
    pcap->swapped = !find_variant(load32(head, false));
    const struct pcap_variant *variant = find_variant(load32(head, pcap->swapped));
    unsigned major = load16(head + 4, pcap->swapped), minor = load16(head + 6, pcap->swapped);
    if (major != VERSION_MAJOR || minor < VERSION_MINOR_LEAST) /* below 2.4 fields were swapped */
        return err_set(err, "%.240s: pcap version %u.%u: convert it to 2.4 with tcpdump -r A -w B",
                       file->path, major, minor);
    pcap->record_head = variant->record_head;
    pcap->fraction_ns = variant->fraction_ns;
    pcap->link_type = (uint16_t)load32(head + 20, pcap->swapped);
    file->window.at += FILE_HEADER;
    return true;
}

/* Hands out the record at `head`, which is all there. No sum overflows: 2^32 seconds and 2^32
 * microseconds are 4.3e18 ns. */
static inline enum source_got hand_out(struct source_file *file, const struct pcap_state *pcap,
                                       const uint8_t *head, uint32_t len, bool swapped,
                                       struct packet *ret_packet) {
    uint32_t original = load32(head + 12, swapped), head_len = pcap->record_head;
    ret_packet->data = bytes_of(head + head_len, len);
    ret_packet->time =
        load32(head, swapped) * NS_PER_SEC + load32(head + 4, swapped) * (nstime)pcap->fraction_ns;
    ret_packet->wire_len = original > len ? original : len;
    ret_packet->interface = 0;
    ret_packet->link_type = pcap->link_type;
    ret_packet->source = 0;
    ret_packet->more = ret_packet->skimmed = false;
    file->window.at += head_len + len;
    ret_packet->ahead = window_ahead(&file->window, head_len);
    source_count(&file->base, ret_packet);
    return SOURCE_PACKET;
}

/* A record that is swapped, lies across the end of the block, or is damaged. */
static __attribute__((noinline)) enum source_got
next_unusual(struct source_file *file, struct packet *ret_packet, struct err *err) {
    const struct pcap_state *pcap = file->state;
    uint32_t head_len = pcap->record_head;
    const uint8_t *head = window_need(&file->window, head_len);
    if (!head)
        return file_short(file, "record header", head_len, err);
    uint32_t len = load32(head + 8, pcap->swapped);
    if (len > CAP_RECORD)
        return file_damaged(file, err, "record of %u bytes, at most %d are possible", len,
                            CAP_RECORD);
    head = window_need(&file->window, head_len + len);
    if (!head)
        return file_short(file, "record", head_len + len, err);
    return hand_out(file, pcap, head, len, pcap->swapped, ret_packet);
}

/* The path of every packet: kept so small that it needs no stack. */
static enum source_got pcap_next(struct source *source, struct packet *ret_packet,
                                 struct err *err) {
    struct source_file *file = file_of(source);
    const struct pcap_state *pcap = file->state;
    const uint8_t *head = file->window.at;
    size_t left = window_left(&file->window);
    if (LIKELY(left >= RECORD_HEAD_MAX && !pcap->swapped)) {
        uint32_t len = load32(head + 8, false);
        if (LIKELY(len <= CAP_RECORD && pcap->record_head + len <= left))
            return hand_out(file, pcap, head, len, false, ret_packet);
    }
    return next_unusual(file, ret_packet, err);
}

const struct file_format pcap_format = {
    .name = "pcap",
    .state_size = sizeof(struct pcap_state),
    .claims = pcap_claims,
    .open = pcap_open,
    .next = pcap_next,
};
