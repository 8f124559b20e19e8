/* resp_doubt.c - a connection of which the client's bytes alone cannot tell that it is RESP, and in
 * step: one that begins with a line (other protocols have such lines), or that the capture joined
 * in the middle (the inside of a value may look like a request).
 *
 * Its first bytes are kept until the server's answer decides, and only then told, with the time
 * that they had. */
#include "decode/resp_link.h"

/* The first bytes of what a server says. */
static bool begins_reply(uint8_t byte) {
    return byte && strchr("+-:$*_,#!=(%~|>\n", byte);
}

void doubt_begin(const struct resp_walk *walk, struct bytes first) {
    struct resp_link *link = walk->link;
    bool line = first.data[0] != '*';
    link->opened = true;
    link->undecided = line || link->joined;
    /* A server that speaks first, and no refusal, is of another protocol. */
    link->refuted = line && link->server_first;
}

bool doubt_greeting(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    const struct stream *client = &walk->flow->sides[link->client].stream;
    bool asked =
        walk->flow->sides[walk->direction].heard != client->next - (uint32_t)client->offset;
    if (link->greeted)
        return true;
    link->greeted = true;
    link->refuted = !link->joined && !begins_reply(view.data[0]);
    link->deaf |= !asked && view.data[0] == '+'; /* a welcome, as others have */
    return !link->refuted;
}

/* Are the bytes nothing but requests, the last one perhaps cut? */
static bool are_requests(const struct resp_walk *walk, struct resp_reader *probe,
                         struct bytes bytes) {
    enum resp_got got = RESP_MORE;
    while (bytes.len && got != RESP_BAD) {
        if (bytes.data[0] != '*' && resp_is_between(probe)) /* a line would be too easy */
            return false;
        bytes = bytes_after(bytes, resp_feed(probe, walk->out->resp, bytes, &got));
        if (got == RESP_DONE)
            resp_done(probe, walk->out->resp);
    }
    return got != RESP_BAD;
}

/* Is all that is kept? */
static bool is_believed(const struct resp_walk *walk) {
    struct resp_reader probe;
    bool believed = true;
    if (!walk->link->joined)
        return true;
    resp_init(&probe, true);
    for (const struct early *at = walk->link->early.first; at && believed; at = at->next)
        believed = are_requests(walk, &probe, bytes_of(at->bytes, at->kept));
    resp_reset(&probe, walk->out->resp);
    return believed;
}

/* The client is believed, or not; of what it said first the replies may be on trial. Without that,
 * and before the server has said anything, it is not known where the replies begin. */
static void decide(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    bool believed = is_believed(walk);
    if (believed && link->doubtful_begins && link->doubtful_first && trial_begin(walk))
        return;
    if (link->doubtful_first && link->trial.asked > 1) /* a pipeline, and no trial of it */
        link->doubtful_begins = false;
    link->doubtful_begins &= walk->flow->sides[!link->client].stream.started;
    link->undecided = !believed; /* then the next segment is the next chance */
    if (believed && link->doubtful_begins)
        pairing_begin(walk, link->doubtful_at);
    if (believed)
        early_tell(walk);
    early_drop(walk);
}

/* Bytes are missing: of the client's, what is kept ends, and the capture as good as joins here; of
 * the server's, they may be the reply to it. */
bool doubt_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why) {
    struct resp_link *link = walk->link;
    if (link->trial.on)
        return trial_skip(walk, len, why);
    link->wary = link->deaf = link->unsure = true;
    link->doubtful_begins = false;
    if (walk->direction != link->client)
        return true;
    link->joined = true;
    early_drop(walk);
    return true;
}

/* A joined connection's segment may begin with a request, or in the midst of anything. */
static bool may_begin(const struct resp_walk *walk, struct bytes view) {
    bool found;
    return !walk->link->joined || walk->link->early.first ||
           (resp_find_request(walk->out->commands, view, &found) == 0 && found);
}

/* What the server says next answers what is kept, if it has said nothing since that began. */
static void note_begin(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    uint32_t heard = walk->flow->sides[walk->direction].heard;
    if (!link->early.first) {
        link->doubtful_begins = pairing_may_begin(walk);
        link->doubtful_first = link->joined && !walk->flow->sides[!walk->direction].stream.started;
        link->doubtful_heard = heard;
        link->doubtful_at = link->asked_at;
    }
    link->doubtful_begins &= link->doubtful_heard == heard;
}

void doubt_client(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    if (!link->trial.on && !may_begin(walk, view))
        return;
    if (!link->trial.on) {
        note_begin(walk);
        if (link->early.kept + view.len <= POOL_BLOCK && early_keep(walk, view))
            return;
        decide(walk); /* so much, and no answer yet: it is a pipeline, or large */
    }
    if (link->trial.on)
        view = bytes_after(view, trial_take(walk, view));
    if (!link->undecided)
        resp_take_requests(walk, view);
}

/* What is said on trial is kept. */
static bool try_server(const struct resp_walk *walk, struct bytes *view) {
    *view = bytes_after(*view, trial_take(walk, *view));
    return !walk->link->trial.on;
}

bool doubt_server(const struct resp_walk *walk, struct bytes *view) {
    struct resp_link *link = walk->link;
    if (link->trial.on)
        return try_server(walk, view);
    if (UNLIKELY(mistaken_by_head(walk, *view))) {
        early_drop(walk);
        return true;
    }
    if (!link->early.first)
        return false;
    uint32_t begin = stream_begin_of(&walk->flow->sides[walk->direction].stream, view->len);
    link->doubtful_begins &= link->doubtful_heard == begin;
    if (begins_reply(view->data[0]))
        decide(walk);
    else
        link->refuted = !link->joined;
    if (link->trial.on)
        return try_server(walk, view);
    return !link->undecided && !link->refuted;
}

void doubt_forget(const struct resp_walk *walk) {
    early_drop(walk);
}
