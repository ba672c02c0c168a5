/*
 * The grammar of the conf file. The walk goes from token to token, tells of
 * every name and sign that is out of place, and hands the values of each known
 * option to the table, which checks and stores them.
 *
 * A mistake in a statement ends that statement alone, so that one reading
 * finds all mistakes. The walk gives up only where nobody can tell any more
 * which brace belongs to which.
 *
 *     file := { name '=' value | section [ title ] '{' { ... } '}' }
 *     value := word | string | '{' [ value { ',' value } ] '}'
 *
 * When an option or a section stands twice, the first one counts. The walk
 * still tells of mistakes in the second one's grammar, but does not look at
 * its values.
 */
#include "app/conf/build.h"

#include <stdio.h>

#include "app/conf/store.h"
#include "nearside/app/conf/text/lex.h"
#include "nearside/base/check.h"

enum {
    ITEMS_MAX = 1024, /* of one list */
};

struct walk {
    struct conf_build *build;
    struct conf_text *text;
    struct conf_lexer lexer;
    unsigned value_line;      /* where the last value ended; 0: none yet */
    struct conf_where *where; /* the section; without base: it stands twice */
    struct conf_where spare;  /* for one that does */
    struct conf_token values[ITEMS_MAX]; /* of the option under way */
    size_t count;                        /* may be more than are kept */
};

#define TELL(w, line, ...)                                                     \
    conf_errors_add((w)->build->errors, (w)->text, (line), __VA_ARGS__)

/* The sections that have an option of this name, of which `home` is the first:
   "'origin' or 'route'". */
static void
name_homes(char homes[static CONF_WHY_MAX], const struct conf_option *home)
{
    const struct conf_option *end = conf_options + conf_options_count;
    int len = 0;

    MUST(home->section != CONF_TOP);
    for (const struct conf_option *o = home; o < end; o++) {
        if (strcmp(o->name, home->name) == 0) {
            len += snprintf(homes + len, CONF_WHY_MAX - (size_t)len, "%s'%s'",
                o == home ? "" : " or ", conf_sections[o->section].name);
            MUST(len < CONF_WHY_MAX);
        }
    }
}

/* `near` is meant, perhaps. If the section does not have it, others do. */
static void
tell_near(struct walk *w, const struct conf_token *name, struct slice near)
{
    const struct conf_option *home = conf_option_find(CONF_SECTION_COUNT, near);
    char homes[CONF_WHY_MAX];

    if (home == NULL || home->section == CONF_TOP ||
        conf_option_find(w->where->section, near) != NULL) {
        TELL(w, name->line, "unknown option '%.*s'; did you mean '%.*s'?",
            SLICE_FMT(name->text), SLICE_FMT(near));
    } else {
        name_homes(homes, home);
        TELL(w, name->line,
            "unknown option '%.*s'; did you mean '%.*s' in a section %s?",
            SLICE_FMT(name->text), SLICE_FMT(near), homes);
    }
}

static void
tell_unknown(struct walk *w, const struct conf_token *name)
{
    struct slice near = conf_suggest(w->where->section, name->text);
    const struct conf_option *home =
        conf_option_find(CONF_SECTION_COUNT, name->text);
    char homes[CONF_WHY_MAX];

    if (home != NULL && home->section == CONF_TOP) {
        TELL(w, name->line,
            "option '%.*s' does not belong in '%s'; it stands outside of all "
            "sections",
            SLICE_FMT(name->text), conf_sections[w->where->section].name);
    } else if (home != NULL) {
        name_homes(homes, home);
        TELL(w, name->line, "option '%s' belongs in a section %s", home->name,
            homes);
    } else if (name->text.ptr[name->text.len - 1] == ':') {
        TELL(w, name->line,
            "a ':' behind a name is not wanted; an option is written "
            "'%.*s = ...'",
            (int)name->text.len - 1, name->text.ptr);
    } else if (near.len > 0) {
        tell_near(w, name, near);
    } else {
        TELL(w, name->line, "unknown option '%.*s'", SLICE_FMT(name->text));
    }
}

/* Eats '{' and all up to its '}'. False: the text ended first. */
static bool
skip_braces(struct walk *w)
{
    unsigned depth = 0;
    unsigned begin = w->lexer.token.line;

    do {
        if (w->lexer.token.kind == CONF_TOKEN_END) {
            TELL(w, begin,
                "the '{' on this line is not closed; a '}' is missing");
            return false;
        }
        depth += w->lexer.token.kind == CONF_TOKEN_OPEN;
        depth -= w->lexer.token.kind == CONF_TOKEN_CLOSE;
        w->value_line = w->lexer.token.line;
        conf_lexer_next(&w->lexer);
    } while (depth > 0);
    return true;
}

