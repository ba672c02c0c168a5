/*
 * The reader of stored responses before a real Redis, with somebody between
 * them: what is asked for, and what each reply comes to.
 */
#include "worker_given.h"

#include "nearside/redis/hold.h"
#include "nearside/tier/lookup.h"
#include "redis/pool.h"

#define E     "ns:e:{http://h/a}"
#define PART  "GETRANGE " E " 0 65535"
#define WHOLE "GET " E
#define SUM   "GETRANGE " E " -8 -1"

struct looked {
    struct lookup lookup;
    unsigned times;
    enum lookup_end end;
    struct entry *entry;
};

static void
on_end(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct looked *l = ctx;

    assert_false(lookup_is_active(&l->lookup));
    assert_int_equal(l->lookup.magic, 0); /* it may be started anew */
    l->times++;
    l->end = end;
    l->entry = own_entry;
}

static void
begin(struct given *g, const struct question *q, bool is_in_order,
    struct looked *l)
{
    const struct lookup_opts opts = {
        .q = q, .is_in_order = is_in_order, .on_end = on_end, .ctx = l};

    *l = (struct looked){0};
    between_heard(g->between);
    lookup_start(&l->lookup, &g->worker, &opts);
    assert_true(lookup_is_active(&l->lookup));
    assert_int_equal(l->lookup.magic, LOOKUP_MAGIC);
    assert_int_equal(l->times, 0);
}

static void
end(struct given *g, struct looked *l)
{
    AWAIT(&g->rig, l->times > 0);
    assert_int_equal(l->times, 1);
    entry_unref(&l->entry);
}

/* What it comes to; what was asked is heard. */
static enum lookup_end
look(struct given *g, const struct question *q, bool is_in_order)
{
    struct looked l;

    begin(g, q, is_in_order, &l);
    end(g, &l);
    return l.end;
}

#define ASSERT_HEARD(g, text)                                                  \
    assert_string_equal(between_heard((g)->between), text)

/* With a value of so many bytes in all. */
static void
given_length(struct given *g, const struct question *q, size_t len)
{
    static char body[400000];
    struct value value = given_value(g, q, "", 60000);
    size_t around = value.len;

    assert_true(len - around < sizeof(body));
    value_free(&value);
    memset(body, 'x', len - around);
    body[len - around] = '\0';
    value = given_value(g, q, body, 60000);
    assert_int_equal(value.len, len);
    given_stored(g, q, value_slice(&value));
    value_free(&value);
}

static void
each_reply_comes_to_what_it_says(void **state)
{
    static const struct {
        const char *answer; /* NULL: what is there */
        enum lookup_end end;
        unsigned bad; /* values */
    } rows[] = {
        {NULL, LOOKUP_FOUND, 0},
        {"$-1\r\n", LOOKUP_NOTHING, 0},
        {"$0\r\n\r\n", LOOKUP_NOTHING, 0},
        {"$3\r\nabc\r\n", LOOKUP_BAD, 1},
        {":1\r\n", LOOKUP_BAD, 1},
        {"-WRONGTYPE x\r\n", LOOKUP_REFUSED, 0},
    };
    struct given g;
    struct question *q;
    int64_t bad = 0;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    given_length(&g, q, 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        between_says(g.between, 0, "GETRANGE",
            rows[i].answer == NULL ? "" : rows[i].answer,
            rows[i].answer != NULL);
        assert_int_equal(look(&g, q, false), rows[i].end);
        ASSERT_HEARD(&g, PART);
        bad += rows[i].bad;
        assert_int_equal(counted(&g, COUNTER_VALUES_BAD), bad);
    }
    question_unref(&q);
    worker_over(&g);
}

/* The user may do what was enough for an older version; that is learnt. */
static void
without_a_right_to_parts_the_whole_is_asked_for(void **state)
{
    static const char *const answers[] = {
        "-NOPERM this user has no permissions\r\n",
        "-ERR unknown command 'GETRANGE'\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct given g;
        struct question *q;

        given_worker_behind(&g);
        q = given_question(&g.asking, "GET /a", "");
        given_length(&g, q, 1000);
        between_says(g.between, 0, "GETRANGE", answers[i], 1);
        assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
        ASSERT_HEARD(&g, PART "; " WHOLE);
        assert_int_equal(look(&g, q, true), LOOKUP_FOUND);
        ASSERT_HEARD(&g, WHOLE);
        question_unref(&q);
        worker_over(&g);
    }
}

static void
what_does_not_fit_a_part_is_asked_for_as_a_whole(void **state)
{
    static const struct {
        size_t len;
        const char *first;
        const char *again;    /* when it is known to be large */
        const char *in_order; /* behind other commands */
    } rows[] = {
        {65535, PART, PART, PART},
        {65536, PART, PART, PART},
        {65537, PART "; " WHOLE, WHOLE, PART "; " WHOLE},
        {300000, PART "; " WHOLE, WHOLE, PART "; " WHOLE},
    };
    struct given g;
    struct question *q;
    struct question *other;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    other = given_question(&g.asking, "GET /b", "");
    other->key.hash = q->key.hash ^ (UINT64_C(1) << 50); /* the same place */
    given_length(&g, other, 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        given_length(&g, q, rows[i].len);
        assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
        ASSERT_HEARD(&g, rows[i].first);
        /* One that has the place, too, is neither taken for it nor forgets
           it. */
        assert_int_equal(look(&g, other, false), LOOKUP_FOUND);
        ASSERT_HEARD(&g, "GETRANGE ns:e:{http://h/b} 0 65535");
        assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
        ASSERT_HEARD(&g, rows[i].again);
        assert_int_equal(look(&g, q, true), LOOKUP_FOUND);
        ASSERT_HEARD(&g, rows[i].in_order);
        /* A value that turns out small is forgotten. */
        given_length(&g, q, 1000);
        assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
        between_heard(g.between);
        assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
        ASSERT_HEARD(&g, PART);
    }
    question_unref(&other);
    question_unref(&q);
    worker_over(&g);
}

