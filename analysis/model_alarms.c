/* model_alarms.c - keeps who holds what against a node, while anybody does. */
#include "analysis/model_alarms.h"

#include <stdlib.h>

#include "analysis/model_private.h"

static const struct sign nobody = {.node = NODE_NONE, .place = {.time = TIME_NONE}};

const struct alarm *model_alarm(const struct model *model, size_t index) {
    return index == NODE_NONE ? NULL : model->nodes[index]->alarm;
}

bool model_is_failed(const struct model *model, size_t index) {
    const struct alarm *alarm = model_alarm(model, index);
    return alarm && alarm->failed.node != NODE_NONE &&
           (alarm->holders == 0 || (uint64_t)alarm->holders * 2 >= alarm->most);
}

bool model_is_first_failure(const struct model *model, size_t index, const struct event *event) {
    const struct alarm *alarm = model_alarm(model, index);
    return alarm && alarm->failed.place.time == event->time &&
           alarm->failed.place.frame == event->frame && alarm->failed.place.source == event->source;
}

/* NULL: out of memory. */
static struct alarm *alarm_about(struct model *model, uint32_t subject) {
    struct node_private *node = model->nodes[subject];
    if (!node->alarm)
        node->alarm = malloc(sizeof *node->alarm);
    else
        return node->alarm;
    if (node->alarm)
        *node->alarm = (struct alarm){.announced = nobody, .failed = nobody};
    return node->alarm;
}

static struct sign sign_of(const struct model *model, uint32_t node) {
    return (struct sign){.node = node, .place = place_of(model->cause)};
}

static void note_failed(const struct model *model, struct alarm *alarm, uint32_t observer) {
    if (alarm->failed.node == NODE_NONE)
        alarm->failed = sign_of(model, observer);
}

static void hold(struct alarm *alarm, bool one_more) {
    alarm->holders += one_more;
    alarm->most = alarm->holders > alarm->most ? alarm->holders : alarm->most;
}

static void clear(struct model *model, uint32_t subject) {
    struct node_private *node = model->nodes[subject];
    if (!node->alarm || (node->alarm->holders && --node->alarm->holders > 0))
        return;
    free(node->alarm);
    node->alarm = NULL;
}

void model_alarm_view(struct model *model, uint32_t observer, uint32_t subject, bool was, bool is,
                      bool failed) {
    if (!is) {
        clear(model, subject);
        return;
    }
    struct alarm *alarm = alarm_about(model, subject);
    if (!alarm)
        return;
    hold(alarm, !was);
    if (failed) {
        note_failed(model, alarm, observer);
    } else if (!was) {
        if (alarm->suspects < ALARM_SIGNS)
            alarm->suspected[alarm->suspects] = sign_of(model, observer);
        alarm->suspects++;
    }
}

void model_alarm_announced(struct model *model, uint32_t sender, uint32_t subject) {
    struct alarm *alarm = alarm_about(model, subject);
    if (!alarm)
        return;
    if (alarm->announced.node == NODE_NONE)
        alarm->announced = sign_of(model, sender);
    note_failed(model, alarm, sender);
    hold(alarm, model_view_announced(model, sender, subject));
}
