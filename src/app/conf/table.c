/*
 * The table of all options, made from conf.def, and the sections they stand
 * in. Whoever wants to know of an option asks here.
 */
#include "app/conf/table.h"

#include "app/conf/build.h"
#include "nearside/base/check.h"

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

#define STRUCT_TOP        struct conf_build
#define STRUCT_ACCESS_LOG struct conf_build
#define STRUCT_ERROR_LOG  struct conf_build
#define STRUCT_MEMORY     struct conf_build
#define STRUCT_REDIS      struct conf_build
#define STRUCT_LIMITS     struct conf_build
#define STRUCT_ORIGIN     struct conf_origin
#define STRUCT_ROUTE      struct conf_route

#define LIMITS_AT conf.proxy.conf.limits

/* The default is the first of the dots: a row without limits ends with it. */
#define OPTION(in, label, of, member, ...)                                     \
    {.name = #label,                                                           \
        .section = CONF_##in,                                                  \
        .kind = CONF_KIND_##of,                                                \
        .offset = offsetof(STRUCT_##in, member),                               \
        .size = sizeof(((STRUCT_##in *)NULL)->member),                         \
        .preset = __VA_ARGS__},
#define SAME(in, label, of, at, ...)                                           \
    OPTION(in, label, of, at.label, __VA_ARGS__)
#define MS(in, label, at, ...)                                                 \
    OPTION(in, label, DURATION, at.label##_ms, __VA_ARGS__)
#define LIST(in, label, of, member, ...)                                       \
    OPTION(in, label, of, member, __VA_ARGS__,                                 \
        .len_offset = offsetof(STRUCT_##in, member##_len),                     \
        .item_size = sizeof(*((STRUCT_##in *)NULL)->member))

const struct conf_option conf_options[] = {
#include "app/conf/conf.def"
};

const size_t conf_options_count = ARRAY_LEN(conf_options);

const struct conf_section_info conf_sections[CONF_SECTION_COUNT] = {
    [CONF_TOP] = {"", false, CONF_TOP},
    [CONF_ACCESS_LOG] = {"access_log", false, CONF_ACCESS_LOG},
    [CONF_ERROR_LOG] = {"error_log", false, CONF_ERROR_LOG},
    [CONF_MEMORY] = {"memory", false, CONF_MEMORY},
    [CONF_REDIS] = {"redis", false, CONF_REDIS},
    [CONF_LIMITS] = {"limits", false, CONF_LIMITS},
    [CONF_ORIGIN] = {"origin", true, CONF_ORIGIN},
    [CONF_DEFAULTS] = {"defaults", false, CONF_ROUTE},
    [CONF_ROUTE] = {"route", true, CONF_ROUTE},
};

const struct conf_option *
conf_option_find(enum conf_section section, struct slice name)
{
    bool is_any = section == CONF_SECTION_COUNT;

    MUST((unsigned)section <= CONF_SECTION_COUNT);
    for (size_t i = 0; i < conf_options_count; i++) {
        const struct conf_option *option = &conf_options[i];

        if ((is_any || option->section == conf_sections[section].options) &&
            slice_eq(slice_of_str(option->name), name)) {
            return option;
        }
    }
    return NULL;
}

enum conf_section
conf_section_find(struct slice name)
{
    for (unsigned i = CONF_TOP + 1; i < CONF_SECTION_COUNT; i++) {
        if (slice_eq(slice_of_str(conf_sections[i].name), name)) {
            return (enum conf_section)i;
        }
    }
    return CONF_TOP;
}
