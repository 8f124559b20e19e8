/* test_command.c - commands found by name in any case, and what is read from their arguments: keys,
 * writes, waiting, replies. Requests are written as text, argument by argument, and stand flush
 * against an unreadable page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/command.h"
#include "tests/lib/failing.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"

#include <ctype.h>

static struct command_index *command_names;

/* ---- by name ---- */

/* A row "x|y" stands behind "x", which is a container; and no container is empty. */
static void sub_commands_belong_to_a_container(void **state) {
    (void)state;
    size_t containers = 0, entered = 0;
    const struct command *last = NULL;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        const char *bar = strchr(row->name, '|');
        containers += row->kind == COMMAND_CONTAINER;
        if (!bar)
            continue;
        struct bytes name = bytes_of(row->name, (size_t)(bar - row->name));
        const struct command *container = command_find(command_names, name, bytes_of(NULL, 0));
        assert_non_null(container);
        assert_true(container < row && container->kind == COMMAND_CONTAINER);
        entered += container != last;
        last = container;
    }
    assert_int_equal(containers, entered);
}

static const struct command *find(const char *name, const char *sub) {
    return command_find(command_names, bytes_str(name), bytes_str(sub));
}

static void assert_found(const char *name, const char *sub, const char *expected) {
    const struct command *command = find(name, sub);
    assert_non_null(command);
    assert_string_equal(command->name, expected);
}

enum letters { LOWER, UPPER, MIXED, LETTER_CASES };

static char in_case(enum letters letters, size_t at, char c) {
    bool upper = letters == UPPER || (letters == MIXED && at % 2);
    return upper ? (char)toupper((unsigned char)c) : c;
}

/* The word that is looked for last stands against the unreadable page. */
static void check_found(const struct command *row, enum letters letters) {
    char text[64];
    size_t len = strlen(row->name);
    for (size_t i = 0; i <= len; i++)
        text[i] = in_case(letters, i, row->name[i]);
    size_t name_len = strcspn(text, "|");
    struct bytes name = bytes_of(text, name_len);
    struct bytes sub = bytes_after(bytes_of(text, len), name_len + 1);
    if (sub.len)
        assert_ptr_equal(command_find(command_names, name, guarded(sub)), row);
    assert_ptr_equal(command_find(command_names, guarded(name), sub), row);
}

static void every_row_is_found_in_any_case(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++)
        for (int letters = LOWER; letters < LETTER_CASES; letters++)
            check_found(&command_rows[i], letters);
}

/* Whatever one byte is changed to: what is found is called so, in some case. */
static void nothing_is_found_by_another_name(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        const char *name = command_rows[i].name;
        size_t len = strlen(name);
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                char text[64];
                memcpy(text, name, len + 1);
                text[at] = (char)byte;
                const struct command *found =
                    command_find(command_names, bytes_of(text, len), bytes_of(NULL, 0));
                if (found && (strlen(found->name) != len ||
                              (char)tolower((unsigned char)byte) != found->name[at]))
                    fail_msg("\"%s\" is found as \"%s\"", text, found->name);
            }
    }
}

static void unknown_names_are_not_found(void **state) {
    (void)state;
    static const char *const names[] = {
        "",
        "g",
        "ge",
        "gett",
        "get ",
        "slots",
        "setex\1",
        "cluster|slots",
        "|",
        "a-name-that-is-longer-than-any-command-has",
        "zunionstores",
        "georadiusbymember_r",
        "georadiusbymember_roo",
        "count-failure-reports",
    };
    for (size_t i = 0; i < countof(names); i++)
        assert_null(find(names[i], ""));
    assert_null(command_find(command_names, bytes_of(NULL, 0), bytes_of(NULL, 0)));
    assert_null(command_find(command_names, bytes_of("get\0", 4), bytes_of(NULL, 0)));
}

static void sub_commands_are_looked_at_in_containers_only(void **state) {
    (void)state;
    assert_found("CLUSTER", "Slots", "cluster|slots");
    assert_found("cluster", "count-failure-reports", "cluster|count-failure-reports");
    assert_found("cluster", "no-such", "cluster");
    assert_found("cluster", "", "cluster");
    assert_found("cluster", "slots-and-more-of-what-nobody-knows", "cluster");
    assert_found("command", "", "command");
    assert_found("config", "get", "config|get");
    assert_found("get", "slots", "get");
    assert_found("get", "get", "get");
}

