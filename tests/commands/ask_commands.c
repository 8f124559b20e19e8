/* ask_commands.c - what the decoder says about requests, for test_commands.py to hold against what
 * a server says: a request per line of standard input, its arguments parted by tabs; per line of
 * standard output the name of its row, then the indexes of its keys. */
#include "decode/command.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARGUMENTS_MAX = 32 };

static size_t split(char *line, struct bytes *list) {
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at && count < ARGUMENTS_MAX; count++) {
        size_t len = strcspn(at, "\t");
        list[count] = bytes_of(at, len);
        at = at[len] ? at + len + 1 : NULL;
    }
    return count;
}

static void print_keys(const struct command *command, const struct request_args *args) {
    struct command_keys keys;
    if (!command_keys(command, args, &keys) || keys.channels)
        return;
    for (uint64_t i = 0; i < keys.count; i++)
        printf(" %zu", (size_t)(keys.first + i * keys.step));
    if (keys.extra)
        printf(" %zu", (size_t)keys.extra);
}

int main(void) {
    char line[4096];
    struct command_index *index = command_index_new();
    if (!index)
        return EXIT_FAILURE;
    while (fgets(line, sizeof line, stdin)) {
        struct bytes list[ARGUMENTS_MAX + 1] = {{0}};
        struct request_args args = {.list = list, .kept = split(line, list)};
        args.count = args.kept;
        const struct command *command = command_find(index, list[0], list[1]);
        fputs(command ? command->name : "-", stdout);
        if (command)
            print_keys(command, &args);
        putchar('\n');
    }
    command_index_free(index);
    return EXIT_SUCCESS;
}
