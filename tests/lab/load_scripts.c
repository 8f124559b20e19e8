/* load_scripts.c - exchanges of a few requests, as rows: what blocks and what wakes it,
 * transactions and what becomes of them, what only RESP3 can say. A step is one request; its first
 * character tells whose: ' '  ours, and its reply is awaited        '>'  ours, sent only
 *   '+'  the other connection's, likewise      '<'  awaits a reply that is still owed
 * A word "K:x" is a key, all keys of a turn share their slot; "V" is a value of --size bytes.
 * Errors and redirects are counted and the script goes on: each ends as it would have anyway. */
#include "tests/lab/load.h"

#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 10, WORDS_MAX = 12, TEXT_MAX = 256 };

struct script {
    const char *steps[STEPS_MAX];
};

static const struct script blocking[] = {
    {{">BLPOP K:l 0.5", "+RPUSH K:l V", "<"}},
    {{" BLPOP K:none 0.2"}},
    {{">BRPOPLPUSH K:l K:m 0.5", "+LPUSH K:l V", "<", " DEL K:m"}},
    {{">BZPOPMIN K:z 0.5", "+ZADD K:z 1 V", "<"}},
    {{">XREAD BLOCK 500 STREAMS K:x $", "+XADD K:x MAXLEN 10 * field V", "<"}},
    {{" XREAD BLOCK 200 STREAMS K:x $"}},
    {{" SET K:s V", " WAIT 1 100"}},
    {{" MULTI", " BLPOP K:none 0.5", " EXEC"}}, /* does not block there */
};

static const struct script multi[] = {
    {{" MULTI", " SET K:s V", " INCR K:n", " GET K:s", " EXEC"}},
    {{">MULTI", ">SET K:s V", ">INCR K:n", ">EXEC", "<", "<", "<", "<"}},
    {{" SET K:s V", " MULTI", " INCR K:s", " EXEC"}}, /* an error within */
    {{" MULTI", " SET K:s", " EXEC"}},                /* EXECABORT */
    {{" WATCH K:s", "+SET K:s V", " MULTI", " GET K:s", " EXEC"}},
    {{" WATCH K:s", " GET K:s", " MULTI", " SET K:s V", " EXEC"}},
    {{" WATCH K:s", " UNWATCH"}},
    {{" MULTI", " SET K:s V", " DISCARD"}},
    {{" MULTI", " MULTI", " DISCARD", " EXEC"}},
};

static const struct script resp3[] = {
    {{" CLIENT TRACKING ON", " SET K:s V", " GET K:s", "+SET K:s V", " PING"}},
    {{" CLIENT TRACKING OFF", " CLIENT TRACKING ON BCAST", "+SET K:s V", " PING",
      " CLIENT TRACKING OFF"}},
    {{" HSET K:h a 1 b 2", " HGETALL K:h"}},
    {{" SADD K:t a b c", " SMEMBERS K:t"}},
    {{" ZADD K:z 1.5 a +inf b", " ZSCORE K:z a", " ZSCORE K:z b", " ZRANGE K:z 0 -1 WITHSCORES"}},
    {{" GET K:none", " LRANGE K:none 0 -1", " MGET K:s K:none"}},
    {{" EVAL redis.setresp(3)return{big_number='3492890328409238509324850943850943825024385'} 0"}},
    {{" EVAL redis.setresp(3)return{double=-3.25} 0", " EVAL redis.setresp(3)return(1==1) 0"}},
    {{" CLUSTER INFO", " CLUSTER SLOTS", " CONFIG GET maxmemory"}},
    {{">SUBSCRIBE K:c", "+PUBLISH K:c V", " PING", ">UNSUBSCRIBE K:c", " PING"}},
    {{" MULTI", " HGETALL K:h", " SMEMBERS K:t", " EXEC"}},
    {{" SET K:s V", " INCR K:s"}}, /* an error */
};

/* Splits a step at its spaces; `text` holds the words that are not as they stand in the row. */
static int expand(const struct worker *worker, const char *step, char *text, const char **ret) {
    char base[KEY_MAX];
    int count = 0;
    uint64_t n = worker->turn % (uint64_t)worker->options->keys;
    worker_key(worker, n * (uint64_t)worker->options->connections + worker->index, base);
    bool tagged = worker->options->slot >= 0;
    for (const char *at = step + 1; *at && count < WORDS_MAX; text += strlen(text) + 1) {
        int len = (int)strcspn(at, " ");
        if (strncmp(at, "K:", 2) == 0)
            snprintf(text, TEXT_MAX, tagged ? "%s%.*s" : "{%s}%.*s", base, len - 1, at + 1);
        else
            snprintf(text, TEXT_MAX, "%.*s", len, at);
        ret[count++] = strcmp(text, "V") == 0 ? worker->value : text;
        at += (size_t)len + (at[len] == ' ');
    }
    return count;
}

static bool receive(struct client *client, struct peer *peer) {
    redisReply *reply = peer_receive(client, peer);
    bool ask;
    if (!reply)
        return false;
    client_redirect(client, reply, &ask);
    freeReplyObject(reply);
    return true;
}

static bool run_step(struct worker *worker, const char *step, struct client *client,
                     struct peer *peer) {
    char text[WORDS_MAX * TEXT_MAX];
    const char *words[WORDS_MAX];
    if (*step != '<' && !peer_send(client, peer, expand(worker, step, text, words), words))
        return false;
    return *step == '>' || receive(client, peer);
}

static unsigned run(struct worker *worker, const struct script *scripts, size_t count) {
    const struct script *script = &scripts[worker->turn % count];
    char text[WORDS_MAX * TEXT_MAX];
    const char *words[WORDS_MAX];
    unsigned steps = 0;
    expand(worker, " K:", text, words);
    struct peer *own = client_owner(worker->client, text);
    struct peer *other = client_owner(worker->other, text);
    for (; steps < STEPS_MAX && script->steps[steps]; steps++) {
        const char *step = script->steps[steps];
        bool theirs = *step == '+';
        if (run_step(worker, step, theirs ? worker->other : worker->client, theirs ? other : own))
            continue;
        peer_lost(worker->client, own);
        peer_lost(worker->other, other);
        break;
    }
    return steps + 1;
}

#define RUN(scripts) run(worker, scripts, sizeof(scripts) / sizeof *(scripts))

unsigned blocking_step(struct worker *worker) {
    return RUN(blocking);
}

unsigned multi_step(struct worker *worker) {
    return RUN(multi);
}

unsigned resp3_step(struct worker *worker) {
    return RUN(resp3);
}
