/*
 * What the files of the conf share. In order of use: conf_scan (files to one
 * conf_text, with a line map), conf_walk (names, duplicates), conf_parse
 * (libconfuse and the values, into a conf_build), conf_check (what only the
 * whole can show); conf_value and conf_title read single values, conf_table
 * says which there are.
 */
#ifndef NEARSIDE_APP_CONF_INSIDE_H
#define NEARSIDE_APP_CONF_INSIDE_H

#include "nearside/app/conf.h"
#include "nearside/base/buf.h"

enum {
    CONF_WHY_MAX = 256,              /* bytes of one explanation */
    CONF_FILE_MAX = 4 * 1024 * 1024, /* bytes of one file, and of all */
    CONF_FILES_MAX = 64,             /* includes all counted */
    CONF_DEPTH_MAX = 8,              /* of includes; a loop ends here */
    CONF_ITEMS_MAX = 1024,           /* of one list */
    CONF_SECTIONS_MAX = 2048,        /* origins and routes together */
    CONF_ARENA_MAX = 64 * 1024 * 1024,
    CONF_LINES_MAX = 200000,
};

/* --- conf_table: the options --------------------------------------------- */

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
    size_t offset;             /* in struct conf; unused with has_title */
};

enum conf_kind {
    CONF_KIND_ADDRESS,  /* const char *; NULL for off */
    CONF_KIND_ADMIN,    /* likewise, or auto */
    CONF_KIND_DURATION, /* int64_t, ms */
    CONF_KIND_SIZE,     /* size_t, bytes */
    CONF_KIND_COUNT,    /* unsigned */
    CONF_KIND_COUNT_AUTO,
    CONF_KIND_PERCENT, /* unsigned */
    CONF_KIND_SWITCH,  /* bool */
    CONF_KIND_WORD,    /* an enum */
    CONF_KIND_TARGET,  /* struct conf_target */
    CONF_KIND_TEXT,    /* const char *, and so to the end */
    CONF_KIND_TOKEN,
    CONF_KIND_NAME,
    CONF_KIND_PATH,
    CONF_KIND_PREFIX,
    CONF_KIND_HOST,
    /* From here on lists: struct conf_strings. */
    CONF_KIND_ADDRESSES,
    CONF_KIND_HOSTS,
    CONF_KIND_SEEDS,
    CONF_KIND_SERVERS,
    CONF_KIND_FIELD_NAMES,
    CONF_KIND_METHODS,
    CONF_KIND_TEXTS,
    CONF_KIND_QUERY,       /* struct conf_query */
    CONF_KIND_NETS,        /* struct conf_nets */
    CONF_KIND_STATUS_TTLS, /* struct conf_status_ttls */
};

struct conf_word {
    const char *text; /* NULL ends the array */
    int value;
    bool is_later; /* known, but not in this version */
};

struct conf_option {
    const char *name;
    enum conf_section section;
    enum conf_kind kind;
    size_t offset;      /* of the member in the section's struct */
    const char *preset; /* the default as written; NULL: none */
    uint64_t min;
    uint64_t max; /* 0: the kind's own */
    const struct conf_word *words;
};

extern const struct conf_option conf_options[];
extern const size_t conf_options_count;
extern const struct conf_section_info conf_sections[CONF_SECTION_COUNT];

static inline bool
conf_kind_is_list(enum conf_kind kind)
{
    return kind >= CONF_KIND_ADDRESSES;
}

/* The option of that name in a section, or NULL. */
const struct conf_option *conf_option_find(
    enum conf_section section, struct slice name);

/* The section of that name; CONF_TOP: none such. */
enum conf_section conf_section_find(struct slice name);

static inline size_t
conf_option_index(const struct conf_option *option)
{
    return (size_t)(option - conf_options);
}

/* --- conf_errors --------------------------------------------------------- */

struct conf_text;

