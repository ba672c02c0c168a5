/*
 * Values of the four kinds: what is encoded is decoded to what was meant, by
 * the same checks that a value from Redis goes through.
 */
#include "nearside/body/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nearside/body/fill.h"

#define NOW_MS INT64_C(1700000000000)
#define URI    SLICE("http://h/a")

static const struct key key = {.full = {"http://h/a", 10}, .hash = 1};

static const struct policy_verdict verdict = {
    .is_storable = true,
    .flags = ENTRY_SHAREABLE | ENTRY_IMMUTABLE,
    .while_ms = 1000,
    .if_error_ms = 2000,
    .received_ms = NOW_MS,
    .created_ms = NOW_MS - 7000,
    .fresh_until_ms = NOW_MS + 3000,
    .stale_until_ms = NOW_MS + 9000,
};

static void
assert_slice(struct slice s, struct slice want)
{
    if (!slice_eq(s, want)) {
        fail_msg("[%.*s] is not [%.*s]", SLICE_FMT(s), SLICE_FMT(want));
    }
}

/* As if it came from Redis; the value is taken over. */
static struct entry *
decoded(struct value *own_value)
{
    struct entry *entry;

    assert_int_equal(
        codec_decode(own_value->bytes, own_value->len, URI, &entry), RC_OK);
    *own_value = (struct value){0};
    return entry;
}

static void
assert_verdict(const struct entry *entry)
{
    assert_int_equal(entry->flags, ENTRY_SHAREABLE | ENTRY_IMMUTABLE);
    assert_int_equal(entry_while_ms(entry), 1000);
    assert_int_equal(entry_if_error_ms(entry), 2000);
    assert_int_equal(entry_created_ms(entry), NOW_MS - 7000);
    assert_int_equal(entry_fresh_until_ms(entry), NOW_MS + 3000);
    assert_int_equal(entry_stale_until_ms(entry), NOW_MS + 9000);
    assert_int_equal(entry_received_ms(entry), NOW_MS);
    assert_int_equal(entry_cost_ms(entry), 48);
    assert_slice(entry_key(entry), URI);
}

/* Complete, with so many bytes; in more than one chunk when they are many. */
static struct fill *
given_fill(struct loop *loop, size_t len, const char *bytes)
{
    const struct response_head head = {.status = 404,
        .private_fields = SLICE("surrogate-control: max-age=1\r\n"),
        .fields = SLICE("date: x\r\na: b\r\n")};
    const struct fill_opts opts = {
        .window = len + 1, .held_max = 2 * len + 1, .is_kept = true};
    struct fill *fill = fill_new(loop, &head, &opts);

    assert_non_null(fill);
    for (size_t i = 0; i < len; i += 1000) {
        size_t n = len - i < 1000 ? len - i : 1000;
        assert_int_equal(fill_append(fill, slice_of(bytes + i, n)), n);
    }
    fill_finish(fill, FILL_COMPLETE);
    return fill;
}

static void
a_fill_is_encoded_with_its_lines_and_all_of_its_body(void **state)
{
    static const size_t lens[] = {0, 1, 999, 100001};
    const struct encoding encoding = {
        .verdict = &verdict, .status = 404, .cost_ms = 33, .key = &key};
    struct loop *loop = loop_new();
    char *bytes = malloc(200000);

    (void)state;
    for (size_t i = 0; i < 200000; i++) {
        bytes[i] = (char)(i * 7919 >> 5);
    }
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct fill *fill = given_fill(loop, lens[i], bytes);
        struct value value = {0};
        struct entry *entry;

        assert_int_equal(encode_fill(&encoding, fill, &value), RC_OK);
        entry = decoded(&value);
        assert_int_equal(entry->status, 404);
        assert_verdict(entry);
        assert_slice(
            entry_private(entry), SLICE("surrogate-control: max-age=1\r\n"));
        assert_slice(entry_fields(entry), SLICE("date: x\r\na: b\r\n"));
        assert_slice(entry_body(entry), slice_of(bytes, lens[i]));
        entry_unref(&entry);
        fill_unref(&fill);
    }
    free(bytes);
    loop_free(&loop);
}

