/* suspicion.c - follows what nodes gossip and announce of each other. */
#include "analysis/suspicion.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analysis/model_elections.h"
#include "analysis/process_end.h"
#include "base/limits.h"
#include "base/list.h"

/* ---- the list ---- */

/* The latest episode about the node; NULL: none. */
static struct suspicion *last_about(const struct suspicions *suspicions, uint32_t subject) {
    for (size_t i = suspicions->count; i-- > 0;)
        if (suspicions->list[i]->subject == subject)
            return suspicions->list[i];
    return NULL;
}

/* The one that goes on. */
static struct suspicion *open_about(const struct suspicions *suspicions, uint32_t subject) {
    struct suspicion *last = last_about(suspicions, subject);
    return last && last->end.time == TIME_NONE ? last : NULL;
}

static bool room_for_one(struct suspicions *suspicions) {
    struct suspicion **list = NULL;
    if (suspicions->count < CAP_SUSPICIONS)
        list = list_with_room(suspicions->list, suspicions->count, &suspicions->room,
                              sizeof(struct suspicion *));
    suspicions->list = list ? list : suspicions->list;
    return list;
}

/* ---- why ---- */

enum {
    RECENT = 30,        /* seconds: words of a silence may come when it is over */
    SILENCE_MS = 1500,  /* that others complain of, at least */
    CUT_MS = 2000,      /* nothing passes for so long by chance */
    JUST_NOW_MS = 1000, /* it ended so long ago */
    LAST_TICK_MS = 1100,
    ECHO_MS = 5000, /* a word after all have taken it back may still be of it */
};

/* Room for a verdict on each node. */
static bool room_for_nodes(struct suspicions *suspicions, size_t nodes) {
    struct watched *recent =
        list_up_to(suspicions->recent, &suspicions->recent_count, nodes, sizeof *recent);
    suspicions->recent = recent ? recent : suspicions->recent;
    return recent;
}

static bool is_cut(enum verdict_kind kind) {
    return kind == VERDICT_HOST_UNREACHABLE || kind == VERDICT_PATH_CUT;
}

/* Nothing had passed for long, and now something does, and something does not yet: so it is while
 * connections recover, and no sign of loss. */
static bool is_end_of_cut(const struct verdict *before, const struct verdict *now) {
    return now->kind == VERDICT_LOSSY_PATH && is_cut(before->kind) && now->since <= before->at &&
           before->at - before->since >= CUT_MS * NS_PER_MS &&
           now->at - before->at < ECHO_MS * NS_PER_MS;
}

static void look_at(const struct detection *detection, struct suspicions *suspicions, uint32_t node,
                    nstime now) {
    struct verdict *recent = &suspicions->recent[node].verdict;
    if (recent->at == now)
        return;
    struct verdict verdict = verdict_about(detection->model, node, NODE_NONE, now, now);
    if (verdict.kind != VERDICT_UNKNOWN && !is_end_of_cut(recent, &verdict))
        *recent = verdict;
}

enum { CLOSES_ALL = 2 /* connections: who closes one only may have had its reasons */ };

/* It had closed its connections before it was marked failed, and refuses new ones, now that
 * somebody tries: so it was its process that had ended. */
static void learn_late(const struct detection *detection, const struct suspicions *suspicions,
                       struct suspicion *suspicion, nstime now) {
    const struct verdict *recent = &suspicions->recent[suspicion->subject].verdict;
    uint32_t closes;
    if (suspicion->verdict.kind != VERDICT_UNKNOWN || recent->at != now ||
        recent->kind != VERDICT_PROCESS_DIED)
        return;
    struct stamp first =
        process_closes(detection->model, suspicion->subject, suspicion_start(suspicion), &closes);
    if (closes >= CLOSES_ALL && first.time <= suspicion->failed.time)
        suspicion->verdict = *recent;
}

/* It has become a replica since: so it has heard of whoever took its slots over, and to them a
 * replica is well once it answers. */
