/* process_end.c - see process_end.h. Told where the capture is that of one host: elsewhere others
 * are heard, and what they marked failed is told with its cause. One that is there again may have
 * been restarted on purpose: from its connections that cannot be told. */
#include "analysis/process_end.h"

const struct server *process_server(const struct model *model, uint32_t index) {
    const struct node *node = model_node(model, index);
    return node->addr_known ? model_server_at(model, &node->addr) : NULL;
}

nstime process_last_sign(const struct model *model, uint32_t index) {
    const struct node *node = model_node(model, index);
    const struct server *server = process_server(model, index);
    nstime said = later(node->spoke.time, node->tried);
    return server ? later(server->last_reply, said) : said;
}

struct stamp process_closes(const struct model *model, uint32_t index, nstime since,
                            uint32_t *ret_count) {
    struct stamp first = {.time = TIME_NONE};
    *ret_count = 0;
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct link *link = model_link(model, i);
        struct stamp closed = link->closed[link->to == index];
        bool is_its = link->to == index || link->from == index;
        if (!is_its || closed.time == TIME_NONE || closed.time < since)
            continue;
        if ((*ret_count)++ == 0 || closed.time < first.time)
            first = closed;
    }
    return first;
}

/* ---- its beginning ---- */

/* A server that was never heard has not been started yet. */
static void look_at(const struct detection *detection, struct process_ends *ends, uint32_t host,
                    nstime now) {
    const struct model *model = detection->model;
    const struct knocks *knocks = &model_node(model, host)->knocks;
    nstime since = process_last_sign(model, host);
    if (since == TIME_NONE || knocks->refused == 0 || ends->count == PROCESS_ENDS)
        return;
    uint32_t closes;
    struct stamp closed = process_closes(model, host, since, &closes);
    struct verdict verdict = verdict_about(model, host, NODE_NONE, since, now);
    if (closed.time == TIME_NONE || verdict.kind != VERDICT_PROCESS_DIED)
        return;
    const struct server *server = process_server(model, host);
    ends->list[ends->count++] =
        (struct process_end){.node = host,
                             .since = since,
                             .back = TIME_NONE,
                             .closed = closed,
                             .refused = knocks->first,
                             .verdict = verdict,
                             .command = server ? server->last_command : NULL};
}

/* ---- its end ---- */

/* Or another node is there now, as whom it was started again. */
static void look_for_return(const struct model *model, struct process_end *end, nstime now) {
    const struct node *node = model_node(model, end->node);
    const struct server *server = process_server(model, end->node);
    nstime served = server ? process_pause_end(&server->pause, end->since) : TIME_NONE;
    end->over = process_last_sign(model, end->node) > end->since;
    end->back = earlier(process_pause_end(&node->pause, end->since), served);
    if (!end->over && model_is_replaced(model, end->node))
        end->over = true;
    if (end->over && end->back == TIME_NONE)
        end->back = now;
}

static struct process_end *open_one(struct process_ends *ends) {
    struct process_end *last = ends->count ? &ends->list[ends->count - 1] : NULL;
    return last && !last->over ? last : NULL;
}

void process_ends_tick(const struct detection *detection, struct process_ends *ends, nstime now) {
    struct process_end *open = open_one(ends);
    if (open) {
        look_for_return(detection->model, open, now);
        return;
    }
    uint32_t host = model_vantage(detection->model);
    if (host != NODE_NONE)
        look_at(detection, ends, host, now);
}

/* ---- telling it ---- */

static void tell_title(const struct process_end *end, const char *name, nstime duration,
                       struct finding *finding) {
    if (end->over)
        finding_title(finding, "The process at %s ended, and one was there again after %.1f s",
                      name, (double)duration / (double)NS_PER_SEC);
    else
        finding_title(finding, "The process at %s has ended, and none is there since", name);
}

static void tell_proof(const struct process_end *end, struct finding *finding) {
    struct place closed = place_of_stamp(end->closed), refused = place_of_stamp(end->refused);
    finding_evidence(finding, &closed, "it closes the first of its bus connections");
    finding_evidence(finding, &refused, "its kernel refuses a new one");
    if (!end->verdict.order)
        finding_caveat(finding,
                       "whether somebody stopped it, or it was killed, looks the same here");
    if (end->command)
        value_text(finding_metrics(finding), "last_command", end->command->name);
    else
        finding_caveat(finding, "no command was seen that it answered before");
    finding_caveat(finding, "whether the others marked it failed meanwhile was not heard here");
}

static void tell(const struct detection *detection, struct process_end *end) {
    const struct model *model = detection->model;
    nstime until = end->over ? end->back : model_books(model)->last;
    char name[ENDPOINT_TEXT];
    model_node_text(model, end->node, name);
    verdict_settle(model, end->node, &end->verdict);
    bool meant = end->verdict.order;
    struct finding *finding = finding_new(
        "process-stall", meant || end->over ? SEVERITY_NOTICE : SEVERITY_WARNING, end->since);
    if (!finding) {
        detection_report(detection, NULL);
        return;
    }
    tell_title(end, name, until - end->since, finding);
    verdict_tell(&end->verdict, finding);
    value_node(finding_metrics(finding), "node", model_node(model, end->node)->id);
    value_ms(finding_metrics(finding), "duration_ms", until - end->since);
    tell_proof(end, finding);
    finding_node(finding, model_node(model, end->node)->id);
    finding_advise(finding, "%s",
                   meant ? "nothing, if this was meant; before a primary is stopped, let a replica "
                           "take over (CLUSTER FAILOVER)"
                         : "look at its log and at the kernel's (out of memory, a crash)");
    finding->end = end->over ? end->back : TIME_NONE;
    detection_report(detection, finding);
}

void process_ends_tell(const struct detection *detection, struct process_ends *ends) {
    struct process_end *open = open_one(ends);
    if (open)
        look_for_return(detection->model, open, model_books(detection->model)->last);
    for (size_t i = 0; i < ends->count; i++)
        tell(detection, &ends->list[i]);
}
