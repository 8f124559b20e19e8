/* main.c - the table of subcommands, and the way to their help. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/say.h"
#include "report/output.h"
#include "version.h"

static const struct subcommand *const commands[] = {&cmd_analyze, &cmd_dump, &cmd_watch, &cmd_list};

static const char about[] =
    "bustap reads what Redis and Valkey Cluster nodes tell each other on their bus, and says what\n"
    "happened. It listens and never speaks.\n";

/* ---- help ---- */

static int print(struct buf *buf) {
    struct output output;
    struct err err;
    bool failed = buf->failed;
    if (!output_open(&output, "-", &err))
        return say("%s", err.text);
    output_take(&output, buf);
    buf_free(buf);
    if (!output_close(&output, &err))
        return say("%s", err.text);
    return failed ? say("out of memory") : EXIT_DONE;
}

static int print_help(void) {
    struct buf buf = {.max = 1 << 16};
    buf_text(&buf, "usage: bustap COMMAND [OPTION...] [FILE...]\n\n");
    buf_text(&buf, about);
    buf_text(&buf, "\ncommands:\n");
    for (size_t i = 0; i < countof(commands); i++)
        buf_printf(&buf, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    buf_text(&buf, "\n`bustap help COMMAND` tells a command's options, `bustap --version` the "
                   "version.\n");
    return print(&buf);
}

static int print_command_help(const struct subcommand *command) {
    struct buf buf = {.max = 1 << 16};
    buf_printf(&buf, "usage: bustap %s [OPTION...] %s\n\n", command->name, command->arguments);
    buf_printf(&buf, "%s: %s.\n\n", command->name, command->help);
    buf_text(&buf, command->more);
    buf_text(&buf, "\noptions:\n");
    config_help(&buf, command->bit);
    return print(&buf);
}

static int print_version(void) {
    struct buf buf = {.max = 256};
    buf_text(&buf, "bustap " BUSTAP_VERSION "\n");
    return print(&buf);
}

int usage_error(const struct subcommand *command, const char *what) {
    return say("%s: %s (`bustap help %s` shows how)", command->name, what, command->name);
}

/* ---- running ---- */

static const struct subcommand *command_named(const char *name) {
    for (size_t i = 0; i < countof(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name) {
    return say("there is no command '%.200s' (`bustap help` lists them)", name);
}

static int help_on(const char *name) {
    const struct subcommand *command = command_named(name);
    return command ? print_command_help(command) : unknown_command(name);
}

static int run_command(const struct subcommand *command, int argc, char *const *argv) {
    struct config config;
    struct err err;
    int status;
    if (!config_parse(&config, command->bit, argc, argv, &err))
        status = usage_error(command, err.text);
    else if (config.help)
        status = print_command_help(command);
    else if (config.version)
        status = print_version();
    else
        status = command->run(&config);
    config_free(&config);
    return status;
}

static bool is_one_of(const char *word, const char *first, const char *second) {
    return strcmp(word, first) == 0 || strcmp(word, second) == 0;
}

/* A standard stream that was closed by the caller would lend its number to the next file that is
 * opened, and messages would be written into a report. So the numbers are taken, by something that
 * fails as a closed stream does. False: even that cannot be had. */
static bool hold_standard_streams(void) {
    int fd;
    do
        fd = open("/dev/null", O_PATH);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

int main(int argc, char **argv) {
    if (!hold_standard_streams())
        return EXIT_TROUBLE;
    if (argc < 2)
        return say(
            "usage: bustap COMMAND [OPTION...] [FILE...] (`bustap help` lists the commands)");
    const char *word = argv[1];
    const struct subcommand *command = command_named(word);
    if (command)
        return run_command(command, argc - 2, argv + 2);
    if (is_one_of(word, "--version", "-V"))
        return print_version();
    if (strcmp(word, "help") == 0 && argc > 2)
        return help_on(argv[2]);
    if (is_one_of(word, "--help", "-h") || strcmp(word, "help") == 0)
        return print_help();
    return unknown_command(word);
}
