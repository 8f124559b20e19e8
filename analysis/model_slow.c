/* model_slow.c - silences, and what was asked for when they began. */
#include "analysis/model_slow.h"

#include <stdlib.h>

#include "analysis/model_private.h"

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

struct silence *model_silence_ended(struct slow *slow, nstime began) {
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

struct slow_call model_slow_call(const struct event *event, nstime busy, uint64_t bytes) {
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
    struct slow_call call = model_slow_call(event, busy, reply->bytes + reply->request_bytes);
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
    struct slow_call call = model_slow_call(event, (nstime)reply->latency_us * NS_PER_US,
                                            reply->bytes + reply->request_bytes);
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
    struct silence *silence = model_silence_ended(slow, reply_began(event));
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
