/* Known names, looking fields up, and what ends at this hop. */
#include "nearside/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/http_names.h"

static void
every_known_name_is_known_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct slice name = field_name_of((enum field_id)id);
        char upper[64];
        assert_true(name.len > 0 && name.len < sizeof(upper));
        for (size_t i = 0; i < name.len; i++) {
            char c = name.ptr[i];
            assert_int_equal(c, ascii_lower(c));
            upper[i] = c >= 'a' ? (char)(c - 0x20) : c;
        }
        assert_int_equal(field_id_of(name), id);
        assert_int_equal(field_id_of(slice_of(upper, name.len)), id);
    }
}

static void
a_name_one_byte_off_is_not_known(void **state)
{
    (void)state;
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct slice name = field_name_of((enum field_id)id);
        char other[64];
        for (size_t i = 0; i < name.len; i++) {
            for (int c = 0; c < 256; c++) {
                struct slice near = {other, name.len};
                memcpy(other, name.ptr, name.len);
                other[i] = (char)c;
                if (!slice_ieq(near, name)) {
                    assert_int_not_equal(field_id_of(near), id);
                }
            }
        }
        memcpy(other, name.ptr, name.len);
        other[name.len] = 's';
        assert_int_not_equal(field_id_of(slice_of(other, name.len + 1)), id);
        assert_int_not_equal(field_id_of(slice_of(other, name.len - 1)), id);
    }
    assert_int_equal(field_id_of(slice_of(NULL, 0)), FIELD_OTHER);
}

static void
fields_are_found_in_the_order_they_came(void **state)
{
    const struct head *h = given_response("Via: 1\r\nX-Own: a\r\nvia: 2\r\n"
                                          "x-own: b\r\nVIA: 3\r\n");
    const struct field *f = head_find(h, FIELD_VIA);

    (void)state;
    assert_ptr_equal(f, &h->fields[0]);
    f = head_find_next(h, f);
    assert_ptr_equal(f, &h->fields[2]);
    f = head_find_next(h, f);
    assert_ptr_equal(f, &h->fields[4]);
    assert_null(head_find_next(h, f));
    f = head_find_name(h, SLICE("X-OWN"));
    assert_ptr_equal(f, &h->fields[1]);
    f = head_find_next(h, f);
    assert_ptr_equal(f, &h->fields[3]);
    assert_null(head_find_next(h, f));
    assert_ptr_equal(head_find_name(h, SLICE("vIA")), &h->fields[0]);
    assert_null(head_find(h, FIELD_AGE));
    assert_null(head_find_name(h, SLICE("x-other")));
    assert_true(head_has(h, FIELD_VIA));
    assert_false(head_has(h, FIELD_AGE));
    assert_false(head_has(h, FIELD_OTHER));
}

static void
fields_of_this_hop_end_here_and_others_go_on(void **state)
{
    static const struct {
        const char *fields; /* the first one is asked for */
        bool is_hop_by_hop;
    } rows[] = {
        {"Connection: close\r\n", true},
        {"Keep-Alive: timeout=5\r\n", true},
        {"TE: trailers\r\n", true},
        {"Trailer: x\r\n", true},
        {"Transfer-Encoding: chunked\r\n", true},
        {"Upgrade: h2c\r\n", true},
        {"Proxy-Connection: keep-alive\r\n", true},
        {"Proxy-Authenticate: x\r\n", true},
        {"Proxy-Authorization: x\r\n", true},
        {"HTTP2-Settings: x\r\n", true},
        {"Via: 1.1 a\r\n", false},
        {"X-Own: a\r\n", false},
        {"X-Own: a\r\nConnection: x-other, x-own2\r\n", false},
        {"X-Own: a\r\nConnection: close,\tX-OWN \r\n", true},
        {"X-Own: a\r\nConnection: close\r\nConnection: x-own\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct head *h = given_response(rows[i].fields);
        if (head_is_hop_by_hop(h, &h->fields[0]) != rows[i].is_hop_by_hop) {
            fail_msg("%s", rows[i].fields);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_known_in_any_case),
        cmocka_unit_test(a_name_one_byte_off_is_not_known),
        cmocka_unit_test(fields_are_found_in_the_order_they_came),
        cmocka_unit_test(fields_of_this_hop_end_here_and_others_go_on),
    };

    return cmocka_run_group_tests_name("http head", tests, NULL, NULL);
}
