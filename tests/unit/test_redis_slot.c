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

/* The checksum by its definition, a bit at a time. */
static unsigned
crc16_of_bits(const char *at, size_t len)
{
    unsigned crc = 0;

    for (size_t i = 0; i < len * 8; i++) {
        unsigned bit = (unsigned char)at[i / 8] >> (7 - i % 8) & 1;

        crc = (crc << 1) ^ ((crc >> 15 & 1) != bit ? 0x1021 : 0);
    }
    return crc & 0xffff;
}

static void
keys_of_every_length_have_the_checksum_by_its_definition(void **state)
{
    char key[64];
    unsigned seed = 1;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = i % sizeof(key);

        for (size_t j = 0; j < len; j++) {
            seed = seed * 1103515245u + 12345u;
            key[j] = (char)(seed >> 16);
            key[j] = key[j] == '{' ? '}' : key[j]; /* no tag */
        }
        assert_int_equal(
            slot_of(slice_of(key, len)), crc16_of_bits(key, len) & 0x3fff);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slot_is_the_specifications_crc16),
        cmocka_unit_test(only_the_first_tag_that_is_not_empty_is_hashed),
        cmocka_unit_test(bytes_above_127_and_nul_are_bytes_like_any_other),
        cmocka_unit_test(
            keys_of_every_length_have_the_checksum_by_its_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
