/* The conf file: what it becomes, and every mistake with its line. */
#include "nearside/app/conf.h"

#include "../../src/app/conf_inside.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define API "origin api { servers = { \"http://127.0.0.1:3000\" } }\n"

struct folder {
    char path[64];
};

static int
folder_make(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->path, "/tmp/nearside-conf-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(chdir(f->path), 0);
    *state = f;
    return 0;
}

static int
folder_remove(void **state)
{
    struct folder *f = *state;
    char command[128];

    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -r '%s'", f->path);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void
file_write(const char *name, mode_t mode, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_not_equal(fputs(text, f), EOF);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(name, mode), 0);
}

/* The conf of a text without mistakes. */
static struct conf *
good(const char *text)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    conf_errors_init(&errors);
    rc = conf_load_text(slice_of_str(text), "t", &errors, &conf);
    conf_errors_print(&errors, stderr);
    assert_int_equal(rc, RC_OK);
    assert_non_null(conf);
    assert_int_equal(errors.mistakes, 0);
    conf_errors_fini(&errors);
    return conf;
}

/* All that is printed about a file. */
static char *
told_of(const char *path, enum rc want)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    conf_errors_init(&errors);
    assert_int_equal(conf_load(path, &errors, &conf), want);
    assert_true((conf == NULL) == (want != RC_OK));
    conf_errors_print(&errors, to);
    assert_int_equal(fclose(to), 0);
    conf_errors_fini(&errors);
    conf_free(&conf);
    return text;
}

/* Exactly these lines are told of the text. */
static void
refuses(const char *text, const char *want)
{
    char *told;

    file_write("t", 0644, text);
    told = told_of("t", RC_BAD);
    assert_string_equal(told, want);
    free(told);
}

/* --- What a good file becomes -------------------------------------------- */

static void
an_option_that_is_not_set_has_its_default(void **state)
{
    struct conf *c = good(API);

    (void)state;
    assert_int_equal(c->listen.count, 1);
    assert_string_equal(c->listen.items[0], "0.0.0.0:8080");
    assert_null(c->metrics);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->drain_delay_ms, 5000);
    assert_string_equal(c->via, "nearside");
    assert_int_equal(c->access_log.target.target, LOG_TARGET_NONE);
    assert_int_equal(c->error_log.target.target, LOG_TARGET_STDERR);
    assert_int_equal(c->error_log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->redis.mode, CONF_REDIS_OFF);
    assert_int_equal(c->redis.command_timeout_ms, 50);
    assert_string_equal(c->redis.prefix, "ns:");
    assert_int_equal(c->redis.in_flight_bytes_max, 8 << 20);
    assert_int_equal(c->limits.head_max, 32768);
    assert_int_equal(c->limits.field_max, 8000);
    assert_int_equal(c->limits.body_max, 10 << 20);
    assert_int_equal(c->limits.send_total_ms, 600000);
    assert_int_equal(c->limits.connections_max, 0);
    assert_int_equal(c->origins[0].connect_timeout_ms, 3000);
    assert_int_equal(c->origins[0].total_timeout_ms, 0);
    assert_int_equal(c->defaults.ttl_ms, 300000);
    assert_int_equal(c->defaults.ttl_jitter_percent, 10);
    assert_int_equal(c->defaults.cookie, CONF_CREDENTIAL_AUTO);
    assert_int_equal(c->defaults.credential_fields.count, 4);
    assert_string_equal(c->defaults.credential_fields.items[0], "x-api-key");
    assert_int_equal(c->routes_count, 0);
    conf_free(&c);
    assert_null(c);
}

static void
values_are_read_with_their_units(void **state)
{
    struct conf *c = good(API "drain_delay = 250ms drain_timeout = 2m\n"
                              "limits { head_max = 16KB body_max = 3GB\n"
                              "  head_timeout = 1h idle_timeout = 7d\n"
                              "  object_max = 4096B send_total = 0\n"
                              "  connections_max = 500 }\n"
                              "workers = 3\n"
                              "defaults { ttl_jitter = 25% ttl_force = on }\n");

    (void)state;
    assert_int_equal(c->drain_delay_ms, 250);
    assert_int_equal(c->drain_timeout_ms, 120000);
    assert_int_equal(c->limits.head_max, 16384);
    assert_int_equal(c->limits.body_max, (size_t)3 << 30);
    assert_int_equal(c->limits.head_timeout_ms, 3600000);
    assert_int_equal(c->limits.idle_timeout_ms, 604800000);
    assert_int_equal(c->limits.object_max, 4096);
    assert_int_equal(c->limits.send_total_ms, 0);
    assert_int_equal(c->limits.connections_max, 500);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->defaults.ttl_jitter_percent, 25);
    assert_true(c->defaults.ttl_force);
    conf_free(&c);
}

static void
the_example_of_the_design_is_read(void **state)
{
    struct conf *c = good(
        "# /etc/nearside/nearside.conf\n"
        "listen          = { \"0.0.0.0:8080\" }\n"
        "metrics         = \"0.0.0.0:9145\"       # /livez /readyz /metrics\n"
        "admin           = \"unix:/run/nearside/admin.sock\"\n"
        "trusted_proxies = { \"10.0.0.0/8\" }     # whose \"X-Forwarded\n"
        "workers         = auto\n"
        "redis {\n"
        "    seeds           = { \"redis-1:6379\", \"redis-2:6379\" }\n"
        "    command_timeout = 50ms\n"
        "}\n"
        "origin products-api {\n"
        "    servers = { \"http://127.0.0.1:3000\" }\n"
        "}\n"
        "route \"/products/:id\" {\n"
        "    origin = products-api\n"
        "    read   = cache-aside       # cache-aside | pass\n"
        "    write  = invalidate\n"
        "    ttl    = 300s\n"
        "    query  = all\n"
        "    cookie = auto\n"
        "}\n");

    (void)state;
    assert_string_equal(c->metrics, "0.0.0.0:9145");
    assert_string_equal(c->admin, "unix:/run/nearside/admin.sock");
    assert_int_equal(c->trusted_proxies.count, 1);
    assert_int_equal(c->redis.mode, CONF_REDIS_CLUSTER);
    assert_int_equal(c->redis.seeds.count, 2);
    assert_string_equal(c->redis.seeds.items[1], "redis-2:6379");
    assert_int_equal(c->routes_count, 1);
    assert_string_equal(c->routes[0].origin, "products-api");
    assert_int_equal(c->routes[0].ttl_ms, 300000);
    conf_free(&c);
}

