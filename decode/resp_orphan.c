/* resp_orphan.c - replies that come before their requests.
 *
 * The client's bytes may be held behind a hole while the server, which has them all, answers; and
 * a capture from several queues may have a reply before its request. A reply to nothing, when the
 * server has acknowledged bytes of the client that were not read yet, is kept for what they bring;
 * and so is what a server says before its client has said anything. A refusal of the connection is
 * not: it is no reply. */
#include "decode/resp_link.h"

enum { ORPHANS = 24, ORPHAN_TEXT = 96 };

struct orphan {
    uint64_t bytes;
    int64_t number;
    nstime began;
    uint8_t type, text_len;
    uint8_t text[ORPHAN_TEXT];
};

struct orphans {
    uint32_t first, count;
    struct orphan list[ORPHANS];
};

static_assert(sizeof(struct orphans) <= POOL_BLOCK, "a spare block of the pool will do");

static bool may_come(const struct resp_walk *walk) {
    const struct flow_side *client = &walk->flow->sides[walk->link->client];
    return !walk->link->opened ||
           (client->acked_known && seq_after(client->acked, client->stream.next));
}

bool orphan_keep(const struct resp_walk *walk, const struct resp_value *value) {
    struct resp_link *link = walk->link;
    const struct resp_item *item = &value->items[0];
    bool refusal = !link->opened && item->type == '-';
    if (refusal || !may_come(walk))
        return false;
    if (!link->orphans) {
        link->orphans = pool_take(walk->out->pool, POOL_BLOCK, &link->orphans_room);
        if (!link->orphans)
            return false;
        link->orphans->first = link->orphans->count = 0;
    }
    struct orphans *orphans = link->orphans;
    if (orphans->count == ORPHANS)
        return false;
    struct orphan *orphan = &orphans->list[(orphans->first + orphans->count++) % ORPHANS];
    *orphan = (struct orphan){.bytes = value->bytes,
                              .number = item->number,
                              .began = link->answer_began,
                              .type = item->type,
                              .text_len = (uint8_t)min_size(item->text_len, ORPHAN_TEXT)};
    if (orphan->text_len)
        memcpy(orphan->text, item->text, orphan->text_len);
    return true;
}

/* Takes the oldest as the value that it was. */
static void take(const struct resp_walk *walk, struct resp_value *ret_value) {
    struct orphans *orphans = walk->link->orphans;
    const struct orphan *orphan = &orphans->list[orphans->first];
    orphans->first = (orphans->first + 1) % ORPHANS;
    orphans->count--;
    walk->link->answer_began = orphan->began;
    ret_value->bytes = orphan->bytes;
    ret_value->count = 1;
    ret_value->lost = false;
    ret_value->items[0] = (struct resp_item){.number = orphan->number,
                                             .text = orphan->text,
                                             .text_len = orphan->text_len,
                                             .type = orphan->type};
}

void orphan_match(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    struct resp_walk server = {walk->out, walk->flow, link, !link->client};
    struct resp_value value;
    while (link->orphans && link->orphans->count && pending_head(&link->pending)) {
        take(&server, &value);
        resp_on_answer(&server, &value);
    }
}

void orphan_forget(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    struct resp_walk server = {walk->out, walk->flow, link, !link->client};
    struct resp_value value;
    while (link->orphans && link->orphans->count) {
        take(&server, &value);
        resp_tell_unmatched(&server, &value);
    }
    pool_give(walk->out->pool, link->orphans, link->orphans_room);
    link->orphans = NULL;
    link->orphans_room = 0;
}
