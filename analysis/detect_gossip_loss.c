/* detect_gossip_loss.c - PINGs of a directed pair went unanswered for longer than they should, and
 * nothing larger explains it: the path loses packets, one way or both, or answers wait behind other
 * bytes. What a dead, stalled or cut-off node leaves unanswered is told with that. */
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/process_end.h"
#include "analysis/verdict.h"
#include "base/list.h"

enum {
    RECALL_MS = 100, /* clusterCron() */
    WORD_S = 5,      /* so long after a silence the suspicion may be heard */
    TOLD = 4,
};

struct loss {
    struct verdict verdict; /* the last one while a PONG was late; `at` 0: none */
    struct stamp answered;  /* the last answer before it; TIME_NONE: not known */
    nstime told[TOLD];      /* the last silences in which somebody suspected the node that owes it:
                               their beginnings; 0: none */
    size_t told_next;
};

struct losses {
    struct loss *list; /* by link */
    size_t count;
};

static bool room_for(struct losses *losses, size_t links) {
    struct loss *list = list_up_to(losses->list, &losses->count, links, sizeof *list);
    losses->list = list ? list : losses->list;
    return list;
}

/* Those that no other finding tells of. */
static bool is_of_the_path(enum verdict_kind kind) {
    return kind == VERDICT_LOSS_TO || kind == VERDICT_LOSS_FROM || kind == VERDICT_LOSSY_PATH ||
           kind == VERDICT_HEAD_OF_LINE || kind == VERDICT_RECEIVER_NOT_READING;
}

/* Of the node as all see it, if that explains it; else of the pair. */
static struct verdict judge(const struct model *model, const struct link *link, nstime now) {
    struct verdict all = verdict_about(model, link->to, NODE_NONE, link->waiting.time, now);
    if (all.kind != VERDICT_UNKNOWN && !is_of_the_path(all.kind))
        return all;
    return verdict_about(model, link->to, link->from, link->waiting.time, now);
}

/* Some of it arrives: where nothing did before, in the same silence, this is its end. So it is if
 * the other connection is there already, and this one waits for its next SYN. */
static bool is_its_end(const struct verdict *before, const struct verdict *verdict,
                       const struct link *link) {
    bool was_cut = before->kind == VERDICT_PATH_CUT || before->kind == VERDICT_HOST_UNREACHABLE;
    return before->at > link->waiting.time && before->kind != VERDICT_UNKNOWN &&
           (verdict->kind == VERDICT_LOSSY_PATH ||
            (was_cut && verdict->kind == VERDICT_BUS_PORT_BLOCKED));
}

static void look_at(const struct model *model, const struct link *link, struct loss *loss,
                    nstime now) {
    struct verdict verdict = judge(model, link, now);
    if (!is_its_end(&loss->verdict, &verdict, link))
        loss->verdict = verdict;
    loss->answered = link->delivered[1];
}

/* A server calls whom it knows again within a tenth of a second. One that closed its connection
 * before the answer was late, and has not called since, has forgotten the node (CLUSTER FORGET, a
 * handshake that came to nothing), and waits for no answer any more. */
static bool is_forgotten(const struct link *link, nstime least, nstime now) {
    nstime closed = link->closed[0].time;
    return closed != TIME_NONE && closed >= link->waiting.time &&
           closed - link->waiting.time < least / 2 && link->knocks.first.time == TIME_NONE &&
           link->seen - closed < RECALL_MS * NS_PER_MS && now - link->seen > NS_PER_SEC;
}

/* Who waits says something else meanwhile, or tries to connect anew; else it has ended, or stands
 * still itself, and nobody waits. */
