/* verdict.c - from the signs of life to the cause of a silence: facts first, then the table, and
 * where the facts contradict each other, "unknown" with what speaks for what. */
#include "analysis/verdict.h"

#include <inttypes.h>

#include "analysis/model_clients.h"

enum {
    SETTLE_MS = 100,  /* acknowledgements of what was in flight when the silence began */
    STUCK_MS = 400,   /* unacknowledged for longer than TCP's first retransmission takes */
    LEAST_MS = 500,   /* a silence that says something */
    LATE_S = 30,      /* late acknowledgements tell of the path for so long */
    FIRST_WORD_S = 2, /* others may have heard a new node so much earlier */
};

/* ---- the facts ---- */

/* What one other node tells: over both connections, the one that it opened and the other. */
struct pair {
    bool known, acked_to, stuck_to, acked_from, stuck_from, full, behind, late;
    bool had_time; /* what was acknowledged was so for long enough to be answered */
};

static bool is_acked(const struct link *link, unsigned end, nstime since) {
    return link->delivered[end].time > since + SETTLE_MS * NS_PER_MS;
}

static bool is_stuck(const struct link *link, unsigned end, nstime now) {
    return link->unacked_since[end] != TIME_NONE &&
           now - link->unacked_since[end] > STUCK_MS * NS_PER_MS;
}

/* Its kernel has had what waits for an answer for long enough that a process would have given one.
 */
static bool had_time(const struct link *link, nstime now) {
    return link_has_got(link) && now - link->got_at >= LEAST_MS * NS_PER_MS;
}

bool link_is_lossy(const struct link *link, nstime now) {
    return link->late[0] != 0 && now - link->late[0] < LATE_S * NS_PER_SEC;
}

static void look_at(struct pair *pair, const struct link *link, unsigned subject_end,
                    struct verdict *verdict) {
    unsigned peer_end = !subject_end;
    pair->known = true;
    pair->acked_to |= is_acked(link, peer_end, verdict->since);
    pair->stuck_to |= is_stuck(link, peer_end, verdict->at);
    pair->acked_from |= is_acked(link, subject_end, verdict->since);
    pair->stuck_from |= is_stuck(link, subject_end, verdict->at);
    pair->full |= link->full[subject_end].time > verdict->since;
    pair->late |= link_is_lossy(link, verdict->at);
    if (is_acked(link, peer_end, verdict->since) &&
        link->delivered[peer_end].time > verdict->acked.time)
        verdict->acked = link->delivered[peer_end];
}

/* Its PING was lost with the connection, which was given up for that, and there is no other yet. */
static bool is_given_up(const struct link *link, nstime now) {
    return link->waiting.time != TIME_NONE && !link_has_got(link) &&
           now - link->waiting.time > STUCK_MS * NS_PER_MS;
}

/* A SYN-ACK is an acknowledgement. */
static bool is_let_in(const struct link *link, nstime since) {
    return link->opens &&
           link->opened[(link->opens - 1) % countof(link->opened)] > since + SETTLE_MS * NS_PER_MS;
}

/* A connection that the peer opened: its PINGs, and whether it is let in. */
static void look_at_calls(struct pair *pair, const struct link *link,
                          const struct verdict *verdict) {
    pair->stuck_to |= link->knocks.first.time != TIME_NONE || is_given_up(link, verdict->at);
    pair->acked_to |= is_let_in(link, verdict->since);
    pair->had_time |= had_time(link, verdict->at);
    pair->behind |= link->waiting.time != TIME_NONE &&
                    verdict->at - link->waiting.time > NS_PER_SEC &&
                    link->delivered[1].time > link->waiting.time;
}

/* What it says after that shows that it lives: when the silence has begun, and a first attempt to
 * connect was refused. A PING may have been lost while its process was well. */
static nstime lived_after(const struct node *node, nstime since) {
    nstime settled = since + SETTLE_MS * NS_PER_MS;
    bool refused = node->knocks.refused && node->knocks.first.time > settled;
    return refused ? node->knocks.first.time : settled;
}

