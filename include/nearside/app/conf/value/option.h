/* An option: what it is called, in which section it stands, what its value
   looks like and where that goes. */
#ifndef NEARSIDE_APP_CONF_VALUE_OPTION_H
#define NEARSIDE_APP_CONF_VALUE_OPTION_H

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

enum conf_kind {
#define KIND(name, read) CONF_KIND_##name,
#include "nearside/app/conf/value/kind.def"
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

#endif
