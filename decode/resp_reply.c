/* resp_reply.c - what a server says: replies, each to the oldest request that waits, and pushes. */
#include "decode/resp_link.h"

enum { TARGET_MAX = 80 };

/* ---- errors ---- */

static bool is_error(const struct resp_item *item) {
    return item->type == '-' || item->type == '!';
}

/* The first word, as the server's own books (INFO errorstats) have it. */
static struct bytes error_word(struct bytes text) {
    const uint8_t *blank = text.len ? memchr(text.data, ' ', text.len) : NULL;
    return bytes_first(text, blank ? (size_t)(blank - text.data) : text.len);
}

static struct bytes word_of(const struct resp_value *value) {
    const struct resp_item *item = &value->items[0];
    return is_error(item) ? error_word(resp_text(item)) : bytes_of(NULL, 0);
}

void resp_on_inner_error(void *context, struct bytes text) {
    const struct resp_walk *walk = context;
    struct event event = {.type = EV_error, .error = {.error = error_word(text)}};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* The server has not taken it for a command: it does not count as one (INFO commandstats). */
static bool is_no_command(struct bytes text) {
    return bytes_begin(text, "ERR unknown command") || bytes_begin(text, "ERR unknown subcommand");
}

/* ---- redirects: "MOVED 3999 host:port" ---- */

static const uint8_t *take_slot(struct bytes text, uint64_t *ret_slot) {
    const uint8_t *at = text.data, *end = at ? at + text.len : at;
    *ret_slot = 0;
    for (; at < end && (unsigned)(*at - '0') < 10 && *ret_slot < BUS_SLOTS; at++)
        *ret_slot = *ret_slot * 10 + (*at - (unsigned)'0');
    return at > text.data && at < end && *at == ' ' && *ret_slot < BUS_SLOTS ? at + 1 : NULL;
}

/* "host:port"; servers write IPv6 addresses without brackets, and no host for "the same one". */
static struct bytes target_of(struct bytes target, uint8_t store[TARGET_MAX]) {
    const uint8_t *colon = target.len ? memrchr(target.data, ':', target.len) : NULL;
    size_t host = colon ? (size_t)(colon - target.data) : 0;
    bool v6 = host > 0 && target.data[0] != '[' && memchr(target.data, ':', host);
    if (!v6 || target.len + 2 > TARGET_MAX)
        return target;
    store[0] = '[';
    memcpy(store + 1, target.data, host);
    store[host + 1] = ']';
    memcpy(store + host + 2, colon, target.len - host);
    return bytes_of(store, target.len + 2);
}

static void tell_redirect(const struct resp_walk *walk, const struct command *command,
                          struct bytes text) {
    uint8_t store[TARGET_MAX];
    struct bytes word = error_word(text), rest = bytes_after(text, word.len + 1);
    struct event event = {.type = EV_redirect};
    bool moved = bytes_begin(text, "MOVED ");
    const uint8_t *target = take_slot(rest, &event.redirect.slot);
    if ((!moved && !bytes_begin(text, "ASK ")) || !target)
        return;
    event.redirect.kind = moved ? "moved" : "ask";
    event.redirect.target = target_of(bytes_after(rest, (size_t)(target - rest.data)), store);
    event.redirect.command = command;
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* ---- telling ---- */

static const char *type_of(const struct resp_item *item) {
    return item->number < 0 && item->type != ':' ? "null" : resp_type_name(item->type);
}

/* A capture may have a reply before its request. */
static uint64_t latency_of(const struct resp_walk *walk, const struct pending *pending) {
    const struct resp_link *link = walk->link;
    nstime latency = pending->sent != TIME_NONE ? link->answer_began - pending->sent : -1;
    return latency < 0 ? NOT_KNOWN : (uint64_t)(latency / NS_PER_US);
}

/* Null, 0, or a list of nothing: what many writes say that found nothing to do. */
static bool says_nothing(const struct resp_item *item) {
    bool counts = item->type == ':' || item->type == '*';
    return counts ? item->number == 0 || (item->type == '*' && item->number < 0)
                  : item->number < 0 || item->type == '_';
}

/* Which write of its connection has this answer; 0: none, or it has failed. */
static uint64_t answered_write(uint32_t write, const struct resp_item *item) {
    return item->type != RESP_NOTHING && !is_error(item) ? write : 0;
}

void resp_tell_reply(const struct resp_walk *walk, const struct pending *pending,
                     const struct resp_value *value, bool called) {
    struct event event; /* not zeroed: this is the path of every reply */
    const struct resp_item *item = &value->items[0];
    event.type = EV_reply;
    event.reply = (struct ev_reply){
        .command = pending->command,
        .type = type_of(item),
        .latency_us = latency_of(walk, pending),
        .error = word_of(value),
        .bytes = value->bytes,
        .request_frame = pending->sent == TIME_NONE ? NOT_KNOWN : pending->frame,
        .request_bytes = pending->bytes,
        .blocking = pending->blocking,
        .called = called,
        .sample = pending->sample,
        .lasted = (uint64_t)(walk->out->time - walk->link->answer_began),
    };
    if (pending->write) {
        event.reply.write = answered_write(pending->write, item);
        event.reply.nothing = says_nothing(item);
    }
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

void resp_tell_silent(const struct resp_walk *walk, const struct command *command,
                      uint64_t request_bytes) {
    struct event event = {.type = EV_silent,
                          .silent = {.command = command, .request_bytes = request_bytes}};
    emit_event(walk->out, walk->flow, walk->link->client, &event);
}

static void tell_push(const struct resp_walk *walk, const char *kind, uint64_t bytes) {
    struct event event = {.type = EV_push, .push = {.kind = kind, .bytes = bytes}};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* ---- transactions ---- */

static void forget_queued(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    pool_give(walk->out->pool, link->queued, link->queued_size);
    link->queued = NULL;
    link->queued_count = link->queued_room = 0;
    link->queued_size = 0;
    link->in_multi = false;
}

static bool room_for_queued(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    uint32_t room = link->queued_room ? link->queued_room * 2 : 64;
    size_t size;
    if (link->queued_count < link->queued_room)
        return true;
    struct queued *queued =
        room <= CAP_PENDING ? pool_take(walk->out->pool, room * sizeof *queued, &size) : NULL;
    if (!queued)
        return false;
    if (link->queued)
        memcpy(queued, link->queued, link->queued_count * sizeof *queued);
    pool_give(walk->out->pool, link->queued, link->queued_size);
    link->queued = queued;
    link->queued_room = room;
    link->queued_size = size;
    return true;
}

static void queue_command(const struct resp_walk *walk, const struct pending *pending) {
    if (room_for_queued(walk))
        walk->link->queued[walk->link->queued_count++] =
            (struct queued){.command = pending->command, .write = pending->write};
    else
        resp_anomaly(walk, AN_resp_pending_cap);
}

/* The next of EXEC's replies, in order, behind items[*at]; NULL: it was not kept. */
static const struct resp_item *next_result(const struct resp_value *value, uint32_t *at) {
    while (++*at < value->count)
        if (value->items[*at].depth == 1)
            return &value->items[*at];
    return NULL;
}

/* The transaction has run: each queued command was called. */
static void tell_executed(const struct resp_walk *walk, const struct resp_value *value) {
    struct resp_link *link = walk->link;
    struct event event = {.type = EV_executed};
    bool ran = value->items[0].type == '*' && value->items[0].number >= 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < link->queued_count && ran; i++) {
        const struct queued *queued = &link->queued[i];
        link->confirms |= queued->command && resp_is_confirmed(queued->command->reply);
        const struct resp_item *result = next_result(value, &at);
        event.executed.command = queued->command;
        event.executed.write = result ? answered_write(queued->write, result) : 0;
        event.executed.nothing = result && says_nothing(result);
        emit_event(walk->out, walk->flow, walk->direction, &event);
    }
    forget_queued(walk);
}

/* ---- what a reply makes of the connection ---- */

static void on_accepted(const struct resp_walk *walk, const struct pending *pending,
                        const struct resp_value *value) {
    struct resp_link *link = walk->link;
    switch (pending->reply) {
    case REPLY_MULTI:
        forget_queued(walk);
        link->in_multi = true;
        break;
    case REPLY_MONITOR:
        link->monitor = true;
        break;
    case REPLY_RESET:
        forget_queued(walk);
        link->monitor = false;
        link->channels = link->patterns = link->shards = 0;
        link->confirms = false;
        break;
    case REPLY_DISCARD:
        forget_queued(walk);
        break;
    case REPLY_PSYNC:
        repl_answered(walk, resp_text(&value->items[0]));
        break;
    case REPLY_MIGRATION_LINK:
        repl_migration_accepted(walk, resp_text(&value->items[0]));
        break;
    default:
        break;
    }
}

static void tell_moved(const struct resp_walk *walk, const struct pending *pending,
                       const struct resp_item *item) {
    struct event event = {.type = EV_move_answered};
    if (item->type == RESP_NOTHING)
        return;
    event.move_answered = (struct ev_move_answered){.command = pending->command,
                                                    .number = pending->move,
                                                    .failed = is_error(item),
                                                    .said = resp_text(item)};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* The reply to the oldest request. */
static void on_answer(const struct resp_walk *walk, const struct resp_value *value) {
    const struct pending *pending = pending_take(&walk->link->pending);
    const struct resp_item *item = &value->items[0];
    struct bytes text = resp_text(item);
    bool error = is_error(item);
    bool queued =
        walk->link->in_multi && item->type == '+' && bytes_equal(text, bytes_str("QUEUED"));
    bool called = !queued && !(error && is_no_command(text));
    resp_tell_reply(walk, pending, value, called);
    if (LIKELY(!error && !queued && pending->reply == REPLY_ONE))
        return;
    if (!queued && (pending->reply == REPLY_MOVES || pending->reply == REPLY_MIGRATION_LINK))
        tell_moved(walk, pending, item);
    if (error)
        tell_redirect(walk, pending->command, text);
    if (queued)
        queue_command(walk, pending);
    else if (pending->reply == REPLY_EXEC)
        tell_executed(walk, value);
    else if (!error)
        on_accepted(walk, pending, value);
}

/* ---- pushes ---- */

static const struct push_row {
    const char *word;
    uint8_t items;              /* of the array in RESP2 */
    enum command_reply request; /* whose answer it may be; REPLY_NONE: nobody's */
} push_rows[] = {
    {"message", 3, REPLY_NONE},
    {"pmessage", 4, REPLY_NONE},
    {"smessage", 3, REPLY_NONE},
    {"subscribe", 3, REPLY_SUBSCRIBE},
    {"psubscribe", 3, REPLY_PSUBSCRIBE},
    {"ssubscribe", 3, REPLY_SSUBSCRIBE},
    {"unsubscribe", 3, REPLY_UNSUBSCRIBE},
    {"punsubscribe", 3, REPLY_PUNSUBSCRIBE},
    {"sunsubscribe", 3, REPLY_SUNSUBSCRIBE},
    {"invalidate", 2, REPLY_NONE},
};

/* The row of an aggregate that begins with one of these words, NULL: none does. */
static const struct push_row *push_of(const struct resp_value *value) {
    const struct resp_item *top = &value->items[0], *word = &value->items[1];
    if (value->count < 2 || word->depth != 1)
        return NULL;
    for (size_t i = 0; i < countof(push_rows); i++)
        if (bytes_equal(resp_text(word), bytes_str(push_rows[i].word)) &&
            top->number == push_rows[i].items)
            return &push_rows[i];
    return NULL;
}

/* In RESP2 a push looks like any array: it is one only where messages are to be expected. Those
 * that confirm a subscription come even when replies are off. */
static bool expects_pushes(struct resp_link *link) {
    const struct pending *head = pending_head(&link->pending);
    bool asked = head && resp_is_confirmed((enum command_reply)head->reply);
    return asked || link->confirms || link->channels || link->patterns || link->shards;
}

/* How many confirmations an UNSUBSCRIBE without arguments will get is known with the first one: it
 * says how many subscriptions of its kind are left. */
static uint32_t confirmations_left(const struct push_row *row, uint64_t left) {
    bool all = row->request >= REPLY_UNSUBSCRIBE;
    return all ? (uint32_t)min_size(left, UINT32_MAX - 1) + 1 : 1;
}

/* Where the subscriptions of the confirmation's kind are counted. */
static uint64_t *counter_of(struct resp_link *link, const struct push_row *row) {
    bool shard = row->request == REPLY_SSUBSCRIBE || row->request == REPLY_SUNSUBSCRIBE;
    bool pattern = row->request == REPLY_PSUBSCRIBE || row->request == REPLY_PUNSUBSCRIBE;
    return shard ? &link->shards : pattern ? &link->patterns : &link->channels;
}

/* Counts the subscriptions that are left, as the confirmation says: channels and patterns together,
 * of which it has changed but one. */
static void note_subscriptions(struct resp_link *link, const struct push_row *row,
                               const struct resp_value *value) {
    const struct resp_item *item = &value->items[3];
    uint64_t *own = counter_of(link, row);
    if (value->count <= 3 || item->type != ':' || item->number < 0)
        return;
    uint64_t count = (uint64_t)item->number;
    if (own != &link->shards) {
        uint64_t *others = own == &link->patterns ? &link->channels : &link->patterns;
        *others = min_size(*others, count);
        count -= *others;
    }
    *own = count;
}

static void on_confirmation(const struct resp_walk *walk, const struct push_row *row,
                            const struct resp_value *value) {
    struct resp_link *link = walk->link;
    struct pending *head = pending_head(&link->pending);
    note_subscriptions(link, row, value);
    if (!head || head->reply != row->request) {
        tell_push(walk, row->word, value->bytes);
        return;
    }
    if (head->expected == 0)
        head->expected = confirmations_left(row, *counter_of(link, row));
    if (--head->expected == 0)
        resp_tell_reply(walk, pending_take(&link->pending), value, true);
}

/* "1700000000.123456 [0 127.0.0.1:5] ..." */
static bool is_monitor_line(const struct resp_item *item) {
    struct bytes text = resp_text(item);
    size_t at = 0;
    while (at < text.len && (unsigned)(text.data[at] - '0') < 10)
        at++;
    return item->type == '+' && at > 0 && text.len > at + 9 && text.data[at] == '.' &&
           text.data[at + 7] == ' ' && text.data[at + 8] == '[';
}

/* True: the value was no reply. */
static bool take_push(const struct resp_walk *walk, const struct resp_value *value) {
    const struct resp_item *top = &value->items[0];
    struct resp_link *link = walk->link;
    if (UNLIKELY(link->monitor) && is_monitor_line(top)) {
        tell_push(walk, "monitor", value->bytes);
        return true;
    }
    if (LIKELY(top->type != '>' && (top->type != '*' || !expects_pushes(link))))
        return false;
    const struct push_row *row = push_of(value);
    if (!row && top->type != '>')
        return false;
    if (row && row->request != REPLY_NONE)
        on_confirmation(walk, row, value);
    else
        tell_push(walk, row ? row->word : "other", value->bytes);
    return true;
}

/* ---- all ---- */

/* Of the connection itself, which is all that the server says. */
static bool is_refusal(const struct resp_walk *walk, const struct resp_value *value) {
    struct bytes text = resp_text(&value->items[0]);
    bool first = walk->flow->sides[walk->direction].stream.offset == value->bytes;
    return value->items[0].type == '-' && first &&
           (bytes_begin(text, "ERR max number of clients") || bytes_begin(text, "DENIED "));
}

/* A refusal of the connection, or of bytes that are no request: nobody's reply. */
static bool is_nobodys(const struct resp_walk *walk, const struct resp_value *value) {
    struct bytes text = resp_text(&value->items[0]);
    bool nonsense = value->items[0].type == '-' && bytes_begin(text, "ERR Protocol error");
    return nonsense || is_refusal(walk, value);
}

/* Nobody that was seen has asked for it. */
static void on_unmatched(const struct resp_walk *walk, const struct resp_value *value) {
    struct event event = {.type = EV_unmatched};
    event.unmatched = (struct ev_unmatched){.type = type_of(&value->items[0]),
                                            .error = word_of(value),
                                            .bytes = value->bytes,
                                            .refusal = is_refusal(walk, value)};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* What it is was not kept. */
static void on_lost(const struct resp_walk *walk, const struct resp_value *value) {
    const struct pending *pending = pending_take(&walk->link->pending);
    if (pending)
        resp_tell_reply(walk, pending, &(struct resp_value){.bytes = value->bytes, .count = 1},
                        true);
}

void resp_on_reply(const struct resp_walk *walk, const struct resp_value *value) {
    struct resp_link *link = walk->link;
    bool lost = UNLIKELY(value->count == 0 || value->lost);
    if (!lost &&
        ((UNLIKELY(link->unsure) && mistaken_by_reply(walk, value)) || take_push(walk, value)))
        return;
    bool waited_for = pending_head(&link->pending) || link->pending.uncounted;
    if (UNLIKELY(!waited_for && link->owed > 0))
        link->owed--;
    if (lost)
        on_lost(walk, value);
    else if (LIKELY(waited_for && !is_nobodys(walk, value)))
        on_answer(walk, value);
    else
        on_unmatched(walk, value);
}

static void tell_unanswered(const struct resp_walk *walk, struct ev_unanswered unanswered) {
    struct event event = {.type = EV_unanswered, .unanswered = unanswered};
    emit_event(walk->out, walk->flow, walk->link->client, &event);
}

void resp_tell_unanswered(const struct resp_walk *walk, const struct command *command,
                          uint64_t count, const char *why) {
    tell_unanswered(walk, (struct ev_unanswered){.command = command, .count = count, .why = why});
}

/* Some requests are answered by the end of the connection. */
void resp_give_up_one(const struct resp_walk *walk, const char *why) {
    const struct pending *pending = pending_take(&walk->link->pending);
    bool by_rule = pending->reply == REPLY_IF_REFUSED || pending->reply == REPLY_QUIT;
    if (by_rule && walk->flow->close != FLOW_OPEN)
        resp_tell_silent(walk, pending->command, pending->bytes);
    else
        tell_unanswered(
            walk, (struct ev_unanswered){.command = pending->command,
                                         .count = 1,
                                         .why = why,
                                         .asked = pending->blocking ? 0 : (uint64_t)pending->sent});
}

void resp_give_up_pending(const struct resp_walk *walk, const char *why) {
    struct pending_queue *pending = &walk->link->pending;
    while (pending_head(pending))
        resp_give_up_one(walk, why);
    if (pending->uncounted)
        resp_tell_unanswered(walk, NULL, pending->uncounted, why);
    pending->uncounted = 0;
    forget_queued(walk);
}
