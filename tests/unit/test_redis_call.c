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

static void
a_form_of_a_key_is_written_like_its_words(void **state)
{
    static const struct redis_form form = {
        {"*3\r\n$3\r\nSET\r\n$", 14}, {"\r\n$2\r\nab\r\n", 10}};
    static char key[100];

    (void)state;
    memset(key, 'k', sizeof(key));
    for (size_t len = 0; len <= sizeof(key); len++) {
        struct redis_call as_form = {0};
        struct redis_call as_words = {0};
        const struct slice words[] = {
            SLICE("SET"), slice_of(key, len), SLICE("ab")};
        char *got;
        char *expected;

        call_init(&as_form);
        call_init(&as_words);
        call_set_form(&as_form, &form, words[1]);
        call_set_words(&as_words, 3, words);
        assert_int_equal(as_form.impl.len, as_words.impl.len);
        got = malloc(as_form.impl.len);
        expected = malloc(as_form.impl.len);
        assert_ptr_equal(call_put(got, &as_form), got + as_form.impl.len);
        assert_ptr_equal(
            call_put(expected, &as_words), expected + as_form.impl.len);
        assert_memory_equal(got, expected, as_form.impl.len);
        free(got);
        free(expected);
    }
}

static void
a_script_with_its_body_is_as_long_as_it_is_written(void **state)
{
    const struct slice words[] = {SLICE("k"), SLICE("v")};
    struct redis_script script;
    struct redis_call call = {0};
    char *got;

    (void)state;
    redis_script_init(&script, "return redis.call('SET', KEYS[1], ARGV[1])");
    call_init(&call);
    call_set_script(&call, &script, words, 1, 2);
    assert_true(call_use_body(&call));
    got = malloc(call.impl.len);
    assert_ptr_equal(call_put(got, &call), got + call.impl.len);
    free(got);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_is_what_hiredis_would_write),
        cmocka_unit_test(a_form_of_a_key_is_written_like_its_words),
        cmocka_unit_test(a_script_with_its_body_is_as_long_as_it_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
