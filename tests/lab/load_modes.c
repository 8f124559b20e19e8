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

/* ---- many at once
 * -------------------------------------------------------------------------------- */

unsigned batch(struct worker *worker, struct peer *peer, words_of *words) {
    struct client *client = worker->client;
    long depth = worker->options->depth, sent = 0, received = 0;
    char key[KEY_MAX];
    const char *list[4];
    while (sent < depth && peer_append(client, peer, words(worker, sent, key, list), list))
        sent++;
    bool ok = sent && peer_flush(client, peer);
    while (ok && received < sent) {
        redisReply *reply = peer_receive(client, peer);
        bool ask;
        if ((ok = reply != NULL)) {
            client_redirect(client, reply, &ask);
            freeReplyObject(reply);
            received++;
        }
    }
    if (!ok)
        peer_lost(client, peer);
    return (unsigned)depth;
}

/* The keys of a batch share their slot. */
static int pipeline_words(const struct worker *worker, long i, char *ret_key, const char **ret) {
    char tag[KEY_MAX];
    bool one_slot = worker->options->slot >= 0;
    snprintf(ret_key, KEY_MAX, "{%.128s}:%ld",
             one_slot ? worker->options->tag : turn_key(worker, tag), i);
    bool write = i % 2 == 0;
    ret[0] = write ? "SET" : "GET";
    ret[1] = ret_key;
    ret[2] = worker->value;
    return write ? 3 : 2;
}

static unsigned pipeline_step(struct worker *worker) {
    char key[KEY_MAX];
    const char *words[4];
    pipeline_words(worker, 0, key, words);
    return batch(worker, client_owner(worker->client, key), pipeline_words);
}

/* ---- the table
 * ----------------------------------------------------------------------------------- */

/* name, policy, --rate, --keys, --size by default, step, help */
const struct mode modes[] = {
    {"aware", AWARE, 200, 1000, 64, mixed_step,
     "GET and SET by the slot map, which MOVED refreshes"},
    {"naive", SENDS_ASKING, 200, 1000, 64, mixed_step,
     "never refreshes its slot map, is redirected each time"},
    {"no-asking", REFRESHES, 200, 1000, 64, mixed_step, "follows ASK without sending ASKING"},
    {"pipeline", AWARE, 1000, 100, 64, pipeline_step, "--depth GET and SET of one slot at once"},
    {"diary", AWARE, 200, 0, 0, diary_step, "writes increasing values, a line of --diary for each"},
    {"verify", AWARE, 200, 0, 0, verify_step,
     "reads the acknowledged writes of --diary back, tells which are lost"},
    {"fill", AWARE, 1000, 1000, 64, fill_step,
     "sets --keys keys of --size bytes, in --slot if given; ends"},
    {"big", AWARE, 5, 20, 1 << 20, mixed_step, "GET and SET of big values"},
    {"pubsub", AWARE, 200, 1, 64, pubsub_step,
     "each connection subscribes, and publishes at all nodes in turn"},
    {"spubsub", AWARE, 200, 1, 64, spubsub_step, "likewise with sharded channels (Redis 7)"},
    {"publish-flood", AWARE, 5000, 1, 1024, flood_step, "PUBLISH, --depth at once, to nobody"},
    {"blocking", AWARE, 50, 100, 64, blocking_step,
     "BLPOP, XREAD BLOCK, WAIT and others, woken or timed out"},
    {"multi", AWARE, 200, 100, 64, multi_step,
     "MULTI and EXEC: well, with errors, WATCHed, discarded"},
    {"resp3", AWARE | SPEAKS_RESP3, 200, 100, 64, resp3_step,
     "HELLO 3: all its types, invalidations, channels"},
    {0},
};

const struct mode *mode_find(const char *name) {
    for (const struct mode *mode = modes; mode->name; mode++)
        if (strcmp(mode->name, name) == 0)
            return mode;
    return NULL;
}
