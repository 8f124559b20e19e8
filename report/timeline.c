/* timeline.c - conclusions as sentences.
 *
 * Each kind of conclusion has a template. {field} is the field's text form, and for a node its
 * address, by which people know it; {#field} is a node's short id; {=node} is the address too, but
 * "itself" when that is who it is about. What stands between [ and ] is
 * left out when a field in it has nothing to say. */
#include "report/timeline.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "report/format.h"
#include "report/render.h"

enum {
    SENTENCE_MAX = 400,          /* a longer one is cut */
    SENTENCE_HOLD = 1 << 20,     /* a bitmap of scattered slots is long before it is cut */
    TIMELINE_TEXT_MAX = 8 << 20, /* all sentences; what no longer fits is left out */
};

static const struct render_style short_style; /* ids are cut */

static const char *const templates[EV_COUNT] = {
    [EV_node_seen] = "{#about} appears at {addr}, told by {=node}",
    [EV_node_heard] =
        "{=node} is heard: {role}[ of {about}][, slots {slots}], epoch {config_epoch}",
    [EV_node_address] = "{#about} moves from {was} to {addr}, told by {=node}",
    [EV_node_role] = "{node} is now a {role}[ of {about}]",
    [EV_node_slots] = "{node}[ takes slots {gained}][ gives up slots {lost}], epoch {config_epoch}",
    [EV_node_epoch] = "{node} changes its configuration epoch from {was} to {config_epoch}",
    [EV_cluster_epoch] = "{node} raises the cluster's epoch from {was} to {current_epoch}",
    [EV_node_state] = "{node} says that the cluster state is {state}",
    [EV_node_suspected] = "{node} suspects {about} (PFAIL)",
    [EV_node_failed] = "{node} holds {about} for failed (FAIL)",
    [EV_node_cleared] = "{node} no longer holds anything against {about}",
    [EV_fail_announced] = "{node} announces that {about} has failed (FAIL message)",
    [EV_vote_requested] = "{node} asks[ {about}] for a vote in epoch {epoch}",
    [EV_vote_granted] = "{node} votes for {about} in epoch {epoch}",
    [EV_vote_refused] = "{node} refuses[ {about}] its vote in epoch {epoch}, reason {reason}",
    [EV_manual_failover] = "{node} asks[ {about}] to hand over (manual failover)",
    [EV_update_sent] =
        "{node} sends[ {about}] the newer slots of {owner}, epoch {config_epoch} (UPDATE)",
};

/* ---- sentences ---- */

struct sentence {
    struct buf *buf;
    const struct model *model;
    const struct event *event;
};

static const struct event_field *field_named(const struct event *event, const char *name,
                                             size_t len) {
    const struct event_field *field = event_rows[event->type].fields();
    while (field->name && (strlen(field->name) != len || memcmp(field->name, name, len) != 0))
        field++;
    return field->name ? field : NULL;
}

static const char *id_in(const struct event *event, const struct event_field *field) {
    const char *id;
    memcpy(&id, (const char *)event + field->offset, sizeof id);
    return id;
}

/* Puts the node's address; false if it is not known. */
static bool put_address(struct sentence *sentence, const struct event_field *field) {
    const char *id = id_in(sentence->event, field);
    uint32_t index = id ? model_index_of(sentence->model, id) : NODE_NONE;
    if (index == NODE_NONE || !model_node(sentence->model, index)->addr_known)
        return false;
    char text[ENDPOINT_TEXT];
    endpoint_text(&model_node(sentence->model, index)->addr, text);
    buf_text(sentence->buf, text);
    return true;
}

static bool is_about_itself(const struct event *event, const struct event_field *node) {
    const struct event_field *about = field_named(event, "about", strlen("about"));
    const char *a = id_in(event, node), *b = about ? id_in(event, about) : NULL;
    return a && b && memcmp(a, b, BUS_NODE_ID) == 0;
}

