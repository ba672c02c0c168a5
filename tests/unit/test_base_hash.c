/* SipHash-1-3 against values computed by others (CPython 3.11 with a zero
   key; the reference's key 00..0f), and the random numbers' ranges. */
#include "nearside/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nearside/base/check.h"

struct vector {
    size_t len; /* of the bytes 00 01 02 ... */
    uint64_t zero_key;
    uint64_t count_key; /* bytes 00 .. 0f */
};

static const struct vector vectors[] = {
    {1, 0x68a914128e01e473, 0xc9f49bf37d57ca93},
    {8, 0xead411e67ebe2eea, 0x369095118d299a8e},
    {15, 0xf30eb725bb91c9ea, 0xd320d86d2a519956},
    {22, 0xf8aeb1066236ccfe, 0x7ffe7b9ba320872e},
    {36, 0xac77921fcc642bd3, 0x2cf508d3ada26206},
    {43, 0xf689479b32b84a44, 0x24f280d1c28949a6},
    {64, 0x75e05fd5bbc870c6, 0xf17997ec4b4a6065},
};

static void
hash_keyed_gives_the_published_values(void **state)
{
    const struct hash_key zero = {0, 0};
    const struct hash_key count = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    char bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i;
    }
    assert_true(hash_keyed(&count, slice_of(NULL, 0)) == 0xabac0158050fc4dc);
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct slice s = slice_of(bytes, vectors[i].len);
        assert_true(hash_keyed(&zero, s) == vectors[i].zero_key);
        assert_true(hash_keyed(&count, s) == vectors[i].count_key);
    }
}

static void
hash_keyed_does_not_need_alignment(void **state)
{
    struct hash_key key = {1, 2};
    char bytes[48];
    uint64_t want;

    (void)state;
    memcpy(bytes, "products/42 products/43", 24);
    want = hash_keyed(&key, slice_of(bytes, 23));
    for (size_t off = 1; off < 8; off++) {
        memcpy(bytes + off, "products/42 products/43", 24);
        assert_true(hash_keyed(&key, slice_of(bytes + off, 23)) == want);
    }
}

static void
random_keys_differ(void **state)
{
    struct hash_key a = {0, 0};
    struct hash_key b = {0, 0};

    (void)state;
    hash_key_random(&a);
    hash_key_random(&b);
    assert_true(a.k0 != b.k0 && a.k1 != b.k1 && a.k0 != a.k1);
}

static void
random_next_is_splitmix64(void **state)
{
    struct random r = {1234567};

    (void)state;
    /* The first outputs for this seed in the published examples. */
    assert_true(random_next(&r) == UINT64_C(6457827717110365317));
    assert_true(random_next(&r) == UINT64_C(3203168211198807973));
    assert_true(random_next(&r) == UINT64_C(9817491932198370423));
}

static void
random_below_stays_below_and_reaches_all(void **state)
{
    unsigned seen[7] = {0};
    struct random r;

    (void)state;
    random_seed(&r);
    for (int i = 0; i < 7000; i++) {
        uint64_t x = random_below(&r, 7);
        assert_true(x < 7);
        seen[x]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        assert_in_range(seen[i], 800, 1200); /* 6.8 standard deviations */
    }
    assert_true(random_below(&r, 0) == 0);
    assert_true(random_below(&r, 1) == 0);
}

static void
random_below_is_even_for_a_bound_above_half(void **state)
{
    /* Plain modulo would give the lower third twice as often. */
    const uint64_t below = UINT64_C(3) << 62;
    struct random r = {99};
    int low = 0;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        low += random_below(&r, below) < below / 3;
    }
    assert_in_range(low, 850, 1150);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_keyed_gives_the_published_values),
        cmocka_unit_test(hash_keyed_does_not_need_alignment),
        cmocka_unit_test(random_keys_differ),
        cmocka_unit_test(random_next_is_splitmix64),
        cmocka_unit_test(random_below_stays_below_and_reaches_all),
        cmocka_unit_test(random_below_is_even_for_a_bound_above_half),
    };

    return cmocka_run_group_tests_name("base.hash", tests, NULL, NULL);
}
