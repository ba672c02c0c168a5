/* An entry's head says what its value's head said, in fewer bytes. */
#include "cache/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nearside/base/check.h"

enum {
    TIGHT = 32,
    MORE = 48,
    WIDE = 64,
};

static struct head
plain(void)
{
    return (struct head){.status = 200, .key_len = 1};
}

static void
assert_says(const struct head *h, size_t len)
{
    char *block = malloc(WIDE);
    struct entry *e;

    assert_non_null(block);
    memset(block, 0xff, WIDE);
    assert_int_equal(head_len_in_entry(h), len);
    e = head_make_entry(h, block + WIDE);
    assert_int_equal(entry_head_len(e), len);
    assert_int_equal(atomic_load(&e->refs), 1);
    assert_int_equal(e->status, h->status);
    assert_int_equal(e->flags, h->flags);
    assert_int_equal(entry_fetched(e), h->fetched);
    assert_true(entry_created_ms(e) == h->created_ms);
    assert_true(entry_fresh_until_ms(e) == h->fresh_until_ms);
    assert_true(entry_stale_until_ms(e) == h->stale_until_ms);
    assert_int_equal(entry_while_ms(e), h->while_ms);
    assert_int_equal(entry_if_error_ms(e), h->if_error_ms);
    assert_ptr_equal(entry_key(e).ptr, block + WIDE);
    assert_int_equal(entry_key(e).len, h->key_len);
    assert_int_equal(entry_private(e).len, h->private_len);
    assert_int_equal(entry_fields(e).len, h->fields_len);
    assert_int_equal(entry_body(e).len, h->body_len);
    free(block);
}

static void
what_fits_is_tight_and_one_more_is_wide(void **state)
{
    struct head h = plain();

    (void)state;
    assert_says(&h, TIGHT);
    h = (struct head){.status = 999,
        .flags = ENTRY_FLAGS_ALL & ~ENTRY_VARY_RECORD,
        .fetched = ENTRY_FETCHED_AGE | ENTRY_COST_MAX,
        .created_ms = (INT64_C(1) << ENTRY_CREATED_BITS) - 1,
        .key_len = (1 << ENTRY_KEY_BITS) - 1,
        .fields_len = (1 << ENTRY_FIELDS_BITS) - 1,
        .body_len = (1 << ENTRY_BODY_BITS) - 1};
    h.fresh_until_ms = h.created_ms + (INT64_C(1) << ENTRY_SPAN_BITS) - 1;
    h.stale_until_ms = h.fresh_until_ms + (INT64_C(1) << ENTRY_SPAN_BITS) - 1;
    assert_says(&h, TIGHT);
    h.key_len++;
    assert_says(&h, WIDE);
    h.key_len--;
    h.fields_len++;
    assert_says(&h, WIDE);
    h.fields_len--;
    h.body_len++;
    assert_says(&h, WIDE);
    h.body_len--;
    h.stale_until_ms++;
    assert_says(&h, WIDE);
    h.fresh_until_ms++;
    assert_says(&h, WIDE);
    h.fresh_until_ms = h.created_ms - 1;
    assert_says(&h, WIDE);
    h = plain();
    h.created_ms = h.fresh_until_ms = h.stale_until_ms = INT64_C(1)
                                                         << ENTRY_CREATED_BITS;
    assert_says(&h, WIDE);
    h.created_ms = -1;
    assert_says(&h, WIDE);
}

static void
what_few_have_comes_behind(void **state)
{
    struct head rows[6];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i] = plain();
    }
    rows[0].fetched = ENTRY_COST_MAX + 1;
    rows[1].fetched = entry_fetched_of(1000, 0);
    rows[2].private_len = UINT32_MAX;
    rows[3].while_ms = UINT32_MAX;
    rows[4].if_error_ms = 1;
    rows[5] = (struct head){.fetched = UINT32_MAX,
        .key_len = UINT32_MAX,
        .private_len = UINT32_MAX,
        .fields_len = UINT32_MAX,
        .body_len = UINT32_MAX,
        .while_ms = 1,
        .if_error_ms = 2};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_says(&rows[i], i < 5 ? MORE : WIDE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_tight_and_one_more_is_wide),
        cmocka_unit_test(what_few_have_comes_behind),
    };

    return cmocka_run_group_tests_name("cache.head", tests, NULL, NULL);
}
