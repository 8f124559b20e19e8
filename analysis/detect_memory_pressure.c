/* detect_memory_pressure.c - a server is short of memory: it refuses writes (OOM), or what it says
 * of itself in INFO, when anybody asks, is past what operators let pass.
 *
 * Fragmentation matters only where much memory is lost by it: an empty server has a ratio of 8. The
 * limit is maxmemory, or without one the memory of the machine. A cache that evicts keys is always
 * full: that is not as bad. Moving slots needs room for what comes, so the limit is lower then. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/detector.h"
#include "analysis/model_clients.h"
#include "base/limits.h"
#include "base/list.h"

enum { STILL = 2 /* seconds before the end in which an OOM counts as going on */ };

/* What one answer to INFO said, and where. NOT_KNOWN, where it did not. */
struct memory {
    struct place place; /* TIME_NONE: there is none */
    struct ev_memory said;
    bool migrating;
};

struct pressure {
    struct endpoint addr;
    struct memory last, fragmented, full; /* the last one; the worst of those past a threshold */
    nstime first, until;                  /* signs; first TIME_NONE: none */
    uint64_t moved;                       /* requests that move keys, by the last INFO */
    uint64_t oom;
    struct place oom_first, oom_last;
    struct endpoint oom_client;
};

struct pressures {
    struct pressure *list;
    uint32_t count, room;
};

static struct pressure *add(struct pressures *all, const struct endpoint *addr) {
    struct pressure *list = all->count < CAP_SERVERS
                                ? list_with_room(all->list, all->count, &all->room, sizeof *list)
                                : NULL;
    if (!list)
        return NULL;
    all->list = list;
    struct pressure *one = &list[all->count++];
    *one = (struct pressure){.addr = *addr, .first = TIME_NONE};
    one->last.place = one->fragmented.place = one->full.place = place_none();
    return one;
}

static struct pressure *of(struct pressures *all, const struct endpoint *addr) {
    for (size_t i = 0; i < all->count; i++)
        if (endpoint_equal(&all->list[i].addr, addr))
            return &all->list[i];
    return add(all, addr);
}

/* ---- what INFO says ---- */

/* Requests that moved keys from here, or to here, so far. */
static uint64_t moved_so_far(const struct model *model, const struct endpoint *addr) {
    static const char *const movers[] = {"migrate", "restore-asking"};
    const struct server *server = model_server_at(model, addr);
    uint64_t moved = 0;
    for (size_t i = 0; server && i < command_count; i++)
        for (size_t k = 0; server->commands[i] && k < countof(movers); k++)
            if (strcmp(command_rows[i].name, movers[k]) == 0)
                moved += server->commands[i]->requests;
    return moved;
}

static uint64_t ratio(const struct ev_memory *said) {
    if (said->fragmentation != NOT_KNOWN)
        return said->fragmentation;
    bool known = said->rss != NOT_KNOWN && said->used != NOT_KNOWN && said->used > 0;
    return known ? (uint64_t)((double)said->rss * 1000 / (double)said->used) : 0;
}

/* Bytes that are not the data's. */
static uint64_t waste(const struct ev_memory *said) {
    if (said->used == NOT_KNOWN)
        return 0;
    if (said->rss != NOT_KNOWN)
        return said->rss > said->used ? said->rss - said->used : 0;
    uint64_t thousandths = ratio(said);
    return thousandths > 1000 ? (uint64_t)((double)said->used * (double)(thousandths - 1000) / 1000)
                              : 0;
}

static bool has_limit(const struct ev_memory *said) {
    return said->limit != NOT_KNOWN && said->limit > 0;
}

/* maxmemory, else the machine's memory; 0: not known. */
static uint64_t limit_of(const struct ev_memory *said) {
    if (has_limit(said))
        return said->limit;
    return said->limit == 0 && said->system != NOT_KNOWN ? said->system : 0;
}

/* Of the limit, in thousandths. */
static uint64_t share_of(const struct ev_memory *said) {
    uint64_t limit = limit_of(said);
    bool known = limit > 0 && said->rss != NOT_KNOWN;
    return known ? (uint64_t)((double)said->rss * 1000 / (double)limit) : 0;
}

static bool is_fragmented(const struct detection *detection, const struct ev_memory *said) {
    return ratio(said) > threshold(detection, THRESHOLD_memory_fragmentation) * 10 &&
           waste(said) >= threshold(detection, THRESHOLD_memory_waste) * 1000000;
}

static bool is_full(const struct detection *detection, const struct memory *now) {
    enum threshold which = now->migrating ? THRESHOLD_memory_rss_migration : THRESHOLD_memory_rss;
    return share_of(&now->said) > threshold(detection, which) * 10;
}

static void on_sign(struct pressure *one, nstime time) {
    if (one->first == TIME_NONE)
        one->first = time;
    one->until = time;
}