static void without_memory_there_is_no_index(void **state) {
    (void)state;
#if OWN_MALLOC
    allocations_left = 0;
    struct command_index *none = command_index_new();
    allocations_left = -1;
    assert_null(none);
#else
    skip();
#endif
}

/* ---- requests ---- */

enum { ARGUMENTS_MAX = 48 };

struct request {
    struct bytes list[ARGUMENTS_MAX];
    struct request_args args;
    const struct command *command;
};

/* Arguments parted by single spaces; '' is an empty one. Valid until the next one is made. */
static struct request request_of(const char *text) {
    struct request r = {.args.kept = 0};
    struct bytes left = guarded(bytes_str(text));
    for (size_t len; left.len; left = bytes_after(left, len + 1)) {
        const uint8_t *space = memchr(left.data, ' ', left.len);
        len = space ? (size_t)(space - left.data) : left.len;
        bool empty = len == 2 && memcmp(left.data, "''", 2) == 0;
        assert_true(r.args.kept < ARGUMENTS_MAX);
        r.list[r.args.kept++] = bytes_of(left.data, empty ? 0 : len);
    }
    r.args.count = r.args.kept;
    r.command = command_find(command_names, r.list[0], r.list[1]);
    if (!r.command)
        fail_msg("no command: %s", text);
    return r;
}

static const struct request_args *args_of(struct request *r) {
    r->args.list = r->list;
    return &r->args;
}

/* As "2 3 4 +1": indexes of keys, then of the extra one; "" if there are none. */
static void say_keys(struct request *r, char *text, size_t room) {
    struct command_keys keys;
    size_t len = 0;
    text[0] = '\0';
    if (!command_keys(r->command, args_of(r), &keys))
        return;
    for (uint64_t i = 0; i < keys.count; i++)
        len += (size_t)snprintf(text + len, room - len, "%s%zu", i ? " " : "",
                                (size_t)(keys.first + i * keys.step));
    if (keys.extra)
        len += (size_t)snprintf(text + len, room - len, " +%zu", (size_t)keys.extra);
    if (keys.channels)
        snprintf(text + len, room - len, " channels");
}

