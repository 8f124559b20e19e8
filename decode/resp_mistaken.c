/* resp_mistaken.c - a connection that was taken for a client's and is none, for its first packets
 * were not captured: a replica's link, or one over which slots are moved. It is known again by what
 * only nodes say to each other, most often many times a second:
 *
 *   REPLCONF ACK        from a replica. It asks, so the other end is no client: what was taken for
 *                       requests is a stream of commands
 *   CLUSTER SYNCSLOTS   from either end of a migration; nothing is answered on it any more
 *
 * As long as nothing is missing these words are what they would be of any client. What had been
 * told of the connection is not taken back. */
#include "decode/resp_link.h"

enum { COUNT_LEN = 4 /* "*3\r\n" */ };
static const char ACK_HEAD[] = "$8\r\nREPLCONF\r\n$3\r\nACK\r\n";
static const char SYNCSLOTS_HEAD[] = "$7\r\nCLUSTER\r\n$9\r\nSYNCSLOTS\r\n";

static void end_talk(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    resp_give_up_pending(walk, "gap");
    link->undecided = link->searching = link->broken = link->deaf = link->wary = false;
    link->answering = false;
}

/* The walk is the replica's. */
static void become_replication(const struct resp_walk *walk) {
    end_talk(walk);
    walk->link->client = (uint8_t)walk->direction;
    repl_joined(walk);
}

/* The direction in hand says commands, and one begins, or has just ended, here. */
static void is_in_step(const struct resp_walk *walk) {
    walk->link->astray[walk->direction] = false;
    resp_turn(&walk->link->readers[walk->direction], walk->out->resp, true);
}

/* What either end says next is a command, or in the midst of one. */
static void become_migration(const struct resp_walk *walk, unsigned source) {
    struct resp_link *link = walk->link;
    bool kept_up = !link->undecided && !link->searching;
    end_talk(walk);
    link->astray[link->client] = !kept_up;
    link->astray[!link->client] = true;
    if (walk->direction == link->client)
        resp_turn(&link->readers[!link->client], walk->out->resp, true);
    repl_migration_joined(&(struct resp_walk){walk->out, walk->flow, link, source});
}

/* ---- who moves slots to whom ---- */

static bool is_one_of(struct bytes word, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes_are_word(word, list[i]))
            return true;
    return false;
}

/* The end that the slots leave. Both acknowledge; in Redis, where it is the target alone, with an
 * offset. Of Valkey's ends the source connects. */
static unsigned source_of(const struct resp_walk *walk, struct bytes word, bool has_offset) {
    static const char *const by_source[] = {"snapshot-eof", "paused", "failover-granted",
                                            "stream-eof", "conf"};
    static const char *const by_target[] = {"request-pause", "request-failover"};
    if (is_one_of(word, by_source, countof(by_source)))
        return walk->direction;
    if (is_one_of(word, by_target, countof(by_target)) ||
        (has_offset && bytes_are_word(word, "ack")))
        return !walk->direction;
    return walk->link->client;
}

/* ---- by the beginning of a segment, where nothing is read ---- */

static bool begins(struct bytes view, const char *head) {
    return view.len > COUNT_LEN && view.data[0] == '*' && view.data[2] == '\r' &&
           bytes_begin(bytes_after(view, COUNT_LEN), head);
}

/* What stands behind it, if all of it is there. */
static struct bytes word_behind(struct bytes view) {
    struct bytes rest = bytes_after(view, COUNT_LEN + strlen(SYNCSLOTS_HEAD));
    const uint8_t *line = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
    struct bytes word = line ? bytes_after(rest, (size_t)(line + 1 - rest.data)) : rest;
    const uint8_t *end = word.len ? memchr(word.data, '\r', word.len) : NULL;
    return bytes_first(word, line && end ? (size_t)(end - word.data) : 0);
}

bool mistaken_begins(struct bytes view) {
    return begins(view, ACK_HEAD) || begins(view, SYNCSLOTS_HEAD);
}

bool mistaken_by_head(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    bool ack = begins(view, ACK_HEAD);
    if (LIKELY(!ack && !begins(view, SYNCSLOTS_HEAD)) || !link->unsure)
        return false;
    if (ack)
        become_replication(walk);
    else
        become_migration(walk, source_of(walk, word_behind(view), view.data[1] > '3'));
    is_in_step(walk);
    return true;
}

/* ---- by a whole value ---- */

static struct bytes word_at(const struct resp_value *value, size_t index) {
    return index < value->count ? resp_text(&value->items[index]) : bytes_of(NULL, 0);
}

static bool are_words(const struct resp_value *value, const char *first, const char *second) {
    return value->count > 2 && value->items[0].type == '*' &&
           bytes_are_word(word_at(value, 1), first) && bytes_are_word(word_at(value, 2), second);
}

static unsigned source_told(const struct resp_walk *walk, const struct resp_value *value) {
    return source_of(walk, word_at(value, 3), value->items[0].number > 3);
}

bool mistaken_by_reply(const struct resp_walk *walk, const struct resp_value *value) {
    bool ack = are_words(value, "replconf", "ack");
    if (!ack && !are_words(value, "cluster", "syncslots"))
        return false;
    if (ack) {
        become_replication(walk);
        resp_on_request(walk, value);
    } else {
        become_migration(walk, source_told(walk, value));
        resp_on_streamed(walk, value, NOT_KNOWN);
    }
    is_in_step(walk);
    return true;
}

bool mistaken_by_request(const struct resp_walk *walk, const struct resp_value *value) {
    struct resp_link *link = walk->link;
    if (!link->unsure || link->mode != MODE_TALK || !are_words(value, "cluster", "syncslots"))
        return false;
    become_migration(walk, source_told(walk, value));
    link->astray[walk->direction] = false;
    resp_on_streamed(walk, value, NOT_KNOWN);
    return true;
}
