/* test_resp_oracle.c - our reader of RESP beside others that know nothing of it: hiredis' reader
 * (RESP2), and for RESP3, which Debian 12's hiredis cannot read, the encoder that wrote the bytes.
 *
 * Each of them tells a value as a line of what we keep of it (decode/resp.h), and the lines must be
 * equal: items, each with a dot for each level, type, number and "=text"; "!" and the beginning of
 * each error below the top; "#" and the bytes used:
 *
 *     *2 .$3=foo .-5=ERR x !ERR x #22
 *
 * Read are the streams of real captures, values made by chance, and damaged ones; each reader gets
 * them cut in other places. Where the two disagree, the table `oddities` says why they may: no
 * other difference passes. A failure prints the seed; PROP_SEED=... repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/decoder.h"
#include "decode/flow.h"
#include "decode/resp.h"
#include "tests/lib/captures.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"
#include "tests/lib/streams.h"

#include <errno.h>
#include <hiredis/read.h>
#include <inttypes.h>

/* What decode/resp.h promises to keep of a reply: of so many items, none deeper than this, so much
 * of a bulk, so much of a line; nothing of a bulk that is the whole reply. */
enum { KEPT_ITEMS = 4, KEPT_DEPTH = 1, KEPT_BULK = 64, KEPT_LINE = 512 };
#define STREAMED INT64_C(0xffffffff) /* told as the length of what does not tell it */

static uint64_t seed;

/* ---- a reader's story: a line for each value ---- */

struct story {
    struct buf lines;
    struct buf
        heads; /* of the same values a line each: type, bytes and error, as events have them */
    size_t values;
    bool bad; /* the reader has given up */

    /* the value in hand */
    struct buf items, errors, head;
    unsigned kept;
};

static void story_start(struct story *story) {
    *story = (struct story){0};
    story->lines.max = story->heads.max = story->items.max = story->errors.max = story->head.max =
        256 << 20;
}

static void story_free(struct story *story) {
    buf_free(&story->lines);
    buf_free(&story->heads);
    buf_free(&story->items);
    buf_free(&story->errors);
    buf_free(&story->head);
}

static void put_item(struct buf *buf, unsigned depth, uint8_t type, int64_t number,
                     struct bytes text) {
    for (unsigned i = 0; i < depth; i++)
        buf_text(buf, ".");
    buf_printf(buf, "%c%" PRId64, type, number);
    if (text.len)
        buf_text(buf, "=");
    buf_wire_text(buf, text, KEPT_LINE);
    buf_text(buf, " ");
}

static void put_error(struct buf *buf, struct bytes text) {
    buf_text(buf, "!");
    buf_wire_text(buf, bytes_first(text, KEPT_LINE), KEPT_LINE);
    buf_text(buf, " ");
}

static void put_head(struct buf *buf, uint8_t type, int64_t number, struct bytes error) {
    const uint8_t *blank = error.len ? memchr(error.data, ' ', error.len) : NULL;
    bool null = number < 0 && type != ':';
    buf_printf(buf, "%s ", null ? "null" : resp_type_name(type));
    buf_wire_text(buf, bytes_first(error, blank ? (size_t)(blank - error.data) : error.len),
                  KEPT_LINE);
}

static bool is_bulk(uint8_t type) {
    return type == '$' || type == '=' || type == '!';
}

/* The value is complete. */
static void end_value(struct story *story, uint64_t bytes) {
    struct buf *parts[] = {&story->items, &story->errors, &story->head};
    buf_add(&story->lines, buf_str(parts[0]), parts[0]->len);
    buf_add(&story->lines, buf_str(parts[1]), parts[1]->len);
    buf_printf(&story->lines, "#%" PRIu64 "\n", bytes);
    buf_add(&story->heads, buf_str(parts[2]), parts[2]->len);
    buf_printf(&story->heads, " %" PRIu64 "\n", bytes);
    for (size_t i = 0; i < countof(parts); i++)
        parts[i]->len = 0;
    story->kept = 0;
    story->values++;
}

/* An item as the others tell it, with all of its text: is it kept, and how much of it? */
static void tell(struct story *story, unsigned depth, uint8_t type, int64_t number,
                 struct bytes text) {
    bool error = type == '-' || type == '!';
    size_t most = !is_bulk(type) ? KEPT_LINE : depth > 0 || type == '!' ? KEPT_BULK : 0;
    if (error && depth > 0)
        put_error(&story->errors, type == '-' ? text : bytes_str("ERR"));
    if (depth == 0)
        put_head(&story->head, type, number, error ? bytes_first(text, most) : bytes_of(NULL, 0));
    if (depth > KEPT_DEPTH || story->kept == KEPT_ITEMS)
        return;
    put_item(&story->items, depth, type, number, bytes_first(text, most));
    story->kept++;
}

/* ---- bytes cut in random places ---- */

