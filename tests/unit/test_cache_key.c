/* Keys: byte exact, printable in Redis, one slot, never too long. */
#include "nearside/cache/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"

enum {
    TAG_MAX = 200,
};

#define VARIANT "00112233445566778899aabbccddeeff"
#define OTHER   "ffeeddccbbaa99887766554433221100"

static const struct hash_key hash_key = {17, 4};
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

static struct key
key_of(const char *scheme, const char *host, struct slice target)
{
    const struct key_uri uri = {
        slice_of_str(scheme), slice_of_str(host), target};
    struct key key;

    assert_int_equal(key_make(&arena, &hash_key, &uri, &key), RC_OK);
    return key;
}

static struct key
varied(const struct key *key, struct slice digest)
{
    struct key out;

    assert_int_equal(key_vary(&arena, &hash_key, key, digest, &out), RC_OK);
    return out;
}

static struct slice
redis_key(struct slice full, struct slice variant)
{
    struct key key = {.full = full};
    struct slice out = {NULL, 0};

    if (variant.len > 0) {
        key = varied(&key, variant);
    }
    assert_int_equal(key_redis(&arena, SLICE("ns:"), &key, &out), RC_OK);
    return out;
}

static struct slice
lease_key(struct slice full, struct slice variant)
{
    struct slice entry = redis_key(full, variant);
    char *text = arena_alloc(&arena, entry.len);

    assert_non_null(text);
    key_lease_of(entry, SLICE("ns:"), text);
    return slice_of(text, entry.len);
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
    return key_of("http", "h", slice_of(target, len)).full;
}

static void
the_full_key_is_scheme_host_and_target(void **state)
{
    (void)state;
    assert_slice(
        key_of("https", "shop.example:8443", SLICE("/Products/42?b=2&a=1"))
            .full,
        "https://shop.example:8443/Products/42?b=2&a=1");
    assert_slice(key_of("http", "", SLICE("")).full, "http://");
}

static void
a_variants_key_ends_in_its_digest(void **state)
{
    struct key base = key_of("http", "h", SLICE("/a"));
    struct key one = varied(&base, SLICE(VARIANT));
    struct key other = varied(&one, SLICE(OTHER));

    (void)state;
    assert_int_equal(base.variant.len, 0);
    assert_slice(one.full, "http://h/a " VARIANT);
    assert_slice(one.variant, VARIANT);
    assert_ptr_equal(one.variant.ptr + DIGEST_LEN, one.full.ptr + one.full.len);
    /* A variant of a variant is one of the URI. */
    assert_slice(other.full, "http://h/a " OTHER);
    assert_slice(base.full, "http://h/a");
}

static void
a_plain_key_has_the_hash_of_all_of_it(void **state)
{
    static const struct hash_key another = {17, 5};
    struct key base = key_of("http", "h", SLICE("/a"));
    struct key one = varied(&base, SLICE(VARIANT));
    struct key moved;

    (void)state;
    assert_true(base.hash == hash_keyed(&hash_key, SLICE("http://h/a")));
    assert_true(
        one.hash == hash_keyed(&hash_key, SLICE("http://h/a " VARIANT)));
    assert_int_equal(
        key_vary(&arena, &another, &base, SLICE(VARIANT), &moved), RC_OK);
    assert_true(moved.hash != one.hash);
}

/* The key's name in Redis leads to the key's hash, and its full form to its
   name. */
static void
assert_named(const struct key *key, struct slice prefix)
{
    struct slice name, again;
    uint64_t hash;

    assert_int_equal(key_redis(&arena, prefix, key, &name), RC_OK);
    assert_int_equal(
        key_redis_of_full(&arena, prefix, key->full, &again), RC_OK);
    assert_true(slice_eq(again, name));
    if (!key_hash_of_name(&hash_key, prefix, name, &hash)) {
        fail_msg("no name: %.*s", SLICE_FMT(name));
    }
    if (hash != key->hash) {
        fail_msg("another hash: %.*s", SLICE_FMT(name));
    }
}

enum {
    TARGET_MAX = 300,
    TARGETS = 20000,
};

/* Nearly all plain, or with more of the bytes that are not; at times spelled
   like the tag of a long one. */