static bool has_given_in(const struct node *node, const struct suspicion *suspicion) {
    return suspicion->verdict.kind == VERDICT_PATH_CUT && suspicion->primary && node->replica &&
           node->role_since >= suspicion->begin.time;
}

/* From one host not all are heard to take it back. Its process had ended and was started again: as
 * a replica it is well to each node that it answers, and so it is to this one. */
static void look_for_return(const struct model *model, struct suspicion *suspicion) {
    uint32_t vantage = model_vantage(model), subject = suspicion->subject;
    const struct node *node = model_node(model, subject);
    nstime back = process_pause_end(&node->lull, suspicion->failed.time);
    bool well = vantage != NODE_NONE && vantage != subject && node->replica &&
                model_view(model, vantage, subject) == 0;
    if (well && back != TIME_NONE && suspicion->returned == TIME_NONE &&
        suspicion->verdict.kind == VERDICT_PROCESS_DIED)
        suspicion->returned = back;
    if (well && suspicion->returned == TIME_NONE && has_given_in(node, suspicion))
        suspicion->returned = node->role_since;
}

static void follow_all(const struct detection *detection, const struct suspicions *suspicions,
                       nstime now) {
    for (size_t i = 0; i < suspicions->count; i++) {
        struct suspicion *suspicion = suspicions->list[i];
        if (!suspicion_failed(suspicion) || suspicion->end.time != TIME_NONE)
            continue;
        learn_late(detection, suspicions, suspicion, now);
        look_for_return(detection->model, suspicion);
    }
}

static bool is_late(const struct link *link, nstime now) {
    bool waits = link->waiting.time != TIME_NONE && now - link->waiting.time > NS_PER_SEC;
    return waits || link->knocks.first.time != TIME_NONE;
}

/* Looks at those who are missed, while they are, and at those whom most do not answer, once a
 * second. The latter are all that one host sees of its own being cut off. */
void suspicions_tick(const struct detection *detection, void *state, nstime now) {
    struct suspicions *suspicions = state;
    const struct model *model = detection->model;
    if (!room_for_nodes(suspicions, model_node_count(model)))
        return;
    for (size_t i = 0; i < suspicions->recent_count; i++)
        suspicions->recent[i].calls = suspicions->recent[i].in_vain = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        bool late = is_late(link, now);
        suspicions->recent[link->from].calls++;
        suspicions->recent[link->from].in_vain += late;
        if (late)
            look_at(detection, suspicions, link->to, now);
    }
    for (uint32_t i = 0; i < suspicions->recent_count; i++)
        if (suspicions->recent[i].in_vain > 1 &&
            suspicions->recent[i].in_vain * 2 > suspicions->recent[i].calls)
            look_at(detection, suspicions, i, now);
    follow_all(detection, suspicions, now);
}

/* What is known of the cause now, or was while the silence lasted. A node's first word of it may
 * be the first thing that arrives after it: the last look then tells more than one now. */
static struct verdict judge(const struct detection *detection, const struct suspicions *suspicions,
                            const struct suspicion *suspicion, uint32_t witness, nstime now) {
    const struct verdict *recent = suspicion->subject < suspicions->recent_count
                                       ? &suspicions->recent[suspicion->subject].verdict
                                       : NULL;
    struct verdict verdict = verdict_about(detection->model, suspicion->subject, witness,
                                           suspicion_start(suspicion), now);
    bool over = verdict.fine > 0 && verdict.cut + verdict.loss_to + verdict.loss_from == 0;
    bool known = recent && recent->at && now - recent->at < RECENT * NS_PER_SEC;
    if (known && now - recent->at <= LAST_TICK_MS * NS_PER_MS)
        return *recent;
    bool before = verdict.kind == VERDICT_UNKNOWN || over || suspicion->late;
    return known && (before || is_end_of_cut(recent, &verdict)) ? *recent : verdict;
}

/* Words of a silence that has just ended come with the first messages after it: where it is the
 * subject's host that was captured, or where those who miss it could not be heard before. */