/* Length of the next piece; without dice everything is one. */
static size_t piece_of(struct dice *dice, size_t left) {
    static const uint32_t sizes[] = {1, 3, 20, 200, 1448, 1448, 20000};
    if (!dice)
        return left;
    return min_size(left, 1 + dice_below(dice, sizes[dice_below(dice, countof(sizes))]));
}

/* ---- hiredis ---- */

static unsigned depth_of(const redisReadTask *task) {
    unsigned depth = 0;
    for (const redisReadTask *up = task->parent; up; up = up->parent)
        depth++;
    return depth;
}

static void *on_string(const redisReadTask *task, char *text, size_t len) {
    static const uint8_t types[] = {
        [REDIS_REPLY_STRING] = '$', [REDIS_REPLY_STATUS] = '+', [REDIS_REPLY_ERROR] = '-'};
    tell(task->privdata, depth_of(task), types[task->type], (int64_t)len, bytes_of(text, len));
    return task->privdata;
}

static void *on_array(const redisReadTask *task, int count) {
    tell(task->privdata, depth_of(task), '*', count, bytes_of(NULL, 0));
    return task->privdata;
}

static void *on_integer(const redisReadTask *task, long long number) {
    tell(task->privdata, depth_of(task), ':', number, bytes_of(NULL, 0));
    return task->privdata;
}

static void *on_nil(const redisReadTask *task) {
    tell(task->privdata, depth_of(task), task->type == REDIS_REPLY_ARRAY ? '*' : '$', -1,
         bytes_of(NULL, 0));
    return task->privdata;
}

static void on_free(void *object) {
    (void)object;
}

/* Of all that was fed, how much has been read? */
static uint64_t position(const redisReader *reader, uint64_t fed) {
    return fed - (reader->len - reader->pos);
}

static void hiredis_reads(struct story *story, struct bytes view, struct dice *dice) {
    static redisReplyObjectFunctions functions = {on_string, on_array, on_integer, on_nil, on_free};
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    uint64_t fed = 0, began = 0;
    void *reply;
    assert_non_null(reader);
    reader->privdata = story; /* its macro truncates the pointer, and clang says so */
    story_start(story);
    while (view.len && !story->bad) {
        size_t len = piece_of(dice, view.len);
        assert_int_equal(redisReaderFeed(reader, (const char *)view.data, len), REDIS_OK);
        fed += len;
        view = bytes_after(view, len);
        while (!(story->bad = redisReaderGetReply(reader, &reply) != REDIS_OK) && reply) {
            end_value(story, position(reader, fed) - began);
            began = position(reader, fed);
        }
    }
    redisReaderFree(reader);
}

/* ---- ours ---- */

static void on_inner_error(void *context, struct bytes text) {
    struct story *story = context;
    put_error(&story->errors, text);
}

static void tell_ours(struct story *story, const struct resp_value *value) {
    const struct resp_item *top = &value->items[0];
    assert_true(value->count > 0 && !value->lost);
    bool error = top->type == '-' || top->type == '!';
    put_head(&story->head, top->type, top->number, error ? resp_text(top) : bytes_of(NULL, 0));
    for (uint32_t i = 0; i < value->count; i++) {
        const struct resp_item *item = &value->items[i];
        put_item(&story->items, item->depth, item->type, item->number, resp_text(item));
    }
    end_value(story, value->bytes);
}

struct ours {
    struct resp_reader reader;
    struct resp_tools tools;
    struct pool pool;
};

/* A value that lies whole in the view: the short way, if it takes it. */
static size_t short_way(struct ours *ours, struct story *story, struct bytes view) {
    size_t used = resp_is_between(&ours->reader) ? resp_whole_reply(view, &ours->tools.scratch) : 0;
    if (used)
        tell_ours(story, &ours->tools.scratch);
    return used;
}

static size_t long_way(struct ours *ours, struct story *story, struct bytes view) {
    enum resp_got got;
    size_t used = resp_feed(&ours->reader, &ours->tools, view, &got);
    story->bad = got == RESP_BAD;
    if (got == RESP_DONE) {
        tell_ours(story, ours->reader.value);
        resp_done(&ours->reader, &ours->tools);
    }
    return used;
}

static void we_read(struct story *story, struct bytes view, struct dice *dice) {
    struct ours ours = {.pool.max = CAP_HELD};
    ours.tools =
        (struct resp_tools){.pool = &ours.pool, .on_error = on_inner_error, .context = story};
    story_start(story);
    resp_init(&ours.reader, false);
    while (view.len && !story->bad) {
        struct bytes piece = bytes_first(view, piece_of(dice, view.len));
        view = bytes_after(view, piece.len);
        if (piece.len <= GUARD_ROOM)
            piece = guarded(piece);
        bool shortly = !dice || dice_once_in(dice, 2);
        while (piece.len && !story->bad) {
            size_t used = shortly ? short_way(&ours, story, piece) : 0;
            piece = bytes_after(piece, used ? used : long_way(&ours, story, piece));
        }
    }
    resp_reset(&ours.reader, &ours.tools);
    assert_int_equal(ours.pool.used, 0);
    pool_free(&ours.pool);
}

