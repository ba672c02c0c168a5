/* The conf file: what it becomes, and every mistake with its line. */
#include "conf_given.h"
#include "heap.h"

#include <errno.h>

/* The conf of a text without mistakes. */
static struct conf *
good(const char *text)
{
    const struct conf_flags flags = {.path = "good"};
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    file_write(flags.path, 0600, text);
    conf_errors_init(&errors);
    rc = conf_load(&flags, &errors, &conf);
    conf_errors_print(&errors, stderr);
    assert_int_equal(rc, RC_OK);
    assert_non_null(conf);
    assert_int_equal(errors.mistakes, 0);
    conf_errors_fini(&errors);
    return conf;
}

static void
assert_text(struct slice s, const char *want)
{
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.len == 0 ? "" : s.ptr, want, s.len);
}

static const char *
origin_of(const struct conf *c, size_t route)
{
    return c->origins[c->proxy.conf.routes[route].group].name;
}

/* --- What a good file becomes -------------------------------------------- */

static void
an_option_that_is_not_set_has_its_default(void **state)
{
    struct conf *c = good(API "route \"/\" { }\n");
    const struct route *r = &c->proxy.conf.routes[0];

    (void)state;
    assert_int_equal(c->listen_len, 1);
    assert_string_equal(c->listen[0], "0.0.0.0:8080");
    assert_null(c->metrics);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->drain_delay_ms, 5000);
    assert_string_equal(c->proxy.conf.via, "nearside");
    assert_int_equal(c->log.access.target, LOG_TARGET_NONE);
    assert_int_equal(c->log.events.target, LOG_TARGET_STDERR);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->redis.mode, REDIS_MODE_OFF);
    assert_int_equal(c->redis.command_timeout_ms, 50);
    assert_string_equal(c->proxy.conf.prefix, "ns:");
    assert_int_equal(c->redis.in_flight_bytes_max, 9 << 20);
    assert_int_equal(c->proxy.conf.limits.head_max, 32768);
    assert_int_equal(c->proxy.conf.limits.field_max, 8000);
    assert_int_equal(c->proxy.conf.limits.body_max, 10 << 20);
    /* Balancers keep theirs for 60 s, and are to close first. */
    assert_int_equal(c->proxy.conf.limits.idle_timeout_ms, 75000);
    assert_int_equal(c->proxy.conf.limits.send_total_ms, 600000);
    assert_int_equal(c->proxy.conf.limits.connections_max, 0);
    assert_int_equal(c->origins[0].connect_timeout_ms, 3000);
    assert_int_equal(c->origins[0].first_byte_timeout_ms, 60000);
    assert_int_equal(c->origins[0].between_bytes_timeout_ms, 60000);
    assert_int_equal(c->origins[0].total_timeout_ms, 0);
    assert_int_equal(r->ttl_ms, 300000);
    assert_int_equal(r->ttl_jitter_percent, 10);
    assert_int_equal(r->cookie, ROUTE_CREDENTIAL_AUTO);
    assert_int_equal(r->credential_fields_len, 4);
    assert_text(r->credential_fields[0], "x-api-key");
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
                              "defaults { ttl_jitter = 25% ttl_force = on }\n"
                              "route \"/\" { }");

    (void)state;
    assert_int_equal(c->drain_delay_ms, 250);
    assert_int_equal(c->drain_timeout_ms, 120000);
    assert_int_equal(c->proxy.conf.limits.head_max, 16384);
    assert_int_equal(c->proxy.conf.limits.body_max, (size_t)3 << 30);
    assert_int_equal(c->proxy.conf.limits.head_timeout_ms, 3600000);
    assert_int_equal(c->proxy.conf.limits.idle_timeout_ms, 604800000);
    assert_int_equal(c->proxy.conf.limits.object_max, 4096);
    assert_int_equal(c->proxy.conf.limits.send_total_ms, 0);
    assert_int_equal(c->proxy.conf.limits.connections_max, 500);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->proxy.conf.routes[0].ttl_jitter_percent, 25);
    assert_int_equal(
        c->proxy.conf.routes[0].ttl_force, ROUTE_TTL_FORCE_FRESHNESS);
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
    assert_int_equal(c->proxy.conf.trusted_len, 1);
    assert_int_equal(c->redis.mode, REDIS_MODE_CLUSTER);
    assert_int_equal(c->redis.seeds_len, 2);
    assert_string_equal(c->redis.seeds[1], "redis-2:6379");
    assert_int_equal(c->proxy.conf.routes_len, 1);
    assert_string_equal(origin_of(c, 0), "products-api");
    assert_int_equal(c->proxy.conf.routes[0].ttl_ms, 300000);
    conf_free(&c);
}

