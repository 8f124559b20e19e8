/* pcapng_file.c - the capture format made of blocks (draft-ietf-opsawg-pcapng).
 *
 *   block    type(4) length(4) body, padded to 4 bytes, length(4) again
 *   options  code(2) length(2) value, padded to 4 bytes; code 0 ends them
 *
 * A section header begins a section with a byte order and interfaces of its own; a file may have
 * many sections, as when files are concatenated. Packets name an interface of their section and
 * count time in its units. What we do not know, or have no use for (names, secrets, custom
 * blocks), is skipped. A row of `blocks` per type says how its body is read. */
#include "capture/source_file.h"

#include "base/limits.h"
#include "capture/pcapng_time.h"

enum {
    BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
    BLOCK_HEAD = 8,
    BLOCK_FRAME = 12, /* type, length, and the length at the end */
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    OPTION_TSRESOL = 9,   /* if_tsresol */
    OPTION_TSOFFSET = 14, /* if_tsoffset, seconds */
    OPTION_IFDROP = 5,    /* isb_ifdrop: dropped for want of resources */
    OPTION_OSDROP = 7,    /* isb_osdrop: dropped by the operating system */
};

struct interface {
    struct pcapng_clock clock;
    uint64_t drops; /* as its last statistics block says */
    uint32_t snaplen;
    uint16_t link_type;
};

struct pcapng_state {
    bool swapped;
    uint32_t first_interface; /* interfaces of the sections before */
    uint32_t count;           /* of the interfaces of this section */
    struct interface interfaces[CAP_INTERFACES];
};

struct block {
    uint32_t type;
    uint32_t len;      /* of the whole block */
    struct bytes body; /* without the frame */
};