static void
networks_become_bytes(void **state)
{
    struct conf *c = good(
        API "trusted_proxies = { \"10.1.0.0/16\", \"2001:db8::/33\", \"::1\", "
            "\"192.0.2.7\", \"0.0.0.0/0\" }\n");
    const struct conf_net *n = c->trusted_proxies.items;

    (void)state;
    assert_int_equal(c->trusted_proxies.count, 5);
    assert_false(n[0].is_v6);
    assert_int_equal(n[0].bits, 16);
    assert_memory_equal(n[0].address, "\x0a\x01\x00\x00", 4);
    assert_true(n[1].is_v6);
    assert_int_equal(n[1].bits, 33);
    assert_memory_equal(n[1].address, "\x20\x01\x0d\xb8\x00", 5);
    assert_int_equal(n[2].bits, 128);
    assert_int_equal(n[3].bits, 32);
    assert_int_equal(n[4].bits, 0);
    conf_free(&c);
}

static void
a_route_starts_from_defaults_wherever_they_stand(void **state)
{
    struct conf *c =
        good(API "route \"/a\" { cookie = key }\n"
                 "route \"/b\" { ttl = 1s credential_fields = { } }\n"
                 "defaults { ttl = 60s cookie = bypass query = none\n"
                 "  methods = { GET, HEAD } credential_fields = { X-Me } }\n");
    const struct conf_route *a = &c->routes[0];
    const struct conf_route *b = &c->routes[1];

    (void)state;
    assert_int_equal(a->ttl_ms, 60000);
    assert_int_equal(a->cookie, CONF_CREDENTIAL_KEY);
    assert_int_equal(a->query.kind, CONF_QUERY_NONE);
    assert_int_equal(a->methods.count, 2);
    assert_string_equal(a->methods.items[1], "HEAD");
    assert_string_equal(a->credential_fields.items[0], "x-me");
    assert_int_equal(b->ttl_ms, 1000);
    assert_int_equal(b->cookie, CONF_CREDENTIAL_BYPASS);
    assert_int_equal(b->credential_fields.count, 0);
    conf_free(&c);
}

static void
a_query_is_all_none_or_names(void **state)
{
    struct conf *c =
        good(API "route \"/a\" { query = all }\n"
                 "route \"/b\" { query = none }\n"
                 "route \"/c\" { query = { currency, \"lang\" } }\n"
                 "route \"/d\" { query = currency }\n");

    (void)state;
    assert_int_equal(c->routes[0].query.kind, CONF_QUERY_ALL);
    assert_int_equal(c->routes[1].query.kind, CONF_QUERY_NONE);
    assert_int_equal(c->routes[2].query.kind, CONF_QUERY_LIST);
    assert_int_equal(c->routes[2].query.names.count, 2);
    assert_string_equal(c->routes[2].query.names.items[1], "lang");
    assert_int_equal(c->routes[3].query.kind, CONF_QUERY_LIST);
    conf_free(&c);
}

static void
a_title_becomes_method_host_and_pattern(void **state)
{
    struct conf *c = good(API "route \"PUT /stock/:id\" { }\n"
                              "route \"Shop.Example:80/p/*\" { }\n"
                              "route \"GET [::1]:81/\" { }\n"
                              "route /plain/ { }\n");
    const struct conf_route *r = c->routes;

    (void)state;
    assert_int_equal(c->routes_count, 4);
    assert_string_equal(r[0].method, "PUT");
    assert_null(r[0].host);
    assert_int_equal(r[0].pattern.count, 2);
    assert_int_equal(r[0].pattern.segments[0].kind, CONF_SEGMENT_LITERAL);
    assert_string_equal(r[0].pattern.segments[0].text, "stock");
    assert_int_equal(r[0].pattern.segments[1].kind, CONF_SEGMENT_PARAM);
    assert_string_equal(r[0].pattern.segments[1].text, "id");
    assert_null(r[1].method);
    assert_string_equal(r[1].host, "shop.example");
    assert_int_equal(r[1].pattern.segments[1].kind, CONF_SEGMENT_TAIL);
    assert_string_equal(r[2].host, "[::1]:81");
    assert_int_equal(r[2].pattern.count, 1);
    assert_string_equal(r[2].pattern.segments[0].text, "");
    assert_int_equal(r[3].pattern.count, 2);
    assert_string_equal(r[3].pattern.segments[1].text, "");
    conf_free(&c);
}

static void
the_only_origin_need_not_be_named(void **state)
{
    struct conf *c = good(API "route \"/a\" { }\n");

    (void)state;
    assert_string_equal(c->routes[0].origin, "api");
    conf_free(&c);
}

static void
strings_may_hold_escapes_and_comment_signs(void **state)
{
    struct conf *c = good(API "redis { seeds = { 'r:1' } user = u\n"
                              "  password = \"a\\\"b\\\\c\\x21 # // /* ${T_S}\""
                              " /* here */ }\n");

    (void)state;
    assert_string_equal(c->redis.password, "a\"b\\c! # // /* s3cret");
    conf_free(&c);
}

static void
a_variable_is_put_in_and_has_a_default(void **state)
{
    struct conf *c = good(API "via = ${T_S}\n"
                              "default_host = \"${T_UNSET:-a.example}\"\n"
                              "drain_delay = \"${T_NUMBER}s\"\n");

    (void)state;
    assert_string_equal(c->via, "s3cret");
    assert_string_equal(c->default_host, "a.example");
    assert_int_equal(c->drain_delay_ms, 12000);
    conf_free(&c);
}

static void
the_log_targets_are_read(void **state)
{
    struct conf *c =
        good(API "access_log { target = \"file:/var/log/a.log\" format = json }"
                 "error_log { target = syslog level = debug rate_max = 5 }");

    (void)state;
    assert_int_equal(c->access_log.target.target, LOG_TARGET_FILE);
    assert_string_equal(c->access_log.target.path, "/var/log/a.log");
    assert_int_equal(c->access_log.format, CONF_ACCESS_JSON);
    assert_int_equal(c->error_log.target.target, LOG_TARGET_SYSLOG);
    assert_int_equal(c->error_log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->error_log.rate_max, 5);
    conf_free(&c);
}

static void
an_include_is_relative_to_its_file(void **state)
{
    struct conf_errors errors;
    struct conf *c = NULL;

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    file_write("d/main", 0644, "include(\"more\") via = x\n" API);
    file_write("d/more", 0644, "workers = 2\ninclude( 'third' )");
    file_write("d/third", 0644, "drain_delay = 1s");
    conf_errors_init(&errors);
    assert_int_equal(conf_load("d/main", &errors, &c), RC_OK);
    assert_string_equal(c->path, "d/main");
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->drain_delay_ms, 1000);
    assert_string_equal(c->via, "x");
    conf_free(&c);
    conf_errors_fini(&errors);
}

