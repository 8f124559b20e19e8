/* command.c - the table of commands, and its index.
 *
 * A name is folded into three words, lower case and padded with zeros, so that a look-up compares
 * words. A sub-command is found in a second step, by its own name and its container's row. Nothing
 * that the network says is ever added to the index, so its hash needs no key. */
#include "decode/command.h"

#include <stdlib.h>

/* ---- the table ---- */

const struct command command_rows[] = {
#define COMMAND(name, access, kind, keys, reply) \
    {name, ACCESS_##access, COMMAND_##kind, KEYS_##keys, REPLY_##reply},
#include "decode/commands.def"
#undef COMMAND
};
const size_t command_count = countof(command_rows);

/* ---- names as words ---- */

enum { NAME_WORDS = 3, NAME_MAX_LEN = NAME_WORDS * 8 };

/* What is looked for. The zeros that pad it could be bytes of a name: so its length counts too. */
struct name {
    uint64_t words[NAME_WORDS];
    uint32_t len;
    uint32_t container; /* row of the container, or ROW_NONE */
};

enum { ROW_NONE = 0 }; /* rows are counted from 1 */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Lower case, eight characters at once. Bit 7 of a byte in `letter` says that it is a capital;
 * two bits down is what makes it a small one. */
static inline uint64_t lower_case(uint64_t text) {
    uint64_t low = text & EACH_BYTE(0x7f);
    uint64_t from_a = low + EACH_BYTE(0x80 - 'A');
    uint64_t after_z = low + EACH_BYTE(0x80 - 'Z' - 1);
    uint64_t letter = from_a & ~after_z & ~text & EACH_BYTE(0x80);
    return text | letter >> 2;
}

/* 1 to 7 bytes, the missing ones zero, without a loop and without a read beyond them: two loads
 * that overlap. */
static inline uint64_t load_part(const uint8_t *p, size_t len) {
    if (len >= 4) {
        uint32_t head, tail;
        memcpy(&head, p, sizeof head);
        memcpy(&tail, p + len - 4, sizeof tail);
        return head | (uint64_t)tail << (8 * (len - 4));
    }
    return p[0] | (uint64_t)p[len / 2] << (8 * (len / 2)) | (uint64_t)p[len - 1] << (8 * (len - 1));
}

/* 1 <= text.len <= NAME_MAX_LEN */
static inline struct name name_of(struct bytes text, uint32_t container) {
    struct name name = {.len = (uint32_t)text.len, .container = container};
    if (LIKELY(text.len < 8)) {
        name.words[0] = lower_case(load_part(text.data, text.len));
        return name;
    }
    size_t i = 0;
    for (; text.len >= 8; text = bytes_after(text, 8))
        name.words[i++] = lower_case(load_word(text.data));
    if (text.len > 0)
        name.words[i] = lower_case(load_part(text.data, text.len));
    return name;
}

static inline uint32_t hash_of(const struct name *name) {
    uint64_t hash = name->words[0] ^ name->container;
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash + name->words[1] + 31 * name->words[2]) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(hash >> 32);
}

static inline bool same_name(const struct name *a, const struct name *b) {
    uint64_t differ = (a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
                      (a->words[2] ^ b->words[2]) | (a->len ^ b->len) |
                      (a->container ^ b->container);
    return differ == 0;
}

/* ---- the index ---- */

enum { INDEX_SLOTS = 2048 };
static_assert(countof(command_rows) < INDEX_SLOTS / 2, "the index is too full to be fast");

struct index_slot {
    struct name name;
    uint32_t row; /* ROW_NONE: empty */
};

struct command_index {
    struct index_slot slots[INDEX_SLOTS];
};

/* Where the name stands, or the empty slot where it would. */
static inline size_t slot_of(const struct command_index *index, const struct name *name) {
    size_t at = hash_of(name) % INDEX_SLOTS;
    while (index->slots[at].row != ROW_NONE && !same_name(&index->slots[at].name, name))
        at = (at + 1) % INDEX_SLOTS;
    return at;
}

static inline uint32_t row_find(const struct command_index *index, struct bytes text,
                                uint32_t container) {
    if (UNLIKELY(text.len == 0 || text.len > NAME_MAX_LEN))
        return ROW_NONE;
    struct name name = name_of(text, container);
    return index->slots[slot_of(index, &name)].row;
}

/* A container is added before what it contains, as the rows are sorted. */
static void index_add(struct command_index *index, uint32_t row) {
    struct bytes text = bytes_str(command_rows[row - 1].name);
    const uint8_t *bar = memchr(text.data, '|', text.len);
    size_t first = bar ? (size_t)(bar - text.data) : text.len;
    uint32_t container = bar ? row_find(index, bytes_first(text, first), ROW_NONE) : ROW_NONE;
    struct bytes own = bar ? bytes_after(text, first + 1) : text;
    assert(own.len > 0 && own.len <= NAME_MAX_LEN);
    struct name name = name_of(own, container);
    index->slots[slot_of(index, &name)] = (struct index_slot){name, row};
}

struct command_index *command_index_new(void) {
    struct command_index *index = calloc(1, sizeof *index);
    for (uint32_t row = 1; index && row <= command_count; row++)
        index_add(index, row);
    return index;
}

void command_index_free(struct command_index *index) {
    free(index);
}

const struct command *command_find(const struct command_index *index, struct bytes name,
                                   struct bytes sub) {
    uint32_t row = row_find(index, name, ROW_NONE);
    if (row == ROW_NONE)
        return NULL;
    if (command_rows[row - 1].kind == COMMAND_CONTAINER) {
        uint32_t sub_row = row_find(index, sub, row);
        row = sub_row != ROW_NONE ? sub_row : row;
    }
    return &command_rows[row - 1];
}