static struct slice
random_target(struct random *r, char *out)
{
    static const char odd[] = " {}%|~\x7f\x80\xff\0\x1f";
    static const char digested[] =
        "~ac137fce49837c7c2945f6160d3c0e679e6f40070850420a22bc10e0692cbdc7";
    size_t len = 1 + (size_t)random_below(r, TARGET_MAX - sizeof(digested));
    uint64_t one_odd_in = UINT64_C(1) << random_below(r, 10);

    out[0] = '/';
    for (size_t i = 1; i < len; i++) {
        out[i] = random_below(r, one_odd_in) == 0
                     ? odd[random_below(r, sizeof(odd) - 1)]
                     : (char)('a' + (int)random_below(r, 26));
    }
    if (random_below(r, 8) == 0) {
        memcpy(out + len, digested, sizeof(digested) - 1);
        len += sizeof(digested) - 1;
    }
    return slice_of(out, len);
}

static void
a_name_in_redis_gives_the_hash_of_its_key(void **state)
{
    struct random r = {.state = 11};
    char target[TARGET_MAX];

    (void)state;
    for (int i = 0; i < TARGETS; i++) {
        struct key base = key_of("http", "h", random_target(&r, target));
        struct key one = varied(&base, SLICE(VARIANT));
        struct key other = varied(&one, SLICE(OTHER));

        assert_named(&base, SLICE("ns:"));
        assert_named(&one, SLICE("ns:"));
        assert_named(&other, SLICE(""));
        assert_true(base.hash != one.hash);
        assert_true(one.hash != other.hash);
        arena_reset(&arena);
    }
}

static void
what_is_no_entrys_name_has_no_hash(void **state)
{
    static const char *const names[] = {"", "ns:", "ns:e:", "ns:e:{", "ns:e:{}",
        "ns:e:{a", "ns:e:a}", "ns:l:{a}", "ns:w:{a}", "n:e:{a}", "e:{a}",
        "ns:e:{a}:", "ns:e:{a}b", "ns:e:{a}:names:0123456789abcdef",
        "ns:e:{a}:names:0123456789abcdef0123456789", "ns:e:{a} " VARIANT,
        "ns:e:{a}:" VARIANT "0", "ns:e:{a}:00112233445566778899aabbccddeefg",
        "ns:e:{a}:00112233445566778899AABBCCDDEEFF", "ns:e:{a b}", "ns:e:{a{b}",
        "ns:e:{sixteen bytes and more}"};
    char name[TAG_MAX + 8];
    uint64_t hash = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (key_hash_of_name(
                &hash_key, SLICE("ns:"), slice_of_str(names[i]), &hash)) {
            fail_msg("a name: %s", names[i]);
        }
    }
    memset(name, 'a', sizeof(name));
    memcpy(name, "ns:e:{", 6);
    name[sizeof(name) - 1] = '}'; /* a tag of 201 bytes */
    assert_false(key_hash_of_name(
        &hash_key, SLICE("ns:"), slice_of(name, sizeof(name)), &hash));
    name[sizeof(name) - 2] = '}';
    assert_int_equal(hash, 7);
    assert_true(key_hash_of_name(
        &hash_key, SLICE("ns:"), slice_of(name, sizeof(name) - 1), &hash));
}

static void
the_names_of_variants_lie_beside_their_record(void **state)
{
    struct slice record = redis_key(SLICE("http://h/a"), SLICE(""));
    struct slice names;

    (void)state;
    assert_int_equal(
        key_names(&arena, record, SLICE("0123456789abcdef"), &names), RC_OK);
    assert_slice(names, "ns:e:{http://h/a}:names:0123456789abcdef");
    assert_true(slice_eq(hash_tag(names), hash_tag(record)));
}

static void
a_leases_key_is_found_from_the_entrys(void **state)
{
    (void)state;
    assert_slice(lease_key(SLICE("http://h/e:{"), SLICE(VARIANT)),
        "ns:l:{http://h/e:%7B}:" VARIANT);
}

static void
redis_keys_are_readable(void **state)
{
    struct slice full = SLICE("http://shop.example/products/42?a=%20b");

    (void)state;
    assert_slice(redis_key(full, SLICE("")),
        "ns:e:{http://shop.example/products/42?a=%20b}");
    assert_slice(lease_key(full, SLICE("")),
        "ns:l:{http://shop.example/products/42?a=%20b}");
    assert_slice(redis_key(full, SLICE(VARIANT)),
        "ns:e:{http://shop.example/products/42?a=%20b}:" VARIANT);
    assert_slice(lease_key(full, SLICE(VARIANT)),
        "ns:l:{http://shop.example/products/42?a=%20b}:" VARIANT);
}