static void on_memory(const struct detection *detection, struct pressure *one,
                      const struct event *event) {
    uint64_t moved = moved_so_far(detection->model, &one->addr);
    struct memory now = {place_of(event), event->memory, moved > one->moved};
    bool fragmented = is_fragmented(detection, &now.said), full = is_full(detection, &now);
    one->moved = moved;
    one->last = now;
    if (fragmented || full)
        on_sign(one, event->time);
    if (fragmented && (one->fragmented.place.time == TIME_NONE ||
                       ratio(&now.said) > ratio(&one->fragmented.said)))
        one->fragmented = now;
    if (full &&
        (one->full.place.time == TIME_NONE || share_of(&now.said) > share_of(&one->full.said)))
        one->full = now;
}

static void on_oom(struct pressure *one, const struct event *event) {
    if (one->oom++ == 0) {
        one->oom_first = place_of(event);
        one->oom_client = *event->client_error.client;
    }
    one->oom_last = place_of(event);
    on_sign(one, event->time);
}

static void on_event(const struct detection *detection, void *state, const struct event *event) {
    struct pressures *all = state;
    struct pressure *one;
    if (event->type == EV_memory) {
        one = of(all, &event->flow->ends[event->direction]);
        if (one)
            on_memory(detection, one, event);
        return;
    }
    if (!bytes_equal(event->client_error.error, bytes_str("OOM")))
        return;
    one = of(all, event->client_error.server);
    if (one)
        on_oom(one, event);
}

/* ---- telling it ---- */

/* Its own maxmemory is nothing to a replica (replica-ignore-maxmemory, on by default). */
static bool ignores_limit(const struct detection *detection, const struct pressure *one) {
    uint32_t node = model_node_at_address(detection->model, &one->addr);
    return node != NODE_NONE && model_node(detection->model, node)->replica && one->oom == 0;
}

/* Writes fail, or will soon: nothing is evicted, or the kernel will kill the process. */
static enum severity severity_of(const struct detection *detection, const struct pressure *one) {
    const struct ev_memory *full = &one->full.said;
    bool evicts = has_limit(full) && full->evicts != NOT_KNOWN && full->evicts;
    evicts |= has_limit(full) && ignores_limit(detection, one);
    bool bad = one->oom > 0 || (one->full.place.time != TIME_NONE && !evicts);
    return bad ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

static const char *verdict_of(const struct pressure *one) {
    if (one->oom > 0)
        return "writes-refused";
    return one->full.place.time != TIME_NONE ? "near-limit" : "fragmented";
}

static void title(struct finding *finding, const struct pressure *one, const char *name) {
    if (one->oom > 0)
        finding_title(finding, "%s refused %" PRIu64 " %s for want of memory", name, one->oom,
                      one->oom == 1 ? "request" : "requests");
    else if (one->full.place.time != TIME_NONE)
        finding_title(finding, "%s has taken %" PRIu64 " %% of the memory that it may have", name,
                      share_of(&one->full.said) / 10);
    else
        finding_title(finding, "The memory of %s is fragmented: %.2f times what its data need",
                      name, (double)ratio(&one->fragmented.said) / 1000);
}

static void tell_oom(struct finding *finding, const struct pressure *one) {
    char client[ENDPOINT_TEXT];
    value_number(finding_metrics(finding), "oom_replies", one->oom);
    if (one->oom == 0)
        return;
    endpoint_text(&one->oom_client, client);
    finding_explain(finding,
                    "It answered OOM: its data are past maxmemory, and nothing may be evicted, so "
                    "commands that could need memory are refused while reads still work. The first "
                    "client was %s.",
                    client);
    finding_evidence(finding, &one->oom_first, "the first OOM");
    if (one->oom > 1)
        finding_evidence(finding, &one->oom_last, "the last one");
    finding_client(finding, &one->oom_client);
    finding_advise(finding,
                   "make room: raise maxmemory if the machine has it, move slots to another "
                   "primary, delete keys or give them a time to live; a cache should have "
                   "an eviction policy");
    finding_advise(finding, "a restart does not help: the data come back");
}

static const char *what_then(bool ignores, bool evicts) {
    return ignores  ? "It is a replica: these evict nothing of their own accord and go past the "
                      "limit, unless replica-ignore-maxmemory is off."
           : evicts ? "It may evict keys: writes go on, data that did not expire may be lost."
                    : "It may not evict keys: when its data reach the limit, writes are refused.";
}

static void tell_full(const struct detection *detection, struct finding *finding,
                      const struct pressure *one) {
    const struct ev_memory *said = &one->full.said;
    char rss[BYTES_TEXT], limit[BYTES_TEXT];
    if (one->full.place.time == TIME_NONE)
        return;
    finding_explain(finding, "Its INFO said that the process has %s; %s %s%s.",
                    finding_bytes(said->rss, rss),
                    has_limit(said) ? "maxmemory is" : "maxmemory is not set, and the machine has",
                    finding_bytes(limit_of(said), limit),
                    one->full.migrating ? ", and keys were being moved" : "");
    if (has_limit(said) && said->evicts != NOT_KNOWN)
        finding_explain(finding, "%s", what_then(ignores_limit(detection, one), said->evicts));
    if (one->full.migrating)
        finding_advise(finding, "do not move more slots to it before it has room");
    if (!has_limit(said))
        finding_advise(finding, "set maxmemory, so that writes fail before the kernel kills the "
                                "process; leave room for a fork");
    finding_evidence(finding, &one->full.place, "INFO: its memory");
}

static void tell_fragmented(struct finding *finding, const struct pressure *one) {
    const struct ev_memory *said = &one->fragmented.said;
    char lost[BYTES_TEXT];
    if (one->fragmented.place.time == TIME_NONE)
        return;
    finding_explain(finding,
                    "Its INFO said that the process takes %.2f times the memory of its data: %s "
                    "more.",
                    (double)ratio(said) / 1000, finding_bytes(waste(said), lost));
    finding_evidence(finding, &one->fragmented.place, "INFO: its fragmentation");
    finding_advise(finding,
                   "activedefrag yes lowers fragmentation while the server runs; so does a "
                   "restart of it as a replica, after a failover");
}

/* What serves clients, replicas and other nodes rather than data. */
static void tell_buffers(struct finding *finding, const struct ev_memory *said) {
    static const struct {
        const char *name, *what;
        size_t offset;
    } rows[] = {
        {"client_buffers", "clients", offsetof(struct ev_memory, client_buffers)},
        {"replica_buffers", "replicas", offsetof(struct ev_memory, replica_buffers)},
        {"link_buffers", "links of the bus", offsetof(struct ev_memory, link_buffers)},
    };
    char text[BYTES_TEXT];
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t bytes = *(const uint64_t *)((const char *)said + rows[i].offset);
        if (bytes == NOT_KNOWN)
            continue;
        value_number(finding_metrics(finding), rows[i].name, bytes);
        if (said->used != NOT_KNOWN && bytes > said->used / 5)
            finding_explain(finding, "Of that %s are buffers for %s.", finding_bytes(bytes, text),
                            rows[i].what);
    }
}