static void
networks_become_bytes(void **state)
{
    struct conf *c = good(
        API "trusted_proxies = { \"10.1.0.0/16\", \"2001:db8::/33\", \"::1\", "
            "\"192.0.2.7\", \"0.0.0.0/0\" }\n");
    const struct proxy_net *n = c->proxy.conf.trusted;

    (void)state;
    assert_int_equal(c->proxy.conf.trusted_len, 5);
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
    const struct route *a = &c->proxy.conf.routes[0];
    const struct route *b = &c->proxy.conf.routes[1];

    (void)state;
    assert_int_equal(a->ttl_ms, 60000);
    assert_int_equal(a->cookie, ROUTE_CREDENTIAL_KEY);
    assert_int_equal(a->query, ROUTE_QUERY_NONE);
    assert_int_equal(a->methods_len, 2);
    assert_text(a->methods[1], "HEAD");
    assert_text(a->credential_fields[0], "x-me");
    assert_int_equal(b->ttl_ms, 1000);
    assert_int_equal(b->cookie, ROUTE_CREDENTIAL_BYPASS);
    assert_int_equal(b->credential_fields_len, 0);
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
    assert_int_equal(c->proxy.conf.routes[0].query, ROUTE_QUERY_ALL);
    assert_int_equal(c->proxy.conf.routes[1].query, ROUTE_QUERY_NONE);
    assert_int_equal(c->proxy.conf.routes[2].query, ROUTE_QUERY_LIST);
    assert_int_equal(c->proxy.conf.routes[2].query_names_len, 2);
    assert_text(c->proxy.conf.routes[2].query_names[1], "lang");
    assert_int_equal(c->proxy.conf.routes[3].query, ROUTE_QUERY_LIST);
    conf_free(&c);
}

static void
a_title_becomes_method_host_and_pattern(void **state)
{
    struct conf *c = good(API "route \"PUT /stock/:id\" { }\n"
                              "route \"Shop.Example:80/p/*\" { }\n"
                              "route \"GET [::1]:81/\" { }\n"
                              "route /plain/ { }\n");
    const struct route *r = c->proxy.conf.routes;

    (void)state;
    assert_int_equal(c->proxy.conf.routes_len, 4);
    assert_text(r[0].method, "PUT");
    assert_text(r[0].host, "");
    assert_int_equal(r[0].segments_len, 2);
    assert_int_equal(r[0].segments[0].kind, ROUTE_SEGMENT_LITERAL);
    assert_text(r[0].segments[0].text, "stock");
    assert_int_equal(r[0].segments[1].kind, ROUTE_SEGMENT_PARAM);
    assert_text(r[0].segments[1].text, "id");
    assert_text(r[1].method, "");
    assert_text(r[1].host, "shop.example");
    assert_int_equal(r[1].segments[1].kind, ROUTE_SEGMENT_TAIL);
    assert_text(r[2].host, "[::1]:81");
    assert_int_equal(r[2].segments_len, 1);
    assert_text(r[2].segments[0].text, "");
    assert_int_equal(r[3].segments_len, 2);
    assert_text(r[3].segments[1].text, "");
    conf_free(&c);
}

static void
the_only_origin_need_not_be_named(void **state)
{
    struct conf *c = good(API "route \"/a\" { }\n");

    (void)state;
    assert_string_equal(origin_of(c, 0), "api");
    conf_free(&c);
}

static void
memory_is_used_beside_redis_but_by_routes_that_are_kept_out(void **state)
{
    struct conf *c = good(API "redis { seeds = { 'r:1' } }\n"
                              "route '/a' { memory = off }\nroute '/b' { }");

    (void)state;
    assert_true(c->memory.size == SIZE_MAX); /* auto */
    assert_true(c->proxy.conf.routes[0].skips_memory);
    assert_false(c->proxy.conf.routes[1].skips_memory);
    conf_free(&c);
    c = good(API "redis { seeds = { 'r:1' } }\nmemory { size = 2MB }\n");
    assert_int_equal(c->memory.size, 2 << 20);
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
    assert_string_equal(c->proxy.conf.via, "s3cret");
    assert_string_equal(c->proxy.conf.default_host, "a.example");
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
    assert_int_equal(c->log.access.target, LOG_TARGET_FILE);
    assert_string_equal(c->log.access.path, "/var/log/a.log");
    assert_int_equal(c->access_format, CONF_ACCESS_JSON);
    assert_int_equal(c->log.events.target, LOG_TARGET_SYSLOG);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.rate_max, 5);
    conf_free(&c);
}

