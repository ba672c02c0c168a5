/* What the reply to the SET of a lease comes to. */
#include "lease/lease_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
what_a_reply_makes_of_a_lease(void **state)
{
    static const struct {
        enum rc rc;
        enum redis_type type;
        bool was_sent;
        bool was_asked;
        enum lease_state state;
    } rows[] = {
        {RC_OK, REDIS_STATUS, true, false, LEASE_HELD},
        {RC_OK, REDIS_STATUS, true, true, LEASE_UNSURE},
        {RC_OK, REDIS_NIL, true, false, LEASE_TAKEN},
        {RC_OK, REDIS_ERROR, true, false, LEASE_NONE},
        {RC_TIMEOUT, REDIS_NIL, true, false, LEASE_UNSURE},
        {RC_CLOSED, REDIS_STATUS, false, false, LEASE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct lease lease = {.call = {.was_sent = rows[i].was_sent,
                                        .was_asked = rows[i].was_asked}};
        const struct redis_reply reply = {.type = rows[i].type};

        assert_int_equal(
            lease_taken_as(&lease, rows[i].rc, &reply), rows[i].state);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_reply_makes_of_a_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
