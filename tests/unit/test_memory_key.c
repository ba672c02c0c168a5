/* Keys: byte exact, printable in Redis, one slot, never too long. */
#include "nearside/memory/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"

enum {
    TAG_MAX = 200,
};

static struct arena arena;

static int
arena_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int
arena_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct slice
redis_key(enum key_kind kind, struct slice full, struct slice variant)
{
    struct slice out = {NULL, 0};

    assert_int_equal(
        key_redis(&arena, SLICE("ns:"), kind, full, variant, &out), RC_OK);
    return out;
}

static void
assert_slice(struct slice got, const char *want)
{
    if (!slice_eq(got, slice_of_str(want))) {
        fail_msg("got %.*s, want %s", SLICE_FMT(got), want);
    }
}

/* What Redis hashes: from the first '{' to the first '}' behind it. */
static struct slice
hash_tag(struct slice key)
{
    ptrdiff_t open = slice_find(key, '{');
    struct slice rest;
    ptrdiff_t close;

    assert_true(open >= 0);
    rest = slice_skip(key, (size_t)open + 1);
    close = slice_find(rest, '}');
    assert_true(close > 0);
    return slice_of(rest.ptr, (size_t)close);
}

static struct slice
full_of(const char *target, size_t len)
{
    struct slice out = {NULL, 0};

    assert_int_equal(key_full(&arena, SLICE("http"), SLICE("h"),
                         slice_of(target, len), &out),
        RC_OK);
    return out;
}

static void
the_full_key_is_scheme_host_and_target(void **state)
{
    struct slice out;

    (void)state;
    assert_int_equal(
        key_full(&arena, SLICE("https"), SLICE("shop.example:8443"),
            SLICE("/Products/42?b=2&a=1"), &out),
        RC_OK);
    assert_slice(out, "https://shop.example:8443/Products/42?b=2&a=1");
    assert_int_equal(
        key_full(&arena, SLICE("http"), SLICE(""), SLICE(""), &out), RC_OK);
    assert_slice(out, "http://");
}

static void
redis_keys_are_readable(void **state)
{
    struct slice full = SLICE("http://shop.example/products/42?a=%20b");

    (void)state;
    assert_slice(redis_key(KEY_ENTRY, full, SLICE("")),
        "ns:e:{http://shop.example/products/42?a=%20b}");
    assert_slice(redis_key(KEY_LEASE, full, SLICE("")),
        "ns:l:{http://shop.example/products/42?a=%20b}");
    assert_slice(redis_key(KEY_ENTRY, full, SLICE("00ff")),
        "ns:e:{http://shop.example/products/42?a=%20b}:00ff");
    assert_slice(redis_key(KEY_LEASE, full, SLICE("00ff")),
        "ns:l:{http://shop.example/products/42?a=%20b}:00ff");
}

static void
the_prefix_may_be_empty(void **state)
{
    struct slice out;

    (void)state;
    assert_int_equal(key_redis(&arena, SLICE(""), KEY_ENTRY, SLICE("http://h/"),
                         SLICE(""), &out),
        RC_OK);
    assert_slice(out, "e:{http://h/}");
}

static void
every_byte_that_is_not_plain_is_encoded(void **state)
{
    (void)state;
    /* Wherever it stands: bytes are looked at eight at a time. */
    for (int i = 0; i < 256 * 12; i++) {
        int c = i % 256, at = 1 + i / 256;
        bool is_plain = c >= 0x21 && c <= 0x7e && c != '{' && c != '}';
        char target[] = "/bbbbbbbbbbbbbbbb";
        char want[64];
        int len =
            snprintf(want, sizeof(want), "ns:e:{http://h%.*s", at, target);

        len += snprintf(want + len, sizeof(want) - (size_t)len,
            is_plain ? "%c" : "%%%02X", c);
        snprintf(
            want + len, sizeof(want) - (size_t)len, "%s}", target + at + 1);
        target[at] = (char)c;
        assert_slice(
            redis_key(KEY_ENTRY, full_of(target, 17), SLICE("")), want);
    }
}

static void
braces_cannot_move_a_key_to_another_slot(void **state)
{
    static const char *const targets[] = {
        "/{user1}", "/}{user1}", "/a}b{c", "/{}", "/}", "/{"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct slice full = full_of(targets[i], strlen(targets[i]));
        struct slice entry = redis_key(KEY_ENTRY, full, SLICE("aa"));
        struct slice lease = redis_key(KEY_LEASE, full, SLICE("bb"));

        assert_true(slice_starts(hash_tag(entry), SLICE("http://h/")));
        assert_true(slice_eq(hash_tag(entry), hash_tag(lease)));
        assert_int_equal(
            hash_tag(entry).len + sizeof("ns:e:{}:aa") - 1, entry.len);
    }
}

