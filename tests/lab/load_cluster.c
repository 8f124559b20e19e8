/* load_cluster.c - a client's view of the cluster: which nodes it has met (the seeds first), a
 * connection to each, who owns which slot by CLUSTER SLOTS, and what redirects teach it. How much
 * it learns is the client's policy: that makes the aware, the naive and the one that asks without
 * ASKING. Connections block, with a timeout; a connection that failed is closed, and the request
 * is not repeated: whether it was done is unknown. */
#include "tests/lab/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { PEERS_MAX = 128, UNKNOWN = -1 };

/* CLUSTER SLOTS costs a server much: not oftener, however many redirects come. */
static const uint64_t refresh_interval = 100000000;

struct peer {
    char host[HOST_MAX];
    int port;
    redisContext *link;
    bool met;         /* there was a connection before */
    uint64_t waiting; /* requests on it that are not answered yet */
};

struct client {
    const struct options *options;
    struct stats *stats;
    unsigned policy;
    struct peer peers[PEERS_MAX];
    size_t peer_count, turn;
    uint64_t refreshed;
    bool learnt;          /* has had a map once */
    char reason[WHY_MAX]; /* why a connection failed last */
    int16_t owner[SLOTS]; /* index in `peers`, or UNKNOWN */
};

/* ---- slots ----------------------------------------------------------------------------------- */

int key_slot(const char *key) {
    const char *open = strchr(key, '{');
    size_t tag = open ? strcspn(open + 1, "}") : 0;
    bool tagged = tag && open[1 + tag] == '}';
    const char *at = tagged ? open + 1 : key;
    size_t len = tagged ? tag : strlen(key);
    unsigned crc = 0; /* CRC16-XMODEM */
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)at[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021U : 0)) & 0xffff;
    }
    return (int)(crc % SLOTS);
}

void slot_tag(int slot, char *ret, size_t size) {
    unsigned tries = 0;
    do
        snprintf(ret, size, "%x", tries++);
    while (key_slot(ret) != slot);
}

/* ---- peers and their connections ---------------------------------------------------------------
 */

static struct peer *peer_find(struct client *client, const char *host, int port) {
    for (size_t i = 0; i < client->peer_count; i++)
        if (client->peers[i].port == port && strcmp(client->peers[i].host, host) == 0)
            return &client->peers[i];
    if (client->peer_count == PEERS_MAX)
        return NULL;
    struct peer *peer = &client->peers[client->peer_count++];
    snprintf(peer->host, sizeof peer->host, "%s", host);
    peer->port = port;
    return peer;
}

void peer_text(const struct peer *peer, char *ret, size_t size) {
    bool v6 = strchr(peer->host, ':');
    snprintf(ret, size, v6 ? "[%s]:%d" : "%s:%d", peer->host, peer->port);
}

static void peer_close(struct peer *peer) {
    if (peer->link)
        redisFree(peer->link);
    peer->link = NULL;
    peer->waiting = 0;
}

/* Remembers what broke in the words of the system, and closes it. */
static void peer_failed(struct client *client, struct peer *peer) {
    /* A timeout of the socket is EAGAIN to hiredis. */
    bool late = peer->link && peer->link->err == REDIS_ERR_IO && errno == EAGAIN;
    const char *text = !peer->link ? "no memory" : late ? "timed out" : peer->link->errstr;
    snprintf(client->reason, sizeof client->reason, "%s", text);
    client->stats->no_answer += peer->waiting;
    peer_close(peer);
}

/* A request whose reply matters only in that there is one. */
static bool converse(struct client *client, struct peer *peer, int argc, const char **argv) {
    redisReply *reply = peer_send(client, peer, argc, argv) ? peer_receive(client, peer) : NULL;
    if (reply)
        freeReplyObject(reply);
    return reply != NULL;
}

static bool introduce(struct client *client, struct peer *peer) {
    const char *hello[] = {"HELLO", "3"}, *name[] = {"CLIENT", "SETNAME", client->options->name};
    return (!(client->policy & SPEAKS_RESP3) || converse(client, peer, 2, hello)) &&
           converse(client, peer, 3, name);
}

