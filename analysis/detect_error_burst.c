/* detect_error_burst.c - a server keeps answering one error.
 *
 * Errors are counted by server and first word. What a word means, and how bad it is, stands in a
 * table: some say that the server is in trouble, others that a client asks nonsense. MOVED and ASK
 * are redirects, and none of this. */
#include "analysis/crowd.h"
#include "analysis/detector.h"
#include "analysis/model_slow.h"
#include "analysis/pace.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ROWS = 256 /* of a server and a word; further ones are left out, and counted */ };

static const nstime APART = 10 * NS_PER_SEC;

static const struct meaning {
    const char *code;
    enum severity severity;
    const char *what, *advice;
} meanings[] = {
    {"OOM", SEVERITY_WARNING, "The server is at maxmemory and may not evict: it refuses writes.",
     "free memory or raise maxmemory; look at maxmemory-policy and for what grew"},
    {"MISCONF", SEVERITY_WARNING,
     "The server cannot write its RDB or AOF, and refuses writes for that.",
     "look at the server's disk and log; do not just switch stop-writes-on-bgsave-error off"},
    {"NOREPLICAS", SEVERITY_WARNING,
     "Too few replicas are near enough (min-replicas-to-write): writes are refused.",
     "bring the replicas back; see replication-lag"},
    {"MASTERDOWN", SEVERITY_WARNING,
     "The replica has no link to its primary and may not serve old data.",
     "look at the replica's link to its primary"},
    {"BUSY", SEVERITY_WARNING, "A script or function has been running for long.",
     "SCRIPT KILL or FUNCTION KILL, if it has not written yet"},
    {"NOAUTH", SEVERITY_WARNING, "Clients ask without having said who they are.",
     "give these clients the password; look whether requirepass was just changed"},
    {"WRONGPASS", SEVERITY_WARNING, "Clients come with a wrong user or password.",
     "look for a password that was changed, or for somebody who guesses"},
    {"NOPERM", SEVERITY_WARNING, "The user may not do what the clients ask (ACL).",
     "ACL LOG on the server names user, command and key"},
    {"CLUSTERDOWN", SEVERITY_NOTICE, "The node holds the cluster for down, or a slot has no owner.",
     "see cluster-down and slot-uncovered"},
    {"TRYAGAIN", SEVERITY_NOTICE,
     "Commands with several keys of a slot that is being migrated: some have moved, others not.",
     "let the migration of the slot end; clients have to try again"},
    {"LOADING", SEVERITY_NOTICE, "The server was started and still loads its data.",
     "wait until it has loaded; clients should ask elsewhere meanwhile"},
    {"READONLY", SEVERITY_NOTICE, "Clients write to a replica.",
     "let the clients find the primary (renew their slot map)"},
    {"CROSSSLOT", SEVERITY_NOTICE, "Commands name keys of different slots.",
     "give keys that belong together one hash tag"},
    {"EXECABORT", SEVERITY_NOTICE,
     "Transactions are refused whole, because the server refused a command in them.",
     "look at the other errors of this server: the command's own error says why"},
    {"NOSCRIPT", SEVERITY_NOTICE,
     "EVALSHA names a script that the server does not have: a restart and SCRIPT FLUSH forget "
     "scripts, and a replica that takes over may never have had them.",
     "let the clients load the script again, or send EVAL when they hear NOSCRIPT"},
    {"UNBLOCKED", SEVERITY_NOTICE,
     "Clients that waited in a blocking command were sent away: the server became a replica, or "
     "somebody said CLIENT UNBLOCK.",
     "see failover; let these clients ask again at the primary"},
    {"IOERR", SEVERITY_NOTICE, "MIGRATE did not reach its target, or waited for it in vain.",
     "see migration-failed: keys may be on both servers"},
    {"BUSYKEY", SEVERITY_NOTICE, "A key is already there where MIGRATE or RESTORE would put it.",
     "find out which of the two is right before REPLACE overwrites one; see migration-failed"},
    {NULL, SEVERITY_NOTICE, "The clients ask for what the server does not do.",
     "look at the clients' logs for the text of the error"},
};

