/* partition_words.c - from one host all others look like one side. What they say of each other when
 * they are heard again tells which of them were apart, too. */
#include "analysis/partition.h"

#include <stdlib.h>

void words_note(struct words *words, uint32_t by, uint32_t about) {
    if (!words->list)
        words->list = calloc(WORDS_MAX, sizeof *words->list);
    if (words->list && words->count < WORDS_MAX)
        words->list[words->count++] = (struct word){by, about};
}

/* Which nodes does it miss, or miss it? By node. */
static void find_missed(const struct words *words, uint32_t node, bool *ret_missed, size_t nodes) {
    memset(ret_missed, 0, nodes * sizeof *ret_missed);
    for (size_t i = 0; i < words->count; i++) {
        const struct word *word = &words->list[i];
        if (word->by == node)
            ret_missed[word->about] = true;
        if (word->about == node)
            ret_missed[word->by] = true;
    }
}

/* Those of the other side that did not miss each other hang together. */
static void join_others(const struct words *words, struct groups *groups, const struct sides *sides,
                        bool *missed) {
    for (uint32_t i = 0; i < sides->nodes; i++) {
        if (sides->of[i] != 1)
            continue;
        find_missed(words, i, missed, sides->nodes);
        for (uint32_t k = 0; k < i; k++)
            if (sides->of[k] == 1 && !missed[k])
                groups_join(groups, i, k);
    }
}

/* The first group stays the other side, the rest are sides of their own. */
void words_split(const struct words *words, struct groups *groups, struct sides *sides) {
    bool *missed = calloc(sides->nodes, sizeof *missed), first = true;
    if (!missed || !groups_begin(groups, sides->nodes)) {
        free(missed);
        return;
    }
    join_others(words, groups, sides, missed);
    free(missed);
    for (uint32_t top = 0; top < sides->nodes; top++) {
        if (sides->of[top] != 1 || groups_root(groups, top) != top)
            continue;
        uint8_t side = first || sides->count == SIDES_MAX ? 1 : (uint8_t)sides->count++;
        first = false;
        for (uint32_t i = 0; i < sides->nodes; i++)
            if (sides->of[i] == 1 && groups_root(groups, i) == top)
                sides->of[i] = side;
    }
}

void words_free(struct words *words) {
    free(words->list);
}