/* ---- where the two may differ ---- */

enum verdict {
    GOES_ON, /* takes it for something, and reads on; what comes of that is its own affair */
    GIVES_UP,
    GIVES_UP_LATER, /* once the line has ended, if it does */
};

enum odd {
    ODD_NONE,
    ODD_TYPE,
    ODD_NUMBER,
    ODD_RANGE,
    ODD_LENIENT,
    ODD_BULK_END,
    ODD_LF_IN_TEXT,
    ODD_LF_IN_NUMBER,
    ODD_RESP3,
    ODD_STREAMED,
    ODD_DEEP,
    ODD_MANY,
    ODD_LONG_NUMBER,
    ODD_LONG_TEXT,
    ODD_COUNT
};

/* The first thing in a stream that is not plain RESP2 decides. `example` followed by `fill` bytes
 * of 1 and CRLF is one, so that no row outlives its reason. */
static const struct oddity {
    const char *example;
    size_t fill;
    enum verdict hiredis, ours;
    const char *why; /* they differ */
} oddities[ODD_COUNT] = {
    [ODD_TYPE] = {"x", 0, GIVES_UP, GIVES_UP, NULL},
    [ODD_NUMBER] = {":1x", 0, GIVES_UP, GIVES_UP, NULL},
    [ODD_RANGE] = {"$-2", 0, GIVES_UP, GIVES_UP, NULL},
    [ODD_LENIENT] = {":+7", 0, GIVES_UP, GOES_ON,
                     "RESP3 allows a plus sign, and zeros in front harm nobody"},
    [ODD_BULK_END] = {"$3\r\nabcde+OK", 0, GOES_ON, GIVES_UP,
                      "hiredis does not look at what stands behind a bulk; we must notice that we "
                      "are out of step"},
    [ODD_LF_IN_TEXT] = {"+a\nb", 0, GOES_ON, GIVES_UP,
                        "hiredis takes it for text; servers never send one, other protocols do"},
    [ODD_LF_IN_NUMBER] = {":1\n2", 0, GIVES_UP_LATER, GIVES_UP,
                          "hiredis waits for CRLF, and finds no number then"},
    [ODD_RESP3] = {"_", 0, GIVES_UP, GOES_ON, "hiredis 0.14 knows RESP2 only"},
    [ODD_STREAMED] = {"*?", 0, GIVES_UP, GOES_ON, "hiredis 0.14 knows RESP2 only"},
    [ODD_DEEP] = {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1", 0, GIVES_UP, GOES_ON,
                  "hiredis reads eight levels, we CAP_RESP_DEPTH"},
    [ODD_MANY] = {"*1073741825", 0, GOES_ON, GIVES_UP,
                  "hiredis allows INT_MAX items, we CAP_RESP_COUNT"},
    [ODD_LONG_NUMBER] = {":", RESP_LINE, GIVES_UP_LATER, GIVES_UP,
                         "hiredis waits for the end of the line, we do not keep it so long"},
    [ODD_LONG_TEXT] = {"+", CAP_RESP_LINE, GOES_ON, GIVES_UP, "CAP_RESP_LINE; hiredis has no cap"},
};

enum { HIREDIS_DEPTH = 8 };

/* Looks for the first oddity, a line or a bulk at a time. */
struct scan {
    struct bytes rest;
    unsigned depth;
    uint64_t left[HIREDIS_DEPTH];
    size_t values; /* complete before it */
    bool cut;      /* the bytes end within a line or a bulk */
};

static void scan_item_ended(struct scan *scan) {
    while (scan->depth > 0) {
        if (--scan->left[scan->depth - 1] > 0)
            return;
        scan->depth--;
    }
    scan->values++;
}

/* "0", or a minus sign perhaps, a digit that is not zero, digits; *ret_number: if it fits. */
static enum odd scan_number(struct bytes text, int64_t *ret_number) {
    char copy[RESP_LINE + 1] = {0};
    char *end;
    size_t sign = text.len && (text.data[0] == '-' || text.data[0] == '+');
    memcpy(copy, text.data, text.len);
    for (size_t i = sign; i < text.len; i++)
        if (copy[i] < '0' || copy[i] > '9')
            return ODD_NUMBER;
    if (text.len == sign || text.len - sign > 19) /* digits of the greatest */
        return ODD_NUMBER;
    errno = 0;
    *ret_number = strtoll(copy, &end, 10);
    if (errno)
        return ODD_NUMBER;
    bool zeros = copy[sign] == '0' && (sign || text.len > 1);
    return zeros || copy[0] == '+' ? ODD_LENIENT : ODD_NONE;
}

