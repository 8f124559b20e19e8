/* resp_request.c - what a request is, and what it makes of its connection; and the search for one.
 */
#include "decode/key_slot.h"
#include "decode/resp_link.h"

/* ---- arguments ---- */

struct request {
    struct request_args args;
    struct bytes list[RESP_ITEMS];
    const struct command *command; /* NULL: not known */
    enum command_reply reply;
    uint64_t bytes;
};

static struct bytes argument(const struct request *request, size_t index) {
    return index < request->args.kept ? request->list[index] : bytes_of(NULL, 0);
}

/* The arguments of an array; false: there are none, or they are lost. */
static bool read_arguments(const struct resp_value *value, struct request *ret_request) {
    size_t kept = value->count - 1;
    if (value->count == 0 || value->items[0].number <= 0 || value->lost)
        return false;
    for (size_t i = 0; i < kept; i++)
        ret_request->list[i] = resp_text(&value->items[i + 1]);
    ret_request->args = (struct request_args){
        .list = ret_request->list, .kept = kept, .count = (uint64_t)value->items[0].number};
    return kept > 0;
}

static void read_request(const struct resp_walk *walk, const struct resp_value *value,
                         struct request *ret_request) {
    struct request *r = ret_request;
    r->bytes = value->bytes;
    r->command = NULL;
    r->reply = REPLY_ONE;
    if (!read_arguments(value, r)) {
        r->args = (struct request_args){.list = r->list, .count = 1};
        return;
    }
    r->command = command_find(walk->out->commands, r->list[0], argument(r, 1));
    if (r->command && r->command->reply != REPLY_ONE)
        r->reply = command_reply_to(r->command, &r->args);
}

/* The slot that the request goes to: of its first key, if all of that was kept. */
static uint64_t slot_of(const struct request *request, const struct resp_value *value) {
    struct command_keys keys;
    if (!request->command || !command_keys(request->command, &request->args, &keys))
        return NOT_KNOWN;
    bool whole = keys.count > 0 && keys.first < request->args.kept &&
                 (uint64_t)value->items[keys.first + 1].number == request->list[keys.first].len;
    return whole ? key_slot(request->list[keys.first]) : NOT_KNOWN;
}

/* ---- telling ---- */

