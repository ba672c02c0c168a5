/* The password, and its file that is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nearside/base/check.h"
#include "redis/secret.h"

static void
put(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void
assert_is(struct secret *secret, const char *text)
{
    char out[REDIS_PASSWORD_MAX];
    size_t len = secret_get(secret, out);

    assert_true(slice_eq(slice_of(out, len), slice_of_str(text)));
}

static void
file_that_has_another_password_replaces_it(void **state)
{
    char path[] = "/tmp/nearside-secret-XXXXXX";
    const struct redis_opts opts = {.password = "first", .password_file = path};
    struct secret *secret = secret_new(&opts);

    (void)state;
    assert_is(secret, "first");
    close(mkstemp(path));
    put(path, "first\n", 6);
    assert_int_equal(secret_read(secret), RC_MISS);
    put(path, "second", 6);
    assert_int_equal(secret_read(secret), RC_OK);
    assert_is(secret, "second");
    assert_int_equal(secret_read(secret), RC_MISS);
    unlink(path);
    assert_int_equal(secret_read(secret), RC_IO);
    assert_is(secret, "second");
    secret_free(&secret);
    assert_null(secret);
    secret_free(&secret);
}

static void
file_that_is_not_one_line_leaves_the_password(void **state)
{
    static const struct slice wrong[] = {
        {"", 0}, {"\n", 1}, {"a\nb\n", 4}, {"a\n\n", 3}, {"a\0b\n", 4}};
    static char longest[REDIS_PASSWORD_MAX + 2];
    char path[] = "/tmp/nearside-secret-XXXXXX";
    const struct redis_opts opts = {.password_file = path};
    struct secret *secret = secret_new(&opts);

    (void)state;
    assert_is(secret, "");
    close(mkstemp(path));
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        put(path, wrong[i].ptr, wrong[i].len);
        assert_int_equal(secret_read(secret), RC_BAD);
        assert_is(secret, "");
    }
    memset(longest, 'x', sizeof(longest));
    put(path, longest, REDIS_PASSWORD_MAX + 1);
    assert_int_equal(secret_read(secret), RC_BAD);
    longest[REDIS_PASSWORD_MAX] = '\n';
    put(path, longest, REDIS_PASSWORD_MAX + 2);
    assert_int_equal(secret_read(secret), RC_BAD);
    put(path, longest, REDIS_PASSWORD_MAX + 1);
    assert_int_equal(secret_read(secret), RC_OK);
    longest[REDIS_PASSWORD_MAX] = '\0';
    assert_is(secret, longest);
    secret_free(&secret);
    unlink(path);
}

static void
password_without_a_file_stays(void **state)
{
    const struct redis_opts opts = {.password = "first"};
    struct secret *secret = secret_new(&opts);

    (void)state;
    assert_int_equal(secret_read(secret), RC_MISS);
    assert_is(secret, "first");
    secret_free(&secret);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_that_has_another_password_replaces_it),
        cmocka_unit_test(file_that_is_not_one_line_leaves_the_password),
        cmocka_unit_test(password_without_a_file_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