/* text and line say where; line 0: the whole file; text NULL: no file. */
void conf_errors_add(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_errors_warn(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Is there a mistake in that line? */
bool conf_errors_has(const struct conf_errors *errors, unsigned line);

/* In the order of the lines, what concerns the whole file last. */
void conf_errors_sort(struct conf_errors *errors);

/* Damerau-Levenshtein distance (adjacent swaps count one), capped at 99. */
unsigned conf_distance(struct slice a, struct slice b);

/* Is `candidate` near enough to be suggested for `name`, and nearer than
 *best? Then *best becomes its distance. Begin with 99. */
bool conf_is_nearer(struct slice name, struct slice candidate, unsigned *best);

/* --- conf_text: all files in one ----------------------------------------- */

struct conf_line {
    unsigned file; /* index into files */
    unsigned line; /* from 1 */
};

struct conf_file {
    char *path;      /* owned */
    bool is_private; /* nobody but its owner may read it */
};

struct conf_text {
    struct buf bytes; /* without comments, includes put in; NUL behind it */
    struct conf_line *lines; /* [n - 1]: where line n of bytes came from */
    size_t lines_count;
    size_t lines_cap;
    struct conf_file files[CONF_FILES_MAX];
    unsigned files_count;
};

void conf_text_init(struct conf_text *t);
void conf_text_fini(struct conf_text *t); /* wipes the bytes */

/* Overwrites [from, to) with blanks, the lines stay. */
void conf_text_blank(struct conf_text *t, size_t from, size_t to);

/* Where a line came from. */
const struct conf_file *conf_text_file(
    const struct conf_text *t, unsigned line);

/* --- conf_scan: files to one text ---------------------------------------- */

/* Mistakes go to errors; the text is usable in spite of them. RC_IO: the
   file itself (not an include) cannot be read. RC_NOMEM. */
enum rc conf_scan_file(struct conf_text *t, const char *path,
    struct conf_errors *errors) RC_MUST_CHECK;
enum rc conf_scan_text(struct conf_text *t, struct slice bytes,
    const char *name, struct conf_errors *errors) RC_MUST_CHECK;

/* --- conf_walk: names and duplicates ------------------------------------- */

/* A section as it stands in the text; the order is libconfuse's. */
struct conf_opening {
    enum conf_section section;
    unsigned line;
    struct slice title; /* without quotes; into the text's bytes */
    unsigned *options;  /* by option: the line that sets it, or 0; owned */
};

struct conf_walk {
    struct conf_opening *openings; /* owned; the first is the text itself */
    size_t openings_count;
};

void conf_walk_fini(struct conf_walk *walk);

/*
 * Tells of unknown and repeated names and blanks them out, so that
 * libconfuse meets neither. RC_BAD: the grammar is broken (told) and the
 * rest was not looked at. RC_NOMEM.
 */
enum rc conf_walk(struct conf_text *t, struct conf_errors *errors,
    struct conf_walk *out) RC_MUST_CHECK;

/* --- conf_value, conf_title: single values ------------------------------- */

/*
 * Reads one value (of a list: one item) and stores it at `out`, or with
 * NULL only checks it. RC_BAD: why says what is wrong. RC_NOMEM.
 */
enum rc conf_value_read(const struct conf_option *option, struct slice text,
    struct arena *arena, void *out, char why[CONF_WHY_MAX]) RC_MUST_CHECK;

/* Takes all values of an option and stores them at its member in base. */
enum rc conf_value_store(const struct conf_option *option,
    const char *const *values, size_t count, struct arena *arena,
    void *base) RC_MUST_CHECK;

/* Sets every option of the section to its default. RC_NOMEM. */
enum rc conf_value_presets(
    enum conf_section options, struct arena *arena, void *base) RC_MUST_CHECK;

/* Fills method, host and pattern from route->title. RC_BAD, RC_NOMEM. */
enum rc conf_title_read(struct conf_route *route, struct arena *arena,
    char why[CONF_WHY_MAX]) RC_MUST_CHECK;

/* Do both match the same requests? */
bool conf_title_is_same(const struct conf_route *a, const struct conf_route *b);

/* Copies into the arena, NUL-terminated. NULL: no room. */
const char *conf_copy(struct arena *arena, struct slice s);

/* The same of a part of a target, in its one spelling (http/uri.h). */
const char *conf_spelled(struct arena *arena, struct slice s);

/* --- conf_build: a conf in the making ------------------------------------- */

/* Where the options of one section stand: [index of the option] is a line. */
struct conf_where {
    unsigned line;           /* of the section; 0: it is not in the file */
    const unsigned *options; /* 0: not set; the walk's, or all 0 */
};

struct conf_build {
    struct conf *conf;
    struct conf_errors *errors;
    struct conf_text *text;    /* NULL without a file */
    struct conf_walk walk;     /* of text */
    struct conf_where nowhere; /* nothing set, in no line */
    struct conf_where sections[CONF_SECTION_COUNT];
    struct conf_where *origins; /* as conf->origins; in the arena */
    struct conf_where *routes;  /* as conf->routes */
};

/* A conf with all defaults. RC_NOMEM. */
enum rc conf_new(struct conf **out_conf) RC_MUST_CHECK;

/* build has its errors and its text; gets a conf with all defaults. RC_NOMEM:
   the conf may be there, to be freed. */
enum rc conf_build_init(struct conf_build *build) RC_MUST_CHECK;

/* Room for one more; zeroed, with its presets. RC_LIMIT, RC_NOMEM. */
enum rc conf_origin_add(
    struct conf_build *build, struct conf_origin **out) RC_MUST_CHECK;
enum rc conf_route_add(
    struct conf_build *build, struct conf_route **out) RC_MUST_CHECK;

/* --- conf_parse: the text to a conf -------------------------------------- */

/* Adds what stands in build->text, after the walk. RC_BAD: libconfuse gave
   up. RC_NOMEM. */
enum rc conf_parse(struct conf_build *build) RC_MUST_CHECK;

/* --- conf_flags: the command line ---------------------------------------- */

/* Adds what the command line says. RC_NOMEM. */
enum rc conf_flags_apply(
    struct conf_build *build, const struct conf_flags *flags) RC_MUST_CHECK;

/* --- conf_check: the whole ----------------------------------------------- */

/* Tells of what does not fit together and fills in what follows from the
   rest (a route's only origin, the password of a file). RC_NOMEM. */
enum rc conf_check(struct conf_build *build) RC_MUST_CHECK;

#endif
