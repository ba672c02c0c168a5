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
    CONF_KIND_ADDRESS,  /* const char *; NULL for off */
    CONF_KIND_ADMIN,    /* likewise, or auto */
    CONF_KIND_DURATION, /* a number: ms */
    CONF_KIND_SIZE,     /* a number: bytes */
    CONF_KIND_COUNT,    /* a number */
    CONF_KIND_COUNT_AUTO,
    CONF_KIND_PERCENT, /* a number */
    CONF_KIND_SWITCH,  /* bool */
    CONF_KIND_WORD,    /* an enum or a bool */
    CONF_KIND_TARGET,  /* struct log_sink_opts */
    CONF_KIND_TEXT,    /* const char *, and so to the end */
    CONF_KIND_TOKEN,
    CONF_KIND_PATH,
    CONF_KIND_PREFIX,
    CONF_KIND_HOST,
    /* From here on lists: a pointer to items, and how many there are. */
    CONF_KIND_ADDRESSES, /* of const char * */
    CONF_KIND_HOSTS,
    CONF_KIND_SEEDS,
    CONF_KIND_SERVERS,
    CONF_KIND_TEXTS,
    CONF_KIND_FIELD_NAMES, /* of struct slice */
    CONF_KIND_METHODS,
    CONF_KIND_QUERY,       /* and the route's opts.query beside it */
    CONF_KIND_NETS,        /* of struct proxy_net */
    CONF_KIND_STATUS_TTLS, /* of struct route_status_ttl */
    CONF_KINDS             /* how many there are */
};

struct conf_option {
    const char *name;
    enum conf_section section;
    enum conf_kind kind;
    size_t offset; /* of the member in the section's struct (build.h) */
    size_t size;   /* of the member */
    size_t len_offset;
    size_t len_size;    /* of a list: the same for its count; else 0 */
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

/* The section of that name; CONF_TOP: none such. */
enum conf_section conf_section_find(struct slice name);

/* --- suggest.c: which name was meant by one that is not known --------------
 */

/* Is `candidate` near enough to be suggested for `name`, and nearer than
 *best? Then *best becomes its distance. Begin with 99. */
bool conf_is_nearer(struct slice name, struct slice candidate, unsigned *best);

/* The name that resembles `name` most: one that may stand in the section,
   else an option of any. NULL: none is near. */
const char *conf_suggest(enum conf_section section, struct slice name);

#endif
