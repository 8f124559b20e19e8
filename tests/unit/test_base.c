/* test_base.c - what every folder rests on: the table under churn,
 * text with a cap, the keyed hash, the common limit of a pool, and lists that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/siphash.h"
#include "base/table.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"

#include <stdlib.h>

/* ---- table: against a list that is searched from end to end ---- */

enum { RECORDS = 300, STEPS = 60000 };

struct owner {
    uint32_t keys[RECORDS]; /* the record's key */
    bool present[RECORDS];
};

static bool has_key(const void *owner, uint32_t index, const void *key) {
    return ((const struct owner *)owner)->keys[index] == *(const uint32_t *)key;
}

static uint32_t naive_find(const struct owner *owner, uint32_t key) {
    for (uint32_t i = 0; i < RECORDS; i++) {
        if (owner->present[i] && owner->keys[i] == key)
            return i;
    }
    return TABLE_NONE;
}

static void compare_all(const struct table *table, const struct owner *owner, uint32_t keys,
                        uint32_t hashes) {
    for (uint32_t key = 0; key < keys; key++) {
        uint32_t found = table_find(table, key % hashes, has_key, owner, &key);
        assert_int_equal(found, naive_find(owner, key));
    }
}

/* Adds and removes at random; `hashes` is how many different hashes there are: few make long runs
 * of collisions, where removal has to move the most. */
static void churn(uint64_t seed, uint32_t hashes) {
    static struct owner owner;
    struct table table = {0};
    struct dice dice = dice_of(seed);
    const uint32_t keys = 2 * RECORDS;
    memset(&owner, 0, sizeof owner);
    for (int step = 0; step < STEPS; step++) {
        uint32_t index = dice_below(&dice, RECORDS), key = dice_below(&dice, keys);
        if (owner.present[index]) {
            table_remove(&table, owner.keys[index] % hashes, index);
            owner.present[index] = false;
        } else if (naive_find(&owner, key) == TABLE_NONE) {
            owner.keys[index] = key;
            owner.present[index] = true;
            assert_true(table_add(&table, key % hashes, index));
        }
        if (step % 500 == 0)
            compare_all(&table, &owner, keys, hashes);
    }
    table_free(&table);
}

/* The table finds what a list finds, after any adding and removing, with good and bad hashes. */
static void table_under_churn(void **state) {
    (void)state;
    uint64_t seed = dice_seed();
    print_message("PROP_SEED=%llu\n", (unsigned long long)seed);
    churn(seed, 1);
    churn(seed + 1, 7);
    churn(seed + 2, UINT32_MAX);
}

/* Hashes at the end of the slots wrap round to the first ones, also when one in between goes. */
static void table_wraps_round(void **state) {
    (void)state;
    struct owner owner = {0};
    struct table table = {0};
    for (uint32_t i = 0; i < 6; i++) {
        owner.keys[i] = i;
        owner.present[i] = true;
        assert_true(table_add(&table, UINT32_MAX - 1, i));
    }
    table_remove(&table, UINT32_MAX - 1, 1);
    owner.present[1] = false;
    for (uint32_t key = 0; key < 6; key++)
        assert_int_equal(table_find(&table, UINT32_MAX - 1, has_key, &owner, &key),
                         naive_find(&owner, key));
    table_free(&table);
}

/* However often something comes and goes, the table does not grow. */
static void table_does_not_grow_under_churn(void **state) {
    (void)state;
    struct table table = {0};
    for (uint32_t i = 0; i < 100000; i++) {
        assert_true(table_add(&table, i * 2654435761u, i));
        if (i >= 10)
            table_remove(&table, (i - 10) * 2654435761u, i - 10);
    }
    assert_int_equal(table.used, 10);
    assert_int_equal(table.mask, 63);
    table_free(&table);
}

static void an_empty_table_finds_nothing(void **state) {
    (void)state;
    struct table table = {0};
    uint32_t key = 1;
    assert_int_equal(table_find(&table, 0, has_key, NULL, &key), TABLE_NONE);
    table_free(&table);
}

/* ---- views ---- */

static void views_of_views(void **state) {
    (void)state;
    struct bytes view = bytes_of("abc", 3);
    assert_true(bytes_equal(bytes_after(view, 1), bytes_of("bc", 2)));
    assert_int_equal(bytes_after(view, 3).len, 0);
    assert_int_equal(bytes_after(view, 4).len, 0);
    assert_int_equal(bytes_first(view, 9).len, 3);
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of("", 0)));
    assert_false(bytes_equal(view, bytes_of("abd", 3)));
}

/* ---- arena ---- */

