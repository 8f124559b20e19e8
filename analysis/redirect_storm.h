/* redirect_storm.h - an episode of redirects: kept by detect_redirect_storm.c while it lasts, told
 * from what it comes by redirect_storm_cause.c, and made a finding by redirect_storm_finding.c. */
#ifndef BUSTAP_ANALYSIS_REDIRECT_STORM_H
#define BUSTAP_ANALYSIS_REDIRECT_STORM_H

#include "analysis/crowd.h"
#include "analysis/detector.h"
#include "analysis/model_redirects.h"
#include "analysis/pace.h"

enum { STORM_SERVERS = 16, STORM_TARGETS = 8, STORM_NAMED = 80 };

/* No redirect for so long: it is over. */
static const nstime STORM_APART = 5 * NS_PER_SEC;

/* An address that clients were sent to, and attempts to connect to it meanwhile. */
struct storm_target {
    struct endpoint addr;
    uint64_t tried, opened; /* begun; accepted */
    uint64_t vain;          /* refused, or repeated for want of an answer */
    struct place first;     /* of those */
};

struct redirect_storm {
    uint64_t moved, ask, again, by_cause[REDIRECT_CAUSES];
    uint64_t by_name;   /* to a host whose name a node announces */
    nstime last, since; /* since: of what is no news */
    struct pace pace;
    struct crowd crowd;
    uint64_t refreshes;             /* of the topology, by hosts of the crowd */
    uint64_t nexts[REDIRECT_NEXTS]; /* when it began */
    uint8_t slots[BUS_SLOT_BYTES];
    struct slot_change change; /* the last one of these slots */
    struct endpoint servers[STORM_SERVERS];
    size_t server_count, target_count;
    struct storm_target targets[STORM_TARGETS];
    char named[STORM_NAMED]; /* a target that is no address, as written; empty: none */
    struct place place, last_place;
};

/* What it comes from: a cause of redirects, or one that only shows in many of them. */
enum storm_kind {
    STORM_AT_REPLICAS = REDIRECT_CAUSES, /* stale in another way: no slot map would help them */
    STORM_UNNAMED,                       /* unreachable: no host is named */
    STORM_NOT_LOOKED_UP,                 /* unreachable: a name that clients do not know */
    STORM_KINDS
};

struct storm_words {
    const char *name;
    enum severity severity;
    const char *title, *why, *advice, *not_advised; /* the last one may be NULL */
};

extern const struct storm_words storm_words[STORM_KINDS];

/* NULL: clients were not sent there. */
static inline struct storm_target *storm_target_at(struct redirect_storm *storm,
                                                   const struct endpoint *addr) {
    for (size_t i = 0; i < storm->target_count; i++)
        if (endpoint_equal(&storm->targets[i].addr, addr))
            return &storm->targets[i];
    return NULL;
}

/* That of most of its redirects; `least` of a window are a storm. */
enum redirect_cause storm_cause(const struct model *model, const struct redirect_storm *storm,
                                uint64_t least);

/* That cause, or an enum storm_kind: which of the words. */
unsigned storm_kind(const struct model *model, struct redirect_storm *storm,
                    enum redirect_cause cause);

/* The target that clients call in vain; NULL: there is none. */
const struct storm_target *storm_in_vain(const struct model *model,
                                         const struct redirect_storm *storm);

/* No client was seen where it was sent to: it did not go there, or not in this capture. */
bool storm_nobody_goes(const struct model *model, const struct redirect_storm *storm);

/* How often since it began clients did that next. */
uint64_t storm_next(const struct model *model, const struct redirect_storm *storm,
                    enum redirect_next next);

/* It is over, or the capture is; nothing is told if it was no storm. `last`: the time now. */
void redirect_storm_tell(const struct detection *detection, struct redirect_storm *storm,
                         nstime last);

#endif
