/* resp_link.c - a connection to a client port: which way the requests go, and where in the protocol
 * each direction stands.
 *
 * In step, each direction is cut into values (resp.c) which mean what resp_request.c and
 * resp_reply.c say. After a gap, and where the capture joined in the middle, requests are searched
 * for by the commands that we know, and replies are left alone until a request comes while nothing
 * is under way. */
#include <stdlib.h>

#include "decode/resp_link.h"

static struct resp_walk walk_of(struct emitter *out, struct flow *flow, unsigned direction) {
    return (struct resp_walk){out, flow, flow->state, direction};
}

void resp_anomaly(const struct resp_walk *walk, enum anomaly name) {
    emit_anomaly(walk->out, walk->flow, walk->direction, name,
                 walk->flow->sides[walk->direction].stream.offset);
}

static void count_undecoded(const struct resp_walk *walk, uint64_t bytes) {
    walk->flow->sides[walk->direction].undecoded += bytes;
}

/* ---- streams ---- */

static size_t search_streamed(const struct resp_walk *walk, struct bytes view) {
    bool found;
    size_t at = resp_find_request(walk->out->commands, view, &found);
    walk->link->astray[walk->direction] = !found;
    if (!found)
        at = view.len;
    count_undecoded(walk, at);
    return at;
}

/* Streams have no lines, but for the empty ones that keep them alive: what looks like one is the
 * inside of a value. */
size_t resp_take_streamed(const struct resp_walk *walk, struct bytes view,
                          const struct resp_value **ret_value) {
    struct resp_reader *reader = &walk->link->readers[walk->direction];
    enum resp_got got = RESP_BAD;
    size_t used = 0;
    *ret_value = NULL;
    if (UNLIKELY(walk->link->astray[walk->direction]))
        return search_streamed(walk, view);
    bool begins = view.data[0] == '*' || view.data[0] == '\r' || view.data[0] == '\n';
    if (LIKELY(begins || !resp_is_between(reader)))
        used = resp_feed(reader, walk->out->resp, view, &got);
    if (got == RESP_DONE)
        *ret_value = reader->value;
    if (LIKELY(got != RESP_BAD))
        return used;
    resp_anomaly(walk, AN_resp_step);
    resp_reset(reader, walk->out->resp);
    walk->link->astray[walk->direction] = true;
    count_undecoded(walk, view.len);
    return view.len; /* what is left of this segment is not looked at again */
}

static size_t take_migrated(const struct resp_walk *walk, struct bytes view) {
    const struct resp_value *value;
    size_t used = resp_take_streamed(walk, view, &value);
    if (value) {
        resp_on_streamed(walk, value, NOT_KNOWN);
        resp_done(&walk->link->readers[walk->direction], walk->out->resp);
    }
    return used;
}

/* ---- requests ---- */

/* No request begins where one should. The server will say so, and close; but in a connection that
 * was joined in the middle it may be we who are wrong. */
static void lose_request_step(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    resp_anomaly(walk, AN_resp_step);
    link->broken = !link->joined;
    link->searching = link->joined;
    if (link->joined)
        pairing_lost_requests(walk);
}

static size_t take_request(const struct resp_walk *walk, struct bytes view) {
    struct resp_tools *tools = walk->out->resp;
    struct resp_reader *reader = &walk->link->readers[walk->direction];
    enum resp_got got;
    size_t plain = plain_requests(walk, view);
    if (LIKELY(plain))
        return plain;
    if (LIKELY(resp_is_between(reader))) {
        size_t whole = resp_whole_request(view, &tools->scratch);
        if (LIKELY(whole)) {
            resp_on_request(walk, &tools->scratch);
            return whole;
        }
    }
    bool begins = resp_is_between(reader);
    size_t used = resp_feed(reader, tools, view, &got);
    bool bad = got == RESP_BAD;
    if (begins || got == RESP_DONE)
        pairing_cut(walk, begins);
    if (got == RESP_DONE) {
        bad = !resp_on_request(walk, reader->value);
        resp_done(reader, tools);
    }
    if (!bad)
        return used;
    lose_request_step(walk);
    count_undecoded(walk, view.len);
    return view.len; /* what is left of this segment is not looked at again */
}

static size_t search_request(const struct resp_walk *walk, struct bytes view) {
    bool found;
    size_t at = resp_find_request(walk->out->commands, view, &found);
    walk->link->searching = !found;
    if (!found)
        at = view.len;
    walk->link->asked_at =
        stream_begin_of(&walk->flow->sides[walk->direction].stream, view.len - at);
    count_undecoded(walk, at);
    return at;
}

void resp_take_requests(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    while (view.len && link->mode != MODE_MIGRATION && !link->broken) {
        bool search = UNLIKELY(link->searching);
        view = bytes_after(view, search ? search_request(walk, view) : take_request(walk, view));
    }
    while (UNLIKELY(view.len && link->mode == MODE_MIGRATION)) /* it turned out to be one */
        view = bytes_after(view, take_migrated(walk, view));
    if (UNLIKELY(link->broken))
        count_undecoded(walk, view.len);
}

/* ---- replies ---- */

