/* report_text_incidents.c - findings that hang together, as one story: the cause, then what it led
 * to in the order of time, counted from when it began, and what it cost. */
#include <stdlib.h>

#include "report/format.h"
#include "report/report_text.h"

enum { COST_MAX = 512 };

/* ---- what an incident cost ---- */

enum measure { SUM, LONGEST_MS };

/* Of the rows of one group the first with something to say is told. */
static const struct {
    const char *type, *metric, *noun, *what; /* noun: of a count */
    int group;
    enum measure measure;
} costs[] = {
    {"lost-writes", "count", "acknowledged write", "lost", 0, SUM},
    {"split-brain", "writes_acknowledged", "write", "acknowledged by two primaries", 1, SUM},
    {"failover", "unavailable_ms", NULL, "without service", 2, LONGEST_MS},
    {"slot-uncovered", "duration_ms", NULL, "of slots without an owner", 2, LONGEST_MS},
    {"cluster-down", "duration_ms", NULL, "of a cluster that says it is down", 2, LONGEST_MS},
    {"cluster-down", "replies", "request", "answered CLUSTERDOWN", 3, SUM},
};

static uint64_t metric_of(const struct finding *finding, const char *name) {
    for (const struct value *v = finding->metrics.first; v; v = v->next)
        if (v->kind == VALUE_NUMBER && strcmp(v->name, name) == 0)
            return v->number;
    return 0;
}

static uint64_t cost_of(const struct engine *engine, size_t incident, size_t row) {
    uint64_t cost = 0;
    for (size_t i = 0; i < engine_finding_count(engine); i++) {
        const struct finding *finding = engine_finding(engine, i);
        if (finding->incident != incident || strcmp(finding->type, costs[row].type) != 0)
            continue;
        uint64_t value = metric_of(finding, costs[row].metric);
        if (costs[row].measure == SUM)
            cost += value;
        else if (value > cost)
            cost = value;
    }
    return cost;
}

void page_cost(struct buf *buf, const struct engine *engine, size_t incident) {
    int told = -1;
    size_t from = buf->len;
    for (size_t row = 0; row < countof(costs); row++) {
        uint64_t cost = costs[row].group == told ? 0 : cost_of(engine, incident, row);
        if (cost == 0)
            continue;
        told = costs[row].group;
        buf_text(buf, buf->len > from ? ", " : "");
        if (costs[row].measure == SUM)
            buf_count(buf, cost, costs[row].noun);
        else
            buf_duration(buf, (nstime)cost * NS_PER_MS);
        buf_printf(buf, " %s", costs[row].what);
    }
}

/* ---- the story ---- */

nstime page_incident_start(const struct engine *engine, size_t incident) {
    nstime start = TIME_NONE;
    for (size_t i = 0; i < engine_finding_count(engine); i++) {
        const struct finding *finding = engine_finding(engine, i);
        if (finding->incident == incident && (start == TIME_NONE || finding->start < start))
            start = finding->start;
    }
    return start;
}

void page_since(struct buf *buf, nstime time, nstime start) {
    buf_printf(buf, "%+.3f s", (double)(time - start) / (double)NS_PER_SEC);
}

/* What follows from nothing else comes first, then the order of time. */
static int in_story(const void *a, const void *b) {
    const struct finding *x = *(const struct finding *const *)a;
    const struct finding *y = *(const struct finding *const *)b;
    if (!x->cause != !y->cause)
        return x->cause ? 1 : -1;
    if (x->start != y->start)
        return x->start > y->start ? 1 : -1;
    return strcmp(x->type, y->type);
}

static void put_since(struct page *page, nstime time, nstime start) {
    size_t from = page->buf->len;
    page_since(page->buf, time, start);
    buf_pad_left(page->buf, from, 12);
}

static void story_line(struct page *page, const struct finding *finding, nstime start) {
    const struct engine *engine = page->report->engine;
    buf_text(page->buf, "  ");
    put_since(page, finding->start, start);
    buf_printf(page->buf, "  f%-3zu ", view_finding_number(engine, finding));
    page_toned(page, page_severity_tone(finding->severity), finding->title);
    if (finding->cause)
        buf_printf(page->buf, " (from f%zu)", view_finding_number(engine, finding->cause));
    buf_text(page->buf, "\n");
}

/* How many of the members that follow say the same as the first. */
static size_t alike(const struct finding *const *members, size_t count) {
    size_t more = 0;
    while (more + 1 < count && view_alike(members[0], members[more + 1]))
        more++;
    return more;
}

/* One line more stands for what is like the line before, if that saves any. */
static void story_lines(struct page *page, const struct finding *const *members, size_t count,
                        nstime start) {
    for (size_t i = 0; i < count; i++) {
        size_t more = alike(members + i, count - i);
        story_line(page, members[i], start);
        if (more < 2 || page->options->style.whole)
            continue;
        i += more;
        buf_text(page->buf, "  ");
        put_since(page, members[i]->start, start);
        buf_printf(page->buf, "  ...  the last of %zu more like it\n", more);
    }
}

static nstime end_of(const struct finding *const *members, size_t count) {
    nstime end = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i]->end == TIME_NONE)
            return TIME_NONE;
        end = members[i]->end > end ? members[i]->end : end;
    }
    return end;
}

static void put_incident(struct page *page, size_t incident, const struct finding **members,
                         size_t count) {
    struct buf cost = {.max = COST_MAX};
    nstime start = page_incident_start(page->report->engine, incident);
    nstime end = end_of(members, count);
    qsort(members, count, sizeof(const struct finding *), in_story);
    buf_printf(page->buf, "  Incident i%zu, from ", incident);
    page_clock(page->buf, start);
    buf_text(page->buf, end == TIME_NONE ? " until the end of the capture" : ", for ");
    if (end != TIME_NONE)
        buf_duration(page->buf, end - start);
    buf_text(page->buf, "\n");
    story_lines(page, members, count, start);
    page_cost(&cost, page->report->engine, incident);
    if (cost.len > 0)
        page_paragraph(page, "cost        ", buf_str(&cost));
    page->buf->failed |= cost.failed;
    buf_free(&cost);
}

void page_incidents(struct page *page) {
    const struct engine *engine = page->report->engine;
    size_t total = engine_finding_count(engine), listed = 0;
    const struct finding **members = malloc(total * sizeof(const struct finding *));
    page->buf->failed |= !members;
    for (size_t incident = 1; members && listed < total; incident++) {
        size_t count = 0;
        for (size_t i = 0; i < total; i++)
            if (engine_finding(engine, i)->incident == incident)
                members[count++] = engine_finding(engine, i);
        if (count == 0)
            break;
        put_incident(page, incident, members, count);
        listed += count;
    }
    free(members);
    if (listed)
        buf_text(page->buf, "\n");
}
