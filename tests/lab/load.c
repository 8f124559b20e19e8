/* load.c - makes load on a cluster of the lab: one mode, a bounded rate, a bounded time. Prints one
 * line of JSON at the end, also when it is asked to stop (SIGTERM).
 *
 *   build/tests/lab/load aware --seed 10.77.0.11:6379 --seed 10.77.0.12:6379 --seconds 20
 */
#include "tests/lab/load.h"

#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 256, LINE = 256 };

static volatile sig_atomic_t asked_to_stop;
static uint64_t deadline;

bool load_over(void) {
    return asked_to_stop || now_ns() >= deadline;
}

static void on_signal(int number) {
    (void)number;
    asked_to_stop = 1;
}

static _Noreturn void fail(const char *what, const char *about) {
    fprintf(stderr, "load: %s: %s (load --help)\n", what, about);
    exit(2);
}

/* ---- options -------------------------------------------------------------------------------- */

static void set_seed(struct options *options, const char *text) {
    const char *colon = strrchr(text, ':');
    if (!colon || options->seed_count == SEEDS_MAX)
        fail("no HOST:PORT, or too many of them", text);
    struct seed *seed = &options->seeds[options->seed_count++];
    bool bracket = *text == '[' && colon > text + 1;
    snprintf(seed->host, sizeof seed->host, "%.*s", (int)(colon - text - 2 * bracket),
             text + bracket);
    seed->port = atoi(colon + 1);
    if (seed->port < 1 || seed->port > 65535)
        fail("not a port", colon + 1);
}

/* Names stand in keys and in JSON as they are. */
static void set_word(struct options *options, const char *text, size_t offset) {
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:");
    if (!*text || text[len] || len > WORD_MAX)
        fail("at most 32 letters, digits, '-', '_', '.', ':'", text);
    *(const char **)(void *)((char *)options + offset) = text;
}

