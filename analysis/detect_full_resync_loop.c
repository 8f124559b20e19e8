/* detect_full_resync_loop.c - a replica copies all of its primary's data again and again.
 *
 * One full resync is what a new replica needs. It is a loop when the links do not hold: each ends
 * before long, and the next begins with everything anew. Each round says why (resync_cause.h); the
 * commonest reason is the loop's. A series ends when a link holds. */
#include "analysis/detector.h"
#include "analysis/follower_finding.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdlib.h>

static const nstime HOLDS = 600 * NS_PER_SEC; /* it is no series beyond this */
static const nstime OVER = 60 * NS_PER_SEC;   /* a link that holds so long has ended it */

struct series {
    uint64_t count, bytes_before; /* copied before it began */
    uint64_t by_word[RESYNC_WORDS];
    uint64_t ends[LINK_ENDS], resets; /* of links; of these, by RST */
    uint64_t growth, missed, held;    /* the greatest of all rounds; 0: none known */
    uint64_t unacked;                 /* likewise */
    nstime start, last, longest;      /* longest: from request to first ACK, of those before the
                                         last */
    struct place first, latest;
};

struct loops {
    struct series *list; /* by follower */
    size_t count;
};

/* ---- why ---- */

static const struct {
    const char *says, *advice;
} words[RESYNC_WORDS] = {
    [RESYNC_FIRST] = {"Why is not known.", "look into the logs of both"},
    [RESYNC_OUTPUT_BUFFER] =
        {"The primary closed the link each time although the replica went on acknowledging, with "
         "output waiting that the link did not take: its client-output-buffer-limit for replicas.",
         "raise client-output-buffer-limit replica on the primary above what is written while a "
         "copy is made and caught up with; find out why the link takes so little"},
    [RESYNC_TIMEOUT] =
        {"The link was closed each time because one end had heard nothing of the other for long "
         "(repl-timeout).",
         "look at what keeps that end silent: a stall, a load of a big data set, a path that is "
         "cut; only then raise repl-timeout"},
    [RESYNC_BACKLOG] =
        {"The link ended for other reasons, and each time the primary had already forgotten what "
         "the replica had missed: its replication backlog is too small for this rate of writes.",
         "raise repl-backlog-size on the primary above what the replica missed; then find out why "
         "the link ends"},
    [RESYNC_HISTORY] =
        {"The primary's data were of another history each time (replication id): it was started "
         "anew, or another node took over.",
         "find out why the primary restarts; a primary that restarts without its data takes the "
         "replica's data with it"},
    [RESYNC_TRANSFER] = {"The copy itself broke off each time.",
                         "look into the logs of both for why the copy stopped: repl-timeout, "
                         "memory, disk, a damaged copy"},
    [RESYNC_RESTART] =
        {"The replica asked for everything each time: it had nothing of its own, as after a "
         "restart.",
         "find out why the replica loses its data or restarts"},
    [RESYNC_UNKNOWN] = {"Why the link ended is not known.", "look into the logs of both"},
};

static enum resync_word main_word(const struct series *series) {
    enum resync_word most = RESYNC_UNKNOWN;
    for (int word = RESYNC_FIRST + 1; word < RESYNC_WORDS; word++)
        if (series->by_word[word] > series->by_word[most])
            most = (enum resync_word)word;
    return most;
}

static void keep_greatest(uint64_t *greatest, uint64_t value) {
    if (value != NOT_KNOWN && value > *greatest)
        *greatest = value;
}

/* ---- a series ---- */

static void begin(struct series *series, const struct follower *follower,
                  const struct resync *resync) {
    *series = (struct series){
        .start = resync->began, .bytes_before = follower->rdb_bytes, .first = resync->place};
}

static void add(struct series *series, const struct follower *follower,
                const struct resync *resync) {
    const struct resync *before = follower_resync(follower, follower->full_resyncs - 2);
    series->count++;
    series->last = resync->began;
    series->latest = resync->place;
    if (series->count == 1)
        return;
    const struct resync_cause *cause = &resync->cause;
    series->by_word[resync_word_of(cause)]++;
    series->ends[cause->end]++;
    series->resets += cause->reset;
    keep_greatest(&series->growth, cause->growth_per_s);
    keep_greatest(&series->missed, cause->missed);
    keep_greatest(&series->held, cause->held);
    keep_greatest(&series->unacked, cause->unacked);
    if (before && before->online != TIME_NONE && before->online - before->asked > series->longest)
        series->longest = before->online - before->asked;
}

/* ---- telling it ---- */

static void known(struct value *metrics, const char *name, uint64_t value) {
    if (value)
        value_number(metrics, name, value);
}

static void measure(struct finding *finding, const struct follower *follower,
                    const struct series *series, enum resync_word word) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "count", series->count);
    value_number(metrics, "bytes", follower->rdb_bytes - series->bytes_before);
    value_text(metrics, "cause", resync_word_name(word));
    struct value *ends = value_object(metrics, "links_ended");
    for (int end = LINK_NONE + 1; end < LINK_ENDS; end++)
        if (series->ends[end])
            value_number(ends, link_end_name((enum link_end)end), series->ends[end]);
    value_number(metrics, "resets", series->resets);
    if (series->longest)
        value_ms(metrics, "longest_resync_ms", series->longest);
    known(metrics, "growth_bytes_per_s", series->growth);
    known(metrics, "missed_bytes", series->missed);
    known(metrics, "held_bytes", series->held);
    known(metrics, "unacked_bytes", series->unacked);
}

