/* test_news.c - the last findings as text, and that older ones make room for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/news.h"
#include "tests/lib/group.h"

static struct news news;

static void find(unsigned number) {
    struct sink_options options = {.colour = true};
    struct finding *finding = finding_new("clock-skew", SEVERITY_WARNING, number);
    assert_non_null(finding);
    finding_title(finding, "finding %u", number);
    finding_explain(finding, "What is said of it.");
    finding_seal(finding);
    news_finding(&news, &options, finding);
    finding_free(finding);
}

static int forget(void **state) {
    (void)state;
    news_free(&news);
    news = (struct news){0};
    return 0;
}

static void test_a_finding_and_its_text(void **state) {
    (void)state;
    find(7);
    const struct news_item *item = news_item(&news, 0);
    assert_non_null(item);
    assert_string_equal(item->title, "finding 7");
    assert_int_equal(item->severity, SEVERITY_WARNING);
    assert_int_equal(item->time, 7);
    assert_non_null(strstr(item->whole, "warning: finding 7 [clock-skew]"));
    assert_non_null(strstr(item->whole, "What is said of it."));
    assert_null(strchr(item->whole, '\x1b')); /* whoever shows it has colours of its own */
    assert_null(news_item(&news, 1));
}

/* CAP_NEWS of them are kept. */
static void test_the_oldest_go(void **state) {
    (void)state;
    for (unsigned i = 0; i <= CAP_NEWS; i++)
        find(i);
    assert_int_equal(news.total, CAP_NEWS + 1);
    assert_null(news_item(&news, 0));
    assert_int_equal(news_item(&news, 1)->time, 1);
    assert_int_equal(news_item(&news, CAP_NEWS)->time, CAP_NEWS);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_finding_and_its_text, forget),
        cmocka_unit_test_teardown(test_the_oldest_go, forget),
    };
    return RUN_GROUP(argc, argv, tests);
}