/* The table of words has its values by their order. */
static void
every_word_has_its_value(void **state)
{
    struct conf *c = good(API
        "route \"/0\" { read = cache-aside write = invalidate cookie = auto "
        "authorization = auto set_cookie = bypass cache_status = on "
        "vary = bounded client_cache_control = ignore preset = safe }\n"
        "route \"/1\" { read = pass write = pass cookie = bypass "
        "authorization = bypass set_cookie = strip cache_status = key "
        "vary = any client_cache_control = honour }\n"
        "route \"/2\" { cookie = ignore set_cookie = store "
        "cache_status = off }\n"
        "route \"/3\" { authorization = key }\n"
        "error_log { level = warn }\n");
    const struct route *r = c->proxy.conf.routes;

    (void)state;
    assert_int_equal(r[0].read, ROUTE_READ_CACHE_ASIDE);
    assert_int_equal(r[1].read, ROUTE_READ_PASS);
    assert_int_equal(r[0].write, ROUTE_WRITE_INVALIDATE);
    assert_int_equal(r[1].write, ROUTE_WRITE_PASS);
    assert_int_equal(r[0].cookie, ROUTE_CREDENTIAL_AUTO);
    assert_int_equal(r[1].cookie, ROUTE_CREDENTIAL_BYPASS);
    assert_int_equal(r[2].cookie, ROUTE_CREDENTIAL_IGNORE);
    assert_int_equal(r[3].authorization, ROUTE_CREDENTIAL_KEY);
    assert_int_equal(r[0].set_cookie, ROUTE_SET_COOKIE_BYPASS);
    assert_int_equal(r[1].set_cookie, ROUTE_SET_COOKIE_STRIP);
    assert_int_equal(r[2].set_cookie, ROUTE_SET_COOKIE_STORE);
    assert_int_equal(r[0].cache_status, ROUTE_CACHE_STATUS_ON);
    assert_int_equal(r[1].cache_status, ROUTE_CACHE_STATUS_KEY);
    assert_int_equal(r[2].cache_status, ROUTE_CACHE_STATUS_OFF);
    assert_false(r[0].varies_by_any || r[0].honours_client || r[0].is_rfc);
    assert_true(r[1].varies_by_any && r[1].honours_client);
    assert_int_equal(c->log.level, LOG_LEVEL_WARN);
    conf_free(&c);
}

/* At the very limit two options do not contradict each other yet. */
static void
a_switch_has_three_words_for_each_of_its_states(void **state)
{
    static const char *const words[] = {
        "on", "off", "yes", "no", "true", "false"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char text[256];
        struct conf *c;

        /* Defaults of either kind: the word is what decides. */
        snprintf(text, sizeof(text),
            API "route \"/\" { ttl_force = %s\n heuristic = %s }\n", words[i],
            words[i]);
        c = good(text);
        assert_int_equal(c->proxy.conf.routes[0].ttl_force, i % 2 == 0);
        assert_int_equal(c->proxy.conf.routes[0].heuristic, i % 2 == 0);
        conf_free(&c);
    }
}

