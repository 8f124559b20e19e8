/* resp_plain.c - the short way of nearly all that is said: a whole request that begins as an
 * earlier one did, of this client or of another, with a command of which nothing is special; and a
 * whole reply of one item to a request that one reply answers.
 *
 * Of such a request nothing need be known but where it ends, and of a write the first and the last
 * argument. All else takes the long way (resp_request.c, resp_reply.c), which would tell the same:
 * a request that is cut takes it, and tests/prop compares the two. */
#include "decode/resp_link.h"

/* ---- beginnings ---- */

enum {
    HEAD_NUMBERS = 8, /* "*3\r\n$3\r\n" */
    HEAD_NAME = 8,    /* the longest one */
    HEAD_MIN = HEAD_NUMBERS + HEAD_NAME + 2,
    ITEMS_MAX = RESP_TEXTS / RESP_TEXT, /* so many are kept as if each was alone */
};

static inline struct resp_head *place_of(struct resp_tools *tools, uint64_t numbers,
                                         uint64_t name) {
    uint64_t mix = (name ^ numbers << 7) * UINT64_C(0x9e3779b97f4a7c15);
    return &tools->heads[mix >> 58];
}

static_assert(RESP_HEADS == 1 << 6, "the mix has six bits");

/* How a view of HEAD_MIN bytes or more begins. NULL: not as any that is known. */
static inline const struct resp_head *head_of(struct resp_tools *tools, const uint8_t *at) {
    uint64_t numbers = load_word(at);
    unsigned len = (unsigned)(numbers >> 40 & 0xff) - '0';
    if (UNLIKELY(len - 1 >= HEAD_NAME))
        return NULL;
    uint64_t name = load_word(at + HEAD_NUMBERS) & UINT64_MAX >> (64 - 8 * len);
    const struct resp_head *head = place_of(tools, numbers, name);
    const uint8_t *line_end = at + HEAD_NUMBERS + len;
    bool same = head->numbers == numbers && head->name == name;
    return LIKELY(same && line_end[0] == '\r' && line_end[1] == '\n') ? head : NULL;
}

/* Is the request answered by one reply, whatever its arguments are? Whether it writes must be known
 * without them, too. */
static bool is_plain(const struct command *command) {
    bool known = command->access < ACCESS_WRITE ||
                 (command->access == ACCESS_WRITE && command->keys == KEYS_1);
    return known && command->kind == COMMAND_PLAIN && command->reply == REPLY_ONE &&
           !strchr(command->name, '|');
}

void plain_remember(const struct resp_walk *walk, const struct command *command, struct bytes name,
                    uint64_t items) {
    if (!is_plain(command) || name.len > HEAD_NAME || items < 2 || items > ITEMS_MAX ||
        emitter_wants(walk->out, EV_request))
        return;
    uint8_t bytes[HEAD_NUMBERS + HEAD_NAME] = "*0\r\n$0\r\n";
    bytes[1] += (uint8_t)items;
    bytes[5] += (uint8_t)name.len;
    memcpy(bytes + HEAD_NUMBERS, name.data, name.len);
    struct resp_head head = {
        .numbers = load_word(bytes),
        .name = load_word(bytes + HEAD_NUMBERS),
        .command = command,
        .len = (uint32_t)(HEAD_NUMBERS + name.len + 2),
        .follow = (uint16_t)(items - 1),
        .writes = command->access == ACCESS_WRITE && emitter_wants(walk->out, EV_write),
    };
    *place_of(walk->out->resp, head.numbers, head.name) = head;
}

/* ---- requests ---- */

static inline void wait_for_reply(const struct resp_walk *walk, const struct resp_head *head,
                                  const struct resp_ends *ends, size_t bytes) {
    struct resp_link *link = walk->link;
    struct pending *pending = pending_add(&link->pending, walk->out->pool);
    if (UNLIKELY(!pending)) {
        resp_anomaly(walk, AN_resp_pending_cap);
        return;
    }
    pending->sent = walk->out->time;
    pending->frame = walk->out->frame;
    pending->command = head->command;
    pending->bytes = (uint32_t)bytes;
    pending->expected = pending->write = 0;
    pending->reply = REPLY_ONE;
    pending->blocking = false;
    pending->sample = 0;
    pairing_note(walk, pending);
    if (head->writes)
        resp_tell_write(walk, pending, head->follow + 1u,
                        ends->first.len < KEY_WHOLE ? ends->first : bytes_of(NULL, 0),
                        bytes_first(ends->last, RESP_TEXT));
}

static inline size_t take_request(const struct resp_walk *walk, struct bytes view) {
    struct emitter *out = walk->out;
    struct resp_ends ends;
    if (UNLIKELY(view.len < HEAD_MIN || !sampling_passes(&out->sampling)))
        return 0;
    const struct resp_head *head = head_of(out->resp, view.data);
    if (UNLIKELY(!head))
        return 0;
    size_t used = resp_whole_arguments(bytes_after(view, head->len), head->follow, &ends);
    if (UNLIKELY(!used))
        return 0;
    (void)sampling_take(&out->sampling);
    wait_for_reply(walk, head, &ends, head->len + used);
    return head->len + used;
}

size_t plain_requests(const struct resp_walk *walk, struct bytes view) {
    const struct resp_link *link = walk->link;
    size_t used = 0, one;
    if (UNLIKELY(link->state != RESP_USUAL || link->muted | link->skip_next ||
                 !resp_is_between(&link->readers[walk->direction])))
        return 0;
    while ((one = take_request(walk, bytes_after(view, used))) > 0)
        used += one;
    return used;
}

/* ---- replies ---- */

/* One item that is no error. */
static inline size_t whole_item(struct bytes view, struct resp_value *ret_value) {
    uint8_t type = view.len ? view.data[0] : 0;
    return type == '+' || type == '$' || type == ':' ? resp_whole_reply(view, ret_value) : 0;
}

size_t plain_replies(const struct resp_walk *walk, struct bytes view) {
    struct resp_link *link = walk->link;
    struct resp_value *value = &walk->out->resp->scratch;
    const struct pending *head;
    size_t used = 0, one;
    if (UNLIKELY(link->state != RESP_USUAL || link->answering | link->in_multi | link->monitor))
        return 0;
    while ((head = pending_head(&link->pending)) && head->reply == REPLY_ONE &&
           (one = whole_item(bytes_after(view, used), value)) > 0) {
        link->answer_began = walk->out->time;
        resp_tell_reply(walk, pending_take(&link->pending), value, true);
        used += one;
    }
    return used;
}
