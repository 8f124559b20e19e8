/* topk.h - the heaviest of very many keys, in memory of one size whatever comes: Space-Saving
 * (Metwally, Agrawal, El Abbadi 2005).
 *
 * `size` keys are kept. A key that is not among them takes the place of the lightest one and of its
 * count, which it may not deserve: that is its error. So of a key that is kept
 *
 *     count - error  <=  what it weighs  <=  count
 *
 * one that is not kept weighs topk_least() at most, and whatever weighs more than total / size is
 * kept. The order in which keys come decides, never the hash: the same input gives the same keys.
 */
#ifndef BUSTAP_BASE_TOPK_H
#define BUSTAP_BASE_TOPK_H

#include "base/siphash.h"
#include "base/table.h"

enum { TOPK_TEXT = 64 /* bytes kept of a key */ };

struct topk_entry {
    uint64_t count, error;
    uint64_t hash; /* of the whole key */
    uint32_t len;  /* likewise */
    uint32_t at;   /* its place in the heap */
    uint8_t text[TOPK_TEXT];
};

/* Zero-initialised but for `size` and `key` it is empty; it allocates at the first topk_add. */
struct topk {
    struct siphash_key key;
    uint32_t size;
    uint32_t used;
    struct topk_entry *entries;
    uint32_t *heap; /* of indexes: each count is no greater than those of its two children */
    struct table index;
    uint64_t total; /* weight of all keys */
};

void topk_free(struct topk *topk);
void topk_add(struct topk *topk, struct bytes key, uint64_t weight);

/* What a key that is not kept may weigh at most. */
uint64_t topk_least(const struct topk *topk);

/* The heaviest `most` entries, or fewer, the heaviest first; returns how many. */
size_t topk_top(const struct topk *topk, const struct topk_entry **ret_top, size_t most);

/* The beginning of its key. */
static inline struct bytes topk_text(const struct topk_entry *entry) {
    return bytes_of(entry->text, min_size(entry->len, TOPK_TEXT));
}

#endif
