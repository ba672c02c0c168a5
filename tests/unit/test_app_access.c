/* Access lines: what they show, what they escape, where they are cut. */
#include "heap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "nearside/app/access.h"
#include "nearside/base/check.h"
#include "nearside/base/log.h"

enum {
    LINE_MAX_TAKEN = 64 * 1024,
};

/* Monday, 23 November 2026, 03:12:37.042 UTC */
#define WHEN_MS      INT64_C(1795403557042)
#define WHEN         "[23/Nov/2026:03:12:37 +0000]"
#define BROWSER      "Mozilla/5.0 (X11)"
#define ROUTE        "/products/:id"
#define USUAL        "cache=hit tier=shared route=\"" ROUTE "\" time=0.000213"
#define FAR_TOO_LONG 20000 /* bytes; beyond every maximum */

static struct address
address_given(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_of_str(text), &a), RC_OK);
    return a;
}

/* A hit like a thousand others; each case changes what it is about. */
static struct request_access
usual(void)
{
    return (struct request_access){
        .wall_ms = WHEN_MS,
        .took_us = 213,
        .peer = address_given("192.0.2.1:40000"),
        .method = SLICE("GET"),
        .target = SLICE("/products/42"),
        .version = SLICE("HTTP/1.1"),
        .host = SLICE("shop.example"),
        .referer = SLICE("https://a.example/?q=1"),
        .user_agent = SLICE(BROWSER),
        .status = 200,
        .bytes = 43,
        .route = SLICE(ROUTE),
        .result = "hit",
        .tier = "shared",
    };
}

/* Makes one line with `make` and gives what came out of the log, its
   newline included; good until the next call. */
static const char *
line_of(request_access_fn make, const struct request_access *access)
{
    static char text[LINE_MAX_TAKEN];
    char path[] = "/tmp/nearside-access-XXXXXX";
    int fd = mkstemp(path);
    const struct log_opts opts = {
        .events = {.target = LOG_TARGET_NONE},
        .access = {.target = LOG_TARGET_FILE, .path = path},
        .rate_max = 20,
    };
    struct log *log;
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(log_open(&opts, &log, NULL), RC_OK);
    make(log_ring_new(log), access);
    log_close(&log);
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    unlink(path);
    return text;
}

static const char *
filled(char c)
{
    static char text[FAR_TOO_LONG + 1];

    memset(text, c, FAR_TOO_LONG);
    text[FAR_TOO_LONG] = '\0';
    return text;
}

/* --- combined ------------------------------------------------------------ */

struct combined_case {
    const char *claim;
    void (*change)(struct request_access *access);
    const char *line; /* without its newline */
};

static void
nothing(struct request_access *a)
{
    (void)a;
}

static void
nothing_known(struct request_access *a)
{
    *a = (struct request_access){.version = SLICE("HTTP/1.1"), .status = 400};
}

static void
client_left(struct request_access *a)
{
    a->status = 0;
    a->bytes = 0;
    a->result = "gone";
    a->tier = "-";
}

static void
has_detail(struct request_access *a)
{
    a->detail = "LF without CR before it";
}

static void
over_v6(struct request_access *a)
{
    a->peer = address_given("[2001:db8::1]:443");
}

static void
over_unix(struct request_access *a)
{
    a->peer = address_given("unix:/run/a.sock");
}

static void
widest_v4(struct request_access *a)
{
    a->peer = address_given("255.100.10.0:1");
}

static void
has_query(struct request_access *a)
{
    a->target = SLICE("/products/42?currency=EUR&q=%20");
}

static void
old_version(struct request_access *a)
{
    a->version = SLICE("HTTP/1.0");
}

static void
hostile_target(struct request_access *a)
{
    a->target = SLICE("/a\r\nb\" 200 \\x\x7f\0\xff\t");
}

static void
hostile_fields(struct request_access *a)
{
    a->referer = SLICE("\x1b[31m\" \"");
    a->user_agent = SLICE("caf\xc3\xa9");
    a->route = SLICE("/\"x\"");
    a->method = SLICE("\"G");
}

static void
long_and_big(struct request_access *a)
{
    a->took_us = INT64_C(3600000001);
    a->bytes = UINT64_MAX;
}

static void
was_queued(struct request_access *a)
{
    a->queued_us = 200;
}

static void
clock_stepped(struct request_access *a)
{
    a->took_us = -5;
    a->wall_ms = -1;
}

static void
clock_far_ahead(struct request_access *a)
{
    a->wall_ms = INT64_MAX;
}