static enum odd scan_bulk(struct scan *scan, int64_t len) {
    struct bytes rest = scan->rest;
    uint64_t size = (uint64_t)len;
    if (len < -1)
        return ODD_RANGE;
    if (len == -1) {
        scan_item_ended(scan);
        return ODD_NONE;
    }
    if ((rest.len > size && rest.data[size] != '\r') ||
        (rest.len > size + 1 && rest.data[size + 1] != '\n'))
        return ODD_BULK_END;
    scan->cut = rest.len < size + 2;
    if (scan->cut)
        return ODD_NONE;
    scan->rest = bytes_after(rest, (size_t)size + 2);
    scan_item_ended(scan);
    return ODD_NONE;
}

static enum odd scan_array(struct scan *scan, int64_t count) {
    if (count < -1 || count > INT32_MAX)
        return ODD_RANGE;
    if (count > CAP_RESP_COUNT)
        return ODD_MANY;
    if (count > 0)
        scan->left[scan->depth++] = (uint64_t)count;
    else
        scan_item_ended(scan);
    return ODD_NONE;
}

static enum odd scan_line(struct scan *scan, uint8_t type, struct bytes line) {
    int64_t number = 0;
    if (type == '+' || type == '-') {
        scan_item_ended(scan);
        return ODD_NONE;
    }
    if (type != ':' && bytes_equal(line, bytes_str("?")))
        return ODD_STREAMED;
    enum odd odd = scan_number(line, &number);
    if (odd == ODD_NONE && type == ':')
        scan_item_ended(scan);
    else if (odd == ODD_NONE)
        odd = (type == '$' ? scan_bulk : scan_array)(scan, number);
    return odd;
}

static enum odd scan_type(const struct scan *scan, uint8_t type) {
    if (type == '*' && scan->depth == HIREDIS_DEPTH)
        return ODD_DEEP;
    if (type && strchr("+-:$*", type))
        return ODD_NONE;
    return type && strchr("_,#!=(%~|>;.", type) ? ODD_RESP3 : ODD_TYPE;
}

static enum odd scan_next(struct scan *scan) {
    uint8_t type = scan->rest.data[0];
    enum odd odd = scan_type(scan, type);
    bool text = type == '+' || type == '-';
    struct bytes rest = bytes_after(scan->rest, 1);
    const uint8_t *end = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
    struct bytes line = bytes_first(rest, end ? (size_t)(end - rest.data) : rest.len);
    if (odd != ODD_NONE)
        return odd;
    if (line.len > (text ? (size_t)CAP_RESP_LINE : (size_t)RESP_LINE))
        return text ? ODD_LONG_TEXT : ODD_LONG_NUMBER;
    scan->cut = !end;
    if (!end)
        return ODD_NONE;
    if (!line.len || line.data[line.len - 1] != '\r')
        return text ? ODD_LF_IN_TEXT : ODD_LF_IN_NUMBER;
    scan->rest = bytes_after(rest, line.len + 1);
    return scan_line(scan, type, bytes_first(line, line.len - 1));
}

static enum odd first_oddity(struct bytes view, size_t *ret_values) {
    struct scan scan = {.rest = view};
    enum odd odd = ODD_NONE;
    while (scan.rest.len && !scan.cut && odd == ODD_NONE)
        odd = scan_next(&scan);
    *ret_values = scan.values;
    return odd;
}

/* ---- comparing ---- */

static const char *const verdicts[] = {"reads on", "gives up", "may give up"};

/* The end of so many lines. */
static size_t end_of_lines(const struct buf *lines, size_t count) {
    const char *at = buf_str(lines);
    for (size_t i = 0; i < count; i++)
        at = strchr(at, '\n') + 1;
    return (size_t)(at - buf_str(lines));
}

static void show_place(struct bytes view, const struct story *hiredis, const struct story *ours) {
    struct buf buf = {.max = 1 << 20};
    const char *a = buf_str(&hiredis->lines), *b = buf_str(&ours->lines);
    size_t same = 0, start;
    while (a[same] && a[same] == b[same])
        same++;
    for (start = same; start > 0 && a[start - 1] != '\n'; start--)
        ;
    buf_wire_text(&buf, view, 400);
    print_error("read:    %s\nhiredis: %zu values%s, ... %.300s\n", buf_str(&buf), hiredis->values,
                hiredis->bad ? ", and gives up" : "", a + start);
    print_error("ours:    %zu values%s, ... %.300s\n", ours->values,
                ours->bad ? ", and gives up" : "", b + start);
    buf_free(&buf);
}

/* Has the reader done what the row says, having told the values that stand before? */
static bool is_as_said(const struct story *story, enum verdict verdict, size_t values) {
    if (verdict == GOES_ON)
        return story->values >= values;
    return story->values == values && (story->bad || verdict == GIVES_UP_LATER);
}

static bool same_lines(const struct story *a, const struct story *b, size_t values) {
    if (a->values < values || b->values < values)
        return false;
    size_t len = end_of_lines(&a->lines, values);
    return len == end_of_lines(&b->lines, values) &&
           memcmp(buf_str(&a->lines), buf_str(&b->lines), len) == 0;
}

/* Both stories are told again by readers that get the bytes cut elsewhere, and must agree. `heads`
 * (may be NULL) gets what is certain of them. Returns the number of values. */