/* `name` is what stands between { and }. False: there is nothing to put. */
static bool put_field(struct sentence *sentence, const char *name, size_t len) {
    bool short_id = *name == '#', or_itself = *name == '=', marked = short_id || or_itself;
    const struct event_field *field = field_named(sentence->event, name + marked, len - marked);
    size_t before = sentence->buf->len;
    if (!field)
        return false;
    if (or_itself && is_about_itself(sentence->event, field))
        buf_text(sentence->buf, "itself");
    else if (short_id || field->kind != FIELD_NODE || !put_address(sentence, field))
        render_field(sentence->buf, sentence->event, field, &short_style);
    return sentence->buf->len > before;
}

/* The template up to `end`. False: a field in it had nothing to say. */
static bool put_template(struct sentence *sentence, const char *at, const char *end) {
    bool whole = true;
    while (at < end) {
        size_t len = strcspn(at, "{[");
        if (at + len >= end) {
            buf_add(sentence->buf, at, (size_t)(end - at));
            break;
        }
        buf_add(sentence->buf, at, len);
        at += len;
        const char *close = strchr(at, *at == '{' ? '}' : ']');
        size_t before = sentence->buf->len;
        if (*at == '{')
            whole &= put_field(sentence, at + 1, (size_t)(close - at - 1));
        else if (!put_template(sentence, at + 1, close))
            buf_cut(sentence->buf, before);
        at = close + 1;
    }
    return whole;
}

void timeline_sentence(struct buf *buf, const struct model *model, const struct event *event) {
    struct sentence sentence = {buf, model, event};
    const char *template = templates[event->type];
    if (template)
        (void)put_template(&sentence, template, template + strlen(template));
    else
        render_fields(buf, event, event_rows[event->type].fields(), &short_style);
}

/* ---- the record ---- */

/* Those of one time stay as they were told: their texts stand in that order. */
static int by_time(const void *a, const void *b) {
    const struct timeline_entry *x = a, *y = b;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
                              : (x->text > y->text) - (x->text < y->text);
}

void timeline_sort(struct timeline *timeline) {
    if (timeline->count)
        qsort(timeline->entries, timeline->count, sizeof *timeline->entries, by_time);
}

void timeline_init(struct timeline *timeline) {
    *timeline = (struct timeline){.text = {.max = TIMELINE_TEXT_MAX}};
}

void timeline_free(struct timeline *timeline) {
    free(timeline->entries);
    buf_free(&timeline->text);
}

static struct timeline_entry *new_entry(struct timeline *timeline) {
    if (timeline->count == CAP_TIMELINE)
        return NULL;
    struct timeline_entry *entries =
        list_with_room(timeline->entries, timeline->count, &timeline->room, sizeof *entries);
    if (!entries)
        return NULL;
    timeline->entries = entries;
    return &entries[timeline->count];
}

static bool copy_node(char to[BUS_NODE_ID], const struct event *event, const char *name) {
    const struct event_field *field = field_named(event, name, strlen(name));
    const char *id = field && field->kind == FIELD_NODE ? id_in(event, field) : NULL;
    if (id)
        memcpy(to, id, BUS_NODE_ID);
    return id;
}

/* Appends the sentence, cut if it is too long, with its NUL. */
static void keep_text(struct buf *text, const struct model *model, const struct event *event) {
    struct buf sentence = {.max = SENTENCE_HOLD};
    timeline_sentence(&sentence, model, event);
    text->failed |= sentence.failed;
    buf_add(text, sentence.data, min_size(sentence.len, SENTENCE_MAX));
    if (sentence.len > SENTENCE_MAX)
        buf_text(text, "...");
    buf_add(text, "", 1);
    buf_free(&sentence);
}

void timeline_event(struct timeline *timeline, const struct model *model,
                    const struct event *event) {
    if (!(EVENTS_CONCLUSIONS >> event->type & 1))
        return;
    timeline->seen[event->type]++;
    struct timeline_entry *entry = new_entry(timeline);
    size_t before = timeline->text.len;
    if (entry)
        keep_text(&timeline->text, model, event);
    if (!entry || timeline->text.failed) {
        timeline->left_out++;
        return;
    }
    *entry = (struct timeline_entry){.time = event->time,
                                     .frame = event->frame,
                                     .source = event->source,
                                     .type = (uint16_t)event->type,
                                     .text = (uint32_t)before};
    entry->node_known = copy_node(entry->node, event, "node");
    entry->about_known = copy_node(entry->about, event, "about");
    timeline->count++;
}
