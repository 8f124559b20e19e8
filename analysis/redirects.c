/* redirects.c - rows in an array that grows, found by a table. */
#include "analysis/redirects.h"

#include <stdlib.h>

#include "base/limits.h"

static bool equal(const void *owner, uint32_t index, const void *key) {
    const struct redirects *redirects = owner;
    return memcmp(&redirects->rows[index].key, key, sizeof(struct told_key)) == 0;
}

static bool make_room(struct redirects *redirects) {
    if (redirects->count < redirects->room)
        return true;
    size_t room = redirects->room ? redirects->room * 2 : 64;
    room = min_size(room, CAP_REDIRECTS);
    if (room == redirects->count)
        return false;
    struct told *rows = realloc(redirects->rows, room * sizeof *rows);
    if (!rows)
        return false;
    redirects->rows = rows;
    redirects->room = room;
    return true;
}

struct told *redirects_at(struct redirects *redirects, const struct model *model,
                          const struct told_key *key) {
    uint32_t hash = model_hash(model, key, sizeof *key);
    uint32_t index = table_find(&redirects->table, hash, equal, redirects, key);
    if (index != TABLE_NONE)
        return &redirects->rows[index];
    if (!make_room(redirects) || !table_add(&redirects->table, hash, (uint32_t)redirects->count)) {
        redirects->left_out++;
        return NULL;
    }
    struct told *told = &redirects->rows[redirects->count++];
    *told = (struct told){.key = *key, .place = place_none()};
    return told;
}

void redirects_clear(struct redirects *redirects) {
    table_free(&redirects->table);
    free(redirects->rows);
    *redirects = (struct redirects){0};
}

bool redirect_target(const struct event *event, struct endpoint *ret_target) {
    struct bytes text = event->redirect.target;
    const uint8_t *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    uint32_t port = 0;
    if (!colon)
        return false;
    for (const uint8_t *at = colon + 1; at < text.data + text.len; at++) {
        if (*at < '0' || *at > '9' || port > UINT16_MAX)
            return false;
        port = port * 10 + (*at - (uint32_t)'0');
    }
    struct bytes host = bytes_of(text.data, (size_t)(colon - text.data));
    if (host.len > 2 && host.data[0] == '[')
        host = bytes_of(host.data + 1, host.len - 2);
    *ret_target = event->flow->ends[event->direction];
    ret_target->port = (uint16_t)port;
    return port <= UINT16_MAX &&
           (host.len == 0 || endpoint_parse(host, (uint16_t)port, ret_target));
}
