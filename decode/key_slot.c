/* key_slot.c - CRC16/XMODEM, eight bytes at once.
 *
 * The sum is linear: that of a byte with k zero bytes after it is the exclusive or of what its bits
 * give, and bit b gives x^(16 + 8k + b) modulo the polynomial 0x11021. So the tables follow from 64
 * powers of x, each of them the one before, doubled. */
#include "decode/key_slot.h"

/* ---- the tables ---- */

#define IF_BIT(i, b, power) ((i) >> (b)&1 ? (power) : 0)
#define ENTRY(i, p0, p1, p2, p3, p4, p5, p6, p7)                                                   \
    IF_BIT(i, 0, p0) ^ IF_BIT(i, 1, p1) ^ IF_BIT(i, 2, p2) ^ IF_BIT(i, 3, p3) ^ IF_BIT(i, 4, p4) ^ \
        IF_BIT(i, 5, p5) ^ IF_BIT(i, 6, p6) ^ IF_BIT(i, 7, p7)
#define ENTRIES_4(i, ...)                                                        \
    ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__), \
        ENTRY(i + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                   \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4(i + 4, __VA_ARGS__), ENTRIES_4(i + 8, __VA_ARGS__), \
        ENTRIES_4(i + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                        \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16(i + 16, __VA_ARGS__), ENTRIES_16(i + 32, __VA_ARGS__), \
        ENTRIES_16(i + 48, __VA_ARGS__)
#define ENTRIES_256(...)                                                                       \
    {                                                                                          \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
            ENTRIES_64(192, __VA_ARGS__)                                                       \
    }

/* sums[k][byte]: the sum of the byte and k zero bytes. */
static const uint16_t sums[8][256] = {
    ENTRIES_256(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188),
    ENTRIES_256(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98),
    ENTRIES_256(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a),
    ENTRIES_256(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38),
    ENTRIES_256(0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168, 0x22d0),
    ENTRIES_256(0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10, 0xd420),
    ENTRIES_256(0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec, 0xabf9),
    ENTRIES_256(0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0, 0xfd81),
};

/* ---- the sum ---- */

static unsigned crc16(struct bytes view) {
    const uint8_t *p = view.data;
    size_t left = view.len;
    unsigned crc = 0;
    for (; left >= 8; left -= 8, p += 8)
        crc = sums[7][p[0] ^ crc >> 8] ^ sums[6][p[1] ^ (crc & 0xff)] ^ sums[5][p[2]] ^
              sums[4][p[3]] ^ sums[3][p[4]] ^ sums[2][p[5]] ^ sums[1][p[6]] ^ sums[0][p[7]];
    for (; left > 0; left--, p++)
        crc = (crc << 8 & 0xffff) ^ sums[0][*p ^ crc >> 8];
    return crc;
}

/* The part of a key that is hashed. */
static struct bytes hash_tag(struct bytes key) {
    const uint8_t *open = key.len ? memchr(key.data, '{', key.len) : NULL;
    if (LIKELY(!open))
        return key;
    struct bytes inside = bytes_after(key, (size_t)(open + 1 - key.data));
    const uint8_t *close = inside.len ? memchr(inside.data, '}', inside.len) : NULL;
    return close && close > inside.data ? bytes_first(inside, (size_t)(close - inside.data)) : key;
}

unsigned key_slot(struct bytes key) {
    return crc16(hash_tag(key)) % KEY_SLOTS;
}
