/* crowd.c - connections gathered by host and introduction, in a short list.
 *
 * Names that clients give themselves may be anything, and are shown as keys are: not unless asked
 * for. So they are no part of a text. */
#include "analysis/crowd.h"

#include <inttypes.h>
#include <stdio.h>

enum { GROUPS_SAID = 3, SAID_TEXT = 3 * CLIENT_WORD };

static const struct introduction nothing_said;

static struct crowd_group *group_of(struct crowd *crowd, const struct endpoint *client,
                                    const struct introduction *said) {
    for (size_t i = 0; i < crowd->group_count; i++) {
        struct crowd_group *group = &crowd->groups[i];
        if (endpoint_same_ip(&group->host, client) && strcmp(group->said.name, said->name) == 0 &&
            strcmp(group->said.library, said->library) == 0 &&
            strcmp(group->said.version, said->version) == 0)
            return group;
    }
    if (crowd->group_count == CROWD_GROUPS)
        return NULL;
    struct crowd_group *group = &crowd->groups[crowd->group_count++];
    *group = (struct crowd_group){.host = *client, .said = *said};
    return group;
}

void crowd_add(struct crowd *crowd, const struct endpoint *client, const struct introduction *said,
               bool joins) {
    struct crowd_group *group = group_of(crowd, client, said ? said : &nothing_said);
    if (group) {
        group->connections += joins;
        group->count++;
    }
    crowd->connections += joins;
    if (joins && crowd->client_count < CROWD_CLIENTS)
        crowd->clients[crowd->client_count++] = *client;
}

bool crowd_refreshed(struct crowd *crowd, const struct endpoint *client) {
    bool any = false;
    for (size_t i = 0; i < crowd->group_count; i++) {
        bool its = endpoint_same_ip(&crowd->groups[i].host, client);
        crowd->groups[i].refreshes += its;
        any |= its;
    }
    return any;
}

/* What is not printable would not survive a terminal. */
static void add_word(char *text, const char *before, const char *word) {
    size_t len = strlen(text);
    if (word[0] == '\0')
        return;
    len += (size_t)snprintf(text + len, SAID_TEXT - len, "%s", len ? before : "");
    for (const char *at = word; *at && len < SAID_TEXT - 1; at++)
        text[len++] = *at > ' ' && *at <= '~' ? *at : '?';
    text[len] = '\0';
}

/* "jedis 5.1.0"; nothing if it has said nothing. */
static void said_text(const struct introduction *said, char text[SAID_TEXT]) {
    text[0] = '\0';
    add_word(text, "", said->library);
    add_word(text, " ", said->version);
}

static const struct crowd_group *next_greatest(const struct crowd *crowd, uint32_t said,
                                               size_t *ret_index) {
    const struct crowd_group *next = NULL;
    for (size_t i = 0; i < crowd->group_count; i++)
        if (!(said >> i & 1) && (!next || crowd->groups[i].count > next->count)) {
            next = &crowd->groups[i];
            *ret_index = i;
        }
    return next;
}

static int group_text(const struct crowd_group *group, bool first, char *text, size_t room) {
    char host[ENDPOINT_TEXT], said[SAID_TEXT];
    endpoint_ip_text(&group->host, host);
    said_text(&group->said, said);
    return snprintf(text, room, "%s%" PRIu64 "%s of %s%s%s%s", first ? "" : "; ",
                    group->connections,
                    !first                    ? ""
                    : group->connections == 1 ? " connection"
                                              : " connections",
                    host, said[0] ? " (" : "", said, said[0] ? ")" : "");
}

const char *crowd_text(const struct crowd *crowd, char text[CROWD_TEXT]) {
    uint32_t said = 0;
    uint64_t left = crowd->connections;
    size_t len = 0, index = 0;
    text[0] = '\0';
    for (size_t i = 0; i < GROUPS_SAID && len < CROWD_TEXT; i++) {
        const struct crowd_group *group = next_greatest(crowd, said, &index);
        if (!group)
            break;
        len += (size_t)group_text(group, i == 0, text + len, CROWD_TEXT - len);
        said |= 1u << index;
        left -= min_size(left, group->connections);
    }
    if (left && len < CROWD_TEXT)
        (void)snprintf(text + len, CROWD_TEXT - len, "; %" PRIu64 " more", left);
    return text;
}

static void put_word(struct value *group, const char *name, const char *word) {
    if (word[0])
        value_wire(group, name, bytes_str(word));
}

void crowd_tell(const struct crowd *crowd, struct finding *finding) {
    struct value *who = value_list(finding_metrics(finding), "who");
    for (size_t i = 0; i < crowd->client_count; i++)
        finding_client(finding, &crowd->clients[i]);
    for (size_t i = 0; i < crowd->group_count; i++) {
        const struct crowd_group *group = &crowd->groups[i];
        char host[ENDPOINT_TEXT];
        endpoint_ip_text(&group->host, host);
        struct value *row = value_object(who, NULL);
        value_text(row, "host", host);
        if (group->said.name[0])
            value_key(row, "name", bytes_str(group->said.name));
        put_word(row, "library", group->said.library);
        put_word(row, "version", group->said.version);
        value_number(row, "connections", group->connections);
        value_number(row, "count", group->count);
        value_number(row, "refreshes", group->refreshes);
    }
}