static bool
is_equals(const struct conf_token *token)
{
    return token->kind == CONF_TOKEN_EQUALS ||
           token->kind == CONF_TOKEN_PLUS_EQUALS;
}

/* Eats `[ '=' ] value` or `[ title ] '{' ... '}'` behind a name that is no
   good. RC_BAD: a '}' is missing. */
static enum rc
skip_statement(struct walk *w)
{
    if (is_equals(&w->lexer.token)) {
        conf_lexer_next(&w->lexer);
    }
    if (conf_token_is_value(&w->lexer.token)) {
        w->value_line = w->lexer.token.line;
        conf_lexer_next(&w->lexer);
    }
    return w->lexer.token.kind == CONF_TOKEN_OPEN && !skip_braces(w) ? RC_BAD
                                                                     : RC_OK;
}

/* Does what stands next belong to the name before it? */
static bool
has_company(const struct walk *w, const struct conf_token *name)
{
    const struct conf_token *token = &w->lexer.token;

    return is_equals(token) || token->kind == CONF_TOKEN_OPEN ||
           (conf_token_is_value(token) && token->line == name->line);
}

/* It may be the rest of the secret. */
static void
tell_behind_secret(struct walk *w, const struct conf_token *token)
{
    TELL(w, token->line,
        "unexpected text behind the value of '" CONF_SECRET "'; a text with "
        "blanks is written in quotes");
}

/* The name was eaten, and is neither an option nor a section. */
static enum rc
walk_unknown(struct walk *w, const struct conf_token *name)
{
    if (name->line == w->lexer.secret_line) {
        tell_behind_secret(w, name);
        return has_company(w, name) ? skip_statement(w) : RC_OK;
    }
    if (has_company(w, name)) {
        tell_unknown(w, name);
        return skip_statement(w);
    }
    if (name->line == w->value_line) {
        TELL(w, name->line,
            "unexpected '%.*s' behind a value; a list is written { a, b }, a "
            "text with blanks in quotes",
            SLICE_FMT(name->text));
    } else {
        tell_unknown(w, name);
    }
    return RC_OK;
}

/* The token is a value of the option. */
static void
take_value(struct walk *w)
{
    if (w->count < ITEMS_MAX) {
        w->values[w->count] = w->lexer.token;
    }
    w->count++;
    w->value_line = w->lexer.token.line;
    conf_lexer_next(&w->lexer);
}

/* '{' was met. RC_BAD: it does not begin a list. RC_MISS: told, and the list
   does not count. */
static enum rc
walk_list(struct walk *w, const struct conf_token *name)
{
    const struct conf_token *token = &w->lexer.token;

    conf_lexer_next(&w->lexer);
    while (token->kind != CONF_TOKEN_CLOSE) {
        if (!conf_token_is_value(token)) {
            TELL(w, name->line,
                "the list of '%.*s' is not closed, or has a comma too many; "
                "it is written { a, b }",
                SLICE_FMT(name->text));
            return RC_BAD;
        }
        take_value(w);
        if (token->kind == CONF_TOKEN_COMMA) {
            conf_lexer_next(&w->lexer);
        } else if (token->kind != CONF_TOKEN_CLOSE &&
                   token->kind != CONF_TOKEN_END) {
            TELL(w, token->line,
                "in the list of '%.*s' a ',' or '}' is missing before '%.*s'",
                SLICE_FMT(name->text), SLICE_FMT(token->text));
            return RC_BAD;
        }
    }
    w->value_line = token->line;
    conf_lexer_next(&w->lexer);
    if (w->count > ITEMS_MAX) {
        TELL(w, name->line, "'%.*s' has %zu items; at most %d",
            SLICE_FMT(name->text), w->count, ITEMS_MAX);
        return RC_MISS;
    }
    return RC_OK;
}

static bool
is_secret(const struct conf_option *option)
{
    return strcmp(option->name, CONF_SECRET) == 0;
}

/* Tells if a secret is spelt out in a file that others may read. */
static void
check_secret(struct walk *w, const struct conf_option *option, unsigned line)
{
    const struct conf_file *file = conf_text_place(w->text, line).file;

    if (is_secret(option) && !w->lexer.token.has_variable &&
        !file->is_private) {
        TELL(w, line,
            "a password stands in a file that others may read; use "
            "password_file or ${VAR}, or let only its owner read %s (chmod "
            "600)",
            file->path);
    }
}

/* Does something else begin where the value of `name` should be? */
static bool
is_next_statement(const struct walk *w, const struct conf_token *name)
{
    const struct conf_token *token = &w->lexer.token;
    const struct conf_token *ahead = &w->lexer.ahead;

    if (!conf_token_is_value(token)) {
        return token->kind != CONF_TOKEN_OPEN;
    }
    return token->line != name->line && token->kind == CONF_TOKEN_WORD &&
           ahead->line == token->line &&
           (ahead->kind == CONF_TOKEN_EQUALS || ahead->kind == CONF_TOKEN_OPEN);
}