#define REFERER "\"https://a.example/?q=1\""
#define AGENT   "\"" BROWSER "\""
#define GET     "\"GET /products/42 HTTP/1.1\""
#define TAIL    " 200 43 " REFERER " " AGENT " " USUAL

static const struct combined_case combined_cases[] = {
    {"the usual line", nothing, "192.0.2.1 - - " WHEN " " GET TAIL},
    {"absent is a dash", nothing_known,
        "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\" cache=- "
        "tier=- route=\"-\" time=0.000000"},
    {"a client that left is a 499", client_left,
        "192.0.2.1 - - " WHEN " " GET " 499 0 " REFERER " " AGENT
        " cache=gone tier=- route=\"" ROUTE "\" time=0.000213"},
    {"a detail stands last", has_detail,
        "192.0.2.1 - - " WHEN " " GET TAIL
        " detail=\"LF without CR before it\""},
    {"who waited for a connection says how long", was_queued,
        "192.0.2.1 - - " WHEN " " GET TAIL " queued=0.000200"},
    {"IPv6 has no brackets", over_v6, "2001:db8::1 - - " WHEN " " GET TAIL},
    {"a unix peer has no address", over_unix, "unix: - - " WHEN " " GET TAIL},
    {"all widths of IPv4", widest_v4, "255.100.10.0 - - " WHEN " " GET TAIL},
    {"a query stays", has_query,
        "192.0.2.1 - - " WHEN
        " \"GET /products/42?currency=EUR&q=%20 HTTP/1.1\"" TAIL},
    {"the version is the client's", old_version,
        "192.0.2.1 - - " WHEN " \"GET /products/42 HTTP/1.0\"" TAIL},
    {"a target cannot end line or quotes", hostile_target,
        "192.0.2.1 - - " WHEN " \"GET "
        "/a\\x0d\\x0ab\\x22 200 \\x5cx\\x7f\\x00\\xff\\x09 HTTP/1.1\"" TAIL},
    {"nor can a field, a route or a method", hostile_fields,
        "192.0.2.1 - - " WHEN " \"\\x22G /products/42 HTTP/1.1\" 200 43 "
        "\"\\x1b[31m\\x22 \\x22\" \"caf\\xc3\\xa9\" cache=hit tier=shared "
        "route=\"/\\x22x\\x22\" time=0.000213"},
    {"an hour and the largest body", long_and_big,
        "192.0.2.1 - - " WHEN " " GET " 200 18446744073709551615 " REFERER
        " " AGENT " cache=hit tier=shared route=\"" ROUTE
        "\" time=3600.000001"},
    {"a clock before its beginning", clock_stepped,
        "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] " GET " 200 43 " REFERER
        " " AGENT " cache=hit tier=shared route=\"" ROUTE "\" time=0.000000"},
    {"a clock beyond dates", clock_far_ahead,
        "192.0.2.1 - - [31/Dec/9999:23:59:59 +0000] " GET TAIL},
};

static void
combined_line_is_as_its_case_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(combined_cases); i++) {
        const struct combined_case *c = &combined_cases[i];
        struct request_access access = usual();
        char want[1024];

        c->change(&access);
        snprintf(want, sizeof(want), "%s\n", c->line);
        print_message("  %s\n", c->claim);
        assert_string_equal(line_of(access_combined, &access), want);
    }
}

/* Each by itself, wherever it stands: nothing beside it sends the text on the
   careful way. */
static void
combined_line_escapes_every_byte_that_is_not_plain(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * 256; i++) {
        unsigned char byte = (unsigned char)(i / 3);
        unsigned at = i % 3;
        bool is_plain =
            byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        char target[] = "/xz";
        struct request_access access = usual();
        char shown[8];
        char want[512];

        target[at] = (char)byte;
        access.target = slice_of(target, 3);
        snprintf(shown, sizeof(shown), is_plain ? "%c" : "\\x%02x", byte);
        snprintf(want, sizeof(want),
            "192.0.2.1 - - " WHEN " \"GET %.*s%s%s HTTP/1.1\"" TAIL "\n",
            (int)at, target, shown, target + at + 1);
        assert_string_equal(line_of(access_combined, &access), want);
    }
}

