/*
 * Tokens that are given back, before a real Redis: whose they are, and how long
 * that is tried.
 */
#include "worker_given.h"

#include "nearside/lease/release.h"

static void
await_releases(struct given *g)
{
    AWAIT(&g->rig, nothing_is_sent(&g->worker));
}

static void
a_lease_is_given_back_by_its_holder_alone(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    given_lease(&g, q, SLICE("token-2"));
    release_lease(&g.worker, q, held_lease(TOKEN));
    await_releases(&g);
    assert_string_equal(lease_of(&g, q), "token-2");
    given_lease(&g, q, TOKEN);
    release_lease(&g.worker, q, held_lease(TOKEN));
    await_releases(&g);
    assert_string_equal(lease_of(&g, q), "");
    release_lease(&g.worker, q, held_lease(TOKEN)); /* there is none */
    await_releases(&g);
    assert_int_equal(counted(&g, COUNTER_STORES), 0);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 0);
    assert_int_equal(counted(&g, COUNTER_STORES_FAILED), 0);
    question_unref(&q);
    worker_over(&g);
}

/* Then the lease ends by itself. */
static void
beyond_ten_thousand_a_release_is_not_tried_again(void **state)
{
    struct given g;
    struct question *q;
    char out[128];

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    given_lease(&g, q, TOKEN);
    assert_true(
        ask(g.server, out, sizeof(out), "ACL SETUSER default -eval -evalsha"));
    g.worker.lease->releases_len += 10000;
    release_lease(&g.worker, q, held_lease(TOKEN));
    await_releases(&g);
    assert_string_equal(lease_of(&g, q), "token-1");
    g.worker.lease->releases_len -= 10000;
    release_lease(&g.worker, q, held_lease(TOKEN));
    await_releases(&g);
    assert_string_equal(lease_of(&g, q), "");
    question_unref(&q);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_is_given_back_by_its_holder_alone),
        TEST(beyond_ten_thousand_a_release_is_not_tried_again),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
