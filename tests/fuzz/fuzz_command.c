/* fuzz_command.c - any list of arguments, kept whole or not, to all that reads them: the command's
 * name, its keys, whether it writes, waits, is answered. What is said of keys lies among the
 * arguments, and a key's slot is what the plainest loop makes of it.
 *
 * The input: a row of the table for names that are none, the number of arguments that were not
 * kept, then arguments: length, bytes. */
#include "tests/fuzz/fuzz.h"

#include "decode/command.h"
#include "decode/key_slot.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

enum { HEAD = 3, ARGS_MAX = 32 };

/* ---- the arguments, each in a block of exactly its size ---- */

static size_t read_list(const uint8_t *data, size_t size, struct bytes list[ARGS_MAX]) {
    size_t kept = 0;
    while (size > 0 && kept < ARGS_MAX) {
        size_t len = min_size(data[0], size - 1);
        uint8_t *exact = malloc(len ? len : 1);
        assert(exact);
        memcpy(exact, data + 1, len);
        list[kept++] = len ? bytes_of(exact, len) : (free(exact), bytes_of(NULL, 0));
        data += 1 + len;
        size -= 1 + len;
    }
    return kept;
}

static void free_list(struct bytes *list, size_t kept) {
    for (size_t i = 0; i < kept; i++)
        free((void *)list[i].data);
    free(list);
}

/* ---- what is said of them ---- */

static void check_slot(struct bytes key) {
    const uint8_t *open = key.len ? memchr(key.data, '{', key.len) : NULL;
    struct bytes tag = open ? bytes_after(key, (size_t)(open + 1 - key.data)) : key;
    const uint8_t *close = open && tag.len ? memchr(tag.data, '}', tag.len) : NULL;
    struct bytes part =
        close && close > tag.data ? bytes_first(tag, (size_t)(close - tag.data)) : key;
    unsigned crc = 0;
    for (size_t i = 0; i < part.len; i++) {
        crc ^= (unsigned)part.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
    assert(key_slot(key) == crc % KEY_SLOTS);
}

static void check_keys(const struct command *command, const struct request_args *args) {
    struct command_keys keys;
    if (!command_keys(command, args, &keys))
        return;
    assert(keys.count >= 1 && keys.first >= 1 && keys.step >= 1);
    assert(keys.count <= args->count && keys.first + (keys.count - 1) * keys.step < args->count);
    assert(keys.extra < args->count);
}

static void check_command(const struct command *command, const struct request_args *args) {
    check_keys(command, args);
    (void)command_is_write(command, args);
    assert(!command_may_block(command, args) || command->kind == COMMAND_BLOCKING);
    assert(command_reply_to(command, args) < REPLY_CLIENT_REPLY);
}

/* A command's name is the one that was looked for, and what it contains is there by its word. */
static const struct command *find(const struct command_index *index,
                                  const struct request_args *args) {
    struct bytes name = args->list[0], sub = args->kept > 1 ? args->list[1] : bytes_of(NULL, 0);
    const struct command *command = command_find(index, name, sub);
    if (!command)
        return NULL;
    const char *bar = strchr(command->name, '|');
    size_t len = bar ? (size_t)(bar - command->name) : strlen(command->name);
    assert(name.len == len && strncasecmp((const char *)name.data, command->name, len) == 0);
    assert(!bar || (sub.len == strlen(bar + 1) &&
                    strncasecmp((const char *)sub.data, bar + 1, sub.len) == 0));
    return command;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct command_index *index;
    struct bytes all[ARGS_MAX];
    if (!index)
        index = command_index_new();
    size_t kept = size > HEAD ? read_list(data + HEAD, size - HEAD, all) : 0;
    if (!index || !kept)
        return 0;
    struct bytes *list = malloc(kept * sizeof *list);
    assert(list);
    memcpy(list, all, kept * sizeof *list);
    struct request_args args = {.list = list, .kept = kept, .count = kept + data[2]};
    const struct command *found = find(index, &args);
    check_command(found ? found : &command_rows[load_be16(data) % command_count], &args);
    for (size_t i = 0; i < kept; i++)
        check_slot(list[i]);
    free_list(list, kept);
    return 0;
}
