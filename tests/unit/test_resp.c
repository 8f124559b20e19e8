/* test_resp.c - the reader of RESP: bytes to values, the same values however the bytes are cut;
 * what is kept of them; inline commands; what is no RESP; memory that is not there; and the queue
 * of requests that wait.
 *
 * A value is told as a line: its items, each with a dot for each level that it is deep, type,
 * number and "=text" if it has text, then "!text" for each error below the top, then "#bytes":
 *
 *     *2 .$3=foo .-5=ERR x !ERR x #22
 *
 * Every view stands flush against an unreadable page, and is gone when the next one is fed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "decode/resp.h"
#include "decode/resp_link.h"
#include "tests/lib/dice.h"
#include "tests/lib/failing.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"
#include "tests/lib/made.h"

/* ---- a reader, and what it says ---- */

struct reading {
    struct resp_reader reader;
    struct resp_tools tools;
    struct pool pool;
    struct buf errors; /* "!text" for each one */
    struct buf said;
};

static void on_error(void *context, struct bytes text) {
    struct reading *r = context;
    buf_text(&r->errors, " !");
    buf_wire_text(&r->errors, text, RESP_TEXT);
}

static struct reading *reading_new(bool requests) {
    struct reading *r = test_calloc(1, sizeof *r);
    r->pool.max = CAP_HELD;
    r->tools = (struct resp_tools){.pool = &r->pool, .on_error = on_error, .context = r};
    r->errors.max = r->said.max = 1 << 22;
    resp_init(&r->reader, requests);
    return r;
}

/* Nothing is held for a reader that has been reset. */
static void reading_free(struct reading *r) {
    resp_reset(&r->reader, &r->tools);
    assert_int_equal(r->pool.used, 0);
    pool_free(&r->pool);
    buf_free(&r->errors);
    buf_free(&r->said);
    test_free(r);
}

static void tell_item(struct buf *buf, const struct resp_item *item) {
    for (unsigned i = 0; i < item->depth; i++)
        buf_text(buf, ".");
    buf_printf(buf, "%c%lld", item->type, (long long)item->number);
    if (item->text_len) {
        buf_text(buf, "=");
        buf_wire_text(buf, resp_text(item), RESP_TEXT);
    }
}

static void tell_value(struct reading *r, const struct resp_value *value) {
    size_t kept = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        tell_item(&r->said, &value->items[i]);
        buf_text(&r->said, " ");
        kept += value->items[i].text_len;
    }
    if (value->lost)
        buf_text(&r->said, "lost ");
    if (r->errors.len)
        buf_add(&r->said, r->errors.data + 1, r->errors.len - 1);
    buf_printf(&r->said, "%s#%llu\n", r->errors.len ? " " : "", (unsigned long long)value->bytes);
    assert_true(value->text_used >= kept && value->text_used <= RESP_TEXTS);
    r->errors.len = 0;
}

/* All values of a view. False: then comes none. */
static bool read_all(struct reading *r, struct bytes view) {
    while (view.len) {
        enum resp_got got;
        size_t used = resp_feed(&r->reader, &r->tools, view, &got);
        assert_true(used <= view.len && (got != RESP_MORE || used == view.len));
        if (got == RESP_BAD)
            return false;
        if (got == RESP_DONE) {
            tell_value(r, r->reader.value);
            resp_done(&r->reader, &r->tools);
        }
        view = bytes_after(view, used);
    }
    return true;
}

static const char *said(struct reading *r) {
    buf_add(&r->said, "", 1);
    return r->said.data;
}

/* Fed in pieces: the first of `first` bytes, the others of `size`. */
static bool read_cut(struct reading *r, struct bytes view, size_t first, size_t size) {
    for (size_t len = first; view.len; len = size) {
        if (!read_all(r, guarded(bytes_first(view, len))))
            return false;
        view = bytes_after(view, len);
    }
    return true;
}

/* ---- every type ---- */

struct row {
    const char *bytes; /* may hold no NUL */
    const char *value;
};

#define A64 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"

