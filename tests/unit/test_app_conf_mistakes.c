/* Mistakes of a conf file: each is told with its line and its cure. */
#include "conf_given.h"

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
        {"hosts += { a }", "t:2: '+=' is not known here; write the whole list: "
                           "hosts = { a, b }\n"},
        {"workers += 1\nvai = x",
            "t:2: '+=' is not known here; write workers = VALUE\n"
            "t:3: unknown option 'vai'; did you mean 'via'?\n"},
        {"hosts+={ a }", "t:2: '+=' is not known here; write the whole list: "
                         "hosts = { a, b }\n"},
        {"hosts += \nvai = x",
            "t:2: '+=' is not known here; write the whole list: "
            "hosts = { a, b }\n"
            "t:3: unknown option 'vai'; did you mean 'via'?\n"},
        {"hots += { a }", "t:2: unknown option 'hots'; did you mean "
                          "'hosts'?\n"},
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
        {"via = \"a\\x00\"", "t:2: '\\x00' is a NUL byte, which no text may "
                             "hold\n"},
        {"via = \"a\\0\"", "t:2: '\\0' is no escape; a backslash itself is "
                           "written '\\\\'\n"},
        {"via = \"a\\xg0\"", "t:2: '\\x' is written with two hex digits, as "
                             "'\\x41'\n"},
        {"via = 'a\\b'", "t:2: a backslash has no meaning in single quotes; "
                         "use double quotes\n"},
        {"\n/* x\n\n", "t:3: the comment that begins here has no end; '*/' is "
                       "missing\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

/* Editors begin a file with it; lines are counted as ever. */
static void
a_byte_order_mark_is_no_part_of_the_text(void **state)
{
    (void)state;
    refuses("\xef\xbb\xbf" API "vai = x\n",
        "t:2: unknown option 'vai'; did you mean 'via'?\n");
    file_write("in", 0644, "\xef\xbb\xbfvai = x\n");
    refuses(API "include(\"in\")\n",
        "in:1: unknown option 'vai'; did you mean 'via'?\n");
    refuses(API "\xef\xbb\xbfvai = x\n",
        "t:2: '\\xef\\xbb\\xbfvai' must stand in quotes\n"
        "t:2: unexpected '\"\"'; here the name of an option is wanted, without "
        "quotes\n");
}

static void
an_unknown_name_is_told_with_what_was_meant(void **state)
{
    static const struct refusal cases[] = {
        {"route \"/a\" {\n tll = 5s\n}",
            "t:3: unknown option 'tll'; did you mean 'ttl'?\n"},
        {"tll = 5s", "t:2: unknown option 'tll'; did you mean 'ttl' in a "
                     "section 'route'?\n"},
        {"route \"/a\" {\n TTL = 5s\n}",
            "t:3: unknown option 'TTL'; did you mean 'ttl'?\n"},
        {"ttl = 5s", "t:2: option 'ttl' belongs in a section 'route'\n"},
        {"redis {\n seeds = { \"r:1\" }\n listen = { x }\n}",
            "t:4: option 'listen' does not belong in 'redis'; it stands "
            "outside of all sections\n"},
        {"rediss { seeds = { \"r:1\" } foo = { 1, 2 } }\nvia = x",
            "t:2: unknown option 'rediss'; did you mean 'redis'?\n"},
        {"metircs = off", "t:2: unknown option 'metircs'; did you mean "
                          "'metrics'?\n"},
        {"xyzzy = 5", "t:2: unknown option 'xyzzy'\n"},
        {"server = x", "t:2: unknown option 'server'; did you mean 'servers' "
                       "in a section 'origin'?\n"},
        {"redis { seeds = { \"r:1\" } port = 1 }",
            "t:2: unknown option 'port'\n"},
        {"route \"/a\" {\n ttl: 5s\n}",
            "t:3: a ':' behind a name is not wanted; an option is written "
            "'ttl = ...'\n"},
        {"target = off", "t:2: option 'target' belongs in a section "
                         "'access_log' or 'error_log'\n"},
        {"redis { seeds = { \"r:1\" } connections_max = 5 }",
            "t:2: option 'connections_max' belongs in a section 'limits' or "
            "'origin'\n"},
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
            "t:3: route \"/a\" stands twice; first in t:2\n"},
        {"route \"/:a/x\" { }\nroute \"/:b/x\" { }\nroute \"/:b/y\" { }",
            "t:3: route \"/:b/x\" matches the same requests as route "
            "\"/:a/x\"\n"},
        {"listen = { \"[::]:1\",\n \"[::]:1\" }",
            "t:2: 'listen' names '[::]:1' twice\n"},
        {"listen = { \"[::]:2\", \"[::]:1\" }\nmetrics = \"[::]:1\"\n"
         "admin = \"[::]:1\"",
            "t:3: 'metrics' = '[::]:1': this is an address of 'listen' too\n"
            "t:4: 'admin' = '[::]:1': this is an address of 'listen' too\n"
            "t:4: 'admin' = '[::]:1': this is an address of 'metrics' too\n"},
        {"metrics = \"unix:/m\"\nadmin = \"unix:/m\"",
            "t:3: 'admin' = 'unix:/m': this is an address of 'metrics' "
            "too\n"},
        {"listen = 127.0.0.1:0\nmetrics = 127.0.0.1:0\nadmin = 127.0.0.1:0\n"
         "foo",
            "t:5: unknown option 'foo'\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

/* "0.0.0.0" and "[::]" are all addresses of their kind. */
static void
one_port_is_one_listeners(void **state)
{
    static const struct refusal cases[] = {
        {"listen = { \"0.0.0.0:80\" }\nmetrics = \"127.0.0.1:80\"",
            "t:3: 'metrics' = '127.0.0.1:80': 'listen' has that port too "
            "('0.0.0.0:80')\n"},
        {"metrics = \"127.0.0.1:8080\"",
            "t:2: 'metrics' = '127.0.0.1:8080': 'listen' has that port too "
            "('0.0.0.0:8080')\n"},
        {"listen = { \"127.0.0.1:80\" }\nmetrics = \"0.0.0.0:80\"\n"
         "admin = \"127.0.0.2:80\"",
            "t:3: 'metrics' = '0.0.0.0:80': 'listen' has that port too "
            "('127.0.0.1:80')\n"
            "t:4: 'admin' = '127.0.0.2:80': 'metrics' has that port too "
            "('0.0.0.0:80')\n"},
        {"listen = { \"[::1]:80\", \"[0:0::1]:80\",\n \"[::]:80\" }",
            "t:2: 'listen' names '[0:0::1]:80' twice\n"
            "t:2: 'listen' = '[::]:80': '[::1]:80' has that port too\n"
            "t:2: 'listen' = '[::]:80': '[0:0::1]:80' has that port too\n"},
        /* Each of these is alone. */
        {"listen = { \"[::]:80\", \"0.0.0.0:80\", \"0.0.0.0:81\" }\n"
         "metrics = \"127.0.0.1:82\"\nadmin = \"127.0.0.2:82\"\nvai = x",
            "t:5: unknown option 'vai'; did you mean 'via'?\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

#define BEHIND(later, line, earlier)                                           \
    "t:" line ": route \"" later "\" is never reached: route \"" earlier       \
    "\" before it has all its requests; let the special one come first\n"

static void
a_route_behind_one_that_has_all_its_requests_is_told(void **state)
{
    static const struct refusal cases[] = {
        {"route \"/*\" { }\nroute \"/me\" { read = pass }",
            BEHIND("/me", "3", "/*")},
        {"route \"/a/:id\" { }\nroute \"GET /a/me\" { }",
            BEHIND("GET /a/me", "3", "/a/:id")},
        {"route \"/:a/:b\" { }\nroute \"shop.example/x/:c\" { }",
            BEHIND("shop.example/x/:c", "3", "/:a/:b")},
        {"route \"shop.example/*\" { }\nroute \"shop.example:81/x\" { }",
            BEHIND("shop.example:81/x", "3", "shop.example/*")},
        {"route \"GET /a/*\" { }\nroute \"HEAD /a/b/c\" { }\n"
         "route \"/a/:x\" { }\nroute \"PUT /a/y\" { }",
            BEHIND("HEAD /a/b/c", "3", "GET /a/*")
                BEHIND("PUT /a/y", "5", "/a/:x")},
        {"route \"/a/*\" { }\nroute \"/a/\" { }\nroute \"/a/b/*\" { }",
            BEHIND("/a/", "3", "/a/*") BEHIND("/a/b/*", "4", "/a/*")},
        /* Each of these has some of its own. */
        {"route \"GET /a/*\" { }\nroute \"/a/b\" { }\nroute \"/a\" { }\n"
         "route \"/c/:id\" { }\nroute \"/c/\" { }\nroute \"/c/*\" { }\n"
         "route \"x/e/:a\" { }\nroute \"/e/b\" { }\n"
         "route \"x.y:81/f\" { }\nroute \"x.y/f\" { }\nvai = x",
            "t:8: warning: route \"x/e/:a\": 'x' is taken for a host, as no "
            "'/' stands before it; did you mean \"/x/e/:a\"?\n"
            "t:12: unknown option 'vai'; did you mean 'via'?\n"},
        /* A title that is no good has no requests. */
        {"route \"/*/\" { }\nroute \"/a\" { }",
            "t:2: route \"/*/\": '*' stands alone, as the last segment: "
            "\"/files/*\"\n"},
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
        {"drain_delay = \"5 \"",
            "t:2: 'drain_delay' = '5 ': ' ' is no unit (ms, s, m, h or d)\n"},
        {"drain_delay = 5w",
            "t:2: 'drain_delay' = '5w': 'w' is no unit (ms, s, m, h or d)\n"},
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
            "t:2: 'ttl_force' = '1': it takes off, freshness or all\n"},
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
        {"memory { size = some }",
            "t:2: 'size' = 'some': not a size; it is a whole number and a "
            "unit (B, KB, MB or GB)\n"},
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
        {"redis { seeds = { \"r:1\" } address_map = { \"a:1 = b\" } }",
            "t:2: 'address_map' = 'a:1 = b': it is written 'announced:port = "
            "reached:port', such as '172.19.0.3:6379 = 10.0.0.5:7001'\n"},
        {"redis { seeds = { \"r:1\" } address_map = { \"a:1 = b:1\", "
         "\"[::1]:1=b:2\", \"a:1=b:2\" } }",
            "t:2: 'address_map' names 'a:1' twice\n"},
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
                                 "blank: methods are written in capitals\n"},
        {"route \"TRACE /x\" { }", "t:2: route \"TRACE /x\": 'TRACE' before "
                                   "the blank: it is never served\n"},
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
                               "no path has; did you mean 'a%252'?\n"},
        {"route \"/a<b\" { }", "t:2: route \"/a<b\": 'a<b' holds a byte that "
                               "no path has; did you mean 'a%3Cb'?\n"},
        {"route \"/\xc3\xa4%5A\" { }",
            "t:2: route \"/\xc3\xa4%5A\": '\xc3\xa4Z' holds a byte that no "
            "path has; did you mean '%C3%A4Z'?\n"},
        {"route \"/a b\" { }", "t:2: route \"/a b\": a blank in a path is "
                               "written %20\n"},
        {"route \"/a;b/c\" { }",
            "t:2: route \"/a;b/c\": 'a;b': what is asked for with ';' is never "
            "stored, as servers read it in different ways; ':name' matches "
            "such a segment too\n"},
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
        {"default_origin = apj",
            "t:2: there is no origin 'apj'; did you mean 'api'?\n"},
        {"default_origin = api2\norigin b { servers = { \"http://a\" } }",
            "t:2: there is no origin 'api2'; did you mean 'api'?\n"},
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
        {"route \"/\" {\n vary_on = { Accept, X-Api-Key, Forwarded,\n"
         " \"*\" } }\nroute \"/a\" { vary_on = { X-Me }\n"
         " credential_fields = { X-Me } }",
            "t:3: 'vary_on' = 'x-api-key': a credential, which makes an answer "
            "for each client\n"
            "t:3: 'vary_on' = 'forwarded': it differs with each client\n"
            "t:3: 'vary_on' = '*': not the name of a header field\n"
            "t:5: 'vary_on' = 'x-me': a credential, which makes an answer "
            "for each client\n"},
        {"route \"/\" { vary_on = { X_A, host, range, if-match, te, Expect,\n"
         "x-real-ip, x-forwarded-proto, x-original-url, content-type, Age\n} }",
            "t:2: 'vary_on' names more than 8 fields\n"
            "t:2: 'vary_on' = 'x_a': fields with '_' in their names are "
            "dropped\n"
            "t:2: 'vary_on' = 'host': the host is keyed anyway; see "
            "'key_host'\n"
            "t:2: 'vary_on' = 'range': the origin does not get it with what "
            "may be stored\n"
            "t:2: 'vary_on' = 'if-match': the origin does not get it with what "
            "may be stored\n"
            "t:2: 'vary_on' = 'te': the origin does not get it with what may "
            "be stored\n"
            "t:2: 'vary_on' = 'expect': the origin does not get it with what "
            "may be stored\n"
            "t:2: 'vary_on' = 'x-real-ip': it differs with each client\n"
            "t:2: 'vary_on' = 'x-forwarded-proto': what a trusted proxy says "
            "of host, scheme, port and path is keyed anyway, and the origin "
            "is not sent what others say\n"
            "t:2: 'vary_on' = 'x-original-url': the origin does not get it "
            "with what may be stored\n"
            "t:2: 'vary_on' = 'content-type': a request with content is never "
            "answered from the cache\n"
            "t:2: 'vary_on' = 'age': a field of responses, not of requests\n"},
        {"defaults {\n vary_on = { Range, X-Me } }\n"
         "route \"/a\" { credential_fields = { X-Me } }\nroute \"/b\" { }",
            "t:3: 'vary_on' = 'range': the origin does not get it with what "
            "may be stored\n"
            "t:4: 'vary_on' = 'x-me': a credential, which makes an answer for "
            "each client\n"},
        {"origin b { servers = { \"http://a\" }  host = b }\n"
         "defaults {\n key_host = none\n origin = api }\n"
         "route \"/\" { }\nroute \"/a\" { }\nroute \"/b\" { origin = b }\n"
         "route \"/c\" { key_host = name }",
            "t:4: 'key_host' needs a 'host' of origin 'api', to be sent in "
            "place of the client's\n"
            "t:9: 'key_host' needs a 'host' of origin 'api', to be sent in "
            "place of the client's\n"},
        {"route \"/\" {\n key_host = none }\nroute \"/a\" { key_host = name }\n"
         "route \"/b\" { key_host = full }",
            "t:3: 'key_host' needs a 'host' of origin 'api', to be sent in "
            "place of the client's\n"
            "t:4: 'key_host' needs a 'host' of origin 'api', to be sent in "
            "place of the client's\n"},
        {"route \"/\" {\n cookies = { a }\n cookie = ignore }",
            "t:3: 'cookies' names those that count, and 'cookie' = ignore "
            "drops them all\n"},
        {"route \"/\" { cookies = { \"a=b\", a } }",
            "t:2: 'cookies' = 'a=b': not the name of a cookie\n"},
        {"route \"/\" { vary_on = { Cookie } }",
            "t:2: 'vary_on' = 'Cookie': it has an option of its own\n"},
        {"route \"/\" { vary_on = { a, b, c, d, e, f, g, h, i } }",
            "t:2: 'vary_on' names more than 8 fields\n"},
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
    refuses(API "route \"/p/:id\" {\n tags = { \"a:{x}\", \"b{\", "
                "\"{id}:{y}\" } }\n",
        "t:3: tag \"a:{x}\": the route has no parameter ':x'\n"
        "t:3: tag \"b{\": a '}' is missing\n"
        "t:3: tag \"{id}:{y}\": the route has no parameter ':y'\n"
        "t:3: warning: 'tags' are kept but have no effect in this version\n");
}

static void
a_file_without_an_origin_is_refused(void **state)
{
    (void)state;
    refuses("", "t: no origin is named; write origin api { servers = { "
                "\"http://127.0.0.1:3000\" } }, or use --origin\n");
}

/* A list of n hosts, behind the only origin. */
static char *
hosts_text(unsigned n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    fputs(API "hosts = { ", to);
    for (unsigned i = 0; i < n; i++) {
        fprintf(to, "%sh%u", i == 0 ? "" : ", ", i);
    }
    fputs(" }\n", to);
    assert_int_equal(fclose(to), 0);
    return text;
}

/* The only origin and more sections of a kind, n in all, each in a line. */
static char *
sections_text(const char *begin, unsigned n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    for (unsigned i = 0; i < n; i++) {
        if (i == 0) {
            fputs(API, to);
        } else {
            fprintf(to, "%s%u%s\n", begin, i,
                begin[0] == 'r' ? "\" { }" : " { servers = { \"http://a\" } }");
        }
    }
    assert_int_equal(fclose(to), 0);
    return text;
}

/* want: what is told, or "". */
static void
tells(char *own_text, const char *want)
{
    char *told;

    file_write("t", 0644, own_text);
    told = told_of("t", want[0] == '\0' ? RC_OK : RC_BAD);
    assert_string_equal(told, want);
    free(told);
    free(own_text);
}

static void
what_is_at_its_limit_is_taken_and_one_more_is_told(void **state)
{
    (void)state;
    tells(hosts_text(1024), "");
    tells(hosts_text(1025), "t:2: 'hosts' has 1025 items; at most 1024\n");
    tells(sections_text("origin o", 256), "");
    tells(sections_text("origin o", 257), "t:257: more than 256 origins\n");
    tells(sections_text("route \"/", 2048), "");
    tells(
        sections_text("route \"/", 2049), "t:2049: more than 2048 sections\n");
    tells(strdup(API "drain_delay = 3650d limits { object_max = 256MB\n"
                     " head_max = 1KB field_max = 256B target_max = 64B }\n"),
        "");
    tells(strdup(API "limits { head_max = 1023B\n object_max = 262145KB }\n"),
        "t:2: 'head_max' = '1023B': too small; at least 1KB\n"
        "t:3: 'object_max' = '262145KB': too large; at most 256MB\n");
    tells(strdup(API "workers = 256\nlimits { fields_max = 128 }\n"), "");
}

static void
a_value_that_was_refused_is_not_judged_again(void **state)
{
    static const struct refusal cases[] = {
        {"route \"/\" { ttl_by_status = { a, b } }",
            "t:2: 'ttl_by_status' = 'a': a status and a duration are meant, "
            "such as '404 10s'\n"
            "t:2: 'ttl_by_status' = 'b': a status and a duration are meant, "
            "such as '404 10s'\n"},
        {"limits { head_max = 1KB2 }",
            "t:2: 'head_max' = '1KB2': 'KB2' is no unit (B, KB, MB or GB); did "
            "you mean '1KB'?\n"},
        {"listen = { a }", "t:2: 'listen' = 'a': not an address; it is written "
                           "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
a_broken_grammar_does_not_hide_what_stands_before_it(void **state)
{
    (void)state;
    refuses(API "workers = 0\nroute \"/a\" { ttl = 5\n}\n}\nvia = \"\\q\"\n",
        "t:2: 'workers' = '0': not a whole number from 1 to 256, or auto\n"
        "t:3: 'ttl' = '5': a duration has a unit (ms, s, m, h or d); did you "
        "mean '5s'?\n"
        "t:5: a '}' too many\n"
        "t:6: '\\q' is no escape; a backslash itself is written '\\\\'\n");
}

/* Whole files, each with one mistake or a few: a row dies when a word or a
   line of what is told is another one. */
static void
every_kind_of_mistake_is_told_with_its_line_and_cure(void **state)
{
    static const struct refusal cases[] = {
        {"via =", "t:2: the value of 'via' is missing\n"},
        {"via", "t:2: '=' is missing after 'via'\n"},
        {"= via",
            "t:2: unexpected '='; here the name of an option is wanted\n"},
        {"listen = { , \"0.0.0.0:1\" }",
            "t:2: the list of 'listen' is not closed, or has a comma too many; "
            "it is written { a, b }\n"},
        {"listen = { \"0.0.0.0:1\" \"0.0.0.0:2\" }",
            "t:2: in the list of 'listen' a ',' or '}' is missing before "
            "'\"0.0.0.0:2\"'\n"},
        {"listen = \"0.0.0.0:1\", \"0.0.0.0:2\"",
            "t:2: unexpected ','; here the name of an option is wanted\n"},
        {"redis { seeds = { \"a:1\" }",
            "t:2: section 'redis' is not closed; a '}' is missing\n"},
        {"redis { seeds = { \"a:1\" } } }", "t:2: a '}' too many\n"},
        {"limits { head_max = 1KB; }",
            "t:2: a ';' behind a value or a name is not wanted\n"
            "t:2: 'field_max' is above 'head_max': one field cannot be larger "
            "than the whole head\n"
            "t:2: 'target_max' is above 'head_max': the target is a part of "
            "the head\n"},
        {"limits { head_max = 1K }",
            "t:2: 'head_max' = '1K': 'K' is no unit (B, KB, MB or GB); did you "
            "mean '1KB'?\n"},
        {"limits { head_max = 1024 }",
            "t:2: 'head_max' = '1024': a size has a unit (B, KB, MB or GB); "
            "did you mean '1024KB'?\n"},
        {"limits { head_max = 512B }",
            "t:2: 'head_max' = '512B': too small; at least 1KB\n"},
        {"limits { head_max = 2MB }",
            "t:2: 'head_max' = '2MB': too large; at most 1MB\n"},
        {"limits { fields_max = 0 }",
            "t:2: 'fields_max' = '0': not a whole number from 1 to 128\n"},
        {"limits { fields_max = -5 }",
            "t:2: 'fields_max' = '-5': not a whole number from 1 to 128\n"},
        {"limits { target_max = 33KB field_max = 32KB }",
            "t:2: 'target_max' is above 'head_max': the target is a part of "
            "the head\n"},
        {"limits { field_max = 33KB }",
            "t:2: 'field_max' is above 'head_max': one field cannot be larger "
            "than the whole head\n"},
        {"limits { send_total = 29s }",
            "t:2: 'send_total' is below 'send_timeout', which could never "
            "pass\n"},
        {"access_log { target = \"file:var/x\" }",
            "t:2: 'target' = 'file:var/x': it takes off, stdout, stderr, "
            "syslog or \"file:/path\"\n"},
        {"access_log { format = xml }",
            "t:2: 'format' = 'xml': it takes combined or json\n"},
        {"error_log { rate_max = 0 }",
            "t:2: 'rate_max' = '0': not a whole number from 1 to 100000\n"},
        {"error_log { level = Info }",
            "t:2: 'level' = 'Info': it takes error, warn, info or debug; did "
            "you mean 'info'?\n"},
        {"memory { size = 1023KB }",
            "t:2: 'size' is too small; at least 1MB, or 0 for none\n"},
        {"redis { seeds = { \"a\" } }", "t:2: 'seeds' = 'a': the port is "
                                        "missing; did you mean 'a:6379'?\n"},
        {"redis { seeds = { \"a:x\" } }",
            "t:2: 'seeds' = 'a:x': not a server; it is written 'host:port', "
            "such as 'redis-1:6379'\n"},
        {"redis { seeds = { \"a:65536\" } }",
            "t:2: 'seeds' = 'a:65536': not a server; it is written "
            "'host:port', such as 'redis-1:6379'\n"},
        {"redis { seeds = { \"\" } }",
            "t:2: 'seeds' = '': not a server; it is written 'host:port', such "
            "as 'redis-1:6379'\n"},
        {"redis { seeds = { \"a:1\" } password = hush }",
            "t:2: a password stands in a file that others may read; use "
            "password_file or ${VAR}, or let only its owner read t (chmod "
            "600)\n"},
        {"redis { seeds = { \"a:1\" } prefix = \"\" }",
            "t:2: 'prefix' = '': a prefix has 1 to 32 bytes\n"},
        {"redis { seeds = { \"a:1\" } prefix = "
         "\"123456789012345678901234567890123\" }",
            "t:2: 'prefix' = '123456789012345678901234567890123': a prefix has "
            "1 to 32 bytes\n"},
        {"redis { seeds = { \"a:1\" } user = \"\" }",
            "t:2: 'user' = '': empty\n"},
        {"redis { seeds = { \"a:1\" } hang = 10ms }",
            "t:2: 'command_timeout' is above 'hang', after which the "
            "connection is closed\n"},
        {"redis { seeds = { \"a:1\" } refresh_interval = 999ms }",
            "t:2: 'refresh_interval' = '999ms': too small; at least 1s\n"},
        {"redis { seeds = { \"a:1\" } client_name = \"a b\" }",
            "t:2: 'client_name' = 'a b': not a single word of letters, digits "
            "and '-', '_' or '.', of at most 64 bytes\n"},
        {"redis { seeds = { \"a:1\" } password_file = \"/etc/hostname-not\" }",
            "t:2: 'password_file' = '/etc/hostname-not': No such file or "
            "directory\n"},
        {"origin api2 { servers = { } }",
            "t:2: origin 'api2' names no server; write servers = { "
            "\"http://127.0.0.1:3000\" }\n"},
        {"origin api2 { servers = \"ftp://x\" }",
            "t:2: 'servers' = 'ftp://x': not a server; it is written "
            "'http://host:port' or 'unix:/path', without a path or a query\n"},
        {"origin api2 { servers = { \"http://x:0\" } }",
            "t:2: 'servers' = 'http://x:0': not a server; it is written "
            "'http://host:port' or 'unix:/path', without a path or a query\n"},
        {"origin \"a/b\" { servers = { \"http://x\" } }",
            "t:2: the name of an origin has 1 to 64 letters, digits, '_', '.' "
            "or '-'\n"},
        {"origin { servers = { \"http://x\" } }",
            "t:2: the title is missing: origin NAME { ... }\n"},
        {"origin a b { servers = { \"http://x\" } }",
            "t:2: 'origin' is a section; it is written origin TITLE { ... }\n"},
        {"origin api { }", "t:2: origin \"api\" stands twice; first in t:1\n"},
        {"origin b { servers = { \"http://x\" } host = \"a b\" }",
            "t:2: 'host' = 'a b': not a host; it is written 'shop.example' or "
            "'shop.example:8080'\n"},
        {"origin b { servers = { \"http://x\" } idle_max = 0 }",
            "t:2: 'idle_max' = '0': not a whole number from 1 to 1000000\n"},
        {"origin b { servers = { \"http://x\" } reuse_after_body = maybe }",
            "t:2: 'reuse_after_body' = 'maybe': neither on nor off\n"},
        {"defaults { ttl = 5 }", "t:2: 'ttl' = '5': a duration has a unit (ms, "
                                 "s, m, h or d); did you mean '5s'?\n"},
        {"defaults { ttl_jitter = 200% }",
            "t:2: 'ttl_jitter' = '200%': not a percentage from 0% to 100%, "
            "such as '10%'\n"},
        {"defaults { ttl_min = 2s ttl_max = 1s }",
            "t:2: 'ttl_min' is above 'ttl_max'\n"},
        {"defaults { ttl_min = 9s ttl_max = 1s ttl = 0 ttl_force = on }\n"
         "route \"/a\" { }\n"
         "route \"/b\" { ttl_max = 2s }\n"
         "route \"/c\" { ttl_force = on }\n"
         "route \"/d\" { ttl_max = 9s ttl = 1s }\n",
            "t:2: 'ttl_min' is above 'ttl_max'\n"
            "t:2: 'ttl_force' needs a 'ttl' above 0\n"
            "t:4: 'ttl_min' is above 'ttl_max'\n"
            "t:5: 'ttl_force' needs a 'ttl' above 0\n"},
        {"defaults { ttl_min = 9s }\nroute \"/a\" {\n ttl_max = 2s }",
            "t:3: 'ttl_min' is above 'ttl_max'\n"},
        {"defaults { ttl_force = on ttl = 0 }\n"
         "route \"/x\" { }",
            "t:2: 'ttl_force' needs a 'ttl' above 0\n"},
        {"route \"/x\" { ttl = 1s }\n"
         "route \"/x\" { ttl = x }",
            "t:3: route \"/x\" stands twice; first in t:2\n"},
        {"route \"/x\" { origin = nope }", "t:2: there is no origin 'nope'\n"},
        {"route \"/x\" { origin = \"a b\" }",
            "t:2: 'origin' = 'a b': not a single word of letters, digits and "
            "'-', '_' or '.', of at most 64 bytes\n"},
        {"route \"x\" { }", "t:2: route \"x\": there is no '/': a title is "
                            "\"/path\", \"METHOD /path\" or \"host/path\"\n"},
        {"route \"\" { }", "t:2: route \"\": there is no '/': a title is "
                           "\"/path\", \"METHOD /path\" or \"host/path\"\n"},
        {"route \"CONNECT /x\" { }", "t:2: route \"CONNECT /x\": 'CONNECT' "
                                     "before the blank: it is never "
                                     "served\n"},
        {"route \" /x\" { }", "t:2: route \" /x\": it begins with a method, a "
                              "host or '/', not with a blank\n"},
        {"route \"GET  /x\" { }",
            "t:2: route \"GET  /x\": ' ' is not a host\n"},
        {"route \"/a/./b\" { }", "t:2: route \"/a/./b\": a path with '.' is "
                                 "refused, it cannot be matched\n"},
        {"route \"/a/%zz\" { }", "t:2: route \"/a/%zz\": '%zz' holds a byte "
                                 "that no path has; did you mean '%25zz'?\n"},
        {"route \"/:a/:b/:a\" { }",
            "t:2: route \"/:a/:b/:a\": two parameters are named ':a'\n"},
        {"route \"/{id}\" { }",
            "t:2: route \"/{id}\": a parameter is written ':id', not '{id}'\n"},
        {"route \"/:id\" { tags = { \"p:{id}\", \"{x}\", \"{\" } }",
            "t:2: tag \"{x}\": the route has no parameter ':x'\n"
            "t:2: tag \"{\": a '}' is missing\n"
            "t:2: warning: 'tags' are kept but have no effect in this "
            "version\n"},
        {"route \"/x\" { ttl_by_status = { \"404 1s\", \"404 2s\", \"200 x\", "
         "\"999 1s\", \"99 1s\", \"206 1s\" } }",
            "t:2: 'ttl_by_status' = '200 x': not a duration; it is a whole "
            "number and a unit (ms, s, m, h or d)\n"
            "t:2: 'ttl_by_status' = '999 1s': an answer of status 999 is never "
            "kept: it is about one request, not about its target\n"
            "t:2: 'ttl_by_status' = '99 1s': a status and a duration are "
            "meant, such as '404 10s'\n"
            "t:2: 'ttl_by_status' = '206 1s': an answer of status 206 is never "
            "kept: it is about one request, not about its target\n"
            "t:2: 'ttl_by_status' names 404 twice\n"},
        {"route \"/x\" { query = \"a&b\" }",
            "t:2: 'query' = 'a&b': it takes all, none, or the names of "
            "parameters as they stand in a query\n"},
        {"route \"/x\" { query = { \"\" } }", "t:2: 'query' = '': empty\n"},
        {"route \"/x\" { methods = { GET, get, \"G T\" } }",
            "t:2: 'methods' = 'get': methods are written in capitals\n"
            "t:2: 'methods' = 'G T': not a method\n"},
        {"route \"/x\" { credential_fields = { authorization, X-Ok } }",
            "t:2: 'credential_fields' = 'authorization': it has an option of "
            "its own\n"},
        {"route \"/x\" { targeted = { \"Surrogate Control\" } }",
            "t:2: 'targeted' = 'Surrogate Control': not the name of a header "
            "field\n"},
        {"route \"/x\" { read = write-through }",
            "t:2: 'read' = 'write-through': it takes cache-aside or pass; did "
            "you mean 'read-through'?\n"},
        {"route \"/x\" { set_cookie = stor }",
            "t:2: 'set_cookie' = 'stor': it takes bypass, strip or store; did "
            "you mean 'store'?\n"},
        {"route \"/x\" { route \"/y\" { } }",
            "t:2: section 'route' cannot stand inside of 'route'; is a '}' "
            "missing before it?\n"},
        {"route \"/x\" {\n"
         "  ttl = 5s\n"
         "route \"/y\" { }",
            "t:4: section 'route' cannot stand inside of 'route'; is a '}' "
            "missing before it?\n"},
        {"hosts = { \"a\", \"b c\", \"http://x\" }",
            "t:2: 'hosts' = 'b c': not a host; it is written 'shop.example' or "
            "'shop.example:8080'\n"
            "t:2: 'hosts' = 'http://x': not a host; it is written "
            "'shop.example' or 'shop.example:8080'\n"},
        {"default_host = \"x y\"",
            "t:2: 'default_host' = 'x y': not a host; it is written "
            "'shop.example' or 'shop.example:8080'\n"},
        {"trusted_proxies = { \"10.0.0.1/8\", \"::1/200\", \"a\", "
         "\"1.2.3.4/\", \"1.2.3.4/x\", \"fe80::1%eth0\" }",
            "t:2: 'trusted_proxies' = '10.0.0.1/8': bits are set behind the "
            "prefix; did you mean '10.0.0.0/8'?\n"
            "t:2: 'trusted_proxies' = '::1/200': the prefix of a network is a "
            "number from 0 to 128\n"
            "t:2: 'trusted_proxies' = 'a': not a network; it is written "
            "'10.0.0.0/8', '2001:db8::/32' or as one address\n"
            "t:2: 'trusted_proxies' = '1.2.3.4/': the prefix of a network is a "
            "number from 0 to 32\n"
            "t:2: 'trusted_proxies' = '1.2.3.4/x': the prefix of a network is "
            "a number from 0 to 32\n"
            "t:2: 'trusted_proxies' = 'fe80::1%eth0': not a network; it is "
            "written '10.0.0.0/8', '2001:db8::/32' or as one address\n"},
        {"metrics = 9145", "t:2: 'metrics' = '9145': a port alone; did you "
                           "mean '0.0.0.0:9145'?\n"},
        {"metrics = localhost:80",
            "t:2: 'metrics' = 'localhost:80': not an address; it is written "
            "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"},
        {"admin = /run/x",
            "t:2: 'admin' = '/run/x': did you mean 'unix:/run/x'?\n"},
        {"workers = 257", "t:2: 'workers' = '257': not a whole number from 1 "
                          "to 256, or auto\n"},
        {"workers = 1.5", "t:2: 'workers' = '1.5': not a whole number from 1 "
                          "to 256, or auto\n"},
        {"drain_delay = 5S", "t:2: 'drain_delay' = '5S': 'S' is no unit (ms, "
                             "s, m, h or d); did you mean '5s'?\n"},
        {"drain_delay = \"5 s\"", "t:2: 'drain_delay' = '5 s': ' s' is no unit "
                                  "(ms, s, m, h or d); did you mean '5s'?\n"},
        {"drain_delay = \"\"",
            "t:2: 'drain_delay' = '': not a duration; it is a whole number and "
            "a unit (ms, s, m, h or d)\n"},
        {"drain_delay = s", "t:2: 'drain_delay' = 's': not a duration; it is a "
                            "whole number and a unit (ms, s, m, h or d)\n"},
        {"drain_timeout = 4000d",
            "t:2: 'drain_timeout' = '4000d': too large; at most 3650d\n"},
        {"lisen = { a }",
            "t:2: unknown option 'lisen'; did you mean 'listen'?\n"},
        {"routes \"/x\" { ttl = 1s }",
            "t:2: unknown option 'routes'; did you mean 'route'?\n"},
        {"route \"/x\" { listen = { \"0.0.0.0:1\" } }",
            "t:2: option 'listen' does not belong in 'route'; it stands "
            "outside of all sections\n"},
        {"limits { ttl = 5s }",
            "t:2: option 'ttl' belongs in a section 'route'\n"},
        {"redis { route = 5 }", "t:2: section 'route' cannot stand inside of "
                                "'redis'; is a '}' missing before it?\n"},
        {"via = \"abc",
            "t:2: the string is not closed on its line; a \" is missing\n"},
        {"via = 'abc",
            "t:2: the string is not closed on its line; a ' is missing\n"},
        {"via = \"a\\zb\"",
            "t:2: '\\z' is no escape; a backslash itself is written '\\\\'\n"},
        {"via = 'a\"b'",
            "t:2: 'via' = 'a\\x22b': not a single word of letters, digits and "
            "'-', '_' or '.', of at most 64 bytes\n"},
        {"via = \"a\\x4\"", "t:2: '\\x' is written with two hex digits, as "
                            "'\\x41'\n"},
        {"via = \"${T_UNSET}\"",
            "t:2: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"},
        {"via = ${T_EMPTY}",
            "t:2: 'via' = '': not a single word of letters, digits and '-', "
            "'_' or '.', of at most 64 bytes\n"},
        {"via = \"${T_EMPTY:-x}\"",
            "t:2: 'via' = '': not a single word of letters, digits and '-', "
            "'_' or '.', of at most 64 bytes\n"},
        {"via = ${T_S\n"
         "workers = x",
            "t:2: '${' without '}'; a variable is written ${NAME}\n"
            "t:3: 'workers' = 'x': not a whole number from 1 to 256, or "
            "auto\n"},
        {"via = \"${T_S\"",
            "t:2: '${' without '}'; a variable is written ${NAME}\n"},
        {"via = ${T S}", "t:2: '${T S}' names no variable; write ${NAME} or "
                         "${NAME:-default}\n"},
        {"via = a${T_S}", "t:2: 'a${T_S}' must stand in quotes\n"},
        {"via = ${T_S}b", "t:2: '${T_S}b' must stand in quotes\n"},
        {"via = ${T_S}${T_S}", "t:2: '${T_S}${T_S}' must stand in quotes\n"},
        {"listen = ${T_UNSET}:8080",
            "t:2: '${T_UNSET}:8080' must stand in quotes\n"},
        /* What is left of a value is not judged. */
        {"listen = \"${T_UNSET}:8080\"",
            "t:2: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"},
        {"listen = { \"${T_UNSET}:8080\", x }",
            "t:2: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"
            "t:2: 'listen' = 'x': not an address; it is written "
            "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"},
        {"route \"${T_UNSET}/:id\" { }",
            "t:2: the variable 'T_UNSET' is not set in the environment; set "
            "it, or write ${T_UNSET:-default}\n"},
        {"via = a; workers = 3",
            "t:2: a ';' behind a value or a name is not wanted\n"},
        {"; via = a", "t:2: a ';' behind a value or a name is not wanted\n"},
        {"via = a /* x",
            "t:2: the comment that begins here has no end; '*/' is missing\n"},
        {"via = a /* x */ workers = x", "t:2: 'workers' = 'x': not a whole "
                                        "number from 1 to 256, or auto\n"},
        {"include(x)", "t:2: an include is written include(\"file\")\n"},
        {"include(\"nothere\")",
            "t:2: include of 'nothere': No such file or directory\n"},
        {"include \"x\"", "t:2: an include is written include(\"file\")\n"},
        {"include('nothere') via = /",
            "t:2: include of 'nothere': No such file or directory\n"
            "t:2: 'via' = '/': not a single word of letters, digits and '-', "
            "'_' or '.', of at most 64 bytes\n"},
        {"via = a via = b", "t:2: 'via' is set twice; first in t:2\n"},
        {"via = x\n"
         "via = y\n"
         "via = z",
            "t:3: 'via' is set twice; first in t:2\n"
            "t:4: 'via' is set twice; first in t:2\n"},
        {"foo", "t:2: unknown option 'foo'\n"},
        {"foo = { a, b",
            "t:2: unknown option 'foo'\n"
            "t:2: the '{' on this line is not closed; a '}' is missing\n"},
        {"foo { bar = { a } }\n"
         "workers = x",
            "t:2: unknown option 'foo'\n"
            "t:3: 'workers' = 'x': not a whole number from 1 to 256, or "
            "auto\n"},
        {"foo bar baz", "t:2: unknown option 'foo'\n"
                        "t:2: unexpected 'baz' behind a value; a list is "
                        "written { a, b }, a text with blanks in quotes\n"},
        {"via = a b c", "t:2: unknown option 'b'\n"},
        {"via = { a }", "t:2: 'via' takes one value, not a list\n"},
        {"via { a }", "t:2: '=' is missing after 'via'\n"},
        {"redis \"x\" { }",
            "t:2: 'redis' is a section; it is written redis { ... }\n"},
        {"redis", "t:2: 'redis' is a section; it is written redis { ... }\n"},
        {"redis { } redis { foo = 1 workers = 2 }",
            "t:2: redis stands twice; first in t:2\n"
            "t:2: unknown option 'foo'\n"
            "t:2: option 'workers' does not belong in 'redis'; it stands "
            "outside of all sections\n"
            "t:2: section 'redis' names no seeds; write seeds = { "
            "\"redis-1:6379\" }, or mode = off\n"},
        {"access_log target = off", "t:2: 'access_log' is a section; it is "
                                    "written access_log { ... }\n"},
        {"limits { head_max 5KB }", "t:2: '=' is missing after 'head_max'\n"},
        {"limits { head_max = }", "t:2: the value of 'head_max' is missing\n"},
        {"limits { head_max =\n"
         "field_max = 5KB }",
            "t:2: the value of 'head_max' is missing\n"},
        {"limits { head_max\n"
         "= 5KB }",
            "t:2: 'field_max' is above 'head_max': one field cannot be larger "
            "than the whole head\n"
            "t:2: 'target_max' is above 'head_max': the target is a part of "
            "the head\n"},
        {"limits { head_max =\n"
         "5KB }",
            "t:2: 'field_max' is above 'head_max': one field cannot be larger "
            "than the whole head\n"
            "t:2: 'target_max' is above 'head_max': the target is a part of "
            "the head\n"},
        {"{ }", "t:2: unexpected '{'; here the name of an option is wanted\n"},
        {"}", "t:2: a '}' too many\n"},
        {", via = x",
            "t:2: unexpected ','; here the name of an option is wanted\n"},
        {"\"via\" = x", "t:2: unexpected '\"via\"'; here the name of an option "
                        "is wanted, without quotes\n"},
        {"listen = { \"0.0.0.0:1\", \"0.0.0.0:1\" }",
            "t:2: 'listen' names '0.0.0.0:1' twice\n"},
        {"listen = { }", "t:2: 'listen' names no address\n"},
        {"listen = { 8080, \"unix:x\", \"[::1]:99999\", \"[::1]\" }",
            "t:2: 'listen' = '8080': a port alone; did you mean "
            "'0.0.0.0:8080'?\n"
            "t:2: 'listen' = '[::1]:99999': not an address; it is written "
            "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"
            "t:2: 'listen' = '[::1]': not an address; it is written "
            "'127.0.0.1:8080', '[::1]:8080' or 'unix:/path'\n"},
        {"hosts = { a } += 5", "t:2: unexpected '+='; here the name of an "
                               "option is wanted\n"},
        {"via = a+=", "t:2: 'a+' must stand in quotes\n"
                      "t:2: unexpected '='; here the name of an option is "
                      "wanted\n"},
        {"via = *", "t:2: '*' must stand in quotes\n"},
        {"via = a//b", "t:2: 'a//b' must stand in quotes\n"},
        {"via = //b", "t:2: the value of 'via' is missing\n"},
        {"via = (x)", "t:2: '(x)' must stand in quotes\n"},
        {"route \"/\\x61\" { }\n"
         "route \"/a\" { }",
            "t:3: route \"/a\" stands twice; first in t:2\n"},
        {"route \"/a\\\"b\" { }", "t:2: route \"/a\"b\": 'a\"b' holds a byte "
                                  "that no path has; did you mean 'a%22b'?\n"},
        {"origin \"api\" { servers = { \"http://x\" } }",
            "t:2: origin \"api\" stands twice; first in t:1\n"},
        {"origin two { servers = { \"http://x\" } }\n"
         "route \"/a\" { }\n"
         "defaults { origin = tow }\n"
         "route \"/b\" { }\n"
         "route \"/c\" { origin = apo }\n",
            "t:4: there is no origin 'tow'; did you mean 'two'?\n"
            "t:6: there is no origin 'apo'; did you mean 'api'?\n"},
    };

    (void)state;
    refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

/* However long it is, and however many letters might then be wrong. */
static void
a_name_that_is_far_too_long_resembles_nothing(void **state)
{
    char name[400];
    char text[512];
    char want[512];

    (void)state;
    memset(name, 'x', sizeof(name));
    snprintf(text, sizeof(text), API "%.*s = 1\n", (int)sizeof(name), name);
    snprintf(want, sizeof(want), "t:2: unknown option '%.*s'\n",
        (int)sizeof(name), name);
    refuses(text, want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_far_too_long_resembles_nothing),
        cmocka_unit_test(a_broken_grammar_is_told_where_it_breaks),
        cmocka_unit_test(a_slip_in_a_statement_does_not_end_the_reading),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_text),
        cmocka_unit_test(an_unknown_name_is_told_with_what_was_meant),
        cmocka_unit_test(what_stands_twice_is_refused),
        cmocka_unit_test(one_port_is_one_listeners),
        cmocka_unit_test(a_route_behind_one_that_has_all_its_requests_is_told),
        cmocka_unit_test(a_variable_must_be_set),
        cmocka_unit_test(a_bad_number_is_told_with_what_was_meant),
        cmocka_unit_test(a_bad_word_is_told_with_the_good_ones),
        cmocka_unit_test(a_bad_address_is_told_with_what_was_meant),
        cmocka_unit_test(a_bad_title_is_told),
        cmocka_unit_test(options_that_contradict_each_other_are_told),
        cmocka_unit_test(a_tag_names_parameters_of_its_route),
        cmocka_unit_test(a_file_without_an_origin_is_refused),
        cmocka_unit_test(what_is_at_its_limit_is_taken_and_one_more_is_told),
        cmocka_unit_test(a_value_that_was_refused_is_not_judged_again),
        cmocka_unit_test(a_broken_grammar_does_not_hide_what_stands_before_it),
        cmocka_unit_test(every_kind_of_mistake_is_told_with_its_line_and_cure),
    };

    given_environment();
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
