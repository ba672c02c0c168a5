/*
 * libconfuse and what it reads. All options are strings to it; our table
 * says what they mean. A value is checked in the callback that libconfuse
 * makes right behind it, where the line is known, and stored afterwards, when
 * the sections are complete.
 *
 * libconfuse hands no context to its callbacks, so each option carries one
 * in the number of its default, which options of the type string do not use.
 * It never prints: its error function is ours from the first byte on. Its
 * lexer is global to the process, hence one conf at a time is read.
 */
#include "conf_inside.h"

#include <assert.h>
#include <confuse.h>
#include <stdlib.h>

#include "nearside/base/check.h"

static_assert(sizeof(long) >= sizeof(void *), "a long can carry a pointer");

struct parser {
    struct conf_build *build;
    const cfg_opt_t *current; /* the option met last */
    unsigned checked;         /* of its values */
    bool is_broken;           /* libconfuse told of a mistake of its own */
};

/* What an option carries. */
struct hook {
    struct parser *parser;
    const struct conf_option *option; /* NULL: a section */
};

struct grammar {
    struct hook *hooks; /* of all options, then of all sections */
    cfg_opt_t *opts[CONF_SECTION_COUNT]; /* owned; by section */
};

static struct hook *
hook_of(const cfg_opt_t *opt)
{
    return (struct hook *)(void *)(intptr_t)opt->def.number;
}

static unsigned
line_of(const cfg_t *cfg)
{
    return cfg->line > 0 ? (unsigned)cfg->line : 0;
}

/* Called by libconfuse; the walk has refused most of it before. */
__attribute__((format(printf, 2, 0))) static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    struct parser *p = hook_of(&cfg->opts[0])->parser;
    char what[CONF_WHY_MAX];

    p->is_broken = true;
    vsnprintf(what, sizeof(what), fmt, ap);
    conf_errors_add(p->build->errors, p->build->text, line_of(cfg), "%s", what);
}

static void
tell_bad(struct parser *p, const struct conf_option *option, unsigned line,
    const char *value, const char *why)
{
    char shown[80];

    if (strcmp(option->name, "password") == 0) {
        conf_errors_add(
            p->build->errors, p->build->text, line, "'password': %s", why);
        return;
    }
    log_escape(slice_of_str(value), shown, sizeof(shown));
    conf_errors_add(p->build->errors, p->build->text, line, "'%s' = '%s': %s",
        option->name, shown, why);
}

/* Called by libconfuse behind each value, and once more behind a list. The
   walk has removed what stands twice, so an option's values come together. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct hook *hook = hook_of(opt);
    struct parser *p = hook->parser;
    char why[CONF_WHY_MAX];

    if (p->current != opt) {
        p->current = opt;
        p->checked = 0;
    }
    while (p->checked < cfg_opt_size(opt)) {
        const char *value = cfg_opt_getnstr(opt, p->checked++);
        enum rc rc =
            conf_value_read(hook->option, slice_of_str(value), NULL, NULL, why);

        /* What conf_scan refused has become an empty string. */
        if (rc != RC_OK &&
            !(value[0] == '\0' &&
                conf_errors_has(p->build->errors, line_of(cfg)))) {
            tell_bad(p, hook->option, line_of(cfg), value, why);
        }
    }
    return 0;
}

static void
grammar_free(struct grammar *g)
{
    for (unsigned i = 0; i < CONF_SECTION_COUNT; i++) {
        free(g->opts[i]);
    }
    free(g->hooks);
}

static void
opt_fill(cfg_opt_t *opt, struct hook *hook)
{
    const struct conf_option *option = hook->option;

    *opt = (cfg_opt_t){.name = option->name,
        .type = CFGT_STR,
        .flags = CFGF_NODEFAULT |
                 (conf_kind_is_list(option->kind) ? CFGF_LIST : CFGF_NONE),
        .validcb = on_value};
    opt->def.number = (long)(intptr_t)hook;
}

/* The options of one section, ended by an empty one. */
static cfg_opt_t *
opts_new(struct grammar *g, enum conf_section section, size_t extra)
{
    cfg_opt_t *opts = calloc(conf_options_count + extra + 1, sizeof(*opts));
    size_t n = 0;

    if (opts == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < conf_options_count; i++) {
        if (conf_options[i].section == conf_sections[section].options) {
            opt_fill(&opts[n++], &g->hooks[i]);
        }
    }
    return opts;
}

/* The whole grammar; what opts point to lives until grammar_free. */
static enum rc
grammar_init(struct grammar *g, struct parser *p)
{
    size_t n = 0;

    *g = (struct grammar){.hooks = NULL};
    g->hooks = calloc(conf_options_count + 1, sizeof(*g->hooks));
    if (g->hooks == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < conf_options_count; i++) {
        g->hooks[i] = (struct hook){p, &conf_options[i]};
    }
    for (unsigned i = 0; i < CONF_SECTION_COUNT; i++) {
        g->opts[i] = opts_new(g, (enum conf_section)i, CONF_SECTION_COUNT);
        if (g->opts[i] == NULL) {
            return RC_NOMEM;
        }
    }
    while (g->opts[CONF_TOP][n].name != NULL) {
        n++;
    }
    for (unsigned i = CONF_TOP + 1; i < CONF_SECTION_COUNT; i++) {
        const struct conf_section_info *info = &conf_sections[i];

        g->opts[CONF_TOP][n++] = (cfg_opt_t){.name = info->name,
            .type = CFGT_SEC,
            .flags = info->has_title
                         ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES
                         : CFGF_NONE,
            .subopts = g->opts[i]};
    }
    return RC_OK;
}

