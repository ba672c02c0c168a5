/*
 * What may become of a stored response that was found: a table of requests and
 * entries, judged for the one who asks and for anybody.
 */
#include "nearside/rules/found.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nearside/cache/codec.h"
#include "question_given.h"

#define NOW_MS INT64_C(1700000000000)

static struct entry *
given_entry(uint16_t flags, int64_t fresh_in_ms, uint32_t while_ms)
{
    const bool is_response =
        (flags & (ENTRY_VARY_RECORD | ENTRY_HIT_FOR_MISS)) == 0;
    const struct codec_parts parts = {
        .status = is_response ? 200 : 0,
        .flags = flags,
        .created_ms = NOW_MS - 10000,
        .fresh_until_ms = NOW_MS + fresh_in_ms,
        .stale_until_ms = NOW_MS + fresh_in_ms + 100000,
        .while_ms = while_ms,
        .key = SLICE("http://h/a"),
        .vary_names =
            (flags & ENTRY_VARY_RECORD) != 0 ? SLICE("accept") : SLICE(""),
        .generation = (flags & ENTRY_VARY_RECORD) != 0
                          ? SLICE("0123456789abcdef")
                          : SLICE(""),
    };
    struct value value = {0};
    struct entry *entry;

    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &entry), RC_OK);
    value_free(&value);
    return entry;
}

enum keyed {
    NOT_KEYED,
    KEYED,   /* by credentials, and no record has been found yet */
    VARIANT, /* keyed, of a record */
};

struct row {
    const char *fields;
    uint16_t flags;
    int64_t fresh_in_ms;
    uint32_t while_ms;
    enum keyed keyed;
    enum found asker;
    enum found anybody;
};

#define CC(directives) "Cache-Control: " directives "\r\n"