/* Every part at its worst at once: the line keeps its shape and its end. */
static void
combined_line_holds_all_parts_at_their_longest(void **state)
{
    static const char fills[] = {'a', '"', '\0', '\xff'};
    static char words[FAR_TOO_LONG];

    (void)state;
    for (size_t i = 0; i < sizeof(fills); i++) {
        const struct slice text = slice_of(filled(fills[i]), FAR_TOO_LONG);
        struct request_access access = usual();
        const char *line;

        access.method = access.target = access.host = text;
        access.referer = access.user_agent = access.route = text;
        memset(words, '\xff', sizeof(words) - 1);
        access.detail = access.result = access.tier = access.fault = words;
        access.bytes = UINT64_MAX;
        access.took_us = INT64_MAX;
        access.queued_us = INT64_MAX;
        access.peer = address_given("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:"
                                    "ffff]:1");
        line = line_of(access_combined, &access);
        assert_true(strlen(line) < 6 * 1024);
        assert_non_null(strstr(line, "... HTTP/1.1\" 200 1844674407370955"));
        assert_non_null(strstr(line, "...\" time=9223372036854.775807 "
                                     "queued=9223372036854.775807 det"));
        assert_string_equal(line + strlen(line) - 5, "...\"\n");
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    }
}

/* How many in a row of the first character that stands there thrice. */
static size_t
run_of(const char *line, char c)
{
    const char thrice[] = {c, c, c, '\0'};
    const char *at = strstr(line, thrice);

    return at == NULL ? 0 : strspn(at, thrice);
}

static const struct {
    const char *name;
    size_t offset; /* of a slice; of a word when `is_word` */
    size_t size;   /* of which the text may have all but one */
    bool is_word;
} parts[] = {
#define PART(name, size)                                                       \
    {                                                                          \
#name, offsetof(struct request_access, name), size, 0                  \
    }
#define WORD(name)                                                             \
    {                                                                          \
#name, offsetof(struct request_access, name), 128, 1                   \
    }
    PART(method, 64),
    PART(target, 2048),
    PART(version, 32),
    PART(host, 256),
    PART(referer, 1024),
    PART(user_agent, 512),
    PART(route, 256),
    WORD(result),
    WORD(tier),
    WORD(detail),
    WORD(fault),
#undef WORD
#undef PART
};

/* The line with that part so long. */
static const char *
line_with(request_access_fn make, size_t part, size_t len)
{
    struct request_access access = usual();
    char *at = (char *)&access + parts[part].offset;
    static char word[FAR_TOO_LONG];

    access.fault = "timeout"; /* else no host is shown */
    memset(word, 'Q', len);
    word[len] = '\0';
    if (parts[part].is_word) {
        const char *text = word;

        memcpy(at, &text, sizeof(text));
    } else {
        const struct slice text = slice_of(word, len);

        memcpy(at, &text, sizeof(text));
    }
    return line_of(make, &access);
}

/* Around the maximum: whole up to it, cut with dots from there on. */
static void
each_part_is_cut_at_its_maximum_and_not_before(void **state)
{
    static const request_access_fn makes[] = {access_combined, access_json};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts) * ARRAY_LEN(makes); i++) {
        request_access_fn make = makes[i % ARRAY_LEN(makes)];
        size_t part = i / ARRAY_LEN(makes);
        size_t size = parts[part].size;
        const char *line = line_with(make, part, size - 1);

        print_message("  %s\n", parts[part].name);
        assert_int_equal(run_of(line, 'Q'), size - 1);
        assert_null(strstr(line, "Q..."));
        for (size_t more = 0; more < 3; more++) {
            line = line_with(make, part, size + more);
            assert_int_equal(run_of(line, 'Q'), size - 4);
            assert_non_null(strstr(line, "Q..."));
        }
    }
}

/* --- JSON ---------------------------------------------------------------- */

/* The line as an object; it must be one line of ASCII. */
static json_t *
json_of(const struct request_access *access)
{
    const char *line = line_of(access_json, access);
    size_t len = strlen(line);
    json_error_t error;
    json_t *object;

    assert_true(len > 2 && line[len - 1] == '\n');
    for (size_t i = 0; i < len - 1; i++) {
        assert_true(line[i] >= 0x20 && line[i] < 0x7f);
    }
    object = json_loads(line, JSON_ALLOW_NUL, &error);
    if (object == NULL) {
        fail_msg("%s: %s", error.text, line);
    }
    return object;
}

static void
assert_text(const json_t *object, const char *name, struct slice want)
{
    const json_t *value = json_object_get(object, name);

    assert_true(json_is_string(value));
    assert_int_equal(json_string_length(value), want.len);
    assert_memory_equal(json_string_value(value), want.ptr, want.len);
}