/* Eats '+=' and what may be its value. */
static enum rc
refuse_plus(struct walk *w, const struct conf_token *name,
    const struct conf_option *option)
{
    bool is_list = conf_option_is_list(option);

    MUST(w->lexer.token.kind == CONF_TOKEN_PLUS_EQUALS);
    TELL(w, name->line, "'+=' is not known here; write %s%s = %s",
        is_list ? "the whole list: " : "", option->name,
        is_list ? "{ a, b }" : "VALUE");
    conf_lexer_next(&w->lexer);
    if (!is_next_statement(w, name) && skip_statement(w) != RC_OK) {
        return RC_BAD;
    }
    return RC_MISS;
}

/* Eats the values of a known option, whose name was eaten. RC_BAD: no going
   on. RC_MISS: told, and there is no value. */
static enum rc
walk_value(struct walk *w, const struct conf_token *name,
    const struct conf_option *option)
{
    enum rc rc;

    w->count = 0;
    if (w->lexer.token.kind == CONF_TOKEN_PLUS_EQUALS) {
        return refuse_plus(w, name, option);
    }
    if (w->lexer.token.kind != CONF_TOKEN_EQUALS) {
        TELL(w, name->line, "'=' is missing after '%s'", option->name);
        rc = has_company(w, name) ? skip_statement(w) : RC_OK;
        return rc == RC_OK ? RC_MISS : rc;
    }
    conf_lexer_next(&w->lexer);
    if (is_next_statement(w, name)) {
        TELL(w, name->line, "the value of '%s' is missing", option->name);
        return RC_MISS;
    }
    if (conf_token_is_value(&w->lexer.token)) {
        check_secret(w, option, w->lexer.token.line);
        take_value(w);
        return RC_OK;
    }
    if (conf_option_is_list(option)) {
        return walk_list(w, name);
    }
    TELL(w, name->line, "'%s' takes one value, not a list", option->name);
    return skip_braces(w) ? RC_MISS : RC_BAD;
}

static void
tell_bad(struct walk *w, const struct conf_option *option,
    const struct conf_token *token, const char *why)
{
    char shown[80];

    /* What is left of a value that the lexer refused is not what was meant. */
    if (token->is_told) {
        return;
    }
    if (is_secret(option)) {
        TELL(w, token->line, "'%s': %s", option->name, why);
        return;
    }
    TELL(w, token->line, "'%s' = '%s': %s", option->name,
        log_escape(token->value, shown, sizeof(shown)), why);
}

/* Checks and stores the values that were eaten. */
static enum rc
store_values(struct walk *w, const struct conf_option *option)
{
    struct conf_store store = {.option = option,
        .count = w->count,
        .arena = &w->build->conf.arena,
        .base = w->where->base};
    char why[CONF_WHY_MAX];
    enum rc rc = conf_store_begin(&store);

    for (size_t i = 0; i < w->count && rc == RC_OK; i++) {
        struct slice value = w->values[i].value;

        rc = conf_store_value(&store, value, why);
        if (rc == RC_BAD) {
            tell_bad(w, option, &w->values[i], why);
            rc = RC_OK;
        }
        if (is_secret(option)) {
            explicit_bzero((char *)(uintptr_t)value.ptr, value.len);
        }
    }
    return rc;
}

static enum rc
walk_option(struct walk *w, const struct conf_token *name,
    const struct conf_option *option)
{
    unsigned *seen = &w->where->options[conf_option_index(option)];
    enum rc rc = walk_value(w, name, option);
    struct conf_place first;

    MUST(option->section == conf_sections[w->where->section].options);
    if (rc != RC_OK && rc != RC_MISS) {
        return rc;
    }
    if (*seen != 0) {
        first = conf_text_place(w->text, *seen);
        TELL(w, name->line, "'%s' is set twice; first in %s:%u", option->name,
            first.file->path, first.line);
        return RC_OK;
    }
    *seen = name->line;
    return rc == RC_OK && w->where->base != NULL ? store_values(w, option)
                                                 : RC_OK;
}

/* Eats the title and the '{' of a section. RC_BAD: one of them is missing. */
static enum rc
walk_head(struct walk *w, enum conf_section section, unsigned line,
    struct conf_token *title)
{
    const struct conf_section_info *info = &conf_sections[section];