redisContext *peer_link(struct client *client, struct peer *peer) {
    if (peer->link)
        return peer->link;
    long ms = client->options->timeout;
    struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    peer->link = redisConnectWithTimeout(peer->host, peer->port, timeout);
    if (!peer->link || peer->link->err || redisSetTimeout(peer->link, timeout) != REDIS_OK) {
        peer_failed(client, peer);
        return NULL;
    }
    client->stats->reconnects += peer->met;
    peer->met = true;
    return introduce(client, peer) ? peer->link : NULL;
}

bool peer_append(struct client *client, struct peer *peer, int argc, const char **argv) {
    if (!peer_link(client, peer) ||
        redisAppendCommandArgv(peer->link, argc, argv, NULL) != REDIS_OK)
        return false;
    client->stats->requests++;
    peer->waiting++;
    return true;
}

bool peer_flush(struct client *client, struct peer *peer) {
    int done = 0;
    while (!done) {
        if (redisBufferWrite(peer->link, &done) != REDIS_OK) {
            peer_failed(client, peer);
            return false;
        }
    }
    return true;
}

bool peer_send(struct client *client, struct peer *peer, int argc, const char **argv) {
    return peer_append(client, peer, argc, argv) && peer_flush(client, peer);
}

redisReply *peer_receive(struct client *client, struct peer *peer) {
    void *reply = NULL;
    uint64_t start = now_ns();
    if (peer->link && client->policy & SPEAKS_RESP3)
        reply = resp3_reply(peer->link, &client->stats->pushes);
    else if (peer->link)
        redisGetReply(peer->link, &reply);
    if (!reply) {
        peer_failed(client, peer);
        return NULL;
    }
    peer->waiting -= peer->waiting > 0;
    stats_reply(client->stats, reply, now_ns() - start);
    return reply;
}

/* ---- who owns what ------------------------------------------------------------------------------
 */

static struct peer *next_peer(struct client *client) {
    return &client->peers[client->turn++ % client->peer_count];
}

/* A server that does not know its own address tells an empty one: it is where we asked. */
static struct peer *peer_named(struct client *client, const char *host, int port,
                               const struct peer *asked) {
    bool named = host && *host && strcmp(host, "?") != 0;
    return peer_find(client, named ? host : asked->host, port);
}

/* A row of CLUSTER SLOTS: first, last, [host, port, ...] of the primary, its replicas. */
static void learn_row(struct client *client, const redisReply *row, const struct peer *asked) {
    if (row->type != REDIS_REPLY_ARRAY || row->elements < 3 || row->element[2]->elements < 2)
        return;
    const redisReply *primary = row->element[2];
    struct peer *peer =
        peer_named(client, primary->element[0]->str, (int)primary->element[1]->integer, asked);
    if (!peer)
        return;
    for (long long slot = row->element[0]->integer; slot <= row->element[1]->integer; slot++)
        if (slot >= 0 && slot < SLOTS)
            client->owner[slot] = (int16_t)(peer - client->peers);
}

static bool learn_from(struct client *client, struct peer *peer) {
    const char *words[] = {"CLUSTER", "SLOTS"};
    redisReply *reply = NULL;
    if (peer_send(client, peer, 2, words))
        reply = peer_receive(client, peer);
    bool told = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements;
    for (size_t i = 0; told && i < reply->elements; i++)
        learn_row(client, reply->element[i], peer);
    if (reply)
        freeReplyObject(reply);
    client->stats->refreshes++;
    return told;
}

static bool refresh(struct client *client) {
    for (size_t tries = client->peer_count; tries && !load_over(); tries--)
        if (learn_from(client, next_peer(client)))
            return true;
    return false;
}

struct peer *client_any(struct client *client) {
    if (!client->learnt)
        client->learnt = refresh(client);
    return next_peer(client);
}