static const struct row rows[] = {
    {"", 0, 1, 0, NOT_KEYED, FOUND_FRESH, FOUND_FRESH},
    {"", 0, 0, 0, NOT_KEYED, FOUND_OUTDATED, FOUND_OUTDATED},
    {"", 0, -999, 1000, NOT_KEYED, FOUND_RENEW, FOUND_RENEW},
    {"", 0, -1000, 1000, NOT_KEYED, FOUND_OUTDATED, FOUND_OUTDATED},
    {"", ENTRY_NEVER_STALE, -1, 1000, NOT_KEYED, FOUND_OUTDATED,
        FOUND_OUTDATED},
    {"", ENTRY_MUST_VALIDATE, 1000, 0, NOT_KEYED, FOUND_VALIDATE,
        FOUND_VALIDATE},
    {"", ENTRY_MUST_VALIDATE, -1000, 0, NOT_KEYED, FOUND_VALIDATE,
        FOUND_VALIDATE},
    /* The asker's own directives count for nobody else. */
    {CC("no-cache"), 0, 1000, 0, NOT_KEYED, FOUND_UNWANTED, FOUND_FRESH},
    {CC("max-age=9"), 0, 1000, 0, NOT_KEYED, FOUND_UNWANTED, FOUND_FRESH},
    {CC("max-age=10"), 0, 1000, 0, NOT_KEYED, FOUND_FRESH, FOUND_FRESH},
    {CC("max-stale"), 0, -1000, 0, NOT_KEYED, FOUND_STALE, FOUND_OUTDATED},
    {CC("max-stale=1"), 0, -2000, 0, NOT_KEYED, FOUND_OUTDATED, FOUND_OUTDATED},
    {CC("no-cache"), 0, -1, 1000, NOT_KEYED, FOUND_OUTDATED, FOUND_RENEW},
    {CC("only-if-cached"), 0, 1, 0, NOT_KEYED, FOUND_FRESH, FOUND_FRESH},
    {CC("only-if-cached"), 0, -1, 0, NOT_KEYED, FOUND_UNAVAILABLE,
        FOUND_OUTDATED},
    {CC("only-if-cached"), ENTRY_MUST_VALIDATE, 1000, 0, NOT_KEYED,
        FOUND_UNAVAILABLE, FOUND_VALIDATE},
    /* Nor do its credentials. */
    {"Cookie: a\r\n", 0, 1000, 0, NOT_KEYED, FOUND_NOT_FOR_IT, FOUND_FRESH},
    {"Cookie: a\r\n", 0, -1000, 0, NOT_KEYED, FOUND_NOT_FOR_IT, FOUND_OUTDATED},
    {"Cookie: a\r\n", ENTRY_AUTHORIZED, 1000, 0, NOT_KEYED, FOUND_NOT_FOR_IT,
        FOUND_FRESH},
    {"Cookie: a\r\n", ENTRY_SHAREABLE, 1000, 0, NOT_KEYED, FOUND_FRESH,
        FOUND_FRESH},
    {"Authorization: a\r\n", ENTRY_SHAREABLE, 1000, 0, NOT_KEYED, FOUND_FRESH,
        FOUND_FRESH},
    {"Authorization: a\r\n", 0, 1000, 0, NOT_KEYED, FOUND_NOT_FOR_IT,
        FOUND_FRESH},
    /* No response: a record and a hit-for-miss entry are for all. */
    {"", ENTRY_VARY_RECORD, 1, 0, NOT_KEYED, FOUND_RECORD, FOUND_RECORD},
    {"", ENTRY_VARY_RECORD, 0, 1000, NOT_KEYED, FOUND_NOTHING, FOUND_NOTHING},
    {"", ENTRY_HIT_FOR_MISS, 1, 0, NOT_KEYED, FOUND_HIT_FOR_MISS,
        FOUND_HIT_FOR_MISS},
    {"", ENTRY_HIT_FOR_MISS, 0, 1000, NOT_KEYED, FOUND_NOTHING, FOUND_NOTHING},
    {CC("no-cache") "Cookie: a\r\n", ENTRY_VARY_RECORD, 1, 0, NOT_KEYED,
        FOUND_RECORD, FOUND_RECORD},
    {CC("no-cache") "Cookie: a\r\n", ENTRY_HIT_FOR_MISS, 1, 0, NOT_KEYED,
        FOUND_HIT_FOR_MISS, FOUND_HIT_FOR_MISS},
    /* Where credentials are keyed, only a variant is for those who ask. */
    {"", 0, 1000, 0, KEYED, FOUND_FOREIGN, FOUND_FOREIGN},
    {"Cookie: a\r\n", ENTRY_SHAREABLE, 1000, 0, KEYED, FOUND_FOREIGN,
        FOUND_FOREIGN},
    {"Cookie: a\r\n", 0, -1000, 0, KEYED, FOUND_FOREIGN, FOUND_FOREIGN},
    {"Cookie: a\r\n", ENTRY_VARY_RECORD, 1, 0, KEYED, FOUND_RECORD,
        FOUND_RECORD},
    {"Cookie: a\r\n", ENTRY_HIT_FOR_MISS, 1, 0, KEYED, FOUND_HIT_FOR_MISS,
        FOUND_HIT_FOR_MISS},
    {"Cookie: a\r\n", 0, 1000, 0, VARIANT, FOUND_FRESH, FOUND_FRESH},
    {"Cookie: a\r\n", 0, -1000, 0, VARIANT, FOUND_OUTDATED, FOUND_OUTDATED},
    {CC("no-cache"), 0, 1000, 0, VARIANT, FOUND_UNWANTED, FOUND_FRESH},
};