static void
the_prefix_may_be_empty(void **state)
{
    const struct key key = key_of("http", "h", SLICE("/"));
    struct slice out;

    (void)state;
    assert_int_equal(key_redis(&arena, SLICE(""), &key, &out), RC_OK);
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
        assert_slice(redis_key(full_of(target, 17), SLICE("")), want);
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
        struct slice entry = redis_key(full, SLICE(VARIANT));
        struct slice lease = lease_key(full, SLICE(OTHER));

        assert_true(slice_starts(hash_tag(entry), SLICE("http://h/")));
        assert_true(slice_eq(hash_tag(entry), hash_tag(lease)));
        assert_int_equal(
            hash_tag(entry).len + sizeof("ns:e:{}:" VARIANT) - 1, entry.len);
    }
}

static void
the_tag_is_never_empty(void **state)
{
    static const char odd[] = "\0\x01{}\x80\xff ";
    struct slice full;

    (void)state;
    assert_true(hash_tag(redis_key(SLICE(""), SLICE(""))).len > 0);
    full = key_of("http", "", slice_of(odd, 7)).full;
    assert_slice(
        hash_tag(redis_key(full, SLICE(""))), "http://%00%01%7B%7D%80%FF%20");
    assert_slice(hash_tag(redis_key(slice_of(odd, 7), SLICE(""))),
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
    assert_true(slice_eq(hash_tag(redis_key(full, SLICE(""))), full));
    full = full_of_len(target, TAG_MAX + 1);
    tag = hash_tag(redis_key(full, SLICE("")));
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
            tag = hash_tag(redis_key(full_of(target, len), SLICE("")));
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
    want = redis_key(full_of(target, sizeof(target)), SLICE(""));
    for (size_t i = 0; i < sizeof(target); i++) {
        target[i] = 'b';
        got = redis_key(full_of(target, sizeof(target)), SLICE(""));
        assert_false(slice_eq(got, want));
        target[i] = 'a';
    }
    got = redis_key(full_of(target, sizeof(target) - 1), SLICE(""));
    assert_false(slice_eq(got, want));
}

static void
a_short_key_cannot_take_the_name_of_a_long_one(void **state)
{
    char target[512];
    struct slice tag_long =
        hash_tag(redis_key(full_of_len(target, 300), SLICE("")));
    struct slice tag_short;

    (void)state;
    /* A URI that is spelled like the long one's name. */
    tag_short = hash_tag(redis_key(tag_long, SLICE("")));
    assert_int_equal(tag_short.len, TAG_MAX);
    assert_false(slice_eq(tag_short, tag_long));
}

static void
an_arena_that_is_full_is_no_memory(void **state)
{
    const struct key_uri uri = {SLICE("http"), SLICE("h"), SLICE("/abcdefgh")};
    struct key key = key_of("http", "h", SLICE("/"));
    struct key out = {.hash = 0};
    struct slice text = {NULL, 0};
    struct arena small;

    (void)state;
    arena_init(&small, 8);
    assert_int_equal(key_make(&small, &hash_key, &uri, &out), RC_NOMEM);
    assert_int_equal(
        key_vary(&small, &hash_key, &key, SLICE(VARIANT), &out), RC_NOMEM);
    assert_null(out.full.ptr);
    assert_int_equal(key_redis(&small, SLICE("ns:"), &key, &text), RC_NOMEM);
    assert_int_equal(
        key_names(&small, SLICE("ns:e:{h}"), SLICE("0"), &text), RC_NOMEM);
    assert_null(text.ptr);
    arena_fini(&small);
}

#define KEY_TEST(f) cmocka_unit_test_setup_teardown(f, arena_up, arena_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KEY_TEST(the_full_key_is_scheme_host_and_target),
        KEY_TEST(a_variants_key_ends_in_its_digest),
        KEY_TEST(a_plain_key_has_the_hash_of_all_of_it),
        KEY_TEST(a_name_in_redis_gives_the_hash_of_its_key),
        KEY_TEST(what_is_no_entrys_name_has_no_hash),
        KEY_TEST(the_names_of_variants_lie_beside_their_record),
        KEY_TEST(a_leases_key_is_found_from_the_entrys),
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

    return cmocka_run_group_tests_name("cache.key", tests, NULL, NULL);
}
