/*
 * A conf in the making, and the steps that make it, in this order:
 *
 *     conf_build_init     every default
 *     conf_walk           what the file says
 *     conf_route_inherit  what `defaults` say, for each route
 *     conf_flags_apply    what the command line says
 *     conf_check          what only the whole can show
 *     conf_build_finish   what follows from the rest; a struct conf
 */
#ifndef APP_CONF_BUILD_H
#define APP_CONF_BUILD_H

#include "app/conf/table.h"
#include "nearside/app/conf/conf.h"
#include "nearside/app/conf/text/text.h"

enum {
    CONF_ORIGINS_MAX = 256,
    CONF_SECTIONS_MAX = 2048, /* origins and routes together */
    CONF_ARENA_MAX = 64 * 1024 * 1024,
};

/* Where a section and its options stand. A line is a line of the text. */
struct conf_where {
    enum conf_section section;
    unsigned line;     /* of the section; 0: it is not in the file */
    bool is_told;      /* its title is no good, which was told */
    void *base;        /* the struct that the table fills */
    unsigned *options; /* [index in the table]; 0: not set */
};

/* The table of options fills the members of the next three structs. */
struct conf_origin {
    struct origin_opts opts;
    const char *host; /* Host to send; NULL: the client's own */
    struct conf_where where;
};

struct conf_route {
    struct route opts;  /* without group */
    const char *origin; /* its name; NULL: not said */
    const char *const *tags;
    size_t tags_len;
    struct conf_where where;
};

struct conf_build {
    struct conf conf;           /* without origins, and routes in proxy */
    const char *default_origin; /* its name; NULL: not said */
    size_t response_head_max;
    unsigned response_fields_max;
    struct conf_route defaults; /* where every route starts; no title */

    struct conf_origin *origins; /* these two lie in scratch */
    size_t origins_len;
    struct conf_route *routes; /* in the file's order */
    size_t routes_len;
    struct conf_where where[CONF_SECTION_COUNT]; /* of those without title */
    struct conf_errors *errors;
    struct conf_text *text; /* NULL without a file */
    struct arena scratch;   /* what ends with the build */
};

/* The caller has set errors and text, and all else to zero. After RC_NOMEM
   too the caller calls conf_build_fini. */
enum rc conf_build_init(struct conf_build *build) RC_MUST_CHECK;
void conf_build_fini(struct conf_build *build);

/* Begins a section in which no option is set yet. RC_NOMEM. */
enum rc conf_where_init(struct conf_build *build, enum conf_section section,
    unsigned line, void *base, struct conf_where *out) RC_MUST_CHECK;

/* One more origin or route. An origin has its defaults; a route gets them from
   conf_route_inherit. RC_LIMIT: told. RC_NOMEM. */
enum rc conf_section_add(struct conf_build *build, enum conf_section section,
    struct slice title, unsigned line, struct conf_where **out) RC_MUST_CHECK;

/* The origin or route of that title; NULL: there is none. Or the section
   without a title, which is always there. */
struct conf_where *conf_section_at(
    struct conf_build *build, enum conf_section section, struct slice title);

/* Sets each option that the route does not set itself to the one of
   `defaults`. */
void conf_route_inherit(
    const struct conf_build *build, struct conf_route *route);

/* --- title.c --- */

/* Fills method, host and segments from route->title, which stays as long.
   RC_BAD: why, of CONF_WHY_MAX bytes, says what is wrong; segments_len is 0.
   RC_NOMEM. */
enum rc conf_title_read(
    struct route *route, struct arena *arena, char *why) RC_MUST_CHECK;

/* Is there a segment `:name`? */
bool conf_title_has_param(const struct route *route, struct slice name);

/* --- title_reach.c --- */

/* Does a match all requests that b matches? */
bool conf_title_covers(const struct route *a, const struct route *b);

/* Is there a target that both match, whatever the method? */
bool conf_title_meets(const struct route *a, const struct route *b);

/* --- The steps --- */

/* Adds what stands in build->text. RC_BAD: the grammar is broken (told) and
   the rest was not looked at. RC_LIMIT, RC_NOMEM. */
enum rc conf_walk(struct conf_build *build) RC_MUST_CHECK;

/* Adds what the command line says. RC_LIMIT, RC_NOMEM. */
enum rc conf_flags_apply(
    struct conf_build *build, const struct conf_flags *flags) RC_MUST_CHECK;

/* Tells of what does not fit together, and fills in what is not said: a
   route's only origin, the password in its file, the admin socket's place.
   RC_NOMEM. */
enum rc conf_check(struct conf_build *build) RC_MUST_CHECK;

/* Makes the conf of a build without mistakes; it takes the memory over.
   RC_NOMEM. */
enum rc conf_build_finish(
    struct conf_build *build, struct conf **out_conf) RC_MUST_CHECK;

#endif