static const struct row replies[] = {
    /* RESP2 */
    {"+OK\r\n", "+2=OK #5"},
    {"+\r\n", "+0 #3"},
    {"+a\rb\r\n", "+3=a\\x0db #6"},
    {"-ERR no\r\n", "-6=ERR no #9"},
    {":0\r\n", ":0 #4"},
    {":12345678\r\n", ":12345678 #11"},
    {":-5\r\n", ":-5 #5"},
    {":+7\r\n", ":7 #5"},
    {":9223372036854775807\r\n", ":9223372036854775807 #22"},
    {":-9223372036854775808\r\n", ":-9223372036854775808 #23"},
    {"$3\r\nfoo\r\n", "$3 #9"},
    {"$0\r\n\r\n", "$0 #6"},
    {"$-1\r\n", "$-1 #5"},
    {"$4\r\n\r\n\r\n\r\n", "$4 #10"},
    {"*0\r\n", "*0 #4"},
    {"*-1\r\n", "*-1 #5"},
    {"*2\r\n$3\r\nfoo\r\n:7\r\n", "*2 .$3=foo .:7 #17"},
    {"*2\r\n$-1\r\n*-1\r\n", "*2 .$-1 .*-1 #14"},
    {"*1\r\n*1\r\n*1\r\n+x\r\n", "*1 .*1 #16"},
    {"*6\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n", "*6 .:1 .:2 .:3 #28"},
    {"*2\r\n*2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n", "*2 .*2 .$1=b #26"},
    {"*1\r\n$66\r\n" A64 "ee\r\n", "*1 .$66=" A64 " #77"},
    {"*3\r\n+OK\r\n-ERR x\r\n*1\r\n-WRONGTYPE y\r\n",
     "*3 .+2=OK .-5=ERR x .*1 !ERR x !WRONGTYPE y #35"},

    /* RESP3 */
    {"_\r\n", "_0 #3"},
    {",3.14\r\n", ",4=3.14 #7"},
    {",-inf\r\n", ",4=-inf #7"},
    {"#t\r\n", "#1=t #4"},
    {"(-349289032840\r\n", "(13=-349289032840 #16"},
    {"!8\r\nSYNTAX a\r\n", "!8=SYNTAX a #14"},
    {"=7\r\ntxt:a\r\n\r\n", "=7 #13"},
    {"%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n", "%2 .+1=a .:1 .+1=b #20"},
    {"%0\r\n", "%0 #4"},
    {"~2\r\n+a\r\n~0\r\n", "~2 .+1=a .~0 #12"},
    {">2\r\n+message\r\n$1\r\nx\r\n", ">2 .+7=message .$1=x #21"},
    {"*1\r\n!5\r\nERR x\r\n", "*1 .!5=ERR x !ERR #15"},

    /* attributes are no items */
    {"|1\r\n+k\r\n:1\r\n$2\r\nab\r\n", "$2 #20"},
    {"|1\r\n+k\r\n*2\r\n:1\r\n-ERR x\r\n*1\r\n:5\r\n", "*1 .:5 #32"},
    {"|0\r\n:1\r\n", ":1 #8"},
    {"|1\r\n+a\r\n+b\r\n|1\r\n+c\r\n+d\r\n:3\r\n", ":3 #28"},
    {"*2\r\n:1\r\n|1\r\n+k\r\n+v\r\n:2\r\n", "*2 .:1 .:2 #24"},
    {"|1\r\n|1\r\n+k\r\n+v\r\n+k\r\n+v\r\n:2\r\n", ":2 #28"},
    {"|1\r\n+k\r\n!5\r\nERR x\r\n+OK\r\n", "+2=OK #24"},

    /* streamed */
    {"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", "$4294967295 #25"},
    {"$?\r\n;0\r\n", "$4294967295 #8"},
    {"*?\r\n:1\r\n*2\r\n:2\r\n:3\r\n.\r\n", "*4294967295 .:1 .*2 #23"},
    {"%?\r\n+a\r\n:1\r\n.\r\n", "%4294967295 .+1=a .:1 #15"},
    {"~?\r\n.\r\n", "~4294967295 #7"},
    {"*2\r\n$?\r\n;1\r\na\r\n;0\r\n:3\r\n", "*2 .$4294967295 .:3 #23"},
};

static const struct row requests[] = {
    {"*1\r\n$4\r\nPING\r\n", "*1 .$4=PING #14"},
    {"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*2 .$3=GET .$1=k #20"},
    {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "*2 .$3=GET .$0 #19"},
    {"*2\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n", "*2 .$1=a .$4=\\x0d\\x0a\\x0d\\x0a #21"},
    {"*0\r\n", "*0 #4"},
    {"*-1\r\n", "*-1 #5"},
    {"*0\r\n*1\r\n$1\r\na\r\n", "*0 #4\n*1 .$1=a #11"},
    {"PING\r\n", "w4=PING #6"},
    {"PING\n", "w4=PING #5"},
    {"\r\n", "w0 #2"},
    {"\n", "w0 #1"},
    {" GET  'a b' \r\nPING\r\n", "w12= GET  'a b'  #14\nw4=PING #6"},
    {"$3\r\n", "w2=$3 #4"},
    {"+OK\r\n", "w3=+OK #5"},
    {"a\rb\n", "w3=a\\x0db #4"},
};

static void check_said(struct reading *r, const struct row *row, const char *how, size_t at) {
    const char *got = said(r);
    size_t len = strlen(row->value);
    if (strncmp(got, row->value, len) != 0 || strcmp(got + len, "\n") != 0)
        fail_msg("%s %zu: \"%s\" is read as\n  %snot\n  %s", how, at, row->bytes, got, row->value);
    assert_true(resp_is_between(&r->reader));
    reading_free(r);
}

/* In one piece, in two, byte by byte. */
static void check_cuts(const struct row *row, bool are_requests) {
    struct bytes view = bytes_str(row->bytes);
    for (size_t cut = 1; cut <= view.len; cut++) {
        struct reading *r = reading_new(are_requests);
        assert_true(read_cut(r, view, cut, view.len));
        check_said(r, row, "cut at byte", cut);
    }
    struct reading *r = reading_new(are_requests);
    assert_true(read_cut(r, view, 1, 1));
    check_said(r, row, "byte by byte", 1);
}

