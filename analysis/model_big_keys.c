/* model_big_keys.c - which keys were big, by the replies that moved or served them; of each command
 * of a server the call that held it up for longest is kept. */
#include "analysis/model_private.h"
#include "base/limits.h"
#include "decode/key_slot.h"

static struct big_key *big_key_of(struct model *model, const struct server *server,
                                  const struct command *command) {
    struct model_big_keys *keys = &model->big_keys;
    for (uint32_t i = 0; i < keys->count; i++)
        if (keys->list[i].server == server && keys->list[i].call.command == command)
            return &keys->list[i];
    struct big_key *list =
        keys->count < CAP_BIG_KEYS
            ? list_with_room(keys->list, keys->count, &keys->room, sizeof *keys->list)
            : NULL;
    if (!list) {
        model->books.big_keys_over_cap++;
        return NULL;
    }
    keys->list = list;
    struct big_key *one = &list[keys->count++];
    *one = (struct big_key){.server = server, .call = {.command = command, .busy = -1}};
    return one;
}

static struct key_name name_of(struct bytes key) {
    struct key_name name = {.known = key.len > 0, .len = (uint32_t)key.len};
    if (key.len == 0)
        return name;
    name.slot = key_slot(key);
    memcpy(name.text, key.data, min_size(key.len, BIG_KEY_TEXT));
    return name;
}

static void note_big_key(struct model *model, const struct server *server,
                         const struct slow_call *call, const struct key_name *key) {
    struct big_key *one = big_key_of(model, server, call->command);
    if (!one)
        return;
    one->count++;
    if (call->busy <= one->call.busy)
        return;
    one->call = *call;
    one->key = *key;
}

/* What is carried out while others wait: the server's time since it said something last. */
static nstime blocked(const struct server *server, const struct event *event) {
    uint64_t latency_us = event->reply.latency_us;
    nstime latency = latency_us == NOT_KNOWN ? 0 : (nstime)latency_us * NS_PER_US;
    nstime began = reply_began(event), last = server->last_reply;
    if (last > began) { /* others were answered while it was sent */
        const struct silence *silence =
            server->slow ? model_silence_ended(server->slow, began) : NULL;
        last = silence ? silence->from : began;
    }
    nstime silent = began - last;
    return last && silent < latency ? silent : latency;
}

void model_big_key_seen(struct model *model, struct client_conn *conn, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    bool has_keys = reply->command && reply->command->keys != KEYS_NONE;
    uint64_t bytes = reply->bytes > reply->request_bytes ? reply->bytes : reply->request_bytes;
    if (!has_keys || bytes < BIG_KEY || reply->error.len > 0)
        return;
    struct slow_call call = model_slow_call(event, blocked(conn->server, event), bytes);
    struct key_name key =
        name_of(reply->write ? model_write_key(conn, reply->write) : bytes_of(NULL, 0));
    note_big_key(model, conn->server, &call, &key);
    struct model_big_keys *keys = &model->big_keys;
    keys->moved[keys->next_moved++ % MOVED_KEYS] =
        (struct moved_key){.by = call.client, .at = event->time, .bytes = bytes, .key = key};
}

/* MIGRATE holds its server up until the other one has answered; how big the key was is seen there:
 * the biggest that this server's host sent meanwhile. */
void model_big_key_moved(struct model *model, struct server *server, const struct event *event) {
    const struct command *command = event->reply.command;
    const struct moved_key *biggest = NULL;
    nstime latency = (nstime)event->reply.latency_us * NS_PER_US;
    if (!command || command->keys != KEYS_MIGRATE)
        return;
    for (size_t i = 0; i < MOVED_KEYS; i++) {
        const struct moved_key *moved = &model->big_keys.moved[i];
        bool meanwhile = moved->bytes && moved->at >= event->time - latency &&
                         endpoint_same_ip(&moved->by, &server->addr);
        if (meanwhile && (!biggest || moved->bytes > biggest->bytes))
            biggest = moved;
    }
    if (!biggest)
        return;
    struct slow_call call = model_slow_call(event, latency, biggest->bytes);
    note_big_key(model, server, &call, &biggest->key);
}

size_t model_big_key_count(const struct model *model) {
    return model->big_keys.count;
}

const struct big_key *model_big_key(const struct model *model, size_t index) {
    return &model->big_keys.list[index];
}