static void
json_line_shows_all_that_is_known(void **state)
{
    struct request_access access = usual();

    (void)state;
    access.detail = "negative";
    access.queued_us = 17;
    assert_string_equal(line_of(access_json, &access),
        "{\"time\":\"2026-11-23T03:12:37.042Z\",\"client\":\"192.0.2.1\","
        "\"method\":\"GET\",\"target\":\"/products/42\","
        "\"version\":\"HTTP/1.1\",\"host\":\"shop.example\",\"status\":200,"
        "\"bytes\":43,\"referer\":\"https://a.example/?q=1\","
        "\"user_agent\":\"" BROWSER "\",\"route\":\"" ROUTE "\","
        "\"cache\":\"hit\",\"tier\":\"shared\",\"detail\":\"negative\","
        "\"fault\":null,\"queued\":0.000017,\"seconds\":0.000213}\n");
}

static void
json_seconds_are_shown_as_microseconds_count_them(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {1, "\"seconds\":0.000001}\n"},
        {21, "\"seconds\":0.000021}\n"},
        {100000, "\"seconds\":0.100000}\n"},
        {1234567, "\"seconds\":1.234567}\n"},
        {3600000001, "\"seconds\":3600.000001}\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request_access access = usual();
        const char *line;

        access.took_us = cases[i].us;
        line = line_of(access_json, &access);
        assert_string_equal(strstr(line, "\"seconds\""), cases[i].text);
    }
}

static void
json_line_shows_null_for_what_is_absent(void **state)
{
    const struct request_access access = {.version = SLICE("HTTP/1.1")};

    (void)state;
    assert_string_equal(line_of(access_json, &access),
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"client\":null,"
        "\"method\":null,\"target\":null,\"version\":null,\"host\":null,"
        "\"status\":499,\"bytes\":0,\"referer\":null,\"user_agent\":null,"
        "\"route\":null,\"cache\":null,\"tier\":null,\"detail\":null,"
        "\"fault\":null,\"queued\":0.000000,\"seconds\":0.000000}\n");
}

/* As far as a date of four digits goes. */
static void
json_time_is_one_that_can_be(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {
        {-1, "{\"time\":\"1970-01-01T00:00:00.000Z\","},
        {999, "{\"time\":\"1970-01-01T00:00:00.999Z\","},
        {253402300799999, "{\"time\":\"9999-12-31T23:59:59.999Z\","},
        {253402300800000, "{\"time\":\"9999-12-31T23:59:59.000Z\","},
        {INT64_MAX, "{\"time\":\"9999-12-31T23:59:59.000Z\","},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request_access access = usual();
        const char *line;

        access.wall_ms = cases[i].wall_ms;
        line = line_of(access_json, &access);
        assert_memory_equal(line, cases[i].text, strlen(cases[i].text));
    }
}

static void
json_words_that_say_nothing_are_null(void **state)
{
    struct request_access access = usual();
    const char *line;

    (void)state;
    access.tier = "-";
    access.fault = "timeout";
    access.took_us = -5;
    access.queued_us = -5;
    line = line_of(access_json, &access);
    assert_non_null(
        strstr(line, "\"cache\":\"hit\",\"tier\":null,\"detail\":null,"
                     "\"fault\":\"timeout\",\"queued\":0.000000,"
                     "\"seconds\":0.000000}\n"));
}