static void replies_of_every_type(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(replies); i++)
        check_cuts(&replies[i], false);
}

static void requests_of_every_form(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(requests); i++)
        check_cuts(&requests[i], true);
}

/* All rows behind each other, cut in random places: one reader says the same of them all. */
static void cut_at_random(const struct row *rows, size_t count, bool are_requests) {
    struct dice dice = dice_of(dice_seed());
    struct made all = {0};
    struct buf expected = {.max = 1 << 20};
    print_message("PROP_SEED=%llu\n", (unsigned long long)dice.state);
    for (size_t i = 0; i < count; i++) {
        made_bytes(&all, rows[i].bytes, strlen(rows[i].bytes));
        buf_printf(&expected, "%s\n", rows[i].value);
    }
    buf_add(&expected, "", 1);
    for (int k = 0; k < 200; k++) {
        struct reading *r = reading_new(are_requests);
        struct bytes left = made_view(&all);
        while (left.len) {
            size_t len = 1 + dice_below(&dice, k % 2 ? 8 : 200);
            assert_true(read_all(r, guarded(bytes_first(left, len))));
            left = bytes_after(left, len);
        }
        assert_string_equal(said(r), expected.data);
        reading_free(r);
    }
    made_free(&all);
    buf_free(&expected);
}

static void many_cut_at_random(void **state) {
    (void)state;
    cut_at_random(replies, countof(replies), false);
    cut_at_random(requests, countof(requests), true);
}

/* ---- the short ways ---- */

/* Whatever the short way takes, the long way says the same of. Returns whether it took it. */
static bool check_whole(struct bytes view, bool are_requests) {
    struct reading *r = reading_new(are_requests), *short_way = reading_new(are_requests);
    struct resp_value value;
    memset(&value, 0xaa, sizeof value);
    view = guarded(view);
    size_t used = (are_requests ? resp_whole_request : resp_whole_reply)(view, &value);
    if (used) {
        enum resp_got got;
        tell_value(short_way, &value);
        assert_int_equal(resp_feed(&r->reader, &r->tools, view, &got), used);
        assert_int_equal(got, RESP_DONE);
        assert_int_equal(r->reader.value->text_used, value.text_used);
        tell_value(r, r->reader.value);
        resp_done(&r->reader, &r->tools);
        assert_string_equal(said(short_way), said(r));
    }
    reading_free(short_way);
    reading_free(r);
    return used > 0;
}

static size_t check_whole_rows(const struct row *rows, size_t count, bool are_requests) {
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes view = bytes_str(rows[i].bytes);
        for (size_t len = 1; len <= view.len; len++)
            taken += check_whole(bytes_first(view, len), are_requests);
    }
    return taken;
}

static void the_short_ways_say_the_same(void **state) {
    (void)state;
    assert_true(check_whole_rows(replies, countof(replies), false) >= 7);
    assert_true(check_whole_rows(requests, countof(requests), true) >= 6);
    assert_true(check_whole_rows(requests, countof(requests), false) >= 1);
    assert_true(check_whole_rows(replies, countof(replies), true) >= 2);
}

/* One byte of a value changed to each of some others: taken by both ways, or not by the short one.
 */
static void the_short_ways_of_broken_values(void **state) {
    (void)state;
    static const char *const values[] = {"*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n",
                                         "$10\r\n0123456789\r\n", "+QUEUED\r\n", ":1234567\r\n",
                                         "$00000003\r\nabc\r\n"};
    static const char others[] = "\r\n*$:+-0129xw \x80";
    for (size_t i = 0; i < countof(values); i++) {
        char text[64];
        size_t len = strlen(values[i]);
        for (size_t at = 0; at < len; at++)
            for (size_t k = 0; k < sizeof others; k++) {
                memcpy(text, values[i], len);
                text[at] = others[k];
                (void)check_whole(bytes_of(text, len), true);
                (void)check_whole(bytes_of(text, len), false);
            }
    }
}

/* ---- what is kept ---- */

