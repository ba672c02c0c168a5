/* Buffers: bytes go in at the end, out at the front, never above max. */
#include "nearside/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A queue of numbered bytes, so that an order broken by sliding shows. */
static void
bytes_come_out_in_the_order_they_went_in(void **state)
{
    struct buf b;
    unsigned char next_in = 0;
    unsigned char next_out = 0;

    (void)state;
    buf_init(&b, 1500);
    for (size_t round = 0; round < 2000; round++) {
        for (size_t i = 0; i < round % 13; i++) {
            char c = (char)next_in;
            if (buf_append(&b, slice_of(&c, 1)) == RC_OK) {
                next_in++;
            }
        }
        for (size_t i = 0; i < round % 11 && buf_len(&b) > 0; i++) {
            assert_int_equal((unsigned char)buf_slice(&b).ptr[0], next_out);
            next_out++;
            buf_consume(&b, 1);
        }
    }
    assert_int_equal(buf_len(&b) % 256, (unsigned char)(next_in - next_out));
    buf_fini(&b);
}

static void
max_is_reached_and_never_passed(void **state)
{
    struct buf b;
    char bytes[1001] = {0};

    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(buf_append(&b, slice_of(bytes, 1001)), RC_LIMIT);
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(buf_append(&b, slice_of(bytes, 1000)), RC_OK);
    assert_int_equal(buf_append(&b, slice_of(bytes, 1)), RC_LIMIT);
    assert_null(buf_reserve(&b, 1));
    assert_int_equal(buf_len(&b), 1000);
    buf_consume(&b, 1);
    assert_int_equal(buf_append(&b, slice_of(bytes, 1)), RC_OK);
    assert_true(b.cap <= 1000);
    buf_fini(&b);
}

static void
reserved_bytes_count_when_committed(void **state)
{
    struct buf b;
    char *p;

    (void)state;
    buf_init(&b, 1000);
    p = buf_reserve(&b, 600);
    assert_non_null(p);
    memcpy(p, "abc", 3);
    assert_int_equal(buf_len(&b), 0);
    buf_commit(&b, 3);
    assert_true(slice_eq(buf_slice(&b), SLICE("abc")));
    buf_fini(&b);
}

static void
printf_appends_text(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 20);
    assert_int_equal(buf_printf(&b, "%s=%d", "a", 1), RC_OK);
    assert_int_equal(buf_printf(&b, "%s", ""), RC_OK);
    assert_int_equal(buf_printf(&b, ";%05d", 42), RC_OK);
    assert_true(slice_eq(buf_slice(&b), SLICE("a=1;00042")));
    assert_int_equal(buf_printf(&b, "%20d", 1), RC_LIMIT);
    assert_true(slice_eq(buf_slice(&b), SLICE("a=1;00042")));
    buf_fini(&b);
}

static void
a_trimmed_buffer_holds_no_memory_when_empty(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(buf_append(&b, SLICE("ab")), RC_OK);
    buf_trim(&b);
    assert_true(slice_eq(buf_slice(&b), SLICE("ab")));
    buf_consume(&b, 2);
    assert_non_null(b.data);
    buf_trim(&b);
    assert_null(b.data);
    assert_true(slice_eq(buf_slice(&b), SLICE("")));
    assert_int_equal(buf_append(&b, SLICE("cd")), RC_OK);
    buf_clear(&b);
    assert_int_equal(buf_len(&b), 0);
    buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(max_is_reached_and_never_passed),
        cmocka_unit_test(reserved_bytes_count_when_committed),
        cmocka_unit_test(printf_appends_text),
        cmocka_unit_test(a_trimmed_buffer_holds_no_memory_when_empty),
    };

    return cmocka_run_group_tests_name("base.buf", tests, NULL, NULL);
}
