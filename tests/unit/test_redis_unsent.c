/* Commands on their way out: exact bytes, in order, however they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "nearside/base/buf.h"
#include "nearside/base/check.h"
#include "redis/unsent.h"

/* Takes n bytes out, appending them to `to`; fewer when there are fewer. */
static void
drain(struct unsent *unsent, size_t n, struct buf *to)
{
    struct iovec iov[UNSENT_IOV_MAX];
    int count = unsent_iov(unsent, iov);
    size_t taken = 0;

    for (int i = 0; i < count && taken < n; i++) {
        size_t part = iov[i].iov_len < n - taken ? iov[i].iov_len : n - taken;

        assert_int_equal(
            buf_append(to, slice_of(iov[i].iov_base, part)), RC_OK);
        taken += part;
    }
    unsent_written(unsent, taken);
}

static void
command_is_what_hiredis_would_write(void **state)
{
    static char large[100000];
    const struct slice commands[][3] = {
        {SLICE("GET"), SLICE("k"), SLICE("")},
        {SLICE("SET"), SLICE(""), SLICE("a\r\nb")},
        {SLICE("SET"), SLICE("0123456789"), {large, sizeof(large)}},
    };
    struct unsent unsent;
    struct buf got;

    (void)state;
    memset(large, 'v', sizeof(large));
    buf_init(&got, 1000000);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const char *argv[3];
        size_t lens[3];
        char *expected;
        int len;

        for (int j = 0; j < 3; j++) {
            argv[j] = commands[i][j].ptr;
            lens[j] = commands[i][j].len;
        }
        len = (int)redisFormatCommandArgv(&expected, 3, argv, lens);
        unsent_init(&unsent);
        assert_int_equal(unsent_add(&unsent, 3, commands[i]), RC_OK);
        assert_int_equal(unsent.len, len);
        assert_int_equal(command_len(3, commands[i]), len);
        buf_clear(&got);
        drain(&unsent, SIZE_MAX, &got);
        assert_int_equal(buf_len(&got), len);
        assert_memory_equal(buf_slice(&got).ptr, expected, (size_t)len);
        assert_int_equal(unsent.len, 0);
        unsent_fini(&unsent);
        free(expected);
    }
    buf_fini(&got);
}

static void
bytes_leave_in_order_however_many_at_a_time(void **state)
{
    static char value[30000];
    static const size_t steps[] = {1000, 16320, 16321, 50000, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (char)(i % 251);
    }
    for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
        struct unsent unsent;
        struct buf once;
        struct buf got;

        unsent_init(&unsent);
        buf_init(&once, 10000000);
        buf_init(&got, 10000000);
        for (size_t i = 0; i < 60; i++) {
            const struct slice argv[] = {
                SLICE("SET"), slice_of(value, i * 500)};
            struct unsent one;

            assert_int_equal(unsent_add(&unsent, 2, argv), RC_OK);
            unsent_init(&one);
            assert_int_equal(unsent_add(&one, 2, argv), RC_OK);
            drain(&one, SIZE_MAX, &once);
            unsent_fini(&one);
            if (i % 7 == 0) {
                drain(&unsent, steps[s], &got);
            }
        }
        while (unsent.len > 0) {
            drain(&unsent, steps[s], &got);
        }
        assert_int_equal(buf_len(&got), buf_len(&once));
        assert_memory_equal(
            buf_slice(&got).ptr, buf_slice(&once).ptr, buf_len(&once));
        assert_int_equal(unsent_position(&unsent), buf_len(&once));
        unsent_fini(&unsent);
        buf_fini(&once);
        buf_fini(&got);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_is_what_hiredis_would_write),
        cmocka_unit_test(bytes_leave_in_order_however_many_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
