/* by_word.c - a list of words and how often each was there. */
#include "base/by_word.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"

static bool is_word_char(uint8_t c) {
    uint8_t letter = c | 0x20;
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

bool bytes_is_word(struct bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_word_char(text.data[i]))
            return false;
    return text.len > 0 && text.len <= WORD_LENGTH_MAX;
}

struct bytes bytes_word(struct bytes text) {
    return bytes_is_word(text) ? text : bytes_str("other");
}

void by_word_free(struct by_word *counts) {
    free(counts->list);
    *counts = (struct by_word){0};
}

static bool has_room(struct by_word *counts) {
    if (counts->count == CAP_WORDS)
        return false;
    struct word_count *list =
        list_with_room(counts->list, counts->count, &counts->room, sizeof *list);
    counts->list = list ? list : counts->list;
    return list;
}

static struct word_count *find(const struct by_word *counts, struct bytes word) {
    for (uint32_t i = 0; i < counts->count; i++) {
        struct word_count *known = &counts->list[i];
        if (memcmp(known->word, word.data, word.len) == 0 && !known->word[word.len])
            return known;
    }
    return NULL;
}

void by_word_add(struct by_word *counts, struct bytes text, uint64_t count) {
    struct bytes word = bytes_word(text);
    struct word_count *known = find(counts, word);
    if (!known && !has_room(counts)) {
        counts->over += count;
        return;
    }
    if (!known) {
        known = &counts->list[counts->count++];
        *known = (struct word_count){.count = 0};
        memcpy(known->word, word.data, word.len);
    }
    known->count += count;
}

uint64_t by_word_of(const struct by_word *counts, const char *word) {
    const struct word_count *known = find(counts, bytes_str(word));
    return known ? known->count : 0;
}

uint64_t by_word_sum(const struct by_word *counts) {
    uint64_t sum = counts->over;
    for (uint32_t i = 0; i < counts->count; i++)
        sum += counts->list[i].count;
    return sum;
}
