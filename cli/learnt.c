/* learnt.c - looks through the nodes, several times a second.
 *
 * Whoever can speak on the bus can announce any port, so there are only so many that are believed.
 */
#include "cli/learnt.h"

#include "base/limits.h"

enum { LOOK_MS = 50 };

struct learnt learnt_start(const struct port_set *ports, bool chosen) {
    return (struct learnt){.ports = *ports, .grows = !port_set_is_empty(ports), .clients = !chosen};
}

static void put_end(struct learnt *learnt, struct buf *said, const char *why) {
    learnt->grows = false;
    buf_printf(said, "no further ports that nodes announce are captured: %s\n", why);
}

static bool is_news(const struct learnt *learnt, uint16_t port) {
    return port != 0 && !port_set_has(&learnt->ports, port);
}

static void learn(struct learnt *learnt, const char *node, uint16_t port, struct buf *said) {
    if (learnt->count == CAP_LEARNT_PORTS) {
        put_end(learnt, said, "there are too many; name them (-p), or interfaces alone (-i)");
        return;
    }
    learnt->count++;
    port_set_add(&learnt->ports, port);
    buf_printf(said, "port %u is captured from now on, too: node %s announces it\n", port, node);
}

/* What a node announces that is captured already is most of it. */
static void look_at(struct learnt *learnt, const struct model *model, size_t index,
                    struct buf *said) {
    const struct node *node = model_node(model, index);
    const uint16_t announced[] = {learnt->clients ? node->addr.port : 0, node->bus_port};
    char text[ENDPOINT_TEXT];
    if (!node->addr_known)
        return;
    for (size_t i = 0; i < countof(announced) && learnt->grows; i++) {
        if (!is_news(learnt, announced[i]))
            continue;
        model_node_text(model, index, text);
        learn(learnt, text, announced[i], said);
    }
}

void learnt_look(struct learnt *learnt, const struct model *model, struct merge *merge, nstime now,
                 struct buf *said) {
    size_t before = learnt->count;
    struct err err;
    if (!learnt->grows || now - learnt->looked < LOOK_MS * NS_PER_MS)
        return;
    learnt->looked = now;
    for (size_t i = 0; i < model_node_count(model) && learnt->grows; i++)
        look_at(learnt, model, i, said);
    if (learnt->count > before && !merge_widen(merge, &learnt->ports, &err)) {
        buf_free(said);
        put_end(learnt, said, err.text);
    }
}