static void
tags_are_kept_with_a_warning(void **state)
{
    char *told;

    (void)state;
    file_write(
        "t", 0644, API "route \"/p/:id\" {\n tags = { \"p:{id}\" }\n}\n");
    told = told_of("t", RC_OK);
    assert_string_equal(told, "t:3: warning: 'tags' are kept but have no "
                              "effect in this version\n");
    free(told);
}

/* --- Secrets ------------------------------------------------------------- */

static void
a_password_file_is_read_without_its_newline(void **state)
{
    struct folder *f = *state;
    char text[512];
    struct conf *c;

    file_write("secret", 0600, "hush hush\n");
    snprintf(text, sizeof(text),
        API "redis { seeds = { \"r:1\" }\n password_file = \"%s/secret\" }\n",
        f->path);
    c = good(text);
    assert_string_equal(c->redis.password, "hush hush");
    conf_free(&c);
}

static void
a_literal_password_needs_a_private_file(void **state)
{
    const char *text = API "redis { seeds = { \"r:1\" }\n"
                           " password = \"hush\" }\n";
    char *told;

    (void)state;
    refuses(text, "t:3: a password stands in a file that others may read; use "
                  "password_file or ${VAR}, or let only its owner read t "
                  "(chmod 600)\n");
    refuses(API "redis { seeds = { \"r:1\" }\n password = '${T_S}' }\n",
        "t:3: a password stands in a file that others may read; use "
        "password_file or ${VAR}, or let only its owner read t "
        "(chmod 600)\n");
    refuses(API "redis { seeds = { \"r:1\" }\n password = \"\\${T_S}\" }\n",
        "t:3: a password stands in a file that others may read; use "
        "password_file or ${VAR}, or let only its owner read t "
        "(chmod 600)\n");
    file_write("t", 0600, text);
    told = told_of("t", RC_OK);
    assert_string_equal(told, "");
    free(told);
    file_write("t", 0644,
        API "redis { seeds = { \"r:1\" }\n password = \"${T_S}\" }\n");
    told = told_of("t", RC_OK);
    assert_string_equal(told, "");
    free(told);
}

static void
a_password_is_never_shown(void **state)
{
    (void)state;
    refuses(API "redis { seeds = { \"r:1\" }\n password = \"${T_EMPTY}\" }\n",
        "t:3: 'password': empty\n");
    refuses(API "redis { seeds = { \"r:1\" }\n"
                " password_file = \"/nonexistent/x\" }\n",
        "t:3: 'password_file' = '/nonexistent/x': No such file or directory\n");
    refuses(API "redis { seeds = { \"r:1\" }\n"
                " password_file = secret }\n",
        "t:3: 'password_file' = 'secret': a file is named from the root on: "
        "'/secret'\n");
}

/* --- Mistakes ------------------------------------------------------------ */

static void
a_missing_file_is_told(void **state)
{
    char *told = told_of("nowhere.conf", RC_IO);

    (void)state;
    assert_string_equal(
        told, "nowhere.conf: cannot be read: No such file or directory\n");
    free(told);
    told = told_of(".", RC_IO);
    assert_string_equal(told, ".: cannot be read: Is a directory\n");
    free(told);
}

struct refusal {
    const char *text;
    const char *want;
};

static void
refuse_all(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];

        /* In front, so that a broken grammar does not hide it. */
        snprintf(text, sizeof(text), API "%s\n", cases[i].text);
        refuses(text, cases[i].want);
    }
}

