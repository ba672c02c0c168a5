/* The command line: what is taken from it, and what is refused. */
#include "nearside/app/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    ARGS_MAX = 80,
};

/* Parses words parted by blanks; *out_told is freed by the caller. */
static enum rc
parse(const char *line, struct options *out, char **out_told)
{
    char *words = strdup(line);
    char *argv[ARGS_MAX + 1] = {words};
    int argc = 0;
    size_t len = 0;
    FILE *to = open_memstream(out_told, &len);
    enum rc rc;

    assert_non_null(words);
    assert_non_null(to);
    for (char *word = strtok(words, " "); word != NULL;
         word = strtok(NULL, " ")) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = word;
    }
    rc = options_parse(argc, argv, to, out);
    assert_int_equal(fclose(to), 0);
    free(words); /* what *out points to is not looked at */
    return rc;
}

static void
refuses(const char *line, const char *want)
{
    struct options o;
    char *told = NULL;

    assert_int_equal(parse(line, &o, &told), RC_BAD);
    assert_string_equal(told, want);
    free(told);
}

static void
every_option_is_taken(void **state)
{
    char *argv[] = {"nearside", "-c", "/a.conf", "--origin", "http://a:1",
        "--route", "/p/:id=5m", "--route=/q=1s", "--redis", "r1:1", "--redis",
        "r2:2", "--listen", "127.0.0.1:0", NULL};
    struct options o;

    (void)state;
    assert_int_equal(options_parse(14, argv, stderr, &o), RC_OK);
    assert_int_equal(o.action, OPTIONS_RUN);
    assert_string_equal(o.flags.path, "/a.conf");
    assert_string_equal(o.flags.origin, "http://a:1");
    assert_int_equal(o.flags.routes.count, 2);
    assert_string_equal(o.flags.routes.items[1], "/q=1s");
    assert_int_equal(o.flags.redis.count, 2);
    assert_string_equal(o.flags.redis.items[0], "r1:1");
    assert_int_equal(o.flags.listen.count, 1);
    assert_string_equal(o.flags.listen.items[0], "127.0.0.1:0");
}

static void
without_file_and_origin_the_usual_file_is_read(void **state)
{
    char *alone[] = {"nearside", NULL};
    char *origin[] = {"nearside", "--origin", "http://a", NULL};
    struct options o;

    (void)state;
    assert_int_equal(options_parse(1, alone, stderr, &o), RC_OK);
    assert_string_equal(o.flags.path, "/etc/nearside/nearside.conf");
    assert_int_equal(options_parse(3, origin, stderr, &o), RC_OK);
    assert_null(o.flags.path);
}

static void
check_help_and_version_are_actions(void **state)
{
    static char *const spelled[2][3] = {
        {"--check", "--help", "--version"}, {"-t", "-h", "-V"}};
    struct options o;

    (void)state;
    for (int i = 0; i < 2; i++) {
        char *check[] = {"nearside", spelled[i][0], "x", NULL};
        char *help[] = {"nearside", spelled[i][1], "--nonsense", NULL};
        char *version[] = {"nearside", spelled[i][2], NULL};

        assert_int_equal(options_parse(3, check, stderr, &o), RC_OK);
        assert_int_equal(o.action, OPTIONS_CHECK);
        assert_string_equal(o.flags.path, "x");
        assert_int_equal(options_parse(3, help, stderr, &o), RC_OK);
        assert_int_equal(o.action, OPTIONS_HELP);
        assert_int_equal(options_parse(2, version, stderr, &o), RC_OK);
        assert_int_equal(o.action, OPTIONS_VERSION);
    }
}

static void
ready_takes_an_address_alone(void **state)
{
    char *argv[] = {"nearside", "--ready", "127.0.0.1:1", NULL};
    struct options o;

    (void)state;
    assert_int_equal(options_parse(3, argv, stderr, &o), RC_OK);
    assert_int_equal(o.action, OPTIONS_READY);
    assert_string_equal(o.ready, "127.0.0.1:1");
    refuses("nearside --ready",
        "nearside: a value is missing after --ready; see nearside --help\n");
    for (int i = 0; i < 3; i++) {
        static const char *const with[] = {"-c a", "--origin a", "-t a"};
        char line[64];

        snprintf(line, sizeof(line), "nearside --ready a %s", with[i]);
        refuses(line, "nearside: --ready takes an address and nothing else; "
                      "see nearside --help\n");
    }
}

static void
a_mistake_is_told_in_one_line(void **state)
{
    (void)state;
    refuses("nearside --orgin x",
        "nearside: unknown option --orgin; see nearside --help\n");
    refuses("nearside -x", "nearside: unknown option -x; see nearside "
                           "--help\n");
    refuses("nearside -c", "nearside: a value is missing after -c; see "
                           "nearside --help\n");
    refuses("nearside -t", "nearside: a value is missing after -t; see "
                           "nearside --help\n");
    refuses("nearside --redis", "nearside: a value is missing after --redis; "
                                "see nearside --help\n");
    refuses("nearside --version=2",
        "nearside: no value is taken by --version=2; see nearside --help\n");
    refuses("nearside -c a -c b",
        "nearside: given twice: -c; see nearside --help\n");
    refuses("nearside --origin a --origin b",
        "nearside: given twice: --origin; see nearside --help\n");
    refuses("nearside -c a --check b",
        "nearside: given twice: -c or --check; see nearside --help\n");
    refuses("nearside --check a --listen b",
        "nearside: --check takes a file and nothing else; see nearside "
        "--help\n");
    refuses("nearside a.conf", "nearside: unexpected a.conf; see nearside "
                               "--help\n");
}

static void
a_repeated_option_has_a_maximum(void **state)
{
    char *argv[2 + OPTIONS_REPEAT_MAX + 1] = {"nearside"};
    struct options o;
    char *told = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&told, &len);

    (void)state;
    for (int i = 1; i <= OPTIONS_REPEAT_MAX + 1; i++) {
        argv[i] = "--redis=r:1";
    }
    assert_int_equal(
        options_parse(OPTIONS_REPEAT_MAX + 1, argv, to, &o), RC_OK);
    assert_int_equal(o.flags.redis.count, OPTIONS_REPEAT_MAX);
    assert_int_equal(
        options_parse(OPTIONS_REPEAT_MAX + 2, argv, to, &o), RC_BAD);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(
        told, "nearside: given too often: --redis; see nearside --help\n");
    free(told);
}

static void
help_names_every_option(void **state)
{
    static const char *const names[] = {"-c FILE", "--check FILE",
        "--origin URL", "--route PATTERN=TTL", "--redis HOST:PORT",
        "--listen ADDRESS", "--ready ADDRESS", "--version", "--help",
        OPTIONS_CONF_PATH};
    char *told = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&told, &len);

    (void)state;
    options_print_help(to);
    options_print_version(to);
    assert_int_equal(fclose(to), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(told, names[i]));
    }
    assert_non_null(strstr(told, "\nnearside " NEARSIDE_VERSION "\n"));
    free(told);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(without_file_and_origin_the_usual_file_is_read),
        cmocka_unit_test(check_help_and_version_are_actions),
        cmocka_unit_test(ready_takes_an_address_alone),
        cmocka_unit_test(a_mistake_is_told_in_one_line),
        cmocka_unit_test(a_repeated_option_has_a_maximum),
        cmocka_unit_test(help_names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