static void put_bulk(struct made *made, size_t len, char letter) {
    char head[32];
    made_bytes(made, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", len));
    for (size_t i = 0; i < len; i++)
        made_bytes(made, &letter, 1);
    made_bytes(made, "\r\n", 2);
}

static void put_array(struct made *made, size_t count) {
    char head[32];
    made_bytes(made, head, (size_t)snprintf(head, sizeof head, "*%zu\r\n", count));
}

/* Lengths of what is kept, the value's own item included. */
static size_t kept_of(const struct made *made, bool are_requests, size_t size,
                      size_t lens[RESP_ITEMS]) {
    struct reading *r = reading_new(are_requests);
    struct bytes left = made_view(made);
    const struct resp_value *value = NULL;
    while (left.len) {
        enum resp_got got;
        size_t len = min_size(size, left.len);
        assert_int_equal(resp_feed(&r->reader, &r->tools, guarded(bytes_first(left, len)), &got),
                         len);
        left = bytes_after(left, len);
        assert_int_equal(got, left.len ? RESP_MORE : RESP_DONE);
        value = r->reader.value;
    }
    assert_non_null(value);
    size_t count = value->count;
    for (size_t i = 0; i < count; i++)
        lens[i] = value->items[i].text_len;
    resp_done(&r->reader, &r->tools);
    reading_free(r);
    return count;
}

static const size_t piece_sizes[] = {SIZE_MAX, 1448, 511, 7, 1};

static void as_many_items_as_are_kept(void **state) {
    (void)state;
    struct made made = {0};
    put_array(&made, 40);
    for (int i = 0; i < 40; i++)
        put_bulk(&made, 3, 'a');
    for (size_t i = 0; i < countof(piece_sizes); i++) {
        size_t lens[RESP_ITEMS];
        assert_int_equal(kept_of(&made, true, piece_sizes[i], lens), RESP_ITEMS);
        assert_int_equal(lens[RESP_ITEMS - 1], 3);
        assert_int_equal(kept_of(&made, false, piece_sizes[i], lens), 4);
    }
    assert_true(check_whole(made_view(&made), true));
    made_free(&made);
}

/* RESP_TEXT of each, RESP_TEXTS of all, and never a beginning shorter than ARGUMENT_KEPT. */
static void as_much_text_as_is_kept(void **state) {
    (void)state;
    static const struct {
        size_t lens[8], kept[8];
    } rows[] = {
        {{512, 513, 0}, {512, 512}},
        {{600, 600, 600, 600, 500, 30}, {512, 512, 512, 512, 500, 0}},
        {{600, 600, 600, 600, 480, 32, 1}, {512, 512, 512, 512, 480, 32, 0}},
        {{600, 600, 600, 600, 480, 33, 40}, {512, 512, 512, 512, 480, 32, 0}},
        {{600, 600, 600, 600, 481, 32, 31}, {512, 512, 512, 512, 481, 0, 31}},
        {{600, 600, 600, 600, 600, 1, 600}, {512, 512, 512, 512, 512, 0, 0}},
    };
    for (size_t k = 0; k < countof(rows); k++) {
        struct made made = {0};
        size_t lens[RESP_ITEMS];
        put_array(&made, 8);
        for (int i = 0; i < 8; i++)
            put_bulk(&made, rows[k].lens[i], (char)('a' + i));
        for (size_t i = 0; i < countof(piece_sizes); i++) {
            assert_int_equal(kept_of(&made, true, piece_sizes[i], lens), 9);
            for (int n = 0; n < 8; n++)
                if (lens[n + 1] != rows[k].kept[n])
                    fail_msg("row %zu, argument %d, pieces of %zu: %zu bytes kept", k, n,
                             piece_sizes[i], lens[n + 1]);
        }
        assert_true(check_whole(made_view(&made), true));
        made_free(&made);
    }
}

/* Of lines RESP_TEXT, too, and of errors inside: whatever the cut. */
static void the_beginning_of_a_long_line(void **state) {
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct made made = {0};
        struct buf first = {.max = 1 << 12};
        if (inside)
            put_array(&made, 1);
        made_bytes(&made, "-", 1);
        for (int i = 0; i < 2000; i++)
            made_bytes(&made, "E", 1);
        made_bytes(&made, "\r\n", 2);
        for (size_t i = 0; i < countof(piece_sizes); i++) {
            struct reading *r = reading_new(false);
            assert_true(read_cut(r, made_view(&made), piece_sizes[i], piece_sizes[i]));
            if (i == 0)
                buf_text(&first, said(r));
            else
                assert_int_equal(strncmp(said(r), first.data, first.len), 0);
            reading_free(r);
        }
        buf_free(&first);
        made_free(&made);
    }
}

/* ---- no values ---- */

static const char *const bad_replies[] = {
    "OK\r\n",
    "\r\n",
    " +OK\r\n",
    "+OK\n",
    ":\r\n",
    ":-\r\n",
    ":1a\r\n",
    ": 1\r\n",
    ":9223372036854775808\r\n",
    ":-9223372036854775809\r\n",
    ":99999999999999999999\r\n",
    "$\r\n",
    "$-2\r\n",
    "$a\r\n",
    "$3\r\nfoobar\r\n",
    "$3\r\nfoo\n",
    "$3\r\nfoo\rx",
    "$9999999999999999999\r\n",
    "*-2\r\n",
    "*x\r\n",
    "*1073741825\r\n",
    "*9999999999999999999\r\n",
    "%-2\r\n",
    "*1\r\nfoo",
    ".\r\n",
    ";1\r\na\r\n",
    "*1\r\n.\r\n",
    "*1\r\n;1\r\na\r\n",
    "*?\r\n;1\r\na\r\n",
    "$?\r\n.\r\n",
    "$?\r\n+a\r\n",
    "$?\r\n;-1\r\n",
    "|?\r\n+a\r\n+b\r\n.\r\n:1\r\n",
    "*?\r\n.x\r\n",
    "\x80\r\n",
    "\xff",
    "HTTP/1.1 200 OK\r\n",
    "220 smtp\r\n",
};