static uint16_t load16(const struct pcapng_state *state, const uint8_t *p) {
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return state->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t load32(const struct pcapng_state *state, const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return state->swapped ? __builtin_bswap32(value) : value;
}

static uint64_t load64(const struct pcapng_state *state, const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return state->swapped ? __builtin_bswap64(value) : value;
}

/* --- options --- */

struct option {
    uint16_t code;
    struct bytes value;
};

/* Takes one option off the view; false at the end of the options. One that claims to be longer
 * than its block is cut there. */
static bool option_next(const struct pcapng_state *state, struct bytes *options,
                        struct option *ret_option) {
    if (options->len < 4)
        return false;
    size_t len = load16(state, options->data + 2);
    ret_option->code = load16(state, options->data);
    ret_option->value = bytes_first(bytes_after(*options, 4), len);
    *options = bytes_after(*options, 4 + (len + 3) / 4 * 4);
    return ret_option->code != 0;
}

/* --- blocks without packets --- */

static enum source_got block_section(struct source_file *file, const struct block *block,
                                     struct err *err) {
    struct pcapng_state *state = file->state;
    unsigned major = load16(state, block->body.data + 4);
    if (major != 1)
        return file_damaged(file, err, "section of pcapng version %u, 1 is known", major);
    state->first_interface += state->count;
    state->count = 0;
    return SOURCE_PACKET;
}

static enum source_got block_interface(struct source_file *file, const struct block *block,
                                       struct err *err) {
    struct pcapng_state *state = file->state;
    struct bytes options = bytes_after(block->body, 8);
    uint8_t resolution = PCAPNG_MICROSECONDS;
    int64_t offset = 0;
    if (state->count == CAP_INTERFACES)
        return file_damaged(file, err, "interface description, %d came before it in its section",
                            CAP_INTERFACES);
    for (struct option option; option_next(state, &options, &option);) {
        if (option.code == OPTION_TSRESOL && option.value.len >= 1)
            resolution = option.value.data[0];
        if (option.code == OPTION_TSOFFSET && option.value.len >= 8)
            offset = (int64_t)load64(state, option.value.data);
    }
    state->interfaces[state->count++] = (struct interface){
        .clock = pcapng_clock(resolution, offset),
        .snaplen = load32(state, block->body.data + 4),
        .link_type = load16(state, block->body.data),
    };
    return SOURCE_PACKET;
}

static struct interface *find_interface(struct pcapng_state *state, uint32_t index) {
    return index < state->count ? &state->interfaces[index] : NULL;
}

static enum source_got no_interface(struct source_file *file, uint32_t index, struct err *err) {
    const struct pcapng_state *state = file->state;
    return file_damaged(file, err, "block of interface %u, %u are described in its section", index,
                        state->count);
}

/* The counters run from the start of the capture, so the last block of an interface counts. */
static enum source_got block_statistics(struct source_file *file, const struct block *block,
                                        struct err *err) {
    struct pcapng_state *state = file->state;
    uint32_t index = load32(state, block->body.data);
    struct interface *interface = find_interface(state, index);
    struct bytes options = bytes_after(block->body, 12);
    uint64_t drops = 0;
    if (!interface)
        return no_interface(file, index, err);
    for (struct option option; option_next(state, &options, &option);)
        if ((option.code == OPTION_IFDROP || option.code == OPTION_OSDROP) && option.value.len >= 8)
            drops += load64(state, option.value.data);
    file->base.info.kernel_drops += drops - interface->drops;
    interface->drops = drops;
    return SOURCE_PACKET;
}

/* --- blocks with a packet --- */

struct record {
    uint32_t interface, captured, original;
    uint64_t ticks; /* of the interface's clock */
    bool has_time;
    struct bytes room; /* where the captured bytes are, padded */
};

static enum source_got deliver(struct source_file *file, const struct record *record,
                               struct packet *ret_packet, struct err *err) {
    struct pcapng_state *state = file->state;
    const struct interface *interface = find_interface(state, record->interface);
    if (UNLIKELY(!interface))
        return no_interface(file, record->interface, err);
    if (UNLIKELY(record->captured > record->room.len))
        return file_damaged(file, err, "packet of %u bytes in a block with room for %zu",
                            record->captured, record->room.len);
    uint32_t wire = record->original > record->captured ? record->original : record->captured;
    *ret_packet = (struct packet){
        .data = bytes_first(record->room, record->captured),
        .time = record->has_time ? pcapng_time(&interface->clock, record->ticks) : TIME_NONE,
        .wire_len = wire,
        .interface = state->first_interface + record->interface,
        .link_type = interface->link_type,
    };
    source_count(&file->base, ret_packet);
    return SOURCE_PACKET;
}

/* The fields that the enhanced and the obsolete packet block have in common. */
static struct record common_record(const struct pcapng_state *state, const struct block *block) {
    const uint8_t *body = block->body.data;
    return (struct record){
        .ticks = (uint64_t)load32(state, body + 4) << 32 | load32(state, body + 8),
        .has_time = true,
        .captured = load32(state, body + 12),
        .original = load32(state, body + 16),
        .room = bytes_after(block->body, 20),
    };
}

static enum source_got packet_enhanced(struct source_file *file, const struct block *block,
                                       struct packet *ret_packet, struct err *err) {
    const struct pcapng_state *state = file->state;
    struct record record = common_record(state, block);
    record.interface = load32(state, block->body.data);
    return deliver(file, &record, ret_packet, err);
}

static enum source_got packet_obsolete(struct source_file *file, const struct block *block,
                                       struct packet *ret_packet, struct err *err) {
    const struct pcapng_state *state = file->state;
    struct record record = common_record(state, block);
    record.interface = load16(state, block->body.data);
    return deliver(file, &record, ret_packet, err);
}

/* Always of the first interface, whose snaplen (0: none) says how much of it was captured. */
static enum source_got packet_simple(struct source_file *file, const struct block *block,
                                     struct packet *ret_packet, struct err *err) {
    const struct pcapng_state *state = file->state;
    uint32_t original = load32(state, block->body.data);
    uint32_t snaplen = state->count ? state->interfaces[0].snaplen : 0;
    struct record record = {
        .captured = snaplen && snaplen < original ? snaplen : original,
        .original = original,
        .room = bytes_after(block->body, 4),
    };
    return deliver(file, &record, ret_packet, err);
}

/* --- the walk --- */

static const struct block_type {
    uint32_t type;
    uint32_t least; /* bytes of the body */
    enum source_got (*packet)(struct source_file *file, const struct block *block,
                              struct packet *ret_packet, struct err *err);
    /* SOURCE_PACKET is "go on" here. */
    enum source_got (*other)(struct source_file *file, const struct block *block, struct err *err);
} blocks[] = {
    {6, 20, packet_enhanced, NULL},  {3, 4, packet_simple, NULL},
    {2, 20, packet_obsolete, NULL},  {1, 8, NULL, block_interface},
    {5, 12, NULL, block_statistics}, {BLOCK_SECTION, 16, NULL, block_section},
};

static const struct block_type *find_type(uint32_t type) {
    for (size_t i = 0; i < countof(blocks); i++)
        if (blocks[i].type == type)
            return &blocks[i];
    return NULL;
}

/* A section header says itself in which byte order its length is to be read. */
static enum source_got set_byte_order(struct source_file *file, struct err *err) {
    struct pcapng_state *state = file->state;
    const uint8_t *head = window_need(&file->window, BLOCK_FRAME);
    if (!head)
        return file_short(file, "block header", BLOCK_FRAME, err);
    state->swapped = false;
    uint32_t magic = load32(state, head + BLOCK_HEAD);
    state->swapped = magic != BYTE_ORDER_MAGIC;
    if (state->swapped && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC)
        return file_damaged(file, err, "section with the byte-order magic 0x%08x", magic);
    return SOURCE_PACKET;
}

static enum source_got check_block(struct source_file *file, const struct block *block,
                                   const struct block_type *type, struct err *err) {
    uint32_t trailer = load32(file->state, file->window.at + block->len - 4);
    if (trailer != block->len)
        return file_damaged(file, err, "block of %u bytes, its trailer says %u", block->len,
                            trailer);
    if (type && block->body.len < type->least)
        return file_damaged(file, err, "block of type %u with %zu bytes, it needs %u", block->type,
                            block->body.len, type->least);
    return SOURCE_PACKET;
}

/* Reads the block at the window's start, which stays there. */
static enum source_got read_block(struct source_file *file, struct block *ret_block,
                                  struct err *err) {
    struct pcapng_state *state = file->state;
    const uint8_t *head = window_need(&file->window, BLOCK_HEAD);
    if (UNLIKELY(!head))
        return file_short(file, "block header", BLOCK_HEAD, err);
    uint32_t type = load32(state, head);
    if (UNLIKELY(type == BLOCK_SECTION)) {
        enum source_got got = set_byte_order(file, err);
        if (got != SOURCE_PACKET)
            return got;
    }
    uint32_t len = load32(state, file->window.at + 4);
    if (UNLIKELY(len < BLOCK_FRAME || len % 4 || len > CAP_RECORD))
        return file_damaged(file, err, "block of %u bytes, that is impossible (at most %d)", len,
                            CAP_RECORD);
    head = window_need(&file->window, len);
    if (UNLIKELY(!head))
        return file_short(file, "block", len, err);
    *ret_block = (struct block){type, len, bytes_of(head + BLOCK_HEAD, len - BLOCK_FRAME)};
    return SOURCE_PACKET;
}

static enum source_got pcapng_next(struct source *source, struct packet *ret_packet,
                                   struct err *err) {
    struct source_file *file = file_of(source);
    for (;;) {
        struct block block = {0};
        enum source_got got = read_block(file, &block, err);
        if (UNLIKELY(got != SOURCE_PACKET))
            return got;
        const struct block_type *type = find_type(block.type);
        got = check_block(file, &block, type, err);
        bool is_packet = type && type->packet;
        if (got == SOURCE_PACKET && is_packet)
            got = type->packet(file, &block, ret_packet, err);
        else if (got == SOURCE_PACKET && type)
            got = type->other(file, &block, err);
        if (got == SOURCE_PACKET)
            file->window.at += block.len;
        if (got != SOURCE_PACKET || is_packet)
            return got;
    }
}

static bool pcapng_claims(const uint8_t magic[4]) {
    uint32_t type;
    memcpy(&type, magic, sizeof type);
    return type == BLOCK_SECTION;
}

/* The section header is left for the first pcapng_next(), but has to be there. */
static bool pcapng_open(struct source_file *file, struct err *err) {
    struct block block;
    return read_block(file, &block, err) == SOURCE_PACKET;
}

const struct file_format pcapng_format = {
    .name = "pcapng",
    .state_size = sizeof(struct pcapng_state),
    .claims = pcapng_claims,
    .open = pcapng_open,
    .next = pcapng_next,
};