/* The answer to SYNC is the payload itself. */
static bool is_payload(const struct resp_walk *walk, struct bytes view) {
    const struct pending *head = pending_head(&walk->link->pending);
    return UNLIKELY(head && head->reply == REPLY_SYNC) && view.data[0] == '$';
}

static void begin_payload(const struct resp_walk *walk) {
    const struct pending *sync = pending_take(&walk->link->pending);
    resp_tell_silent(walk, sync->command, sync->bytes);
    repl_begin_payload(walk);
}

/* A reply, or a part of one; nothing of it has come before. */
static size_t begin_reply(const struct resp_walk *walk, struct bytes view) {
    struct resp_tools *tools = walk->out->resp;
    walk->link->answer_began = walk->out->time;
    size_t whole = resp_whole_reply(view, &tools->scratch);
    if (LIKELY(whole))
        resp_on_reply(walk, &tools->scratch);
    return whole;
}

static size_t take_reply(const struct resp_walk *walk, struct bytes view) {
    struct resp_tools *tools = walk->out->resp;
    struct resp_link *link = walk->link;
    struct resp_reader *reader = &link->readers[walk->direction];
    enum resp_got got;
    if (!link->answering) {
        if (UNLIKELY(view.data[0] == '\n')) /* keeps a replica's connection alive */
            return 1;
        if (UNLIKELY(is_payload(walk, view))) {
            begin_payload(walk);
            return 0;
        }
        size_t whole = begin_reply(walk, view);
        if (LIKELY(whole))
            return whole;
    }
    tools->on_error = resp_on_inner_error;
    tools->context = (void *)walk; /* for the time of the call */
    size_t used = resp_feed(reader, tools, view, &got);
    link->answering = got == RESP_MORE;
    if (got == RESP_DONE) {
        resp_on_reply(walk, reader->value);
        resp_done(reader, tools);
    } else if (got == RESP_BAD) {
        resp_anomaly(walk, AN_resp_step);
        count_undecoded(walk, view.len);
        pairing_lost_replies(walk);
        return view.len;
    }
    return used;
}

/* The same on a connection on which INFO was asked for: its replies are looked at as they pass. */
static size_t take_watched(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    const struct pending *head = pending_head(&link->pending);
    if (!head || head->reply != REPLY_INFO)
        return take_reply(walk, view);
    if (!link->answering)
        info_begin(walk);
    size_t used = take_reply(walk, view);
    info_read(walk, bytes_first(view, used));
    if (!link->answering)
        info_end(walk);
    return used;
}

static size_t take_replies(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    size_t plain = plain_replies(walk, view);
    if (LIKELY(plain))
        return plain;
    if (UNLIKELY(link->wary | link->deaf))
        link->server_last = walk->out->time;
    if (UNLIKELY(link->deaf)) {
        if (mistaken_by_head(walk, view))
            return 0;
        count_undecoded(walk, view.len);
        return view.len;
    }
    if (UNLIKELY(link->unproven) && !link->answering)
        pairing_prove(walk, view.data[0]);
    return UNLIKELY(link->info != NULL) ? take_watched(walk, view) : take_reply(walk, view);
}

/* Bytes of the server, or of either end of a migration. May use none, and change the mode. */
static size_t take(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    if (UNLIKELY(link->mode == MODE_MIGRATION))
        return take_migrated(walk, view);
    if (UNLIKELY(link->mode == MODE_REPLICATION))
        return repl_feed(walk, view);
    return take_replies(walk, view);
}

/* ---- the protocol ---- */

/* Requests go from the end that opened the connection; else to the port that a node announced as
 * its own; else the way in which the first one was found. */
static unsigned client_of(const struct emitter *out, const struct flow *flow, unsigned direction) {
    if (flow->connector != FLOW_CONNECTOR_UNKNOWN)
        return (unsigned)flow->connector;
    for (unsigned end = 0; end < 2; end++)
        if (emitter_is_client_port(out, flow->ends[end].port) &&
            !emitter_is_client_port(out, flow->ends[!end].port))
            return !end;
    return direction;
}

/* Has nothing of what this end said gone by unread? */
static bool is_whole(const struct flow_side *side) {
    return side->stream.from_start && side->sniff_passed == 0;
}

static bool resp_open(struct emitter *out, struct flow *flow, unsigned direction) {
    struct resp_link *link = calloc(1, sizeof *link);
    if (!link)
        return false;
    const struct flow_side *side = &flow->sides[direction];
    link->joined = !is_whole(side);
    link->client = (uint8_t)client_of(out, flow, direction);
    link->server_first =
        !link->joined && link->client == direction && flow->sides[!direction].stream.offset > 0;
    link->wary = link->joined;
    link->deaf = link->joined || !is_whole(&flow->sides[!link->client]);
    resp_init(&link->readers[link->client], true);
    resp_init(&link->readers[!link->client], false);
    link->unsure = link->deaf;
    link->server_last = out->time;
    flow->state = link;
    return true;
}