static size_t compare(struct bytes view, struct dice *dice, const char *where, struct buf *heads) {
    struct story hiredis, ours;
    size_t values;
    hiredis_reads(&hiredis, view, dice);
    we_read(&ours, view, dice);
    enum odd odd = first_oddity(view, &values);
    const struct oddity *row = &oddities[odd];
    bool well =
        odd == ODD_NONE
            ? !hiredis.bad && !ours.bad && hiredis.values == values && ours.values == values
            : is_as_said(&hiredis, row->hiredis, values) && is_as_said(&ours, row->ours, values);
    if (!well || !same_lines(&hiredis, &ours, values)) {
        show_place(view, &hiredis, &ours);
        fail_msg("%s: the readers disagree behind %zu values; expected there: hiredis %s, ours %s; "
                 "again: PROP_SEED=%" PRIu64,
                 where, values, verdicts[row->hiredis], verdicts[row->ours], seed);
    }
    if (heads)
        buf_add(heads, buf_str(&hiredis.heads), end_of_lines(&hiredis.heads, values));
    story_free(&hiredis);
    story_free(&ours);
    return values;
}

/* ---- captures ---- */

struct tally {
    struct dice dice;
    size_t values, replies, connections, links, others;
};

/* Replies of a connection as the decoder tells them: its notes. */
static void note_event(void *context, const struct event *event) {
    const struct flow *flow = event->flow;
    if (!flow || flow->connector == FLOW_CONNECTOR_UNKNOWN)
        return;
    unsigned client = (unsigned)flow->connector;
    struct connection *connection = NULL;
    bool reply = event->type == EV_reply, other = event->type == EV_unmatched;
    if (reply || other || event->type == EV_push)
        connection = streams_find(context, &flow->ends[client], &flow->ends[!client],
                                  flow->sides[client].isn + 1);
    if (!connection)
        return;
    const char *type = reply ? event->reply.type : other ? event->unmatched.type : "push";
    struct bytes error = reply   ? event->reply.error
                         : other ? event->unmatched.error
                                 : bytes_of(NULL, 0);
    uint64_t bytes = reply   ? event->reply.bytes
                     : other ? event->unmatched.bytes
                             : event->push.bytes;
    buf_printf(&connection->notes, "%s ", type);
    buf_wire_text(&connection->notes, error, KEPT_LINE);
    buf_printf(&connection->notes, " %" PRIu64 "\n", bytes);
}

static bool holds(const struct made *bytes, const char *text) {
    return bytes->len && memmem(bytes->data, bytes->len, text, strlen(text));
}

/* What a primary says after PSYNC or SYNC, and a node that slots are moved to, are no replies. */
static bool is_replication(const struct connection *connection) {
    const struct made *asked = &connection->way[CLIENT].bytes;
    return holds(asked, "\r\nPSYNC\r\n") || holds(asked, "\r\nSYNC\r\n") ||
           holds(asked, "\r\nSYNCSLOTS\r\n");
}

/* Pushes have a kind where replies have a type, and several confirmations make one reply. */
static bool has_pushes(const struct connection *connection) {
    const struct made *said = &connection->way[SERVER].bytes;
    return holds(said, "subscribe\r\n") || holds(said, "message\r\n") || holds(said, "\r\n>");
}

/* A client that begins with an array speaks RESP; with a line, it may. */
static bool is_client(const struct connection *connection) {
    const struct made *asked = &connection->way[CLIENT].bytes;
    return asked->len > 0 && (asked->data[0] == '*' || connection->notes.len);
}

static void compare_events(const struct connection *connection, const struct buf *heads,
                           const char *where) {
    const struct buf *notes = &connection->notes;
    size_t same = 0;
    while (same < heads->len && same < notes->len && heads->data[same] == notes->data[same])
        same++;
    if (same == heads->len)
        return;
    while (same > 0 && heads->data[same - 1] != '\n')
        same--;
    print_error("hiredis: %.200s\nevents:  %.200s\n", heads->data + same, buf_str(notes) + same);
    fail_msg("%s: the decoder's replies are not those that hiredis reads", where);
}

static void compare_connection(struct tally *tally, const struct connection *connection,
                               const char *path) {
    const struct way *way = connection->way;
    char where[4200], client[ENDPOINT_TEXT], server[ENDPOINT_TEXT];
    struct buf heads = {.max = 64 << 20};
    endpoint_text(&way[CLIENT].src, client);
    endpoint_text(&way[SERVER].src, server);
    (void)snprintf(where, sizeof where, "%s, %s > %s", path, server, client);
    tally->values += compare(made_view(&way[CLIENT].bytes), &tally->dice, where, NULL);
    size_t replies = compare(made_view(&way[SERVER].bytes), &tally->dice, where, &heads);
    tally->values += replies;
    if (is_replication(connection)) {
        tally->links++;
    } else if (!is_client(connection) || has_pushes(connection)) {
        tally->others++;
    } else {
        compare_events(connection, &heads, where);
        tally->replies += replies;
        tally->connections++;
    }
    buf_free(&heads);
}

