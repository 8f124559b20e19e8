/* bus_gossip.c - the lists inside a PING: gossip entries and extensions. */
#include <arpa/inet.h>

#include "decode/bus.h"

struct bytes bus_text(struct bytes padded) {
    return bytes_of(padded.data, strnlen((const char *)padded.data, padded.len));
}

struct bus_gossip_entry bus_gossip_at(const struct bus_gossip *gossip, size_t index) {
    const uint8_t *p = gossip->entries + index * BUS_GOSSIP_ENTRY;
    struct bus_gossip_entry entry = {
        .node = (const char *)p,
        .ping_sent = load_be32(p + 40),
        .pong_received = load_be32(p + 44),
        .ip = bytes_of(p + 48, BUS_IP_TEXT),
        .port = load_be16(p + 94),
    };
    if (gossip->version == 0) { /* Redis 3: no bus port yet, flags where it stands now */
        entry.bus_port = (uint16_t)(entry.port + 10000);
        entry.flags = load_be16(p + 96);
        return entry;
    }
    entry.bus_port = load_be16(p + 96);
    entry.flags = load_be16(p + 98);
    entry.secondary_port = load_be16(p + 100);
    return entry;
}

/* ---- extensions: length u32 (with these 8 bytes), id u16, unused u16, data ---- */

static const struct extension_row {
    const char *name;
    enum bus_extension_value value;
} extension_rows[] = {
#define BUS_EXTENSION(id, name, value, since) [id] = {name, EXT_##value},
#include "decode/bus.def"
#undef BUS_EXTENSION
};

enum { EXT_HEADER = 8, EXT_SECRET_DATA = 40 };

static bool is_ipv4_text(struct bytes text) {
    char literal[INET_ADDRSTRLEN];
    uint8_t ip[4];
    if (text.len >= sizeof literal)
        return false;
    memcpy(literal, text.data, text.len);
    literal[text.len] = '\0';
    return inet_pton(AF_INET, literal, ip) == 1;
}

/* Extension 4 is a client address in Valkey and the internal secret in Redis 8, which whoever
 * reads it can use to act without any ACL. Only what parses as an address may be shown. */
static void tell_ip_from_secret(struct bus_extension *extension) {
    struct bytes text = bus_text(extension->data);
    extension->secret = text.len > 0 && !is_ipv4_text(text);
    extension->data = extension->secret ? bytes_of(NULL, 0) : text;
    if (extension->secret)
        extension->name = "internal-secret";
}

static void read_value(struct bus_extension *extension) {
    switch (extension->value) {
    case EXT_TEXT:
        extension->data = bus_text(extension->data);
        break;
    case EXT_NODE_ID_TTL:
        if (extension->data.len >= BUS_NODE_ID + 8)
            extension->ttl_s = load_be64(extension->data.data + BUS_NODE_ID);
        extension->data = bytes_first(extension->data, BUS_NODE_ID);
        break;
    case EXT_NODE_ID:
        extension->data = bytes_first(extension->data, BUS_NODE_ID);
        break;
    case EXT_IP_OR_SECRET:
        tell_ip_from_secret(extension);
        break;
    case EXT_UNKNOWN:
        break;
    }
}

bool bus_extension_next(struct bus_extensions *extensions, struct bus_extension *ret_extension,
                        bool *ret_bad) {
    struct bytes left = extensions->left;
    if (extensions->count == 0 || left.len == 0)
        return false;
    uint32_t len = left.len >= EXT_HEADER ? load_be32(left.data) : 0;
    if (len < EXT_HEADER || len % 8 != 0 || len > left.len) {
        *ret_bad = true;
        return false;
    }
    uint16_t id = load_be16(left.data + 4);
    bool known = id < countof(extension_rows);
    *ret_extension = (struct bus_extension){
        .id = id,
        .name = known ? extension_rows[id].name : "unknown",
        .value = known ? extension_rows[id].value : EXT_UNKNOWN,
        .data = bytes_of(left.data + EXT_HEADER, len - EXT_HEADER),
    };
    read_value(ret_extension);
    extensions->left = bytes_after(left, len);
    extensions->count--;
    return true;
}