/* Of connections, before any request. */
static const struct meaning
    too_many =
        {"max-clients", SEVERITY_WARNING,
         "The server has as many connections as maxclients lets it have: it turns new ones away.",
         "find the clients that open connections and keep them (CLIENT LIST: age, idle), give them "
         "a pool with a bound, or set timeout; only then raise maxclients, and the limit of open "
         "files with it"},
    protected = {"protected-mode", SEVERITY_WARNING,
                 "The server is in protected mode: without a password or an address to be bound to "
                 "it serves its own host alone.",
                 "set bind, and a password or ACL; do not just switch protected-mode off"};

struct burst {
    struct endpoint server;
    char code[WORD_LENGTH_MAX + 1];
    bool refusal;   /* it turns connections away with it */
    uint64_t count; /* of the present episode; 0: none */
    nstime first, last;
    struct pace pace;
    struct crowd crowd;
    struct place place;
};

struct bursts {
    struct burst **list; /* ROWS */
    size_t count;
    uint64_t left_out; /* errors past ROWS, or for want of memory */
};

static struct burst *add_burst(struct bursts *bursts, const struct ev_client_error *error) {
    if (!bursts->list)
        bursts->list = calloc(ROWS, sizeof(struct burst *));
    struct burst *burst = bursts->list && bursts->count < ROWS ? calloc(1, sizeof *burst) : NULL;
    if (!burst) {
        bursts->left_out++;
        return NULL;
    }
    burst->server = *error->server;
    burst->refusal = error->refusal;
    memcpy(burst->code, error->error.data, min_size(error->error.len, WORD_LENGTH_MAX));
    return bursts->list[bursts->count++] = burst;
}

static struct burst *burst_of(struct bursts *bursts, const struct ev_client_error *error) {
    for (size_t i = 0; i < bursts->count; i++) {
        struct burst *burst = bursts->list[i];
        if (endpoint_equal(&burst->server, error->server) && burst->refusal == error->refusal &&
            bytes_equal(error->error, bytes_str(burst->code)))
            return burst;
    }
    return add_burst(bursts, error);
}

static bool is_redirect(struct bytes code) {
    return bytes_equal(code, bytes_str("MOVED")) || bytes_equal(code, bytes_str("ASK"));
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    const struct ev_client_error *error = &event->client_error;
    if (is_redirect(error->error) || error->error.len == 0)
        return;
    struct burst *burst = burst_of(state, error);
    if (!burst)
        return;
    if (burst->count == 0) {
        burst->first = event->time;
        burst->pace = (struct pace){.least = threshold(detection, THRESHOLD_error_burst)};
        burst->crowd = (struct crowd){0};
        burst->place = place_of(event);
        burst->place.ends_known = true;
        burst->place.ends[0] = *error->server;
        burst->place.ends[1] = *error->client;
    }
    burst->count++;
    burst->last = event->time;
    pace_add(&burst->pace, stamp_of(event));
    crowd_add(&burst->crowd, error->client, model_introduction_in_hand(detection->model),
              (nstime)error->before < burst->first);
}

/* ---- telling it ---- */

static const struct meaning *meaning_of(const struct burst *burst) {
    const struct meaning *meaning = meanings;
    if (burst->refusal)
        return strcmp(burst->code, "ERR") == 0 ? &too_many : &protected;
    while (meaning->code && strcmp(meaning->code, burst->code) != 0)
        meaning++;
    return meaning;
}

