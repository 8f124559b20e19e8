/* resync_cause.c - the rules by which a link's end is read. */
#include "analysis/resync_cause.h"

#include "analysis/offset_history.h"
#include "decode/event.h"

/* Replicas acknowledge every second; primaries say PING every ten (repl-ping-replica-period). Both
 * give up after repl-timeout, 60 s by default. */
static const nstime REPLICA_SILENT = 4 * NS_PER_SEC, PRIMARY_SILENT = 15 * NS_PER_SEC;

/* Output that waits for a replica that acknowledges all the while is what the limit is about; for
 * one that is silent for so long, it waits because of that. */
static const nstime SILENT_FOR_LONG = 10 * NS_PER_SEC;
enum { HELD_LEAST = 256 << 10 };

struct link_past link_past_none(void) {
    return (struct link_past){.began = TIME_NONE,
                              .begin_offset = NOT_KNOWN,
                              .online = TIME_NONE,
                              .heard_primary = TIME_NONE,
                              .heard_replica = TIME_NONE,
                              .ended = TIME_NONE,
                              .unacked = NOT_KNOWN,
                              .sent = NOT_KNOWN,
                              .produced = NOT_KNOWN};
}

static nstime silence_of(const struct link_past *past) {
    nstime heard = past->by_primary ? past->heard_replica : past->heard_primary;
    return past->ended == TIME_NONE || heard == TIME_NONE ? TIME_NONE : past->ended - heard;
}

static uint64_t less(uint64_t a, uint64_t b) {
    return a == NOT_KNOWN || b == NOT_KNOWN ? NOT_KNOWN : a > b ? a - b : 0;
}

/* A process that stood still finds, when it goes on, that it has heard nothing for too long. */
static bool stood_still(const struct link_past *past) {
    return past->heard_replica != TIME_NONE && past->ended - past->heard_replica >= REPLICA_SILENT;
}

/* What the primary sent last did not arrive, so its PINGs would not have either. */
static bool is_cut_off(const struct link_past *past) {
    return past->unacked != NOT_KNOWN && past->unacked > 0;
}

static bool is_timeout(const struct link_past *past, nstime silence, uint64_t held) {
    if (silence == TIME_NONE)
        return false;
    if (!past->by_primary)
        return silence >= (is_cut_off(past) ? REPLICA_SILENT : PRIMARY_SILENT) || stood_still(past);
    bool waits = held != NOT_KNOWN && held >= HELD_LEAST;
    return silence >= (waits ? SILENT_FOR_LONG : REPLICA_SILENT);
}

static enum link_end end_of(const struct link_past *past, nstime silence, uint64_t held) {
    if (!past->any)
        return LINK_NONE;
    if (past->ended == TIME_NONE)
        return LINK_LEFT;
    if (past->cut == CUT_NAMED)
        return LINK_KILLED;
    if (is_timeout(past, silence, held))
        return LINK_TIMEOUT;
    if (!past->by_primary)
        return LINK_CLOSED_BY_REPLICA;
    bool waits = held != NOT_KNOWN && held >= HELD_LEAST;
    return waits && past->cut == CUT_NOT ? LINK_OUTPUT_BUFFER : LINK_CLOSED_BY_PRIMARY;
}

/* A replica without data asks for "?" and -1, or names itself and 1. */
static enum resync_need need_of(const struct resync_ask *ask) {
    if (ask->asked == TIME_NONE)
        return NEED_UNKNOWN;
    if (ask->asked_offset == NOT_KNOWN || ask->asked_offset <= 1)
        return NEED_NOTHING_THERE;
    return ask->same_history ? NEED_BACKLOG : NEED_HISTORY;
}

static uint64_t growth_of(const struct link_past *past, const struct resync_ask *ask) {
    uint64_t grown = less(ask->offset, past->begin_offset);
    if (grown == NOT_KNOWN || past->began == TIME_NONE || ask->began <= past->began)
        return NOT_KNOWN;
    return offset_rate(grown, ask->began - past->began);
}

struct resync_cause resync_cause_of(const struct link_past *past, const struct resync_ask *ask) {
    struct resync_cause cause = {.silence = past->any ? silence_of(past) : TIME_NONE,
                                 .need = need_of(ask),
                                 .held = NOT_KNOWN,
                                 .unacked = NOT_KNOWN,
                                 .missed = NOT_KNOWN,
                                 .growth_per_s = NOT_KNOWN};
    if (cause.need == NEED_BACKLOG)
        cause.missed = less(ask->offset, ask->asked_offset - 1);
    if (!past->any)
        return cause;
    cause.reset = past->reset;
    cause.transferring = !past->streaming;
    cause.held = less(past->produced, past->sent);
    cause.unacked = past->unacked;
    cause.end = end_of(past, cause.silence, cause.held);
    if (past->ended != TIME_NONE && past->online != TIME_NONE)
        cause.lasted = past->ended - past->online;
    cause.growth_per_s = growth_of(past, ask);
    return cause;
}

/* ---- in words ---- */

enum resync_word resync_word_of(const struct resync_cause *cause) {
    if (cause->end == LINK_NONE)
        return RESYNC_FIRST;
    if (cause->end == LINK_OUTPUT_BUFFER)
        return RESYNC_OUTPUT_BUFFER;
    if (cause->end == LINK_TIMEOUT)
        return RESYNC_TIMEOUT;
    if (cause->transferring)
        return RESYNC_TRANSFER;
    switch (cause->need) {
    case NEED_BACKLOG:
        return RESYNC_BACKLOG;
    case NEED_HISTORY:
        return RESYNC_HISTORY;
    case NEED_NOTHING_THERE:
        return RESYNC_RESTART;
    case NEED_UNKNOWN:
        break;
    }
    return RESYNC_UNKNOWN;
}

const char *resync_word_name(enum resync_word word) {
    static const char *const names[RESYNC_WORDS] = {
        [RESYNC_FIRST] = "first",
        [RESYNC_OUTPUT_BUFFER] = "output-buffer-limit",
        [RESYNC_TIMEOUT] = "timeout",
        [RESYNC_BACKLOG] = "backlog-too-small",
        [RESYNC_HISTORY] = "history-changed",
        [RESYNC_TRANSFER] = "transfer-failed",
        [RESYNC_RESTART] = "replica-restarted",
        [RESYNC_UNKNOWN] = "unknown",
    };
    return names[word];
}

const char *link_end_name(enum link_end end) {
    static const char *const names[LINK_ENDS] = {
        [LINK_NONE] = "none",
        [LINK_OUTPUT_BUFFER] = "output-buffer-limit",
        [LINK_TIMEOUT] = "timeout",
        [LINK_KILLED] = "client-kill",
        [LINK_CLOSED_BY_PRIMARY] = "closed-by-primary",
        [LINK_CLOSED_BY_REPLICA] = "closed-by-replica",
        [LINK_LEFT] = "left",
    };
    return names[end];
}
