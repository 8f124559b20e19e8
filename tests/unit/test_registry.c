/* test_registry.c - the lists that tie the house together: every row has a name of its own and says
 * what it is, every detector wants something, and every cap has a test that makes it count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/detector.h"
#include "base/limits.h"
#include "capture/source_kind.h"
#include "decode/command.h"
#include "decode/event.h"
#include "report/sink.h"
#include "tests/lib/group.h"

#include <ctype.h>
#include <ftw.h>
#include <stdlib.h>

/* ---- names ---- */

enum { NAMES_MAX = 256 };

struct names {
    const char *list[NAMES_MAX];
    size_t count;
};

/* Lower-case words with hyphens, none twice in a list. */
static void check_name(struct names *names, const char *name) {
    assert_non_null(name);
    assert_true(islower((unsigned char)name[0]));
    for (const char *c = name; *c; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '_')
            fail_msg("\"%s\" is not a name", name);
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            fail_msg("\"%s\" is there twice", name);
    assert_true(names->count < NAMES_MAX);
    names->list[names->count++] = name;
}

static void check_help(const char *name, const char *help) {
    if (!help || strlen(help) < 8)
        fail_msg("\"%s\" does not say what it is", name);
}

static void anomalies(void **state) {
    (void)state;
    struct names names = {0};
    for (int i = 0; i < AN_COUNT; i++) {
        check_name(&names, anomaly_rows[i].name);
        check_help(anomaly_rows[i].name, anomaly_rows[i].help);
    }
}

/* Fields too: names of their own within the event, of a kind that exists, inside its struct. */
static void events(void **state) {
    (void)state;
    struct names names = {0};
    for (int i = 0; i < EV_COUNT; i++) {
        const struct event_row *row = &event_rows[i];
        struct names fields = {0};
        check_name(&names, row->name);
        check_help(row->name, row->help);
        assert_true(row->visibility == SHOWN || row->visibility == QUIET);
        for (const struct event_field *field = row->fields(); field->name; field++) {
            check_name(&fields, field->name);
            assert_true(field->kind < FIELD_KIND_COUNT);
            assert_true(field->offset < sizeof(struct event));
        }
    }
    assert_true(EV_COUNT <= 64); /* masks are 64 bits wide */
}

static void bus_messages(void **state) {
    (void)state;
    struct names names = {0};
    for (int i = 0; i < BUS_COUNTERS; i++)
        check_name(&names, bus_type_names[i]);
    assert_true(BUS_COUNTERS <= 16); /* four bits in the queue of unacknowledged messages */
}

/* Names as the servers write them, in order, which also keeps them apart. */
static void commands(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        size_t len = strlen(row->name);
        if (len == 0 || strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_-:|.") != len)
            fail_msg("\"%s\" is no command's name", row->name);
        if (i > 0 && strcmp(row[-1].name, row->name) >= 0)
            fail_msg("\"%s\" is there twice, or out of order", row->name);
        assert_true(row->access < ACCESS_COUNT && row->kind < COMMAND_KINDS);
        assert_true(row->keys < KEYS_RULES && row->reply < REPLY_COUNT);
    }
}

static void check_flags(const struct bus_flag_row *rows, size_t count) {
    struct names names = {0};
    uint32_t all = 0;
    for (size_t i = 0; i < count; i++) {
        check_name(&names, rows[i].name);
        assert_int_equal(__builtin_popcount(rows[i].bit), 1);
        assert_int_equal(all & rows[i].bit, 0);
        all |= rows[i].bit;
    }
}

static void flags(void **state) {
    (void)state;
    check_flags(bus_node_flag_rows, bus_node_flag_count);
    check_flags(bus_mflag_rows, bus_mflag_count);
}

static void all_detectors(void **state) {
    (void)state;
    struct names names = {0};
    assert_true(detector_count > 0 && detector_count <= 64);
    for (size_t i = 0; i < detector_count; i++) {
        const struct detector *detector = detectors[i];
        check_name(&names, detector->name);
        check_help(detector->name, detector->help);
        assert_true(detector->wants >> EV_COUNT == 0);
        assert_int_equal(detector->wants != 0, detector->event != NULL);
        assert_true(detector->event || detector->finish);
    }
}

static void all_sources(void **state) {
    (void)state;
    assert_true(source_kind_count > 0);
    for (size_t i = 0; i < source_kind_count; i++) {
        assert_non_null(source_kinds[i].open);
        bool claims_all = source_kinds[i].prefix[0] == '\0';
        assert_true(!claims_all || i == source_kind_count - 1); /* nobody behind it is asked */
    }
}

static void all_sinks(void **state) {
    (void)state;
    struct names names = {0};
    for (size_t i = 0; i < sink_count; i++) {
        check_name(&names, sinks[i]->name);
        check_help(sinks[i]->name, sinks[i]->help);
        assert_true(sinks[i]->event || sinks[i]->finish);
    }
}

/* ---- caps ---- */

#define CAP_NAME(name, value, help) {"CAP_" #name, help},
static const struct { const char *name, *help; } caps[] = {LIMITS(CAP_NAME)};
#undef CAP_NAME

static bool tested[countof(caps)];

/* Is the word there, not as a part of a longer one? */
static bool has_word(const char *text, const char *word) {
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += len) {
        bool ends = !isalnum((unsigned char)at[len]) && at[len] != '_';
        if (ends)
            return true;
    }
    return false;
}

static int read_test(const char *path, const struct stat *about, int type, struct FTW *where) {
    const char *end = strrchr(path, '.');
    bool test = type == FTW_F && end && (strcmp(end, ".c") == 0 || strcmp(end, ".py") == 0);
    (void)where;
    FILE *file = test && !strstr(path, "test_registry") ? fopen(path, "r") : NULL;
    if (!file)
        return 0;
    char *text = calloc(1, (size_t)about->st_size + 1);
    assert_non_null(text);
    size_t got = fread(text, 1, (size_t)about->st_size, file);
    for (size_t i = 0; i < countof(caps) && got; i++)
        tested[i] = tested[i] || has_word(text, caps[i].name);
    free(text);
    fclose(file);
    return 0;
}

/* Each is named in a test (in tests/, from the root of the tree), and says what happens at it. */
static void every_cap_has_a_test(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/unit", "tests/wire",     "tests/golden",
                                          "tests/prop", "tests/findings", "tests/capture"};
    for (size_t i = 0; i < countof(folders); i++)
        (void)nftw(folders[i], read_test, 16, FTW_PHYS);
    size_t without = 0;
    for (size_t i = 0; i < countof(caps); i++) {
        check_help(caps[i].name, caps[i].help);
        if (tested[i])
            continue;
        print_message("%s: no test names it\n", caps[i].name);
        without++;
    }
    assert_int_equal(without, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anomalies),
        cmocka_unit_test(events),
        cmocka_unit_test(bus_messages),
        cmocka_unit_test(commands),
        cmocka_unit_test(flags),
        cmocka_unit_test(all_detectors),
        cmocka_unit_test(all_sources),
        cmocka_unit_test(all_sinks),
        cmocka_unit_test(every_cap_has_a_test),
    };
    return RUN_GROUP(argc, argv, tests);
}
