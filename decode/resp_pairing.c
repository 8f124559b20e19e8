/* resp_pairing.c - which reply belongs to which request, when some of them were not seen.
 *
 * While nothing is missing the oldest request that waits has the next reply. Behind a gap, after
 * nonsense, and where the capture joined in the middle, pairing begins anew at a request of which
 * it is certain that all that was asked before it had been answered, and that the client had the
 * answers when it made it: so what the server says next answers this one. That is certain if
 *
 *   the client had heard all that the server had said so far (decoder.c hands on all in the order
 *   in which it was said and heard), and asks only when it has been answered, as it always did;
 * and, where requests are missing, or may be, the server had heard all of the client when it spoke
 * last, and where replies can be counted as many have come as requests are known to have been made.
 * Without that a missing request may be of one pipeline with this one, and have the next reply.
 * Where nothing at all was captured of either side before, that is to be seen (resp_trial.c);
 *
 * of a client that does not wait for answers, and where the count is not right, if the server has
 * fallen silent after it had heard all. What cannot be paired for certain is not paired.
 *
 * That a client waits is known of what was seen of it, which may be little or nothing. If it does
 * not, the next reply may be an older request's. It is, if it was sent before the server had heard
 * of the request with which pairing began. */
#include "decode/resp_link.h"

/* A server that has been silent for so long has answered all that it has heard. */
#define SILENCE (NS_PER_SEC / 2)

static const struct flow_side *client_of(const struct resp_walk *walk) {
    return &walk->flow->sides[walk->link->client];
}

static const struct flow_side *server_of(const struct resp_walk *walk) {
    return &walk->flow->sides[!walk->link->client];
}

/* Had the client heard all that the server has said so far, when it made the request in hand? */
static bool is_quiet(const struct resp_walk *walk) {
    return client_of(walk)->heard == server_of(walk)->stream.next;
}

/* Does the client ask without waiting for the answer to what it asked before? Then the server says
 * something that it had not heard, or an older request has not been answered by what it had heard
 * meanwhile. */
static bool is_overlap(const struct resp_walk *walk) {
    const struct stream *server = &server_of(walk)->stream;
    uint32_t heard = client_of(walk)->heard;
    return server->started &&
           (seq_after(server->next, heard) || pending_head(&walk->link->pending)->after != heard);
}

void pairing_note(const struct resp_walk *walk, struct pending *ret_pending) {
    ret_pending->after = client_of(walk)->heard;
    if (UNLIKELY(walk->link->pending.count > 1 || !is_quiet(walk)) && !walk->link->late)
        walk->link->overlaps |= is_overlap(walk);
}

/* One who waits for answers hears nothing between the beginning of what it asks and its end. */
void pairing_cut(const struct resp_walk *walk, bool begins) {
    struct resp_link *link = walk->link;
    uint32_t heard = client_of(walk)->heard;
    if (begins)
        link->begun = heard;
    link->overlaps |= heard != link->begun;
}

/* Nothing was captured of the server so far. Of a connection that was joined, the request in hand
 * is the first thing of the client, too, and whether the reply is missing will be seen by where the
 * server's bytes begin (resp_doubt.c). */
static bool is_first(const struct resp_walk *walk) {
    const struct resp_link *link = walk->link;
    const struct stream *client = &client_of(walk)->stream;
    bool begins = link->asked_at == client->next - (uint32_t)client->offset;
    return client_of(walk)->sniff_passed == 0 && (!link->joined || (link->undecided && begins));
}

bool pairing_is_silent(const struct resp_walk *walk) {
    return walk->out->time - walk->link->server_last > SILENCE;
}

bool pairing_may_begin(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    if (!server_of(walk)->stream.started)
        return is_first(walk);
    if (link->late || !is_quiet(walk))
        return false;
    bool all_heard = server_of(walk)->heard == link->asked_at;
    bool silent = pairing_is_silent(walk);
    if (link->overlaps)
        return all_heard && silent;
    if (link->deaf)
        return !link->wary || all_heard;
    return all_heard && (link->owed == 0 || silent);
}

bool pairing_waits(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    if (LIKELY(!link->wary & !link->deaf))
        return true;
    if (!pairing_may_begin(walk)) {
        link->owed++;
        return false;
    }
    resp_give_up_pending(walk, "gap");
    resp_reset(&link->readers[!link->client], walk->out->resp);
    link->answering = false;
    pairing_begin(walk, link->asked_at);
    return true;
}

void pairing_begin(const struct resp_walk *walk, uint32_t asked_at) {
    struct resp_link *link = walk->link;
    link->wary = link->deaf = false;
    link->unproven = true;
    link->begun_at = asked_at;
}

void pairing_prove(const struct resp_walk *walk, uint8_t type) {
    struct resp_link *link = walk->link;
    if (type == '>') /* comes unasked */
        return;
    link->unproven = false;
    if (seq_after(server_of(walk)->heard, link->begun_at))
        return;
    link->overlaps = true;
    resp_give_up_pending(walk, "gap");
    pairing_lost_requests(walk);
}

/* From here on it is known when the server last said something. */
static void note_loss(struct resp_link *link) {
    link->unsure = true;
    if (link->answer_began > link->server_last)
        link->server_last = link->answer_began;
}

void pairing_lost_replies(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    resp_reset(&link->readers[walk->direction], walk->out->resp);
    resp_give_up_pending(walk, "gap");
    link->answering = false;
    link->deaf = true;
    note_loss(link);
}

void pairing_lost_requests(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    link->owed = 1 + (link->wary ? link->owed : 0);
    link->wary = true;
    note_loss(link);
}