/* A script that holds everybody up has a reply, too, once it is over: whose it was. */
static void explain_scripts(const struct detection *detection, struct finding *finding,
                            const struct burst *burst) {
    const struct server *server = model_server_at(detection->model, &burst->server);
    struct slow slow;
    if (strcmp(burst->code, "BUSY") != 0 || !server || !model_slow(server, &slow))
        return;
    for (uint32_t i = 0; i < slow.count; i++) {
        const struct slow_command *one = &slow.commands[i];
        char longest[DURATION_TEXT], client[ENDPOINT_TEXT];
        if (!one->said_busy || one->last < burst->first || one->first > burst->last)
            continue;
        endpoint_text(&one->worst.client, client);
        finding_explain(finding,
                        "It was %s: %" PRIu64 " such call%s, the longest took %s and was asked by "
                        "%s.",
                        one->worst.command->name, one->count, one->count == 1 ? "" : "s",
                        finding_duration(one->worst.busy, longest), client);
        finding_client(finding, &one->worst.client);
    }
}

static void tell(const struct detection *detection, const struct bursts *bursts,
                 struct burst *burst, nstime last) {
    struct place from = pace_from(&burst->pace, burst->place);
    const struct meaning *meaning = meaning_of(burst);
    char server[ENDPOINT_TEXT], length[DURATION_TEXT], who[CROWD_TEXT];
    if (pace_peak(&burst->pace) < threshold(detection, THRESHOLD_error_burst))
        return;
    endpoint_text(&burst->server, server);
    uint32_t node = model_node_at_address(detection->model, &burst->server);
    struct finding *finding = finding_new("error-burst", meaning->severity, from.time);
    if (burst->refusal)
        finding_title(finding, "%s turned away up to %" PRIu64 " connections a second (%s)", server,
                      pace_peak(&burst->pace), meaning->code);
    else
        finding_title(finding, "%s answered %s up to %" PRIu64 " times a second", server,
                      burst->code, pace_peak(&burst->pace));
    finding_explain(finding, "%" PRIu64 " times in %s, to %s. %s", burst->count,
                    finding_duration(burst->last - burst->first, length),
                    crowd_text(&burst->crowd, who), meaning->what);
    explain_scripts(detection, finding, burst);
    finding_advise(finding, "%s", meaning->advice);
    finding_evidence(finding, &from, "the first of them");
    if (bursts->left_out)
        finding_caveat(finding, "%" PRIu64 " errors of further servers and kinds are not looked at",
                       bursts->left_out);
    finding_addr(finding, &burst->server);
    if (node != NODE_NONE)
        finding_node(finding, model_node(detection->model, node)->id);
    struct value *metrics = finding_metrics(finding);
    value_addr(metrics, "server", &burst->server);
    value_wire(metrics, "code", bytes_str(burst->code));
    value_number(metrics, "count", burst->count);
    value_number(metrics, "peak_per_s", pace_peak(&burst->pace));
    crowd_tell(&burst->crowd, finding);
    if (finding)
        finding->quiet_if_caused = true;
    finding_ends(finding, pace_end(&burst->pace, burst->last, last, NS_PER_SEC), meaning->code);
    detection_report(detection, finding);
}

static void on_tick(const struct detection *detection, void *state, nstime time) {
    struct bursts *bursts = state;
    for (size_t i = 0; i < bursts->count; i++) {
        struct burst *burst = bursts->list[i];
        if (burst->count == 0 || time - burst->last < APART)
            continue;
        tell(detection, bursts, burst, time);
        burst->count = 0;
    }
}

static void finish(const struct detection *detection, void *state) {
    struct bursts *bursts = state;
    nstime last = model_books(detection->model)->last;
    for (size_t i = 0; i < bursts->count; i++) {
        struct burst *burst = bursts->list[i];
        if (burst->count)
            tell(detection, bursts, burst, last);
    }
}

static void dispose(void *state) {
    struct bursts *bursts = state;
    for (size_t i = 0; i < bursts->count; i++)
        free(bursts->list[i]);
    free(bursts->list);
}

const struct detector detect_error_burst = {
    .name = "error-burst",
    .help = "a server keeps answering one error",
    .wants = EVENT_BIT(client_error),
    .state = sizeof(struct bursts),
    .event = on_event,
    .tick = on_tick,
    .finish = finish,
    .dispose = dispose,
};
