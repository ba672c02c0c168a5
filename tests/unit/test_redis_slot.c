/* Hash slots: the specification's own examples, and its rules for tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "nearside/redis/slot.h"

static const struct {
    const char *key;
    uint16_t slot;
} vectors[] = {
    {"123456789", 0x31c3 & 0x3fff}, /* "CRC16 ... output for 123456789" */
    {"", 0},
    {"foo", 12182},
    {"bar", 5061},
    {"somekey", 11058},
    {"foo{hash_tag}", 2515},
    {"bar{hash_tag}", 2515},
    {"hash_tag", 2515},
};

static const struct {
    const char *key;
    const char *hashed;
} tags[] = {
    {"{user1000}.following", "user1000"},
    {"{user1000}.followers", "user1000"},
    {"foo{}{bar}", "foo{}{bar}"}, /* an empty tag is none */
    {"foo{{bar}}zap", "{bar"},    /* to the first closing brace */
    {"foo{bar}{zap}", "bar"},     /* the first tag counts */
    {"foo}bar{baz", "foo}bar{baz"},
    {"{", "{"},
    {"{}", "{}"},
    {"a{b", "a{b"},
    {"a}b{c}d", "c"},
};

static void
slot_is_the_specifications_crc16(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        assert_int_equal(
            slot_of(slice_of_str(vectors[i].key)), vectors[i].slot);
    }
}

static void
only_the_first_tag_that_is_not_empty_is_hashed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        /* What is to be hashed, wrapped as a tag of its own or, where
           the whole key is, compared through a key of the same bytes. */
        if (strchr(tags[i].hashed, '}') == NULL) {
            char wrapped[64] = "{";

            strcat(wrapped, tags[i].hashed);
            strcat(wrapped, "}");
            assert_int_equal(slot_of(slice_of_str(tags[i].key)),
                slot_of(slice_of_str(wrapped)));
        }
    }
    /* Whole keys with braces, checked with CLUSTER KEYSLOT. */
    assert_int_equal(slot_of(SLICE("foo{}{bar}")), 8363);
    assert_int_equal(slot_of(SLICE("foo{bar}{zap}")), 5061);
    assert_int_equal(slot_of(SLICE("foo{{bar}}zap")), 4015);
}

static void
bytes_above_127_and_nul_are_bytes_like_any_other(void **state)
{
    (void)state;
    assert_int_equal(slot_of(slice_of("\xff\x00\x80", 3)),
        slot_of(slice_of("x{\xff\x00\x80}y", 7)));
    assert_int_not_equal(
        slot_of(slice_of("a\0b", 3)), slot_of(slice_of("a\0c", 3)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slot_is_the_specifications_crc16),
        cmocka_unit_test(only_the_first_tag_that_is_not_empty_is_hashed),
        cmocka_unit_test(bytes_above_127_and_nul_are_bytes_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
