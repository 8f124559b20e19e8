/* bus_body.c - one function for each body of a bus message. */
#include "decode/bus_body.h"

#include "base/limits.h"

enum { COUNT_AT = 14, EXTENSIONS_AT = 2214, MFLAGS_AT = 2253 };

/* A body of one fixed length. */
static struct body_need fixed(uint64_t len, const struct ev_bus_message *message, uint32_t header) {
    return (struct body_need){.hold = len, .valid = message && message->length == header + len};
}

struct body_need body_none(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    (void)head;
    return fixed(0, message, header);
}

struct body_need body_any(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    (void)head;
    (void)header;
    (void)message;
    return (struct body_need){.valid = true};
}

/* Where a header of version 1 announces extensions, everything after the gossip is theirs. */
static uint16_t extension_count(struct bytes head, uint32_t header) {
    bool announced = header == BUS_HEADER && head.data[MFLAGS_AT] & MFLAG_EXT_DATA;
    return announced ? load_be16(head.data + EXTENSIONS_AT) : 0;
}

/* The server adds up the extensions' lengths and wants exactly the rest of the message. */
static bool extensions_fit(struct bus_extensions walk) {
    struct bus_extension extension;
    bool bad = false;
    uint16_t count = walk.count;
    for (; count > 0 && bus_extension_next(&walk, &extension, &bad); count--)
        ;
    return count == 0 && walk.left.len == 0 && !bad;
}

struct body_need body_gossip(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    if (!message)
        return (struct body_need){.hold = UINT32_MAX}; /* all there is */
    uint16_t count = load_be16(head.data + COUNT_AT);
    struct bytes body = bytes_after(head, header);
    size_t there = min_size(count, body.len / BUS_GOSSIP_ENTRY);
    message->gossip = (struct bus_gossip){.entries = there ? body.data : NULL,
                                          .count = (uint16_t)there,
                                          .version = (uint16_t)message->version};
    struct bytes rest = bytes_after(body, there * BUS_GOSSIP_ENTRY);
    message->extensions =
        (struct bus_extensions){.left = rest, .count = extension_count(head, header)};
    if (message->length > head.len) /* its tail was not held: say nothing against it */
        return (struct body_need){.valid = true};
    return (struct body_need){.valid = there == count && extensions_fit(message->extensions)};
}

struct body_need body_fail(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    struct body_need need = fixed(BUS_NODE_ID, message, header);
    if (need.valid && bus_is_node_id(head.data + header))
        message->about = (const char *)head.data + header;
    return need;
}

struct body_need body_publish(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    struct bytes body = bytes_after(head, header);
    if (body.len < 8)
        return (struct body_need){.hold = 8, .more = true};
    uint64_t channel = load_be32(body.data), payload = load_be32(body.data + 4);
    struct body_need need = {.hold = 8 + min_size(channel, CAP_CHANNEL_SHOWN)};
    if (!message)
        return need;
    need.valid = message->length == header + 8 + channel + payload;
    message->channel = bytes_first(bytes_after(body, 8), min_size(channel, CAP_CHANNEL_SHOWN));
    message->payload_bytes = payload;
    return need;
}

struct body_need body_update(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    struct body_need need = fixed(8 + BUS_NODE_ID + BUS_SLOT_BYTES, message, header);
    if (!need.valid)
        return need;
    const uint8_t *body = head.data + header;
    message->about_epoch = load_be64(body);
    message->about = bus_is_node_id(body + 8) ? (const char *)body + 8 : NULL;
    message->about_slots = body + 8 + BUS_NODE_ID;
    return need;
}

struct body_need body_module(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    struct body_need need = {.hold = 13};
    struct bytes body = bytes_after(head, header);
    if (!message || body.len < 13)
        return need;
    message->module = load_be64(body.data);
    message->payload_bytes = load_be32(body.data + 8);
    message->module_type = body.data[12];
    need.valid = message->length == header + 13 + message->payload_bytes;
    return need;
}

/* An epoch of 8 bytes, a reason, seven zeros; before that was settled, the reason alone. */
struct body_need body_nack(struct bytes head, uint32_t header, struct ev_bus_message *message) {
    struct body_need need = {.hold = 16};
    if (!message)
        return need;
    uint64_t body = message->length - header;
    const uint8_t *at = head.data + header;
    need.valid = body == 16 || body == 1;
    if (!need.valid)
        return need;
    message->about_epoch = body == 16 ? load_be64(at) : 0;
    message->reason = body == 16 ? at[8] : at[0];
    return need;
}