    *title = (struct conf_token){.value = SLICE("")};
    if (info->has_title && !conf_token_is_value(&w->lexer.token)) {
        TELL(w, line, "the title is missing: %s",
            info->options == CONF_ROUTE ? "route \"/products/:id\" { ... }"
                                        : "origin NAME { ... }");
        return RC_BAD;
    }
    if (info->has_title) {
        *title = w->lexer.token;
        conf_lexer_next(&w->lexer);
    }
    if (w->lexer.token.kind != CONF_TOKEN_OPEN) {
        TELL(w, line, "'%s' is a section; it is written %s%s { ... }",
            info->name, info->name, info->has_title ? " TITLE" : "");
        return RC_BAD;
    }
    conf_lexer_next(&w->lexer);
    return RC_OK;
}

/* Sets w->where for the options that follow. */
static enum rc
open_section(struct walk *w, enum conf_section section, struct slice title,
    unsigned line)
{
    struct conf_place first;

    w->where = conf_section_at(w->build, section, title);
    if (w->where == NULL) {
        return conf_section_add(w->build, section, title, line, &w->where);
    }
    if (w->where->line == 0) {
        w->where->line = line;
        return RC_OK;
    }
    first = conf_text_place(w->text, w->where->line);
    TELL(w, line, "%s%s%.*s%s stands twice; first in %s:%u",
        conf_sections[section].name, title.len > 0 ? " \"" : "",
        SLICE_FMT(title), title.len > 0 ? "\"" : "", first.file->path,
        first.line);
    w->where = &w->spare;
    return conf_where_init(w->build, section, line, NULL, w->where);
}

static enum rc walk_statements(struct walk *w);

/* The section's name was eaten, outside of any section. */
static enum rc
walk_section(struct walk *w, const struct conf_token *name)
{
    enum conf_section section = conf_section_find(name->text);
    struct conf_token title;
    enum rc rc = walk_head(w, section, name->line, &title);

    MUST(w->where->section == CONF_TOP);
    MUST(section != CONF_TOP);
    if (rc == RC_OK) {
        rc = open_section(w, section, title.value, name->line);
    }
    if (rc == RC_OK) {
        w->where->is_told |= title.is_told;
        rc = walk_statements(w);
    }
    w->where = &w->build->where[CONF_TOP];
    return rc;
}

static enum rc
walk_statement(struct walk *w)
{
    struct conf_token name = w->lexer.token;
    const struct conf_option *option;

    if (name.kind != CONF_TOKEN_WORD && name.line == w->lexer.secret_line) {
        tell_behind_secret(w, &name);
        return RC_BAD;
    }
    if (name.kind != CONF_TOKEN_WORD) {
        TELL(w, name.line,
            "unexpected '%.*s'; here the name of an option is "
            "wanted%s",
            SLICE_FMT(name.text),
            name.kind == CONF_TOKEN_STRING ? ", without quotes" : "");
        return RC_BAD;
    }
    conf_lexer_next(&w->lexer);
    option = conf_option_find(w->where->section, name.text);
    /* `origin` is the name of a section and of an option of routes. Where a
       section may begin it means the section, in a route the option. */
    if (option == NULL && conf_section_find(name.text) != CONF_TOP) {
        if (w->where->section == CONF_TOP) {
            return walk_section(w, &name);
        }
        TELL(w, name.line,
            "section '%.*s' cannot stand inside of '%s'; is a '}' missing "
            "before it?",
            SLICE_FMT(name.text), conf_sections[w->where->section].name);
        return RC_BAD;
    }
    if (option == NULL) {
        return walk_unknown(w, &name);
    }
    return walk_option(w, &name, option);
}

/* Goes up to the end of the section, or of the text. */
static enum rc
walk_statements(struct walk *w)
{
    while (w->lexer.token.kind != CONF_TOKEN_END &&
           w->lexer.token.kind != CONF_TOKEN_CLOSE) {
        enum rc rc = walk_statement(w);

        if (rc != RC_OK) {
            return rc;
        }
    }
    if (w->lexer.token.kind == CONF_TOKEN_CLOSE &&
        w->where->section == CONF_TOP) {
        TELL(w, w->lexer.token.line, "a '}' too many");
        return RC_BAD;
    }
    if (w->lexer.token.kind == CONF_TOKEN_END &&
        w->where->section != CONF_TOP) {
        TELL(w, w->where->line, "section '%s' is not closed; a '}' is missing",
            conf_sections[w->where->section].name);
        return RC_BAD;
    }
    w->value_line = w->lexer.token.line;
    conf_lexer_next(&w->lexer);
    return RC_OK;
}

enum rc
conf_walk(struct conf_build *build)
{
    struct walk w = {
        .build = build,
        .text = build->text,
        .where = &build->where[CONF_TOP],
    };
    enum rc rc;

    MUST(w.text != NULL);
    conf_lexer_init(&w.lexer, build->text, build->errors, &build->scratch);
    rc = walk_statements(&w);
    conf_lexer_fini(&w.lexer);
    return w.lexer.rc == RC_OK ? rc : w.lexer.rc;
}