static void
a_broken_grammar_is_told_where_it_breaks(void **state)
{
    static const struct refusal cases[] = {
        {"redis {\n", "t:2: section 'redis' is not closed; a '}' is missing\n"},
        {"\n}", "t:3: a '}' too many\n"},
        {"redis {\nroute \"/\" { }\n}",
            "t:3: section 'route' cannot stand inside of 'redis'; is a '}' "
            "missing before it?\n"},
        {"route { }", "t:2: the title is missing: route \"/products/:id\" "
                      "{ ... }\n"},
        {"origin { }", "t:2: the title is missing: origin NAME { ... }\n"},
        {"redis = 5", "t:2: 'redis' is a section; it is written redis "
                      "{ ... }\n"},
        {"route \"/\" = 5", "t:2: 'route' is a section; it is written route "
                            "TITLE { ... }\n"},
        {"listen = { \"0.0.0.0:1\"\n", "t:2: the list of 'listen' is not "
                                       "closed, or has a comma too many; it is "
                                       "written { a, b }\n"},
        {"listen = { \"0.0.0.0:1\"\n \"0.0.0.0:2\" }",
            "t:3: in the list of 'listen' a ',' or '}' is missing before "
            "'\"0.0.0.0:2\"'\n"},
        {"\n\n= 5", "t:4: unexpected '='; here the name of an option is "
                    "wanted\n"},
        {"\"via\" = x", "t:2: unexpected '\"via\"'; here the name of an option "
                        "is wanted, without quotes\n"},
        {"foo {\n a = 1", "t:2: unknown option 'foo'\n"
                          "t:2: the '{' on this line is not closed; a '}' is "
                          "missing\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_slip_in_a_statement_does_not_end_the_reading(void **state)
{
    static const struct refusal cases[] = {
        {"workers\nvia = a/b",
            "t:2: '=' is missing after 'workers'\n"
            "t:3: 'via' = 'a/b': not a single word of letters, digits and "
            "'-', '_' or '.', of at most 64 bytes\n"},
        {"workers 4\nvai = x", "t:2: '=' is missing after 'workers'\n"
                               "t:3: unknown option 'vai'; did you mean "
                               "'via'?\n"},
        {"workers =\nvia = x", "t:2: the value of 'workers' is missing\n"},
        {"workers =", "t:2: the value of 'workers' is missing\n"},
        {"workers = 1 2", "t:2: unexpected '2' behind a value; a list is "
                          "written { a, b }, a text with blanks in quotes\n"},
        {"workers = { 1 }", "t:2: 'workers' takes one value, not a list\n"},
        {"workers = 2;", "t:2: a ';' behind a value or a name is not "
                         "wanted\n"},
        {"hosts += { a }", "t:2: '+=' is not known here; write '=' and the "
                           "whole list\n"},
        {"via = \"abc\nworkers = x",
            "t:2: the string is not closed on its line; a \" is missing\n"
            "t:3: 'workers' = 'x': not a whole number from 1 to 256, or "
            "auto\n"},
        {"via = a*b", "t:2: 'a*b' must stand in quotes\n"},
        {"via = a${HOME}", "t:2: 'a${HOME}' must stand in quotes\n"},
        {"via = http://x", "t:2: 'http://x' must stand in quotes\n"},
        {"via = \x01", "t:2: '\\x01' must stand in quotes\n"},
        {"via = \"a\x01z\"", "t:2: a control byte in a string; write \\xHH "
                             "instead\n"},
        {"via = \"a\\q\"", "t:2: '\\q' is no escape; a backslash itself is "
                           "written '\\\\'\n"},
        {"via = \"a\\x00\"", "t:2: '\\x' is no escape; a backslash itself is "
                             "written '\\\\'\n"},
        {"via = 'a\\b'", "t:2: a backslash has no meaning in single quotes; "
                         "use double quotes\n"},
        {"\n/* x\n\n", "t:3: the comment that begins here has no end; '*/' is "
                       "missing\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
an_unknown_name_is_told_with_what_was_meant(void **state)
{
    static const struct refusal cases[] = {
        {"route \"/a\" {\n tll = 5s\n}",
            "t:3: unknown option 'tll'; did you mean 'ttl'?\n"},
        {"tll = 5s", "t:2: unknown option 'tll'; did you mean 'ttl'?\n"},
        {"ttl = 5s", "t:2: option 'ttl' belongs in a section 'route'\n"},
        {"redis {\n seeds = { \"r:1\" }\n listen = { x }\n}",
            "t:4: option 'listen' does not belong in 'redis'; it stands "
            "outside of all sections\n"},
        {"rediss { seeds = { \"r:1\" } foo = { 1, 2 } }\nvia = x",
            "t:2: unknown option 'rediss'; did you mean 'redis'?\n"},
        {"metircs = off", "t:2: unknown option 'metircs'; did you mean "
                          "'metrics'?\n"},
        {"xyzzy = 5", "t:2: unknown option 'xyzzy'\n"},
        {"limits {\n head_timout = 5s\n\n bdy_max = { 1,\n 2 }\n hed_max = 0 }",
            "t:3: unknown option 'head_timout'; did you mean 'head_timeout'?\n"
            "t:5: unknown option 'bdy_max'; did you mean 'body_max'?\n"
            "t:7: unknown option 'hed_max'; did you mean 'head_max'?\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
what_stands_twice_is_refused(void **state)
{
    static const struct refusal cases[] = {
        {"workers = 1\n\nworkers = 2", "t:4: 'workers' is set twice; first in "
                                       "t:2\n"},
        {"hosts = { a }\nhosts = { b }", "t:3: 'hosts' is set twice; first in "
                                         "t:2\n"},
        {"limits { fields_max = 1 }\nlimits { fields_max = 2 }",
            "t:3: limits stands twice; first in t:2\n"},
        {"origin api { servers = { \"http://a:1\" } }",
            "t:2: origin \"api\" stands twice; first in t:1\n"},
        {"route \"/a\" { ttl = 1s\n ttl = 2s }\nroute \"/b\" { ttl = 1s }",
            "t:3: 'ttl' is set twice; first in t:2\n"},
        {"route \"/a\" { }\nroute '/a' { }",
            "t:3: route \"/a\" stands twice; first in t:2\n"},
        {"route \"/a\" { }\nroute \"\\x2fa\" { }",
            "t:3: found duplicate title '/a'\n"},
        {"route \"/:a/x\" { }\nroute \"/:b/x\" { }\nroute \"/:b/y\" { }",
            "t:3: route \"/:b/x\" matches the same requests as route "
            "\"/:a/x\"\n"},
        {"listen = { \"[::]:1\",\n \"[::]:1\" }",
            "t:2: 'listen' names '[::]:1' twice\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_variable_must_be_set(void **state)
{
    static const struct refusal cases[] = {
        {"via = \"${T_UNSET}\"",
            "t:2: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"},
        {"\nvia = ${T_UNSET}",
            "t:3: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"},
        {"via = \"a${T_S\"\nworkers = x",
            "t:2: '${' without '}'; a variable is written ${NAME}\n"
            "t:2: 'via' = 'a${T_S': not a single word of letters, digits and "
            "'-', '_' or '.', of at most 64 bytes\n"
            "t:3: 'workers' = 'x': not a whole number from 1 to 256, or "
            "auto\n"},
        {"via = \"${1}\"", "t:2: '${1}' names no variable; write ${NAME} or "
                           "${NAME:-default}\n"},
        {"via = ${}", "t:2: '${}' names no variable; write ${NAME} or "
                      "${NAME:-default}\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_bad_number_is_told_with_what_was_meant(void **state)
{
    static const struct refusal cases[] = {
        {"drain_delay = 300",
            "t:2: 'drain_delay' = '300': a duration has a "
            "unit (ms, s, m, h or d); did you mean '300s'?\n"},
        {"drain_delay = 5sec",
            "t:2: 'drain_delay' = '5sec': 'sec' is no unit (ms, s, m, h or d); "
            "did you mean '5s'?\n"},
        {"drain_delay = 5min",
            "t:2: 'drain_delay' = '5min': 'min' is no unit (ms, s, m, h or d); "
            "did you mean '5m'?\n"},
        {"drain_delay = 5msec",
            "t:2: 'drain_delay' = '5msec': 'msec' is no unit (ms, s, m, h or "
            "d); did you mean '5ms'?\n"},
        {"drain_delay = 1.5s",
            "t:2: 'drain_delay' = '1.5s': not a duration; it is a whole number "
            "and a unit (ms, s, m, h or d)\n"},
        {"drain_delay = -1s",
            "t:2: 'drain_delay' = '-1s': not a duration; it is a whole number "
            "and a unit (ms, s, m, h or d)\n"},
        {"drain_delay = 3651d",
            "t:2: 'drain_delay' = '3651d': too large; at most 3650d\n"},
        {"drain_delay = 99999999999999999999999d",
            "t:2: 'drain_delay' = '99999999999999999999999d': too large; at "
            "most 3650d\n"},
        {"drain_delay = 213503982335d",
            "t:2: 'drain_delay' = '213503982335d': too large; at most "
            "3650d\n"},
        {"limits { head_timeout = 0 }",
            "t:2: 'head_timeout' = '0': too small; at least 1ms\n"},
        {"limits { object_max = 10 }",
            "t:2: 'object_max' = '10': a size has a unit (B, KB, MB or GB); "
            "did you mean '10KB'?\n"},
        {"limits { object_max = 10Mib }",
            "t:2: 'object_max' = '10Mib': 'Mib' is no unit (B, KB, MB or GB); "
            "did you mean '10MB'?\n"},
        {"limits { object_max = 257MB }",
            "t:2: 'object_max' = '257MB': too large; at most 256MB\n"},
        {"limits { body_max = 17179869184GB }",
            "t:2: 'body_max' = '17179869184GB': too large; at most 1024GB\n"},
        {"limits { fields_max = 129 }",
            "t:2: 'fields_max' = '129': not a whole number from 1 to 128\n"},
        {"workers = 0",
            "t:2: 'workers' = '0': not a whole number from 1 to 256, or "
            "auto\n"},
        {"workers = 18446744073709551617",
            "t:2: 'workers' = '18446744073709551617': not a whole number from "
            "1 to 256, or auto\n"},
        {"defaults { ttl_jitter = 10 }",
            "t:2: 'ttl_jitter' = '10': not a percentage from 0% to 100%, such "
            "as '10%'\n"},
        {"defaults { ttl_jitter = 101% }",
            "t:2: 'ttl_jitter' = '101%': not a percentage from 0% to 100%, "
            "such as '10%'\n"},
        {"defaults { ttl_force = 1 }",
            "t:2: 'ttl_force' = '1': neither on nor off\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_bad_word_is_told_with_the_good_ones(void **state)
{
    static const struct refusal cases[] = {
        {"defaults { cookie = yes }", "t:2: 'cookie' = 'yes': it takes auto, "
                                      "bypass, ignore or key\n"},
        {"defaults { cookie = bypas }",
            "t:2: 'cookie' = 'bypas': it takes auto, bypass, ignore or key; "
            "did you mean 'bypass'?\n"},
        {"defaults { read = read-through }",
            "t:2: 'read' = 'read-through': not available in this version; it "
            "takes cache-aside or pass\n"},
        {"defaults { write = write-behind }",
            "t:2: 'write' = 'write-behind': not available in this version; it "
            "takes invalidate or pass\n"},
        {"defaults { write = write-through }",
            "t:2: 'write' = 'write-through': not available in this version; it "
            "takes invalidate or pass\n"},
        {"defaults { set_cookie = keep }",
            "t:2: 'set_cookie' = 'keep': it takes bypass, strip or store\n"},
        {"defaults { vary = all }",
            "t:2: 'vary' = 'all': it takes bounded or any\n"},
        {"defaults { cache_status = keys }",
            "t:2: 'cache_status' = 'keys': it takes on, key or off; did you "
            "mean 'key'?\n"},
        {"defaults { ttl_by_status = { \"404\" } }",
            "t:2: 'ttl_by_status' = '404': a status and a duration are meant, "
            "such as '404 10s'\n"},
        {"defaults { ttl_by_status = { \"4xx 1s\" } }",
            "t:2: 'ttl_by_status' = '4xx 1s': a status and a duration are "
            "meant, such as '404 10s'\n"},
        {"defaults { ttl_by_status = { \"404 10\" } }",
            "t:2: 'ttl_by_status' = '404 10': a duration has a unit (ms, s, "
            "m, h or d); did you mean '10s'?\n"},
        {"defaults { ttl_by_status = { \"400 1s\" } }",
            "t:2: 'ttl_by_status' = '400 1s': an answer of status 400 is never "
            "kept: it is about one request, not about its target\n"},
        {"defaults { ttl_by_status = { \"404 1s\", \"404 2s\" } }",
            "t:2: 'ttl_by_status' names 404 twice\n"},
        {"redis { seeds = { \"r:1\" } mode = sentinel }",
            "t:2: 'mode' = 'sentinel': it takes cluster, standalone or off\n"},
        {"access_log { target = \"/var/log/x\" }",
            "t:2: 'target' = '/var/log/x': it takes off, stdout, stderr, "
            "syslog or \"file:/path\"; did you forget 'file:'?\n"},
        {"error_log { level = warning }",
            "t:2: 'level' = 'warning': it takes error, warn, info or debug; "
            "did you mean 'warn'?\n"},
        {"memory { size = 256MB }",
            "t:2: the memory tier is not in this version; write size = 0, or "
            "leave the section out\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_bad_address_is_told_with_what_was_meant(void **state)
{
    static const struct refusal cases[] = {
        {"listen = 8080", "t:2: 'listen' = '8080': a port alone; did you mean "
                          "'0.0.0.0:8080'?\n"},
        {"listen = { \"0.0.0.0:1\",\n \"localhost:80\" }",
            "t:3: 'listen' = 'localhost:80': not an address; it is written "
            "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"},
        {"listen = { }", "t:2: 'listen' names no address\n"},
        {"metrics = \"/run/m.sock\"", "t:2: 'metrics' = '/run/m.sock': did you "
                                      "mean 'unix:/run/m.sock'?\n"},
        {"trusted_proxies = { \"10.0.0.1/8\" }",
            "t:2: 'trusted_proxies' = '10.0.0.1/8': bits are set behind the "
            "prefix; did you mean '10.0.0.0/8'?\n"},
        {"trusted_proxies = { \"10.0.0.0/33\", \"10.0.0/8\" }",
            "t:2: 'trusted_proxies' = '10.0.0.0/33': the prefix of a network "
            "is a number from 0 to 32\n"
            "t:2: 'trusted_proxies' = '10.0.0/8': not a network; it is written "
            "'10.0.0.0/8', '2001:db8::/32' or as one address\n"},
        {"hosts = { \"a b\" }", "t:2: 'hosts' = 'a b': not a host; it is "
                                "written 'shop.example' or "
                                "'shop.example:8080'\n"},
        {"redis { seeds = { \"redis://r:1\" } }",
            "t:2: 'seeds' = 'redis://r:1': a server of Redis is written "
            "'host:port', without 'redis://'\n"},
        {"redis { seeds = { r } }",
            "t:2: 'seeds' = 'r': the port is missing; did you mean "
            "'r:6379'?\n"},
        {"redis { seeds = { \"r:0\" } }",
            "t:2: 'seeds' = 'r:0': not a server; it is written 'host:port', "
            "such as 'redis-1:6379'\n"},
        {"redis { seeds = { \"r:1\" } prefix = \"{a}\" }",
            "t:2: 'prefix' = '{a}': a prefix is printable, without blanks, "
            "'{', '}' and '%'\n"},
        {"origin b { servers = { \"127.0.0.1:3000\" } }",
            "t:2: 'servers' = '127.0.0.1:3000': did you mean "
            "'http://127.0.0.1:3000'?\n"},
        {"origin b { servers = { \"https://a\" } }",
            "t:2: 'servers' = 'https://a': https to an origin is not available "
            "in this version\n"},
        {"origin b { servers = { \"http://a/x\" } }",
            "t:2: 'servers' = 'http://a/x': not a server; it is written "
            "'http://host:port' or 'unix:/path', without a path or a query\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_bad_title_is_told(void **state)
{
    static const struct refusal cases[] = {
        {"route x { }", "t:2: route \"x\": there is no '/': a title is "
                        "\"/path\", \"METHOD /path\" or \"host/path\"\n"},
        {"route \"http://a/b\" { }", "t:2: route \"http://a/b\": a title has "
                                     "no scheme; write the host alone\n"},
        {"route \"get /x\" { }", "t:2: route \"get /x\": 'get' before the "
                                 "blank is not a method in capitals\n"},
        {"route \"TRACE /x\" { }", "t:2: route \"TRACE /x\": TRACE is never "
                                   "served\n"},
        {"route \"a@b/x\" { }", "t:2: route \"a@b/x\": 'a@b' is not a host\n"},
        {"route \"/a?b=1\" { }", "t:2: route \"/a?b=1\": a pattern has no "
                                 "query; see the option `query`\n"},
        {"route \"/p/{id}\" { }", "t:2: route \"/p/{id}\": a parameter is "
                                  "written ':id', not '{id}'\n"},
        {"route \"/a*\" { }", "t:2: route \"/a*\": '*' stands alone, as the "
                              "last segment: \"/files/*\"\n"},
        {"route \"/*/a\" { }", "t:2: route \"/*/a\": '*' stands alone, as the "
                               "last segment: \"/files/*\"\n"},
        {"route \"/a//b\" { }", "t:2: route \"/a//b\": '//' in a path is "
                                "ambiguous and never stored\n"},
        {"route \"/../b\" { }", "t:2: route \"/../b\": a path with '..' is "
                                "refused, it cannot be matched\n"},
        {"route \"/:1\" { }", "t:2: route \"/:1\": ':1': a parameter is named "
                              "by letters, digits and '_'\n"},
        {"route \"/:\" { }", "t:2: route \"/:\": ':': a parameter is named by "
                             "letters, digits and '_'\n"},
        {"route \"/:a/:a\" { }", "t:2: route \"/:a/:a\": two parameters are "
                                 "named ':a'\n"},
        {"route \"/a%2\" { }", "t:2: route \"/a%2\": 'a%2' holds a byte that "
                               "no path has; write it as %XX\n"},
        {"route \"/a<b\" { }", "t:2: route \"/a<b\": 'a<b' holds a byte that "
                               "no path has; write it as %XX\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
options_that_contradict_each_other_are_told(void **state)
{
    static const struct refusal cases[] = {
        {"redis { }", "t:2: section 'redis' names no seeds; write seeds = { "
                      "\"redis-1:6379\" }, or mode = off\n"},
        {"redis {\n mode = standalone\n seeds = { \"a:1\", \"b:1\" }\n}",
            "t:4: mode = standalone has one server, 'seeds' names 2\n"},
        {"redis { seeds = { \"a:1\" }\n command_timeout = 2s }",
            "t:3: 'command_timeout' is above 'hang', after which the "
            "connection is closed\n"},
        {"redis { seeds = { \"a:1\" }\n user = u }",
            "t:3: 'user' without a password; add password_file\n"},
        {"redis { seeds = { \"a:1\" } password = \"${T_S}\"\n"
         " password_file = \"/x\" }",
            "t:3: 'password' and 'password_file' exclude each other\n"},
        {"limits {\n field_max = 64KB\n}",
            "t:3: 'field_max' is above 'head_max': one field cannot be larger "
            "than the whole head\n"},
        {"limits {\n target_max = 64KB\n}",
            "t:3: 'target_max' is above 'head_max': the target is a part of "
            "the head\n"},
        {"limits {\n send_total = 1s\n}",
            "t:3: 'send_total' is below 'send_timeout', which could never "
            "pass\n"},
        {"origin b {\n}\n",
            "t:2: origin 'b' names no server; write servers = { "
            "\"http://127.0.0.1:3000\" }\n"},
        {"origin b {\n servers = { \"http://a\", \"http://b\" }\n}",
            "t:3: origin 'b' names 2 servers; this version takes one\n"},
        {"origin \"b c\" { servers = { \"http://a\" } }",
            "t:2: the name of an origin has 1 to 64 letters, digits, '_', '.' "
            "or '-'\n"},
        {"route \"/\" {\n origin = apj }",
            "t:3: there is no origin 'apj'; did you mean 'api'?\n"},
        {"defaults {\n origin = nothing }\nroute \"/\" { }",
            "t:3: there is no origin 'nothing'\n"},
        {"origin b { servers = { \"http://a\" } }\nroute \"/\" { }",
            "t:3: route \"/\" does not say which origin it has\n"},
        {"route \"/\" {\n ttl_min = 5s\n ttl_max = 1s }",
            "t:3: 'ttl_min' is above 'ttl_max'\n"},
        {"route \"/\" {\n ttl = 0\n ttl_force = on }",
            "t:4: 'ttl_force' needs a 'ttl' above 0\n"},
        {"route \"PUT /\" {\n methods = { PUT } }",
            "t:3: 'methods' in a route whose title names the method PUT\n"},
        {"route \"/\" {\n methods = { get, TRACE } }",
            "t:3: 'methods' = 'get': methods are written in capitals\n"
            "t:3: 'methods' = 'TRACE': it is never served\n"},
        {"route \"/\" {\n query = { \"a=b\" } }",
            "t:3: 'query' = 'a=b': it takes all, none, or the names of "
            "parameters as they stand in a query\n"},
        {"route \"/\" {\n credential_fields = { Cookie, \"a b\" } }",
            "t:3: 'credential_fields' = 'Cookie': it has an option of its "
            "own\n"
            "t:3: 'credential_fields' = 'a b': not the name of a header "
            "field\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_tag_names_parameters_of_its_route(void **state)
{
    (void)state;
    refuses(API "route \"/p/:id\" {\n tags = { \"a:{x}\", \"b{\" } }\n",
        "t:3: tag \"a:{x}\": the route has no parameter ':x'\n"
        "t:3: tag \"b{\": a '}' is missing\n"
        "t:3: warning: 'tags' are kept but have no effect in this version\n");
}

static void
a_file_without_an_origin_is_refused(void **state)
{
    (void)state;
    refuses("", "t: no origin is named; write origin api { servers = { "
                "\"http://127.0.0.1:3000\" } }, or use --origin\n");
}

static void
lines_are_right_behind_comments_and_includes(void **state)
{
    (void)state;
    file_write("one", 0644, "/* a\n b\n*/ workers = x # y\n\nvia = /\n");
    refuses("# comment\n"
            "hosts = { a, // first\n"
            "  # a line of its own\n"
            "  \"b c\" /* inside */ }\n"
            "include(\"one\") drain_delay = 5\n"
            "limits {\n"
            "  include('two')\n"
            "}\n" API "bad = 1\r\n",
        "t:4: 'hosts' = 'b c': not a host; it is written 'shop.example' or "
        "'shop.example:8080'\n"
        "one:3: 'workers' = 'x': not a whole number from 1 to 256, or auto\n"
        "one:5: 'via' = '/': not a single word of letters, digits and '-', '_' "
        "or '.', of at most 64 bytes\n"
        "t:5: 'drain_delay' = '5': a duration has a unit (ms, s, m, h or d); "
        "did you mean '5s'?\n"
        "t:7: include of 'two': No such file or directory\n"
        "t:10: unknown option 'bad'\n");
}

static void
an_include_in_a_section_keeps_its_lines(void **state)
{
    (void)state;
    file_write("two", 0644, "head_max = 5\n");
    refuses(API "limits {\n include(\"two\")\n fields_max = 0\n}\n",
        "two:1: 'head_max' = '5': a size has a unit (B, KB, MB or GB); did you "
        "mean '5KB'?\n"
        "t:4: 'fields_max' = '0': not a whole number from 1 to 128\n");
}

static void
a_file_that_includes_itself_is_refused(void **state)
{
    (void)state;
    refuses(API "include(\"t\")\n",
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:1: origin \"api\" stands twice; first in t:1\n"
        "t:2: includes are nested more than 8 deep; does a file include "
        "itself?\n");
}

static void
an_include_is_written_one_way(void **state)
{
    (void)state;
    refuses(API "include \"x\"\ninclude(x)\ninclude(\"${HOME}\")\n",
        "t:2: an include is written include(\"file\")\n"
        "t:3: an include is written include(\"file\")\n"
        "t:4: an include is written include(\"file\")\n");
}

/* Found by fuzz_app_conf: it went to the terminal as it was. */
static void
a_control_byte_of_the_file_is_not_printed(void **state)
{
    (void)state;
    refuses(API "via = ${a\x1b[2J}\n",
        "t:2: '${a?[2J}' names no variable; write ${NAME} or "
        "${NAME:-default}\n");
    refuses(API "redis { seeds = { a:1 }\n password_file = \"/\\n/\" }\n",
        "t:3: 'password_file' = '/?/': No such file or directory\n");
}

static void
all_mistakes_are_told_and_counted(void **state)
{
    char text[8192] = API;
    size_t len = strlen(text);
    char *told;

    (void)state;
    for (unsigned i = 0; i < 105; i++) {
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, "unheard_of_%u = 1\n", i);
    }
    file_write("t", 0644, text);
    told = told_of("t", RC_BAD);
    assert_non_null(strstr(told, "t:101: unknown option 'unheard_of_99'\n"));
    assert_null(strstr(told, "unheard_of_100"));
    assert_non_null(strstr(told, "\nand 5 more\n"));
    free(told);
}

/* What our walk lets pass by oversight must not slip through or be printed. */
static void
a_mistake_that_libconfuse_finds_is_told_and_not_printed(void **state)
{
    struct conf_errors errors;
    struct conf_text text;
    struct conf_build build = {.errors = &errors, .text = &text};
    int saved = dup(STDERR_FILENO);
    int caught = open("caught", O_RDWR | O_CREAT | O_TRUNC, 0600);

    (void)state;
    assert_true(saved >= 0);
    assert_true(caught >= 0);
    assert_int_equal(dup2(caught, STDERR_FILENO), STDERR_FILENO);
    conf_errors_init(&errors);
    conf_text_init(&text);
    assert_int_equal(
        conf_scan_text(&text, SLICE("\nworkers = = 5"), "t", &errors), RC_OK);
    assert_int_equal(conf_new(&build.conf), RC_OK);
    assert_int_equal(conf_parse(&build), RC_BAD);
    fflush(stderr);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(lseek(caught, 0, SEEK_END), 0);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.items[0].text, "t:2: unexpected token '='");
    conf_free(&build.conf);
    conf_text_fini(&text);
    conf_errors_fini(&errors);
    close(caught);
    close(saved);
}

static void
every_default_is_a_good_value(void **state)
{
    char why[CONF_WHY_MAX];

    (void)state;
    assert_true(conf_options_count > 60);
    for (size_t i = 0; i < conf_options_count; i++) {
        const struct conf_option *o = &conf_options[i];
        struct slice preset = slice_of_str(o->preset);

        if (o->preset == NULL || conf_kind_is_list(o->kind)) {
            continue;
        }
        if (preset.ptr[0] == '"') {
            preset = slice_of(preset.ptr + 1, preset.len - 2);
        }
        if (conf_value_read(o, preset, NULL, NULL, why) != RC_OK) {
            fail_msg("%s = %s: %s", o->name, o->preset, why);
        }
    }
}

/* --- The command line ---------------------------------------------------- */

#define LIST(...)                                                              \
    {                                                                          \
        (const char *[]){__VA_ARGS__},                                         \
            sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)       \
    }

static struct conf *
load_flags(const struct conf_flags *flags, const char *want)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    enum rc rc;

    assert_non_null(to);
    conf_errors_init(&errors);
    rc = conf_load_flags(flags, &errors, &conf);
    assert_int_equal(rc, want[0] == '\0' ? RC_OK : RC_BAD);
    conf_errors_print(&errors, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, want);
    free(text);
    conf_errors_fini(&errors);
    return conf;
}

static void
flags_alone_make_a_conf(void **state)
{
    struct conf_flags flags = {.origin = "http://127.0.0.1:3000",
        .routes = LIST("/products/:id=5m", "/a=b=10s"),
        .redis = LIST("r1:6379", "r2:6379"),
        .listen = LIST("127.0.0.1:0")};
    struct conf *c = load_flags(&flags, "");

    (void)state;
    assert_null(c->path);
    assert_string_equal(c->origins[0].servers.items[0], flags.origin);
    assert_int_equal(c->routes_count, 2);
    assert_int_equal(c->routes[0].ttl_ms, 300000);
    assert_string_equal(c->routes[0].origin, "origin");
    assert_int_equal(c->routes[0].pattern.count, 2);
    assert_string_equal(c->routes[1].pattern.segments[0].text, "a=b");
    assert_int_equal(c->redis.mode, CONF_REDIS_CLUSTER);
    assert_int_equal(c->redis.seeds.count, 2);
    assert_int_equal(c->listen.count, 1);
    assert_string_equal(c->listen.items[0], "127.0.0.1:0");
    conf_free(&c);
}

static void
without_redis_the_shared_tier_is_off(void **state)
{
    struct conf_flags flags = {.origin = "unix:/run/api.sock"};
    struct conf *c = load_flags(&flags, "");

    (void)state;
    assert_int_equal(c->redis.mode, CONF_REDIS_OFF);
    conf_free(&c);
}

static void
flags_override_and_add_to_a_file(void **state)
{
    struct conf_flags flags = {.path = "t",
        .origin = "http://b:2",
        .routes = LIST("/a=9s", "/new=1s"),
        .redis = LIST("r:1"),
        .listen = LIST("127.0.0.1:1")};
    struct conf *c;

    (void)state;
    file_write("t", 0644,
        API "listen = { \"0.0.0.0:5\", \"0.0.0.0:6\" }\n"
            "redis { mode = standalone seeds = { \"x:1\" } hang = 2s }\n"
            "defaults { cookie = bypass }\nroute \"/a\" { query = none }\n");
    c = load_flags(&flags, "");
    assert_string_equal(c->path, "t");
    assert_int_equal(c->origins_count, 1);
    assert_string_equal(c->origins[0].name, "api");
    assert_string_equal(c->origins[0].servers.items[0], "http://b:2");
    assert_int_equal(c->listen.count, 1);
    assert_int_equal(c->redis.mode, CONF_REDIS_STANDALONE);
    assert_string_equal(c->redis.seeds.items[0], "r:1");
    assert_int_equal(c->redis.hang_ms, 2000);
    assert_int_equal(c->routes_count, 2);
    assert_int_equal(c->routes[0].ttl_ms, 9000);
    assert_int_equal(c->routes[0].query.kind, CONF_QUERY_NONE);
    assert_int_equal(c->routes[1].cookie, CONF_CREDENTIAL_BYPASS);
    assert_string_equal(c->routes[1].origin, "api");
    conf_free(&c);
    file_write("t", 0644, API "redis { mode = off }\n");
    c = load_flags(&flags, "");
    assert_int_equal(c->redis.mode, CONF_REDIS_CLUSTER);
    conf_free(&c);
}

static void
mistakes_of_flags_are_told(void **state)
{
    struct conf_flags flags = {.origin = "127.0.0.1:3000",
        .routes = LIST("/a=5", "/b", "c=5s"),
        .redis = LIST("r"),
        .listen = LIST("80")};
    struct conf_flags two = {.path = "t", .origin = "http://c"};
    struct conf_flags none = {.routes = LIST("/a=5s")};

    (void)state;
    load_flags(&flags,
        "command line: --listen '80': a port alone; did you mean "
        "'0.0.0.0:80'?\n"
        "command line: --redis 'r': the port is missing; did you mean "
        "'r:6379'?\n"
        "command line: --origin '127.0.0.1:3000': did you mean "
        "'http://127.0.0.1:3000'?\n"
        "command line: --route '5': a duration has a unit (ms, s, m, h or d); "
        "did you mean '5s'?\n"
        "command line: --route '/b': the time to live is missing; did you mean "
        "'/b=300s'?\n"
        "command line: route \"c\": there is no '/': a title is \"/path\", "
        "\"METHOD /path\" or \"host/path\"\n");
    file_write("t", 0644, API "origin b { servers = { \"http://b\" } }\n");
    load_flags(&two, "command line: --origin: the file names 2 origins, so "
                     "there is none to take the place of\n");
    load_flags(&none,
        "command line: no origin is named; write origin api { servers = { "
        "\"http://127.0.0.1:3000\" } }, or use --origin\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_that_is_not_set_has_its_default),
        cmocka_unit_test(values_are_read_with_their_units),
        cmocka_unit_test(the_example_of_the_design_is_read),
        cmocka_unit_test(networks_become_bytes),
        cmocka_unit_test(a_route_starts_from_defaults_wherever_they_stand),
        cmocka_unit_test(a_query_is_all_none_or_names),
        cmocka_unit_test(a_title_becomes_method_host_and_pattern),
        cmocka_unit_test(the_only_origin_need_not_be_named),
        cmocka_unit_test(strings_may_hold_escapes_and_comment_signs),
        cmocka_unit_test(a_variable_is_put_in_and_has_a_default),
        cmocka_unit_test(the_log_targets_are_read),
        cmocka_unit_test(an_include_is_relative_to_its_file),
        cmocka_unit_test(tags_are_kept_with_a_warning),
        cmocka_unit_test(a_password_file_is_read_without_its_newline),
        cmocka_unit_test(a_literal_password_needs_a_private_file),
        cmocka_unit_test(a_password_is_never_shown),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(a_broken_grammar_is_told_where_it_breaks),
        cmocka_unit_test(a_slip_in_a_statement_does_not_end_the_reading),
        cmocka_unit_test(an_unknown_name_is_told_with_what_was_meant),
        cmocka_unit_test(what_stands_twice_is_refused),
        cmocka_unit_test(a_variable_must_be_set),
        cmocka_unit_test(a_bad_number_is_told_with_what_was_meant),
        cmocka_unit_test(a_bad_word_is_told_with_the_good_ones),
        cmocka_unit_test(a_bad_address_is_told_with_what_was_meant),
        cmocka_unit_test(a_bad_title_is_told),
        cmocka_unit_test(options_that_contradict_each_other_are_told),
        cmocka_unit_test(a_tag_names_parameters_of_its_route),
        cmocka_unit_test(a_file_without_an_origin_is_refused),
        cmocka_unit_test(lines_are_right_behind_comments_and_includes),
        cmocka_unit_test(an_include_in_a_section_keeps_its_lines),
        cmocka_unit_test(a_file_that_includes_itself_is_refused),
        cmocka_unit_test(an_include_is_written_one_way),
        cmocka_unit_test(a_control_byte_of_the_file_is_not_printed),
        cmocka_unit_test(all_mistakes_are_told_and_counted),
        cmocka_unit_test(
            a_mistake_that_libconfuse_finds_is_told_and_not_printed),
        cmocka_unit_test(every_default_is_a_good_value),
        cmocka_unit_test(flags_alone_make_a_conf),
        cmocka_unit_test(without_redis_the_shared_tier_is_off),
        cmocka_unit_test(flags_override_and_add_to_a_file),
        cmocka_unit_test(mistakes_of_flags_are_told),
    };

    setenv("T_S", "s3cret", 1);
    setenv("T_NUMBER", "12", 1);
    setenv("T_EMPTY", "", 1);
    unsetenv("T_UNSET");
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
