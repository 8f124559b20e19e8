/* bus.h - one message of the cluster bus: framing, header, body. Pure functions over bytes.
 *
 * Wire facts: Redis and Valkey src/cluster_legacy.h. All integers are big-endian. A message is
 *
 *   0 "RCmb"  4 totlen u32  8 ver u16  10 port u16  12 type u16  14 count u16  16 header ... body
 *
 * with a header of 2256 bytes (version 1: Redis 4.0 and later, Valkey), 2208 (version 0: 3.0, 3.2)
 * or 16 (Valkey 8 "light" messages, bit 15 of the type). Nothing stands between messages. */
#ifndef BUSTAP_DECODE_BUS_H
#define BUSTAP_DECODE_BUS_H

#include "base/base.h"

enum bus_type {
#define BUS_MESSAGE(symbol, number, name, body, since) BUS_##symbol = (number),
#include "decode/bus.def"
#undef BUS_MESSAGE
    BUS_TYPES,
    BUS_UNKNOWN = BUS_TYPES, /* any other number; also kept as a counter's index */
    BUS_COUNTERS
};

enum {
    BUS_NODE_ID = 40,      /* hex digits, no NUL */
    BUS_SLOT_BYTES = 2048, /* slot s is bit s & 7 of byte s >> 3 */
    BUS_SLOTS = 16384,
    BUS_HEADER = 2256,
    BUS_HEADER_V0 = 2208,
    BUS_HEADER_LIGHT = 16,
    BUS_GOSSIP_ENTRY = 104,
    BUS_IP_TEXT = 46,
    BUS_PREFIX = 14, /* bytes that tell which header follows */
};

/* Flags of a node, about itself in a header and about others in gossip. */
#define BUS_NODE_FLAGS(FLAG)                             \
    FLAG(PRIMARY, 0x0001, "primary")                     \
    FLAG(REPLICA, 0x0002, "replica")                     \
    FLAG(PFAIL, 0x0004, "pfail")                         \
    FLAG(FAIL, 0x0008, "fail")                           \
    FLAG(MYSELF, 0x0010, "myself")                       \
    FLAG(HANDSHAKE, 0x0020, "handshake")                 \
    FLAG(NOADDR, 0x0040, "noaddr")                       \
    FLAG(MEET, 0x0080, "meet")                           \
    FLAG(MIGRATE_TO, 0x0100, "migrate-to")               \
    FLAG(NOFAILOVER, 0x0200, "nofailover")               \
    FLAG(EXTENSIONS, 0x0400, "extensions-supported")     \
    FLAG(LIGHT, 0x0800, "light-supported")               \
    FLAG(LIGHT_MODULE, 0x1000, "light-module-supported") \
    FLAG(MY_PRIMARY_FAIL, 0x2000, "my-primary-failed")   \
    FLAG(AUTH_NACK, 0x4000, "auth-nack-supported")

#define FLAG_ENUM(symbol, bit, name) NODE_##symbol = (bit),
enum bus_node_flag { BUS_NODE_FLAGS(FLAG_ENUM) };
#undef FLAG_ENUM

/* mflags[0] of a header. */
#define BUS_MFLAGS(FLAG)             \
    FLAG(PAUSED, 0x01, "paused")     \
    FLAG(FORCEACK, 0x02, "forceack") \
    FLAG(EXT_DATA, 0x04, "ext-data")

#define FLAG_ENUM(symbol, bit, name) MFLAG_##symbol = (bit),
enum bus_mflag { BUS_MFLAGS(FLAG_ENUM) };
#undef FLAG_ENUM

struct bus_flag_row {
    uint16_t bit;
    const char *name;
};
extern const struct bus_flag_row bus_node_flag_rows[];
extern const size_t bus_node_flag_count;
extern const struct bus_flag_row bus_mflag_rows[];
extern const size_t bus_mflag_count;

/* As in the reports, "auth-req"; the last one is "unknown". */
extern const char *const bus_type_names[BUS_COUNTERS];

/* The gossip section, as it stands on the wire. */
struct bus_gossip {
    const uint8_t *entries; /* NULL if count is 0 */
    uint16_t count;         /* entries that are really there */
    uint16_t version;
};

/* One entry; views into the message. */
struct bus_gossip_entry {
    const char *node;       /* BUS_NODE_ID digits */
    uint32_t ping_sent;     /* Unix seconds on the sender's clock, 0: none pending */
    uint32_t pong_received; /* same clock; perhaps learnt from a third node */
    struct bytes ip;        /* text, NUL-padded to BUS_IP_TEXT */
    uint16_t port, bus_port, secondary_port;
    uint16_t flags;
};

/* index < gossip->count */
struct bus_gossip_entry bus_gossip_at(const struct bus_gossip *gossip, size_t index);

/* The ping extensions, as they stand on the wire; walked by bus_extension_next. */
struct bus_extensions {
    struct bytes left;
    uint16_t count; /* as the header says */
};

enum bus_extension_value { EXT_TEXT, EXT_NODE_ID, EXT_NODE_ID_TTL, EXT_IP_OR_SECRET, EXT_UNKNOWN };

struct bus_extension {
    uint16_t id;
    const char *name; /* "unknown" for a kind that is none of ours */
    enum bus_extension_value value;
    bool secret;       /* Redis 8's internal secret: its data is never shown */
    struct bytes data; /* NUL padding cut off where the kind is text */
    uint64_t ttl_s;    /* EXT_NODE_ID_TTL */
};

/* Takes the next extension. False at the end, or where the rules break (then *ret_bad is set). */
bool bus_extension_next(struct bus_extensions *extensions, struct bus_extension *ret_extension,
                        bool *ret_bad);

/* What the first bytes of a message say about its frame. */
enum bus_frame_status {
    FRAME_OK,   /* the frame is filled */
    FRAME_MORE, /* look again when `hold` bytes are there */
    FRAME_BAD,  /* no message begins here */
};
struct bus_frame {
    uint16_t version;
    enum bus_type type;
    bool light;
    uint32_t total; /* length of the whole message */
    uint32_t hold;  /* bytes from its start that decoding needs; the rest is payload to skip */
};
enum bus_frame_status bus_frame(struct bytes head, struct bus_frame *ret_frame);

/* Bytes that bus_plausible wants to see. */
enum { BUS_PLAUSIBLE = 80 };

/* Does a message credibly begin here? Stricter than bus_frame, for a search after a gap: version,
 * type, the length against the type's rule, the sender's digits (not which sender: a node may
 * have changed its id meanwhile). `head` has at least BUS_PLAUSIBLE bytes. */
bool bus_plausible(struct bytes head);

struct ev_bus_message;

/* Reads header and body out of the first `frame->hold` bytes. Fields that the message does not
 * have are zero. False: the server would ignore it for its length (the header is filled all the
 * same where it is there). */
bool bus_decode(const struct bus_frame *frame, struct bytes head,
                struct ev_bus_message *ret_message);

/* Text without its NUL padding. */
struct bytes bus_text(struct bytes padded);

bool bus_is_node_id(const uint8_t *digits);

#endif
