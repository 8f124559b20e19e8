/* test_report.c - how things are written: JSON escapes, numbers, times, slots, each kind of field,
 * sentences of the timeline; and how the command line is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "report/columns.h"
#include "report/format.h"
#include "report/link_types.h"
#include "report/render.h"
#include "report/sink.h"
#include "report/timeline.h"

#include "cli/option_kinds.c" /* cli/ is not part of what tests are linked with */
#include "cli/options.c"

#define ID_A "aaaaaaaa11111111111111111111111111111111"
#define ID_B "bbbbbbbb22222222222222222222222222222222"

static struct buf text;

static int start_text(void **state) {
    (void)state;
    text = (struct buf){.max = 1 << 20};
    return 0;
}

static int end_text(void **state) {
    (void)state;
    buf_free(&text);
    return 0;
}

/* The buffer holds exactly this; it is emptied for the next. */
static void assert_text(const char *expected) {
    assert_false(text.failed);
    assert_string_equal(text.len ? text.data : "", expected);
    text.len = 0;
    if (text.data)
        text.data[0] = '\0';
}

/* ---- numbers ---- */

static void test_numbers(void **state) {
    (void)state;
    buf_u64(&text, 0);
    assert_text("0");
    buf_u64(&text, UINT64_MAX);
    assert_text("18446744073709551615");
    buf_count(&text, 1, "packet");
    assert_text("1 packet");
    buf_count(&text, 0, "packet");
    assert_text("0 packets");
}

static void test_padding(void **state) {
    (void)state;
    buf_text(&text, "a|");
    buf_text(&text, "bc");
    buf_pad_left(&text, 2, 5);
    assert_text("a|   bc");
    buf_text(&text, "bc");
    buf_pad_right(&text, 0, 40);
    assert_int_equal(text.len, 40);
    buf_pad_right(&text, 0, 3);
    assert_int_equal(text.len, 40);
}

static void test_durations(void **state) {
    static const struct {
        nstime span;
        const char *text;
    } cases[] = {
        {0, "0 ns"},
        {999, "999 ns"},
        {1000, "1.0 us"},
        {850 * NS_PER_US, "850 us"},
        {1250 * NS_PER_US, "1.25 ms"},
        {NS_PER_SEC + 234 * NS_PER_MS, "1.234 s"},
        {75 * NS_PER_SEC, "75.0 s"},
        {7500 * NS_PER_SEC, "2 h 05 min"},
        {-5 * NS_PER_MS, "-5.00 ms"},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        buf_duration(&text, cases[i].span);
        assert_text(cases[i].text);
    }
    buf_duration(&text, INT64_MIN); /* no overflow */
}

static void test_sizes(void **state) {
    (void)state;
    buf_size(&text, 4352);
    assert_text("4352 B");
    buf_size(&text, 1234567);
    assert_text("1.2 MB");
    buf_size(&text, UINT64_MAX);
    assert_text("18446744.1 TB");
}

