/* detect_slow_commands.c - commands that held a server up for long, against its own usual latency.
 *
 * The model says with which commands the silences of a server began (model_slow.h). A command is
 * slow if it did that with much of its calls. If it did so with few of them only, anything may have
 * been the cause that stops a process: then it was the first to wait, and what stopped the process
 * is another finding's to tell. One or two calls are told only of commands whose work grows with
 * the data. MIGRATE and RESTORE are left to what is said of migrations and of big keys. */
#include <inttypes.h>

#include "analysis/detector.h"
#include "analysis/model_slow.h"

enum {
    SHARE_OF_CALLS = 2,    /* one in so many of its calls: it is slow by itself */
    SHARE_AT_LEAST = 20,   /* or one in so many, if that is much more than others have */
    OVER_OTHERS = 20,      /* times */
    TIMES_CERTAIN = 3,     /* fewer calls may be somebody else's fault */
    TIMES_USUAL = 10,      /* times the server's usual latency */
    WARNING_MS = 1000,     /* in one go, */
    WARNING_PER_CENT = 10, /* or of the time between first and last, */
    WARNING_COUNT = 10,    /* if there were so many */
};

/* Commands whose work grows with the data or with what they are told to do: a call may take
 * seconds. */
static const char *const long_ones[] = {
    "bitcount",      "bitop",       "bitpos",
    "debug",         "del",         "eval",
    "eval_ro",       "evalsha",     "evalsha_ro",
    "exec",          "fcall",       "fcall_ro",
    "flushall",      "flushdb",     "georadius",
    "geosearch",     "hgetall",     "hkeys",
    "hvals",         "keys",        "lindex",
    "linsert",       "lpos",        "lrange",
    "lrem",          "mget",        "mset",
    "pfcount",       "pfmerge",     "rename",
    "save",          "sdiff",       "sdiffstore",
    "sinter",        "sinterstore", "smembers",
    "sort",          "sort_ro",     "sunion",
    "sunionstore",   "xrange",      "xrevrange",
    "zcount",        "zdiff",       "zdiffstore",
    "zinter",        "zinterstore", "zrange",
    "zrangebyscore", "zrangestore", "zremrangebyrank",
    "zrevrange",     "zunion",      "zunionstore",
};

/* They have the process forked, and are answered by its child's copy. */
static const char *const forking[] = {"bgrewriteaof", "bgsave", "psync", "sync"};

/* Told of by others. */
static const char *const not_ours[] = {"migrate", "restore", "restore-asking"};

