/* The entry point: reads the command line and does what it asks for. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/server.h"
#include "nearside/app/options.h"
#include "nearside/app/ready.h"
#include "nearside/base/say.h"

/* A daemon that was started without one of the three has its first sockets
   there, and what is printed would go to a client. */
static void
fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* What a daemon has to say does not wait for a reader: it is to serve. */
static void
say_warnings(const struct conf_errors *errors)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (to != NULL) {
        conf_errors_print(errors, to);
        fclose(to);
        say_all(text, len);
    }
    free(text);
}

/* Serves, or with --check only lists the mistakes of the file. */
static int
run(const struct options *options)
{
    bool is_check = options->action == OPTIONS_CHECK;
    struct conf_errors errors;
    struct conf *conf = NULL;
    int status = OPTIONS_EXIT_USAGE;
    enum rc rc;

    conf_errors_init(&errors);
    rc = conf_load(&options->flags, &errors, &conf);
    if (rc == RC_OK && !is_check) {
        say_warnings(&errors);
    } else {
        conf_errors_print(&errors, stderr);
    }
    conf_errors_fini(&errors);
    if (rc == RC_NOMEM) {
        fputs("nearside: there is no memory to read the conf\n", stderr);
        status = EXIT_FAILURE;
    } else if (rc == RC_OK && is_check) {
        printf("%s: ok\n", options->flags.path);
        status = 0;
    } else if (rc == RC_OK) {
        status = server_run(conf);
    }
    conf_free(&conf);
    return status;
}

enum {
    READY_TIMEOUT_MS = 3000,
};

static int
ready(const char *address)
{
    enum rc rc = ready_ask(address, READY_TIMEOUT_MS, stderr);

    if (rc == RC_BAD) {
        return OPTIONS_EXIT_USAGE;
    }
    return rc == RC_OK ? 0 : EXIT_FAILURE;
}

int
main(int argc, char *argv[])
{
    struct options options;

    fill_standard_fds();
    if (options_parse(argc, argv, stderr, &options) != RC_OK) {
        return OPTIONS_EXIT_USAGE;
    }
    switch (options.action) {
    case OPTIONS_RUN:
    case OPTIONS_CHECK:
        return run(&options);
    case OPTIONS_READY:
        return ready(options.ready);
    case OPTIONS_VERSION:
        options_print_version(stdout);
        return 0;
    case OPTIONS_HELP:
        options_print_help(stdout);
        return 0;
    }
    return OPTIONS_EXIT_USAGE;
}