static void
what_a_route_forces_is_a_word_or_a_switch(void **state)
{
    static const struct {
        const char *word;
        enum route_ttl_force force;
    } rows[] = {
        {"off", ROUTE_TTL_FORCE_OFF},
        {"freshness", ROUTE_TTL_FORCE_FRESHNESS},
        {"all", ROUTE_TTL_FORCE_ALL},
        {"no", ROUTE_TTL_FORCE_OFF},
        {"true", ROUTE_TTL_FORCE_FRESHNESS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        struct conf *c;

        snprintf(text, sizeof(text), API "route \"/\" { ttl_force = %s }\n",
            rows[i].word);
        c = good(text);
        assert_int_equal(c->proxy.conf.routes[0].ttl_force, rows[i].force);
        conf_free(&c);
    }
}

static void
an_option_may_be_as_large_as_what_bounds_it(void **state)
{
    struct conf *c =
        good(API "limits { head_max = 16KB target_max = 16KB\n"
                 "  field_max = 16KB send_timeout = 9s send_total = 9s }\n"
                 "redis { seeds = { \"r:1\" } command_timeout = 2s hang = 2s }"
                 "route \"/\" { ttl_min = 5s ttl_max = 5s }\n");

    (void)state;
    assert_int_equal(c->proxy.conf.limits.target_max, 16384);
    assert_int_equal(c->proxy.conf.limits.field_max, 16384);
    assert_int_equal(c->proxy.conf.limits.send_total_ms, 9000);
    assert_int_equal(c->redis.command_timeout_ms, 2000);
    assert_int_equal(c->proxy.conf.routes[0].ttl_max_ms, 5000);
    conf_free(&c);
}

static void
what_follows_from_the_rest_is_filled_in(void **state)
{
    struct conf *c = good(
        API "origin b { servers = { \"http://b\" } host = B.example }\n"
            "limits { object_max = 16MB response_head_max = 4KB\n"
            "  response_fields_max = 7 }\n"
            "redis { mode = standalone seeds = { \"r:1\" } }\n"
            "defaults { origin = b preset = rfc heuristic = off keep = 5s }\n"
            "route \"/a\" { origin = api }\nroute \"/b\" { keep = 1h }\n");
    const struct route *r = c->proxy.conf.routes;

    (void)state;
    assert_int_equal(c->redis.mode, REDIS_MODE_STANDALONE);
    assert_int_equal(c->redis.in_flight_bytes_max, 17 << 20);
    assert_int_equal(c->redis.reply_max, (16 << 20) + (128 << 10));
    assert_int_equal(c->origins_len, 2);
    assert_int_equal(c->origins[1].head_max, 4096);
    assert_int_equal(c->origins[1].fields_max, 7);
    assert_text(c->proxy.conf.group_hosts[0], "");
    assert_text(c->proxy.conf.group_hosts[1], "b.example");
    assert_int_equal(r[0].group, 0);
    assert_int_equal(r[1].group, 1);
    assert_true(r[0].is_rfc && r[0].heuristic && r[0].honours_client);
    assert_true(r[0].varies_by_any && r[0].stores_post);
    assert_int_equal(r[0].set_cookie, ROUTE_SET_COOKIE_STORE);
    assert_int_equal(r[0].keep_ms, 600000);
    assert_int_equal(r[1].keep_ms, 3600000);
    conf_free(&c);
}

/* What no route matches is passed to the only origin, or to one that is
   named. */
static void
the_default_origin_is_the_only_one_or_is_named(void **state)
{
    static const struct {
        const char *text;
        size_t group;
    } rows[] = {
        {API, 0},
        {API "default_origin = api", 0},
        {API "origin b { servers = { \"http://b\" } }\n", 2},
        {API "default_origin = b origin b { servers = { \"http://b\" } }\n", 1},
        {API "default_origin = api origin b { servers = { \"http://b\" } }\n",
            0},
        /* A route's default is not that of requests without a route. */
        {API "origin b { servers = { \"http://b\" } }\n"
             "defaults { origin = b }\n",
            2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf *c = good(rows[i].text);

        assert_int_equal(c->proxy.conf.default_group, rows[i].group);
        conf_free(&c);
    }
}

static void
an_include_is_relative_to_its_file(void **state)
{
    const struct conf_flags flags = {.path = "d/main"};
    struct conf_errors errors;
    struct conf *c = NULL;

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    file_write("d/main", 0644, "include(\"more\") via = x\n" API);
    file_write("d/more", 0644, "workers = 2\ninclude( 'third' )");
    file_write("d/third", 0644, "drain_delay = 1s");
    conf_errors_init(&errors);
    assert_int_equal(conf_load(&flags, &errors, &c), RC_OK);
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->drain_delay_ms, 1000);
    assert_string_equal(c->proxy.conf.via, "x");
    conf_free(&c);
    conf_errors_fini(&errors);
}

/* The workers that the conf says; 0: it is refused. */
static unsigned
workers_of(const char *path)
{
    const struct conf_flags flags = {.path = path};
    struct conf_errors errors;
    struct conf *c = NULL;
    unsigned workers = 0;

    conf_errors_init(&errors);
    if (conf_load(&flags, &errors, &c) == RC_OK) {
        workers = c->workers;
    }
    conf_free(&c);
    conf_errors_fini(&errors);
    return workers;
}

/* In the order of their names, in the place of the include, at any depth. */
static void
a_pattern_includes_what_it_matches_in_order(void **state)
{
    (void)state;
    assert_int_equal(mkdir("c.d", 0755), 0);
    file_write("c.d/20.conf", 0644, "vai = b\n");
    file_write("c.d/10.conf", 0644, "vai = a\ninclude(\"*.in\") vai = c\n");
    file_write("c.d/x.in", 0644, "vai = x");
    file_write("c.d/y.in", 0644, "");
    file_write("c.d/z.in", 0644, "vai = z");
    file_write("c.d/.30.conf", 0644, "vai = hidden\n");
    file_write("c.d/40.conf~", 0644, "vai = backup\n");
    refuses(API "limits {\n include(\"c.d/*.conf\") vai = d\n}\n vai = e\n",
        "c.d/10.conf:1: unknown option 'vai'; did you mean 'via'?\n"
        "c.d/x.in:1: unknown option 'vai'; did you mean 'via'?\n"
        "c.d/z.in:1: unknown option 'vai'; did you mean 'via'?\n"
        "c.d/10.conf:2: unknown option 'vai'; did you mean 'via'?\n"
        "c.d/20.conf:1: unknown option 'vai'; did you mean 'via'?\n"
        "t:3: unknown option 'vai'; did you mean 'via'?\n"
        "t:5: unknown option 'vai'; did you mean 'via'?\n");
}

static void
a_pattern_that_matches_nothing_includes_nothing(void **state)
{
    (void)state;
    file_write("m", 0644,
        API "include(\"none.d/*.conf\") include('?x')\n"
            "workers = 3 include(\"[ab]x\")");
    assert_int_equal(workers_of("m"), 3);
    refuses(API "include(\"none.d/a.conf\")\n",
        "t:2: include of 'none.d/a.conf': No such file or directory\n");
}

static void
a_pattern_that_misses_the_files_of_its_folder_is_warned_of(void **state)
{
    char *told;

    (void)state;
    assert_int_equal(mkdir("o.d", 0755), 0);
    assert_int_equal(mkdir("o.d/a", 0755), 0);
    file_write("n", 0644, API "include(\"o.d/*.cnf\") workers = 3");
    told = told_of("n", RC_OK);
    assert_string_equal(told, ""); /* a folder is no file */
    free(told);
    file_write("o.d/b.conf", 0644, "");
    told = told_of("n", RC_OK);
    assert_string_equal(told,
        "n:2: warning: include of 'o.d/*.cnf': no file matches, though there "
        "is 'o.d/b.conf'\n");
    free(told);
}

/* The name of its folder is no pattern, whatever it looks like. */
static void
a_pattern_is_relative_to_its_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("p[1]*\\?", 0755), 0);
    file_write("p[1]*\\?/main", 0644, "include(\"*.conf\")\n" API);
    file_write("p[1]*\\?/a.conf", 0644, "workers = 7\n");
    assert_int_equal(workers_of("p[1]*\\?/main"), 7);
}

