/* base.h - what every folder needs: borrowed views of bytes, packet time, a few helpers.
 *
 * A view is borrowed: it dies with the buffer that it points into. What must live is copied.
 * Times are signed nanoseconds since the Unix epoch, as the packet carried them. */
#ifndef BUSTAP_BASE_H
#define BUSTAP_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t len;
};

typedef int64_t nstime; /* nanoseconds since 1970-01-01 UTC */

#define NS_PER_US  INT64_C(1000)
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)
#define TIME_NONE  INT64_MIN /* no time known */

enum { CACHE_LINE = 64 }; /* bytes */

#define countof(array) (sizeof(array) / sizeof((array)[0]))

#define ATTR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define LIKELY(claim)           __builtin_expect(!!(claim), 1)
#define UNLIKELY(claim)         __builtin_expect(!!(claim), 0)

/* Has the lines of a block fetched into the cache. */
static inline void prefetch(const void *block, size_t size) {
    for (size_t at = 0; at < size; at += CACHE_LINE)
        __builtin_prefetch((const char *)block + at);
}

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline struct bytes bytes_of(const void *data, size_t len) {
    return (struct bytes){data, len};
}

/* The view without its first `skip` bytes; empty when it has no more than that. */
static inline struct bytes bytes_after(struct bytes view, size_t skip) {
    return skip < view.len ? bytes_of(view.data + skip, view.len - skip) : bytes_of(NULL, 0);
}

static inline struct bytes bytes_first(struct bytes view, size_t len) {
    return bytes_of(view.data, min_size(view.len, len));
}

static inline struct bytes bytes_str(const char *text) {
    return bytes_of(text, strlen(text));
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Is it this word, which is in lower case, in whatever case? */
static inline bool bytes_are_word(struct bytes view, const char *word) {
    size_t at = 0;
    for (; at < view.len && word[at]; at++) {
        uint8_t byte = view.data[at];
        if ((byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte) != (uint8_t)word[at])
            return false;
    }
    return at == view.len && !word[at];
}

static inline bool bytes_begin(struct bytes view, const char *text) {
    size_t len = strlen(text);
    return view.len >= len && memcmp(view.data, text, len) == 0;
}

/* Big-endian loads from possibly unaligned wire bytes; the caller has checked the length. */
static inline uint16_t load_be16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t load_be32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}
static inline uint64_t load_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

/* Eight bytes, likewise, for comparing and summing: the first one is the lowest. */
static inline uint64_t load_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bustap is built and tested on little-endian machines only"
#endif

#endif