/* From a second on it may have been deleted while it came. */
static void
what_took_long_to_come_is_looked_for_once_more(void **state)
{
    static const struct {
        int64_t took_ms;
        const char *answer; /* the second time; NULL: its own */
        enum lookup_end end;
    } rows[] = {
        {999, NULL, LOOKUP_FOUND},
        {1000, NULL, LOOKUP_FOUND},
        {1000, "$8\r\n12345678\r\n", LOOKUP_NOTHING},
        {1000, "$0\r\n\r\n", LOOKUP_NOTHING},
        {1000, "-ERR x\r\n", LOOKUP_FAILED},
        {1000, ":1\r\n", LOOKUP_FAILED},
    };
    struct given g;
    struct question *q;

    (void)state;
    given_worker_behind(&g);
    rig_stop_clock(&g.rig);
    q = given_question(&g.asking, "GET /a", "");
    for (unsigned is_large = 0; is_large < 2; is_large++) {
        given_length(&g, q, is_large ? 100000 : 1000);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            struct looked l;
            bool is_again = rows[i].took_ms >= 1000;

            between_says(g.between, 0, SUM,
                rows[i].answer == NULL ? "" : rows[i].answer,
                rows[i].answer != NULL);
            g.worker.tier->large[q->key.hash % TIER_LARGE_MAX] = 0;
            begin(&g, q, false, &l);
            if (is_large) { /* the second command counts */
                AWAIT(&g.rig, l.lookup.call.is_bulk);
            }
            l.lookup.asked_ms -= rows[i].took_ms;
            end(&g, &l);
            assert_int_equal(l.end, rows[i].end);
            assert_null(l.lookup.own_entry);
            assert_int_equal(
                strstr(between_heard(g.between), SUM) != NULL, is_again);
        }
    }
    question_unref(&q);
    worker_over(&g);
}

/* A server has come back with an old snapshot: what is older is not taken, or
   is to be validated. */
static void
what_a_snapshot_brings_back_is_not_taken_for_new(void **state)
{
    static const struct {
        int64_t not_before_ms; /* counted from its receipt */
        enum lookup_end end;
    } rows[] = {{1, LOOKUP_BAD}, {0, LOOKUP_FOUND}, {-1, LOOKUP_FOUND}};
    struct given g;
    struct question *q;
    struct entry *stored;
    struct trust_slot *slot;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    given_length(&g, q, 1000);
    stored = entry_of(&g, q);
    slot = &g.rig.redis->trust->slots[slot_of(q->entry_key)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        atomic_store(&slot->not_before_ms,
            entry_received_ms(stored) + rows[i].not_before_ms);
        assert_int_equal(look(&g, q, false), rows[i].end);
        assert_int_equal(counted(&g, COUNTER_VALUES_OUTDATED), 1);
    }
    entry_unref(&stored);
    question_unref(&q);
    worker_over(&g);
}

/* Why what is there may not be used is told, once. */
static void
a_doubt_is_told_with_the_failure(void **state)
{
    struct given g;
    struct question *q;
    struct looked l;
    uint16_t slot;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    slot = slot_of(q->entry_key);
    redis_hold(g.rig.client, slot);
    begin(&g, q, false, &l);
    end(&g, &l);
    assert_int_equal(l.end, LOOKUP_FAILED);
    assert_string_equal(l.lookup.doubt, "deletion-pending");
    redis_release(g.rig.client, slot);
    begin(&g, q, false, &l);
    end(&g, &l);
    assert_int_equal(l.end, LOOKUP_NOTHING);
    assert_null(l.lookup.doubt);
    question_unref(&q);
    worker_over(&g);
}

static void
one_that_is_cancelled_tells_nobody(void **state)
{
    struct given g;
    struct question *q;
    struct looked l;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    given_length(&g, q, 1000);
    begin(&g, q, false, &l);
    lookup_cancel(&l.lookup);
    assert_false(lookup_is_active(&l.lookup));
    assert_int_equal(l.lookup.magic, 0);
    begin(&g, q, false, &l);
    l.lookup.asked_ms -= 1000;
    AWAIT(&g.rig, l.lookup.own_entry != NULL);
    lookup_cancel(&l.lookup);
    lookup_cancel(&l.lookup);
    assert_int_equal(look(&g, q, false), LOOKUP_FOUND);
    assert_int_equal(l.times, 0);
    question_unref(&q);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_reply_comes_to_what_it_says),
        TEST(without_a_right_to_parts_the_whole_is_asked_for),
        TEST(what_does_not_fit_a_part_is_asked_for_as_a_whole),
        TEST(what_took_long_to_come_is_looked_for_once_more),
        TEST(what_a_snapshot_brings_back_is_not_taken_for_new),
        TEST(a_doubt_is_told_with_the_failure),
        TEST(one_that_is_cancelled_tells_nobody),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