/* Both connections between the subject and a peer. */
static struct pair pair_with(const struct model *model, uint32_t subject, uint32_t peer,
                             struct verdict *verdict) {
    struct pair pair = {0};
    const struct link *theirs = model_link_between(model, peer, subject);
    const struct link *ours = model_link_between(model, subject, peer);
    if (theirs) {
        look_at(&pair, theirs, 1, verdict);
        look_at_calls(&pair, theirs, verdict);
    }
    if (ours) {
        look_at(&pair, ours, 0, verdict);
        pair.stuck_from |= ours->knocks.unanswered > 0; /* what is refused has arrived */
        pair.acked_from |= is_let_in(ours, verdict->since);
        nstime lived = lived_after(model_node(model, subject), verdict->since);
        bool knocked = ours->knocks.first.time != TIME_NONE && ours->knocks.last > lived;
        verdict->called |= knocked || is_let_in(ours, lived - SETTLE_MS * NS_PER_MS);
    }
    return pair;
}

/* Which of the five it is; none, if nothing was sent meanwhile. */
static uint32_t *class_of(struct verdict *verdict, const struct pair *pair) {
    bool acked = pair->acked_to || pair->acked_from, stuck = pair->stuck_to || pair->stuck_from;
    if (!stuck)
        return acked ? &verdict->fine : NULL;
    if (!acked)
        return &verdict->cut;
    if (pair->stuck_to && !pair->acked_to && !pair->stuck_from)
        return &verdict->loss_to;
    if (pair->stuck_from && !pair->acked_from && !pair->stuck_to)
        return &verdict->loss_from;
    return &verdict->mixed;
}

static void count_pair(struct verdict *verdict, const struct pair *pair) {
    uint32_t *class = class_of(verdict, pair);
    if (class)
        ++*class;
    verdict->peers += pair->known;
    verdict->acked_to += pair->acked_to;
    verdict->had_time |= pair->had_time;
    verdict->stuck_to += pair->stuck_to;
    verdict->acked_from += pair->acked_from;
    verdict->stuck_from += pair->stuck_from;
    verdict->full += pair->full;
    verdict->late += pair->late;
    verdict->behind |= pair->behind;
}

/* Since when somebody waits for it; TIME_NONE: nobody does. */
static nstime first_missed(const struct model *model, uint32_t subject, uint32_t witness) {
    nstime since = witness == NODE_NONE ? model_node(model, subject)->knocks.first.time : TIME_NONE;
    for (uint32_t peer = 0; peer < model_node_count(model); peer++) {
        const struct link *link = peer == subject || (witness != NODE_NONE && witness != peer)
                                      ? NULL
                                      : model_link_between(model, peer, subject);
        if (link)
            since = earlier(since, earlier(link->waiting.time, link->knocks.first.time));
    }
    return since;
}

/* Since when nobody answers what it sends. */
static nstime first_own(const struct model *model, uint32_t subject) {
    nstime since = TIME_NONE;
    for (uint32_t peer = 0; peer < model_node_count(model); peer++) {
        const struct link *link = peer == subject ? NULL : model_link_between(model, subject, peer);
        if (link)
            since = earlier(since, earlier(link->unacked_since[0], link->knocks.first.time));
    }
    return since;
}

static void gather(const struct model *model, uint32_t subject, uint32_t witness,
                   struct verdict *verdict) {
    const struct node *node = model_node(model, subject);
    const struct server *server = node->addr_known ? model_server_at(model, &node->addr) : NULL;
    nstime lived = lived_after(node, verdict->since);
    for (uint32_t peer = 0; peer < model_node_count(model); peer++) {
        if (peer == subject || (witness != NODE_NONE && witness != peer))
            continue;
        struct pair pair = pair_with(model, subject, peer, verdict);
        count_pair(verdict, &pair);
    }
    verdict->unanswered = node->knocks.unanswered;
    verdict->refused = node->knocks.refused;
    verdict->spoke = node->spoke.time != TIME_NONE && node->spoke.time > lived;
    verdict->served = server && server->last_reply > lived;
}

/* ---- the table ---- */