static void to_decoder(void *decoder, const struct packet *packet) {
    decoder_packet(decoder, packet);
}

static void compare_capture(void *context, const char *path) {
    struct tally *tally = context;
    struct streams *streams = streams_new();
    capture_each(path, streams_packet, streams);
    struct decoder *decoder =
        decoder_new((struct siphash_key){1, 2}, EVENTS_ALL, note_event, streams);
    assert_non_null(decoder);
    capture_each(path, to_decoder, decoder);
    decoder_finish(decoder);
    decoder_free(decoder);
    for (size_t i = 0; i < streams_count(streams); i++)
        compare_connection(tally, streams_at(streams, i), path);
    streams_free(streams);
}

static void same_of_every_capture(void **state) {
    (void)state;
    struct tally tally = {.dice = dice_of(seed)};
    size_t captures =
        captures_each(compare_capture, &tally) + captures_outside_each(compare_capture, &tally);
    if (captures == 0)
        skip();
    print_message("%zu captures: %zu values agreed on; %zu replies in %zu connections are the "
                  "decoder's events; besides, %zu replication links, %zu other connections\n",
                  captures, tally.values, tally.replies, tally.connections, tally.links,
                  tally.others);
    assert_true(tally.replies > 10000 && tally.values > tally.replies);
}

/* ---- values made by chance ---- */

/* An encoder that also tells what it wrote. */
struct encoder {
    struct dice *dice;
    struct made bytes;
    struct story story;
    unsigned depth, deepest; /* of aggregates */
    unsigned hidden;         /* within so many attributes */
    bool resp3;
};

static void put(struct encoder *e, const char *format, ...) ATTR_PRINTF(2, 3);
static void put(struct encoder *e, const char *format, ...) {
    char text[96];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    made_bytes(&e->bytes, text, (size_t)len);
}

static void told(struct encoder *e, uint8_t type, int64_t number, struct bytes text) {
    if (!e->hidden)
        tell(&e->story, e->depth, type, number, text);
}

/* Any bytes, or any but CR and LF. */
static struct bytes random_text(struct encoder *e, bool line) {
    static uint8_t text[1 << 17];
    static const uint32_t sizes[] = {4, 4, 40, 100, 700, 3000, sizeof text};
    uint32_t kinds = dice_once_in(e->dice, 20) ? countof(sizes) - line : 4;
    size_t len = dice_below(e->dice, sizes[dice_below(e->dice, kinds)]);
    bool words = dice_once_in(e->dice, 2);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)dice_throw(e->dice);
        bool ends = line && (byte == '\r' || byte == '\n');
        text[i] = words ? "ERR abc*$:+-01\x80 "[byte & 15] : ends ? '.' : byte;
    }
    return bytes_of(text, len);
}

static void put_line(struct encoder *e, uint8_t type, struct bytes text) {
    put(e, "%c", type);
    made_bytes(&e->bytes, text.data, text.len);
    put(e, "\r\n");
    told(e, type, (int64_t)text.len, text);
}

static void put_text_line(struct encoder *e) {
    put_line(e, dice_once_in(e->dice, 2) ? '+' : '-', random_text(e, true));
}

static void put_integer(struct encoder *e) {
    static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN};
    bool edge = dice_once_in(e->dice, 4);
    int64_t number = edge ? edges[dice_below(e->dice, countof(edges))]
                          : (int64_t)dice_throw(e->dice) >> dice_below(e->dice, 64);
    put(e, ":%" PRId64 "\r\n", number);
    told(e, ':', number, bytes_of(NULL, 0));
}

static void put_bulk(struct encoder *e, uint8_t type, struct bytes text) {
    put(e, "%c%zu\r\n", type, text.len);
    made_bytes(&e->bytes, text.data, text.len);
    put(e, "\r\n");
    told(e, type, (int64_t)text.len, text);
}

static void put_string(struct encoder *e) {
    put_bulk(e, '$', random_text(e, false));
}

static void put_null(struct encoder *e) {
    bool deep = e->depth == HIREDIS_DEPTH; /* to hiredis a null array is one more level */
    uint8_t type = deep || dice_once_in(e->dice, 2) ? '$' : '*';
    put(e, "%c-1\r\n", type);
    told(e, type, -1, bytes_of(NULL, 0));
}

static void put_any(struct encoder *e);

static void put_items(struct encoder *e, uint64_t count) {
    e->depth++;
    for (uint64_t i = 0; i < count; i++)
        put_any(e);
    e->depth--;
}

/* Mostly of a few items; now and then of many that are small. */
static void put_array(struct encoder *e) {
    uint32_t count = dice_below(e->dice, e->depth > 3 ? 3 : 6);
    bool many = e->depth < 2 && dice_once_in(e->dice, 30);
    if (many)
        count = dice_below(e->dice, 300);
    put(e, "*%u\r\n", count);
    told(e, '*', count, bytes_of(NULL, 0));
    e->depth++;
    for (uint32_t i = 0; i < count; i++)
        (many ? put_integer : put_any)(e);
    e->depth--;
}