/* One option that the file sets. */
static enum rc
option_store(struct parser *p, cfg_opt_t *opt, void *base)
{
    unsigned count = cfg_opt_size(opt);
    const char **values = calloc((size_t)count + 1, sizeof(*values));
    enum rc rc;

    if (values == NULL) {
        return RC_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        values[i] = cfg_opt_getnstr(opt, i);
    }
    rc = conf_value_store(
        hook_of(opt)->option, values, count, &p->build->conf->arena, base);
    free(values);
    return rc;
}

/* Stores all that a section of the file sets at base. */
static enum rc
section_store(struct parser *p, const cfg_t *cfg, void *base)
{
    enum rc rc = RC_OK;

    for (cfg_opt_t *opt = cfg->opts; opt->name != NULL && rc == RC_OK; opt++) {
        if (opt->type != CFGT_SEC && (opt->flags & CFGF_MODIFIED) != 0) {
            rc = option_store(p, opt, base);
        }
    }
    return rc;
}

/* Where the nth section of a kind stands; untouched when there is none. */
static void
where_set(const struct conf_build *build, enum conf_section section, unsigned n,
    struct conf_where *where)
{
    const struct conf_walk *walk = &build->walk;

    for (size_t i = 0; i < walk->openings_count; i++) {
        const struct conf_opening *o = &walk->openings[i];

        if (o->section == section && n-- == 0) {
            *where = (struct conf_where){o->line, o->options};
            return;
        }
    }
}

static enum rc
origin_store(struct parser *p, cfg_t *cfg, unsigned n)
{
    struct conf_build *build = p->build;
    struct conf_origin *origin;
    enum rc rc = conf_origin_add(build, &origin);

    if (rc != RC_OK) {
        return rc;
    }
    where_set(build, CONF_ORIGIN, n, &build->origins[n]);
    origin->name = conf_copy(&build->conf->arena, slice_of_str(cfg_title(cfg)));
    return origin->name == NULL ? RC_NOMEM : section_store(p, cfg, origin);
}

static enum rc
route_store(struct parser *p, cfg_t *cfg, unsigned n)
{
    struct conf_build *build = p->build;
    struct conf_route *route;
    enum rc rc = conf_route_add(build, &route);

    if (rc != RC_OK) {
        return rc;
    }
    where_set(build, CONF_ROUTE, n, &build->routes[n]);
    route->title = conf_copy(&build->conf->arena, slice_of_str(cfg_title(cfg)));
    return route->title == NULL ? RC_NOMEM : section_store(p, cfg, route);
}

static enum rc
titled_store(struct parser *p, cfg_t *root, enum conf_section section)
{
    const char *name = conf_sections[section].name;
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < cfg_size(root, name) && rc == RC_OK; i++) {
        cfg_t *cfg = cfg_getnsec(root, name, i);

        rc = section == CONF_ORIGIN ? origin_store(p, cfg, i)
                                    : route_store(p, cfg, i);
    }
    return rc;
}

/* `defaults` comes before the routes, which start from it. */
static enum rc
store(struct parser *p, cfg_t *root)
{
    struct conf_build *build = p->build;
    enum rc rc = RC_OK;

    for (unsigned i = CONF_TOP; i < CONF_SECTION_COUNT && rc == RC_OK; i++) {
        const struct conf_section_info *info = &conf_sections[i];
        enum conf_section section = (enum conf_section)i;

        if (info->has_title) {
            rc = titled_store(p, root, section);
            continue;
        }
        where_set(build, section, 0, &build->sections[i]);
        rc = section_store(p,
            section == CONF_TOP ? root : cfg_getsec(root, info->name),
            (char *)build->conf + info->offset);
    }
    return rc;
}

/* libconfuse's copy of a secret. */
static void
wipe(cfg_t *root)
{
    char *password = cfg_getstr(cfg_getsec(root, "redis"), "password");

    if (password != NULL) {
        explicit_bzero(password, strlen(password));
    }
}

static enum rc
parse(struct parser *p, const struct grammar *g)
{
    cfg_t *root = cfg_init(g->opts[CONF_TOP], CFGF_NONE);
    enum rc rc = RC_BAD;

    if (root == NULL) {
        return RC_NOMEM;
    }
    cfg_set_error_function(root, on_error);
    if (cfg_parse_buf(root, buf_slice(&p->build->text->bytes).ptr) ==
        CFG_SUCCESS) {
        rc = store(p, root);
    } else if (!p->is_broken) {
        rc = RC_NOMEM;
    }
    wipe(root);
    cfg_free(root);
    return rc;
}

enum rc
conf_parse(struct conf_build *build)
{
    struct parser p = {.build = build};
    struct grammar g;
    enum rc rc = grammar_init(&g, &p);

    if (rc == RC_OK) {
        rc = parse(&p, &g);
    }
    grammar_free(&g);
    return rc;
}
