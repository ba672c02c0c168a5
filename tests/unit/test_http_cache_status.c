/* Cache-Status (RFC 9211). */
#include "nearside/http/cache_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/structured_read.h"
#include "nearside/base/check.h"

#define NAME .name = {"near", 4}

/* RFC 9211 2, 3 */
static void
a_member_says_what_is_known_in_a_valid_list(void **state)
{
    static const struct {
        struct cache_status status;
        const char *want;
    } rows[] = {
        {{NAME}, "near"},
        {{NAME, .is_hit = true}, "near; hit"},
        {{NAME, .is_hit = true, .has_ttl = true, .ttl_s = 376},
            "near; hit; ttl=376"},
        {{NAME, .is_hit = true, .has_ttl = true, .ttl_s = -412},
            "near; hit; ttl=-412"},
        {{NAME, .has_ttl = true}, "near; ttl=0"},
        {{NAME, .ttl_s = 5}, "near"},
        {{NAME, .fwd = CACHE_FWD_URI_MISS}, "near; fwd=uri-miss"},
        {{NAME, .fwd = CACHE_FWD_STALE, .fwd_status = 304},
            "near; fwd=stale; fwd-status=304"},
        {{NAME, .fwd = CACHE_FWD_URI_MISS, .is_stored = true,
             .is_collapsed = true},
            "near; fwd=uri-miss; stored; collapsed"},
        /* Without fwd these mean nothing (2.3, 2.5, 2.6). */
        {{NAME, .is_hit = true, .fwd_status = 304, .is_stored = true,
             .is_collapsed = true},
            "near; hit"},
        {{NAME, .key = {"GET http://a/\"b\"", 16}},
            "near; key=\"GET http://a/\\\"b\\\"\""},
        {{NAME, .detail = {"memory", 6}}, "near; detail=memory"},
        {{NAME, .detail = {"two words", 9}}, "near; detail=\"two words\""},
        {{NAME, .detail = {"404", 3}}, "near; detail=\"404\""},
        {{.name = {"Near Side", 9}, .is_hit = true}, "\"Near Side\"; hit"},
        {{.name = {"10.0.0.1", 8}, .is_hit = true}, "\"10.0.0.1\"; hit"},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct writer w = writer_of(text, sizeof(text));
        struct slice line;
        cache_status_write_line(&w, &rows[i].status);
        line = writer_slice(&w);
        assert_true(slice_starts(line, SLICE("cache-status: ")));
        line = slice_skip(line, strlen("cache-status: "));
        assert_memory_equal(line.ptr + line.len - 2, "\r\n", 2);
        line.len -= 2;
        assert_slice(line, rows[i].want);
        assert_true(sf_is_item(line));
    }
}

/* RFC 9211 2.2 */
static void
every_reason_to_go_forward_has_its_token(void **state)
{
    static const char *const want[] = {
        "", "bypass", "method", "uri-miss", "vary-miss", "request", "stale"};

    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(want); i++) {
        const struct cache_status status = {NAME, .fwd = (enum cache_fwd)i};
        char text[64], line[64];
        struct writer w = writer_of(text, sizeof(text));
        snprintf(line, sizeof(line), "cache-status: near; fwd=%s\r\n", want[i]);
        cache_status_write_line(&w, &status);
        assert_slice(writer_slice(&w), line);
    }
}

static void
a_line_is_there_whole_or_not_at_all(void **state)
{
    const struct cache_status status = {NAME, .is_hit = true};
    const char *const want = "cache-status: near; hit\r\n";
    char text[64];
    struct writer w;

    (void)state;
    w = writer_of(text, strlen(want));
    cache_status_write_line(&w, &status);
    assert_slice(writer_slice(&w), want);
    for (size_t cap = 0; cap < strlen(want); cap++) {
        w = writer_of(text, cap);
        cache_status_write_line(&w, &status);
        assert_true(w.is_full);
        assert_int_equal(w.len, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_says_what_is_known_in_a_valid_list),
        cmocka_unit_test(every_reason_to_go_forward_has_its_token),
        cmocka_unit_test(a_line_is_there_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("http cache_status", tests, NULL, NULL);
}
