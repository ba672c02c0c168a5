/* Redirections and other error replies: good ones, odd ones, hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "nearside/redis/redirect.h"

static const struct {
    const char *text;
    unsigned slot;
    const char *host;
    unsigned port;
} good[] = {
    {"MOVED 3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381},
    {"ASK 0 127.0.0.1:1", 0, "127.0.0.1", 1},
    {"MOVED 16383 redis-3.example.com:65535", 16383, "redis-3.example.com",
        65535},
    {"MOVED 1 2001:db8::1:6379", 1, "2001:db8::1", 6379},
    {"MOVED 1 [2001:db8::1]:6379", 1, "2001:db8::1", 6379},
    {"MOVED 1 ::1:6379", 1, "::1", 6379},
    {"MOVED 1 :6379", 1, "", 6379}, /* the sender's own host */
};

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10

static const struct {
    const char *text;
    size_t len; /* 0: strlen */
} bad[] = {
    {"", 0},
    {"MOVED", 0},
    {"MOVED ", 0},
    {"MOVED 1", 0},
    {"MOVED 1 ", 0},
    {"MOVED 16384 127.0.0.1:6379", 0},
    {"MOVED 99999 127.0.0.1:6379", 0},
    {"MOVED -1 127.0.0.1:6379", 0},
    {"MOVED +1 127.0.0.1:6379", 0},
    {"MOVED 1x 127.0.0.1:6379", 0},
    {"MOVED __proto__ 127.0.0.1:6379", 0},
    {"MOVED 18446744073709551617 127.0.0.1:6379", 0},
    {"MOVED 1 127.0.0.1", 0},
    {"MOVED 1 127.0.0.1:", 0},
    {"MOVED 1 127.0.0.1:0", 0},
    {"MOVED 1 127.0.0.1:65536", 0},
    {"MOVED 1 127.0.0.1:-1", 0},
    {"MOVED 1 127.0.0.1:6379 more", 0},
    {"MOVED 1 127.0.0.1:6379\n", 0},
    {"MOVED  1 127.0.0.1:6379", 0},
    {"MOVED 1  127.0.0.1:6379", 0},
    {"MOVED 1 ?:6379", 0},
    {"MOVED 1 a b:6379", 0},
    {"MOVED 1 a\0b:6379", 16},
    {"MOVED 1 a\x80:6379", 0},
    {"MOVED 1 " X50 X50 X50 X50 X50 X50 ":6379", 0},
    {"moved 1 127.0.0.1:6379", 0},
    {"MOVEDX 1 127.0.0.1:6379", 0},
    {"ERR 1 127.0.0.1:6379", 0},
};

static void
redirection_names_slot_host_and_port(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct redirect to;

        assert_int_equal(
            redirect_parse(slice_of_str(good[i].text), &to), RC_OK);
        assert_int_equal(to.slot, good[i].slot);
        assert_int_equal(to.port, good[i].port);
        assert_true(slice_eq(to.host, slice_of_str(good[i].host)));
    }
}

static void
hostile_redirection_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t len = bad[i].len > 0 ? bad[i].len : strlen(bad[i].text);
        struct redirect to = {.slot = 7};

        if (redirect_parse(slice_of(bad[i].text, len), &to) != RC_BAD) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_int_equal(to.slot, 7);
    }
}

static void
cut_redirection_is_none_or_names_less(void **state)
{
    struct slice whole = SLICE("MOVED 3999 127.0.0.1:6381");

    (void)state;
    for (size_t n = 0; n < whole.len - 3; n++) {
        struct redirect to;

        assert_int_equal(redirect_parse(slice_of(whole.ptr, n), &to), RC_BAD);
    }
}

static void
error_is_known_by_its_first_word(void **state)
{
    (void)state;
#define REDIS_ERROR_WORD(WORD, name)                                           \
    if (REDIS_ERROR_##WORD != REDIS_ERROR_OTHER) {                             \
        assert_int_equal(                                                      \
            redis_error_of(SLICE(#WORD " and more")), REDIS_ERROR_##WORD);     \
        assert_int_equal(redis_error_of(SLICE(#WORD)), REDIS_ERROR_##WORD);    \
        assert_int_equal(redis_error_of(SLICE(#WORD "X")), REDIS_ERROR_OTHER); \
    }                                                                          \
    assert_string_equal(redis_error_name(REDIS_ERROR_##WORD), name);
#include "nearside/redis/error.def"
#undef REDIS_ERROR_WORD
    assert_int_equal(redis_error_of(SLICE("")), REDIS_ERROR_OTHER);
    assert_int_equal(redis_error_of(SLICE("ERR x")), REDIS_ERROR_OTHER);
    assert_int_equal(redis_error_of(SLICE("OTHER")), REDIS_ERROR_OTHER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirection_names_slot_host_and_port),
        cmocka_unit_test(hostile_redirection_is_none),
        cmocka_unit_test(cut_redirection_is_none_or_names_less),
        cmocka_unit_test(error_is_known_by_its_first_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