static const struct {
    const char *request, *keys;
} key_cases[] = {
    {"ping", ""},
    {"get k", "1"},
    {"get", ""},
    {"set k v ex 3", "1"},
    {"restore-asking k 0 x", "1"},
    {"object encoding k", "2"},
    {"object encoding", ""},
    {"object help", ""},
    {"xinfo stream k full", "2"},
    {"xgroup create k g $", "2"},
    {"memory usage k", "2"},
    {"memory doctor", ""},
    {"pfdebug getreg k", "2"},
    {"rename a b", "1 2"},
    {"rename a", ""},
    {"blmove a b left right 0", "1 2"},
    {"lcs a b len", "1 2"},
    {"del a b c", "1 2 3"},
    {"del", ""},
    {"pfmerge d", "1"},
    {"sunionstore d a b", "1 2 3"},
    {"blpop a 0", "1"},
    {"blpop a b 0", "1 2"},
    {"blpop a", ""},
    {"blpop", ""},
    {"mset a 1 b 2", "1 3"},
    {"mset a 1 b", "1 3"},
    {"json.mset a $ 1 b $ 2", "1 4"},
    {"json.mset a $ 1 b", "1 4"},
    {"json.mget a b $", "1 2"},
    {"json.debug memory a", "2"},
    {"cms.merge d 2 a b weights 1 2", "3 4 +1"},
    {"ts.nrange 2 a b - +", "2 3"},
    {"ft.search index query", ""},
    {"bitop and d a b", "2 3 4"},
    {"bitop not", ""},
    {"zunion 2 a b withscores", "2 3"},
    {"zunion 2 a", ""},
    {"zunion 0 a", ""},
    {"zunion -1 a", ""},
    {"zunion 1x a", ""},
    {"zunion '' a", ""},
    {"zunion 99999999999 a", ""},
    {"zunion 18446744073709551617 a", ""},
    {"zunion", ""},
    {"lmpop 1 a left", "2"},
    {"msetex 2 a 1 b 2 ex 5", "2 4"},
    {"msetex 2 a 1 b", "2 4"},
    {"msetex 2 a 1", ""},
    {"eval s 2 a b x", "3 4"},
    {"eval s 0 x", ""},
    {"eval s 3 a b", ""},
    {"eval s", ""},
    {"fcall_ro f 1 a", "3"},
    {"bzmpop 0 2 a b min", "3 4"},
    {"zunionstore d 2 a b weights 1 2", "3 4 +1"},
    {"zunionstore d 3 a b", ""},
    {"sort k", "1"},
    {"sort k by w_* limit 0 5 get # alpha STORE d", "1 +11"},
    {"sort k by store get store", "1"},
    {"sort k limit store store", "1"},
    {"sort k store", "1"},
    {"sort k store d store e", "1 +5"},
    {"sort_ro k by store", "1"},
    {"georadius g 1 2 3 m", "1"},
    {"georadius g 1 2 3 m withdist StoreDist d", "1 +8"},
    {"georadius g 1 2 3 m store", "1"},
    {"georadiusbymember g store 3 m", "1"},
    {"georadiusbymember g m 3 m store d", "1 +6"},
    {"georadius_ro g 1 2 3 m", "1"},
    {"geosearchstore d g frommember m byradius 1 m", "1 2"},
    {"xread streams a b 0 0", "2 3"},
    {"xread count 2 BLOCK 0 STREAMS a 0", "6"},
    {"xread maxcount 2 maxsize 9 streams a 0", "6"},
    {"xread streams a b 0", ""},
    {"xread streams", ""},
    {"xread count 1", ""},
    {"xread", ""},
    {"xreadgroup group streams streams noack streams a b > >", "6 7"},
    {"xreadgroup group g c claim 9 streams a >", "7"},
    {"migrate h 1 k 0 10 copy", "3"},
    {"migrate h 1 '' 0 10 copy replace keys a b", "9 10"},
    {"migrate h 1 '' 0 10 AUTH KEYS KEYS a", "9"},
    {"migrate h 1 '' 0 10 auth2 keys keys keys a b", "10 11"},
    {"migrate h 1 '' 0 10 keys", ""},
    {"migrate h 1 '' 0 10", "3"}, /* a key without a name */
    {"migrate h 1 k 0 10 keys a", ""},
    {"migrate h 1", ""},
    {"stralgo lcs idx keys a b", "4 5"},
    {"stralgo lcs strings keys b", ""},
    {"stralgo lcs keys a", ""},
    {"spublish c m", "1 channels"},
    {"ssubscribe c d", "1 2 channels"},
    {"sunsubscribe", ""},
    {"publish c m", ""},
    {"subscribe c", ""},
    {"watch a b", "1 2"},
    {"himport set k f v", "2"},
    {"flushall", ""},
    {"cluster keyslot k", ""},
};

static void keys_by_every_rule(void **state) {
    (void)state;
    bool seen[KEYS_RULES] = {false};
    for (size_t i = 0; i < countof(key_cases); i++) {
        char found[256];
        struct request r = request_of(key_cases[i].request);
        say_keys(&r, found, sizeof found);
        if (strcmp(found, key_cases[i].keys) != 0)
            fail_msg("%s: keys at \"%s\"", key_cases[i].request, found);
        seen[r.command->keys] = true;
    }
    for (size_t i = 0; i < KEYS_RULES; i++)
        if (!seen[i])
            fail_msg("key rule %zu is not tested", i);
}

/* Only the beginning of the list was kept: counts are still those of the request. */
static void keys_beyond_what_was_kept(void **state) {
    (void)state;
    struct command_keys keys;
    struct request r = request_of("mget a b");
    r.args.count = 1000001;
    assert_true(command_keys(r.command, args_of(&r), &keys));
    assert_int_equal(keys.count, 1000000);
    r = request_of("zunionstore d 500 a");
    r.args.count = 503;
    assert_true(command_keys(r.command, args_of(&r), &keys));
    assert_int_equal(keys.count, 500);
    r.args.count = 502;
    assert_false(command_keys(r.command, args_of(&r), &keys));
    r = request_of("xread streams a b");
    r.args.count = 22;
    assert_true(command_keys(r.command, args_of(&r), &keys));
    assert_int_equal(keys.first, 2);
    assert_int_equal(keys.count, 10);
    r = request_of("eval s");
    r.args.count = 10; /* the number of keys was not kept */
    assert_false(command_keys(r.command, args_of(&r), &keys));
}