static void tell_request(const struct resp_walk *walk, const struct request *request,
                         const struct resp_value *value) {
    struct event event = {.type = EV_request};
    event.request = (struct ev_request){
        .command = request->command,
        .args = request->args.count,
        .bytes = request->bytes,
        .slot = slot_of(request, value),
        .keys = {request->command, &request->args},
        .write = request->command && command_is_write(request->command, &request->args),
    };
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

void resp_on_streamed(const struct resp_walk *walk, const struct resp_value *value,
                      uint64_t offset) {
    struct request request;
    struct event event = {.type = EV_replicated};
    if (value->count && value->items[0].number <= 0)
        return;
    read_request(walk, value, &request);
    event.replicated = (struct ev_replicated){
        .command = request.command,
        .args = request.args.count,
        .bytes = request.bytes,
        .offset = offset,
        .slot = slot_of(&request, value),
        .keys = {request.command, &request.args},
        .write = request.command && command_is_write(request.command, &request.args),
    };
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

void resp_tell_write(const struct resp_walk *walk, struct pending *pending, uint64_t args,
                     struct bytes key, struct bytes last) {
    struct event event; /* not zeroed: this is on the path of every write */
    pending->write = ++walk->link->writes;
    if (UNLIKELY(pending->write == 0))
        pending->write = ++walk->link->writes;
    event.type = EV_write;
    event.write = (struct ev_write){.command = pending->command,
                                    .number = pending->write,
                                    .args = args,
                                    .bytes = pending->bytes,
                                    .key = key,
                                    .last = last};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

static void tell_any_write(const struct resp_walk *walk, struct pending *pending,
                           const struct request *request) {
    if (request->command && emitter_wants(walk->out, EV_write) &&
        command_is_write(request->command, &request->args))
        resp_tell_write(walk, pending, request->args.count,
                        command_first_key(request->command, &request->args),
                        argument(request, request->args.kept - 1));
}

/* ---- who the client says it is ---- */

static void tell_introduced(const struct resp_walk *walk, const char *what, struct bytes value) {
    struct event event = {.type = EV_introduced, .introduced = {.what = what, .value = value}};
    if (value.len > 0)
        emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* HELLO 3 AUTH user password SETNAME name: the options come in any order. */
static void introduced_by_hello(const struct resp_walk *walk, const struct request *request) {
    for (size_t i = 2; i + 1 < request->args.kept; i++) {
        if (bytes_are_word(request->list[i], "auth"))
            i += 2; /* whatever they are called */
        else if (bytes_are_word(request->list[i], "setname"))
            tell_introduced(walk, "name", request->list[i + 1]);
    }
}

static void introduced_by_setinfo(const struct resp_walk *walk, const struct request *request) {
    if (bytes_are_word(argument(request, 2), "lib-name"))
        tell_introduced(walk, "library", argument(request, 3));
    else if (bytes_are_word(argument(request, 2), "lib-ver"))
        tell_introduced(walk, "version", argument(request, 3));
}

/* ---- whom a client wants cut off ---- */

static bool is_for_replicas(struct bytes type) {
    return bytes_are_word(type, "replica") || bytes_are_word(type, "slave");
}

/* CLIENT KILL address, or CLIENT KILL filter value ...; of several filters all must hold. */
static void tell_cut(const struct resp_walk *walk, const struct request *request) {
    size_t kept = request->args.kept;
    struct bytes filter = argument(request, 2), value = argument(request, 3);
    struct event event = {.type = EV_cut_asked, .cut_asked = {.whom = "others"}};
    bool single = kept <= 4 || (kept == 6 && bytes_are_word(argument(request, 4), "skipme"));
    if (kept == 3 || (single && bytes_are_word(filter, "addr")))
        event.cut_asked =
            (struct ev_cut_asked){.whom = "address", .addr = kept == 3 ? filter : value};
    else if (bytes_are_word(filter, "type") && !is_for_replicas(value))
        return;
    else if (single && bytes_are_word(filter, "type"))
        event.cut_asked.whom = "replicas";
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

static void on_keyless(const struct resp_walk *walk, const struct request *request) {
    const char *name = request->command->name;
    if (strcmp(name, "client|kill") == 0 && emitter_wants(walk->out, EV_cut_asked))
        tell_cut(walk, request);
    if (!emitter_wants(walk->out, EV_introduced))
        return;
    if (request->command->reply == REPLY_HELLO)
        introduced_by_hello(walk, request);
    else if (strcmp(name, "client|setname") == 0)
        tell_introduced(walk, "name", argument(request, 2));
    else if (strcmp(name, "client|setinfo") == 0)
        introduced_by_setinfo(walk, request);
}

/* ---- looking at some ---- */

/* One for `weight` of them: its slot and key. A channel is no key. */
static void look_at(const struct resp_walk *walk, struct pending *pending,
                    const struct request *request, const struct resp_value *value,
                    uint32_t weight) {
    struct command_keys keys;
    struct event event = {.type = EV_sampled};
    uint64_t slot = slot_of(request, value);
    if (slot == NOT_KNOWN || !emitter_wants(walk->out, EV_sampled) ||
        !command_keys(request->command, &request->args, &keys) || keys.channels)
        return;
    pending->sample = sample_of((unsigned)slot, weight);
    event.sampled = (struct ev_sampled){.command = request->command,
                                        .key = request->list[keys.first],
                                        .slot = slot,
                                        .weight = weight};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* A request that moves slots or keys; who listens wants its arguments, and to know its reply. */
static void tell_move(const struct resp_walk *walk, struct pending *pending,
                      const struct request *request, const struct resp_value *value) {
    struct event event = {.type = EV_move_asked};
    pending->move = ++walk->link->moves;
    event.move_asked = (struct ev_move_asked){.command = request->command,
                                              .number = pending->move,
                                              .bytes = request->bytes,
                                              .slot = slot_of(request, value),
                                              .asked = {request->command, &request->args}};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

/* ---- waiting for the reply ---- */

static uint32_t confirmations(const struct request *request) {
    return resp_is_confirmed(request->reply)
               ? (uint32_t)min_size(request->args.count - 1, UINT32_MAX)
               : 0;
}

static void wait_for_reply(const struct resp_walk *walk, const struct request *request,
                           const struct resp_value *value, uint32_t weight) {
    struct resp_link *link = walk->link;
    if (UNLIKELY(!pairing_waits(walk))) {
        resp_tell_unanswered(walk, request->command, 1, link->late ? "joined" : "gap");
        return;
    }
    struct pending *pending = pending_add(&link->pending, walk->out->pool);
    if (!pending) {
        resp_anomaly(walk, AN_resp_pending_cap);
        return;
    }
    *pending = (struct pending){
        .sent = walk->out->time,
        .frame = walk->out->frame,
        .command = request->command,
        .bytes = (uint32_t)min_size(request->bytes, UINT32_MAX),
        .expected = confirmations(request),
        .reply = (uint8_t)request->reply,
        .blocking = request->command && request->command->kind == COMMAND_BLOCKING &&
                    command_may_block(request->command, &request->args),
    };
    pairing_note(walk, pending);
    if (UNLIKELY(weight))
        look_at(walk, pending, request, value, weight);
    tell_any_write(walk, pending, request);
    if (UNLIKELY(request->reply == REPLY_MOVES || request->reply == REPLY_MIGRATION_LINK))
        tell_move(walk, pending, request, value);
}

/* ---- the rules ---- */

/* True: the request is not answered, whatever it is. RESET is answered when replies are off, for it
 * turns them on. */
static bool is_muted(struct resp_link *link, enum command_reply reply) {
    if (reply == REPLY_ON || (reply == REPLY_RESET && link->muted)) {
        link->muted = link->skip_next = false;
        return false;
    }
    if (link->muted)
        return true;
    bool skipped = link->skip_next;
    link->skip_next = reply == REPLY_SKIP;
    link->muted = reply == REPLY_OFF;
    return skipped || reply == REPLY_SKIP || reply == REPLY_OFF;
}

static bool is_replica_word(const struct request *request) {
    return request->reply != REPLY_ONE ||
           (request->command && request->command->reply == REPLY_REPLCONF);
}

static void on_replica_word(const struct resp_walk *walk, const struct request *request) {
    if (request->reply == REPLY_INFO)
        info_asked(walk);
    for (size_t i = 1; request->reply == REPLY_ONE && i + 1 < request->args.kept; i += 2)
        repl_configured(walk, request->list[i], request->list[i + 1]);
    if (request->reply == REPLY_PSYNC)
        repl_asked(walk, argument(request, 1), argument(request, 2));
    if (request->reply != REPLY_NONE || !bytes_are_word(argument(request, 1), "ack"))
        return;
    if (walk->link->mode == MODE_TALK) /* the handshake was not seen */
        repl_joined(walk);
    repl_acked(walk, argument(request, 2));
}

/* ---- all ---- */

static void on_array(const struct resp_walk *walk, const struct resp_value *value,
                     uint32_t weight) {
    struct request request;
    struct resp_link *link = walk->link;
    if (value->count && value->items[0].number <= 0) { /* asks nothing, and is not answered */
        link->skip_next = false;                       /* but it was the next one */
        return;
    }
    read_request(walk, value, &request);
    if (UNLIKELY(request.reply == REPLY_NONE) && mistaken_by_request(walk, value))
        return;
    if (LIKELY(request.command))
        plain_remember(walk, request.command, request.list[0], request.args.count);
    if (UNLIKELY(emitter_wants(walk->out, EV_request)))
        tell_request(walk, &request, value);
    if (UNLIKELY(request.command && request.command->keys == KEYS_NONE))
        on_keyless(walk, &request);
    if (UNLIKELY(is_replica_word(&request)))
        on_replica_word(walk, &request);
    bool silent = UNLIKELY(link->muted | link->skip_next | (request.reply != REPLY_ONE)) &&
                  (is_muted(link, request.reply) || request.reply == REPLY_NONE);
    if (silent) {
        link->confirms |= resp_is_confirmed(request.reply);
        resp_tell_silent(walk, request.command, request.bytes);
    } else
        wait_for_reply(walk, &request, value, weight);
}

/* A line: its words are what the items of an array are. One that is not kept whole loses its last
 * word, of which only a part may be there. */
static bool on_line(const struct resp_walk *walk, const struct resp_value *line, uint32_t weight) {
    uint8_t words[RESP_TEXT];
    struct resp_value value;
    const struct resp_item *text = &line->items[0];
    if (!resp_split_inline(resp_text(text), words, &value))
        return false;
    if (text->number > text->text_len && value.count > 1)
        value.count--;
    value.bytes = line->bytes;
    value.lost = false;
    on_array(walk, &value, weight);
    return true;
}

bool resp_on_request(const struct resp_walk *walk, const struct resp_value *value) {
    bool line = value->count > 0 && value->items[0].type == RESP_WORD;
    uint32_t weight = sampling_take(&walk->out->sampling);
    if (UNLIKELY(line))
        return on_line(walk, value, weight);
    on_array(walk, value, weight);
    return true;
}

/* ---- the search ---- */

enum { HEAD_MAX = 96 }; /* longest beginning that tells a request: count, length, name */

/* Digits and CRLF. Returns their end; NULL: not so; *ret_cut: not so far. */
static const uint8_t *find_number(const uint8_t *at, const uint8_t *end, uint32_t *ret_number,
                                  bool *ret_cut) {
    const uint8_t *from = at;
    *ret_number = 0;
    for (; at < end && (unsigned)(*at - '0') < 10 && at - from < 8; at++)
        *ret_number = *ret_number * 10 + (*at - (unsigned)'0');
    *ret_cut = at == end || (at + 1 == end && *at == '\r');
    bool well = at > from && end - at >= 2 && at[0] == '\r' && at[1] == '\n';
    return well ? at + 2 : NULL;
}

/* Does a request with a command that we know begin here? */
static bool is_request(const struct command_index *commands, const uint8_t *at, const uint8_t *end,
                       bool *ret_cut) {
    uint32_t count, len;
    at = find_number(at + 1, end, &count, ret_cut);
    if (!at || count == 0)
        return false;
    *ret_cut = at == end;
    if (at == end || *at != '$')
        return false;
    at = find_number(at + 1, end, &len, ret_cut);
    if (!at || len == 0 || len > RESP_LINE)
        return false;
    *ret_cut = (size_t)(end - at) < (size_t)len + 2;
    return !*ret_cut && at[len] == '\r' && at[len + 1] == '\n' &&
           command_find(commands, bytes_of(at, len), bytes_of(NULL, 0));
}

size_t resp_find_request(const struct command_index *commands, struct bytes view, bool *ret_found) {
    const uint8_t *end = view.data + view.len, *at = view.data;
    for (; at < end && (at = memchr(at, '*', (size_t)(end - at))); at++) {
        bool cut;
        *ret_found = is_request(commands, at, end, &cut);
        if (*ret_found || (cut && end - at < HEAD_MAX))
            return (size_t)(at - view.data);
    }
    *ret_found = false;
    return view.len;
}
