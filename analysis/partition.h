/* partition.h - the sides into which a cluster has fallen; private to detect_partition.c and
 * partition_*.c, which is its story. */
#ifndef BUSTAP_ANALYSIS_PARTITION_H
#define BUSTAP_ANALYSIS_PARTITION_H

#include "analysis/detector.h"

enum {
    SIDES_MAX = 8, /* told; there are rarely more than three */
    NO_SIDE = 255,
};

struct sides {
    uint8_t *of; /* by node: its side, or NO_SIDE */
    size_t nodes, count, placed;
    nstime since;        /* the first that was not acknowledged across */
    nstime last;         /* when it was last looked at and went on */
    struct stamp passed; /* the last message that went across */
    struct place place;  /* a connection across */
    bool alone;          /* one side only was seen to live: the capture was taken there */
    bool unseen;         /* nothing across was seen, not even attempts */
    bool unproven;       /* nor is it likely that the other one lived */
};

/* What is looked at: since a node misses another of which nothing is seen, `hush` tells when that
 * was; `to` 0: nobody does. */
struct view {
    const struct model *model;
    nstime now;
    uint32_t vantage; /* the host that the capture was taken on, if it was on one */
    struct hush hush;
    uint32_t accuser; /* it said so, so it lived */
    bool deaf;        /* nobody was heard on that host for a while */
};

/* ---- partition_pairs.c: which pairs of nodes are apart ---- */

enum { QUIET_MS = 3000 /* nothing of a pair for so long, beside what is not acknowledged */ };

/* Nothing of this connection has been acknowledged for a while. */
bool pair_is_cut(const struct link *link, nstime now);

/* Nothing was seen of the pair for most of the time for which one node misses another. */
bool pair_is_hushed(const struct view *view, const struct link *link);

/* The pair is apart, whichever connection is asked about it. */
bool pair_is_apart(const struct view *view, const struct link *link);

/* Nothing of any other node has come to the host of the capture for a while. */
bool pairs_hear_nobody(const struct view *view);

/* The first moment since which some pair is apart; TIME_NONE: none is. */
nstime pairs_first_apart(const struct view *view);

/* ---- partition_groups.c: who hangs together with whom ---- */

struct groups {
    uint32_t *of; /* by node, another one of its group */
    size_t room;
};

/* Each node is a group of its own. False: no memory. */
bool groups_begin(struct groups *groups, size_t nodes);
void groups_join(struct groups *groups, uint32_t one, uint32_t other);

/* The node that stands for the group of this one. */
uint32_t groups_root(const struct groups *groups, uint32_t node);
void groups_free(struct groups *groups);

/* ---- partition_sides.c: what hangs together, and lives, is a side ---- */

/* The sides since some pair is apart; fewer than two: there are none. To be forgotten. */
struct sides sides_search(struct groups *groups, const struct view *view, nstime since);
void sides_forget(struct sides *sides);

/* Of one node that may be younger than the sides. */
static inline uint8_t side_in(const struct sides *sides, uint32_t node) {
    return node < sides->nodes ? sides->of[node] : NO_SIDE;
}

/* The first message across since they were last looked at. */
nstime sides_healed_at(const struct model *model, const struct sides *sides);

/* ---- partition_words.c: what those that look like one side say of each other ---- */

/* One of the others says that it misses another one of them. */
struct word {
    uint32_t by, about;
};

enum { WORDS_MAX = 4096 };

struct words {
    struct word *list; /* WORDS_MAX; NULL: none so far */
    size_t count;
};

void words_note(struct words *words, uint32_t by, uint32_t about);

/* Side 1 falls into those that did not miss each other. */
void words_split(const struct words *words, struct groups *groups, struct sides *sides);
void words_free(struct words *words);

/* ---- partition_finding.c ---- */

/* `end` TIME_NONE: it goes on. */
void sides_tell(const struct detection *detection, const struct sides *sides, nstime end);

#endif
