/* The entry point: words in, a server or an answer out. */
#include <stdio.h>

#include "app/server.h"
#include "nearside/app/options.h"

static int
check(const struct options *options)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    conf_errors_init(&errors);
    rc = conf_load(options->flags.path, &errors, &conf);
    conf_errors_print(&errors, stderr);
    if (rc == RC_OK) {
        printf("%s: ok\n", options->flags.path);
    }
    conf_errors_fini(&errors);
    conf_free(&conf);
    return rc == RC_OK ? 0 : OPTIONS_EXIT_USAGE;
}

static int
run(const struct options *options)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    int status = OPTIONS_EXIT_USAGE;
    enum rc rc;

    conf_errors_init(&errors);
    rc = conf_load_flags(&options->flags, &errors, &conf);
    conf_errors_print(&errors, stderr);
    conf_errors_fini(&errors);
    if (rc == RC_OK) {
        status = server_run(conf);
    }
    conf_free(&conf);
    return status;
}

int
main(int argc, char *argv[])
{
    struct options options;

    if (options_parse(argc, argv, stderr, &options) != RC_OK) {
        return OPTIONS_EXIT_USAGE;
    }
    switch (options.action) {
    case OPTIONS_RUN:
        return run(&options);
    case OPTIONS_CHECK:
        return check(&options);
    case OPTIONS_VERSION:
        options_print_version(stdout);
        return 0;
    case OPTIONS_HELP:
        options_print_help(stdout);
        return 0;
    }
    return OPTIONS_EXIT_USAGE;
}