static void number(struct finding *finding, const char *name, uint64_t value) {
    if (value != NOT_KNOWN)
        value_number(finding_metrics(finding), name, value);
}

static void tell_memory(struct finding *finding, const struct pressure *one) {
    const struct memory *worst = one->full.place.time != TIME_NONE         ? &one->full
                                 : one->fragmented.place.time != TIME_NONE ? &one->fragmented
                                                                           : &one->last;
    const struct ev_memory *said = &worst->said;
    if (worst->place.time == TIME_NONE) {
        finding_caveat(finding,
                       "nobody asked it for INFO while the capture ran: how much memory it "
                       "has and uses is not known");
        return;
    }
    const struct memory *fragmented =
        one->fragmented.place.time != TIME_NONE ? &one->fragmented : worst;
    if (ratio(&fragmented->said))
        value_real(finding_metrics(finding), "fragmentation_ratio",
                   (double)ratio(&fragmented->said) / 1000);
    if (share_of(said))
        value_real(finding_metrics(finding), "rss_share", (double)share_of(said) / 1000);
    else
        finding_caveat(finding, "its INFO as captured does not tell both how much memory the "
                                "process has and how much it may have");
    number(finding, "used_memory", said->used);
    number(finding, "used_memory_rss", said->rss);
    if (one->oom > 0 && said->limit == 0)
        finding_caveat(finding, "its INFO was of a moment when maxmemory was not set");
    else
        number(finding, "maxmemory", said->limit);
    tell_buffers(finding, said);
}

static bool goes_on(const struct detection *detection, const struct pressure *one) {
    nstime end = model_books(detection->model)->last;
    bool refuses = one->oom > 0 && end - one->oom_last.time < STILL * NS_PER_SEC;
    bool pressed = one->last.place.time != TIME_NONE &&
                   (is_fragmented(detection, &one->last.said) || is_full(detection, &one->last));
    return refuses || pressed;
}

static void tell(const struct detection *detection, const struct pressure *one) {
    uint32_t node = model_node_at_address(detection->model, &one->addr);
    char name[ENDPOINT_TEXT];
    endpoint_text(&one->addr, name);
    struct finding *finding =
        finding_new("memory-pressure", severity_of(detection, one), one->first);
    title(finding, one, name);
    finding_addr(finding, &one->addr);
    if (node != NODE_NONE) {
        finding_node(finding, model_node(detection->model, node)->id);
        value_node(finding_metrics(finding), "node", model_node(detection->model, node)->id);
    } else {
        finding_caveat(finding, "the bus did not tell which node this is");
    }
    tell_oom(finding, one);
    tell_full(detection, finding, one);
    tell_fragmented(finding, one);
    tell_memory(finding, one);
    finding_ends(finding, goes_on(detection, one) ? TIME_NONE : one->until, verdict_of(one));
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    const struct pressures *all = state;
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].first != TIME_NONE)
            tell(detection, &all->list[i]);
}

static void dispose(void *state) {
    free(((struct pressures *)state)->list);
}

const struct detector detect_memory_pressure = {
    .name = "memory-pressure",
    .help = "a server refuses writes for want of memory, or its INFO says that it is short of it",
    .wants = EVENT_BIT(memory) | EVENT_BIT(client_error),
    .state = sizeof(struct pressures),
    .event = on_event,
    .finish = finish,
    .dispose = dispose,
};