static bool is_back(const struct node *node, nstime now) {
    nstime silence = node->pause.to - node->pause.from, since = now - node->pause.to;
    return silence > SILENCE_MS * NS_PER_MS && since < JUST_NOW_MS * NS_PER_MS &&
           node->spoke.time >= node->pause.to;
}

/* When the silence of a link began that goes on, or has just ended. */
static nstime silent_since(const struct link *link, nstime now) {
    if (!link)
        return TIME_NONE;
    if (link->waiting.time != TIME_NONE && now - link->waiting.time > SILENCE_MS * NS_PER_MS)
        return link->waiting.time;
    bool just_now = link->longest_silence > SILENCE_MS * NS_PER_MS &&
                    now - link->silent.time - link->longest_silence < JUST_NOW_MS * NS_PER_MS;
    return just_now ? link->silent.time : TIME_NONE;
}

/* Its last message that arrived at the first one who misses it, or at any if that is not known. If
 * that one could not be heard before either, and they hear each other by now, what was before the
 * silence between them. */
static void find_last_sign(const struct model *model, struct suspicion *suspicion, uint32_t witness,
                           nstime now) {
    const struct node *node = model_node(model, suspicion->subject);
    nstime apart =
        earlier(silent_since(model_link_between(model, witness, suspicion->subject), now),
                silent_since(model_link_between(model, suspicion->subject, witness), now));
    suspicion->last_sign = model_last_sign(model, suspicion->subject, witness);
    suspicion->since = later(suspicion->last_sign.time, node->tried);
    bool could_tell = !is_back(model_node(model, witness), now);
    bool again = !could_tell && apart != TIME_NONE && suspicion->since > apart &&
                 now - suspicion->since < JUST_NOW_MS * NS_PER_MS;
    bool back = !could_tell && is_back(node, now);
    suspicion->late = again || back;
    if (again)
        suspicion->since = apart;
    if (back)
        suspicion->since = earlier(suspicion->since, node->before_pause.time);
    if (back && suspicion->since == node->before_pause.time)
        suspicion->last_sign = node->before_pause;
    else if (suspicion->since != suspicion->last_sign.time)
        suspicion->last_sign.time = TIME_NONE;
}

/* Others who miss it may have heard it later. */
static void hear_of_witness(const struct model *model, struct suspicion *suspicion,
                            uint32_t witness) {
    bool known = model_link_between(model, suspicion->subject, witness) ||
                 model_link_between(model, witness, suspicion->subject);
    if (suspicion->late || !known)
        return;
    struct stamp sign = model_last_sign(model, suspicion->subject, witness);
    if (sign.time >= suspicion->begin.time || sign.time <= suspicion->since)
        return;
    suspicion->last_sign = sign;
    suspicion->since = sign.time;
}

static struct suspicion *begin(const struct detection *detection, struct suspicions *suspicions,
                               uint32_t node, uint32_t subject, const struct event *event) {
    struct suspicion *suspicion = room_for_one(suspicions) ? calloc(1, sizeof *suspicion) : NULL;
    if (!suspicion) {
        suspicions->left_out++;
        return NULL;
    }
    suspicion->subject = subject;
    suspicion->primary = model_is_voter(detection->model, subject);
    suspicion->begin = place_of(event);
    find_last_sign(detection->model, suspicion, node, event->time);
    suspicion->failed = suspicion->let_go = suspicion->end = place_none();
    suspicion->announcer = NODE_NONE;
    suspicion->returned = TIME_NONE;
    suspicion->needed = model_voters(detection->model) / 2 + 1;
    suspicion->verdict = judge(detection, suspicions, suspicion, node, event->time);
    suspicions->list[suspicions->count++] = suspicion;
    return suspicion;
}

/* ---- who says so ---- */

static struct reporter *reporter_of(struct suspicion *suspicion, uint32_t node) {
    for (size_t i = 0; i < suspicion->reporter_count; i++)
        if (suspicion->reporters[i].node == node)
            return &suspicion->reporters[i];
    return NULL;
}