static void
what_a_pattern_matches_must_be_readable(void **state)
{
    (void)state;
    assert_int_equal(mkdir("r.d", 0755), 0);
    assert_int_equal(mkdir("r.d/b.conf", 0755), 0);
    file_write("r.d/a.conf", 0644, "vai = a");
    file_write("r.d/c.conf", 0644, "vai = c");
    refuses(API "include(\"r.d/*.conf\")\nvai = t\n",
        "r.d/a.conf:1: unknown option 'vai'; did you mean 'via'?\n"
        "t:2: include of 'r.d/b.conf': Is a directory\n"
        "r.d/c.conf:1: unknown option 'vai'; did you mean 'via'?\n"
        "t:3: unknown option 'vai'; did you mean 'via'?\n");
    assert_int_equal(mkdir("many.d", 0755), 0);
    for (int i = 0; i < 300; i++) {
        char name[32];

        snprintf(name, sizeof(name), "many.d/%d", i);
        file_write(name, 0644, "");
    }
    refuses(API "include(\"many.d/*\")\n",
        "t:2: more than 256 files are included\n");
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

/* The file is good, and all of this is told of it. */
static void
warns(const char *text, const char *want)
{
    char *told;

    file_write("t", 0644, text);
    told = told_of("t", RC_OK);
    assert_string_equal(told, want);
    free(told);
}

#define TAKEN(title, host)                                                     \
    "t:2: warning: route \"" title "\": '" host "' is taken for a host, as "   \
    "no '/' stands before it; did you mean "

static void
a_path_that_reads_like_a_host_is_warned_of(void **state)
{
    (void)state;
    warns(API "route \"products/:id\" { }\n",
        TAKEN("products/:id", "products") "\"/products/:id\"?\n");
    warns(API "route \"PUT products/\" { }\n",
        TAKEN("PUT products/", "products") "\"PUT /products/\"?\n");
    warns(API "route \"localhost/a\" { }\nroute \"a.b/c\" { }\n"
              "route \"api:80/c\" { }\nroute \"[::1]/c\" { }\n",
        "");
    warns(API "route \"shop/a\" { }\nhosts = { shop }\n", "");
    warns(API "route \"shop/a\" { }\ndefault_host = shop\n", "");
    warns(API "route \"b.example/a\" { }\n"
              "hosts = { a.example, \"c.example:81\" }\n"
              "route \"a.example:80/b\" { }\nroute \"c.example/c\" { }\n",
        "t:2: warning: route \"b.example/a\" is never reached: 'b.example' is "
        "not among 'hosts'\n");
}

#define LEAVES(line, title)                                                    \
    "t:" line ": warning: 'write = pass' leaves what route \"" title           \
    "\" has stored as it is, and readers get that until its time is over; "    \
    "write = invalidate deletes it\n"

static void
a_write_that_leaves_stale_hits_is_warned_of(void **state)
{
    (void)state;
    warns(API "route \"/a\" {\n write = pass }\n", LEAVES("3", "/a"));
    warns(API "route \"PUT /:x/*\" {\n write = pass }\n"
              "route \"GET a.b/a/:id\" { }\n",
        LEAVES("3", "GET a.b/a/:id"));
    warns(API "route \"GET /a/b\" { }\nroute \"/a/*\" { read = pass\n"
              " write = pass }\n",
        LEAVES("4", "GET /a/b"));
    warns(API "defaults { read = pass\n write = pass }\nroute \"/a\" { }\n"
              "route \"/b\" { read = cache-aside }\n"
              "route \"/c\" { read = cache-aside }\n",
        LEAVES("3", "/b"));
    /* Nothing is stored there, or nobody can write. */
    warns(API "route \"/a\" { read = pass write = pass }\n"
              "route \"PUT /b/:id\" { write = pass }\nroute \"/a/b\" { }\n"
              "route \"PUT x.y/c\" { write = pass }\n"
              "route \"GET z.y/c\" { }\n"
              "route \"GET /d\" { write = pass }\n"
              "route \"/e\" { methods = { GET, OPTIONS } write = pass }\n"
              "route \"PUT /f/\" { write = pass }\nroute \"/f/:id\" { }\n",
        "");
    /* A cart before all the rest: its reads are its own route's. */
    warns(API "route \"/cart/*\" { read = pass write = pass }\n"
              "route \"/*\" { }\n",
        "");
    warns(API "route \"PUT /cart/*\" {\n write = pass }\n"
              "route \"/cart/:id\" { read = pass }\nroute \"/*\" { }\n",
        LEAVES("3", "/*"));
}

static void
a_file_in_a_missing_folder_is_warned_of(void **state)
{
    (void)state;
    warns(API "access_log { target = \"file:/nowhere/a.log\" }\n"
              "error_log {\n target = \"file:/nowhere/deep/e.log\" }\n"
              "metrics = \"unix:/nowhere/m.sock\"\n"
              "admin = \"unix:/nowhere/a.sock\"\n"
              "listen = { \"unix:/tmp/l.sock\",\n"
              " \"unix:/etc/passwd/l.sock\" }\n",
        "t:2: warning: 'target' = 'file:/nowhere/a.log': there is no folder "
        "'/nowhere' (No such file or directory)\n"
        "t:4: warning: 'target' = 'file:/nowhere/deep/e.log': there is no "
        "folder '/nowhere/deep' (No such file or directory)\n"
        "t:5: warning: 'metrics' = 'unix:/nowhere/m.sock': there is no folder "
        "'/nowhere' (No such file or directory)\n"
        "t:6: warning: 'admin' = 'unix:/nowhere/a.sock': there is no folder "
        "'/nowhere' (No such file or directory)\n"
        "t:7: warning: 'listen' = 'unix:/etc/passwd/l.sock': there is no "
        "folder '/etc/passwd' (Not a directory)\n");
    warns(API "access_log { target = \"file:/a.log\" }\n", "");
}

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
a_password_file_has_one_line_of_at_most_4096_bytes(void **state)
{
    const struct folder *f = *state;
    char longest[4098 + 1] = "";
    const char *const bad[] = {"", "\n", "two\nlines", "one\n\n", longest};
    char text[512];
    char want[512];
    struct conf *c;

    snprintf(text, sizeof(text),
        API "redis { seeds = { \"r:1\" }\n password_file = \"%s/secret\" }\n",
        f->path);
    snprintf(want, sizeof(want),
        "t:3: 'password_file' = '%s/secret': not one line of 1 to 4096 bytes\n",
        f->path);
    memset(longest, 'x', 4097);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        file_write("secret", 0600, bad[i]);
        refuses(text, want);
    }
    longest[4096] = '\n';
    file_write("secret", 0600, longest);
    c = good(text);
    assert_int_equal(strlen(c->redis.password), 4096);
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
    /* A default stands in the file, too. */
    refuses(API
        "redis { seeds = { \"r:1\" }\n password = \"${T_NO:-hush}\" }\n",
        "t:3: a password stands in a file that others may read; use "
        "password_file or ${VAR}, or let only its owner read t "
        "(chmod 600)\n");
    file_write("t", 0604, text);
    told = told_of("t", RC_BAD);
    free(told);
    file_write("t", 0640, text);
    told = told_of("t", RC_BAD);
    free(told);
    file_write("t", 0600, text);
    told = told_of("t", RC_OK);
    assert_string_equal(told, "");
    free(told);
    /* What counts is where the text stands. */
    file_write("t", 0600,
        API "redis { seeds = { \"r:1\" }\n password =\ninclude(\"s\")\n}\n");
    file_write("s", 0644, "\"hush\"");
    told = told_of("t", RC_BAD);
    assert_non_null(strstr(told, "s:1: a password stands in a file"));
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
    refuses(API "redis { seeds = { \"r:1\" }\n password = hun$ter2 }\n",
        "t:3: the value of 'password' must stand in quotes\n"
        "t:3: a password stands in a file that others may read; use "
        "password_file or ${VAR}, or let only its owner read t "
        "(chmod 600)\n");
    refuses(API "redis { seeds = { \"r:1\" }\n password =\n hun$ter2 }\n",
        "t:4: the value of 'password' must stand in quotes\n"
        "t:4: a password stands in a file that others may read; use "
        "password_file or ${VAR}, or let only its owner read t "
        "(chmod 600)\n");
    refuses(API "redis { seeds = { \"r:1\" }\n"
                " password = \"${T_S}\" hunter2 }\n",
        "t:3: unexpected text behind the value of 'password'; a text with "
        "blanks is written in quotes\n");
    refuses(API "redis { seeds = { \"r:1\" }\n"
                " password = \"${T_S}\" hunter2 = \"two\" }\n",
        "t:3: unexpected text behind the value of 'password'; a text with "
        "blanks is written in quotes\n");
    refuses(API "redis { seeds = { \"r:1\" }\n"
                " password = \"${T_S}\" \"hunter2\" }\n",
        "t:3: unexpected text behind the value of 'password'; a text with "
        "blanks is written in quotes\n");
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
    rc = conf_load(flags, &errors, &conf);
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
    assert_string_equal(c->origins[0].servers[0], flags.origin);
    assert_int_equal(c->proxy.conf.routes_len, 2);
    assert_int_equal(c->proxy.conf.routes[0].ttl_ms, 300000);
    assert_string_equal(origin_of(c, 0), "origin");
    assert_int_equal(c->proxy.conf.routes[0].segments_len, 2);
    assert_text(c->proxy.conf.routes[1].segments[0].text, "a=b");
    assert_int_equal(c->redis.mode, REDIS_MODE_CLUSTER);
    assert_int_equal(c->redis.seeds_len, 2);
    assert_int_equal(c->listen_len, 1);
    assert_string_equal(c->listen[0], "127.0.0.1:0");
    conf_free(&c);
}