static void resp_close(struct emitter *out, struct flow *flow) {
    struct resp_link *link = flow->state;
    struct resp_walk walk = walk_of(out, flow, 0);
    doubt_forget(&walk);
    for (unsigned i = 0; i < 2; i++)
        resp_reset(&link->readers[i], out->resp);
    pending_free(&link->pending, out->pool);
    pool_give(out->pool, link->queued, link->queued_size);
    free(link->repl);
    free(link->info);
    free(link);
    flow->state = NULL;
}

/* It is not RESP after all: nothing has been told of it. */
static void resp_refute(struct emitter *out, struct flow *flow) {
    resp_close(out, flow);
    flow->proto = NULL;
    for (unsigned i = 0; i < 2; i++) {
        flow->sides[i].not_sniffed = true;
        flow->sides[i].stream.ranges_only = true;
        flow->sides[i].undecoded = 0;
    }
}

static void feed_server(const struct resp_walk *walk, struct bytes view) {
    if (UNLIKELY(!walk->link->opened) && !doubt_greeting(walk, view))
        return;
    while (view.len &&
           (walk->direction != walk->link->client || walk->link->mode == MODE_MIGRATION))
        view = bytes_after(view, take(walk, view));
    if (UNLIKELY(view.len)) /* it turned out to be a replica, which asks */
        resp_take_requests(walk, view);
}

static void feed_client(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    if (resp_is_between(&link->readers[walk->direction]))
        link->asked_at = stream_begin_of(&walk->flow->sides[walk->direction].stream, view.len);
    if (UNLIKELY(!link->opened))
        doubt_begin(walk, view);
    if (UNLIKELY(link->undecided))
        doubt_client(walk, view);
    else
        resp_take_requests(walk, view);
}

static __attribute__((noinline)) void feed_any(struct emitter *out, struct flow *flow,
                                               unsigned direction, struct bytes view) {
    struct resp_walk walk = walk_of(out, flow, direction);
    struct resp_link *link = walk.link;
    if (direction == link->client && link->mode != MODE_MIGRATION)
        feed_client(&walk, view);
    else if (!link->undecided || doubt_server(&walk, &view))
        feed_server(&walk, view);
    if (link->refuted)
        resp_refute(out, flow);
}

/* What is plain is mostly all there is. */
static void resp_feed_view(struct emitter *out, struct flow *flow, unsigned direction,
                           struct bytes view) {
    struct resp_walk walk = walk_of(out, flow, direction);
    size_t used =
        direction == walk.link->client ? plain_requests(&walk, view) : plain_replies(&walk, view);
    if (UNLIKELY(used < view.len))
        feed_any(out, flow, direction, bytes_after(view, used));
}

/* Bytes are missing. Within a bulk that is all; and its end, which is known, ends the value, if it
 * is in a packet that was captured, though not in full. */
static bool skip_in_step(struct emitter *out, struct flow *flow, unsigned direction, uint64_t len,
                         enum stream_skip why) {
    struct resp_link *link = flow->state;
    enum resp_skipped skipped = resp_skip(&link->readers[direction], len);
    bool ends = skipped == RESP_AT_END && why == SKIP_SNAPLEN;
    if (ends)
        feed_any(out, flow, direction, bytes_str("\n"));
    return ends || skipped == RESP_IN_STEP;
}

static void resp_skip_bytes(struct emitter *out, struct flow *flow, unsigned direction,
                            uint64_t len, enum stream_skip why) {
    struct resp_walk walk = walk_of(out, flow, direction);
    struct resp_link *link = walk.link;
    if (link->mode == MODE_REPLICATION && direction != link->client) {
        repl_skip(&walk, len, why);
        return;
    }
    if (link->info && direction != link->client)
        info_torn(&walk);
    if (link->undecided && doubt_skip(&walk, len, why))
        return;
    if (skip_in_step(out, flow, direction, len, why))
        return;
    resp_reset(&link->readers[direction], out->resp);
    if (link->mode == MODE_MIGRATION) {
        link->astray[direction] = true;
        return;
    }
    if (direction != link->client) {
        pairing_lost_replies(&walk);
        return;
    }
    link->searching = true;
    if (link->mode == MODE_TALK)
        pairing_lost_requests(&walk);
}

/* Streams without replies speak for themselves. */
static bool resp_is_talk(const struct flow *flow) {
    const struct resp_link *link = flow->state;
    return link->mode == MODE_TALK;
}

/* Once the server's side has ended no reply will come. */
static void resp_end(struct emitter *out, struct flow *flow, unsigned direction) {
    struct resp_walk walk = walk_of(out, flow, !((struct resp_link *)flow->state)->client);
    if (direction != walk.direction)
        return;
    if (walk.link->trial.on)
        trial_end(&walk);
    resp_give_up_pending(&walk, flow->close == FLOW_OPEN ? "end" : "closed");
}

const struct proto proto_resp = {.name = "resp",
                                 .sniff = resp_sniff,
                                 .open = resp_open,
                                 .feed = resp_feed_view,
                                 .skip = resp_skip_bytes,
                                 .end = resp_end,
                                 .close = resp_close,
                                 .state_size = sizeof(struct resp_link),
                                 .is_talk = resp_is_talk,
                                 .wants_bytes = true};
