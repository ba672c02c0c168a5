/* Calls: the exact bytes of their commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "redis/call.h"

static void
command_is_what_hiredis_would_write(void **state)
{
    static char large[100000];
    const struct slice commands[][3] = {
        {SLICE("GET"), SLICE("k"), SLICE("")},
        {SLICE("SET"), SLICE(""), SLICE("a\r\nb")},
        {SLICE("SET"), SLICE("0123456789"), {large, sizeof(large)}},
    };

    (void)state;
    memset(large, 'v', sizeof(large));
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const char *argv[3];
        size_t lens[3];
        char *expected;
        char *got;
        size_t len;

        for (int j = 0; j < 3; j++) {
            argv[j] = commands[i][j].ptr;
            lens[j] = commands[i][j].len;
        }
        len = (size_t)redisFormatCommandArgv(&expected, 3, argv, lens);
        assert_int_equal(command_len(3, commands[i]), len);
        got = malloc(len);
        assert_ptr_equal(command_put(got, 3, commands[i]), got + len);
        assert_memory_equal(got, expected, len);
        free(got);
        free(expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_is_what_hiredis_would_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