/* Growth, time and backlog against each other. */
static void compare(struct finding *finding, const struct series *series) {
    char took[DURATION_TEXT], size[BYTES_TEXT];
    if (series->longest)
        finding_explain(finding, "A resync took up to %s, until the replica was online.",
                        finding_duration(series->longest, took));
    if (series->growth)
        finding_explain(finding, "The primary's stream grew by up to %s a second.",
                        finding_bytes(series->growth, size));
    if (series->held)
        finding_explain(finding, "When the link ended, up to %s had not been sent yet.",
                        finding_bytes(series->held, size));
    if (series->missed)
        finding_explain(finding,
                        "When it came again, the replica had missed up to %s, which the backlog "
                        "did not hold.",
                        finding_bytes(series->missed, size));
}

/* Has the primary another replica, whose link holds? */
static bool has_other(const struct model *model, const struct follower *follower) {
    for (size_t i = 0; i < model_follower_count(model); i++) {
        const struct follower *other = model_follower(model, i);
        const char *link = model_follower_link(model, other);
        if (other != follower && other->primary == follower->primary && link &&
            strcmp(link, "up") == 0 && other->full_resyncs <= 1)
            return true;
    }
    return false;
}

static void explain(const struct model *model, struct finding *finding,
                    const struct follower *follower, const struct series *series,
                    enum resync_word word) {
    uint64_t rounds = series->count - 1;
    finding_explain(finding, "%s So it was in %" PRIu64 " of %" PRIu64 " rounds.", words[word].says,
                    series->by_word[word], rounds);
    compare(finding, series);
    if (series->ends[LINK_KILLED]) {
        finding_explain(finding,
                        "%" PRIu64 " of the links ended because the primary was told to: "
                        "CLIENT KILL.",
                        series->ends[LINK_KILLED]);
        finding_advise(finding, "find out who kills the links of replicas (CLIENT KILL)");
    }
    finding_explain(finding, "While it copies it cannot take over with all data%s.",
                    has_other(model, follower) ? "; another replica of the shard can"
                                               : ", nor can any other that was seen");
    if (word == RESYNC_UNKNOWN)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    if (word == RESYNC_OUTPUT_BUFFER)
        finding_caveat(finding, "a link that is ended by CLIENT KILL looks the same, where that "
                                "request is not captured");
    if (word == RESYNC_OUTPUT_BUFFER && series->growth == 0)
        finding_caveat(finding, "how fast the primary's stream grew is not known");
}

static void tell(const struct detection *detection, const struct follower *follower,
                 struct series *series, nstime end) {
    enum resync_word word = main_word(series);
    struct follower_finding named =
        follower_finding(detection, "full-resync-loop", SEVERITY_WARNING, series->start, follower);
    struct finding *finding = named.finding;
    finding_title(finding, "%s copied all data of its primary %s %" PRIu64 " times in a row",
                  named.replica, named.primary, series->count);
    explain(detection->model, finding, follower, series, word);
    finding_evidence(finding, &series->first, "the first full resync");
    finding_evidence(finding, &series->latest, "the last one");
    finding_advise(finding, "%s", words[word].advice);
    measure(finding, follower, series, word);
    finding_ends(finding, end, resync_word_name(word));
    detection_report(detection, finding);
}

/* ---- watching ---- */

static struct series *series_of(struct loops *loops, const struct follower *follower) {
    size_t wanted = (size_t)follower->number + 1;
    struct series *list = list_up_to(loops->list, &loops->count, wanted, sizeof *list);
    if (!list)
        return NULL;
    loops->list = list;
    return &list[follower->number];
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    (void)detection;
    if (strcmp(event->replication.what, "fullresync") != 0)
        return;
    const struct follower *follower = model_follower_of(event);
    const struct resync *resync =
        follower ? follower_resync(follower, follower->full_resyncs - 1) : NULL;
    struct series *series = resync ? series_of(state, follower) : NULL;
    if (!series)
        return;
    if (series->count && resync->cause.lasted >= HOLDS)
        series->count = 0;
    if (series->count == 0)
        begin(series, follower, resync);
    add(series, follower, resync);
}

/* Since when the link holds that ended the series; TIME_NONE: none does, so long. */
static nstime held_since(const struct follower *follower, nstime now, nstime least) {
    const struct resync *last = follower_resync(follower, follower->full_resyncs - 1);
    bool online = last && follower->open && last->online != TIME_NONE;
    return online && now - last->online >= least ? last->online : TIME_NONE;
}

static void end_series(const struct detection *detection, struct loops *loops, size_t index,
                       nstime end) {
    struct series *series = &loops->list[index];
    if (series->count >= threshold(detection, THRESHOLD_full_resync_loop))
        tell(detection, model_follower(detection->model, index), series, end);
    series->count = 0;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct loops *loops = state;
    for (size_t i = 0; i < loops->count; i++) {
        const struct follower *follower = model_follower(detection->model, i);
        bool enough = loops->list[i].count >= threshold(detection, THRESHOLD_full_resync_loop);
        nstime since = enough ? held_since(follower, now, OVER) : TIME_NONE;
        if (since != TIME_NONE)
            end_series(detection, loops, i, since);
    }
}

/* A link that has held for two rounds and more looks as if it would go on to. */
static void finish(const struct detection *detection, void *state) {
    struct loops *loops = state;
    nstime now = model_books(detection->model)->last;
    for (size_t i = 0; i < loops->count; i++) {
        const struct series *series = &loops->list[i];
        if (series->count < 2)
            continue;
        nstime round = (series->last - series->start) / (nstime)(series->count - 1);
        const struct follower *follower = model_follower(detection->model, i);
        end_series(detection, loops, i, held_since(follower, now, 2 * round));
    }
}

static void dispose(void *state) {
    free(((struct loops *)state)->list);
}

const struct detector detect_full_resync_loop = {
    .name = "full-resync-loop",
    .help = "a replica copies all data of its primary again and again",
    .wants = EVENT_BIT(replication),
    .state = sizeof(struct loops),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