static struct reporter *add_reporter(const struct detection *detection, struct suspicion *suspicion,
                                     uint32_t node, const struct event *event) {
    if (suspicion->reporter_count == REPORTERS_MAX) {
        suspicion->reporters_left_out++;
        return NULL;
    }
    struct reporter *reporter = &suspicion->reporters[suspicion->reporter_count++];
    *reporter = (struct reporter){
        .node = node, .voter = model_is_voter(detection->model, node), .place = place_of(event)};
    return reporter;
}

/* Is it missed by several itself, or was it just now? */
static bool is_missed(const struct suspicions *suspicions, uint32_t node, nstime now) {
    const struct suspicion *last = last_about(suspicions, node);
    return last && last->reporter_count > 1 &&
           (last->end.time == TIME_NONE || now - last->end.time < ECHO_MS * NS_PER_MS);
}

/* Does it hold something against most of the others? Then it is cut off itself. */
static bool holds_most(const struct suspicions *suspicions, uint32_t node, size_t nodes) {
    size_t suspects = 0;
    for (size_t i = 0; i < suspicions->count; i++) {
        struct suspicion *suspicion = suspicions->list[i];
        const struct reporter *reporter =
            suspicion->end.time == TIME_NONE ? reporter_of(suspicion, node) : NULL;
        suspects += reporter && reporter->holds;
    }
    return suspects * 2 >= nodes - 1 && suspects > 1;
}

static void mark_cut(const struct detection *detection, struct suspicions *suspicions,
                     uint32_t node, nstime now) {
    if (!is_missed(suspicions, node, now) &&
        !holds_most(suspicions, node, model_node_count(detection->model)))
        return;
    for (size_t i = 0; i < suspicions->count; i++) {
        struct reporter *reporter = suspicions->list[i]->end.time == TIME_NONE
                                        ? reporter_of(suspicions->list[i], node)
                                        : NULL;
        if (reporter)
            reporter->itself_cut = true;
    }
}

/* How many of those who vote were known to agree: reporters, and who announced it. */
static uint32_t count_agreed(const struct suspicion *suspicion) {
    uint32_t agreed = 0;
    for (size_t i = 0; i < suspicion->reporter_count; i++)
        agreed += suspicion->reporters[i].voter && suspicion->reporters[i].holds;
    return agreed;
}

static void fail(const struct detection *detection, const struct suspicions *suspicions,
                 struct suspicion *suspicion, const struct event *event) {
    if (suspicion_failed(suspicion))
        return;
    suspicion->failed = place_of(event);
    suspicion->agreed = count_agreed(suspicion);
    struct verdict verdict = judge(detection, suspicions, suspicion, NODE_NONE, event->time);
    if (verdict.kind != VERDICT_UNKNOWN || !suspicion->verdict.unseen)
        suspicion->verdict = verdict;
}

/* The subject was heard here while the one who speaks against it now was not: it stood on the
 * captured host's side of what was between. It was not silent, so its last message tells nothing.
 */
static void stands_on_this_side(const struct model *model, struct suspicion *suspicion,
                                uint32_t node, const struct verdict *theirs, nstime now) {
    const struct node *speaker = model_node(model, node);
    if (!is_cut(theirs->kind) || !is_back(speaker, now) ||
        !model_lived(model, suspicion->subject, &speaker->pause))
        return;
    suspicion->verdict = (struct verdict){.kind = VERDICT_PATH_CUT,
                                          .since = theirs->since,
                                          .at = now,
                                          .missed = true,
                                          .spoke = true,
                                          .acked = {.time = TIME_NONE}};
    suspicion->since = theirs->since;
    suspicion->last_sign.time = TIME_NONE;
    suspicion->late = true;
}

/* The first words of one that the captured host itself missed until now are against a node: what
 * was between the two says why, from this side. */
