/* The addresses of a server: who is dialled next, who rests, what stays when
   the set changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/server_inside.h"

enum {
    NOW_MS = 1000000,
    TRY_MS = 1500,
};

/* "127.0.0.1 127.0.0.2" */
static struct addresses *
found_of(const char *hosts)
{
    struct address items[ADDRESSES_MAX];
    struct slice rest = slice_of_str(hosts);
    unsigned count = 0;

    while (rest.len > 0) {
        ptrdiff_t end = slice_find(rest, ' ');
        size_t len = end < 0 ? rest.len : (size_t)end;

        assert_int_equal(
            address_of(slice_of(rest.ptr, len), 0, &items[count++]), RC_OK);
        rest = slice_skip(rest, end < 0 ? len : len + 1);
    }
    return addresses_new(items, count);
}

static struct origin_addresses *
set_of(const char *hosts, const struct origin_addresses *before)
{
    struct addresses *found = found_of(hosts);
    struct origin_addresses *set = origin_addresses_new(found, 8080, before);

    addresses_unref(&found);
    assert_non_null(set);
    return set;
}

static void
rest(struct origin_addresses *set, unsigned i, int64_t until_ms)
{
    atomic_store(&set->items[i]->rest_until_ms, until_ms);
}

static int
next(struct origin_addresses *set, unsigned from, uint64_t but)
{
    return origin_addresses_next(set, from, but, NOW_MS, TRY_MS);
}

static void
dials_go_round(void **state)
{
    struct origin_addresses *set =
        set_of("127.0.0.1 127.0.0.2 127.0.0.3", NULL);

    (void)state;
    assert_int_equal(next(set, 0, 0), 0);
    assert_int_equal(next(set, 1, 0), 1);
    assert_int_equal(next(set, 3, 0), 0);
    assert_int_equal(next(set, 1, 2), 2);
    assert_int_equal(next(set, 2, 4), 0);
    assert_int_equal(next(set, 0, 7), -1);
    origin_addresses_unref(&set);
}

static void
who_rests_is_dialled_last(void **state)
{
    struct origin_addresses *set =
        set_of("127.0.0.1 127.0.0.2 127.0.0.3", NULL);

    (void)state;
    rest(set, 0, NOW_MS + 20);
    assert_int_equal(next(set, 0, 0), 1);
    rest(set, 1, NOW_MS + 10);
    rest(set, 2, NOW_MS + 30);
    assert_int_equal(next(set, 0, 0), 1);
    assert_int_equal(next(set, 0, 2), 0);
    assert_int_equal(next(set, 0, 3), 2);
    origin_addresses_unref(&set);
}

static void
one_tries_whether_a_rested_address_is_well_again(void **state)
{
    struct origin_addresses *set = set_of("127.0.0.1 127.0.0.2", NULL);

    (void)state;
    rest(set, 0, NOW_MS);
    assert_int_equal(next(set, 0, 0), 0);
    assert_int_equal(next(set, 0, 0), 1);
    assert_int_equal(
        origin_addresses_next(set, 0, 0, NOW_MS + TRY_MS, TRY_MS), 0);
    origin_addresses_unref(&set);
}

static void
an_address_that_stays_is_the_same_object(void **state)
{
    struct origin_addresses *before = set_of("127.0.0.1 127.0.0.2 ::1", NULL);
    struct origin_addresses *after =
        set_of("::1 127.0.0.4 127.0.0.2 127.0.0.4", before);
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    assert_int_equal(after->count, 3);
    assert_ptr_equal(after->items[0], before->items[2]);
    assert_ptr_equal(after->items[2], before->items[1]);
    assert_true(origin_addresses_have(after, before->items[1]));
    assert_false(origin_addresses_have(after, before->items[0]));
    assert_int_equal(origin_addresses_mask(7, before, after), 5);
    assert_int_equal(origin_addresses_mask(1, before, after), 0);
    origin_addresses_unref(&before);
    assert_string_equal(
        address_text(&after->items[0]->address, text), "[::1]:8080");
    origin_addresses_unref(&after);
}

static void
sets_are_the_same_in_any_order(void **state)
{
    struct origin_addresses *a = set_of("127.0.0.1 127.0.0.2", NULL);
    struct origin_addresses *b = set_of("127.0.0.2 127.0.0.1", a);
    struct origin_addresses *c = set_of("127.0.0.1", a);
    struct origin_addresses *d = set_of("127.0.0.1 127.0.0.3", a);

    (void)state;
    assert_true(origin_addresses_are_same(a, b));
    assert_false(origin_addresses_are_same(a, c));
    assert_false(origin_addresses_are_same(a, d));
    origin_addresses_unref(&a);
    origin_addresses_unref(&b);
    origin_addresses_unref(&c);
    origin_addresses_unref(&d);
}