static const struct option_row {
    const char *name, *takes;
    size_t offset;
    long min, max; /* of a number; both 0: a word */
    const char *help;
} rows[] = {
#define NUMBER(field, min, max, help) \
    { #field, "N", offsetof(struct options, field), min, max, help }
    {"seed", "HOST:PORT", 0, 0, 0, "a node to begin with; may be repeated; IPv6 in brackets"},
    NUMBER(rate, 1, 1000000, "requests per second, of all connections together"),
    NUMBER(seconds, 1, 3600, "after these it ends (10)"),
    NUMBER(connections, 1, WORKERS_MAX, "clients, each with connections of its own (1)"),
    NUMBER(keys, 0, 100000000, "different keys; diary: 0 is a new key for each write"),
    NUMBER(size, 0, 64L << 20, "bytes of a value or message"),
    NUMBER(noise, 0, 1, "1: values that servers cannot compress, else all dots"),
    NUMBER(slot, -1, SLOTS - 1, "only keys of this slot"),
    NUMBER(depth, 1, 100000, "requests in one pipeline (16)"),
    NUMBER(timeout, 10, 60000, "ms to connect, and for a reply (1000)"),
    {"name", "NAME", offsetof(struct options, name), 0, 0, "CLIENT SETNAME (the mode's name)"},
    {"prefix", "TEXT", offsetof(struct options, prefix), 0, 0, "of keys and channels (the name)"},
    {"diary", "FILE", offsetof(struct options, diary), 0, 0, "written by diary, read by verify"},
#undef NUMBER
};

enum { ROWS = sizeof rows / sizeof *rows };

static void set_option(struct options *options, const struct option_row *row, const char *text) {
    char *end;
    if (strcmp(row->name, "seed") == 0) {
        set_seed(options, text);
    } else if (strcmp(row->name, "diary") == 0) {
        options->diary = text;
    } else if (!row->max) {
        set_word(options, text, row->offset);
    } else {
        long number = strtol(text, &end, 10);
        if (end == text || *end || number < row->min || number > row->max)
            fail(row->name, text);
        *(long *)(void *)((char *)options + row->offset) = number;
    }
}

static void usage(void) {
    puts("load MODE --seed HOST:PORT [OPTION]...\n\nMODE is");
    for (const struct mode *mode = modes; mode->name; mode++)
        printf("  %-22s %s\n  %22s (--rate %ld --keys %ld --size %ld)\n", mode->name, mode->help,
               "", mode->rate, mode->keys, mode->size);
    puts("\nOPTION is");
    for (size_t i = 0; i < ROWS; i++) {
        char option[LINE];
        snprintf(option, sizeof option, "--%s %s", rows[i].name, rows[i].takes);
        printf("  %-22s %s\n", option, rows[i].help);
    }
}

static void parse(struct options *options, int argc, char **argv) {
    struct option list[ROWS + 2] = {{"help", no_argument, NULL, 'h'}};
    for (size_t i = 0; i < ROWS; i++)
        list[i + 1] = (struct option){rows[i].name, required_argument, NULL, 0};
    int at, found;
    while ((found = getopt_long(argc, argv, "h", list, &at)) != -1) {
        if (found == '?')
            exit(2);
        if (found == 'h') {
            usage();
            exit(EXIT_SUCCESS);
        }
        set_option(options, &rows[at - 1], optarg);
    }
}

static const struct mode *complete(struct options *options, const char *name) {
    const struct mode *mode = name ? mode_find(name) : NULL;
    if (!mode)
        fail("no such mode", name ? name : "none given");
    if (!options->seed_count)
        fail("missing", "--seed");
    options->rate = options->rate < 0 ? mode->rate : options->rate;
    options->keys = options->keys < 0 ? mode->keys : options->keys;
    options->size = options->size < 0 ? mode->size : options->size;
    if (mode->keys && !options->keys)
        fail("at least one", "--keys");
    options->name = options->name ? options->name : mode->name;
    options->prefix = options->prefix ? options->prefix : options->name;
    if (options->slot >= 0)
        slot_tag((int)options->slot, options->tag, sizeof options->tag);
    return mode;
}

static void open_diary(struct options *options, const struct mode *mode) {
    bool writes = mode->step == diary_step;
    if (!writes && mode->step != verify_step)
        return;
    if (!options->diary)
        fail("missing", "--diary");
    int flags = writes ? O_WRONLY | O_CREAT | O_EXCL | O_APPEND : O_RDONLY;
    options->diary_fd = open(options->diary, flags | O_CLOEXEC, 0644);
    if (options->diary_fd < 0) {
        perror(options->diary);
        exit(EXIT_FAILURE);
    }
}

/* ---- workers --------------------------------------------------------------------------------- */

static void *work(void *argument) {
    struct worker *worker = argument;
    struct pace pace =
        pace_of((double)worker->options->rate / (double)worker->options->connections);
    unsigned count = 1;
    for (; count && !load_over(); worker->turn++)
        if ((count = worker->mode->step(worker)))
            pace_wait(&pace, count);
    return NULL;
}

/* The same bytes each time, none of them NUL. */
static void fill_value(char *value, size_t size, bool noise) {
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    memset(value, '.', size);
    for (size_t i = 0; noise && i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value[i] = (char)(1 + (state >> 32) % 255);
    }
}

static bool worker_begin(struct worker *worker) {
    size_t size = (size_t)worker->options->size;
    worker->client = client_new(worker->options, &worker->stats, worker->mode->policy);
    worker->other =
        client_new(worker->options, &worker->stats, worker->mode->policy & ~(unsigned)SPEAKS_RESP3);
    worker->value = calloc(1, size + WORD_MAX); /* the diary's value may be longer than --size */
    if (worker->value)
        fill_value(worker->value, size, worker->options->noise);
    return worker->client && worker->other && worker->value;
}

static void worker_end(struct worker *worker) {
    client_free(worker->client);
    client_free(worker->other);
    free(worker->value);
}

/* All of them, until the last has ended; sums up what they counted. */
static bool run(struct worker *workers, size_t count, struct stats *ret_sum) {
    pthread_t threads[WORKERS_MAX];
    size_t started = 0;
    while (started < count && worker_begin(&workers[started]) &&
           !pthread_create(&threads[started], NULL, work, &workers[started]))
        started++;
    asked_to_stop |= started < count;
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        stats_add(ret_sum, &workers[i].stats);
    }
    for (size_t i = 0; i < count; i++)
        worker_end(&workers[i]);
    return started == count;
}

int main(int argc, char **argv) {
    static struct worker workers[WORKERS_MAX];
    struct options options = {.rate = -1,
                              .seconds = 10,
                              .connections = 1,
                              .keys = -1,
                              .size = -1,
                              .slot = -1,
                              .depth = 16,
                              .timeout = 1000};
    struct stats sum = {0};
    parse(&options, argc, argv);
    const struct mode *mode = complete(&options, argv[optind]);
    open_diary(&options, mode);
    uint64_t start = now_ns();
    deadline = start + (uint64_t)options.seconds * 1000000000;
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* hiredis writes to connections that the server closed */
    for (long i = 0; i < options.connections; i++)
        workers[i] = (struct worker){.options = &options, .mode = mode, .index = (unsigned)i};
    bool ok = run(workers, (size_t)options.connections, &sum);
    stats_print(&sum, mode->name, options.name, (double)(now_ns() - start) / 1e9);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