static const char *const bad_requests[] = {
    "*1\r\n+OK\r\n",
    "*1\r\n:1\r\n",
    "*1\r\n*1\r\n",
    "*1\r\n$-1\r\n",
    "*1\r\n\r\n",
    "*1\n$4\r\nPING\r\n",
    "*?\r\n",
    "*1\r\n$?\r\n",
    "*1073741825\r\n",
    "*99999999999\r\n",
    "*9999999999999999999\r\n",
    "*1\r\n$9999999999999999999\r\n",
    "*1\r\n$4\r\nPINGS\r\n",
    "*000000000000000000000000000000000000000000000000000000000000000000000001\r\n",
};

static void check_bad(const char *text, bool are_requests) {
    struct bytes view = bytes_str(text);
    for (size_t cut = 1; cut <= view.len; cut++) {
        struct reading *r = reading_new(are_requests);
        if (read_cut(r, view, cut, view.len))
            fail_msg("\"%s\" cut at byte %zu is read as: %s", text, cut, said(r));
        assert_int_equal(r->said.len, 0);
        assert_true(resp_is_between(&r->reader));
        reading_free(r);
    }
}

static void what_is_no_value(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(bad_replies); i++)
        check_bad(bad_replies[i], false);
    for (size_t i = 0; i < countof(bad_requests); i++)
        check_bad(bad_requests[i], true);
}

/* Depth: CAP_RESP_DEPTH aggregates in each other are read, one more is none. */
static void as_deep_as_it_goes(void **state) {
    (void)state;
    for (int deeper = 0; deeper < 2; deeper++) {
        struct made made = {0};
        for (int i = 0; i < CAP_RESP_DEPTH + deeper; i++)
            made_bytes(&made, i % 2 ? "|1\r\n" : "*1\r\n", 4);
        for (int i = 0; i < 2 * CAP_RESP_DEPTH; i++)
            made_bytes(&made, ":1\r\n", 4);
        struct reading *r = reading_new(false);
        struct bytes view = guarded(made_view(&made));
        enum resp_got got;
        (void)resp_feed(&r->reader, &r->tools, view, &got);
        assert_int_equal(got, deeper ? RESP_BAD : RESP_DONE);
        reading_free(r);
        made_free(&made);
    }
}

static_assert(CAP_RESP_COUNT == 1073741824,
              "below; one more is among bad_replies and bad_requests");

/* Lengths, and counts up to CAP_RESP_COUNT, that nobody has: the reader waits for what was
 * announced, without memory. */
static void hostile_lengths(void **state) {
    (void)state;
    static const char *const heads[] = {
        "$9223372036854775807\r\n",
        "*1073741824\r\n",
        "%1073741824\r\n",
        "*1073741824\r\n*1073741824\r\n*1073741824\r\n",
        "*2\r\n$9223372036854775807\r\n",
        "=9223372036854775807\r\n",
    };
    for (size_t i = 0; i < countof(heads); i++) {
        struct reading *r = reading_new(false);
        assert_true(read_all(r, guarded(bytes_str(heads[i]))));
        assert_int_equal(r->said.len, 0);
        assert_false(resp_is_between(&r->reader));
        assert_true(r->pool.used <= POOL_BLOCK);
        reading_free(r);
    }
}

/* A line may have so many bytes and not one more, in however many pieces. */
static void longest_lines(void **state) {
    (void)state;
    static const struct {
        bool requests;
        const char *begin;
        size_t most; /* CR included */
    } rows[] = {{false, "+", CAP_RESP_LINE}, {true, "", RESP_INLINE}, {false, ":", RESP_LINE}};
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t more = 0; more < 2; more++)
            for (size_t size = SIZE_MAX; size; size = size == SIZE_MAX ? 1000 : 0) {
                struct made made = {0};
                made_bytes(&made, rows[i].begin, strlen(rows[i].begin));
                for (size_t k = 0; k < rows[i].most - 1 + more; k++)
                    made_bytes(&made, k % 100 ? "0" : "1", 1);
                made_bytes(&made, "\r\n", 2);
                struct reading *r = reading_new(rows[i].requests);
                struct bytes left = made_view(&made);
                bool well = true;
                for (; left.len && well; left = bytes_after(left, size))
                    well = read_all(r, bytes_first(left, size));
                bool number = rows[i].begin[0] == ':'; /* too many digits for a number */
                assert_int_equal(well, !more && !number);
                reading_free(r);
                made_free(&made);
            }
}

/* ---- inline commands ---- */