static void test_lines(void **state) {
    static const struct {
        const char *text;
        size_t room, end;
    } cases[] = {
        {"one two", 7, 7},     /* all fits */
        {"one two", 6, 4},     /* behind the blank */
        {"one two", 3, 4},     /* the blank is not shown: the next line does not begin with it */
        {"one, two", 4, 5},    /* nor behind a comma */
        {"one,two", 6, 4},     /* a list without blanks is broken, too */
        {"onetwothree", 6, 6}, /* what cannot be broken is cut */
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(line_break(cases[i].text, strlen(cases[i].text), cases[i].room),
                         cases[i].end);
}

static void test_slots(void **state) {
    uint8_t slots[BUS_SLOT_BYTES] = {0};
    (void)state;
    buf_slots(&text, NULL);
    buf_slots(&text, slots);
    assert_text("");
    slots[0] = 0x81; /* 0, 7 */
    slots[1] = 0x01; /* 8 */
    slots[7] = 0x80, slots[8] = 0x01;
    slots[BUS_SLOT_BYTES - 1] = 0x80;
    buf_slots(&text, slots);
    assert_text("0,7-8,63-64,16383");
    memset(slots, 0xff, sizeof slots);
    buf_slots(&text, slots);
    assert_text("0-16383");
}

/* ---- times ---- */

static void test_times_as_text(void **state) {
    static const struct {
        nstime time;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000000Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {INT64_C(1700000000123456789), "2023-11-14T22:13:20.123456789Z"},
        {INT64_C(951782400000000000), "2000-02-29T00:00:00.000000000Z"},
        {INT64_C(4107542399999999999), "2100-02-28T23:59:59.999999999Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        buf_rfc3339(&text, cases[i].time);
        assert_text(cases[i].text);
    }
}

static void test_times_from_text(void **state) {
    static const struct {
        const char *text;
        nstime time;
    } cases[] = {
        {"2023-11-14T22:13:20.123456789Z", INT64_C(1700000000123456789)},
        {"2023-11-14t22:13:20z", INT64_C(1700000000000000000)},
        {"2023-11-14T23:43:20+01:30", INT64_C(1700000000000000000)},
        {"2023-11-14T20:13:20-02:00", INT64_C(1700000000000000000)},
        {"2023-11-14 22:13:20.3", INT64_C(1700000000300000000)},
        {"2023-11-14 22:13", INT64_C(1699999980000000000)},
        {"2023-11-14", INT64_C(1699920000000000000)},
        {"1700000000", INT64_C(1700000000000000000)},
        {"1700000000.000000001", INT64_C(1700000000000000001)},
        {"2000-02-29", INT64_C(951782400000000000)},
        {"0", 0},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct when when;
        struct err err;
        assert_true(when_parse(cases[i].text, &when, &err));
        assert_true(when.set && !when.of_day);
        assert_int_equal(when.time, cases[i].time);
    }
}

static void test_time_of_day(void **state) {
    struct when when;
    struct err err;
    (void)state;
    assert_true(when_parse("22:13:21.5", &when, &err));
    assert_true(when.of_day);
    assert_int_equal(when_time(&when, INT64_C(1700000000000000000)), INT64_C(1700000001500000000));
    assert_int_equal(when_time(&when, -1), -(86400 - 80001) * NS_PER_SEC + NS_PER_SEC / 2);
}

static void test_bad_times(void **state) {
    static const char *const bad[] = {
        "",
        "yesterday",
        "2023-13-01",
        "2023-02-29",
        "2023-11-14T25:00:00Z",
        "2023-11-14x",
        "12:60",
        "1:2:3",
        "1700000000x",
        "2023-11-14T22:13:20+1",
        "-5",
        "0001-01-01",
        "9999-01-01",
        "99999999999999999",
        "2023-11-14T22:13:20.Z",
        "12:00:07.",
        "2023-00-10",
        "2023-11-14T ",
        "9223372037",
    };
    (void)state;
    for (size_t i = 0; i < countof(bad); i++) {
        struct when when = {0};
        struct err err;
        assert_false(when_parse(bad[i], &when, &err));
        assert_false(when.set);
        assert_non_null(strstr(err.text, "not a time"));
    }
}

/* ---- JSON ---- */

static void test_json_structure(void **state) {
    struct json json = {.buf = &text};
    (void)state;
    json_open(&json, NULL, '{');
    json_open(&json, "a", '[');
    json_u64(&json, NULL, UINT64_MAX);
    json_bool(&json, NULL, true);
    json_null(&json, NULL);
    json_close(&json, ']');
    json_open(&json, "b", '{');
    json_close(&json, '}');
    json_time(&json, "c", TIME_NONE);
    json_text(&json, "d", NULL);
    json_close(&json, '}');
    assert_text("{\"a\":[18446744073709551615,true,null],\"b\":{},\"c\":null,\"d\":null}");
}

static void test_json_pretty(void **state) {
    struct json json = {.buf = &text, .pretty = 1};
    (void)state;
    json_open(&json, NULL, '{');
    json_open(&json, "a", '[');
    json_u64(&json, NULL, 1);
    json_u64(&json, NULL, 2);
    json_close(&json, ']');
    json_u64(&json, "b", 3);
    json_close(&json, '}');
    assert_text("{\n \"a\":[1,2],\n \"b\":3\n}");
}

static void test_json_escapes(void **state) {
    struct json json = {.buf = &text};
    (void)state;
    json_text(&json, NULL, "say \"hi\" \\ \n\x7f\xff");
    assert_text("\"say \\\"hi\\\" \\\\ \\u000a\\u007f\\u00ff\"");
}

static void wire_json(const char *bytes, size_t len, size_t shown, const char *expected) {
    struct json json = {.buf = &text};
    json_wire_text(&json, NULL, bytes_of(bytes, len), shown);
    assert_text(expected);
}

/* What has a shape reaches the reader of the JSON; what has none reads as \xHH there. */
static void test_json_hostile_text(void **state) {
    (void)state;
    wire_json("a\"b\\c", 5, 99, "\"a\\\"b\\\\\\\\c\"");
    wire_json("\x1b[2J", 4, 99, "\"\\\\x1b[2J\"");
    wire_json("a\0b", 3, 99, "\"a\\\\x00b\"");
    wire_json("gr\xc3\xb6\xc3\x9f", 6, 99, "\"gr\\u00f6\\u00df\"");
    wire_json("\xf0\x9f\x98\x80", 4, 99, "\"\\ud83d\\ude00\"");
    wire_json("\xe2\x80\xae", 3, 99, "\"\\\\xe2\\\\x80\\\\xae\""); /* right-to-left override */
    wire_json("\xc2\x9b", 2, 99, "\"\\\\xc2\\\\x9b\"");            /* C1 control */
    wire_json("\xc0\xaf", 2, 99, "\"\\\\xc0\\\\xaf\"");            /* not the shortest form */
    wire_json("\xed\xa0\x80", 3, 99, "\"\\\\xed\\\\xa0\\\\x80\""); /* surrogate */
    wire_json("\xc3", 1, 99, "\"\\\\xc3\"");                       /* cut */
    wire_json("\xff", 1, 99, "\"\\\\xff\"");
    wire_json("abcdef", 6, 3, "\"abc...\"");
}

static void test_json_wants_no_memory(void **state) {
    struct buf small = {.max = 10};
    struct json json = {.buf = &small};
    (void)state;
    for (int i = 0; i < 10; i++)
        json_text(&json, NULL, "something");
    assert_true(small.failed);
    buf_free(&small);
}

/* ---- fields ---- */

static struct render_style style; /* the shortest, unless a test says otherwise */

static const struct event_field *field_of(const struct event *event, const char *name) {
    const struct event_field *field = event_rows[event->type].fields();
    while (field->name && strcmp(field->name, name) != 0)
        field++;
    assert_non_null(field->name);
    return field;
}

static void assert_field(const struct event *event, const char *name, const char *expected) {
    render_field(&text, event, field_of(event, name), &style);
    assert_text(expected);
}

static void add_extension(uint8_t **at, uint16_t id, const char *data, uint8_t len) {
    uint8_t head[8] = {0, 0, 0, (uint8_t)(8 + len), 0, (uint8_t)id};
    memcpy(*at, head, 8);
    memcpy(*at + 8, data, len);
    *at += 8 + len;
}

static uint8_t gossip_bytes[2 * BUS_GOSSIP_ENTRY], extension_bytes[256];

static struct bus_gossip some_gossip(void) {
    uint8_t *p = gossip_bytes;
    memset(p, 0, sizeof gossip_bytes);
    memcpy(p, ID_A, 40);
    memcpy(p + 48, "10.0.0.3", 8);
    p[94] = 6379 >> 8, p[95] = 6379 & 255;
    p[96] = 16379 >> 8, p[97] = 16379 & 255;
    p[99] = NODE_PRIMARY | NODE_PFAIL;
    p += BUS_GOSSIP_ENTRY;
    memcpy(p, "\x1b[31m", 5);
    memcpy(p + 48, "\x9bred", 4);
    p[98] = 0x80; /* a bit that nobody knows */
    return (struct bus_gossip){gossip_bytes, 2, 1};
}

static struct bus_extensions some_extensions(void) {
    uint8_t *at = extension_bytes;
    memset(at, 0, sizeof extension_bytes);
    add_extension(&at, 0, "a host\0\0", 8);
    add_extension(&at, 4, "SECRETSECRETSECRETSECRETSECRETSECRETSECR", 40);
    add_extension(&at, 2, ID_B "\0\0\0\0\0\0\0\x3c", 48);
    add_extension(&at, 77, "CANARY\0\0", 8);
    return (struct bus_extensions){bytes_of(extension_bytes, (size_t)(at - extension_bytes)), 4};
}

static struct event some_message(void) {
    struct event event = {.type = EV_bus_message, .time = 0, .frame = 7};
    event.bus_message = (struct ev_bus_message){
        .type = BUS_PING,
        .sender = ID_A,
        .length = 2256,
        .light = true,
        .flags = NODE_PRIMARY | NODE_MYSELF,
        .mflags = MFLAG_PAUSED,
        .state = 1,
        .ip = bytes_str("a b\x1b"),
        .channel = bytes_str("news\n"),
        .gossip = some_gossip(),
        .extensions = some_extensions(),
    };
    return event;
}

static void test_every_kind_as_text(void **state) {
    struct event event = some_message();
    struct endpoint addr = {.port = 6379};
    (void)state;
    assert_field(&event, "type", "ping");
    assert_field(&event, "sender", "aaaaaaaa");
    assert_field(&event, "receiver", "");
    assert_field(&event, "length", "2256");
    assert_field(&event, "light", "yes");
    assert_field(&event, "slots", "");
    assert_field(&event, "ip", "\"a b\\x1b\"");
    assert_field(&event, "channel", "news\\x0a");
    assert_field(&event, "flags", "primary,myself");
    assert_field(&event, "mflags", "paused");
    assert_field(&event, "state", "fail");
    assert_field(&event, "gossip", "2,pfail:aaaaaaaa");
    assert_field(&event, "extensions",
                 "hostname:\"a host\",internal-secret:(secret),"
                 "forgotten-node:bbbbbbbb/60s,unknown-77:8B");
    event = (struct event){.type = EV_anomaly, .anomaly = {.name = AN_bus_length}};
    assert_field(&event, "name", "bus-length");
    event = (struct event){.type = EV_node_seen, .node_seen = {.addr = &addr}};
    assert_field(&event, "addr", "[::]:6379");
    event = (struct event){.type = EV_tcp_close, .tcp_close = {.how = "fin"}};
    assert_field(&event, "how", "fin");
}

static void test_every_kind_as_json(void **state) {
    struct event event = some_message();
    struct json json = {.buf = &text};
    static const char *const members[] = {
        "{\"time\":\"1970-01-01T00:00:00.000000000Z\",\"event\":\"bus-message\",\"source\":0,"
        "\"frame\":7,\"type\":\"ping\",\"sender\":\"" ID_A "\",\"receiver\":null,\"length\":2256",
        "\"light\":false",
        "\"slots\":\"\"",
        "\"ip\":\"a b\\\\x1b\"",
        "\"flags\":[\"primary\",\"myself\"]",
        "\"state\":\"fail\"",
        "\"mflags\":[\"paused\"]",
        "{\"node\":\"" ID_A "\",\"addr\":\"10.0.0.3:6379\",\"bus_port\":16379,\"flags\":"
        "[\"primary\",\"pfail\"],\"ping_sent\":0,\"pong_received\":0}",
        "\"addr\":\"\\\\x9bred\",\"bus_port\":0,\"flags\":[\"0x8000\"]",
        "{\"id\":4,\"name\":\"internal-secret\",\"value\":\"(secret)\"}",
        "{\"id\":2,\"name\":\"forgotten-node\",\"value\":\"" ID_B "\",\"ttl_s\":60}",
        "{\"id\":77,\"name\":\"unknown\",\"value\":null,\"length\":8}",
        "\"about\":null",
    };
    (void)state;
    event.bus_message.light = false;
    render_json(&json, &event, &style);
    for (size_t i = 0; i < countof(members); i++)
        if (!strstr(text.data, members[i]))
            fail_msg("%s is not in %s", members[i], text.data);
    assert_null(strstr(text.data, "SECRET"));
    assert_null(strstr(text.data, "CANARY"));
}

/* A light message has no header: what would stand there is null, and its body is told. */
static void test_what_is_not_known_is_null(void **state) {
    struct event event = some_message();
    struct json json = {.buf = &text};
    (void)state;
    render_json(&json, &event, &style);
    assert_non_null(strstr(text.data, "\"light\":true"));
    assert_non_null(strstr(text.data, "\"config_epoch\":null"));
    assert_non_null(strstr(text.data, "\"slots\":null"));
    assert_null(strstr(text.data, "\"channel\":null"));
}

/* In a bus message zero says nothing; in a conclusion it is a value. */
static void test_what_says_nothing_is_left_out(void **state) {
    struct event message = {.type = EV_bus_message, .bus_message = {.about_epoch = 9}};
    struct event epoch = {.type = EV_node_epoch, .node_epoch = {.config_epoch = 1}};
    (void)state;
    render_fields(&text, &message, event_rows[EV_bus_message].fields(), &style);
    assert_text(" about_epoch=9");
    render_fields(&text, &epoch, event_rows[EV_node_epoch].fields(), &style);
    assert_text(" config_epoch=1 was=0");
}

/* Every event of the schema renders in both forms when all its fields are zero. */
static void test_every_event(void **state) {
    (void)state;
    for (int type = 0; type < EV_COUNT; type++) {
        struct event event = {.type = (enum event_type)type};
        struct json json = {.buf = &text};
        render_fields(&text, &event, event_rows[type].fields(),
                      &(struct render_style){.whole = true});
        render_json(&json, &event, &style);
        assert_non_null(strstr(text.data, event_rows[type].name));
    }
    assert_false(text.failed);
}

/* ---- fields of requests ---- */

static struct command_index *command_names;

static const struct command *command_named(const char *name) {
    if (!command_names)
        command_names = command_index_new();
    return command_find(command_names, bytes_str(name), bytes_str(""));
}

static struct event some_request(const struct request_args *args) {
    const struct command *command = command_named((const char *)args->list[0].data);
    return (struct event){.type = EV_request,
                          .request = {.command = command,
                                      .args = args->count,
                                      .bytes = 40,
                                      .slot = NOT_KNOWN,
                                      .keys = {command, args}}};
}

static void test_fields_of_requests(void **state) {
    struct event request = {.type = EV_request, .request = {.args = 1, .slot = NOT_KNOWN}};
    struct event reply = {.type = EV_reply,
                          .reply = {.command = command_named("get"),
                                    .type = "error",
                                    .latency_us = 12,
                                    .error = bytes_str("MOVED"),
                                    .request_frame = NOT_KNOWN,
                                    .called = true}};
    struct json json = {.buf = &text};
    (void)state;
    render_fields(&text, &request, event_rows[EV_request].fields(), &style);
    assert_text(" command=unknown args=1 bytes=0");
    render_fields(&text, &reply, event_rows[EV_reply].fields(), &style);
    assert_text(" command=get type=error latency_us=12 error=MOVED bytes=0 request_bytes=0");
    struct event queued = {.type = EV_reply, .reply = {.type = "x", .request_frame = 1}};
    render_fields(&text, &queued, event_rows[EV_reply].fields(), &style);
    assert_text(" command=unknown type=x latency_us=0 bytes=0 request_frame=1 request_bytes=0"
                " called=no");
    render_json(&json, &reply, &style);
    assert_non_null(strstr(
        text.data, "\"command\":\"get\",\"type\":\"error\",\"latency_us\":12,"
                   "\"error\":\"MOVED\",\"bytes\":0,\"request_frame\":null,\"request_bytes\":0,"
                   "\"blocking\":false,\"called\":true}"));
}

/* A word of the wire that is none, as an argument that an error repeats, is not shown. */
static void test_words_of_the_wire(void **state) {
    struct event event = {.type = EV_error};
    (void)state;
    assert_field(&event, "error", "");
    event.error.error = bytes_str("CLUSTERDOWN");
    assert_field(&event, "error", "CLUSTERDOWN");
    event.error.error = bytes_str("secret\x1b[2J");
    assert_field(&event, "error", "other");
}

static void test_keys_are_not_shown(void **state) {
    const struct bytes words[] = {bytes_str("get"), bytes_str("CANARY")};
    const struct request_args args = {words, 2, 2};
    struct event request = some_request(&args);
    struct json json = {.buf = &text};
    (void)state;
    render_fields(&text, &request, event_rows[EV_request].fields(), &style);
    render_json(&json, &request, &style);
    assert_null(strstr(text.data, "CANARY"));
    assert_null(strstr(text.data, "keys"));
}

static void test_keys_in_full(void **state) {
    const struct bytes words[] = {bytes_str("mset"), bytes_str("a b"), bytes_str("VALUE"),
                                  bytes_str("c\n")};
    const struct request_args args = {words, 4, 9};
    struct event request = some_request(&args);
    struct render_style full = {.keys = SHOW_KEYS};
    struct json json = {.buf = &text};
    (void)state;
    render_field(&text, &request, field_of(&request, "keys"), &full);
    assert_text("\"a b\",c\\x0a,..."); /* the others were not kept */
    render_json(&json, &request, &full);
    assert_non_null(strstr(text.data, "\"keys\":[\"a b\",\"c\\\\x0a\",null]"));
    assert_null(strstr(text.data, "VALUE"));
}

static void test_keys_that_stand_apart(void **state) {
    const struct bytes words[] = {bytes_str("sort"), bytes_str("a"), bytes_str("STORE"),
                                  bytes_str("b")};
    const struct request_args args = {words, 4, 4};
    const struct request_args none = {words, 0, 2};
    struct event request = some_request(&args);
    struct render_style full = {.keys = SHOW_KEYS};
    (void)state;
    render_field(&text, &request, field_of(&request, "keys"), &full);
    assert_text("a,b");
    request.request.keys.args = &none;
    render_field(&text, &request, field_of(&request, "keys"), &full);
    assert_text("...");
    request.request.keys.command = NULL;
    render_field(&text, &request, field_of(&request, "keys"), &full);
    assert_text("");
}

/* The same key has the same pseudonym within a run, and another one in another run. */
static void test_pseudonyms(void **state) {
    const struct bytes words[] = {bytes_str("mget"), bytes_str("CANARY"), bytes_str("b"),
                                  bytes_str("CANARY")};
    const struct request_args args = {words, 4, 4};
    struct event request = some_request(&args);
    struct render_style one = {.keys = SHOW_PSEUDONYMS, .secret = {1, 2}};
    struct render_style other = {.keys = SHOW_PSEUDONYMS, .secret = {3, 4}};
    char expected[100];
    (void)state;
    (void)snprintf(expected, sizeof expected, "k:%016llx,k:%016llx,k:%016llx",
                   (unsigned long long)siphash(&one.secret, "CANARY", 6),
                   (unsigned long long)siphash(&one.secret, "b", 1),
                   (unsigned long long)siphash(&one.secret, "CANARY", 6));
    render_field(&text, &request, field_of(&request, "keys"), &one);
    assert_text(expected);
    render_field(&text, &request, field_of(&request, "keys"), &other);
    assert_memory_equal(text.data, "k:", 2);
    assert_memory_not_equal(text.data, expected, 18);
    struct json json = {.buf = &text};
    render_json(&json, &request, &one);
    assert_null(strstr(text.data, "CANARY"));
    assert_non_null(strstr(text.data, "\"keys\":[\"k:"));
}

static int end_commands(void **state) {
    (void)state;
    command_index_free(command_names);
    return 0;
}

static void test_link_types(void **state) {
    (void)state;
    link_type_name(&text, 1);
    assert_text("EN10MB");
    link_type_name(&text, 276);
    assert_text("LINUX_SLL2");
    link_type_name(&text, 147);
    assert_text("LINKTYPE_147");
}

/* ---- sentences and tables ---- */

static void test_sentences(void **state) {
    struct model *model = model_new((struct siphash_key){1, 2}, NULL, NULL);
    uint8_t slots[BUS_SLOT_BYTES] = {0x06};
    struct event role = {.type = EV_node_role, .node_role = {.node = ID_A, .role = "primary"}};
    struct event taken = {.type = EV_node_slots,
                          .node_slots = {.node = ID_A, .gained = slots, .config_epoch = 3}};
    struct event seen = {.type = EV_node_seen, .node_seen = {.node = ID_A, .about = ID_A}};
    (void)state;
    timeline_sentence(&text, model, &role);
    assert_text("aaaaaaaa is now a primary");
    role.node_role.about = ID_B;
    timeline_sentence(&text, model, &role);
    assert_text("aaaaaaaa is now a primary of bbbbbbbb");
    timeline_sentence(&text, model, &taken);
    assert_text("aaaaaaaa takes slots 1-2, epoch 3");
    timeline_sentence(&text, model, &seen);
    assert_text("aaaaaaaa appears at , told by itself");
    model_free(model);
}

static void test_timeline_cap(void **state) {
    struct model *model = model_new((struct siphash_key){1, 2}, NULL, NULL);
    struct event event = {.type = EV_node_failed, .node_failed = {.node = ID_A, .about = ID_B}};
    struct event message = {.type = EV_bus_message};
    struct timeline timeline;
    (void)state;
    timeline_init(&timeline);
    timeline_event(&timeline, model, &message);
    assert_int_equal(timeline.count, 0);
    for (int i = 0; i < CAP_TIMELINE + 3; i++)
        timeline_event(&timeline, model, &event);
    assert_int_equal(timeline.count, CAP_TIMELINE);
    assert_int_equal(timeline.left_out, 3);
    assert_int_equal(timeline.seen[EV_node_failed], CAP_TIMELINE + 3);
    assert_string_equal(timeline_text(&timeline, CAP_TIMELINE - 1),
                        "aaaaaaaa holds bbbbbbbb for failed (FAIL)");
    timeline_free(&timeline);
    model_free(model);
}

static void test_columns(void **state) {
    static const struct column heads[] = {{"name", LEFT}, {"n", RIGHT}, {"last", LEFT}};
    struct columns columns = columns_of(heads, countof(heads));
    (void)state;
    columns_print(&columns, &text);
    assert_text("");
    columns_text(&columns, "a");
    columns_u64(&columns, 123);
    columns_text(&columns, "x");
    columns_text(&columns, "longer");
    columns_rare(&columns, 0);
    columns_text(&columns, "");
    columns_print(&columns, &text);
    assert_text("  name      n  last\n  a       123  x\n  longer    -  \n");
}

static void test_a_last_column_that_is_too_wide(void **state) {
    static const struct column heads[] = {{"name", LEFT}, {"last", LEFT}};
    struct columns columns = columns_of(heads, countof(heads));
    (void)state;
    columns.width = 20;
    columns_text(&columns, "a");
    columns_text(&columns, "just so wide");
    columns_text(&columns, "b");
    columns_text(&columns, "goes on below itself");
    columns_print(&columns, &text);
    assert_text("  name  last\n"
                "  a     just so wide\n"
                "  b     goes on\n"
                "        below itself\n");
}

/* ---- the command line ---- */

static struct config config;
static struct err config_err;

#define PARSE(...) \
    parse_words((const char *const[]){__VA_ARGS__}, countof(((const char *const[]){__VA_ARGS__})))

static bool parse_words(const char *const *words, size_t count) {
    config_free(&config);
    return config_parse(&config, FOR_ANALYZE, (int)count, (char *const *)words, &config_err);
}

static int end_config(void **state) {
    config_free(&config);
    config = (struct config){0};
    return end_text(state);
}

static void test_options(void **state) {
    (void)state;
    assert_true(PARSE("a.pcap", "-qv", "-c5", "--color=never", "b", "-r", "c", "-rd", "-"));
    assert_int_equal(config.files.count, 5);
    assert_string_equal(config.files.list[1], "b");
    assert_string_equal(config.files.list[3], "d");
    assert_true(config.quiet && config.verbose && !config.help);
    assert_int_equal(config.count, 5);
    assert_int_equal(config.colour, COLOUR_NEVER);
    assert_int_equal(config.fail_on, SEVERITY_NEVER);
    assert_true(PARSE("--count", "7", "--fail-on", "warning", "--", "-q", "--json"));
    assert_int_equal(config.count, 7);
    assert_int_equal(config.fail_on, SEVERITY_WARNING);
    assert_int_equal(config.files.count, 2);
    assert_false(config.quiet || config.json.wanted);
}

static void test_keys_option(void **state) {
    static const char *const choices[] = {"none", "pseudonym", "full"};
    (void)state;
    assert_true(PARSE("a.pcap"));
    assert_int_equal(config.keys, SHOW_NO_KEYS);
    for (size_t i = 0; i < countof(choices); i++) {
        assert_true(PARSE("--keys", choices[i]));
        assert_int_equal(config.keys, i);
    }
}

/* --json takes a file with = alone: the next word is a FILE to read. */
static void test_json_option(void **state) {
    (void)state;
    assert_true(PARSE("--json", "a.pcap"));
    assert_true(config.json.wanted);
    assert_null(config.json.path);
    assert_int_equal(config.files.count, 1);
    assert_true(PARSE("--json=out", "a.pcap"));
    assert_string_equal(config.json.path, "out");
}

static void test_detector_option(void **state) {
    char both[200];
    (void)state;
    assert_true(detector_count >= 2);
    (void)snprintf(both, sizeof both, "%s,%s", detectors[0]->name, detectors[1]->name);
    assert_true(PARSE("--only", both));
    assert_int_equal(config.only, 3);
    assert_false(PARSE("--skip", "no-such"));
    assert_non_null(strstr(config_err.text, "no-such"));
    assert_non_null(strstr(config_err.text, "bustap list detectors"));
}

static void assert_refused(bool accepted, const char *what) {
    assert_false(accepted);
    assert_non_null(strstr(config_err.text, what));
}

static void test_bad_options(void **state) {
    (void)state;
    assert_refused(PARSE("--frob"), "--frob");
    assert_refused(PARSE("-z"), "-z");
    assert_refused(PARSE("--quiet=yes"), "--quiet");
    assert_refused(PARSE("-c"), "-c");
    assert_refused(PARSE("-c", "0"), "'0'");
    assert_refused(PARSE("-c", "-5"), "-5");
    assert_refused(PARSE("-c", "99999999999999999999999"), "999");
    assert_refused(PARSE("--json="), "--json");
    assert_refused(PARSE("--color", "mauve"), "mauve");
    assert_refused(PARSE("--fail-on", "bad"), "bad");
    assert_refused(PARSE("--keys", "some"), "some");
    assert_refused(PARSE("--keys"), "--keys");
    assert_refused(PARSE("--to"), "--to");
    assert_refused(PARSE("--only", ""), "detector");
}

static void test_option_of_another_command(void **state) {
    const char *const words[] = {"--only", "capture-loss"};
    (void)state;
    assert_false(config_parse(&config, FOR_DUMP, 2, (char *const *)words, &config_err));
    assert_non_null(strstr(config_err.text, "--only"));
}

static void test_help_names_every_option(void **state) {
    (void)state;
    config_help(&text, FOR_ALL);
    for (size_t i = 0; i < countof(option_rows); i++)
        assert_non_null(strstr(text.data, option_rows[i].name));
}

#define TEST(name)        cmocka_unit_test_setup_teardown(name, start_text, end_text)
#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, start_text, end_config)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_numbers),
        TEST(test_padding),
        TEST(test_durations),
        TEST(test_sizes),
        TEST(test_lines),
        TEST(test_slots),
        TEST(test_times_as_text),
        TEST(test_times_from_text),
        TEST(test_time_of_day),
        TEST(test_bad_times),
        TEST(test_json_structure),
        TEST(test_json_pretty),
        TEST(test_json_escapes),
        TEST(test_json_hostile_text),
        TEST(test_json_wants_no_memory),
        TEST(test_every_kind_as_text),
        TEST(test_every_kind_as_json),
        TEST(test_what_is_not_known_is_null),
        TEST(test_what_says_nothing_is_left_out),
        TEST(test_every_event),
        TEST(test_fields_of_requests),
        TEST(test_words_of_the_wire),
        TEST(test_keys_are_not_shown),
        TEST(test_keys_in_full),
        TEST(test_keys_that_stand_apart),
        TEST(test_pseudonyms),
        TEST(test_link_types),
        TEST(test_sentences),
        TEST(test_timeline_cap),
        TEST(test_columns),
        TEST(test_a_last_column_that_is_too_wide),
        CONFIG_TEST(test_options),
        CONFIG_TEST(test_keys_option),
        CONFIG_TEST(test_json_option),
        CONFIG_TEST(test_detector_option),
        CONFIG_TEST(test_bad_options),
        CONFIG_TEST(test_option_of_another_command),
        CONFIG_TEST(test_help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, end_commands);
}
