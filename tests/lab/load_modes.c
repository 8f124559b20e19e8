/* load_modes.c - the kinds of load, and those that are no more than GET and SET. */
#include "tests/lab/load.h"

#include <stdio.h>
#include <string.h>

const char *worker_key(const struct worker *worker, uint64_t n, char *ret) {
    const struct options *options = worker->options;
    bool one_slot = options->slot >= 0;
    snprintf(ret, KEY_MAX, "%s:%llu%s%s%s", options->prefix, (unsigned long long)n,
             one_slot ? ":{" : "", one_slot ? options->tag : "", one_slot ? "}" : "");
    return ret;
}

static const char *turn_key(const struct worker *worker, char *ret) {
    uint64_t n = (worker->turn * (uint64_t)worker->options->connections + worker->index);
    return worker_key(worker, n % (uint64_t)worker->options->keys, ret);
}

static unsigned mixed_step(struct worker *worker) {
    char key[KEY_MAX];
    turn_key(worker, key);
    /* By rounds over the keys, so that each is written and read. */
    uint64_t round =
        worker->turn * (uint64_t)worker->options->connections / (uint64_t)worker->options->keys;
    bool write = (worker->turn + round) % 2 == 0;
    const char *words[] = {write ? "SET" : "GET", key, worker->value};
    client_tell(worker->client, key, write ? 3 : 2, words);
    return 1;
}

static unsigned fill_step(struct worker *worker) {
    const struct options *options = worker->options;
    char key[KEY_MAX];
    uint64_t n = worker->turn * (uint64_t)options->connections + worker->index;
    if (n >= (uint64_t)options->keys)
        return 0;
    const char *words[] = {"SET", worker_key(worker, n, key), worker->value};
    client_tell(worker->client, key, 3, words);
    return 1;
}

const struct mode modes[] = {
    {"aware", AWARE, 1000, mixed_step, "GET and SET by the slot map, which MOVED refreshes"},
    {"naive", SENDS_ASKING, 1000, mixed_step,
     "never refreshes its slot map, is redirected each time"},
    {"no-asking", REFRESHES, 1000, mixed_step, "follows ASK without sending ASKING"},
    {"diary", AWARE, 0, diary_step, "writes increasing values, a line of --diary for each"},
    {"verify", AWARE, 0, verify_step,
     "reads what --diary says is acknowledged, tells what is lost"},
    {"fill", AWARE, 1000, fill_step, "sets --keys keys of --size bytes, in --slot if given; ends"},
    {0},
};

const struct mode *mode_find(const char *name) {
    for (const struct mode *mode = modes; mode->name; mode++)
        if (strcmp(mode->name, name) == 0)
            return mode;
    return NULL;
}
