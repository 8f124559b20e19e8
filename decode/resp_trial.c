/* resp_trial.c - the first exchanges of a connection that the capture joined in the middle, until
 * it is certain whose the replies are.
 *
 * The first request that was captured may be in the midst of a pipeline: then what the server says
 * next is the reply to one that was missed. So what either end says is kept, but for the inside of
 * large values, until
 *
 *   it is proven    there is a reply to each request, and then the client asks again as one does
 *                   who has all answers (resp_pairing.c), or nobody says anything more
 *   it is refuted   there are more replies than requests, or one was sent before the server had
 *                   heard of its request
 *   it stays open   too much is said meanwhile, bytes are missing, the capture ends
 *
 * Then it is told. What was not proven is told of no request. A request after which the server
 * speaks unasked, or not at all, is none that a pipeline goes on behind: there is no trial. */
#include "base/limits.h"
#include "decode/resp_link.h"

enum {
    PIECE = 960,     /* kept at once: a block of the pool is not rounded up; and the beginning of a
                      * value that may be large: */
    LARGE = 8 << 10, /* as much of one is passed over */
};

#define BIT(reply) (UINT32_C(1) << (reply))

/* Answered by one value, of which the next one is independent. */
static const uint32_t answered_once = BIT(REPLY_ONE) | BIT(REPLY_MULTI) | BIT(REPLY_EXEC) |
                                      BIT(REPLY_DISCARD) | BIT(REPLY_HELLO) | BIT(REPLY_AUTH) |
                                      BIT(REPLY_ASKING) | BIT(REPLY_INFO) | BIT(REPLY_MOVES);

static_assert(REPLY_COUNT <= 32, "a bit for each");

static struct bytes word_at(const struct resp_value *value, size_t index) {
    return index < value->count ? resp_text(&value->items[index]) : bytes_of(NULL, 0);
}

/* False: the replies cannot be counted. */
static bool count_request(const struct resp_walk *walk, const struct resp_value *value) {
    if (value->count == 0 || value->lost)
        return false;
    if (value->items[0].number <= 0) /* asks nothing */
        return true;
    const struct command *command =
        command_find(walk->out->commands, word_at(value, 1), word_at(value, 2));
    walk->link->trial.asked++;
    return !command || answered_once & BIT(command->reply);
}

static bool count_reply(const struct resp_walk *walk, const struct resp_value *value) {
    struct trial *trial = &walk->link->trial;
    bool push = value->count > 0 && value->items[0].type == '>';
    trial->answered += !push;
    return trial->answered <= trial->asked;
}

/* One value, or a part of one. *ret_well: it is what it should be. */
static size_t read_one(const struct resp_walk *walk, struct bytes view, bool *ret_well) {
    struct resp_reader *reader = &walk->link->readers[walk->direction];
    bool asks = walk->direction == walk->link->client;
    enum resp_got got;
    *ret_well = !asks || !resp_is_between(reader) || view.data[0] == '*'; /* no line */
    if (!*ret_well)
        return view.len;
    walk->out->resp->on_error = NULL;
    size_t used = resp_feed(reader, walk->out->resp, view, &got);
    *ret_well = got != RESP_BAD;
    if (got == RESP_DONE) {
        *ret_well = asks ? count_request(walk, reader->value) : count_reply(walk, reader->value);
        resp_done(reader, walk->out->resp);
    }
    return used;
}

static bool read_all(const struct resp_walk *walk, struct bytes view) {
    bool well = true;
    while (view.len && well)
        view = bytes_after(view, read_one(walk, view, &well));
    return well;
}

/* Bytes from `begin` to `end` have been read of the client: the last request that is whole has
 * ended among them, if there were `before` and now there are more. */
static void note_asked(struct resp_link *link, uint32_t before, uint32_t begin, uint32_t end) {
    if (link->trial.asked > before)
        link->trial.asked_to = resp_is_between(&link->readers[link->client]) ? end : begin;
}

static void reset_readers(const struct resp_walk *walk) {
    for (unsigned i = 0; i < 2; i++)
        resp_reset(&walk->link->readers[i], walk->out->resp);
}

bool trial_begin(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    struct resp_walk client = {walk->out, walk->flow, link, link->client};
    bool well = true;
    link->trial = (struct trial){.heard = link->doubtful_heard};
    for (const struct early *at = link->early.first; at && well; at = at->next)
        well = read_all(&client, bytes_of(at->bytes, at->kept));
    note_asked(link, 0, link->doubtful_at, link->doubtful_at + link->early.kept);
    link->trial.on = well;
    if (!well)
        reset_readers(walk);
    return well;
}

/* All that was asked has been answered. */
static bool is_settled(const struct resp_link *link) {
    return link->trial.asked == link->trial.answered && resp_is_between(&link->readers[0]) &&
           resp_is_between(&link->readers[1]);
}