/* Neither its process nor its server said anything. */
static enum verdict_kind decide_silent(const struct verdict *v) {
    if (!v->missed)
        return VERDICT_UNKNOWN;
    if (v->refused)
        return VERDICT_PROCESS_DIED;
    if (v->full)
        return VERDICT_RECEIVER_NOT_READING;
    if (v->had_time)
        return v->late && v->late >= v->acked_to ? VERDICT_LOSSY_PATH : VERDICT_PROCESS_STALLED;
    return v->stuck_to || v->unanswered ? VERDICT_HOST_UNREACHABLE : VERDICT_UNKNOWN;
}

static uint32_t max(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* It lives: what is wrong is between it and those who miss it. */
static enum verdict_kind decide_alive(const struct verdict *v) {
    uint32_t most = max(max(v->cut, v->loss_to), max(v->loss_from, v->mixed));
    if (most == 0)
        return v->full     ? VERDICT_RECEIVER_NOT_READING
               : v->behind ? VERDICT_HEAD_OF_LINE
                           : VERDICT_UNKNOWN;
    if (v->late * 2 > v->cut + v->loss_to + v->loss_from + v->mixed)
        return VERDICT_LOSSY_PATH;
    return most == v->cut         ? VERDICT_PATH_CUT
           : most == v->loss_to   ? VERDICT_LOSS_TO
           : most == v->loss_from ? VERDICT_LOSS_FROM
                                  : VERDICT_LOSSY_PATH;
}

/* Nobody gets in at its bus port, but what others send it on its own connections arrives. A pair
 * whose other connection works, and is never late, will do without a client that is served. */
static bool is_port_blocked(const struct verdict *v) {
    bool knocked = v->unanswered || v->refused;
    bool lives = v->served || (v->of_pair && v->spoke && v->late == 0);
    return knocked && lives && v->acked_to && v->stuck_from == 0 && v->fine == 0;
}

static enum verdict_kind decide(const struct verdict *v) {
    bool lives = v->spoke || v->served || v->called;
    if (v->at - v->since < LEAST_MS * NS_PER_MS && (lives || !v->refused))
        return VERDICT_UNKNOWN;
    if (is_port_blocked(v))
        return VERDICT_BUS_PORT_BLOCKED;
    return lives ? decide_alive(v) : decide_silent(v);
}

/* Another node answers at its address: then nobody tries to reach it any more. */
static bool is_replaced(const struct model *model, uint32_t subject, nstime by) {
    const struct node *node = model_node(model, subject);
    uint32_t there = node->addr_known ? model_node_at_address(model, &node->addr) : subject;
    return there != subject && there != NODE_NONE && model_node(model, there)->first_seen <= by;
}

struct verdict verdict_about(const struct model *model, uint32_t subject, uint32_t witness,
                             nstime last_sign, nstime now) {
    nstime since = first_missed(model, subject, witness);
    bool missed = since != TIME_NONE;
    if (!missed)
        since = first_own(model, subject);
    struct verdict verdict = {.since = since == TIME_NONE ? last_sign : since,
                              .at = now,
                              .of_pair = witness != NODE_NONE,
                              .missed = missed,
                              .acked = {.time = TIME_NONE}};
    gather(model, subject, witness, &verdict);
    verdict.kind = decide(&verdict);
    if (verdict.kind == VERDICT_UNKNOWN && is_replaced(model, subject, now))
        verdict.kind = VERDICT_REPLACED;
    return verdict;
}

void verdict_hear(const struct model *model, uint32_t subject, uint32_t witness, nstime now,
                  struct verdict *verdict) {
    struct hush hush;
    if (verdict->kind != VERDICT_UNKNOWN || !model_hush(model, witness, subject, now, &hush))
        return;
    bool lived = model_lived(model, subject, &hush.time);
    if (!lived && !model_lived(model, witness, &hush.time))
        return; /* then nothing of anybody may have been captured */
    verdict->kind = lived ? VERDICT_PATH_CUT : VERDICT_HOST_UNREACHABLE;
    verdict->unseen = true;
    verdict->since = hush.time.from;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t was = *a;
    *a = *b;
    *b = was;
}

struct verdict verdict_mirrored(const struct verdict *verdict) {
    static const enum verdict_kind mirrored[VERDICT_KINDS] = {
        [VERDICT_HOST_UNREACHABLE] = VERDICT_PATH_CUT,
        [VERDICT_PATH_CUT] = VERDICT_PATH_CUT,
        [VERDICT_LOSS_TO] = VERDICT_LOSS_FROM,
        [VERDICT_LOSS_FROM] = VERDICT_LOSS_TO,
    };
    struct verdict other = *verdict;
    other.kind = mirrored[verdict->kind];
    swap(&other.acked_to, &other.acked_from);
    swap(&other.stuck_to, &other.stuck_from);
    other.unanswered = other.refused = 0;
    other.acked.time = TIME_NONE;
    other.served = false;
    return other;
}

/* What somebody may have told it to do that looks like this. */
static const struct {
    enum verdict_kind looks_like;
    enum order_kind order;
    int before, after; /* it was carried out, and given, so many seconds about its beginning */
    const char *how, *against;
} orders[] = {
    {VERDICT_PROCESS_DIED, ORDER_SHUTDOWN, 60, 60,
     "Somebody told it to shut down (SHUTDOWN): its connections were closed after that, and new "
     "ones are refused.",
     "a crash: it was told to stop"},
    {VERDICT_PROCESS_DIED, ORDER_CRASH, 60, 60,
     "Somebody sent it DEBUG (SEGFAULT, PANIC or RESTART), which it never answered: its "
     "connections "
     "were closed after that, and new ones are refused.",
     "a crash by itself: it was told to"},
    {VERDICT_PROCESS_STALLED, ORDER_SLEEP, -1, 1,
     "Somebody sent it DEBUG (SLEEP), and until it answered that its process said nothing to "
     "anybody; its kernel went on to acknowledge.",
     "swap, fork or a slow command: it was told to stand still"},
};

void verdict_settle(const struct model *model, uint32_t subject, struct verdict *verdict) {
    if (verdict->kind == VERDICT_UNKNOWN &&
        is_replaced(model, subject, verdict->at + FIRST_WORD_S * NS_PER_SEC))
        verdict->kind = VERDICT_REPLACED;
    for (size_t i = 0; i < countof(orders) && !verdict->order; i++) {
        if (verdict->kind != orders[i].looks_like)
            continue;
        verdict->order = model_order(model, subject, orders[i].order,
                                     verdict->since - orders[i].before * NS_PER_SEC,
                                     verdict->since + orders[i].after * NS_PER_SEC);
        verdict->kind = verdict->order ? VERDICT_ADMINISTRATIVE : verdict->kind;
    }
}

/* ---- telling it ---- */

static const struct {
    const char *word, *how, *against; /* against: why it is not something else */
} rows[VERDICT_KINDS] = {
    [VERDICT_UNKNOWN] = {"unknown",
                         "What was seen of it does not say why: nothing was sent to it, while it "
                         "was silent, that could have been acknowledged, or the signs contradict "
                         "each other.",
                         NULL},
    [VERDICT_PROCESS_STALLED] =
        {"process-stalled",
         "Its kernel acknowledged what it was sent, its process said nothing: it was stopped, busy "
         "with one long command, forking, or swapped out.",
         "host or network down: its kernel acknowledged what it was sent"},
    [VERDICT_HOST_UNREACHABLE] = {"host-unreachable",
                                  "What was sent to it was not acknowledged, and nothing of it "
                                  "arrived: the host is down, or "
                                  "the path to it is cut.",
                                  "a stalled process: a kernel that lives would have acknowledged"},
    [VERDICT_PATH_CUT] =
        {"host-unreachable",
         "It was alive, but nothing passed between it and the nodes that miss it, in either "
         "direction: the path between them is cut.",
         "a process or host that is down: it went on sending, or serving clients"},
    [VERDICT_LOSS_TO] =
        {"one-way-loss",
         "What was sent to it was not acknowledged, while what it sent itself arrived: packets are "
         "lost on the way to it.",
         "host down: it went on sending, and what it sent arrived"},
    [VERDICT_LOSS_FROM] =
        {"one-way-loss",
         "It received and acknowledged what it was sent, and answered, but its answers were not "
         "acknowledged: packets are lost on the way from it.",
         "a stalled process: it went on answering"},
    [VERDICT_BUS_PORT_BLOCKED] =
        {"bus-port-blocked",
         "Nobody could open a connection to its bus port, while it answered its clients: a "
         "firewall "
         "or a security group, most likely, that does not let the bus port pass.",
         "host or process down: it answered its clients"},
    [VERDICT_PROCESS_DIED] =
        {"process-died",
         "Its connections were closed, and new ones are refused: the process has ended, its host "
         "lives.",
         "host or network down: its kernel refused new connections"},
    [VERDICT_HEAD_OF_LINE] =
        {"head-of-line",
         "It received and it sent, but its answers waited behind other bytes of the same "
         "connection.",
         "a stalled process: it went on sending"},
    [VERDICT_RECEIVER_NOT_READING] =
        {"receiver-not-reading",
         "It closed its receive window: its process did not read what its kernel had received.",
         "host or network down: its kernel told that its buffers are full"},
    [VERDICT_LOSSY_PATH] =
        {"lossy-path",
         "Some of what was sent arrived, some had to be sent again or did not arrive: the path "
         "loses packets.",
         "host down: some of what was sent to it was acknowledged"},
    [VERDICT_ADMINISTRATIVE] = {"administrative", NULL, NULL}, /* by the order */
    [VERDICT_REPLACED] =
        {"identity-changed",
         "Another node answers at its address: its process was started again without its "
         "nodes.conf, or told to forget who it was. To the others it is lost: nobody will hear of "
         "it again.",
         "host or network down: its address answers"},
};

static const char unseen_how[] =
    "Nothing was seen to pass between it and those who miss it, in either direction, not even "
    "attempts to connect, which nodes make all the time: packets are lost on the hosts themselves "
    "(a firewall there), or before they come to where the capture was taken.";
static const char unseen_against[] =
    "a process that stopped or ended: what others tried to send it would have been seen";

static const char blocked_how[] =
    "Attempts to connect to that bus port were not let in, while the connection that was opened "
    "the "
    "other way worked in both directions: a firewall or a security group, most likely, that stands "
    "between these two.";
static const char blocked_against[] =
    "a path that loses packets: the other connection between the two lost none";

const char *verdict_word(enum verdict_kind kind) {
    return rows[kind].word;
}

/* Of one peer the verdict says it all. */
static void tell_facts(const struct verdict *v, struct finding *finding) {
    if (v->peers > 1)
        finding_explain(finding,
                        "Of the %" PRIu32 " nodes connected with it, %" PRIu32
                        " got their bytes acknowledged and %" PRIu32 " did not; %" PRIu32
                        " acknowledged its bytes and %" PRIu32 " did not.",
                        v->peers, v->acked_to, v->stuck_to, v->acked_from, v->stuck_from);
    if (v->unanswered || v->refused)
        finding_explain(finding,
                        "Attempts to connect to its bus port: %" PRIu32 " unanswered, %" PRIu32
                        " refused.",
                        v->unanswered, v->refused);
}

void verdict_tell(const struct verdict *verdict, struct finding *finding) {
    if (!finding)
        return;
    finding->verdict = rows[verdict->kind].word;
    const char *how = rows[verdict->kind].how, *against = rows[verdict->kind].against;
    if (verdict->of_pair && verdict->kind == VERDICT_BUS_PORT_BLOCKED) {
        how = blocked_how;
        against = blocked_against;
    }
    if (verdict->unseen) {
        how = unseen_how;
        against = unseen_against;
        finding_doubt(finding, CONFIDENCE_LIKELY);
    }
    for (size_t i = 0; verdict->order && i < countof(orders); i++) {
        if (orders[i].order != verdict->order->kind)
            continue;
        how = orders[i].how;
        against = orders[i].against;
    }
    finding_explain(finding, "%s", how);
    tell_facts(verdict, finding);
    if (against)
        finding_rule_out(finding, "%s", against);
    order_tell(verdict->order, finding);
    if (verdict->served && verdict->kind != VERDICT_BUS_PORT_BLOCKED)
        finding_rule_out(finding, "process ended: it answered clients meanwhile");
    if (verdict->kind == VERDICT_UNKNOWN)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (verdict->acked.time != TIME_NONE) {
        struct place place = place_of_stamp(verdict->acked);
        finding_evidence(finding, &place, "its kernel acknowledges what it was sent");
    }
}
