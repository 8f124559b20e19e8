/* resp_early.c - what either end said before it was known what it means: kept segment by segment,
 * and told as of its time once it is known. Of the inside of a value the length is enough. */
#include "decode/resp_link.h"

static struct early *add(const struct resp_walk *walk, size_t kept) {
    struct early_list *list = &walk->link->early;
    size_t room;
    struct early *early = pool_take(walk->out->pool, sizeof *early + kept, &room);
    if (!early)
        return NULL;
    *early = (struct early){.room = room,
                            .frame = walk->out->frame,
                            .time = walk->out->time,
                            .heard = walk->flow->sides[walk->direction].heard,
                            .direction = (uint8_t)walk->direction,
                            .kept = (uint32_t)kept};
    *(list->first ? &list->last->next : &list->first) = early;
    list->last = early;
    list->kept += early->kept;
    return early;
}

bool early_keep(const struct resp_walk *walk, struct bytes view) {
    struct early *early = add(walk, view.len);
    if (early)
        memcpy(early->bytes, view.data, view.len);
    return early;
}

bool early_pass(const struct resp_walk *walk, uint64_t len) {
    struct early *last = walk->link->early.last;
    bool goes_on = walk->link->early.first && last->passed && last->direction == walk->direction;
    struct early *early = goes_on ? last : add(walk, 0);
    if (!early)
        return false;
    early->passed += len;
    early->time = walk->out->time; /* with the last of them the value may end */
    early->frame = walk->out->frame;
    early->heard = walk->flow->sides[walk->direction].heard;
    return true;
}

static struct early *take_first(struct early_list *list) {
    struct early *first = list->first;
    if (first)
        list->first = first->next;
    else
        list->kept = 0;
    return first;
}

void early_drop(const struct resp_walk *walk) {
    struct early *early;
    while ((early = take_first(&walk->link->early)))
        pool_give(walk->out->pool, early, early->room);
}

static void tell(const struct resp_walk *walk, const struct early *early) {
    struct emitter *out = walk->out;
    out->time = early->time;
    out->frame = early->frame;
    walk->flow->sides[early->direction].heard = early->heard;
    if (early->passed)
        proto_resp.skip(out, walk->flow, early->direction, early->passed, SKIP_SNAPLEN);
    else
        proto_resp.feed(out, walk->flow, early->direction, bytes_of(early->bytes, early->kept));
}

void early_tell(const struct resp_walk *walk) {
    struct flow_side *sides = walk->flow->sides;
    struct resp_link *link = walk->link;
    const nstime now = walk->out->time;
    const uint64_t frame = walk->out->frame;
    const uint32_t heard[2] = {sides[0].heard, sides[1].heard}, asked_at = link->asked_at;
    struct early *early;
    link->late = true;
    while ((early = take_first(&link->early))) {
        tell(walk, early);
        pool_give(walk->out->pool, early, early->room);
    }
    link->late = false;
    link->asked_at = asked_at;
    sides[0].heard = heard[0];
    sides[1].heard = heard[1];
    walk->out->time = now;
    walk->out->frame = frame;
}