/* What is taken is zeroed, apart from the rest, and good for any type. */
static void arena_gives_memory(void **state) {
    (void)state;
    struct arena arena = {.max = 1 << 20};
    char *texts[1000];
    for (int i = 0; i < 1000; i++) {
        texts[i] = arena_text(&arena, "abcdefghijklmnop", (size_t)i % 17);
        assert_int_equal((uintptr_t)texts[i] % _Alignof(max_align_t), 0);
    }
    char *large = arena_take(&arena, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(large[i], 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(strlen(texts[i]), i % 17);
    assert_false(arena.failed);
    arena_free(&arena);
    assert_int_equal(arena.used, 0);
}

/* Nothing past the maximum; what fits after that is still given. */
static void arena_keeps_its_maximum(void **state) {
    (void)state;
    struct arena arena = {.max = 64};
    assert_non_null(arena_take(&arena, 40));
    assert_null(arena_take(&arena, 40));
    assert_true(arena.failed);
    assert_non_null(arena_take(&arena, 8));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 4));
    arena_free(&arena);
}

/* ---- buf ---- */

/* What does not fit is not added at all, and nothing after it. */
static void buf_keeps_its_maximum(void **state) {
    (void)state;
    struct buf buf = {.max = 10};
    buf_text(&buf, "12345");
    buf_text(&buf, "67890");
    assert_false(buf.failed);
    buf_text(&buf, "1");
    assert_true(buf.failed);
    assert_string_equal(buf.data, "1234567890");
    buf_text(&buf, "");
    assert_int_equal(buf.len, 10);
    buf_free(&buf);
    assert_false(buf.failed);
    assert_int_equal(buf.max, 10);
}

static void buf_without_room(void **state) {
    (void)state;
    struct buf buf = {0};
    buf_text(&buf, "");
    assert_false(buf.failed);
    assert_string_equal(buf.data, "");
    buf_add(&buf, "x", 1);
    assert_true(buf.failed);
    buf_free(&buf);
}

static void buf_grows(void **state) {
    (void)state;
    struct buf buf = {.max = 1 << 20};
    for (int i = 0; i < 10000; i++)
        buf_printf(&buf, "%05d", i);
    assert_int_equal(buf.len, 50000);
    assert_memory_equal(buf.data + 5 * 4321, "04321", 5);
    buf_printf(&buf, "%600d", 1); /* longer than anything that our callers format */
    assert_true(buf.failed);
    buf_free(&buf);
}

static void assert_wire_text(struct bytes text, size_t shown, const char *expected) {
    struct buf buf = {.max = 4096};
    buf_wire_text(&buf, text, shown);
    buf_text(&buf, "");
    assert_string_equal(buf.data, expected);
    buf_free(&buf);
}

/* Nothing that a terminal would obey gets through. */
static void wire_text_is_harmless(void **state) {
    (void)state;
    assert_wire_text(bytes_str("plain ~text!"), 99, "plain ~text!");
    assert_wire_text(bytes_of("\x1b[2J\x00\x7f", 6), 99, "\\x1b[2J\\x00\\x7f");
    assert_wire_text(bytes_of("a\\b\xc3\xa9\r\n", 7), 99, "a\\\\b\\xc3\\xa9\\x0d\\x0a");
    assert_wire_text(bytes_str("abcdef"), 3, "abc...");
    assert_wire_text(bytes_str("abc"), 3, "abc");
    assert_wire_text(bytes_of(NULL, 0), 3, "");
}

/* ---- err ---- */

static void err_is_false_and_says_why(void **state) {
    (void)state;
    struct err err;
    assert_false(err_set(&err, "%s: %d", "a.pcap", 7));
    assert_string_equal(err.text, "a.pcap: 7");
    assert_false(err_set(&err, "%600s", "x")); /* cut, not overrun */
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_false(err_no_memory(&err));
    assert_memory_equal(err.text, "out of memory", 13);
}

/* ---- siphash ---- */

/* SipHash-1-3 with key 0 of the bytes 0, 1, 2 ...: CPython 3.11 says so, PYTHONHASHSEED=0,
 * hash(bytes(range(len))). */
static const struct {
    size_t len;
    uint64_t hash;
} vectors[] = {
    {1, UINT64_C(0x68a914128e01e473)},   {2, UINT64_C(0x010bac45c41e3669)},
    {3, UINT64_C(0x4d4c9a4a8ef6e0ad)},   {4, UINT64_C(0x7cc43f98813e4dbd)},
    {5, UINT64_C(0x5abe2169dff36275)},   {6, UINT64_C(0xe3c25f87624f1cdb)},
    {7, UINT64_C(0x2f098ab0c751325a)},   {8, UINT64_C(0xead411e67ebe2eea)},
    {9, UINT64_C(0x75927f9d95124362)},   {12, UINT64_C(0xa6baf4fb0f9fe1c2)},
    {15, UINT64_C(0xf30eb725bb91c9ea)},  {16, UINT64_C(0x8972188433a5c5b7)},
    {17, UINT64_C(0x4883c49a2c009c1d)},  {31, UINT64_C(0x169739443111d49b)},
    {32, UINT64_C(0x31ef8061c910629b)},  {33, UINT64_C(0x7fb71d24dfa4c9f6)},
    {63, UINT64_C(0x385d3e39e5f37359)},  {64, UINT64_C(0x75e05fd5bbc870c6)},
    {100, UINT64_C(0x1c6a66e1506e7908)},
};

