/* render_lists.c - gossip and extensions, the lists that a PING carries.
 *
 * In text a list is one word without blanks: the number of gossip entries and, by short id, the
 * nodes that they call failing, for that is what one greps for. */
#include "report/render_lists.h"
#include "report/format.h"

void render_quoted(struct buf *buf, struct bytes text) {
    bool quote = text.len > 0 && (memchr(text.data, ' ', text.len) || text.data[0] == '"');
    if (quote)
        buf_add(buf, "\"", 1);
    buf_wire_text(buf, text, TEXT_SHOWN);
    if (quote)
        buf_add(buf, "\"", 1);
}

/* ---- gossip ---- */

/* Without the NULs that pad it. */
static struct bytes unpadded(struct bytes ip) {
    return bytes_first(ip, strnlen((const char *)ip.data, ip.len));
}

/* As "ip:port"; an address that is none is shown as it came, and may be empty. */
static void gossip_address(struct buf *buf, const struct bus_gossip_entry *entry) {
    struct endpoint addr;
    char text[ENDPOINT_TEXT];
    if (endpoint_parse(entry->ip, entry->port, &addr)) {
        endpoint_text(&addr, text);
        buf_text(buf, text);
    } else {
        render_quoted(buf, unpadded(entry->ip));
    }
}

static void whole_entry(struct buf *buf, const struct bus_gossip_entry *entry) {
    buf_wire_text(buf, bytes_of(entry->node, BUS_NODE_ID), BUS_NODE_ID);
    buf_add(buf, "@", 1);
    gossip_address(buf, entry);
    buf_add(buf, "(", 1);
    render_flags(buf, entry->flags, bus_node_flag_rows, bus_node_flag_count);
    buf_add(buf, ")", 1);
}

static void short_entry(struct buf *buf, const struct bus_gossip_entry *entry) {
    if (!(entry->flags & (NODE_PFAIL | NODE_FAIL)))
        return;
    buf_text(buf, entry->flags & NODE_FAIL ? ",fail:" : ",pfail:");
    render_node_short(buf, entry->node);
}

void text_GOSSIP(struct buf *buf, struct field_value value) {
    const struct bus_gossip *gossip = value.at;
    if (gossip->count == 0)
        return;
    buf_u64(buf, gossip->count);
    for (size_t i = 0; i < gossip->count; i++) {
        struct bus_gossip_entry entry = bus_gossip_at(gossip, i);
        if (value.style->whole)
            buf_add(buf, ",", 1);
        (value.style->whole ? whole_entry : short_entry)(buf, &entry);
    }
}

static void json_entry(struct json *json, const struct bus_gossip_entry *entry) {
    struct endpoint addr;
    json_open(json, NULL, '{');
    render_json_node(json, "node", entry->node);
    if (endpoint_parse(entry->ip, entry->port, &addr))
        render_json_endpoint(json, "addr", &addr);
    else
        json_wire_text(json, "addr", unpadded(entry->ip), BUS_IP_TEXT);
    json_u64(json, "bus_port", entry->bus_port);
    render_json_flags(json, "flags", entry->flags, bus_node_flag_rows, bus_node_flag_count);
    json_u64(json, "ping_sent", entry->ping_sent);
    json_u64(json, "pong_received", entry->pong_received);
    json_close(json, '}');
}

void json_GOSSIP(struct json *json, const char *key, struct field_value value) {
    const struct bus_gossip *gossip = value.at;
    json_open(json, key, '[');
    for (size_t i = 0; i < gossip->count; i++) {
        struct bus_gossip_entry entry = bus_gossip_at(gossip, i);
        json_entry(json, &entry);
    }
    json_close(json, ']');
}

/* ---- extensions ---- */

static const char secret_text[] = "(secret)";

/* What nobody has defined yet may be a secret tomorrow: only its length is shown. */
static void text_extension(struct buf *buf, const struct bus_extension *extension, bool whole) {
    bool is_id = extension->value == EXT_NODE_ID || extension->value == EXT_NODE_ID_TTL;
    buf_text(buf, extension->name);
    if (extension->value == EXT_UNKNOWN) {
        buf_printf(buf, "-%u:%zuB", extension->id, extension->data.len);
        return;
    }
    buf_add(buf, ":", 1);
    if (extension->secret)
        buf_text(buf, secret_text);
    else
        render_quoted(buf,
                      is_id && !whole ? bytes_first(extension->data, NODE_SHORT) : extension->data);
    if (extension->value == EXT_NODE_ID_TTL) {
        buf_add(buf, "/", 1);
        buf_u64(buf, extension->ttl_s);
        buf_add(buf, "s", 1);
    }
}

void text_EXTENSIONS(struct buf *buf, struct field_value value) {
    struct bus_extensions walk = *(const struct bus_extensions *)value.at;
    struct bus_extension extension;
    bool bad = false; /* the decoder has reported it as an anomaly */
    size_t from = buf->len;
    while (bus_extension_next(&walk, &extension, &bad)) {
        if (buf->len > from)
            buf_add(buf, ",", 1);
        text_extension(buf, &extension, value.style->whole);
    }
}

static void json_extension(struct json *json, const struct bus_extension *extension) {
    json_open(json, NULL, '{');
    json_u64(json, "id", extension->id);
    json_text(json, "name", extension->name);
    if (extension->secret)
        json_text(json, "value", secret_text);
    else if (extension->value == EXT_UNKNOWN)
        json_null(json, "value");
    else
        json_wire_text(json, "value", extension->data, TEXT_SHOWN);
    if (extension->value == EXT_UNKNOWN)
        json_u64(json, "length", extension->data.len);
    if (extension->value == EXT_NODE_ID_TTL)
        json_u64(json, "ttl_s", extension->ttl_s);
    json_close(json, '}');
}

void json_EXTENSIONS(struct json *json, const char *key, struct field_value value) {
    struct bus_extensions walk = *(const struct bus_extensions *)value.at;
    struct bus_extension extension;
    bool bad = false;
    json_open(json, key, '[');
    while (bus_extension_next(&walk, &extension, &bad))
        json_extension(json, &extension);
    json_close(json, ']');
}
