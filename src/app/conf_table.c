/*
 * The table of all options, made from conf.def, and the sections they stand
 * in. Everything that knows an option's name learns it here.
 */
#include "conf_inside.h"

#include "nearside/base/check.h"

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

static const struct conf_word words_format[] = {
    {"combined", CONF_ACCESS_COMBINED, false},
    {"json", CONF_ACCESS_JSON, false},
    {NULL, 0, false},
};

static const struct conf_word words_level[] = {
    {"error", LOG_LEVEL_ERROR, false},
    {"warn", LOG_LEVEL_WARN, false},
    {"info", LOG_LEVEL_INFO, false},
    {"debug", LOG_LEVEL_DEBUG, false},
    {NULL, 0, false},
};

static const struct conf_word words_redis_mode[] = {
    {"cluster", CONF_REDIS_CLUSTER, false},
    {"standalone", CONF_REDIS_STANDALONE, false},
    {"off", CONF_REDIS_OFF, false},
    {NULL, 0, false},
};

static const struct conf_word words_read[] = {
    {"cache-aside", CONF_READ_CACHE_ASIDE, false},
    {"read-through", 0, true},
    {"pass", CONF_READ_PASS, false},
    {NULL, 0, false},
};

static const struct conf_word words_write[] = {
    {"invalidate", CONF_WRITE_INVALIDATE, false},
    {"write-through", 0, true},
    {"write-behind", 0, true},
    {"pass", CONF_WRITE_PASS, false},
    {NULL, 0, false},
};

static const struct conf_word words_credential[] = {
    {"auto", CONF_CREDENTIAL_AUTO, false},
    {"bypass", CONF_CREDENTIAL_BYPASS, false},
    {"ignore", CONF_CREDENTIAL_IGNORE, false},
    {"key", CONF_CREDENTIAL_KEY, false},
    {NULL, 0, false},
};

static const struct conf_word words_preset[] = {
    {"safe", CONF_PRESET_SAFE, false},
    {"rfc", CONF_PRESET_RFC, false},
    {NULL, 0, false},
};

static const struct conf_word words_client_cache_control[] = {
    {"ignore", CONF_CLIENT_CACHE_CONTROL_IGNORE, false},
    {"honour", CONF_CLIENT_CACHE_CONTROL_HONOUR, false},
    {NULL, 0, false},
};

static const struct conf_word words_set_cookie[] = {
    {"bypass", CONF_SET_COOKIE_BYPASS, false},
    {"strip", CONF_SET_COOKIE_STRIP, false},
    {"store", CONF_SET_COOKIE_STORE, false},
    {NULL, 0, false},
};

static const struct conf_word words_vary[] = {
    {"bounded", CONF_VARY_BOUNDED, false},
    {"any", CONF_VARY_ANY, false},
    {NULL, 0, false},
};

static const struct conf_word words_cache_status[] = {
    {"on", CONF_CACHE_STATUS_ON, false},
    {"key", CONF_CACHE_STATUS_KEY, false},
    {"off", CONF_CACHE_STATUS_OFF, false},
    {NULL, 0, false},
};

#define STRUCT_TOP        struct conf
#define STRUCT_ACCESS_LOG struct conf_access_log
#define STRUCT_ERROR_LOG  struct conf_error_log
#define STRUCT_MEMORY     struct conf_memory
#define STRUCT_REDIS      struct conf_redis
#define STRUCT_LIMITS     struct conf_limits
#define STRUCT_ORIGIN     struct conf_origin
#define STRUCT_ROUTE      struct conf_route

const struct conf_option conf_options[] = {
#define OPTION(in, label, of, member, text, ...)                               \
    {.name = #label,                                                           \
        .section = CONF_##in,                                                  \
        .kind = CONF_KIND_##of,                                                \
        .offset = offsetof(STRUCT_##in, member),                               \
        .preset = (text),                                                      \
        __VA_ARGS__},
#include "conf.def"
#undef OPTION
};

const size_t conf_options_count = ARRAY_LEN(conf_options);

const struct conf_section_info conf_sections[CONF_SECTION_COUNT] = {
    [CONF_TOP] = {"", false, CONF_TOP, 0},
    [CONF_ACCESS_LOG] = {"access_log", false, CONF_ACCESS_LOG,
        offsetof(struct conf, access_log)},
    [CONF_ERROR_LOG] = {"error_log", false, CONF_ERROR_LOG,
        offsetof(struct conf, error_log)},
    [CONF_MEMORY] = {"memory", false, CONF_MEMORY,
        offsetof(struct conf, memory)},
    [CONF_REDIS] = {"redis", false, CONF_REDIS, offsetof(struct conf, redis)},
    [CONF_LIMITS] = {"limits", false, CONF_LIMITS,
        offsetof(struct conf, limits)},
    [CONF_ORIGIN] = {"origin", true, CONF_ORIGIN, 0},
    [CONF_DEFAULTS] = {"defaults", false, CONF_ROUTE,
        offsetof(struct conf, defaults)},
    [CONF_ROUTE] = {"route", true, CONF_ROUTE, 0},
};

const struct conf_option *
conf_option_find(enum conf_section section, struct slice name)
{
    enum conf_section rows = conf_sections[section].options;

    for (size_t i = 0; i < conf_options_count; i++) {
        const struct conf_option *option = &conf_options[i];

        if (option->section == rows &&
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
