/* vitals.c - sums over the model. */
#include "report/vitals.h"

#include "analysis/model_alarms.h"
#include "analysis/model_clients.h"

enum health vitals_health(const struct model *model, size_t node) {
    if (!model_is_member(model, node))
        return HEALTH_GONE;
    if (model_failure(model, node) == NODE_FAIL)
        return HEALTH_FAILED;
    const struct alarm *alarm = model_alarm(model, node);
    return alarm && alarm->holders > 0 ? HEALTH_SUSPECTED : HEALTH_OK;
}

struct vitals vitals_of(const struct model *model) {
    struct vitals vitals = {0};
    for (size_t i = 0; i < model_node_count(model); i++)
        vitals.nodes[vitals_health(model, i)]++;
    for (size_t i = 0; i < model_server_count(model); i++)
        vitals.redirects += by_word_sum(&model_server(model, i)->redirects);
    for (size_t i = 0; i < model_link_count(model); i++) {
        const struct spread *rtt = &model_link(model, i)->rtt;
        vitals.pongs += rtt->count;
        vitals.rtt += rtt->sum;
    }
    return vitals;
}