/* Of an instance whose clock is ahead: how long it is fresh cannot be told. */
static void
what_was_made_in_the_future_is_not_fresh(void **state)
{
    struct asking a;
    struct question *q;
    const int64_t made_ms = NOW_MS - 10000;
    static const struct {
        uint16_t flags;
        enum found now;
        enum found before;
    } kinds[] = {
        {0, FOUND_FRESH, FOUND_OUTDATED},
        {ENTRY_VARY_RECORD, FOUND_RECORD, FOUND_NOTHING},
        {ENTRY_HIT_FOR_MISS, FOUND_HIT_FOR_MISS, FOUND_NOTHING},
    };

    (void)state;
    given_conf(&a);
    q = given_question(&a, "GET /a", "");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct entry *entry = given_entry(kinds[i].flags, 1000, 0);

        assert_int_equal(
            found_judge(q, entry, false, made_ms - 200), kinds[i].now);
        assert_int_equal(
            found_judge(q, entry, false, made_ms - 201), kinds[i].before);
        assert_int_equal(
            found_judge(q, entry, true, made_ms - 201), kinds[i].before);
        entry_unref(&entry);
    }
    question_unref(&q);
    conf_over(&a);
}

static void
check(struct asking *a, const struct row *row, size_t i)
{
    struct question *q = given_question(a, "GET /a", row->fields);
    struct entry *entry =
        given_entry(row->flags, row->fresh_in_ms, row->while_ms);
    struct entry *record = given_entry(ENTRY_VARY_RECORD, 1000, 0);
    struct question *variant = NULL;
    const struct question *asked = q;

    if (row->keyed == VARIANT) {
        assert_int_equal(question_vary(q, record, &variant), RC_OK);
        asked = variant;
    }
    if (found_judge(asked, entry, false, NOW_MS) != row->asker ||
        found_judge(asked, entry, true, NOW_MS) != row->anybody) {
        fail_msg("row %zu [%s]: %d for the asker, %d for anybody", i,
            row->fields, found_judge(asked, entry, false, NOW_MS),
            found_judge(asked, entry, true, NOW_MS));
    }
    question_unref(&variant);
    question_unref(&q);
    entry_unref(&record);
    entry_unref(&entry);
}

static void
what_was_found_is_judged_for_the_asker_and_for_anybody(void **state)
{
    unsigned seen[FOUND_NOT_FOR_IT + 1] = {0};
    struct asking a;

    (void)state;
    given_conf(&a);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a.route.cookie = rows[i].keyed == NOT_KEYED ? ROUTE_CREDENTIAL_AUTO
                                                    : ROUTE_CREDENTIAL_KEY;
        check(&a, &rows[i], i);
        seen[rows[i].asker]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        assert_true(seen[i] > 0); /* no arm without a row */
    }
    conf_over(&a);
}

static void
what_redis_has_not_vouched_for_answers_only_if_it_may(void **state)
{
    static const struct {
        enum found found, may, may_not;
    } cases[] = {
        {FOUND_FRESH, FOUND_FRESH, FOUND_OUTDATED},
        {FOUND_STALE, FOUND_OUTDATED, FOUND_OUTDATED},
        {FOUND_RENEW, FOUND_OUTDATED, FOUND_OUTDATED},
        {FOUND_VALIDATE, FOUND_OUTDATED, FOUND_OUTDATED},
        {FOUND_OUTDATED, FOUND_OUTDATED, FOUND_OUTDATED},
        {FOUND_UNWANTED, FOUND_UNWANTED, FOUND_UNWANTED},
        {FOUND_UNAVAILABLE, FOUND_UNAVAILABLE, FOUND_UNAVAILABLE},
        {FOUND_RECORD, FOUND_RECORD, FOUND_RECORD},
        {FOUND_HIT_FOR_MISS, FOUND_NOTHING, FOUND_NOTHING},
        {FOUND_FOREIGN, FOUND_FOREIGN, FOUND_FOREIGN},
        {FOUND_NOTHING, FOUND_NOTHING, FOUND_NOTHING},
        {FOUND_NOT_FOR_IT, FOUND_NOT_FOR_IT, FOUND_NOT_FOR_IT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(found_unverified(cases[i].found, true), cases[i].may);
        assert_int_equal(
            found_unverified(cases[i].found, false), cases[i].may_not);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_was_found_is_judged_for_the_asker_and_for_anybody),
        cmocka_unit_test(what_was_made_in_the_future_is_not_fresh),
        cmocka_unit_test(what_redis_has_not_vouched_for_answers_only_if_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
