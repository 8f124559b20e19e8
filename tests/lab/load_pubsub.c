/* load_pubsub.c - channels. Each worker subscribes to one of its own, at one node, and publishes to
 * it: at all nodes in turn, so that most messages cross the bus, or if the channel is sharded at
 * the owner of its slot. What arrived meanwhile is read after each PUBLISH. */
#include "tests/lab/load.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static const struct kind {
    bool sharded;
    const char *subscribe, *publish;
} plain = {false, "SUBSCRIBE", "PUBLISH"}, sharded = {true, "SSUBSCRIBE", "SPUBLISH"};

static void subscribe(struct worker *worker, const struct kind *kind, const char *channel) {
    struct client *client = worker->other;
    const char *words[] = {kind->subscribe, channel};
    struct peer *peer = kind->sharded ? client_owner(client, channel) : client_any(client);
    redisReply *reply = peer_send(client, peer, 2, words) ? peer_receive(client, peer) : NULL;
    bool ask;
    if (!reply) {
        peer_lost(client, peer);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR)
        client_redirect(client, reply, &ask);
    else
        worker->subscribed = peer;
    freeReplyObject(reply);
}

static void publish(struct worker *worker, const struct kind *kind, const char *channel) {
    struct client *client = worker->client;
    const char *words[] = {kind->publish, channel, worker->value};
    if (kind->sharded) {
        client_tell(client, channel, 3, words);
        return;
    }
    struct peer *peer = client_any(client);
    redisReply *reply = peer_send(client, peer, 3, words) ? peer_receive(client, peer) : NULL;
    if (reply)
        freeReplyObject(reply);
    else
        peer_lost(client, peer);
}

/* A server ends a subscription whose slot it gives away. */
static bool is_end(const redisReply *push) {
    return push->type == REDIS_REPLY_ARRAY && push->elements && push->element[0]->str &&
           strcmp(push->element[0]->str, "sunsubscribe") == 0;
}

static void read_messages(struct worker *worker) {
    redisContext *link = peer_link(worker->other, worker->subscribed);
    struct pollfd waiting = {.fd = link ? link->fd : -1, .events = POLLIN};
    bool ok = link && (poll(&waiting, 1, 0) <= 0 || redisBufferRead(link) == REDIS_OK);
    void *push = NULL;
    while (ok && (ok = redisGetReplyFromReader(link, &push) == REDIS_OK) && push) {
        worker->stats.pushes++;
        ok = !is_end(push);
        freeReplyObject(push);
    }
    if (!ok) {
        peer_lost(worker->other, worker->subscribed);
        worker->subscribed = NULL;
    }
}

static unsigned step(struct worker *worker, const struct kind *kind) {
    char channel[KEY_MAX];
    worker_key(worker, worker->index, channel);
    if (!worker->subscribed)
        subscribe(worker, kind, channel);
    publish(worker, kind, channel);
    if (worker->subscribed)
        read_messages(worker);
    return 1;
}

unsigned pubsub_step(struct worker *worker) {
    return step(worker, &plain);
}

unsigned spubsub_step(struct worker *worker) {
    return step(worker, &sharded);
}

static int flood_words(const struct worker *worker, long i, char *ret_key, const char **ret) {
    (void)i;
    ret[0] = "PUBLISH";
    ret[1] = worker_key(worker, worker->index, ret_key);
    ret[2] = worker->value;
    return 3;
}

unsigned flood_step(struct worker *worker) {
    return batch(worker, client_any(worker->client), flood_words);
}