static void
a_renewed_response_has_new_lines_and_the_stored_body(void **state)
{
    const struct codec_parts parts = {.status = 203,
        .flags = ENTRY_NEVER_STALE,
        .created_ms = 1,
        .fresh_until_ms = 2,
        .stale_until_ms = 3,
        .key = SLICE("http://h/another"),
        .private_fields = SLICE("old-us: 1\r\n"),
        .fields = SLICE("old: 1\r\n"),
        .body = SLICE("the body")};
    const struct renewal renewal = {
        .private_fields = SLICE("us: 2\r\n"), .fields = SLICE("new: 2\r\n")};
    const struct encoding encoding = {
        .verdict = &verdict, .status = 203, .cost_ms = 33, .key = &key};
    struct value value = {0};
    struct entry *stored;
    struct entry *entry;

    (void)state;
    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &stored), RC_OK);
    value_free(&value);
    assert_int_equal(
        encode_renewed(&encoding, &renewal, stored, &value), RC_OK);
    entry = decoded(&value);
    assert_int_equal(entry->status, 203);
    assert_verdict(entry);
    assert_slice(entry_private(entry), SLICE("us: 2\r\n"));
    assert_slice(entry_fields(entry), SLICE("new: 2\r\n"));
    assert_slice(entry_body(entry), SLICE("the body"));
    entry_unref(&entry);
    entry_unref(&stored);
}

/* It is kept in Redis for as long as it holds, and no longer. */
static void
a_hit_for_miss_entry_holds_for_some_seconds(void **state)
{
    struct value value = {0};
    struct entry *entry;
    int64_t px_ms = 0;

    (void)state;
    assert_int_equal(
        encode_hit_for_miss(&key, "no-store", NOW_MS, &value, &px_ms), RC_OK);
    entry = decoded(&value);
    assert_int_equal(entry->flags, ENTRY_HIT_FOR_MISS);
    assert_int_equal(entry->status, 0);
    assert_int_equal(entry_created_ms(entry), NOW_MS);
    assert_in_range(px_ms, 1000, 10000);
    assert_int_equal(entry_fresh_until_ms(entry), NOW_MS + px_ms);
    assert_int_equal(entry_stale_until_ms(entry), NOW_MS + px_ms);
    assert_true(slice_eq(entry_body(entry), SLICE("no-store")));
    entry_unref(&entry);
}

static void
a_record_has_names_and_a_generation_of_its_own(void **state)
{
    static const struct {
        uint64_t random;
        struct slice generation;
    } rows[] = {
        {0, {"0000000000000000", 16}},
        {UINT64_C(0x123456789abcdef0), {"0fedcba987654321", 16}},
        {UINT64_MAX, {"ffffffffffffffff", 16}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value value = {0};
        struct entry *entry;

        assert_int_equal(encode_record(&key, SLICE("accept, x-a"), NOW_MS,
                             rows[i].random, &value),
            RC_OK);
        entry = decoded(&value);
        assert_int_equal(entry->flags, ENTRY_VARY_RECORD);
        assert_int_equal(entry->status, 0);
        assert_slice(entry_vary_names(entry), SLICE("accept, x-a"));
        assert_slice(entry_generation(entry), rows[i].generation);
        /* Redis decides how long it lives, by its variants. */
        assert_true(
            entry_fresh_until_ms(entry) > NOW_MS + INT64_C(30000000000));
        assert_int_equal(
            entry_stale_until_ms(entry), entry_fresh_until_ms(entry));
        entry_unref(&entry);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fill_is_encoded_with_its_lines_and_all_of_its_body),
        cmocka_unit_test(a_renewed_response_has_new_lines_and_the_stored_body),
        cmocka_unit_test(a_hit_for_miss_entry_holds_for_some_seconds),
        cmocka_unit_test(a_record_has_names_and_a_generation_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
