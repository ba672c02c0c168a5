/* Single values: what each kind may look like and what it becomes. */
#ifndef NEARSIDE_APP_CONF_VALUE_VALUE_H
#define NEARSIDE_APP_CONF_VALUE_VALUE_H

#include <stdio.h>

#include "nearside/app/conf/value/option.h"
#include "nearside/base/arena.h"

enum {
    CONF_WHY_MAX = 256, /* bytes of one explanation */
};

/* One value that is to be read. Of a list it is one item. */
struct conf_reading {
    const struct conf_option *option;
    struct slice text;
    struct arena *arena; /* holds what *out will point to */
    void *out;           /* the option's member, or the list's item */
    char *why;           /* CONF_WHY_MAX bytes */
};

/* RC_BAD: *out is untouched and why says what is wrong, and what was meant if
   that can be guessed. RC_NOMEM. */
enum rc conf_value_read(const struct conf_reading *r) RC_MUST_CHECK;

/* Why no such method is served; NULL: it may be. */
const char *conf_method_fault(struct slice method);

/* Copies into the arena, NUL-terminated. NULL: no room. */
const char *conf_copy(struct arena *arena, struct slice s);

/* Stores a copy of the text at out as the kind's string or slice. RC_NOMEM. */
enum rc conf_value_give(
    const struct conf_reading *r, struct slice text) RC_MUST_CHECK;

/* Says why a value is no good, to whoever has room for it in `why`. */
#define WHY(r, ...) (snprintf((r)->why, CONF_WHY_MAX, __VA_ARGS__), RC_BAD)

#endif