static const struct {
    const char *line, *words; /* the words parted by '|'; NULL: refused */
    size_t line_len;          /* 0: the text's own */
} inlines[] = {
    {"", "", 0},
    {"   ", "", 0},
    {"PING", "PING", 0},
    {"  get \t key   ", "get|key", 0},
    {"set k v", "set|k|v", 0},
    {"a\r\nb", "a|b", 0},
    {"SET key \"my value\"", "SET|key|my value", 0},
    {"a \"\"", "a|", 0},
    {"a ''", "a|", 0},
    {"\"\\n\\r\\t\\b\\a\\q\\\\\\\"\"", "\n\r\t\b\aq\\\"", 0},
    {"\"\\x41\\x4a\\x6A\"", "AJj", 0},
    {"\"\\x4\"", "x4", 0},
    {"\"\\xzz\"", "xzz", 0},
    {"\"\\x1\x10\"", "x1\x10", 0},
    {"\"\\x\"", "x", 0},
    {"'it\\'s'", "it's", 0},
    {"'a\\nb'", "a\\nb", 0},
    {"'\"'", "\"", 0},
    {"\"'\"", "'", 0},
    {"foo\"bar baz\"", "foobar baz", 0},
    {"foo'bar' x", "foobar|x", 0},
    {"a\\b", "a\\b", 0},
    {"a\vb", "a\vb", 0},
    {"a\fb c", "a\fb|c", 0},
    {"\va \fb", "a|b", 0},
    {"\"a\"\vb", "a|b", 0},
    {"a b\0c d", "a|b", 7},
    {"\0a", "", 2},
    {"\"a", NULL, 0},
    {"'a", NULL, 0},
    {"a\"", NULL, 0},
    {"\"a\"b", NULL, 0},
    {"\"a\"\"b\"", NULL, 0},
    {"'a'b", NULL, 0},
    {"\"a\\\"", NULL, 0},
    {"\"a\\", NULL, 0},
    {"'a\\'", NULL, 0},
    {"a b \"c", NULL, 0},
};

static void words_of_inline_commands(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(inlines); i++) {
        struct bytes line = bytes_str(inlines[i].line);
        if (inlines[i].line_len)
            line.len = inlines[i].line_len;
        uint8_t store[RESP_TEXT];
        struct resp_value value;
        struct buf words = {.max = 1 << 12};
        bool split = resp_split_inline(guarded(line), store, &value);
        if (split != (inlines[i].words != NULL))
            fail_msg("row %zu: \"%s\" is %s", i, inlines[i].line, split ? "taken" : "refused");
        for (uint32_t k = 1; split && k < value.count; k++) {
            buf_text(&words, k > 1 ? "|" : "");
            buf_add(&words, value.items[k].text, value.items[k].text_len);
            assert_int_equal(value.items[k].number, value.items[k].text_len);
            assert_true(value.items[k].type == '$' && value.items[k].depth == 1);
        }
        buf_add(&words, "", 1);
        if (split && strcmp(words.data, inlines[i].words) != 0)
            fail_msg("row %zu: \"%s\" is split into %s", i, inlines[i].line, words.data);
        assert_true(!split || value.items[0].number == value.count - 1);
        buf_free(&words);
    }
}

/* More words than are kept are counted; a line of RESP_TEXT bytes fits its store. */
static void a_line_of_many_words(void **state) {
    (void)state;
    uint8_t line[RESP_TEXT], store[RESP_TEXT];
    struct resp_value value;
    for (size_t i = 0; i < sizeof line; i++)
        line[i] = i % 2 ? ' ' : 'a';
    assert_true(resp_split_inline(guarded(bytes_of(line, sizeof line)), store, &value));
    assert_int_equal(value.items[0].number, RESP_TEXT / 2);
    assert_int_equal(value.count, RESP_ITEMS);
    memset(line, 'x', sizeof line);
    assert_true(resp_split_inline(guarded(bytes_of(line, sizeof line)), store, &value));
    assert_int_equal(value.count, 2);
    assert_int_equal(value.items[1].text_len, RESP_TEXT);
}

/* ---- memory refused ---- */

/* A value that is cut while the pool is full: its end is found all the same, and what it is is lost
 * and counted; or, within a line, it is no value. */
static void check_refused(const struct row *row, bool are_requests) {
    struct bytes view = bytes_str(row->bytes);
    for (size_t cut = 1; cut < view.len; cut++) {
        struct reading *r = reading_new(are_requests);
        r->pool.max = 0;
        bool well = read_cut(r, view, cut, view.len);
        const char *got = said(r), *lost = strstr(got, "lost ");
        if (well && strcmp(got, row->value) != 0 && !lost &&
            strncmp(got, row->value, strlen(row->value)) != 0)
            fail_msg("\"%s\" cut at byte %zu is read as: %s", row->bytes, cut, got);
        assert_true(!(lost || !well) || r->tools.refused > 0);
        r->pool.max = CAP_HELD; /* memory comes back: the next value is read as ever */
        r->said.len = r->errors.len = 0;
        assert_true(read_all(r, guarded(bytes_str("*1\r\n$1\r\na\r\n"))));
        assert_string_equal(said(r), "*1 .$1=a #11\n");
        reading_free(r);
    }
}

static void a_full_pool(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(replies); i++)
        check_refused(&replies[i], false);
    for (size_t i = 0; i < countof(requests); i++)
        if (!strchr(requests[i].value, '\n')) /* single ones */
            check_refused(&requests[i], true);
}

