/* detect_replication_lag.c - a replica is behind its primary, in time or in bytes.
 *
 * Measured when the replica speaks (model_followers.h). An episode begins when it is beyond a
 * threshold and ends when it is within half of it again. */
#include "analysis/detector.h"
#include "analysis/follower_finding.h"
#include "base/list.h"

#include <stdlib.h>

enum { UNSETTLED = 3 /* links in a row */ };

static const nstime MOMENT = 1 * NS_PER_SEC;    /* many bytes, but no longer behind: in flight */
static const nstime STILL = 5 * NS_PER_SEC / 2; /* it speaks every second */
static const nstime SILENT = 30 * NS_PER_SEC; /* it may go on where it was, when it speaks again */

struct episode {
    bool open;
    nstime seen;            /* the last measurement that was looked at; 0: none */
    nstime start;           /* the oldest write that it lacked was made then */
    struct lag first, last; /* measurements beyond the threshold */
    struct lag worst;       /* in time */
    uint64_t most;          /* bytes */
};

struct lags {
    struct episode *list; /* by follower */
    size_t count;
};

/* ---- why ---- */

enum why {
    SLOW_PATH,
    NOT_READING,
    BUSY,
    UNSETTLED_LINK,
    LINK_DOWN,
    LINK_SILENT,
    MUTE,
    UNKNOWN,
    WHYS
};

static const struct {
    const char *verdict, *says, *advice;
} whys[WHYS] = {
    [SLOW_PATH] = {"slow-path",
                   "The way to the replica does not take as much as is written: the bytes wait at "
                   "the primary or are under way.",
                   "look at what else uses the replica's link (migrations, backups, other nodes), "
                   "and at losses on it; write less until it has caught up"},
    [NOT_READING] = {"receiver-not-reading",
                     "The replica's host has closed its receive window: the process does not read.",
                     "look at what the replica's process does: slow commands, swapping, fork"},
    [BUSY] = {"replica-busy", "The replica has received them and not carried them out yet.",
              "look at what the replica's process does: slow commands of its readers, fork, a "
              "slow disk under its append only file"},
    [UNSETTLED_LINK] = {"link-unsettled", "Its links to the primary do not hold.",
                        "look into the logs of both for why the link ends"},
    [LINK_DOWN] = {"link-down",
                   "It has no link to its primary, and says so on the bus by an "
                   "offset that stands still.",
                   "look at the replica's log (master_link_status), at masterauth, and whether the "
                   "primary's client port can be reached from there"},
    [LINK_SILENT] = {"link-silent",
                     "Its link to the primary is there, but its ACKs do not come any more: nothing "
                     "passes on it.",
                     "look at the path between the two, at the primary's client port"},
    [MUTE] =
        {"replica-silent",
         "The replica said nothing to anybody meanwhile, on the bus neither: its process stood "
         "still, or its host was not reached.",
         "look at what the replica's process and its host did then"},
    [UNKNOWN] = {"unknown", "Where the bytes are is not known.",
                 "compare master_repl_offset and slave_repl_offset of INFO replication, and look "
                 "at the network between them"},
};

static enum why why_of(const struct follower *follower, const struct episode *episode) {
    const struct lag *worst = &episode->worst;
    if (follower->unsettled_in_row >= UNSETTLED)
        return UNSETTLED_LINK;
    if (worst->by_header && follower->links)
        return !worst->linked ? LINK_DOWN : worst->mute ? MUTE : LINK_SILENT;
    if (worst->waiting == NOT_KNOWN)
        return UNKNOWN;
    if (worst->unread > worst->waiting + worst->in_flight)
        return BUSY;
    /* what comes in a burst once the path is free may close the window, too: that is later */
    return worst->zero_windows > episode->first.zero_windows ? NOT_READING : SLOW_PATH;
}

/* ---- telling it ---- */

static void measured(struct value *metrics, const char *name, uint64_t number) {
    if (number != NOT_KNOWN)
        value_number(metrics, name, number);
}

static void measure_rates(struct value *metrics, const struct episode *episode) {
    nstime span = episode->last.time - episode->first.time;
    const struct lag *from = &episode->first, *to = &episode->last;
    uint64_t was = from->offset - from->bytes, is = to->offset - to->bytes;
    if (span < MOMENT || to->offset < from->offset || is < was)
        return;
    value_number(metrics, "written_bytes_per_s", offset_rate(to->offset - from->offset, span));
    value_number(metrics, "carried_out_bytes_per_s", offset_rate(is - was, span));
}

static void measure(struct finding *finding, const struct episode *episode, nstime end) {
    struct value *metrics = finding_metrics(finding);
    const struct lag *worst = &episode->worst, *last = &episode->last;
    value_number(metrics, "lag_bytes", episode->most);
    value_ms(metrics, "lag_ms", worst->behind);
    value_ms(metrics, "duration_ms", (end == TIME_NONE ? last->time : end) - episode->start);
    measured(metrics, "waiting_bytes", worst->waiting);
    measured(metrics, "in_flight_bytes", worst->in_flight);
    measured(metrics, "unread_bytes", worst->unread);
    measure_rates(metrics, episode);
    value_number(metrics, "retransmits", last->retransmits - episode->first.retransmits);
    value_text(metrics, "told_by", worst->by_header ? "bus" : "ack");
}

static void say_where(struct finding *finding, const struct lag *worst) {
    char bytes[BYTES_TEXT], waiting[BYTES_TEXT], way[BYTES_TEXT], unread[BYTES_TEXT];
    finding_explain(finding,
                    "Of %s then, %s waited at the primary, %s were under way, %s had been received "
                    "and not carried out.",
                    finding_bytes(worst->bytes, bytes), finding_bytes(worst->waiting, waiting),
                    finding_bytes(worst->in_flight, way), finding_bytes(worst->unread, unread));
}

