/* by_word.h - counts by word, for words that the network chooses: errors, kinds of messages.
 *
 * A word is made of letters, digits and "_.-": whatever else comes counts as "other", so that no
 * user of the words has to fear them. At most CAP_WORDS different ones are kept; a few are the
 * rule, so they are found by looking at one after the other. */
#ifndef BUSTAP_BASE_BY_WORD_H
#define BUSTAP_BASE_BY_WORD_H

#include "base/base.h"

enum { WORD_LENGTH_MAX = 40 };

struct word_count {
    char word[WORD_LENGTH_MAX + 1];
    uint64_t count;
};

/* Zero-initialised it is empty. */
struct by_word {
    struct word_count *list; /* in order of first appearance */
    uint32_t count, room;
    uint64_t over; /* counted for words beyond the cap, or for want of memory */
};

void by_word_free(struct by_word *counts);
void by_word_add(struct by_word *counts, struct bytes word, uint64_t count);
uint64_t by_word_of(const struct by_word *counts, const char *word);
uint64_t by_word_sum(const struct by_word *counts);

/* 1 to WORD_LENGTH_MAX letters, digits, "_", "." or "-". */
bool bytes_is_word(struct bytes text);

/* The word itself, or "other". */
struct bytes bytes_word(struct bytes text);

#endif