/* Any request cut anywhere, and any count that is claimed: indexes stay inside the request. */
static void keys_stay_inside_the_request(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(key_cases); i++) {
        struct request r = request_of(key_cases[i].request);
        uint64_t counts[] = {0, 1, 2, 5, INT32_MAX, UINT64_MAX};
        for (size_t kept = 1; kept <= r.args.count; kept++)
            for (size_t c = 0; c < countof(counts); c++) {
                struct command_keys keys;
                struct request_args args = {r.list, kept, counts[c] > kept ? counts[c] : kept};
                if (!command_keys(r.command, &args, &keys))
                    continue;
                assert_true(keys.step > 0 && keys.first > 0 && keys.first < args.count);
                assert_true(keys.count > 0);
                assert_true(keys.count - 1 <= (args.count - 1 - keys.first) / keys.step);
                assert_true(keys.extra < args.count);
            }
    }
}

/* ---- writes, waiting, replies ---- */

static const struct {
    const char *request;
    bool write;
} write_cases[] = {
    {"get k", false},
    {"ping", false},
    {"set k v", true},
    {"pfcount k", false},
    {"sort k by store", false},
    {"sort k store d", true},
    {"sort_ro k", false},
    {"georadius g 1 2 3 m", false},
    {"georadius g 1 2 3 m STORE d", true},
    {"bitfield k get u8 0", false},
    {"bitfield k GET u8 0 overflow fail INCRBY u8 0 1", true},
    {"bitfield k set u8 0 1", true},
    {"bitfield k", false},
    {"bitfield_ro k get u8 0", false},
    {"getex k", false},
    {"getex k persist", true},
    {"hgetex k fields 2 a b", false},
    {"hgetex k FIELDS 1 ex", false},
    {"hgetex k ex 3 fields 1 a", true},
    {"hgetex k fields 1 a persist", true},
    {"eval s 0", true},
    {"evalsha_ro s 0", false},
    {"fcall f 0", true},
    {"xread streams a 0", false},
    {"xreadgroup group g c streams a >", true},
    {"migrate h 1 k 0 9", true},
    {"flushall", true},
    {"function load x", true},
    {"function list", false},
    {"cluster failover", false},
};

static void writes_by_arguments(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(write_cases); i++) {
        struct request r = request_of(write_cases[i].request);
        if (command_is_write(r.command, args_of(&r)) != write_cases[i].write)
            fail_msg("a write or not: %s", write_cases[i].request);
    }
}

/* What was not kept might be the STORE or SET: then it counts as a write. */
static void perhaps_a_write_is_one(void **state) {
    (void)state;
    static const char *const requests[] = {"sort k get #", "bitfield k get u8 0",
                                           "hgetex k fields 2 a", "georadius g 1 2 3 m"};
    for (size_t i = 0; i < countof(requests); i++) {
        struct request r = request_of(requests[i]);
        r.args.count += 2;
        assert_true(command_is_write(r.command, args_of(&r)));
    }
    struct request r = request_of("get k");
    r.args.count++;
    assert_false(command_is_write(r.command, args_of(&r)));
}

static const struct {
    const char *request;
    bool blocks;
} wait_cases[] = {
    {"get k", false},
    {"blpop k 0", true},
    {"wait 1 0", true},
    {"waitaof 1 0 0", true},
    {"xread streams a 0", false},
    {"xread block 5 streams a $", true},
    {"xread count block streams a $", false},
    {"xread streams block 0", false},
    {"xreadgroup group block block count 1 streams a >", false},
    {"xreadgroup group g c BLOCK 0 STREAMS a >", true},
};

static void waiting_by_arguments(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(wait_cases); i++) {
        struct request r = request_of(wait_cases[i].request);
        if (command_may_block(r.command, args_of(&r)) != wait_cases[i].blocks)
            fail_msg("waits or not: %s", wait_cases[i].request);
    }
}

