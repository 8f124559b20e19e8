/* model_slow.c - silences, who was asked for when they began, and the keys that were big. */
#include "analysis/model_slow.h"

#include <stdlib.h>

#include "analysis/model_private.h"
#include "base/limits.h"
#include "decode/key_slot.h"

/* Replies to what was carried out in one go leave together, give or take. */
#define TOGETHER (2 * NS_PER_MS)

static nstime asked_at(const struct slow_call *call) {
    return call->over - call->busy;
}

/* ---- the end of a silence ---- */

static struct slow_command *command_of(struct slow *slow, const struct command *command) {
    for (uint32_t i = 0; i < slow->count; i++)
        if (slow->commands[i].worst.command == command)
            return &slow->commands[i];
    if (slow->count == SLOW_COMMANDS) {
        slow->over++;
        return NULL;
    }
    struct slow_command *one = &slow->commands[slow->count++];
    *one = (struct slow_command){.first = TIME_NONE, .worst = {.command = command}};
    return one;
}

static struct slow_command *count_call(struct slow *slow, const struct slow_call *call) {
    struct slow_command *one = command_of(slow, call->command);
    if (!one)
        return NULL;
    one->count++;
    one->busy += call->busy;
    if (one->first == TIME_NONE || asked_at(call) < one->first)
        one->first = asked_at(call);
    one->last = call->over > one->last ? call->over : one->last;
    if (call->busy >= LONG_MS * NS_PER_MS) {
        bool first = one->long_to == 0 || asked_at(call) < one->long_from;
        one->long_from = first ? asked_at(call) : one->long_from;
        one->long_to = call->over > one->long_to ? call->over : one->long_to;
    }
    if (call->busy > one->worst.busy)
        one->worst = *call;
    return one;
}

/* Those that were asked first waited for about as long as anybody. */
static nstime first_waited(const struct silence *silence) {
    nstime longest = 0;
    for (uint32_t i = 0; i < silence->count; i++)
        longest = silence->calls[i].busy > longest ? silence->calls[i].busy : longest;
    return longest - (longest / 10 > TOGETHER ? longest / 10 : TOGETHER);
}

/* Those that were asked first may have caused it, each command once. */
static void close_silence(struct slow *slow, struct silence *silence) {
    nstime least = first_waited(silence);
    for (uint32_t i = 0; i < silence->count; i++)
        if (silence->calls[i].busy >= least)
            count_call(slow, &silence->calls[i]);
    slow->silences += silence->count > 0;
    silence->count = 0;
}

static struct slow *slow_of(struct server *server) {
    if (!server->slow)
        server->slow = calloc(1, sizeof *server->slow);
    return server->slow;
}

/* One in which nobody waited so far makes room, else the oldest. */
static struct silence *silence_to_go(struct slow *slow) {
    struct silence *go = slow->recent;
    for (size_t i = 0; i < SILENCES; i++) {
        struct silence *silence = &slow->recent[i];
        if (silence->count == 0)
            return silence;
        go = silence->to < go->to ? silence : go;
    }
    return go;
}

void model_silence(struct server *server, const struct event *event) {
    struct slow *slow = slow_of(server);
    if (!slow)
        return;
    struct silence *silence = silence_to_go(slow);
    close_silence(slow, silence);
    silence->from = server->last_reply;
    silence->to = reply_began(event);
}

/* Which of the last ones a reply that began then has ended; NULL: none. */
static struct silence *silence_ended(struct slow *slow, nstime began) {
    for (size_t i = 0; i < SILENCES; i++) {
        struct silence *silence = &slow->recent[i];
        if (silence->to && began > silence->from && began - silence->to <= TOGETHER)
            return silence;
    }
    return NULL;
}

/* ---- replies that come late ---- */

/* One for each command: that which was asked first. */
static void add_call(struct silence *silence, const struct slow_call *call) {
    for (uint32_t i = 0; i < silence->count; i++) {
        struct slow_call *known = &silence->calls[i];
        if (known->command != call->command)
            continue;
        if (known->busy < call->busy)
            *known = *call;
        return;
    }
    if (silence->count < CALLS_OF_SILENCE)
        silence->calls[silence->count++] = *call;
}

static struct slow_call call_of(const struct event *event, nstime busy, uint64_t bytes) {
    return (struct slow_call){.command = event->reply.command,
                              .client = event->flow->ends[!event->direction],
                              .at = stamp_of(event),
                              .over = reply_began(event),
                              .busy = busy,
                              .bytes = bytes,
                              .request_frame = event->reply.request_frame};
}

/* Those that only read are among them. */
static bool runs_scripts(const char *name) {
    return strncmp(name, "eval", 4) == 0 || strncmp(name, "fcall", 5) == 0 ||
           strcmp(name, "exec") == 0;
}

