/*
 * Which files an include names: one, or with a pattern (`*.conf`) all that it
 * matches, in the order of their names.
 */
#ifndef NEARSIDE_APP_CONF_TEXT_INCLUDE_H
#define NEARSIDE_APP_CONF_TEXT_INCLUDE_H

#include "nearside/base/rc.h"
#include "nearside/base/slice.h"

/* The paths of one include, which are opened one after the other. */
struct conf_included {
    char **own_paths; /* each of them is owned too, until it is taken */
    size_t len;
    size_t taken;
    char *own_other; /* the pattern names a folder and matches nothing, but this
                        file is there; NULL */
};

/*
 * `from` is the file that includes: a name that does not begin with '/' is
 * relative to its folder. A pattern is a name with '*', '?' or '['; it may
 * match nothing. RC_IO: a folder cannot be read, errno says why. RC_NOMEM.
 */
enum rc conf_include_find(struct conf_included *included, const char *from,
    struct slice name) RC_MUST_CHECK;

/* The next path, owned by the caller; NULL: there are no more. */
char *conf_include_take(struct conf_included *included);

void conf_include_fini(struct conf_included *included);

#endif