static void
json_text_that_is_utf8_stays_what_it_is(void **state)
{
    static const struct slice texts[] = {
        SLICE("caf\xc3\xa9 \"quoted\" back\\slash"),
        SLICE("\xf0\x9f\x98\x80"),
        SLICE("a\r\n\x1b[0m"),
        SLICE("nul \0 within"),
        SLICE("\\xff"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct request_access access = usual();
        json_t *object;

        access.user_agent = access.target = texts[i];
        object = json_of(&access);
        assert_text(object, "user_agent", texts[i]);
        assert_text(object, "target", texts[i]);
        json_decref(object);
    }
}

static void
json_line_with_bytes_that_are_not_utf8_does_not_vanish(void **state)
{
    static const struct {
        struct slice text;
        struct slice want;
    } cases[] = {
        {SLICE("a\xff"), SLICE("a\\xff")},
        {SLICE("\xc0\x80"), SLICE("\\xc0\\x80")},          /* overlong */
        {SLICE("\xed\xa0\x80"), SLICE("\\xed\\xa0\\x80")}, /* surrogate */
        {SLICE("\xe2\x82"), SLICE("\\xe2\\x82")},          /* half */
        {SLICE("\x7f"), SLICE("\\x7f")}, /* UTF-8, but no log's */
        {SLICE("\"\xff\n"), SLICE("\\x22\\xff\\x0a")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request_access access = usual();
        json_t *object;

        access.target = access.referer = access.host = cases[i].text;
        object = json_of(&access);
        assert_text(object, "target", cases[i].want);
        assert_text(object, "referer", cases[i].want);
        assert_text(object, "host", cases[i].want);
        assert_text(object, "method", SLICE("GET"));
        json_decref(object);
    }
}

/* Whatever the length, the cut never leaves half a character. */
static void
json_text_is_cut_between_characters(void **state)
{
    static char euros[3 * 1000];

    (void)state;
    for (size_t i = 0; i < sizeof(euros); i++) {
        euros[i] = "\xe2\x82\xac"[i % 3];
    }
    for (size_t skip = 0; skip < 3; skip++) {
        struct request_access access = usual();
        const char *value;
        json_t *object;
        char text[3002];

        memset(text, 'x', 2);
        memcpy(text + 2, euros, sizeof(euros));
        access.user_agent = slice_of(text + skip, 2 - skip + sizeof(euros));
        if (skip > 1) {
            access.user_agent = slice_of(euros, sizeof(euros));
        }
        object = json_of(&access);
        value = json_string_value(json_object_get(object, "user_agent"));
        assert_true(strlen(value) > 505 && strlen(value) < 512);
        assert_string_equal(value + strlen(value) - 6, "\xe2\x82\xac...");
        json_decref(object);
    }
}

static void
json_line_holds_all_parts_at_their_longest(void **state)
{
    static const char fills[] = {'a', '"', '\0', '\x01', '\xff', '\x80'};

    (void)state;
    for (size_t i = 0; i < sizeof(fills); i++) {
        struct request_access access = usual();
        json_t *object;

        access.method = slice_of(filled(fills[i]), FAR_TOO_LONG);
        access.target = access.host = access.referer = access.method;
        access.user_agent = access.route = access.method;
        object = json_of(&access);
        assert_int_equal(json_object_size(object), 17);
        json_decref(object);
    }
}

/* Not even the block is wanted that holds it. */
static void
line_is_not_made_when_nobody_wants_it(void **state)
{
    const struct request_access access = usual();

    (void)state;
    access_combined(NULL, &access);
    heap_refuse(1, 0);
    access_json(NULL, &access);
    assert_false(heap_refused());
}

static void
json_line_that_there_is_no_memory_for_is_told(void **state)
{
    char path[] = "/tmp/nearside-access-XXXXXX";
    int fd = mkstemp(path);
    const struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = path},
        .access = {.target = LOG_TARGET_FILE, .path = path},
        .level = LOG_LEVEL_INFO,
        .rate_max = 20,
    };
    const struct request_access access = usual();
    char text[1024];
    struct log_ring *ring;
    struct log *log;
    ssize_t n;

    (void)state;
    assert_int_equal(log_open(&opts, &log, NULL), RC_OK);
    ring = log_ring_new(log);
    heap_refuse(1, 0);
    access_json(ring, &access);
    assert_true(heap_refused());
    log_close(&log);
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(
        strstr(text, " warn access_line_lost cause=\"out of memory\"\n"));
    assert_null(strstr(text, "\"time\""));
    close(fd);
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combined_line_is_as_its_case_says),
        cmocka_unit_test(combined_line_escapes_every_byte_that_is_not_plain),
        cmocka_unit_test(combined_line_holds_all_parts_at_their_longest),
        cmocka_unit_test(each_part_is_cut_at_its_maximum_and_not_before),
        cmocka_unit_test(json_line_shows_all_that_is_known),
        cmocka_unit_test(json_seconds_are_shown_as_microseconds_count_them),
        cmocka_unit_test(json_line_shows_null_for_what_is_absent),
        cmocka_unit_test(json_time_is_one_that_can_be),
        cmocka_unit_test(json_words_that_say_nothing_are_null),
        cmocka_unit_test(json_text_that_is_utf8_stays_what_it_is),
        cmocka_unit_test(
            json_line_with_bytes_that_are_not_utf8_does_not_vanish),
        cmocka_unit_test(json_text_is_cut_between_characters),
        cmocka_unit_test(json_line_holds_all_parts_at_their_longest),
        cmocka_unit_test(line_is_not_made_when_nobody_wants_it),
        cmocka_unit_test(json_line_that_there_is_no_memory_for_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
