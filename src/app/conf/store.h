/*
 * How the values of an option come to its member, for the file, the command
 * line and the defaults alike:
 *
 *     rc = conf_store_begin(&store);
 *     then `count` times: rc = conf_store_value(&store, text, why);
 */
#ifndef APP_CONF_STORE_H
#define APP_CONF_STORE_H

#include "app/conf/table.h"
#include "nearside/app/conf/value/value.h"

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

#endif
