/*
 * What the answer to a HEAD does to the response that was found: it is renewed,
 * deleted, or left alone, and never put back after a write has deleted it.
 */
#include "worker_given.h"

#include "http_given.h"

#include "nearside/body/encode.h"
#include "nearside/write/head_update.h"

/* A HEAD, and what it has found: "body", with the tag "v1". */
struct asked {
    struct given g;
    struct arena arena;
    struct question *q;
    struct entry *found;
};

static void
given_found(struct asked *a, struct question *own_q)
{
    struct value value = given_value(&a->g, own_q, "body", -1);

    a->q = own_q;
    given_stored(&a->g, a->q, value_slice(&value));
    value_free(&value);
    a->found = entry_of(&a->g, a->q);
    assert_non_null(a->found);
}

static void
asked_up(struct asked *a, const char *fields)
{
    given_worker(&a->g, 5000);
    arena_init(&a->arena, 65536);
    given_found(a, given_question(&a->g.asking, "HEAD /a", fields));
}

static void
asked_down(struct asked *a)
{
    entry_unref(&a->found);
    question_unref(&a->q);
    arena_fini(&a->arena);
    worker_over(&a->g);
}

/* The origin was asked that long ago. */
static bool
answer(struct asked *a, unsigned status, const char *fields, int64_t took_ms)
{
    const struct head_update update = {
        .q = a->q,
        .found = a->found,
        .response = given_answer(METHOD_HEAD, status, fields),
        .request_ms = worker_wall_ms(&a->g.worker) - took_ms,
        .arena = &a->arena,
    };
    bool is_renewed = head_update(&a->g.worker, &update);

    AWAIT(&a->g.rig, nothing_is_sent(&a->g.worker));
    AWAIT(&a->g.rig, list_is_empty(&a->g.worker.tier->deletions));
    return is_renewed;
}

static bool
is_as_found(struct asked *a)
{
    struct entry *entry = entry_of(&a->g, a->q);
    bool is_same =
        entry != NULL && slice_eq(entry_sum(entry), entry_sum(a->found));

    entry_unref(&entry);
    return is_same;
}

/* --- renewed ----------------------------------------------------------- */

static void
an_answer_that_agrees_renews_fields_lifetime_and_age(void **state)
{
    struct asked a;
    struct entry *entry;
    int64_t now_ms;

    (void)state;
    asked_up(&a, "");
    a.g.asking.route.grace_ms = 600000;
    now_ms = worker_wall_ms(&a.g.worker);
    assert_true(answer(&a, 200,
        "ETag: \"v1\"\r\nContent-Length: 4\r\nX-New: 1\r\nAge: 3\r\n"
        "Cache-Control: max-age=100\r\n",
        5000));
    entry = entry_of(&a.g, a.q);
    assert_non_null(entry);
    assert_int_equal(entry->status, 200);
    assert_true(slice_eq(entry_body(entry), SLICE("body")));
    assert_non_null(memmem(entry_fields(entry).ptr, entry_fields(entry).len,
        "\r\nx-new: 1\r\n", 12));
    /* Its Age, and the time on the way (RFC 9111 4.2.3). */
    assert_in_range(entry_created_ms(entry), now_ms - 9100, now_ms - 7900);
    assert_in_range(
        entry_fresh_until_ms(entry), now_ms + 90900, now_ms + 93000);
    assert_in_range(pttl_of(&a.g, a.q->entry_key), 685000, 693000);
    assert_int_equal(limited(&a.g, LIMIT_MEMORY), 0);
    entry_unref(&entry);
    asked_down(&a);
}

/* --- by what it says --------------------------------------------------- */

enum then {
    THEN_RENEWED,
    THEN_KEPT,
    THEN_DELETED,
};

static void
assert_then(struct asked *a, enum then then, bool is_renewed, const char *row)
{
    struct entry *entry = entry_of(&a->g, a->q);
    enum then is = entry == NULL    ? THEN_DELETED
                   : is_as_found(a) ? THEN_KEPT
                                    : THEN_RENEWED;

    if (is != then || is_renewed != (then == THEN_RENEWED)) {
        fail_msg("%s: %u is not %u", row, is, then);
    }
    entry_unref(&entry);
}

