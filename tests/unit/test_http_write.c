/* Writers: what they write, and that they never write half of it. */
#include "nearside/http/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stddef.h>

#include <cmocka.h>

static void
write_all(struct writer *w)
{
    write_request_line(w, SLICE("GET"), SLICE("/a?b"));
    write_status_line(w, 200);
    write_status_line(w, 299);
    write_field(w, SLICE("X-Own"), SLICE("a b"));
    write_field(w, SLICE("Empty"), slice_of(NULL, 0));
    write_field_u64(w, SLICE("Age"), 0);
    write_field_u64(w, SLICE("Big"), UINT64_MAX);
    write_field_lower(w, SLICE("X-LOW_er!"), SLICE("Va Lue"));
    write_u64(w, 1234567890);
    write_end(w);
}

static const char wanted[] = "GET /a?b HTTP/1.1\r\n"
                             "HTTP/1.1 200 OK\r\n"
                             "HTTP/1.1 299 \r\n"
                             "X-Own: a b\r\n"
                             "Empty: \r\n"
                             "Age: 0\r\n"
                             "Big: 18446744073709551615\r\n"
                             "x-low_er!: Va Lue\r\n"
                             "1234567890\r\n";

static void
what_is_written_is_what_was_meant(void **state)
{
    char out[512];
    struct writer w = writer_of(out, sizeof(out));

    (void)state;
    write_all(&w);
    assert_false(w.is_full);
    assert_true(slice_eq(writer_slice(&w), SLICE(wanted)));
}

static void
a_full_writer_holds_whole_writes_and_takes_no_more(void **state)
{
    /* All but one write are lines; the number stands before the last CRLF. */
    const size_t after_number = sizeof(wanted) - 1 - 2;

    (void)state;
    for (size_t cap = 0; cap <= sizeof(wanted) - 1; cap++) {
        char out[512];
        struct writer w = writer_of(out, cap);
        memset(out, '~', sizeof(out));
        write_all(&w);
        assert_int_equal(w.is_full, cap < sizeof(wanted) - 1);
        assert_true(w.len <= cap);
        assert_memory_equal(out, wanted, w.len);
        assert_int_equal(out[cap], '~');
        if (w.is_full && w.len > 0) {
            assert_true(out[w.len - 1] == '\n' || w.len == after_number);
        }
    }
}

static void
a_writer_once_full_stays_full(void **state)
{
    char out[4];
    struct writer w = writer_of(out, sizeof(out));

    (void)state;
    write_slice(&w, SLICE("12345"));
    assert_true(w.is_full);
    write_slice(&w, SLICE("1"));
    assert_int_equal(w.len, 0);
}

static void
a_status_has_its_registered_phrase(void **state)
{
    (void)state;
    assert_true(slice_eq(status_reason(200), SLICE("OK")));
    assert_true(slice_eq(status_reason(404), SLICE("Not Found")));
    assert_true(
        slice_eq(status_reason(431), SLICE("Request Header Fields Too Large")));
    assert_true(slice_eq(status_reason(504), SLICE("Gateway Timeout")));
    assert_int_equal(status_reason(299).len, 0);
    assert_int_equal(status_reason(0).len, 0);
}

/* RFC 9110 15 */
static void
every_status_line_is_its_number_and_phrase(void **state)
{
    (void)state;
    for (unsigned status = 100; status <= 599; status++) {
        struct slice reason = status_reason(status);
        char text[64], want[64];
        struct writer w = writer_of(text, sizeof(text));
        write_status_line(&w, status);
        snprintf(want, sizeof(want), "HTTP/1.1 %u %.*s\r\n", status,
            SLICE_FMT(reason));
        assert_true(slice_eq(writer_slice(&w), slice_of_str(want)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_what_was_meant),
        cmocka_unit_test(a_full_writer_holds_whole_writes_and_takes_no_more),
        cmocka_unit_test(a_writer_once_full_stays_full),
        cmocka_unit_test(a_status_has_its_registered_phrase),
        cmocka_unit_test(every_status_line_is_its_number_and_phrase),
    };

    return cmocka_run_group_tests_name("http write", tests, NULL, NULL);
}