static const struct {
    const char *request;
    enum command_reply reply;
} reply_cases[] = {
    {"get k", REPLY_ONE},
    {"post / HTTP/1.1", REPLY_NONE},
    {"host: x", REPLY_NONE},
    {"shutdown nosave", REPLY_IF_REFUSED},
    {"shutdown", REPLY_IF_REFUSED},
    {"shutdown ABORT", REPLY_ONE},
    {"subscribe a", REPLY_SUBSCRIBE},
    {"psubscribe a", REPLY_PSUBSCRIBE},
    {"ssubscribe a", REPLY_SSUBSCRIBE},
    {"unsubscribe", REPLY_UNSUBSCRIBE},
    {"punsubscribe", REPLY_PUNSUBSCRIBE},
    {"sunsubscribe", REPLY_SUNSUBSCRIBE},
    {"monitor", REPLY_MONITOR},
    {"INFO memory", REPLY_INFO},
    {"multi", REPLY_MULTI},
    {"exec", REPLY_EXEC},
    {"discard", REPLY_DISCARD},
    {"reset", REPLY_RESET},
    {"quit", REPLY_QUIT},
    {"hello 3", REPLY_HELLO},
    {"auth p", REPLY_AUTH},
    {"asking", REPLY_ASKING},
    {"client reply on", REPLY_ON},
    {"CLIENT REPLY OFF", REPLY_OFF},
    {"client reply Skip", REPLY_SKIP},
    {"client reply maybe", REPLY_ONE},
    {"client reply", REPLY_ONE},
    {"client id", REPLY_ONE},
    {"psync ? -1", REPLY_PSYNC},
    {"sync", REPLY_SYNC},
    {"replconf ACK 12", REPLY_NONE},
    {"replconf getack *", REPLY_NONE},
    {"replconf capa eof", REPLY_ONE},
    {"replconf", REPLY_ONE},
    {"cluster syncslots sync id 1 2", REPLY_MIGRATION_LINK},
    {"cluster syncslots RDBCHANNEL id", REPLY_MIGRATION_LINK},
    {"cluster syncslots establish source n name j slotsrange 1 2", REPLY_MIGRATION_LINK},
    {"cluster syncslots conf node-id n", REPLY_ONE},
    {"cluster syncslots conf slot-info 0:1:0", REPLY_NONE},
    {"cluster syncslots CONF ASM-TASK t", REPLY_NONE},
    {"cluster setslot 7 stable", REPLY_MOVES},
    {"migrate h 1 k 0 1000", REPLY_MOVES},
    {"restore-asking k 0 v", REPLY_MOVES},
    {"cluster syncslots ack s 1", REPLY_NONE},
    {"cluster syncslots", REPLY_NONE},
};

static void replies_by_arguments(void **state) {
    (void)state;
    bool seen[REPLY_COUNT] = {false};
    for (size_t i = 0; i < countof(reply_cases); i++) {
        struct request r = request_of(reply_cases[i].request);
        if (command_reply_to(r.command, args_of(&r)) != reply_cases[i].reply)
            fail_msg("reply: %s", reply_cases[i].request);
        seen[reply_cases[i].reply] = true;
    }
    for (size_t i = 0; i < REPLY_COUNT; i++)
        assert_int_equal(seen[i], i < REPLY_CLIENT_REPLY); /* those beyond are never told */
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sub_commands_belong_to_a_container),
        cmocka_unit_test(every_row_is_found_in_any_case),
        cmocka_unit_test(nothing_is_found_by_another_name),
        cmocka_unit_test(unknown_names_are_not_found),
        cmocka_unit_test(sub_commands_are_looked_at_in_containers_only),
        cmocka_unit_test(without_memory_there_is_no_index),
        cmocka_unit_test(keys_by_every_rule),
        cmocka_unit_test(keys_beyond_what_was_kept),
        cmocka_unit_test(keys_stay_inside_the_request),
        cmocka_unit_test(writes_by_arguments),
        cmocka_unit_test(perhaps_a_write_is_one),
        cmocka_unit_test(waiting_by_arguments),
        cmocka_unit_test(replies_by_arguments),
    };
    command_names = command_index_new();
    int failed = command_names ? RUN_GROUP(argc, argv, tests) : EXIT_FAILURE;
    command_index_free(command_names);
    return failed;
}