static bool is_among(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* ---- is it the command's fault? ---- */

struct suspect {
    const struct server *server;
    const struct slow *slow;
    const struct slow_command *command;
    const struct command_stats *stats;
    uint64_t usual_us; /* median of the server */
};

static uint64_t calls_of(const struct suspect *suspect) {
    return suspect->stats->latency.count;
}

/* Much more often the first to wait than chance would have it? */
static bool stands_out(const struct suspect *suspect) {
    uint64_t count = suspect->command->count, calls = calls_of(suspect);
    double own = (double)count / (double)calls;
    double others =
        (double)(suspect->slow->silences - count) / (double)(suspect->server->replies - calls + 1);
    return own * SHARE_AT_LEAST >= 1 && own >= OVER_OTHERS * others;
}

static bool is_to_blame(const struct suspect *suspect, uint64_t least_ms) {
    const struct slow_command *command = suspect->command;
    nstime worst = command->worst.busy;
    bool slow = worst >= 0 && (uint64_t)(worst / NS_PER_MS) >= least_ms &&
                (uint64_t)(worst / (TIMES_USUAL * NS_PER_US)) >= suspect->usual_us;
    if (!slow || calls_of(suspect) == 0)
        return false;
    bool often = command->count * SHARE_OF_CALLS >= calls_of(suspect);
    if (command->count >= TIMES_CERTAIN)
        return often || stands_out(suspect);
    return often && is_among(command->worst.command->name, long_ones, countof(long_ones));
}

/* ---- telling it ---- */

static bool is_long(const struct slow_command *command) {
    return command->long_to > 0;
}

static enum severity severity_of(const struct slow_command *command) {
    nstime span = command->last - command->first;
    bool much = command->count >= WARNING_COUNT && command->busy / WARNING_PER_CENT > span / 100;
    return command->worst.busy >= WARNING_MS * NS_PER_MS || much ? SEVERITY_WARNING
                                                                 : SEVERITY_NOTICE;
}

static void explain(struct finding *finding, const struct suspect *suspect) {
    const struct slow_command *command = suspect->command;
    char worst[DURATION_TEXT], all[DURATION_TEXT], client[ENDPOINT_TEXT];
    endpoint_text(&command->worst.client, client);
    finding_explain(finding,
                    "A server carries out one command at a time: it answered nobody while it was "
                    "busy with these, %s in all. It usually answers within %" PRIu64 " us. The "
                    "longest took %s and was asked by %s.",
                    finding_duration(command->busy, all), suspect->usual_us,
                    finding_duration(command->worst.busy, worst), client);
    if (command->said_busy)
        finding_explain(finding,
                        "After a while it answered others again, but BUSY to all of them.");
    uint64_t others =
        suspect->slow->waited > command->count ? suspect->slow->waited - command->count : 0;
    if (others > 0)
        finding_explain(finding,
                        "%" PRIu64 " more repl%s of this server took over %d ms, mostly because "
                        "they had to wait for such a one.",
                        others, others == 1 ? "y" : "ies", SLOW_MIN_MS);
}

static void tell_metrics(struct finding *finding, const struct suspect *suspect) {
    struct value *metrics = finding_metrics(finding);
    const struct slow_command *command = suspect->command;
    value_addr(metrics, "server", &suspect->server->addr);
    value_text(metrics, "command", command->worst.command->name);
    value_number(metrics, "count", command->count);
    value_number(metrics, "p99_us", histogram_percentile(&suspect->stats->latency, 990));
    value_number(metrics, "max_us", suspect->stats->latency.max);
    value_number(metrics, "usual_us", suspect->usual_us);
    value_ms(metrics, "busy_ms", command->busy);
}

static void advise(struct finding *finding, const struct slow_command *slow) {
    const struct command *command = slow->worst.command;
    const char *name = command->name;
    if (strcmp(name, "keys") == 0)
        finding_advise(finding, "use SCAN instead of KEYS: it gives the server back between steps");
    else if (is_among(name, forking, countof(forking)))
        finding_advise(finding, "it begins with a fork, which takes the longer the more memory the "
                                "process has: see latest_fork_usec in INFO, switch transparent "
                                "huge pages off, keep instances small");
    else if (command->access == ACCESS_SCRIPT)
        finding_advise(finding, "make the script do less at a time: others wait for all of it");
    else
        finding_advise(finding, "ask for less at a time, or split the data: the server's slow log "
                                "(SLOWLOG GET) has the arguments");
    finding_advise(finding,
                   "do not kill the server for it: %s, and a failover brings the same call to the "
                   "next one",
                   slow->said_busy ? "SCRIPT KILL or FUNCTION KILL ends what has not written yet"
                                   : "the call ends by itself");
}

/* Nodes are named only where the calls were so long that others may have noticed on the bus. */
static void tell(const struct detection *detection, const struct suspect *suspect) {
    const struct slow_command *command = suspect->command;
    const struct slow_call *worst = &command->worst;
    bool long_one = is_long(command);
    char name[ENDPOINT_TEXT], busy[DURATION_TEXT];
    struct place at = place_of_stamp(worst->at);
    uint32_t node = model_node_at_address(detection->model, &suspect->server->addr);
    endpoint_text(&suspect->server->addr, name);
    struct finding *finding = finding_new("slow-commands", severity_of(command),
                                          long_one ? command->long_from : command->first);
    finding_duration(worst->busy, busy);
    if (command->count == 1)
        finding_title(finding, "%s held %s up once, for %s", worst->command->name, name, busy);
    else
        finding_title(finding, "%s held %s up %" PRIu64 " times, for up to %s",
                      worst->command->name, name, command->count, busy);
    explain(finding, suspect);
    tell_metrics(finding, suspect);
    finding_addr(finding, &suspect->server->addr);
    if (long_one && node != NODE_NONE)
        finding_node(finding, model_node(detection->model, node)->id);
    finding_client(finding, &worst->client);
    finding_evidence(finding, &at, "the reply to the longest call");
    advise(finding, command);
    if (suspect->slow->over)
        finding_caveat(finding, "%" PRIu64 " silences of further commands are not looked at",
                       suspect->slow->over);
    if (command->count < TIMES_CERTAIN && !command->said_busy) {
        finding_doubt(finding, CONFIDENCE_LIKELY);
        finding_caveat(finding, "so few calls may also have been the first to wait for a process "
                                "that stood still");
    }
    finding_rests_on_unseen(finding); /* silences are made of what was not there */
    finding_ends(finding, long_one ? command->long_to : command->last, "slow-command");
    detection_report(detection, finding);
}

/* ---- a server that lets its clients wait, as it was told to ---- */

static void tell_paused(const struct detection *detection, const struct server *server,
                        const struct paused *paused) {
    char name[ENDPOINT_TEXT], client[ENDPOINT_TEXT], longest[DURATION_TEXT];
    struct histogram all;
    enum severity severity =
        paused->longest >= WARNING_MS * NS_PER_MS ? SEVERITY_WARNING : SEVERITY_NOTICE;
    struct finding *finding = finding_new("slow-commands", severity, paused->first);
    model_server_latency(server, &all);
    endpoint_text(&server->addr, name);
    endpoint_text(&paused->order.place.ends[1], client);
    finding_title(finding,
                  "%s let %" PRIu64 " requests wait for up to %s, as it was told to: CLIENT PAUSE",
                  name, paused->waited, finding_duration(paused->longest, longest));
    finding_explain(finding,
                    "%s asked for it%s. Meanwhile the server answers no client, or none that "
                    "writes (WRITE); it is well, and so it looks to the other nodes.",
                    client, paused->count > 1 ? ", the last time" : "");
    struct value *metrics = finding_metrics(finding);
    value_addr(metrics, "server", &server->addr);
    value_text(metrics, "command", paused->order.command->name);
    value_number(metrics, "count", paused->waited);
    value_number(metrics, "pauses", paused->count);
    value_number(metrics, "p99_us", histogram_percentile(&all, 990));
    value_number(metrics, "max_us", (uint64_t)(paused->longest / NS_PER_US));
    finding_addr(finding, &server->addr);
    finding_client(finding, &paused->order.place.ends[1]);
    order_tell(&paused->order, finding);
    finding_advise(finding, "find out who asks for CLIENT PAUSE, and what for; CLIENT UNPAUSE ends "
                            "it (Redis 6.2)");
    finding_ends(finding, paused->last, "administrative");
    detection_report(detection, finding);
}

static void look_at(const struct detection *detection, const struct server *server,
                    const struct slow *slow) {
    struct histogram all;
    model_server_latency(server, &all);
    uint64_t usual_us = histogram_percentile(&all, 500);
    for (uint32_t i = 0; i < slow->count; i++) {
        const struct command *command = slow->commands[i].worst.command;
        if (!command || is_among(command->name, not_ours, countof(not_ours)))
            continue;
        const struct command_stats *stats = server->commands[command - command_rows];
        struct suspect suspect = {server, slow, &slow->commands[i], stats, usual_us};
        if (stats && is_to_blame(&suspect, threshold(detection, THRESHOLD_slow_commands)))
            tell(detection, &suspect);
    }
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    for (size_t i = 0; i < model_server_count(detection->model); i++) {
        const struct server *server = model_server(detection->model, i);
        struct slow slow;
        if (server->others || !model_slow(server, &slow))
            continue;
        look_at(detection, server, &slow);
        uint64_t least_ms = threshold(detection, THRESHOLD_slow_commands);
        if (slow.paused.count && slow.paused.longest >= (nstime)least_ms * NS_PER_MS)
            tell_paused(detection, server, &slow.paused);
    }
}

const struct detector detect_slow_commands = {
    .name = "slow-commands",
    .help = "commands hold a server up for far longer than it usually takes to answer",
    .finish = finish,
};