static bool is_mute(const struct model *model, const struct link *link, nstime least, nstime now) {
    nstime sign = process_last_sign(model, link->from);
    bool knocks = link->knocks.first.time != TIME_NONE && now - link->knocks.last < 2 * least;
    return !knocks && (sign == TIME_NONE || now - sign >= least);
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct losses *losses = state;
    nstime least = (nstime)threshold(detection, THRESHOLD_gossip_loss) * NS_PER_MS;
    size_t links = model_link_count(detection->model);
    if (!room_for(losses, links))
        return;
    for (size_t i = 0; i < links; i++) {
        const struct link *link = model_link(detection->model, i);
        if (link->waiting.time != TIME_NONE && now - link->waiting.time >= least &&
            !is_forgotten(link, least, now) && !is_mute(detection->model, link, least, now))
            look_at(detection->model, link, &losses->list[i], now);
    }
}

static bool is_told_elsewhere(const struct link *link, const struct loss *loss) {
    for (size_t i = 0; i < TOLD; i++)
        if (loss->told[i] != 0 && loss->told[i] == link->silent.time)
            return true;
    return false;
}

static void note_told(struct loss *loss, nstime since) {
    size_t last = (loss->told_next + TOLD - 1) % TOLD;
    if (since == TIME_NONE || loss->told[last] == since)
        return;
    loss->told[loss->told_next] = since;
    loss->told_next = (loss->told_next + 1) % TOLD;
}

/* A word of the silence that goes on, or of one that has just ended. */
static void note_word(const struct link *link, struct loss *loss, nstime least, nstime now) {
    nstime end = link->silent.time + link->longest_silence;
    if (link->longest_silence >= least && now - end <= WORD_S * NS_PER_SEC)
        note_told(loss, link->silent.time);
    if (link->waiting.time != TIME_NONE && now - link->waiting.time >= least)
        note_told(loss, link->waiting.time);
}

/* Somebody suspected the node: then that is the finding, and this one says how it came about. */
static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct losses *losses = state;
    const char *about = event->node_suspected.about; /* as in node_failed */
    uint32_t subject = about ? model_index_of(detection->model, about) : NODE_NONE;
    nstime least = (nstime)threshold(detection, THRESHOLD_gossip_loss) * NS_PER_MS;
    if (subject == NODE_NONE || !room_for(losses, model_link_count(detection->model)))
        return;
    for (size_t i = 0; i < losses->count; i++)
        if (model_link(detection->model, i)->to == subject)
            note_word(model_link(detection->model, i), &losses->list[i], least, event->time);
}

/* ---- telling ---- */

/* A link and what is known of its silence. */
struct pair {
    const struct link *link;
    const struct loss *loss;
};

/* Silences so near to each other, on paths that lose some of what they carry, or all, are of one
 * cause: the network that they share. */
static const nstime NEAR = 10 * NS_PER_SEC;

static nstime silent_until(const struct link *link) {
    return link->silent.time + link->longest_silence;
}

static int by_kind_and_start(const void *a, const void *b) {
    const struct pair *one = a, *other = b;
    enum verdict_kind k = one->loss->verdict.kind, l = other->loss->verdict.kind;
    nstime x = one->link->silent.time, y = other->link->silent.time;
    return k != l ? (k > l) - (k < l) : (x > y) - (x < y);
}

static void measure(const struct detection *detection, const struct link *link,
                    struct value *metrics) {
    value_node(metrics, "from", model_node(detection->model, link->from)->id);
    value_node(metrics, "to", model_node(detection->model, link->to)->id);
    value_number(metrics, "pings", link->pings);
    value_number(metrics, "pongs", link->pongs);
    value_number(metrics, "lost", link->pings > link->pongs ? link->pings - link->pongs : 0);
    value_ms(metrics, "longest_silence_ms", link->longest_silence);
    value_number(metrics, "retransmits", link->retransmits);
}

static void name_nodes(const struct detection *detection, struct finding *finding,
                       const struct link *link) {
    finding_node(finding, model_node(detection->model, link->from)->id);
    finding_node(finding, model_node(detection->model, link->to)->id);
}

static size_t count_askers(const struct pair *pairs, size_t count) {
    size_t askers = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (pairs[first].link->from != pairs[i].link->from)
            first++;
        askers += first == i;
    }
    return askers;
}