static void
without_redis_the_shared_tier_is_off(void **state)
{
    struct conf_flags flags = {.origin = "unix:/run/api.sock"};
    struct conf *c = load_flags(&flags, "");

    (void)state;
    assert_int_equal(c->redis.mode, REDIS_MODE_OFF);
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
    assert_int_equal(c->origins_len, 1);
    assert_string_equal(c->origins[0].name, "api");
    assert_string_equal(c->origins[0].servers[0], "http://b:2");
    assert_int_equal(c->listen_len, 1);
    assert_int_equal(c->redis.mode, REDIS_MODE_STANDALONE);
    assert_string_equal(c->redis.seeds[0], "r:1");
    assert_int_equal(c->redis.hang_ms, 2000);
    assert_int_equal(c->proxy.conf.routes_len, 2);
    assert_int_equal(c->proxy.conf.routes[0].ttl_ms, 9000);
    assert_int_equal(c->proxy.conf.routes[0].query, ROUTE_QUERY_NONE);
    assert_int_equal(c->proxy.conf.routes[1].cookie, ROUTE_CREDENTIAL_BYPASS);
    assert_string_equal(origin_of(c, 1), "api");
    conf_free(&c);
    file_write("t", 0644, API "redis { mode = off }\n");
    c = load_flags(&flags, "");
    assert_int_equal(c->redis.mode, REDIS_MODE_CLUSTER);
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

/* False: so many blocks are not wanted. */
static bool
is_loaded_without(unsigned nth)
{
    const struct conf_flags flags = {.path = "t"};
    struct conf_errors errors;
    struct conf *conf = NULL;
    bool is_refused;
    enum rc rc;

    conf_errors_init(&errors);
    heap_refuse(nth, 0);
    rc = conf_load(&flags, &errors, &conf);
    is_refused = heap_refused();
    assert_int_equal(rc == RC_OK, !is_refused);
    if (rc != RC_OK && rc != RC_NOMEM) { /* of a file, which is told */
        assert_int_equal(errors.mistakes, 1);
        assert_non_null(strstr(errors.items[0].text, strerror(ENOMEM)));
    }
    assert_int_equal(conf != NULL, rc == RC_OK);
    conf_free(&conf);
    conf_errors_fini(&errors);
    return is_refused;
}

static void
without_any_one_block_of_memory_there_is_no_conf(void **state)
{
    unsigned nth = 1;

    (void)state;
    file_write("a.conf", 0644, "hosts = { a.example, b.example }\n");
    file_write("b", 0644, "via = here\n");
    file_write("t", 0644,
        "include(\"*.conf\")\ninclude\t(\"*.none\")\ninclude(\"b\")\n" API
        "trusted_proxies = { 10.0.0.0/8, 192.0.2.1 }\n"
        "redis { seeds = { \"127.0.0.1:7000\" } password = \"x\" }\n"
        "defaults { ttl = 5m }\n"
        "route \"/a/:id\" { vary_on = { X-A } query = { a, b }\n"
        " ttl_by_status = { \"404 10s\" } cookies = { c } }\n"
        "route \"GET a.example/b/*\" { ttl = 1s }\n");
    chmod("t", 0600);
    for (heap_begins(); is_loaded_without(nth); nth++) {
        heap_ends();
    }
    assert_in_range(nth, 10, 500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_route_forces_is_a_word_or_a_switch),
        cmocka_unit_test(an_option_that_is_not_set_has_its_default),
        cmocka_unit_test(values_are_read_with_their_units),
        cmocka_unit_test(the_example_of_the_design_is_read),
        cmocka_unit_test(networks_become_bytes),
        cmocka_unit_test(a_route_starts_from_defaults_wherever_they_stand),
        cmocka_unit_test(a_query_is_all_none_or_names),
        cmocka_unit_test(a_title_becomes_method_host_and_pattern),
        cmocka_unit_test(the_only_origin_need_not_be_named),
        cmocka_unit_test(
            memory_is_used_beside_redis_but_by_routes_that_are_kept_out),
        cmocka_unit_test(strings_may_hold_escapes_and_comment_signs),
        cmocka_unit_test(a_variable_is_put_in_and_has_a_default),
        cmocka_unit_test(the_log_targets_are_read),
        cmocka_unit_test(every_word_has_its_value),
        cmocka_unit_test(a_switch_has_three_words_for_each_of_its_states),
        cmocka_unit_test(an_option_may_be_as_large_as_what_bounds_it),
        cmocka_unit_test(what_follows_from_the_rest_is_filled_in),
        cmocka_unit_test(the_default_origin_is_the_only_one_or_is_named),
        cmocka_unit_test(an_include_is_relative_to_its_file),
        cmocka_unit_test(a_pattern_includes_what_it_matches_in_order),
        cmocka_unit_test(a_pattern_that_matches_nothing_includes_nothing),
        cmocka_unit_test(
            a_pattern_that_misses_the_files_of_its_folder_is_warned_of),
        cmocka_unit_test(a_pattern_is_relative_to_its_file),
        cmocka_unit_test(what_a_pattern_matches_must_be_readable),
        cmocka_unit_test(tags_are_kept_with_a_warning),
        cmocka_unit_test(a_path_that_reads_like_a_host_is_warned_of),
        cmocka_unit_test(a_write_that_leaves_stale_hits_is_warned_of),
        cmocka_unit_test(a_file_in_a_missing_folder_is_warned_of),
        cmocka_unit_test(a_password_file_is_read_without_its_newline),
        cmocka_unit_test(a_password_file_has_one_line_of_at_most_4096_bytes),
        cmocka_unit_test(a_literal_password_needs_a_private_file),
        cmocka_unit_test(a_password_is_never_shown),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(lines_are_right_behind_comments_and_includes),
        cmocka_unit_test(an_include_in_a_section_keeps_its_lines),
        cmocka_unit_test(a_file_that_includes_itself_is_refused),
        cmocka_unit_test(an_include_is_written_one_way),
        cmocka_unit_test(a_control_byte_of_the_file_is_not_printed),
        cmocka_unit_test(all_mistakes_are_told_and_counted),
        cmocka_unit_test(flags_alone_make_a_conf),
        cmocka_unit_test(without_redis_the_shared_tier_is_off),
        cmocka_unit_test(flags_override_and_add_to_a_file),
        cmocka_unit_test(mistakes_of_flags_are_told),
        cmocka_unit_test(without_any_one_block_of_memory_there_is_no_conf),
    };

    given_environment();
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