/* Memory refused at any one moment of a value that comes byte by byte. */
static void refused_now_and_then(void **state) {
    (void)state;
    struct made made = {0};
    put_array(&made, 3);
    put_bulk(&made, 3, 'a');
    put_bulk(&made, 600, 'b');
    put_bulk(&made, 40, 'c');
    for (size_t from = 0; from < made.len; from++)
        for (size_t len = 1; len < 100; len += 49) {
            struct reading *r = reading_new(true);
            struct bytes view = made_view(&made);
            bool well = true;
            for (size_t i = 0; i < view.len && well; i++) {
                r->pool.max = i >= from && i < from + len ? 0 : CAP_HELD;
                if (r->pool.max < r->pool.used)
                    r->pool.max = r->pool.used;
                well = read_all(r, guarded(bytes_of(view.data + i, 1)));
            }
            if (well)
                assert_non_null(strchr(said(r), '#'));
            r->pool.max = CAP_HELD;
            reading_free(r);
        }
    made_free(&made);
}

static void no_memory_at_all(void **state) {
    (void)state;
#if OWN_MALLOC
    struct reading *r = reading_new(true);
    allocations_left = 0;
    bool well = read_all(r, bytes_str("*2\r\n$3\r\nGET\r\n$5\r\nab"));
    allocations_left = -1;
    assert_true(well && r->tools.refused == 1);
    assert_true(read_all(r, bytes_str("cde\r\n*1\r\n$1\r\na\r\n")));
    assert_string_equal(said(r), "lost #5\n*1 .$1=a #11\n");
    reading_free(r);
#else
    skip();
#endif
}

/* A large reply is not held: neither bytes nor memory, while it comes. */
static void a_bulk_alone_needs_no_memory(void **state) {
    (void)state;
    struct reading *r = reading_new(false);
    r->pool.max = 0;
    assert_true(read_all(r, guarded(bytes_str("$100\r\n"))));
    for (int i = 0; i < 10; i++)
        assert_true(read_all(r, guarded(bytes_str("0123456789"))));
    assert_true(read_all(r, guarded(bytes_str("\r\n:1\r\n"))));
    assert_string_equal(said(r), "$100 #108\n:1 #4\n");
    assert_int_equal(r->tools.refused, 0);
    reading_free(r);
}

/* ---- bytes missing ---- */

struct hole {
    const char *before;
    uint64_t len;
    const char *behind, *value; /* NULL: out of step */
    bool requests;
};

static const struct hole holes[] = {
    {"$10\r\nab", 5, "hij\r\n", "$10 #17", false},
    {"$10\r\nab", 8, "\r\n", "$10 #17", false},
    {"$10\r\n", 10, "\r\n", "$10 #17", false},
    {"$10\r\nab", 9, "\n", "$10 #17", false},
    {"$10\r\nab", 10, "", "$10 #17", false},
    {"$10\r\nab", 11, "", NULL, false},
    {"$10\r", 1, "", NULL, false},
    {"", 1, "", NULL, false},
    {"$10\r\n0123456789", 1, "\n", "$10 #17", false},
    {"$10\r\n0123456789", 2, "", "$10 #17", false},
    {"$10\r\n0123456789", 3, "", NULL, false},
    {"$10\r\n0123456789\r", 1, "", "$10 #17", false},
    {"$10\r\n0123456789\r", 2, "", NULL, false},
    {"+O", 1, "", NULL, false},
    {"*2\r\n:1\r\n", 1, "", NULL, false},
    {"*2\r\n$3\r\nfoo\r\n$10\r\nab", 8, "\r\n", "*2 .$3=foo .$10 #30", false},
    {"*2\r\n$10\r\nab", 8, "\r\n:7\r\n", "*2 .$10 .:7 #25", false},
    {"*2\r\n$10\r\nab", 10, ":7\r\n", "*2 .$10 .:7 #25", false},
    {"*2\r\n:7\r\n$10\r\nab", 10, "", "*2 .:7 .$10 #25", false},
    {">3\r\n+message\r\n$10\r\n", 10, "\r\n+x\r\n", ">3 .+7=message .$10 .+1=x #35", false},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nab", 3, "fghij\r\n", "*3 .$3=SET .$1=k .$10 #37", true},
    {"*3\r\n$3\r\nSET\r\n$10\r\nab", 3, "fghij\r\n$1\r\nk\r\n", "*3 .$3=SET .$10 .$1=k #37", true},
    {"*2\r\n$3\r\nG", 2, "\r\n$1\r\nk\r\n", "*2 .$3 .$1=k #20", true},
    {"PI", 2, "", NULL, true},
    {"*1\r\n", 2, "", NULL, true},
};

/* Within a bulk the reader stays in step; of the text nothing is kept, for a part is missing. */
static void bytes_missing(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(holes); i++) {
        struct reading *r = reading_new(holes[i].requests);
        const char *value = holes[i].value;
        assert_true(read_all(r, guarded(bytes_str(holes[i].before))));
        enum resp_skipped skipped = resp_skip(&r->reader, holes[i].len);
        if ((skipped != RESP_ASTRAY) != (value != NULL))
            fail_msg("hole %zu: %s step", i, value ? "out of" : "in");
        if (skipped == RESP_AT_END)
            assert_true(read_all(r, guarded(bytes_str("\n"))));
        if (skipped != RESP_ASTRAY)
            assert_true(read_cut(r, bytes_str(holes[i].behind), 1, 1));
        if (value && (strncmp(said(r), value, strlen(value)) != 0))
            fail_msg("hole %zu is read as: %s", i, r->said.data);
        reading_free(r);
    }
}