static void end(const struct resp_walk *walk, bool proven) {
    struct resp_link *link = walk->link;
    link->trial.on = link->undecided = false;
    reset_readers(walk);
    link->deaf = false;
    link->owed = 0;
    if (proven)
        pairing_begin(walk, link->doubtful_at);
    early_tell(walk);
    if (!proven)
        link->owed = 0; /* replies to what was missed may have been taken for theirs */
}

/* The client has heard something while it waited, and asks again. */
static void note_overlap(struct resp_link *link, uint32_t heard) {
    link->overlaps |= !is_settled(link) && heard != link->trial.heard;
    link->trial.heard = heard;
}

/* The client is about to say something. If it has heard what was not captured, replies are missing;
 * else it may show by asking now that it has all of them. */
static bool is_over_for_client(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    uint32_t heard = walk->flow->sides[walk->direction].heard;
    if (!walk->flow->sides[!walk->direction].stream.started)
        return heard != link->trial.heard;
    note_overlap(link, heard);
    return link->trial.answered > 0 && resp_is_between(&link->readers[walk->direction]) &&
           pairing_may_begin(walk);
}

/* Is the trial over, before anything is known of what is in hand? */
static bool is_over(const struct resp_walk *walk) {
    if (walk->direction == walk->link->client)
        return is_over_for_client(walk);
    return is_settled(walk->link) && pairing_is_silent(walk);
}

/* The server has heard of what it answers, and the first thing that was captured of it is the next
 * one that its client had not heard. */
static bool is_heard(const struct resp_walk *walk, struct bytes view) {
    const struct resp_link *link = walk->link;
    const struct flow_side *server = &walk->flow->sides[walk->direction];
    bool first = server->stream.offset == view.len;
    if (first && stream_begin_of(&server->stream, view.len) != link->doubtful_heard)
        return false;
    if (view.data[0] != '>' && !seq_after(server->heard, link->doubtful_at))
        return false;
    return link->trial.answered < link->trial.asked ||
           !seq_after(link->trial.asked_to, server->heard);
}

/* Streams that are out of order need it more: they would have gaps. */
static bool is_pool_free(const struct resp_walk *walk) {
    return walk->out->pool->used <= walk->out->pool->max / 2;
}

/* The beginning of the view; of a large value the length is enough. 0: it cannot be kept. */
static size_t keep_some(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    struct resp_reader *reader = &link->readers[walk->direction];
    uint64_t inside = resp_inside(reader);
    struct bytes piece = bytes_first(view, inside > LARGE ? inside : PIECE);
    if (inside > LARGE) {
        bool passed = early_pass(walk, piece.len) && resp_skip(reader, piece.len) == RESP_IN_STEP;
        return passed ? piece.len : 0;
    }
    bool room = link->early.kept + piece.len <= CAP_TRIAL && is_pool_free(walk);
    return room && read_all(walk, piece) && early_keep(walk, piece) ? piece.len : 0;
}

static size_t keep(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    uint32_t end = stream_begin_of(&walk->flow->sides[walk->direction].stream, 0);
    uint32_t asked = link->trial.asked;
    size_t used = 0, some = 1;
    for (; used < view.len && some; used += some)
        some = keep_some(walk, bytes_after(view, used));
    if (walk->direction == link->client)
        note_asked(link, asked, end - (uint32_t)view.len, end);
    return used;
}

size_t trial_take(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    bool over = is_over(walk), proven = over && is_settled(link) && link->trial.answered > 0;
    size_t used = over || mistaken_begins(view) ? 0 : keep(walk, view);
    bool server = walk->direction != link->client;
    if (used < view.len || (server && !is_heard(walk, view)))
        end(walk, proven);
    if (server)
        link->server_last = walk->out->time;
    return used;
}

/* The value in hand has ended with bytes that were passed over. */
static bool count_end(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    uint32_t here = walk->flow->sides[walk->direction].stream.next, asked = link->trial.asked;
    struct bytes last = bytes_str("\n");
    bool well = read_all(walk, last);
    if (walk->direction == link->client) {
        note_asked(link, asked, here, here);
        return well;
    }
    link->server_last = walk->out->time;
    return well && is_heard(walk, last);
}

bool trial_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why) {
    enum resp_skipped skipped = resp_skip(&walk->link->readers[walk->direction], len);
    bool ends = skipped == RESP_AT_END && why == SKIP_SNAPLEN;
    bool kept = (ends || skipped == RESP_IN_STEP) && early_pass(walk, len);
    if (!kept || (ends && !count_end(walk)))
        end(walk, false);
    return kept;
}

void trial_end(const struct resp_walk *walk) {
    bool closed = walk->flow->close != FLOW_OPEN;
    end(walk, is_settled(walk->link) && (closed || pairing_is_silent(walk)));
}
