/* load_diary.c - the diary of a writer, and what became of the writes in it.
 *
 * Values are unique and increase; each key belongs to one worker, so the order of its lines is the
 * order of its writes. A line tells of one write:
 *   w        --name and the worker          t0, t1   sent and answered, seconds since 1970
 *   seq      the value                      node     who answered, or did not, as ip:port
 *   key, slot                               red      the redirects on the way
 *   ok       true: acknowledged; false: refused or never sent; null: sent, no answer, fate unknown
 *   err      the error, or why there is no answer
 * It is written with one write() and before the next request, so killing the writer loses at most
 * the write under way.
 *
 * Reading can prove only that the last acknowledged write of a key is gone. That the value read is
 * older proves it too, unless that value is of a write without answer: the server may have done it
 * late. */
#include "tests/lab/load.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing --------------------------------------------------------------------------------- */

static atomic_uint_fast64_t last_value;

struct entry {
    uint64_t value, sent, answered;
    char key[KEY_MAX];
};

static void redirects_text(const struct answer *answer, char *ret, size_t size) {
    size_t at = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < answer->hops; i++)
        at += (size_t)snprintf(ret + at, size - at, "%s\"%s\"", i ? ", " : "",
                               answer->redirects[i] == 'A' ? "ASK" : "MOVED");
}

/* Seconds with all their digits. */
static void time_text(uint64_t ns, char *ret, size_t size) {
    snprintf(ret, size, "%llu.%09llu", (unsigned long long)ns / 1000000000,
             (unsigned long long)ns % 1000000000);
}

static void write_line(const struct worker *worker, const struct entry *entry,
                       const struct answer *answer) {
    bool ok = answer->reply && answer->reply->type != REDIS_REPLY_ERROR;
    char t0[WORD_MAX], t1[WORD_MAX], node[HOST_MAX + WORD_MAX], red[16 * HOPS_MAX],
        err[WHY_MAX * 2];
    char line[KEY_MAX * 8];
    time_text(entry->sent, t0, sizeof t0);
    time_text(entry->answered, t1, sizeof t1);
    peer_text(answer->by, node, sizeof node);
    redirects_text(answer, red, sizeof red);
    quote(err, sizeof err, answer->reply ? answer->reply->str : answer->why);
    int len = snprintf(line, sizeof line,
                       "{\"w\": \"%s.%u\", \"seq\": %llu, \"key\": \"%s\", \"slot\": %d, "
                       "\"t0\": %s, \"t1\": %s, \"node\": \"%s\", \"ok\": %s, \"err\": %s, "
                       "\"red\": [%s]}\n",
                       worker->options->name, worker->index, (unsigned long long)entry->value,
                       entry->key, key_slot(entry->key), t0, t1, node,
                       ok                               ? "true"
                       : answer->reply || !answer->sent ? "false"
                                                        : "null",
                       ok ? "null" : err, red);
    if (write(worker->options->diary_fd, line, (size_t)len) != len) {
        perror("load: diary");
        exit(EXIT_FAILURE);
    }
}

/* The value, and dots up to --size. */
static const char *value_text(const struct worker *worker, uint64_t value) {
    int digits = snprintf(worker->value, WORD_MAX, "%llu", (unsigned long long)value);
    if (worker->options->size > digits)
        worker->value[digits] = '.'; /* instead of the end that snprintf wrote */
    return worker->value;
}

unsigned diary_step(struct worker *worker) {
    const struct options *options = worker->options;
    struct entry entry = {.value = atomic_fetch_add(&last_value, 1) + 1};
    uint64_t n = options->keys ? worker->turn % (uint64_t)options->keys : worker->turn;
    worker_key(worker, n * (uint64_t)options->connections + worker->index, entry.key);
    const char *words[] = {"SET", entry.key, value_text(worker, entry.value)};
    entry.sent = wall_ns();
    struct answer answer = client_ask(worker->client, entry.key, 3, words);
    entry.answered = wall_ns();
    write_line(worker, &entry, &answer);
    if (answer.reply)
        freeReplyObject(answer.reply);
    return 1;
}

/* ---- reading back ------------------------------------------------------------------------------
 */

/* What the diary says of each key: its last acknowledged write, and the values of those whose fate
 * is unknown.  { key: { "last": line, "unknown": { value: null } } } */
static json_t *keys_of(FILE *diary) {
    json_t *keys = json_object(), *line;
    while ((line = json_loadf(diary, JSON_DISABLE_EOF_CHECK, NULL))) {
        const char *key = json_string_value(json_object_get(line, "key"));
        const json_t *ok = json_object_get(line, "ok");
        if (key && !json_object_get(keys, key))
            json_object_set_new(keys, key, json_pack("{s{}}", "unknown"));
        json_t *fate = json_object_get(keys, key ? key : "");
        if (json_is_true(ok)) {
            json_object_set(fate, "last", line);
        } else if (json_is_null(ok)) {
            char value[WORD_MAX];
            snprintf(value, sizeof value, "%lld",
                     (long long)json_integer_value(json_object_get(line, "seq")));
            json_object_set_new(json_object_get(fate, "unknown"), value, json_null());
        }
        json_decref(line);
    }
    return keys;
}

/* The value that the cluster holds: 0 if none, -1 if it cannot be had before the time is up. */
static long long read_back(struct worker *worker, const char *key) {
    const char *words[] = {"GET", key};
    struct pace pace = pace_of(10);
    do {
        struct answer answer = client_ask(worker->client, key, 2, words);
        int type = answer.reply ? answer.reply->type : REDIS_REPLY_ERROR;
        long long value = type == REDIS_REPLY_STRING ? atoll(answer.reply->str) : 0;
        if (answer.reply)
            freeReplyObject(answer.reply);
        if (type != REDIS_REPLY_ERROR)
            return value;
    } while (pace_wait(&pace, 1));
    return -1;
}

static const char *verdict(const json_t *fate, long long found) {
    long long last = json_integer_value(json_object_get(json_object_get(fate, "last"), "seq"));
    char value[WORD_MAX];
    snprintf(value, sizeof value, "%lld", found);
    if (found < 0)
        return "unread";
    if (found >= last)
        return "kept";
    return json_object_get(json_object_get(fate, "unknown"), value) ? "overtaken" : "lost";
}

static void tell(const char *verdict, const json_t *line, long long found) {
    char *text = json_dumps(line, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    printf("{\"verdict\": \"%s\", \"found\": %lld, \"write\": %s}\n", verdict, found, text);
    free(text);
}

unsigned verify_step(struct worker *worker) {
    unsigned kept = 0, lost = 0, others = 0;
    FILE *diary = fopen(worker->options->diary, "re");
    if (!diary || worker->index) {
        if (diary)
            fclose(diary);
        return 0;
    }
    json_t *keys = keys_of(diary), *fate;
    const char *key;
    json_object_foreach(keys, key, fate) {
        if (!json_object_get(fate, "last"))
            continue;
        long long found = read_back(worker, key);
        const char *what = verdict(fate, found);
        unsigned *count = !strcmp(what, "kept") ? &kept : !strcmp(what, "lost") ? &lost : &others;
        ++*count;
        if (count != &kept)
            tell(what, json_object_get(fate, "last"), found);
    }
    printf("{\"verify\": {\"keys\": %u, \"kept\": %u, \"lost\": %u, \"undecided\": %u}}\n",
           kept + lost + others, kept, lost, others);
    json_decref(keys);
    fclose(diary);
    return 0;
}