struct peer *client_owner(struct client *client, const char *key) {
    if (!client->learnt)
        client->learnt = refresh(client);
    int index = client->owner[key_slot(key)];
    return index == UNKNOWN ? client_any(client) : &client->peers[index];
}

/* Something says that the map is old. */
static void freshen(struct client *client) {
    if (!(client->policy & REFRESHES) || now_ns() - client->refreshed < refresh_interval)
        return;
    refresh(client);
    client->refreshed = now_ns();
}

void peer_lost(struct client *client, struct peer *peer) {
    client->stats->no_answer += peer->waiting;
    peer_close(peer);
    freshen(client);
}

/* ---- redirects
 * ----------------------------------------------------------------------------------- */

/* "MOVED 3999 127.0.0.1:6381"; an IPv6 address stands there without brackets. */
static struct peer *redirect_target(struct client *client, const char *text, int *ret_slot) {
    char host[HOST_MAX];
    int start = 0;
    if (sscanf(text, "%*s %d %n", ret_slot, &start) != 1 || !start || *ret_slot < 0 ||
        *ret_slot >= SLOTS)
        return NULL;
    const char *colon = strrchr(text + start, ':');
    if (!colon)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text - start), text + start);
    return *host ? peer_find(client, host, atoi(colon + 1)) : NULL;
}

struct peer *client_redirect(struct client *client, const redisReply *reply, bool *ret_ask) {
    int slot;
    if (reply->type != REDIS_REPLY_ERROR)
        return NULL;
    bool moved = strncmp(reply->str, "MOVED ", 6) == 0;
    *ret_ask = strncmp(reply->str, "ASK ", 4) == 0;
    if (!moved && !*ret_ask)
        return NULL;
    struct peer *target = redirect_target(client, reply->str, &slot);
    if (target && moved && client->policy & REFRESHES) {
        freshen(client);
        client->owner[slot] = (int16_t)(target - client->peers);
    }
    return target;
}

static redisReply *ask_peer(struct client *client, struct peer *peer, bool asking, int argc,
                            const char **argv, bool *ret_sent) {
    const char *word = "ASKING";
    *ret_sent = false;
    if (asking && client->policy & SENDS_ASKING && !converse(client, peer, 1, &word))
        return NULL;
    *ret_sent =
        peer_link(client, peer) != NULL; /* if writing fails, some of it may be on its way */
    return peer_send(client, peer, argc, argv) ? peer_receive(client, peer) : NULL;
}

struct answer client_ask(struct client *client, const char *key, int argc, const char **argv) {
    struct answer answer = {.hops = 0};
    struct peer *peer = client_owner(client, key);
    bool asking = false;
    for (;;) {
        answer.by = peer;
        answer.reply = ask_peer(client, peer, asking, argc, argv, &answer.sent);
        struct peer *next = answer.reply ? client_redirect(client, answer.reply, &asking) : NULL;
        if (!next || answer.hops == HOPS_MAX)
            break;
        answer.redirects[answer.hops++] = asking ? 'A' : 'M';
        freeReplyObject(answer.reply);
        peer = next;
    }
    if (!answer.reply) {
        snprintf(answer.why, sizeof answer.why, "%s", client->reason);
        peer_lost(client, peer);
    }
    return answer;
}

void client_tell(struct client *client, const char *key, int argc, const char **argv) {
    struct answer answer = client_ask(client, key, argc, argv);
    if (answer.reply)
        freeReplyObject(answer.reply);
}

/* ---- life
 * ------------------------------------------------------------------------------------------ */

struct client *client_new(const struct options *options, struct stats *stats, unsigned policy) {
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->options = options;
    client->stats = stats;
    client->policy = policy;
    memset(client->owner, UNKNOWN, sizeof client->owner);
    for (size_t i = 0; i < options->seed_count; i++)
        peer_find(client, options->seeds[i].host, options->seeds[i].port);
    return client;
}

void client_free(struct client *client) {
    for (size_t i = 0; client && i < client->peer_count; i++)
        peer_close(&client->peers[i]);
    free(client);
}
