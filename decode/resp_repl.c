/* resp_repl.c - streams without replies: what a primary sends to a replica, and the migration of
 * slots over a client connection. Source: Redis and Valkey src/replication.c; Redis 8.4
 * src/cluster_asm.c, Valkey 9 src/cluster_migrateslots.c.
 *
 *   +FULLRESYNC id offset   LF ... $length CRLF payload           the stream's offset begins there
 *                           LF ... $EOF:mark CRLF payload mark
 *   +CONTINUE [id]          the stream goes on with the byte that PSYNC asked for
 *
 * Each byte of the stream counts in the offset. The payload is passed over. If its end was not
 * captured, the stream is taken up once the replica acknowledges: by then it has loaded it all.
 * The offset of a stream that is taken up is learnt from the ACKs (resp_repl_offset.c). */
#include <stdlib.h>

#include "decode/resp_link.h"

/* ---- telling ---- */

static void tell_with_port(const struct resp_walk *walk, const char *what, struct bytes replid,
                           uint64_t offset, uint64_t bytes, uint64_t port) {
    struct event event = {.type = EV_replication};
    event.replication = (struct ev_replication){
        .what = what, .replid = replid, .offset = offset, .bytes = bytes, .port = port};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

static void tell(const struct resp_walk *walk, const char *what, struct bytes replid,
                 uint64_t offset, uint64_t bytes) {
    tell_with_port(walk, what, replid, offset, bytes, NOT_KNOWN);
}

/* Where the replica listens, too. */
static void tell_sync(const struct resp_walk *walk, const char *what, struct bytes replid,
                      uint64_t offset) {
    uint16_t port = walk->link->replica_port;
    tell_with_port(walk, what, replid, offset, NOT_KNOWN, port ? port : NOT_KNOWN);
}

static uint64_t known_offset(const struct repl *repl) {
    return repl->offset_known ? repl->offset : NOT_KNOWN;
}

/* ---- words ---- */

/* The next word of a line. */
static struct bytes take_word(struct bytes *line) {
    const uint8_t *blank = line->len ? memchr(line->data, ' ', line->len) : NULL;
    size_t len = blank ? (size_t)(blank - line->data) : line->len;
    struct bytes word = bytes_first(*line, len);
    *line = bytes_after(*line, len + 1);
    return word;
}

/* False: no number. */
static bool offset_of(struct bytes word, uint64_t *ret_offset) {
    uint64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        unsigned digit = word.data[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret_offset = value;
    return word.len > 0 && word.len < 20;
}

/* ---- the handshake ---- */

/* NULL: no memory; the connection is then left alone as far as its stream goes. */
static struct repl *repl_of(const struct resp_walk *walk) {
    struct resp_link *link = walk->link;
    if (!link->repl)
        link->repl = calloc(1, sizeof *link->repl);
    if (!link->repl)
        resp_anomaly(walk, AN_no_memory);
    return link->repl;
}

void repl_asked(const struct resp_walk *walk, struct bytes replid, struct bytes offset) {
    uint64_t asked;
    bool known = offset_of(offset, &asked);
    walk->link->asked_offset = known ? asked : NOT_KNOWN;
    tell_sync(walk, "psync", replid, walk->link->asked_offset);
}

void repl_configured(const struct resp_walk *walk, struct bytes what, struct bytes value) {
    uint64_t port;
    if (bytes_are_word(what, "listening-port") && offset_of(value, &port) && port <= UINT16_MAX)
        walk->link->replica_port = (uint16_t)port;
}

static void begin(const struct resp_walk *walk, enum repl_phase phase) {
    struct repl *repl = repl_of(walk);
    if (!repl)
        return;
    uint64_t offset = repl->offset;
    bool known = repl->offset_known;
    *repl = (struct repl){.phase = phase, .offset = offset, .offset_known = known};
    walk->link->mode = MODE_REPLICATION;
    walk->link->astray[walk->direction] = false;
    resp_turn(&walk->link->readers[walk->direction], walk->out->resp, true);
}

static void set_offset(const struct resp_walk *walk, bool known, uint64_t offset) {
    struct repl *repl = repl_of(walk);
    if (!repl)
        return;
    repl->offset_known = known;
    repl->offset = offset;
}

static void on_fullresync(const struct resp_walk *walk, struct bytes rest) {
    uint64_t offset = NOT_KNOWN;
    struct bytes replid = take_word(&rest);
    bool known = offset_of(take_word(&rest), &offset);
    set_offset(walk, known, offset);
    tell_sync(walk, "fullresync", replid, known ? offset : NOT_KNOWN);
    begin(walk, REPL_PAYLOAD_HEAD);
}

static void on_continue(const struct resp_walk *walk, struct bytes rest) {
    uint64_t asked = walk->link->asked_offset;
    bool known = asked != NOT_KNOWN && asked > 0;
    set_offset(walk, known, asked - 1);
    tell(walk, "continue", take_word(&rest), known ? asked - 1 : NOT_KNOWN, NOT_KNOWN);
    begin(walk, REPL_STREAM);
}

/* Redis 8: the payload comes on another connection, the stream on this one, from the offset that is
 * told on the other one. */
static void on_rdb_channel(const struct resp_walk *walk, struct bytes rest) {
    (void)rest;
    set_offset(walk, false, 0);
    tell(walk, "rdb-channel", bytes_of(NULL, 0), NOT_KNOWN, NOT_KNOWN);
    begin(walk, REPL_STREAM);
}

/* Valkey 8: the payload comes on another connection; the replica will ask for the stream here. */
static void on_dual_channel(const struct resp_walk *walk, struct bytes rest) {
    (void)rest;
    tell(walk, "rdb-channel", bytes_of(NULL, 0), NOT_KNOWN, NOT_KNOWN);
}

static const struct {
    const char *word;
    void (*on)(const struct resp_walk *walk, struct bytes rest);
} answers[] = {
    {"FULLRESYNC", on_fullresync},
    {"CONTINUE", on_continue},
    {"RDBCHANNELSYNC", on_rdb_channel},
    {"DUALCHANNELSYNC", on_dual_channel},
};

void repl_answered(const struct resp_walk *walk, struct bytes line) {
    struct bytes word = take_word(&line);
    for (size_t i = 0; i < countof(answers); i++) {
        if (!bytes_equal(word, bytes_str(answers[i].word)))
            continue;
        answers[i].on(walk, line);
        return; /* the line may be gone with the reader's value */
    }
}

void repl_migration_joined(const struct resp_walk *walk) {
    tell(walk, "migration", bytes_of(NULL, 0), NOT_KNOWN, NOT_KNOWN);
    walk->link->mode = MODE_MIGRATION;
}

/* Valkey's source sends the slots to a server that says OK; Redis' destination asks for them, and
 * the server that is asked says something else. */
void repl_migration_accepted(const struct resp_walk *walk, struct bytes line) {
    struct resp_walk source = *walk;
    if (bytes_equal(line, bytes_str("OK")))
        source.direction = walk->link->client;
    repl_migration_joined(&source);
    resp_turn(&walk->link->readers[walk->direction], walk->out->resp, true);
}

void repl_begin_payload(const struct resp_walk *walk) {
    set_offset(walk, false, 0);
    begin(walk, REPL_PAYLOAD_HEAD);
}

/* Are bytes of this end held behind a hole? They were sent before what is in hand. */
static bool is_held(const struct flow_side *side) {
    return side->stream.next != side->high;
}

/* The stream goes on, from some place. */
static void take_up_stream(const struct resp_walk *primary) {
    set_offset(primary, false, 0);
    begin(primary, REPL_STREAM);
    primary->link->astray[primary->direction] = true;
    tell(primary, "stream", bytes_of(NULL, 0), NOT_KNOWN, NOT_KNOWN);
}

/* The payload's end cannot be told. */
static void wait_for_ack(struct repl *repl) {
    repl->phase = REPL_PAYLOAD_ENDLESS;
    repl->torn = true;
}

void repl_joined(const struct resp_walk *walk) {
    struct resp_walk primary = {walk->out, walk->flow, walk->link, !walk->direction};
    resp_give_up_pending(walk, "gap");
    take_up_stream(&primary);
    if (walk->link->repl && is_held(&walk->flow->sides[primary.direction]))
        wait_for_ack(walk->link->repl);
}

void repl_acked(const struct resp_walk *walk, struct bytes offset) {
    struct resp_walk primary = {walk->out, walk->flow, walk->link, !walk->direction};
    const struct repl *repl = walk->link->repl;
    uint64_t acked;
    if (repl && repl->torn && !is_held(&walk->flow->sides[primary.direction]))
        take_up_stream(&primary);
    if (!offset_of(offset, &acked))
        return;
    tell(walk, "ack", bytes_of(NULL, 0), acked, NOT_KNOWN);
    if (repl && repl->phase == REPL_STREAM && repl_learn_offset(&primary, acked))
        tell(&primary, "offset", bytes_of(NULL, 0), known_offset(repl), NOT_KNOWN);
}

/* ---- the payload ---- */

static void payload_ended(const struct resp_walk *walk) {
    struct repl *repl = walk->link->repl;
    tell(walk, "rdb", bytes_of(NULL, 0), known_offset(repl), repl->payload_bytes);
    tell(walk, "stream", bytes_of(NULL, 0), known_offset(repl), NOT_KNOWN);
    repl->phase = REPL_STREAM;
    repl->torn = false;
}

/* "$ENDOFF:<offset> <replid> <db> <client>": Valkey tells on the payload's connection where the
 * stream will begin; the payload's own line follows. */
static void on_end_offset(const struct resp_walk *walk, struct bytes rest) {
    uint64_t offset = NOT_KNOWN;
    bool known = offset_of(take_word(&rest), &offset);
    struct bytes replid = take_word(&rest);
    set_offset(walk, known, offset);
    tell_sync(walk, "fullresync", replid, known ? offset : NOT_KNOWN);
}

static void on_payload_line(const struct resp_walk *walk, struct bytes line) {
    struct repl *repl = walk->link->repl;
    uint64_t len;
    if (bytes_begin(line, "$EOF:") && line.len == 5 + REPL_MARK) {
        memcpy(repl->mark, line.data + 5, REPL_MARK);
        repl->phase = REPL_PAYLOAD_MARKED;
    } else if (bytes_begin(line, "$ENDOFF:")) {
        on_end_offset(walk, bytes_after(line, 8));
    } else if (bytes_begin(line, "$") && offset_of(bytes_after(line, 1), &len)) {
        repl->payload_left = len;
        repl->phase = REPL_PAYLOAD;
        if (len == 0)
            payload_ended(walk);
    } else { /* an error, or nothing that we know: it is no payload after all */
        tell(walk, "refused", bytes_of(NULL, 0), NOT_KNOWN, NOT_KNOWN);
        walk->link->mode = MODE_TALK;
        resp_turn(&walk->link->readers[walk->direction], walk->out->resp, false);
    }
}

/* Newlines keep the connection alive until the payload's line comes. */
static size_t take_payload_head(const struct resp_walk *walk, struct bytes view) {
    struct repl *repl = walk->link->repl;
    if (repl->line_len == 0 && view.data[0] == '\n')
        return 1;
    const uint8_t *end = memchr(view.data, '\n', view.len);
    size_t used = end ? (size_t)(end - view.data) + 1 : view.len;
    size_t kept = min_size(used, REPL_LINE - repl->line_len);
    memcpy(repl->line + repl->line_len, view.data, kept);
    repl->line_len += (uint8_t)kept;
    if (!end)
        return used;
    size_t len = repl->line_len;
    while (len > 0 && (repl->line[len - 1] == '\n' || repl->line[len - 1] == '\r'))
        len--;
    repl->line_len = 0;
    on_payload_line(walk, bytes_of(repl->line, len));
    return used;
}

static size_t take_payload(const struct resp_walk *walk, struct bytes view) {
    struct repl *repl = walk->link->repl;
    size_t used = min_size(view.len, repl->payload_left);
    repl->payload_left -= used;
    repl->payload_bytes += used;
    if (repl->payload_left == 0)
        payload_ended(walk);
    return used;
}

/* The payload's last bytes so far, at most REPL_MARK. */
static void remember_tail(struct repl *repl, struct bytes view) {
    size_t first = view.len > REPL_MARK ? view.len - REPL_MARK : 0;
    struct bytes last = bytes_of(view.data + first, view.len - first);
    size_t room = REPL_MARK - last.len, old = min_size(repl->tail_len, room);
    memmove(repl->tail, repl->tail + repl->tail_len - old, old);
    memcpy(repl->tail + old, last.data, last.len);
    repl->tail_len = (uint8_t)(old + last.len);
}

/* Bytes of the view up to the end of the mark, which may have begun in the views before; 0: the
 * mark does not end here. */
static size_t find_mark(const struct repl *repl, struct bytes view) {
    for (size_t old = repl->tail_len; old > 0; old--) {
        size_t rest = REPL_MARK - old;
        if (rest > 0 && rest <= view.len &&
            memcmp(repl->tail + repl->tail_len - old, repl->mark, old) == 0 &&
            memcmp(view.data, repl->mark + old, rest) == 0)
            return rest;
    }
    const uint8_t *at = memmem(view.data, view.len, repl->mark, REPL_MARK);
    return at ? (size_t)(at - view.data) + REPL_MARK : 0;
}

static size_t take_endless(const struct resp_walk *walk, struct bytes view) {
    walk->flow->sides[walk->direction].undecoded += view.len;
    return view.len;
}

static size_t take_marked(const struct resp_walk *walk, struct bytes view) {
    struct repl *repl = walk->link->repl;
    size_t end = find_mark(repl, view), used = end ? end : view.len;
    repl->payload_bytes += used;
    remember_tail(repl, bytes_first(view, used));
    if (!end)
        return used;
    repl->payload_bytes -= min_size(repl->payload_bytes, REPL_MARK);
    payload_ended(walk);
    return used;
}

/* ---- the stream ---- */

/* Every byte counts, whatever it is. */
static size_t take_stream(const struct resp_walk *walk, struct bytes view) {
    struct repl *repl = walk->link->repl;
    const struct resp_value *value;
    size_t used = resp_take_streamed(walk, view, &value);
    repl->offset += used;
    if (value) {
        repl->guess.ended = true;
        repl->guess.end = repl->offset;
        resp_on_streamed(walk, value, known_offset(repl));
        resp_done(&walk->link->readers[walk->direction], walk->out->resp);
    }
    return used;
}

size_t repl_feed(const struct resp_walk *walk, struct bytes view) {
    static size_t (*const phases[])(const struct resp_walk *, struct bytes) = {
        [REPL_PAYLOAD_HEAD] = take_payload_head,
        [REPL_PAYLOAD] = take_payload,
        [REPL_PAYLOAD_MARKED] = take_marked,
        [REPL_PAYLOAD_ENDLESS] = take_endless,
        [REPL_STREAM] = take_stream,
    };
    return phases[walk->link->repl->phase](walk, view);
}

/* Bytes of the stream are missing. */
static void skip_streamed(const struct resp_walk *walk, uint64_t len, enum stream_skip why) {
    struct resp_link *link = walk->link;
    enum resp_skipped skipped = resp_skip(&link->readers[walk->direction], len);
    bool ends = skipped == RESP_AT_END && why == SKIP_SNAPLEN;
    link->repl->offset += len - ends;
    link->repl->guess.ended = false;
    if (ends) {
        (void)take_stream(walk, bytes_str("\n"));
    } else if (skipped != RESP_IN_STEP) {
        resp_reset(&link->readers[walk->direction], walk->out->resp);
        link->astray[walk->direction] = true;
    }
}

void repl_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why) {
    struct repl *repl = walk->link->repl;
    uint64_t payload = len < repl->payload_left ? len : repl->payload_left;
    switch (repl->phase) {
    case REPL_PAYLOAD:
        repl->payload_left -= payload;
        repl->payload_bytes += payload;
        if (repl->payload_left == 0)
            payload_ended(walk);
        len -= payload;
        break;
    case REPL_PAYLOAD_HEAD:
        wait_for_ack(repl);
        return;
    case REPL_PAYLOAD_MARKED:
        repl->tail_len = 0;
        repl->payload_bytes += len;
        repl->torn = true;
        return;
    case REPL_PAYLOAD_ENDLESS:
        return;
    case REPL_STREAM:
        break;
    }
    if (len > 0)
        skip_streamed(walk, len, why);
}