static void siphash_vectors(void **state) {
    (void)state;
    uint8_t data[128];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < countof(vectors); i++) {
        struct bytes view = guarded(bytes_of(data, vectors[i].len));
        assert_true(siphash(&(struct siphash_key){0, 0}, view.data, view.len) == vectors[i].hash);
    }
}

/* Both halves of the key matter. */
static void siphash_is_keyed(void **state) {
    (void)state;
    uint64_t none = siphash(&(struct siphash_key){0, 0}, "abc", 3);
    uint64_t first = siphash(&(struct siphash_key){1, 0}, "abc", 3);
    uint64_t second = siphash(&(struct siphash_key){0, 1}, "abc", 3);
    assert_true(none != first && none != second && first != second);
}

/* ---- pool ---- */

/* The limit is that of all owners together; what is given back can be taken again. */
static void pool_has_one_limit(void **state) {
    (void)state;
    struct pool pool = {.max = 10000};
    size_t a_room, b_room, c_room;
    void *a = pool_take(&pool, 6000, &a_room);
    assert_non_null(a);
    assert_int_equal(a_room, 6000);
    assert_null(pool_take(&pool, 4001, &b_room));
    void *b = pool_take(&pool, 100, &b_room);
    assert_non_null(b);
    assert_int_equal(pool.used, 6000 + b_room);
    pool_give(&pool, a, a_room);
    void *c = pool_take(&pool, 9000, &c_room);
    assert_non_null(c);
    pool_give(&pool, b, b_room);
    pool_give(&pool, c, c_room);
    pool_give(&pool, NULL, 0);
    assert_int_equal(pool.used, 0);
    pool_free(&pool);
}

/* Blocks of the usual size are kept for the next owner, and do not count against the limit. */
static void pool_keeps_spare_blocks(void **state) {
    (void)state;
    struct pool pool = {.max = 2 * POOL_BLOCK};
    size_t room, other_room;
    void *block = pool_take(&pool, 3000, &room);
    void *other = pool_take(&pool, 3000, &other_room);
    assert_int_equal(room, POOL_BLOCK);
    assert_null(pool_take(&pool, 3000, &room));
    pool_give(&pool, block, POOL_BLOCK);
    pool_give(&pool, other, other_room);
    assert_int_equal(pool.used, 0);
    void *again = pool_take(&pool, 2500, &room);
    assert_true(again == block || again == other);
    pool_give(&pool, again, room);
    pool_free(&pool);
}

/* ---- lists ---- */

static void lists_grow(void **state) {
    uint32_t *list = NULL, count = 0, room = 0;
    (void)state;
    for (; count < 1000; count++) {
        list = list_with_room(list, count, &room, sizeof *list);
        assert_non_null(list);
        assert_true(room > count && room <= 2 * count + 16);
        list[count] = count;
    }
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(list[i], i);
    free(list);
}

static void lists_reach_up_to(void **state) {
    uint32_t *list = NULL;
    size_t count = 0;
    (void)state;
    assert_null(list_up_to(NULL, &count, 0, sizeof *list));
    list = list_up_to(list, &count, 3, sizeof *list);
    list[1] = 7;
    assert_ptr_equal(list_up_to(list, &count, 2, sizeof *list), list);
    assert_int_equal(count, 3);
    list = list_up_to(list, &count, 500, sizeof *list);
    assert_int_equal(count, 500);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i], i == 1 ? 7 : 0);
    free(list);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_under_churn),
        cmocka_unit_test(table_wraps_round),
        cmocka_unit_test(table_does_not_grow_under_churn),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(views_of_views),
        cmocka_unit_test(arena_gives_memory),
        cmocka_unit_test(arena_keeps_its_maximum),
        cmocka_unit_test(buf_keeps_its_maximum),
        cmocka_unit_test(buf_without_room),
        cmocka_unit_test(buf_grows),
        cmocka_unit_test(wire_text_is_harmless),
        cmocka_unit_test(err_is_false_and_says_why),
        cmocka_unit_test(siphash_vectors),
        cmocka_unit_test(siphash_is_keyed),
        cmocka_unit_test(pool_has_one_limit),
        cmocka_unit_test(pool_keeps_spare_blocks),
        cmocka_unit_test(lists_grow),
        cmocka_unit_test(lists_reach_up_to),
    };
    return RUN_GROUP(argc, argv, tests);
}