static void
the_tag_is_never_empty(void **state)
{
    static const char odd[] = "\0\x01{}\x80\xff ";
    struct slice full;

    (void)state;
    assert_true(hash_tag(redis_key(KEY_ENTRY, SLICE(""), SLICE(""))).len > 0);
    assert_int_equal(
        key_full(&arena, SLICE("http"), slice_of(odd, 7), SLICE(""), &full),
        RC_OK);
    assert_slice(hash_tag(redis_key(KEY_ENTRY, full, SLICE(""))),
        "http://%00%01%7B%7D%80%FF%20");
    assert_slice(hash_tag(redis_key(KEY_ENTRY, slice_of(odd, 7), SLICE(""))),
        "%00%01%7B%7D%80%FF%20");
}

/* Fills target so that the tag has len bytes: "http://h/aaa...". */
static struct slice
full_of_len(char *target, size_t len)
{
    target[0] = '/';
    memset(target + 1, 'a', len);
    return full_of(target, len - strlen("http://h"));
}

static void
a_tag_of_200_bytes_stays_and_one_of_201_is_digested(void **state)
{
    char target[512];
    struct slice full = full_of_len(target, TAG_MAX);
    struct slice tag;

    (void)state;
    assert_true(
        slice_eq(hash_tag(redis_key(KEY_ENTRY, full, SLICE(""))), full));
    full = full_of_len(target, TAG_MAX + 1);
    tag = hash_tag(redis_key(KEY_ENTRY, full, SLICE("")));
    assert_int_equal(tag.len, TAG_MAX);
    /* SHA-256 of the 66 letters a that the 135 bytes of head leave out,
       as sha256sum gives it. */
    assert_true(slice_starts(full, slice_of(tag.ptr, 135)));
    assert_slice(slice_skip(tag, 135),
        "~"
        "ac137fce49837c7c2945f6160d3c0e679e6f40070850420a22bc10e0692cbdc7");
}

static void
no_tag_is_longer_than_200_bytes(void **state)
{
    char target[2048];

    (void)state;
    for (size_t odd_from = 0; odd_from < 260; odd_from++) {
        struct slice tag;

        memset(target, 'a', sizeof(target));
        memset(target + odd_from, 0x80, sizeof(target) - odd_from);
        for (size_t len = odd_from; len < odd_from + 70; len += 3) {
            tag =
                hash_tag(redis_key(KEY_ENTRY, full_of(target, len), SLICE("")));
            assert_in_range(tag.len, 1, TAG_MAX);
        }
        arena_reset(&arena);
    }
}

static void
long_keys_that_differ_in_one_byte_differ_in_redis(void **state)
{
    char target[400];
    struct slice want;
    struct slice got;

    (void)state;
    memset(target, 'a', sizeof(target));
    want = redis_key(KEY_ENTRY, full_of(target, sizeof(target)), SLICE(""));
    for (size_t i = 0; i < sizeof(target); i++) {
        target[i] = 'b';
        got = redis_key(KEY_ENTRY, full_of(target, sizeof(target)), SLICE(""));
        assert_false(slice_eq(got, want));
        target[i] = 'a';
    }
    got = redis_key(KEY_ENTRY, full_of(target, sizeof(target) - 1), SLICE(""));
    assert_false(slice_eq(got, want));
}

static void
a_short_key_cannot_take_the_name_of_a_long_one(void **state)
{
    char target[512];
    struct slice tag_long =
        hash_tag(redis_key(KEY_ENTRY, full_of_len(target, 300), SLICE("")));
    struct slice tag_short;

    (void)state;
    /* A URI that is spelled like the long one's name. */
    tag_short = hash_tag(redis_key(KEY_ENTRY, tag_long, SLICE("")));
    assert_int_equal(tag_short.len, TAG_MAX);
    assert_false(slice_eq(tag_short, tag_long));
}

static void
an_arena_that_is_full_is_no_memory(void **state)
{
    struct arena small;
    struct slice out = {NULL, 0};

    (void)state;
    arena_init(&small, 8);
    assert_int_equal(
        key_full(&small, SLICE("http"), SLICE("h"), SLICE("/abcdefgh"), &out),
        RC_NOMEM);
    assert_int_equal(key_redis(&small, SLICE("ns:"), KEY_ENTRY,
                         SLICE("http://h/"), SLICE(""), &out),
        RC_NOMEM);
    assert_null(out.ptr);
    arena_fini(&small);
}

#define KEY_TEST(f) cmocka_unit_test_setup_teardown(f, arena_up, arena_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KEY_TEST(the_full_key_is_scheme_host_and_target),
        KEY_TEST(redis_keys_are_readable),
        KEY_TEST(the_prefix_may_be_empty),
        KEY_TEST(every_byte_that_is_not_plain_is_encoded),
        KEY_TEST(braces_cannot_move_a_key_to_another_slot),
        KEY_TEST(the_tag_is_never_empty),
        KEY_TEST(a_tag_of_200_bytes_stays_and_one_of_201_is_digested),
        KEY_TEST(no_tag_is_longer_than_200_bytes),
        KEY_TEST(long_keys_that_differ_in_one_byte_differ_in_redis),
        KEY_TEST(a_short_key_cannot_take_the_name_of_a_long_one),
        KEY_TEST(an_arena_that_is_full_is_no_memory),
    };

    return cmocka_run_group_tests_name("memory.key", tests, NULL, NULL);
}
