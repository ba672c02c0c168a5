/*
 * The command line. Only its form is looked at here; the values go to the
 * conf's readers with the rest.
 */
#include "nearside/app/options.h"

#include <getopt.h>
#include <string.h>

#include "nearside/base/check.h"

enum {
    OPTION_ORIGIN = 256, /* above every character */
    OPTION_ROUTE,
    OPTION_REDIS,
    OPTION_LISTEN,
    OPTION_READY,
};

static const struct option long_options[] = {
    {"conf", required_argument, NULL, 'c'},
    {"check", required_argument, NULL, 't'},
    {"origin", required_argument, NULL, OPTION_ORIGIN},
    {"route", required_argument, NULL, OPTION_ROUTE},
    {"redis", required_argument, NULL, OPTION_REDIS},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"ready", required_argument, NULL, OPTION_READY},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

void
options_print_help(FILE *to)
{
    fputs(
        "usage: nearside [-c FILE] [--origin URL] [--route PATTERN=TTL]...\n"
        "                [--redis HOST:PORT]... [--listen ADDRESS]...\n"
        "       nearside --check FILE\n"
        "       nearside --ready ADDRESS\n"
        "\n"
        "A caching reverse proxy before an HTTP API.\n"
        "\n"
        "  -c FILE              conf file; without it and without --origin\n"
        "                       " OPTIONS_CONF_PATH "\n"
        "  -t, --check FILE     list the mistakes of a conf file and end\n"
        "  --origin URL         the API: http://host:port or unix:/path\n"
        "  --route PATTERN=TTL  cache what matches: '/products/:id=5m'\n"
        "  --redis HOST:PORT    a server of the Redis Cluster\n"
        "  --listen ADDRESS     127.0.0.1:8080, [::1]:8080 or unix:/path\n"
        "  --ready ADDRESS      ask the daemon whose metrics listener this is\n"
        "                       whether it is ready, and end\n"
        "  -V, --version        print the version and end\n"
        "  -h, --help           print this and end\n"
        "\n"
        "Exit status: 0 after an orderly end, 1 after a failure or when not\n"
        "ready, 2 for a mistake on the command line or in the conf file.\n",
        to);
}

void
options_print_version(FILE *to)
{
    fputs("nearside " NEARSIDE_VERSION "\n", to);
}

static enum rc
refuse(FILE *to, const char *what, const char *about)
{
    fprintf(to, "nearside: %s%s; see nearside --help\n", what, about);
    return RC_BAD;
}

/* getopt's own complaint, in our words. */
static enum rc
refuse_unknown(FILE *to, char *const argv[], int found)
{
    char letter[] = {'-', (char)optopt, '\0'};

    if (found == ':') {
        return refuse(to, "a value is missing after ",
            optopt == 'c' ? "-c" : argv[optind - 1]);
    }
    if (optopt > 0 && optopt < OPTION_ORIGIN && strchr("Vh", optopt) == NULL) {
        return refuse(to, "unknown option ", letter);
    }
    return refuse(to, optopt == 0 ? "unknown option " : "no value is taken by ",
        argv[optind - 1]);
}

static enum rc
append(FILE *to, struct conf_strings *list, const char *flag)
{
    MUST(optarg != NULL);
    if (list->count == OPTIONS_REPEAT_MAX) {
        return refuse(to, "given too often: ", flag);
    }
    list->items[list->count++] = optarg;
    return RC_OK;
}

/* An option that makes sense once. */
static enum rc
set(FILE *to, const char **value, const char *flag)
{
    MUST(optarg != NULL);
    if (*value != NULL) {
        return refuse(to, "given twice: ", flag);
    }
    *value = optarg;
    return RC_OK;
}

static enum rc
take(FILE *to, struct options *o, char *const argv[], int found)
{
    switch (found) {
    case 'c':
        return set(to, &o->flags.path,
            o->action == OPTIONS_CHECK ? "-c or --check" : "-c");
    case 't':
        o->action = OPTIONS_CHECK;
        return set(to, &o->flags.path, "-c or --check");
    case OPTION_ORIGIN:
        return set(to, &o->flags.origin, "--origin");
    case OPTION_ROUTE:
        return append(to, &o->flags.routes, "--route");
    case OPTION_REDIS:
        return append(to, &o->flags.redis, "--redis");
    case OPTION_LISTEN:
        return append(to, &o->flags.listen, "--listen");
    case OPTION_READY:
        o->action = OPTIONS_READY;
        return set(to, &o->ready, "--ready");
    case 'V':
        o->action = OPTIONS_VERSION;
        return RC_OK;
    case 'h':
        o->action = OPTIONS_HELP;
        return RC_OK;
    default:
        return refuse_unknown(to, argv, found);
    }
}

/* Is a part of the configuration given on the command line? */
static bool
has_flags(const struct options *o)
{
    return o->flags.origin != NULL || o->flags.routes.count > 0 ||
           o->flags.redis.count > 0 || o->flags.listen.count > 0;
}

/* Options that do not go together. */
static enum rc
check_together(FILE *to, const struct options *o)
{
    if (o->ready != NULL &&
        (o->action != OPTIONS_READY || has_flags(o) || o->flags.path != NULL)) {
        return refuse(to, "--ready takes an address and nothing else", "");
    }
    if (o->action == OPTIONS_CHECK && has_flags(o)) {
        return refuse(to, "--check takes a file and nothing else", "");
    }
    return RC_OK;
}

enum rc
options_parse(int argc, char *const argv[], FILE *to, struct options *out)
{
    int found;

    MUST(out != NULL);
    MUST(to != NULL);
    *out = (struct options){.action = OPTIONS_RUN};
    out->flags.routes.items = out->routes;
    out->flags.redis.items = out->redis;
    out->flags.listen.items = out->listen;
    optind = 0; /* begin anew: a test parses more than once */
    while ((found = getopt_long(argc, argv, ":c:t:Vh", long_options, NULL)) !=
           -1) {
        enum rc rc = take(to, out, argv, found);

        if (rc != RC_OK) {
            return rc;
        }
        /* The rest of the line does not matter any more. */
        if (out->action == OPTIONS_VERSION || out->action == OPTIONS_HELP) {
            return RC_OK;
        }
    }
    if (optind < argc) {
        return refuse(to, "unexpected ", argv[optind]);
    }
    if (check_together(to, out) != RC_OK) {
        return RC_BAD;
    }
    if (out->flags.path == NULL && out->flags.origin == NULL) {
        out->flags.path = OPTIONS_CONF_PATH;
    }
    return RC_OK;
}
