/* model_cuts.c - links that end because somebody has told the server to cut clients off. What its
 * kernel has to send still goes out before it closes: that takes a while on a link that is full. */
#include "analysis/model_clients.h"
#include "analysis/model_private.h"

static const nstime CLOSES_WITHIN = 10 * NS_PER_SEC;

void model_cut_asked(struct model *model, const struct event *event) {
    struct server *server = model_server_of(model, event, !event->direction);
    struct cut_order cut = {.at = event->time, .whom = CUT_OTHERS};
    struct bytes addr = event->cut_asked.addr;
    if (event->cut_asked.whom[0] == 'r')
        cut.whom = CUT_REPLICAS;
    if (addr.len > 0 && addr.len < sizeof cut.addr) {
        cut.whom = CUT_ADDRESS;
        memcpy(cut.addr, addr.data, addr.len);
    }
    server->cuts.kept[server->cuts.count++ % CUTS] = cut;
}

static enum link_cut cut_by(const struct cut_order *cut, const struct endpoint *client) {
    static const enum link_cut by[] = {
        [CUT_REPLICAS] = CUT_NAMED, [CUT_ADDRESS] = CUT_NAMED, [CUT_OTHERS] = CUT_PERHAPS};
    char addr[ENDPOINT_TEXT];
    endpoint_text(client, addr);
    if (cut->whom == CUT_ADDRESS && strcmp(cut->addr, addr) != 0)
        return CUT_NOT;
    return by[cut->whom];
}

enum link_cut model_cut(const struct model *model, const struct replication *link, nstime ended) {
    const struct server *of = model_server_at(model, &link->primary);
    enum link_cut most = CUT_NOT;
    for (uint64_t i = 0; of && i < of->cuts.count && i < CUTS; i++) {
        const struct cut_order *cut = &of->cuts.kept[i];
        bool lately =
            cut->at >= link->first && cut->at <= ended && ended - cut->at <= CLOSES_WITHIN;
        enum link_cut by = lately ? cut_by(cut, &link->replica) : CUT_NOT;
        most = by > most ? by : most;
    }
    return most;
}
