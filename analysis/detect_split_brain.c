/* detect_split_brain.c - two primaries for the same slots: one goes on claiming or serving them
 * after another has claimed them with a config epoch that is no smaller.
 *
 * Every handover overlaps for a moment, and a primary that was dead or cut off claims its slots
 * once more when it comes back, until it hears the news. So what counts is how long the one in the
 * wrong was seen at work: from its first claim or acknowledged write after the other's claim to its
 * last. One that refused its clients all that time has done no harm: it is told, but not cried. */
#include <inttypes.h>

#include "analysis/detector.h"
#include "analysis/model_claims.h"

static nstime first_of(const struct contest_acts *acts) {
    return acts->count ? acts->first.time : TIME_NONE;
}

static nstime last_of(const struct contest_acts *acts) {
    return acts->count ? acts->last.time : TIME_NONE;
}

/* From the first to the last of two kinds of acts. */
static nstime span_of(const struct contest_acts *a, const struct contest_acts *b) {
    if (a->count + b->count == 0)
        return 0;
    return later(last_of(a), last_of(b)) - earlier(first_of(a), first_of(b));
}

/* Did it work as a primary, for its clients or at least in its own eyes? */
static bool served(const struct contest *contest) {
    return span_of(&contest->served, &contest->writes) > CONTEST_BRIEF;
}

/* Alive, a primary in its own eyes, and of no use to its clients. */
static bool only_claimed(const struct contest *contest) {
    return contest->claims.count && span_of(&contest->claims, &contest->refusals) > CONTEST_BRIEF;
}

static nstime end_of(const struct contest *contest) {
    nstime seen = later(last_of(&contest->claims), last_of(&contest->writes));
    return contest->ended != TIME_NONE ? contest->ended : seen;
}

/* ---- telling ---- */

static void add_claimant(struct finding *finding, const struct model *model, uint32_t index,
                         uint64_t epoch, struct value *claimants) {
    const char *id = model_node(model, index)->id;
    struct value *claimant = value_object(claimants, NULL);
    value_node(claimant, "node", id);
    value_number(claimant, "epoch", epoch);
    finding_node(finding, id);
}

static void measure(struct finding *finding, const struct model *model,
                    const struct contest *contest) {
    struct value *metrics = finding_metrics(finding);
    value_slots(metrics, "slots", contest->slots);
    struct value *claimants = value_list(metrics, "claimants");
    add_claimant(finding, model, contest->claimant, contest->claimant_epoch, claimants);
    add_claimant(finding, model, contest->node, contest->node_epoch, claimants);
    value_number(metrics, "writes_acknowledged", contest->writes.count);
    value_number(metrics, "refusals", contest->refusals.count);
    value_ms(metrics, "duration_ms", end_of(contest) - contest->since);
    finding_slots(finding, contest->slots);
}

static void show(struct finding *finding, const struct contest *contest, const char *loser,
                 const char *winner) {
    finding_evidence(finding, &contest->claim, "%s claims the slots with config epoch %" PRIu64,
                     winner, contest->claimant_epoch);
    if (contest->claims.count) {
        finding_evidence(finding, &contest->claims.first,
                         "%s claims them still, with epoch %" PRIu64, loser, contest->node_epoch);
        finding_evidence(finding, &contest->claims.last, "its last message that claims them");
    }
    if (contest->writes.count) {
        finding_evidence(finding, &contest->writes.first, "%s acknowledges a write to them", loser);
        finding_evidence(finding, &contest->writes.last, "the last write that it acknowledges");
    }
    if (contest->refusals.count)
        finding_evidence(finding, &contest->refusals.first, "%s answers a client with an error",
                         loser);
}

static void explain(struct finding *finding, const struct contest *contest, const char *loser,
                    const char *winner) {
    double seconds = (double)(end_of(contest) - contest->since) / (double)NS_PER_SEC;
    if (contest->claimant_epoch == contest->node_epoch)
        finding_explain(finding,
                        "%s claimed slots of %s with the same config epoch, %" PRIu64 ": both took "
                        "them over without a vote.",
                        winner, loser, contest->claimant_epoch);
    else
        finding_explain(finding,
                        "%s claimed slots of %s with config epoch %" PRIu64 ", which beats the "
                        "older one's %" PRIu64 ".",
                        winner, loser, contest->claimant_epoch, contest->node_epoch);
    finding_explain(finding, "%s went on as their primary for %.1f s", loser, seconds);
    if (contest->writes.count)
        finding_explain(finding,
                        "and acknowledged %" PRIu64 " writes to them. What it accepts after the "
                        "other's claim is thrown away once it gives in.",
                        contest->writes.count);
    else if (served(contest))
        finding_explain(finding, "and said in its messages that the cluster was ok. No write that "
                                 "it acknowledged was seen.");
    else
        finding_explain(finding,
                        "but held the cluster for down: no write that it acknowledged was seen, "
                        "and %" PRIu64 " requests were answered with errors.",
                        contest->refusals.count);
}

static void advise(struct finding *finding, const struct contest *contest, const char *loser) {
    if (contest->ended == TIME_NONE) {
        finding_caveat(finding, "at the end of the capture %s still claimed them", loser);
        finding_advise(finding,
                       "keep clients away from %s until it follows the new primary: what "
                       "it accepts now will be lost",
                       loser);
    }
    finding_advise(finding, "look for what kept the two apart (partition, firewall), and whether "
                            "somebody used CLUSTER FAILOVER TAKEOVER");
    finding_advise(finding,
                   "save the data of %s (BGSAVE, copy the file) before it resynchronises, "
                   "if it has not yet done so",
                   loser);
    finding_advise(finding, "min-replicas-to-write 1 makes a primary without replicas refuse "
                            "writes");
}

static void tell(const struct detection *detection, const struct contest *contest) {
    const struct model *model = detection->model;
    char loser[ENDPOINT_TEXT], winner[ENDPOINT_TEXT];
    bool harmful = served(contest);
    model_node_text(model, contest->node, loser);
    model_node_text(model, contest->claimant, winner);
    struct finding *finding =
        finding_new("split-brain", harmful ? SEVERITY_CRITICAL : SEVERITY_NOTICE, contest->since);
    if (harmful)
        finding_title(finding, "%s and %s were primaries of the same slots", loser, winner);
    else
        finding_title(finding, "%s and %s both claimed the same slots, but only one served them",
                      loser, winner);
    explain(finding, contest, loser, winner);
    show(finding, contest, loser, winner);
    measure(finding, model, contest);
    advise(finding, contest, loser);
    if (contest->writes.count == 0)
        finding_doubt(finding, CONFIDENCE_LIKELY);
    finding_ends(finding, contest->ended, NULL);
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    for (size_t i = 0; i < model_contest_count(detection->model); i++) {
        const struct contest *contest = model_contest(detection->model, i);
        if (served(contest) || only_claimed(contest))
            tell(detection, contest);
    }
}

const struct detector detect_split_brain = {
    .name = "split-brain",
    .help = "two primaries went on serving the same slots",
    .finish = finish,
};