/* Behind what is kept of a long argument nothing is lost but bytes that nobody looks at. */
static void bytes_missing_behind_what_is_kept(void **state) {
    (void)state;
    struct made made = {0};
    struct reading *r = reading_new(true);
    put_array(&made, 1);
    put_bulk(&made, 5000, 'x');
    struct bytes view = made_view(&made);
    assert_true(read_all(r, guarded(bytes_first(view, 600))));
    assert_int_equal(resp_skip(&r->reader, 4000), RESP_IN_STEP);
    assert_true(read_all(r, guarded(bytes_after(view, 4600))));
    assert_int_equal(strncmp(said(r), "*1 .$5000=xxx", 13), 0);
    assert_non_null(strstr(r->said.data, "xxx #5013\n"));
    reading_free(r);
    made_free(&made);
}

/* ---- requests that wait ---- */

static void push(struct pending_queue *queue, struct pool *pool, uint64_t number, bool in_ring) {
    struct pending *place = pending_add(queue, pool);
    assert_int_equal(place != NULL, in_ring);
    if (place)
        *place = (struct pending){.frame = number, .sent = (nstime)number};
}

static void pop(struct pending_queue *queue, uint64_t number) {
    const struct pending *oldest = pending_take(queue);
    assert_non_null(oldest);
    if (oldest->frame != number)
        fail_msg("%llu comes where %llu should", (unsigned long long)oldest->frame,
                 (unsigned long long)number);
}

/* Any number goes in and comes out in between, and grows from anywhere in the ring. */
static void the_queue_keeps_the_order(void **state) {
    (void)state;
    for (uint64_t head_start = 0; head_start < 70; head_start++) {
        struct pool pool = {.max = CAP_HELD};
        struct pending_queue queue = {0};
        uint64_t in = 0, out = 0;
        assert_null(pending_take(&queue));
        assert_null(pending_head(&queue));
        while (in < head_start) {
            push(&queue, &pool, ++in, true);
            pop(&queue, ++out);
        }
        for (int i = 0; i < 1000; i++) {
            push(&queue, &pool, ++in, true);
            if (i % 3 == 0)
                pop(&queue, ++out);
            assert_int_equal(out < in ? pending_head(&queue)->frame : out + 1, out + 1);
        }
        while (out < in)
            pop(&queue, ++out);
        assert_null(pending_take(&queue));
        pending_free(&queue, &pool);
        assert_int_equal(pool.used, 0);
        pool_free(&pool);
    }
}

/* Beyond the cap requests are only counted, behind those in the ring; once all are gone, all is as
 * before. */
static void check_counted_only(struct pool *pool, uint64_t room) {
    struct pending_queue queue = {0};
    for (int again = 0; again < 2; again++) {
        uint64_t in = 0;
        while (in < room)
            push(&queue, pool, ++in, true);
        for (int i = 0; i < 10; i++)
            push(&queue, pool, 99, false);
        pop(&queue, 1);
        push(&queue, pool, 99, false); /* there is room, but it would be before its turn */
        for (uint64_t out = 1; out < room;)
            pop(&queue, ++out);
        assert_null(pending_head(&queue));
        for (int i = 0; i < 11; i++) {
            const struct pending *counted = pending_take(&queue);
            assert_true(counted && counted->frame == 0 && counted->sent == TIME_NONE);
        }
        assert_null(pending_take(&queue));
    }
    pending_free(&queue, pool);
    assert_int_equal(pool->used, 0);
    pool_free(pool);
}

static void more_than_the_queue_holds(void **state) {
    (void)state;
    check_counted_only(&(struct pool){.max = CAP_HELD}, CAP_PENDING);
    check_counted_only(&(struct pool){.max = 0}, PENDING_INLINE);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_of_every_type),
        cmocka_unit_test(requests_of_every_form),
        cmocka_unit_test(many_cut_at_random),
        cmocka_unit_test(the_short_ways_say_the_same),
        cmocka_unit_test(the_short_ways_of_broken_values),
        cmocka_unit_test(as_many_items_as_are_kept),
        cmocka_unit_test(as_much_text_as_is_kept),
        cmocka_unit_test(the_beginning_of_a_long_line),
        cmocka_unit_test(what_is_no_value),
        cmocka_unit_test(as_deep_as_it_goes),
        cmocka_unit_test(hostile_lengths),
        cmocka_unit_test(longest_lines),
        cmocka_unit_test(words_of_inline_commands),
        cmocka_unit_test(a_line_of_many_words),
        cmocka_unit_test(a_full_pool),
        cmocka_unit_test(refused_now_and_then),
        cmocka_unit_test(no_memory_at_all),
        cmocka_unit_test(a_bulk_alone_needs_no_memory),
        cmocka_unit_test(bytes_missing),
        cmocka_unit_test(bytes_missing_behind_what_is_kept),
        cmocka_unit_test(the_queue_keeps_the_order),
        cmocka_unit_test(more_than_the_queue_holds),
    };
    return RUN_GROUP(argc, argv, tests);
}
