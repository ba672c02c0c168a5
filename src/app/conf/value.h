/*
 * Single values: what each kind may look like and what it becomes; and how
 * the values of an option come to its member, for the file, the command line
 * and the defaults alike:
 *
 *     rc = conf_store_begin(&store);
 *     then `count` times: rc = conf_store_value(&store, text, why);
 */
#ifndef APP_CONF_VALUE_H
#define APP_CONF_VALUE_H

#include <stdio.h>

#include "app/conf/table.h"
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

/* --- store.c -------------------------------------------------------------- */

struct conf_store {
    const struct conf_option *option;
    struct arena *arena; /* of what is stored */
    char *base;          /* the section's struct (build.h) */
    char *items;         /* of a list */
    size_t count;        /* of values to come */
    size_t len;          /* of values that have come */
};

/* The caller has set option, count, arena and base. A list becomes empty.
   RC_NOMEM. */
enum rc conf_store_begin(struct conf_store *store) RC_MUST_CHECK;

/*
 * RC_BAD: why says what is wrong. A single value is then left as it was. A
 * list of texts keeps the text, so that the list does not seem empty on top
 * of that. RC_NOMEM.
 */
enum rc conf_store_value(struct conf_store *store, struct slice text,
    char why[CONF_WHY_MAX]) RC_MUST_CHECK;

/* Stores the default of each option of the section. RC_NOMEM. */
enum rc conf_store_presets(
    enum conf_section options, struct arena *arena, void *base) RC_MUST_CHECK;

/* Gives `to` the option's member of `from`, both of one section. */
void conf_store_same(
    const struct conf_option *option, const void *from, void *to);

/* --- For the files that read values ----------------------------------------
 */

#define WHY(r, ...) (snprintf((r)->why, CONF_WHY_MAX, __VA_ARGS__), RC_BAD)

/* Stores a copy of the text at out as the kind's string or slice. RC_NOMEM. */
enum rc conf_value_give(
    const struct conf_reading *r, struct slice text) RC_MUST_CHECK;

/* How many digits s begins with. */
size_t conf_digits_len(struct slice s);

/* The readers of the kinds, as conf_value_read. */
#define KIND(name, read)                                                       \
    enum rc read(const struct conf_reading *r) RC_MUST_CHECK;
#include "app/conf/kind.def"
#undef KIND

#endif
