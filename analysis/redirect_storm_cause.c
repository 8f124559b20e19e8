/* redirect_storm_cause.c - what a storm of redirects comes from: the cause of most of them, as the
 * model has it, unless clients cannot get where they are sent to. */
#include "analysis/redirect_storm.h"

enum { VAIN = 3 /* attempts */ };

const struct storm_words storm_words[STORM_KINDS] = {
    [REDIRECT_STALE] =
        {"stale-clients", SEVERITY_WARNING, "and never learn where the slots are",
         "They go to the same wrong server for each request, with a slot map that they do not "
         "renew.",
         "make these clients renew their slot map on MOVED (a cluster-aware client, its periodic "
         "or adaptive topology refresh switched on); until then restart them",
         "do not move the slots back for their sake: the servers agree and serve well"},
    [REDIRECT_CHANGE] =
        {"topology-change", SEVERITY_NOTICE, "while slots changed hands",
         "The slots had changed hands within the last ten seconds: clients were still learning.",
         "wait; look again if it goes on ten seconds after the last change", NULL},
    [REDIRECT_MIGRATION] =
        {"migration", SEVERITY_NOTICE, "for slots that are being migrated",
         "The slots are being migrated: each request for a key that has gone already is sent on "
         "(ASK), which clients must not remember.",
         "let the migration end; if nobody is at it any more, redis-cli --cluster fix ends it",
         NULL},
    [REDIRECT_SELF] =
        {"self-redirect", SEVERITY_WARNING, "to the server at which they are already",
         "The address that the server names is its own: what it announces does not tell the nodes "
         "apart, or an address translation in between leads clients elsewhere than they think.",
         "compare cluster-announce-ip, -port and -hostname of the nodes with what clients connect "
         "to, and look at whatever translates addresses or names between",
         "restarting clients does not help"},
    [REDIRECT_DISAGREEMENT] =
        {"disagreement", SEVERITY_WARNING, "by servers that disagree",
         "Servers named different owners for one slot at the same time.",
         "compare CLUSTER SLOTS of these servers, look for a partition or an epoch collision; "
         "redis-cli --cluster check names the slots, --cluster fix settles them",
         "do not restart clients: they do what they are told"},
    [REDIRECT_UNREACHABLE] =
        {"unreachable-target", SEVERITY_WARNING, "to a server that they cannot reach",
         "Nobody answers them where they are sent to.",
         "look at the address that the owner of these slots announces (cluster-announce-ip, "
         "CLUSTER NODES), and at the way there from the clients",
         "do not fail over for it: the owner itself may be well"},
    [STORM_AT_REPLICAS] =
        {"stale-clients", SEVERITY_WARNING, "from replicas to their primary",
         "The servers that they ask are replicas of the owner: a replica serves reads on "
         "connections that have said READONLY, and no writes.",
         "let these clients say READONLY on each connection to a replica (the library's option to "
         "read from replicas), and send their writes to the primary",
         "do not move slots or fail over for it: the servers agree and serve well"},
    [STORM_UNNAMED] =
        {"unreachable-target", SEVERITY_WARNING, "to a server that is not named",
         "The server does not name the host that clients are to go to.",
         "set cluster-announce-hostname on each node, or cluster-preferred-endpoint-type to ip",
         "do not fail over for it: the owner itself may be well"},
    [STORM_NOT_LOOKED_UP] =
        {"unreachable-target", SEVERITY_WARNING, "to host names to which they do not go",
         "Not one of these redirects was followed: these clients cannot look the name up, or do "
         "not follow redirects at all.",
         "look the names that CLUSTER SLOTS tells up on a host of these clients (getent hosts "
         "NAME): each cluster-announce-hostname has to be known there; or set "
         "cluster-preferred-endpoint-type to ip",
         "do not fail over for it: the owner itself may be well"},
};

/* Clients give up before they repeat a SYN, if they wait for less than a second. */
static bool nobody_answers(const struct model *model, const struct redirect_storm *storm,
                           const struct storm_target *target) {
    return target->tried >= VAIN && target->opened == 0 &&
           storm->last - target->first.time >= REDIRECT_GRACE &&
           !model_server_at(model, &target->addr);
}

const struct storm_target *storm_in_vain(const struct model *model,
                                         const struct redirect_storm *storm) {
    for (size_t i = 0; i < storm->target_count; i++) {
        const struct storm_target *target = &storm->targets[i];
        if (target->vain >= VAIN || nobody_answers(model, storm, target))
            return target;
    }
    return NULL;
}

uint64_t storm_next(const struct model *model, const struct redirect_storm *storm,
                    enum redirect_next next) {
    uint64_t nexts[REDIRECT_NEXTS];
    model_redirect_nexts(model, nexts);
    return nexts[next] - storm->nexts[next];
}

bool storm_nobody_goes(const struct model *model, const struct redirect_storm *storm) {
    for (size_t i = 0; i < storm->target_count; i++)
        if (storm->targets[i].tried)
            return false;
    return storm_next(model, storm, NEXT_FOLLOWED) + storm_next(model, storm, NEXT_ASKING) == 0;
}

/* Their way to the named server would have been seen, as others' is. */
static bool goes_by_no_name(const struct model *model, const struct redirect_storm *storm) {
    bool seen = storm->by_name > 0 && storm->by_name == storm->moved + storm->ask;
    for (size_t i = 0; seen && i < storm->target_count; i++)
        seen = model_server_at(model, &storm->targets[i].addr);
    return seen && storm_nobody_goes(model, storm);
}

/* What goes on long after a change is no more explained by it. */
enum redirect_cause storm_cause(const struct model *model, const struct redirect_storm *storm,
                                uint64_t least) {
    enum redirect_cause most = REDIRECT_STALE;
    for (int cause = 0; cause < REDIRECT_CAUSES; cause++)
        if (storm->by_cause[cause] > storm->by_cause[most])
            most = (enum redirect_cause)cause;
    if (most == REDIRECT_CHANGE && storm->by_cause[REDIRECT_STALE] >= least)
        most = REDIRECT_STALE;
    bool may_be_vain = most == REDIRECT_STALE || most == REDIRECT_CHANGE;
    may_be_vain = may_be_vain && (storm_in_vain(model, storm) || goes_by_no_name(model, storm));
    return may_be_vain ? REDIRECT_UNREACHABLE : most;
}

static bool is_replica_of_target(const struct model *model, struct redirect_storm *storm,
                                 const struct endpoint *server) {
    uint32_t index = model_node_at_address(model, server);
    const struct node *node = index == NODE_NONE ? NULL : model_node(model, index);
    uint32_t primary = node && node->replica ? node->primary : NODE_NONE;
    return primary != NODE_NONE && model_node(model, primary)->addr_known &&
           storm_target_at(storm, &model_node(model, primary)->addr);
}

/* After a failover the old primary is such a replica, too: then it is the change that they missed.
 */
unsigned storm_kind(const struct model *model, struct redirect_storm *storm,
                    enum redirect_cause cause) {
    bool replicas = cause == REDIRECT_STALE && !storm->change.at.time && storm->server_count > 0;
    for (size_t i = 0; replicas && i < storm->server_count; i++)
        replicas = is_replica_of_target(model, storm, &storm->servers[i]);
    if (cause == REDIRECT_UNREACHABLE && !storm_in_vain(model, storm))
        return goes_by_no_name(model, storm) ? STORM_NOT_LOOKED_UP : STORM_UNNAMED;
    return replicas ? (unsigned)STORM_AT_REPLICAS : cause;
}