static void explain(struct finding *finding, const struct episode *episode, enum why why) {
    const struct lag *worst = &episode->worst;
    char behind[DURATION_TEXT], most[BYTES_TEXT];
    finding_explain(finding,
                    "At worst it lacked what had been written %s before, and %s in all. %s",
                    finding_duration(worst->behind, behind), finding_bytes(episode->most, most),
                    whys[why].says);
    if (worst->waiting != NOT_KNOWN)
        say_where(finding, worst);
    finding_explain(finding, "Had the primary died then, that would have been lost.");
    if (!worst->by_header)
        return;
    finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_caveat(finding, "no ACK of the replica was seen: this is by the offsets in its and "
                            "its primary's headers on the bus, which come about every second");
}

static void tell(const struct detection *detection, const struct follower *follower,
                 struct episode *episode, nstime end) {
    char behind[DURATION_TEXT], most[BYTES_TEXT];
    enum why why = why_of(follower, episode);
    bool much = episode->most >= threshold(detection, THRESHOLD_replication_lag_bytes);
    bool late = episode->worst.behind >=
                (nstime)threshold(detection, THRESHOLD_replication_lag_warning) * NS_PER_SEC;
    struct follower_finding named = follower_finding(
        detection, "replication-lag", much || late ? SEVERITY_WARNING : SEVERITY_NOTICE,
        episode->start, follower);
    struct finding *finding = named.finding;
    finding_title(finding, "%s was up to %s and %s behind its primary %s", named.replica,
                  finding_duration(episode->worst.behind, behind),
                  finding_bytes(episode->most, most), named.primary);
    explain(finding, episode, why);
    finding_evidence(finding, &episode->first.place, "the replica says how far it is: too late");
    finding_evidence(finding, &episode->worst.place, "when it was worst");
    finding_advise(finding, "%s", whys[why].advice);
    finding_advise(finding, "do not fail over to this replica now, nor restart its primary");
    measure(finding, episode, end);
    finding_ends(finding, end, whys[why].verdict);
    if (finding)
        finding->quiet_if_caused = true;
    detection_report(detection, finding);
    episode->open = false;
}

/* ---- watching ---- */

static bool is_beyond(const struct detection *detection, const struct lag *lag, unsigned part) {
    nstime most = (nstime)threshold(detection, THRESHOLD_replication_lag) * NS_PER_MS / part;
    uint64_t bytes = threshold(detection, THRESHOLD_replication_lag_bytes) / part;
    return lag->behind >= most || (lag->bytes >= bytes && lag->behind >= MOMENT);
}

static nstime start_of(const struct lag *lag) {
    return lag->time - lag->behind;
}

/* What was told already is not told again. */
static void begin(struct episode *episode, const struct follower *follower) {
    const struct lag *lag = &follower->lag;
    nstime start = start_of(lag), told = episode->last.time;
    *episode = (struct episode){.open = true,
                                .seen = lag->time,
                                .start = start > told ? start : told,
                                .first = *lag,
                                .worst = *lag};
}

/* It said nothing for a while, and caught up meanwhile. */
static bool is_another(const struct episode *episode, const struct lag *lag) {
    return lag->time - episode->seen >= STILL && start_of(lag) > episode->seen;
}

static void look(const struct detection *detection, const struct follower *follower,
                 struct episode *episode) {
    const struct lag *lag = &follower->lag;
    if (episode->open && is_another(episode, lag))
        tell(detection, follower, episode, episode->seen);
    episode->seen = lag->time;
    if (!episode->open && !lag->catching_up && is_beyond(detection, lag, 1))
        begin(episode, follower);
    if (!episode->open)
        return;
    if (!is_beyond(detection, lag, 2)) {
        tell(detection, follower, episode, lag->time);
        return;
    }
    episode->last = *lag;
    if (lag->behind > episode->worst.behind)
        episode->worst = *lag;
    if (lag->bytes > episode->most)
        episode->most = lag->bytes;
}

/* Its node has another role, or another node is there: what the link lacks concerns nobody. */
static bool is_former(const struct model *model, const struct follower *follower) {
    const char *link = model_follower_link(model, follower);
    return link && strcmp(link, "former") == 0;
}

static bool room_for(struct lags *lags, size_t count) {
    struct episode *list = list_up_to(lags->list, &lags->count, count, sizeof *list);
    lags->list = list ? list : lags->list;
    return list;
}

static void on_tick(const struct detection *detection, void *state, nstime now) {
    struct lags *lags = state;
    size_t count = model_follower_count(detection->model);
    if (!room_for(lags, count))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct follower *follower = model_follower(detection->model, i);
        struct episode *episode = &lags->list[i];
        if (is_former(detection->model, follower)) {
            if (episode->open)
                tell(detection, follower, episode, episode->seen);
        } else if (follower->lag.time != TIME_NONE && follower->lag.time != episode->seen)
            look(detection, follower, episode);
        else if (episode->open && now - episode->seen >= SILENT) /* it says no more */
            tell(detection, follower, episode, episode->seen);
    }
}

static void finish(const struct detection *detection, void *state) {
    struct lags *lags = state;
    nstime last = model_books(detection->model)->last;
    on_tick(detection, state, last);
    for (size_t i = 0; i < lags->count; i++) {
        struct episode *episode = &lags->list[i];
        if (episode->open)
            tell(detection, model_follower(detection->model, i), episode,
                 last - episode->seen < STILL ? TIME_NONE : episode->seen);
    }
}

static void dispose(void *state) {
    free(((struct lags *)state)->list);
}

const struct detector detect_replication_lag = {
    .name = "replication-lag",
    .help = "a replica is behind its primary",
    .state = sizeof(struct lags),
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