/* ---- RESP3 ---- */

static void put_small_line(struct encoder *e) {
    static const struct {
        uint8_t type;
        const char *text;
    } rows[] = {
        {'_', ""},
        {',', "3.25"},
        {',', "-0"},
        {',', "1e+300"},
        {',', "inf"},
        {',', "-inf"},
        {',', "nan"},
        {'#', "t"},
        {'#', "f"},
        {'(', "0"},
        {'(', "-349289032840932840928309482039"},
        {'+', "QUEUED"},
        {',', "10"},
    };
    size_t row = dice_below(e->dice, countof(rows));
    put_line(e, rows[row].type, bytes_str(rows[row].text));
}

static void put_bulk_error(struct encoder *e) {
    put_bulk(e, '!', random_text(e, false));
}

static void put_verbatim(struct encoder *e) {
    uint8_t text[64] = "txt:";
    struct bytes rest = bytes_first(random_text(e, false), sizeof text - 4);
    if (rest.len)
        memcpy(text + 4, rest.data, rest.len);
    put_bulk(e, '=', bytes_of(text, 4 + rest.len));
}

/* A map, a set, a push, which stand for arrays here: a push within a value is nothing special. */
static void put_aggregate(struct encoder *e) {
    static const uint8_t types[] = {'%', '~', '>'};
    uint8_t type = types[dice_below(e->dice, countof(types))];
    uint32_t count = dice_below(e->dice, 4);
    put(e, "%c%u\r\n", type, count);
    told(e, type, count, bytes_of(NULL, 0));
    put_items(e, type == '%' ? 2 * count : count);
}

static void put_streamed_aggregate(struct encoder *e) {
    static const uint8_t types[] = {'*', '%', '~'};
    uint8_t type = types[dice_below(e->dice, countof(types))];
    uint32_t count = dice_below(e->dice, 4);
    put(e, "%c?\r\n", type);
    told(e, type, STREAMED, bytes_of(NULL, 0));
    put_items(e, type == '%' ? 2 * count : count);
    put(e, ".\r\n");
}

static void put_streamed_string(struct encoder *e) {
    uint32_t chunks = dice_below(e->dice, 4);
    put(e, "$?\r\n");
    told(e, '$', STREAMED, bytes_of(NULL, 0));
    for (uint32_t i = 0; i < chunks; i++) {
        struct bytes text = random_text(e, false);
        if (text.len == 0)
            continue; /* it would be the end */
        put(e, ";%zu\r\n", text.len);
        made_bytes(&e->bytes, text.data, text.len);
        put(e, "\r\n");
    }
    put(e, ";0\r\n");
}

/* Attributes, and then the value that they belong to. */
static void put_attributed(struct encoder *e) {
    uint32_t pairs = dice_below(e->dice, 3);
    put(e, "|%u\r\n", pairs);
    e->hidden++;
    put_items(e, (uint64_t)2 * pairs);
    e->hidden--;
    put_any(e);
}

typedef void put_fn(struct encoder *e);

static void put_any(struct encoder *e) {
    static put_fn *const flat[] = {put_text_line,  put_integer,    put_string,  put_null,
                                   put_small_line, put_bulk_error, put_verbatim};
    static put_fn *const deep[] = {put_array,           put_array,
                                   put_aggregate,       put_streamed_aggregate,
                                   put_streamed_string, put_attributed};
    bool nests = e->depth < e->deepest && dice_once_in(e->dice, e->depth == 0 ? 2 : 3);
    uint32_t flats = e->resp3 ? countof(flat) : 4, deeps = e->resp3 ? countof(deep) : 2;
    (nests ? deep[dice_below(e->dice, deeps)] : flat[dice_below(e->dice, flats)])(e);
}

/* Aggregates in each other, down to the last level. */
static void put_nested(struct encoder *e) {
    if (e->depth == e->deepest) {
        put_any(e);
        return;
    }
    uint32_t count = 1 + dice_below(e->dice, 2);
    put(e, "*%u\r\n", count);
    told(e, '*', count, bytes_of(NULL, 0));
    e->depth++;
    put_nested(e);
    for (uint32_t i = 1; i < count; i++)
        put_integer(e);
    e->depth--;
}

static void encode(struct encoder *e, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        size_t before = e->bytes.len;
        (dice_once_in(e->dice, 8) ? put_nested : put_any)(e);
        end_value(&e->story, e->bytes.len - before);
    }
}

static struct encoder encoder_of(struct dice *dice, bool resp3) {
    /* a level for the attribute of the deepest, and one for a streamed string in it */
    struct encoder e = {
        .dice = dice, .resp3 = resp3, .deepest = resp3 ? CAP_RESP_DEPTH / 3 : HIREDIS_DEPTH};
    story_start(&e.story);
    return e;
}

static void encoder_free(struct encoder *e) {
    made_free(&e->bytes);
    story_free(&e->story);
}