/* --- a server's ---------------------------------------------------------- */

struct bench {
    struct origin_server *server;
    struct origin_addresses *set;
};

static void
bench_up(struct bench *b)
{
    *b = (struct bench){0};
    assert_int_equal(
        origin_server_new("http://api.test", 1000, &b->server), RC_OK);
    assert_null(origin_server_addresses(b->server));
    b->set = set_of("127.0.0.1 127.0.0.2", NULL);
}

static void
bench_down(struct bench *b)
{
    origin_addresses_unref(&b->set);
    origin_server_free(&b->server);
}

static int64_t
rests_ms(const struct bench *b, int64_t now_ms)
{
    return atomic_load(&b->set->items[0]->rest_until_ms) - now_ms;
}

static void
who_fails_again_rests_longer(void **state)
{
    static const int64_t want_ms[] = {10000, 20000, 40000, 60000, 60000};
    int64_t now_ms = NOW_MS;
    struct bench b;

    (void)state;
    bench_up(&b);
    for (size_t i = 0; i < ARRAY_LEN(want_ms); i++) {
        (void)origin_server_failed(b.server, b.set->items[0], NULL, now_ms);
        assert_int_equal(rests_ms(&b, now_ms), want_ms[i]);
        /* Another one who had dialled it at the same time. */
        (void)origin_server_failed(b.server, b.set->items[0], NULL, now_ms + 5);
        assert_int_equal(rests_ms(&b, now_ms), want_ms[i]);
        now_ms += want_ms[i];
    }
    origin_server_worked(b.server, b.set->items[0], NULL);
    assert_int_equal(atomic_load(&b.set->items[0]->rest_until_ms), 0);
    (void)origin_server_failed(b.server, b.set->items[0], NULL, now_ms);
    assert_int_equal(rests_ms(&b, now_ms), want_ms[0]);
    bench_down(&b);
}

static int64_t
hope_ms(struct bench *b, int64_t since_ms, int64_t now_ms)
{
    return origin_server_hope_ms(b->server, since_ms, now_ms, 300);
}

static void
a_look_up_is_waited_for_while_it_may_bring_something(void **state)
{
    struct server_lookup *l;
    struct bench b;

    (void)state;
    bench_up(&b);
    l = &b.server->lookup;
    b.server->addresses = origin_addresses_ref(b.set);
    (void)origin_server_failed(b.server, b.set->items[0], NULL, NOW_MS);
    /* It is about to begin; it is under way; for too long. */
    assert_int_equal(hope_ms(&b, NOW_MS, NOW_MS), NOW_MS + 300);
    l->is_under_way = true;
    l->began_ms = l->asked_ms = NOW_MS + 1;
    assert_int_equal(hope_ms(&b, NOW_MS, NOW_MS + 100), NOW_MS + 301);
    assert_int_equal(hope_ms(&b, NOW_MS, NOW_MS + 301), 0);
    /* It has ended, and is not made again within a second... */
    l->is_under_way = false;
    assert_int_equal(hope_ms(&b, NOW_MS + 400, NOW_MS + 400), 0);
    assert_int_equal(hope_ms(&b, NOW_MS + 1001, NOW_MS + 1001), NOW_MS + 1301);
    /* ...nor for who lacked something before it began, however long it took. */
    assert_int_equal(hope_ms(&b, NOW_MS, NOW_MS + 1001), 0);
    /* It is made again if all was well in between. */
    origin_server_worked(b.server, b.set->items[0], NULL);
    (void)origin_server_failed(b.server, b.set->items[0], NULL, NOW_MS + 400);
    assert_int_equal(hope_ms(&b, NOW_MS + 400, NOW_MS + 400), NOW_MS + 700);
    bench_down(&b);
}

static void
a_fixed_address_hopes_for_nothing(void **state)
{
    struct origin_server *server = NULL;

    (void)state;
    assert_int_equal(
        origin_server_new("http://[::1]:80", 1000, &server), RC_OK);
    assert_true(origin_server_is_fixed(server));
    assert_int_equal(origin_server_hope_ms(server, NOW_MS, NOW_MS, 300), 0);
    origin_server_free(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dials_go_round),
        cmocka_unit_test(who_rests_is_dialled_last),
        cmocka_unit_test(one_tries_whether_a_rested_address_is_well_again),
        cmocka_unit_test(an_address_that_stays_is_the_same_object),
        cmocka_unit_test(sets_are_the_same_in_any_order),
        cmocka_unit_test(who_fails_again_rests_longer),
        cmocka_unit_test(a_look_up_is_waited_for_while_it_may_bring_something),
        cmocka_unit_test(a_fixed_address_hopes_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
