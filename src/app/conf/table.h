/*
 * The table of all options: what an option is called, in which section it
 * stands, what its value looks like and where the value goes.
 */
#ifndef APP_CONF_TABLE_H
#define APP_CONF_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

enum conf_section {
    CONF_TOP,
    CONF_ACCESS_LOG,
    CONF_ERROR_LOG,
    CONF_MEMORY,
    CONF_REDIS,
    CONF_LIMITS,
    CONF_ORIGIN,
    CONF_DEFAULTS,
    CONF_ROUTE, /* its options serve CONF_DEFAULTS too */
    CONF_SECTION_COUNT
};

struct conf_section_info {
    const char *name;
    bool has_title;            /* and may stand more than once */
    enum conf_section options; /* whose rows apply */
};

enum conf_kind {
#define KIND(name, read) CONF_KIND_##name,
#include "app/conf/kind.def"
#undef KIND
    CONF_KINDS /* how many there are */
};

struct conf_option {
    const char *name;
    enum conf_section section;
    enum conf_kind kind;
    size_t offset;      /* of the member in the section's struct (build.h) */
    size_t size;        /* of the member */
    size_t len_offset;  /* of a list: of its count, a size_t */
    size_t item_size;   /* of a list */
    const char *preset; /* the default as written; NULL: none */
    uint64_t min;
    uint64_t max;      /* 0: the kind's own */
    const char *words; /* "first|second|-not-yet" */
};

extern const struct conf_option conf_options[];
extern const size_t conf_options_count;
extern const struct conf_section_info conf_sections[CONF_SECTION_COUNT];

static inline bool
conf_option_is_list(const struct conf_option *option)
{
    return option->kind >= CONF_KIND_ADDRESSES;
}

/* Are its items texts, as strings or as slices? */
static inline bool
conf_option_is_texts(const struct conf_option *option)
{
    return conf_option_is_list(option) && option->kind < CONF_KIND_NETS;
}

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

/* --- suggest.c: which name was meant by one that is not known --- */

struct conf_guess {
    struct slice name;  /* what was written */
    struct slice found; /* what may have been meant; empty: nothing yet */
    unsigned distance;  /* between the two */
};

/* Takes the candidate if it is near enough, and nearer than what was found. */
void conf_guess_at(struct conf_guess *guess, struct slice candidate);

/* The name that resembles `name` most: one that may stand in the section,
   else an option of any. Empty: none is near. */
struct slice conf_suggest(enum conf_section section, struct slice name);

#endif