enum { ROUNDS = 10000, DAMAGED_ROUNDS = 100000 };

/* Our reader tells what was written. */
static void compare_with_encoder(const struct encoder *e) {
    struct story ours;
    we_read(&ours, made_view(&e->bytes), e->dice);
    if (ours.bad || ours.values != e->story.values || !same_lines(&e->story, &ours, ours.values)) {
        print_error("written and read (where it says hiredis, it is the encoder):\n");
        show_place(made_view(&e->bytes), &e->story, &ours);
        fail_msg("what is read is not what was written; again: PROP_SEED=%" PRIu64, seed);
    }
    story_free(&ours);
}

/* hiredis, our reader and the encoder agree. */
static void random_values(void **state) {
    (void)state;
    struct dice dice = dice_of(seed);
    size_t values = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct encoder e = encoder_of(&dice, false);
        encode(&e, 1 + dice_below(&dice, 12));
        values += compare(made_view(&e.bytes), &dice, "values made by chance", NULL);
        assert_int_equal(first_oddity(made_view(&e.bytes), &(size_t){0}), ODD_NONE);
        compare_with_encoder(&e);
        encoder_free(&e);
    }
    print_message("%zu values\n", values);
}

static void random_resp3_values(void **state) {
    (void)state;
    struct dice dice = dice_of(seed);
    for (int i = 0; i < ROUNDS; i++) {
        struct encoder e = encoder_of(&dice, true);
        encode(&e, 1 + dice_below(&dice, 8));
        compare_with_encoder(&e);
        encoder_free(&e);
    }
}

/* ---- damaged values ---- */

static void damage(struct made *bytes, struct dice *dice) {
    static const char bytes_of_interest[] = "\r\n*$:+-0123456789?_%~|>;.x \x80";
    uint8_t byte = (uint8_t)bytes_of_interest[dice_below(dice, sizeof bytes_of_interest)];
    size_t at = dice_below(dice, (uint32_t)bytes->len), rest = bytes->len - at - 1;
    switch (dice_below(dice, 4)) {
    case 0: /* another byte */
        bytes->data[at] = byte;
        break;
    case 1: /* one less */
        memmove(bytes->data + at, bytes->data + at + 1, rest);
        bytes->len--;
        break;
    case 2: /* one more */
        made_bytes(bytes, "", 1);
        memmove(bytes->data + at + 1, bytes->data + at, rest + 1);
        bytes->data[at] = byte;
        break;
    default: /* no more */
        bytes->len = at + 1;
        break;
    }
}

/* Where hiredis gives up we do, and the other way round, but for the oddities. */
static void damaged_values(void **state) {
    (void)state;
    struct dice dice = dice_of(seed);
    size_t met[ODD_COUNT] = {0}, values;
    for (int i = 0; i < DAMAGED_ROUNDS; i++) {
        struct encoder e = encoder_of(&dice, false);
        encode(&e, 1 + dice_below(&dice, 3));
        for (uint32_t k = 1 + dice_below(&dice, 3); k > 0 && e.bytes.len > 1; k--)
            damage(&e.bytes, &dice);
        (void)compare(made_view(&e.bytes), &dice, "a damaged value", NULL);
        met[first_oddity(made_view(&e.bytes), &values)]++;
        encoder_free(&e);
    }
    for (enum odd odd = ODD_NONE; odd <= ODD_STREAMED; odd++) /* the rest is rare */
        assert_true(met[odd] > 0);
}

/* Each row of the table is a difference that exists, and the only one of its example. */
static void each_oddity_exists(void **state) {
    (void)state;
    for (enum odd odd = ODD_TYPE; odd < ODD_COUNT; odd++) {
        const struct oddity *row = &oddities[odd];
        struct made bytes = {0};
        size_t values;
        struct story hiredis, ours;
        made_bytes(&bytes, row->example, strlen(row->example));
        for (size_t i = 0; i < row->fill; i++)
            made_bytes(&bytes, "1", 1);
        made_bytes(&bytes, "\r\n", 2);
        assert_int_equal(first_oddity(made_view(&bytes), &values), odd);
        (void)compare(made_view(&bytes), NULL, row->example, NULL);
        hiredis_reads(&hiredis, made_view(&bytes), NULL);
        we_read(&ours, made_view(&bytes), NULL);
        assert_int_equal(hiredis.bad, row->hiredis != GOES_ON);
        assert_int_equal(ours.bad, row->ours != GOES_ON);
        assert_int_equal(row->why != NULL, row->hiredis != row->ours);
        story_free(&hiredis);
        story_free(&ours);
        made_free(&bytes);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_of_every_capture), cmocka_unit_test(random_values),
        cmocka_unit_test(random_resp3_values),   cmocka_unit_test(damaged_values),
        cmocka_unit_test(each_oddity_exists),
    };
    seed = dice_seed();
    print_message("PROP_SEED=%" PRIu64 "\n", seed);
    return RUN_GROUP(argc, argv, tests);
}