static void
what_differs_deletes_and_what_says_nothing_changes_nothing(void **state)
{
    static const struct {
        const char *asked;
        unsigned status;
        const char *answer;
        enum then then;
    } rows[] = {
        {"", 200, "ETag: \"v1\"\r\n", THEN_RENEWED},
        {"", 200, "Content-Length: 4\r\n", THEN_RENEWED},
        {"", 200, "ETag: \"v2\"\r\n", THEN_DELETED},
        {"", 200, "Content-Length: 5\r\n", THEN_DELETED},
        {"", 200, "", THEN_KEPT},
        {"", 404, "ETag: \"v2\"\r\n", THEN_KEPT},
        {"", 503, "", THEN_KEPT},
        /* The same representation, which may not be stored any more. */
        {"", 200, "ETag: \"v1\"\r\nCache-Control: no-store\r\n", THEN_DELETED},
        /* No record has chosen it: where it varies, there has to be one. */
        {"", 200, "ETag: \"v1\"\r\nVary: Accept\r\n", THEN_DELETED},
        /* Not storable for this client, which says nothing of the target. */
        {"Authorization: me\r\n", 200, "ETag: \"v1\"\r\n", THEN_KEPT},
        {"Authorization: me\r\n", 200,
            "ETag: \"v1\"\r\nCache-Control: public\r\n", THEN_KEPT},
        {"Authorization: me\r\n", 200,
            "ETag: \"v1\"\r\nCache-Control: public, max-age=9\r\n",
            THEN_RENEWED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asked a;
        bool is_renewed;

        asked_up(&a, rows[i].asked);
        is_renewed = answer(&a, rows[i].status, rows[i].answer, 0);
        assert_then(&a, rows[i].then, is_renewed, rows[i].answer);
        asked_down(&a);
    }
}

static void
without_memory_nothing_changes(void **state)
{
    struct asked a;

    (void)state;
    asked_up(&a, "");
    arena_fini(&a.arena);
    arena_init(&a.arena, 64);
    assert_false(answer(&a, 200, "ETag: \"v1\"\r\n", 0));
    assert_true(is_as_found(&a));
    asked_down(&a);
}

/* --- after a write ----------------------------------------------------- */

/* It came while the origin was asked. */
static void
what_was_deleted_or_replaced_meanwhile_is_not_put_back(void **state)
{
    (void)state;
    for (int is_replaced = 0; is_replaced < 2; is_replaced++) {
        struct asked a;
        char out[16];

        asked_up(&a, "");
        if (is_replaced) {
            struct value value = given_value(&a.g, a.q, "other", 60000);
            given_stored(&a.g, a.q, value_slice(&value));
            value_free(&value);
        } else {
            assert_true(ask(a.g.server, out, sizeof(out), "DEL %b",
                a.q->entry_key.ptr, a.q->entry_key.len));
        }
        answer(&a, 200, "ETag: \"v1\"\r\n", 0);
        assert_stored(&a.g, a.q, is_replaced ? "other" : NULL);
        asked_down(&a);
    }
}

/* --- variants ---------------------------------------------------------- */

/* The variant that the HEAD chooses, under a record of Accept. */
static struct question *
asked_variant(struct asked *a, struct question **out_base)
{
    struct question *variant;
    struct entry *record;
    struct value value;

    *out_base = given_question(&a->g.asking, "HEAD /a", "Accept: x\r\n");
    assert_int_equal(encode_record(&(*out_base)->key, SLICE("accept"),
                         worker_wall_ms(&a->g.worker),
                         random_next(&a->g.worker.random), &value),
        RC_OK);
    given_stored(&a->g, *out_base, value_slice(&value));
    value_free(&value);
    record = entry_of(&a->g, *out_base);
    assert_int_equal(question_vary(*out_base, record, &variant), RC_OK);
    entry_unref(&record);
    return variant;
}

/* The record goes where it chooses wrongly, and no variant is found then. */
static void
a_variant_goes_alone_and_with_its_record_where_that_is_wrong(void **state)
{
    static const struct {
        const char *answer;
        enum then then;
        bool has_record;
    } rows[] = {
        {"ETag: \"v1\"\r\nVary: Accept\r\n", THEN_RENEWED, true},
        /* It was left out, as many an origin does. */
        {"ETag: \"v1\"\r\n", THEN_RENEWED, true},
        {"ETag: \"v2\"\r\nVary: Accept\r\n", THEN_DELETED, true},
        {"ETag: \"v1\"\r\nVary: Accept, X-B\r\n", THEN_KEPT, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *base;
        struct entry *record;
        struct asked a;
        bool is_renewed;

        given_worker(&a.g, 5000);
        arena_init(&a.arena, 65536);
        given_found(&a, asked_variant(&a, &base));
        is_renewed = answer(&a, 200, rows[i].answer, 0);
        assert_then(&a, rows[i].then, is_renewed, rows[i].answer);
        record = entry_of(&a.g, base);
        assert_int_equal(record != NULL, rows[i].has_record);
        entry_unref(&record);
        question_unref(&base);
        asked_down(&a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_that_agrees_renews_fields_lifetime_and_age),
        TEST(what_differs_deletes_and_what_says_nothing_changes_nothing),
        TEST(without_memory_nothing_changes),
        TEST(what_was_deleted_or_replaced_meanwhile_is_not_put_back),
        TEST(a_variant_goes_alone_and_with_its_record_where_that_is_wrong),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
