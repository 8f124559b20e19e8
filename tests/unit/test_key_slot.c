/* test_key_slot.c - the slots of keys: known ones, hash tags, any bytes against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/key_slot.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"

static unsigned slot(const char *key) {
    return key_slot(guarded(bytes_str(key)));
}

static void slots_of_known_keys(void **state) {
    (void)state;
    assert_int_equal(slot("123456789"), 0x31c3 % KEY_SLOTS);
    assert_int_equal(slot("{mig}1"), 13513);
    assert_int_equal(slot("k0"), 8579);
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot(""), 0);
    assert_int_equal(key_slot(bytes_of(NULL, 0)), 0);
}

static void slots_of_tagged_keys(void **state) {
    (void)state;
    assert_int_equal(slot("{a}{b}"), slot("a"));
    assert_int_equal(slot("x{a}y"), slot("a"));
    assert_int_equal(slot("x}{a}y"), slot("a"));
    assert_int_equal(slot("{{a}}"), slot("{a"));
    assert_int_not_equal(slot("{}a"), slot(""));
    assert_int_not_equal(slot("{}{a}"), slot("a"));
    assert_int_not_equal(slot("a{"), slot("a"));
    assert_int_not_equal(slot("{a"), slot("a"));
}

/* Bit by bit, as the definition goes. */
static unsigned naive_slot(struct bytes key) {
    unsigned crc = 0;
    for (size_t i = 0; i < key.len; i++) {
        crc ^= (unsigned)key.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & 0x8000 ? 0x11021 : 0);
    }
    return crc % KEY_SLOTS;
}

static void slots_of_any_bytes(void **state) {
    (void)state;
    struct dice dice = dice_of(dice_seed());
    for (size_t len = 0; len < 80; len++) {
        uint8_t key[80];
        for (size_t i = 0; i < len; i++) {
            key[i] = (uint8_t)dice_throw(&dice);
            key[i] = key[i] == '{' ? 0 : key[i];
        }
        struct bytes view = bytes_of(key, len);
        assert_int_equal(key_slot(guarded(view)), naive_slot(view));
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_known_keys),
        cmocka_unit_test(slots_of_tagged_keys),
        cmocka_unit_test(slots_of_any_bytes),
    };
    return RUN_GROUP(argc, argv, tests);
}
