/* resp_pairing.c - which reply belongs to which request, when some of them were not seen.
 *
 * While nothing is missing the oldest request that waits has the next reply. After a gap, after
 * nonsense, and where the capture joined in the middle, pairing begins anew at a request that was
 * made while the client had everything that the server had sent: what comes after that is the
 * answer to it. Each request remembers up to where that was, for a gap is known only later, when
 * what lies behind it is there already. What cannot be paired for certain is not paired. */
#include "decode/resp_link.h"

/* A server that has been silent for so long has answered all that it was asked. */
#define SILENCE (NS_PER_SEC / 2)

/* Do the bytes in hand end where the direction ends so far? If not they were held behind a hole,
 * and the packet in hand is not theirs. */
static bool is_fresh(const struct flow_side *side) {
    return side->stream.next == side->high;
}

static bool is_quiet(const struct flow_side *client, const struct flow_side *server) {
    return is_fresh(client) && server->acked_known && flow_unacked(server) == 0;
}

bool pairing_is_quiet(const struct resp_walk *walk) {
    const struct flow *flow = walk->flow;
    return is_quiet(&flow->sides[walk->direction], &flow->sides[!walk->direction]);
}

void pairing_note(const struct resp_walk *walk, struct pending *ret_pending) {
    const struct flow_side *client = &walk->flow->sides[walk->direction];
    const struct flow_side *server = &walk->flow->sides[!walk->direction];
    ret_pending->quiet = is_quiet(client, server);
    ret_pending->after = server->acked;
}

/* From here on the server's next bytes are the reply to the request in hand. */
static void begin_anew(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    resp_give_up_pending(walk, "gap");
    link->wary = false;
    link->deaf = link->resume_known = true;
    link->resume_at = walk->flow->sides[!walk->direction].acked;
    resp_reset(&link->readers[!link->client], walk->out->resp);
}

/* While requests are missing: a client that asks only when it has been answered has been answered
 * once the server has spoken; one whose requests overlap with replies, only by silence. */
bool pairing_waits(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    const struct flow_side *client = &walk->flow->sides[walk->direction];
    const struct flow_side *server = &walk->flow->sides[!walk->direction];
    if (LIKELY(!link->wary && (!link->deaf || link->resume_known)))
        return true;
    bool silent = walk->out->time - link->server_last > SILENCE;
    bool quiet = is_quiet(client, server);
    link->overlaps |= !quiet;
    bool answered = silent || (link->spoke && !link->overlaps);
    link->spoke = false;
    if (!quiet || (link->wary && !answered))
        return false;
    begin_anew(walk);
    return true;
}

/* Takes those that cannot have been answered behind `seq`: their replies are lost. */
static void give_up_before(const struct resp_walk *walk, uint32_t seq) {
    struct resp_link *link = walk->link;
    const struct pending *head;
    while ((head = pending_head(&link->pending)) && (!head->quiet || seq_after(seq, head->after)))
        resp_give_up_one(walk, "gap");
    if (!head)
        resp_give_up_pending(walk, "gap");
    link->deaf = true;
    link->resume_known = head != NULL;
    link->resume_at = head ? head->after : 0;
}

void pairing_lost_replies(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    resp_reset(&link->readers[walk->direction], walk->out->resp);
    link->answering = false;
    give_up_before(walk, walk->flow->sides[walk->direction].stream.next);
}

static nstime later(nstime a, nstime b) {
    return a > b ? a : b;
}

void pairing_lost_requests(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    bool known = link->answer_began != TIME_NONE && link->answer_began != 0;
    orphan_forget(walk);
    link->server_last = known ? later(link->server_last, link->answer_began) : walk->out->time;
    link->wary = true;
    link->spoke = link->overlaps = false;
}

size_t pairing_passes(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    uint32_t start = walk->flow->sides[walk->direction].stream.next - (uint32_t)view.len;
    int32_t before = (int32_t)(link->resume_at - start);
    if (link->wary && !pending_head(&link->pending))
        return view.len; /* whose replies these are nobody knows */
    if (!link->deaf)
        return 0;
    if (!link->resume_known)
        return view.len;
    link->deaf = before > 0;
    return link->deaf ? min_size(view.len, (size_t)before) : 0;
}

nstime pairing_time(const struct resp_walk *walk) {
    bool fresh = is_fresh(&walk->flow->sides[walk->direction]);
    return fresh ? walk->out->time : TIME_NONE;
}