static void hear_of_apart(const struct detection *detection, const struct suspicions *suspicions,
                          struct suspicion *suspicion, uint32_t node, nstime now) {
    uint32_t vantage = model_vantage(detection->model);
    if (suspicion->verdict.kind != VERDICT_UNKNOWN || node >= suspicions->recent_count ||
        vantage == NODE_NONE)
        return;
    const struct verdict *theirs = &suspicions->recent[node].verdict;
    if (theirs->at == 0 || theirs->peers != 1 || now - theirs->at > ECHO_MS * NS_PER_MS)
        return;
    if (vantage != suspicion->subject) {
        stands_on_this_side(detection->model, suspicion, node, theirs, now);
        return;
    }
    struct verdict mirrored = verdict_mirrored(theirs);
    if (mirrored.kind != VERDICT_UNKNOWN)
        suspicion->verdict = mirrored;
}

static void hold(const struct detection *detection, struct suspicions *suspicions,
                 struct suspicion *suspicion, uint32_t node, const struct event *event) {
    struct reporter *reporter = reporter_of(suspicion, node);
    if (!reporter)
        reporter = add_reporter(detection, suspicion, node, event);
    bool held = reporter && reporter->holds;
    if (!held)
        hear_of_witness(detection->model, suspicion, node);
    suspicion->holders += !held;
    if (reporter)
        reporter->holds = true;
    if (!held)
        mark_cut(detection, suspicions, node, event->time);
    if (event->type == EV_fail_announced && suspicion->announcer == NODE_NONE)
        suspicion->announcer = node;
    if (event->type != EV_node_suspected)
        fail(detection, suspicions, suspicion, event);
    if (!held)
        verdict_hear(detection->model, suspicion->subject, node, event->time, &suspicion->verdict);
    if (!held)
        hear_of_apart(detection, suspicions, suspicion, node, event->time);
}

static void let_go(struct suspicion *suspicion, uint32_t node, const struct event *event) {
    struct reporter *reporter = reporter_of(suspicion, node);
    bool held = !reporter || reporter->holds;
    if (reporter)
        reporter->holds = false;
    suspicion->holders -= held && suspicion->holders > 0;
    suspicion->let_go = place_of(event);
    if (event->time < suspicion->begin.time) /* told late, behind a hole */
        suspicion->let_go.time = suspicion->begin.time;
    if (suspicion->holders == 0)
        suspicion->end = suspicion->let_go;
}

/* Most of those who held something against it have taken it back. The others may be silent, may
 * not mention it, or may not be seen. */
static bool is_mostly_over(const struct suspicion *suspicion) {
    return suspicion->let_go.time != TIME_NONE &&
           (size_t)suspicion->holders * 2 <
               suspicion->reporter_count + suspicion->reporters_left_out;
}

nstime suspicion_end(const struct suspicion *suspicion) {
    if (suspicion->end.time == TIME_NONE && !is_mostly_over(suspicion))
        return suspicion->returned;
    return is_mostly_over(suspicion) ? suspicion->let_go.time : suspicion->end.time;
}

/* Is the subject silent now? Not if the silence was before: words of that go on for a while. */
static bool is_silent(const struct model *model, uint32_t subject, nstime now) {
    nstime last = model_last_sign(model, subject, NODE_NONE).time;
    return last == TIME_NONE || now - last > SILENCE_MS * NS_PER_MS;
}

/* Somebody who had taken it back says so again when it was over for most: of a new silence? */
static bool begins_anew(const struct model *model, struct suspicion *suspicion, uint32_t node,
                        nstime now) {
    const struct reporter *reporter = reporter_of(suspicion, node);
    return reporter && !reporter->holds && is_mostly_over(suspicion) &&
           is_silent(model, suspicion->subject, now);
}

/* The one to which a word belongs that is said now; NULL: a new one. */
static struct suspicion *current(const struct model *model, const struct suspicions *suspicions,
                                 uint32_t node, uint32_t subject, nstime now) {
    struct suspicion *last = last_about(suspicions, subject);
    if (!last)
        return NULL;
    if (last->end.time != TIME_NONE) {
        bool again = now - last->end.time < ECHO_MS * NS_PER_MS && !is_silent(model, subject, now);
        last->end = again ? place_none() : last->end;
        return again ? last : NULL;
    }
    if (last->returned != TIME_NONE && is_silent(model, subject, now)) {
        last->end = last->begin;
        last->end.time = last->returned;
        return NULL;
    }
    if (!begins_anew(model, last, node, now))
        return last;
    last->end = last->let_go;
    return NULL;
}