static void title(const struct detection *detection, struct finding *finding,
                  const struct link *worst, size_t askers) {
    char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
    double seconds = (double)worst->longest_silence / (double)NS_PER_SEC;
    model_node_text(detection->model, worst->from, from);
    model_node_text(detection->model, worst->to, to);
    if (askers == 1)
        finding_title(finding, "%s waited %.1f s for an answer of %s", from, seconds, to);
    else
        finding_title(finding, "%zu nodes waited for answers of others, longest %s for %s: %.1f s",
                      askers, from, to, seconds);
}

/* All pairs after the worst one, which the finding's metrics are of. */
static void list_pairs(const struct detection *detection, struct finding *finding,
                       const struct pair *pairs, size_t count) {
    struct value *list = value_list(finding_metrics(finding), "pairs");
    for (size_t i = 0; i < count; i++) {
        measure(detection, pairs[i].link, value_object(list, NULL));
        name_nodes(detection, finding, pairs[i].link);
    }
}

static void tell_silence(struct finding *finding, const struct pair *pair) {
    struct place asked = place_of_stamp(pair->link->silent);
    struct place answered = place_of_stamp(pair->loss->answered);
    bool before = answered.time <= asked.time;
    finding_evidence(finding, &asked, "the PING that waited for an answer");
    finding_evidence(finding, &answered,
                     before ? "the last answer before" : "the first answer after");
}

static bool is_cut(enum verdict_kind kind) {
    return kind == VERDICT_PATH_CUT || kind == VERDICT_HOST_UNREACHABLE;
}

/* Nobody suspected anybody for it: it ended before the node timeout, or the capture did. */
static bool is_unsuspected_cut(const struct pair *pair) {
    return is_cut(pair->loss->verdict.kind) && !is_told_elsewhere(pair->link, pair->loss);
}

static void advise(struct finding *finding, const struct pair *worst, size_t count) {
    if (worst->loss->verdict.kind == VERDICT_BUS_PORT_BLOCKED)
        finding_advise(finding, "let the bus port pass between these two hosts, in both "
                                "directions");
    else if (is_unsuspected_cut(worst))
        finding_advise(finding, "nothing for this once; if it comes again, look at the network "
                                "between these hosts: for longer than the node timeout it would "
                                "have one suspect the other");
    else
        finding_advise(finding, count == 1
                                    ? "measure loss between these two hosts (retransmissions, "
                                      "drops of interfaces and queues)"
                                    : "look at what these hosts share: measure loss between "
                                      "them (retransmissions, drops of interfaces and queues)");
}

/* What several pairs have gone through at about the same time, or one alone. */
static void tell(const struct detection *detection, const struct pair *pairs, size_t count) {
    const struct pair *worst = pairs;
    bool quiet = true;
    nstime end = 0;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].link->longest_silence > worst->link->longest_silence)
            worst = &pairs[i];
        quiet &= is_told_elsewhere(pairs[i].link, pairs[i].loss) || is_unsuspected_cut(&pairs[i]);
        end = silent_until(pairs[i].link) > end ? silent_until(pairs[i].link) : end;
    }
    struct finding *finding = finding_new("gossip-loss", quiet ? SEVERITY_NOTICE : SEVERITY_WARNING,
                                          pairs->link->silent.time);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    title(detection, finding, worst->link, count_askers(pairs, count));
    verdict_tell(&worst->loss->verdict, finding);
    tell_silence(finding, worst);
    name_nodes(detection, finding, worst->link);
    measure(detection, worst->link, finding_metrics(finding));
    if (count > 1)
        list_pairs(detection, finding, pairs, count);
    advise(finding, worst, count);
    finding_rests_on_unseen(finding);
    finding->quiet_if_caused = true;
    finding->end = end;
    detection_report(detection, finding);
}

/* How many of the first, in the order of time, belong together. */
static size_t together(const struct pair *pairs, size_t count) {
    nstime end = silent_until(pairs->link);
    size_t n = 1;
    enum verdict_kind kind = pairs->loss->verdict.kind;
    for (; n < count && pairs[n].loss->verdict.kind == kind &&
           pairs[n].link->silent.time <= end + NEAR;
         n++)
        if (silent_until(pairs[n].link) > end)
            end = silent_until(pairs[n].link);
    return n;
}

