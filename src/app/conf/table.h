/*
 * The table of all options: what an option is called, in which section it
 * stands, what its value looks like and where the value goes.
 */
#ifndef APP_CONF_TABLE_H
#define APP_CONF_TABLE_H

#include "nearside/app/conf/value/option.h"

struct conf_section_info {
    const char *name;
    bool has_title;            /* and may stand more than once */
    enum conf_section options; /* whose rows apply */
};

extern const struct conf_option conf_options[];
extern const size_t conf_options_count;
extern const struct conf_section_info conf_sections[CONF_SECTION_COUNT];

static inline size_t
conf_option_index(const struct conf_option *option)
{
    return (size_t)(option - conf_options);
}

/* The option of that name in a section; in any, with CONF_SECTION_COUNT. NULL:
   there is none. */
const struct conf_option *conf_option_find(
    enum conf_section section, struct slice name);

/* The section of that name; CONF_TOP: there is none. */
enum conf_section conf_section_find(struct slice name);

/* --- suggest.c --- */

/* The name that resembles `name` most: one that may stand in the section,
   else an option of any. Empty: none is near. */
struct slice conf_suggest(enum conf_section section, struct slice name);

#endif
