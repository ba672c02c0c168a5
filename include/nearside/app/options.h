/* The command line of the daemon. */
#ifndef NEARSIDE_APP_OPTIONS_H
#define NEARSIDE_APP_OPTIONS_H

#include <stdio.h>

#include "nearside/app/conf/conf.h"

/* Where the conf file is when the command line names none. */
#define OPTIONS_CONF_PATH "/etc/nearside/nearside.conf"

enum options_action {
    OPTIONS_RUN,     /* serve what `flags` say */
    OPTIONS_CHECK,   /* read flags.path, list its mistakes, end */
    OPTIONS_READY,   /* ask the daemon at `ready` whether it is, end */
    OPTIONS_VERSION, /* print it and end with 0 */
    OPTIONS_HELP,    /* likewise */
};

enum {
    OPTIONS_REPEAT_MAX = 64, /* of one option that may be repeated */
    OPTIONS_EXIT_USAGE = 2,  /* exit status for mistakes of any kind */
};

struct options {
    enum options_action action;
    struct conf_flags flags; /* strings are argv's */
    const char *ready;       /* address of a metrics listener; argv's */
    const char *routes[OPTIONS_REPEAT_MAX];
    const char *redis[OPTIONS_REPEAT_MAX];
    const char *listen[OPTIONS_REPEAT_MAX];
};

/*
 * Fills *out from argv; flags points into *out, which stays where it is.
 * Without -c and --origin the conf file is OPTIONS_CONF_PATH. RC_BAD: a
 * mistake, told on `to` in one line, with how to get help.
 */
enum rc options_parse(
    int argc, char *const argv[], FILE *to, struct options *out) RC_MUST_CHECK;

void options_print_help(FILE *to);
void options_print_version(FILE *to);

#endif