static bool is_blocked_for_one(const struct verdict *verdict) {
    return verdict->of_pair && verdict->kind == VERDICT_BUS_PORT_BLOCKED;
}

/* What the paths to and from a node went through, as far as somebody waited for an answer. */
struct paths {
    nstime from, to; /* while some were cut; `to` 0: none was */
    size_t cut, lossy;
};

static void note_path(struct paths *paths, const struct pair *pair) {
    nstime from = pair->link->silent.time, to = silent_until(pair->link);
    enum verdict_kind kind = pair->loss->verdict.kind;
    paths->lossy += kind == VERDICT_LOSSY_PATH;
    if (!is_cut(kind))
        return;
    paths->from = paths->cut++ == 0 || from < paths->from ? from : paths->from;
    paths->to = to > paths->to ? to : paths->to;
}

/* By node; NULL: no memory. */
static struct paths *paths_of_nodes(const struct model *model, const struct losses *losses) {
    struct paths *paths = calloc(model_node_count(model) + 1, sizeof *paths);
    for (size_t i = 0; paths && i < losses->count; i++) {
        struct pair pair = {model_link(model, i), &losses->list[i]};
        if (!pair.loss->verdict.at)
            continue;
        note_path(&paths[pair.link->from], &pair);
        note_path(&paths[pair.link->to], &pair);
    }
    return paths;
}

/* Looked at only when the cut was nearly over, and some of it passed again. */
static bool is_end_of_cut(const struct link *link, const struct paths *paths) {
    const struct paths *each[] = {&paths[link->from], &paths[link->to]};
    nstime since = link->silent.time;
    for (size_t k = 0; k < countof(each); k++)
        if (each[k]->cut > each[k]->lossy && since >= each[k]->from && since < each[k]->to)
            return true;
    return false;
}

/* SYNs get lost on a lossy path, too: what was late on it, then or soon after, tells. */
static void reconsider(const struct link *link, const struct paths *paths,
                       struct verdict *verdict) {
    if (paths && verdict->at && verdict->kind == VERDICT_LOSSY_PATH && is_end_of_cut(link, paths))
        verdict->kind = VERDICT_PATH_CUT;
    if (is_blocked_for_one(verdict) && link_is_lossy(link, verdict->at))
        verdict->kind = VERDICT_LOSSY_PATH;
}

static void finish(const struct detection *detection, void *state) {
    struct losses *losses = state;
    struct pair *shared = calloc(losses->count + 1, sizeof *shared);
    struct paths *paths = paths_of_nodes(detection->model, losses);
    size_t count = 0;
    for (size_t i = 0; i < losses->count; i++) {
        struct verdict *verdict = &losses->list[i].verdict;
        struct pair pair = {model_link(detection->model, i), &losses->list[i]};
        reconsider(pair.link, paths, verdict);
        bool cut = is_unsuspected_cut(&pair);
        if (!verdict->at || !(is_of_the_path(verdict->kind) || is_blocked_for_one(verdict) || cut))
            continue;
        if (shared && (cut || verdict->kind == VERDICT_LOSSY_PATH))
            shared[count++] = pair;
        else
            tell(detection, &pair, 1);
    }
    if (count)
        qsort(shared, count, sizeof *shared, by_kind_and_start);
    for (size_t i = 0, n; i < count; i += n) {
        n = together(shared + i, count - i);
        tell(detection, shared + i, n);
    }
    free(shared);
    free(paths);
}

static void dispose(void *state) {
    free(((struct losses *)state)->list);
}

const struct detector detect_gossip_loss = {
    .name = "gossip-loss",
    .help = "pings of a directed pair went unanswered for long, and the path is why",
    .wants = EVENT_BIT(node_suspected) | EVENT_BIT(node_failed),
    .state = sizeof(struct losses),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