/* ---- events ---- */

void suspicions_event(const struct detection *detection, void *state, const struct event *event) {
    struct suspicions *suspicions = state;
    /* all of these events have the same two fields in front */
    const struct ev_node_suspected *told = &event->node_suspected;
    uint32_t node = told->node ? model_index_of(detection->model, told->node) : NODE_NONE;
    uint32_t subject = told->about ? model_index_of(detection->model, told->about) : NODE_NONE;
    if (node == NODE_NONE || subject == NODE_NONE)
        return;
    struct suspicion *suspicion = open_about(suspicions, subject);
    if (event->type == EV_node_cleared) {
        if (suspicion)
            let_go(suspicion, node, event);
        return;
    }
    suspicion = current(detection->model, suspicions, node, subject, event->time);
    if (!suspicion)
        suspicion = begin(detection, suspicions, node, subject, event);
    if (suspicion)
        hold(detection, suspicions, suspicion, node, event);
}

void suspicions_free(void *state) {
    struct suspicions *suspicions = state;
    for (size_t i = 0; i < suspicions->count; i++)
        free(suspicions->list[i]);
    free(suspicions->list);
    free(suspicions->recent);
}

/* ---- telling it ---- */

/* From one host a path cannot be told from what lies behind it, and a process that answers nobody
 * not from one that answers others. */
static void tell_vantage(const struct detection *detection, const struct suspicion *suspicion,
                         struct finding *finding) {
    uint32_t vantage = model_vantage(detection->model);
    enum verdict_kind kind = suspicion->verdict.kind;
    char name[ENDPOINT_TEXT];
    if (vantage == NODE_NONE)
        return;
    model_node_text(detection->model, vantage, name);
    finding_caveat(finding,
                   "the capture shows the bus as %s sees it: what others sent each other "
                   "is not in it",
                   name);
    if (kind == VERDICT_HOST_UNREACHABLE || kind == VERDICT_PATH_CUT || kind == VERDICT_LOSS_TO ||
        kind == VERDICT_LOSS_FROM ||
        (kind == VERDICT_PROCESS_STALLED && suspicion->subject != vantage))
        finding_doubt(finding, CONFIDENCE_LIKELY);
}

static const char *kind_of_return(const struct suspicion *suspicion) {
    return suspicion->verdict.kind == VERDICT_PROCESS_DIED
               ? "its process was started again, is a replica and answers"
               : "it follows the one that took over";
}

void suspicion_tell(const struct detection *detection, const struct suspicion *suspicion,
                    struct finding *finding) {
    struct value *reporters = value_list(finding_metrics(finding), "reporters");
    struct place last_sign = place_of_stamp(suspicion->last_sign);
    finding_evidence(finding, &last_sign, "the last message of it that arrived");
    for (size_t i = 0; i < suspicion->reporter_count; i++) {
        const struct reporter *reporter = &suspicion->reporters[i];
        char name[ENDPOINT_TEXT];
        model_node_text(detection->model, reporter->node, name);
        value_node(reporters, NULL, model_node(detection->model, reporter->node)->id);
        finding_evidence(finding, &reporter->place, "the first word of %s against it", name);
    }
    if (suspicion->reporters_left_out)
        finding_caveat(finding, "%zu more nodes said so", suspicion->reporters_left_out);
    tell_vantage(detection, suspicion, finding);
    if (suspicion->end.time == TIME_NONE && is_mostly_over(suspicion))
        finding_caveat(finding,
                       "of those who said so, %" PRIu32
                       " were not seen to take it back; most were, and that is taken for the end",
                       suspicion->holders);
    else if (suspicion->end.time == TIME_NONE && suspicion->returned != TIME_NONE)
        finding_caveat(finding,
                       "those who said so were not seen to take it back; %s, and that is taken for "
                       "the end",
                       kind_of_return(suspicion));
    if (finding)
        finding->end = suspicion_end(suspicion);
}