static void note_ended(struct silence *silence, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    nstime over = reply_began(event) < silence->to ? reply_began(event) : silence->to;
    nstime asked = reply_began(event) - (nstime)reply->latency_us * NS_PER_US;
    nstime busy = over - (asked > silence->from ? asked : silence->from);
    if (busy < SLOW_MIN_MS * NS_PER_MS)
        return;
    struct slow_call call = call_of(event, busy, reply->bytes + reply->request_bytes);
    add_call(silence, &call);
}

/* Others were answered BUSY since it was asked. */
static bool is_long_script(const struct server *server, const struct event *event) {
    const struct command *command = event->reply.command;
    nstime asked = reply_began(event) - (nstime)event->reply.latency_us * NS_PER_US;
    return server->said_busy > asked && command && runs_scripts(command->name);
}

static void note_script(struct slow *slow, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    struct slow_call call =
        call_of(event, (nstime)reply->latency_us * NS_PER_US, reply->bytes + reply->request_bytes);
    struct slow_command *one = count_call(slow, &call);
    slow->silences++;
    if (one)
        one->said_busy = true;
}

/* What was asked during a pause is answered when that is over, all at once. Somebody asks soon. */
static bool is_in_pause(struct paused *paused, const struct order *order, nstime asked,
                        nstime answered) {
    static const nstime soon = 1 * NS_PER_SEC;
    if (paused->count && paused->order.place.time == order->place.time)
        return asked <= paused->last;
    if (asked - order->place.time > soon)
        return false;
    if (paused->count++ == 0)
        paused->first = order->place.time;
    paused->last = answered;
    paused->order = *order;
    return true;
}

static bool note_paused(struct slow *slow, const struct server *server, const struct event *event) {
    nstime answered = reply_began(event);
    nstime waited = (nstime)event->reply.latency_us * NS_PER_US, asked = answered - waited;
    const struct order *order = model_server_order(server, ORDER_PAUSE, INT64_MIN, asked);
    if (!order || asked < order->place.time || !is_in_pause(&slow->paused, order, asked, answered))
        return false;
    slow->paused.waited++;
    slow->paused.longest = waited > slow->paused.longest ? waited : slow->paused.longest;
    return true;
}

void model_late_reply(struct model *model, struct server *server, const struct event *event) {
    const struct ev_reply *reply = &event->reply;
    struct slow *slow = slow_of(server);
    if (!slow)
        return;
    slow->waited++;
    if (bytes_equal(reply->error, bytes_str("BUSY")))
        return;
    if (is_long_script(server, event)) {
        note_script(slow, event);
        return;
    }
    struct silence *silence = silence_ended(slow, reply_began(event));
    if (!note_paused(slow, server, event) && silence)
        note_ended(silence, event);
    model_big_key_moved(model, server, event);
}

bool model_slow(const struct server *server, struct slow *ret_slow) {
    if (!server->slow)
        return false;
    *ret_slow = *server->slow;
    for (size_t i = 0; i < SILENCES; i++)
        close_silence(ret_slow, &ret_slow->recent[i]);
    return ret_slow->silences > 0 || ret_slow->paused.count > 0;
}

/* ---- which of them ---- */

double model_slow_share(const struct server *server, const struct command *command) {
    const struct command_stats *stats = server->commands[command - command_rows];
    uint64_t calls = stats ? stats->latency.count : 0, silences = 0;
    for (uint32_t i = 0; server->slow && i < server->slow->count; i++)
        if (server->slow->commands[i].worst.command == command)
            silences = server->slow->commands[i].count;
    return (double)(silences + 1) / (double)(calls + 1);
}

/* The one that was for most of that time. */
static const struct silence *silence_then(const struct slow *slow, nstime from, nstime to) {
    for (size_t i = 0; i < SILENCES; i++) {
        const struct silence *silence = &slow->recent[i];
        nstime begin = silence->from > from ? silence->from : from;
        nstime end = silence->to < to ? silence->to : to;
        if (silence->count > 0 && (end - begin) * 2 > to - from)
            return silence;
    }
    return NULL;
}

const struct slow_call *model_slow_culprit(const struct server *server, nstime from, nstime to) {
    const struct silence *silence = server->slow ? silence_then(server->slow, from, to) : NULL;
    const struct slow_call *most = NULL;
    double most_share = 0;
    for (uint32_t i = 0; silence && i < silence->count; i++) {
        const struct slow_call *call = &silence->calls[i];
        double share = call->command ? model_slow_share(server, call->command) : 0;
        if (call->busy < first_waited(silence) || share <= most_share)
            continue;
        most = call;
        most_share = share;
    }
    return most;
}

/* ---- big keys ---- */

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
        const struct silence *silence = server->slow ? silence_ended(server->slow, began) : NULL;
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
    struct slow_call call = call_of(event, blocked(conn->server, event), bytes);
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
    struct slow_call call = call_of(event, latency, biggest->bytes);
    note_big_key(model, server, &call, &biggest->key);
}

size_t model_big_key_count(const struct model *model) {
    return model->big_keys.count;
}

const struct big_key *model_big_key(const struct model *model, size_t index) {
    return &model->big_keys.list[index];
}
