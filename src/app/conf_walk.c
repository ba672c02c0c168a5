/*
 * A walk over the text before libconfuse reads it. libconfuse ends at the
 * first name it does not know, lets the second of two equal options win and
 * takes a section that is never closed; the walk knows the names, tells of
 * all that, suggests what may have been meant, and blanks it out, so that one
 * reading finds every mistake. What the words mean is not its business.
 *
 *     file := { name '=' value | section [ title ] '{' { ... } '}' }
 *     value := word | string | '{' [ value { ',' value } ] '}'
 */
#include "conf_inside.h"

#include <stdlib.h>

#include "nearside/base/check.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_EQUALS,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    struct slice text; /* with its quotes */
    size_t from;       /* in the text's bytes */
    size_t to;
    unsigned line;
};

struct walk {
    struct conf_text *text;
    struct conf_errors *errors;
    struct conf_walk *out;
    size_t at;          /* behind `token` */
    unsigned line;      /* there */
    struct token token; /* the next one */
    enum conf_section section;
    unsigned opened;     /* line of the section's name */
    unsigned value_line; /* where the last value ended; 0: none yet */
    unsigned *seen;      /* by option: its line in this section */
};

#define TELL(w, line, ...)                                                     \
    conf_errors_add((w)->errors, (w)->text, (line), __VA_ARGS__)

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static enum token_kind
kind_of(char c)
{
    switch (c) {
    case '{':
        return TOKEN_OPEN;
    case '}':
        return TOKEN_CLOSE;
    case '=':
        return TOKEN_EQUALS;
    case ',':
        return TOKEN_COMMA;
    case '"':
    case '\'':
        return TOKEN_STRING;
    default:
        return TOKEN_WORD;
    }
}

/* in begins with a quote; conf_scan has seen to it that it is closed. */
static size_t
string_len(struct slice in)
{
    size_t i = 1;

    while (i < in.len && in.ptr[i] != in.ptr[0]) {
        i += in.ptr[i] == '\\' ? 2 : 1;
    }
    return i + 1 > in.len ? in.len : i + 1;
}

static size_t
word_len(struct slice in)
{
    size_t i = 0;

    if (slice_starts(in, SLICE("${"))) {
        while (i + 1 < in.len && in.ptr[i] != '}') {
            i++;
        }
        return i + 1;
    }
    while (i < in.len && !is_blank(in.ptr[i]) &&
           kind_of(in.ptr[i]) == TOKEN_WORD) {
        i++;
    }
    return i;
}

static void
advance(struct walk *w)
{
    struct slice all = buf_slice(&w->text->bytes);
    struct slice rest;
    size_t len = 1;

    while (w->at < all.len && is_blank(all.ptr[w->at])) {
        w->line += all.ptr[w->at] == '\n';
        w->at++;
    }
    w->token = (struct token){.from = w->at, .to = w->at, .line = w->line};
    if (w->at == all.len) {
        return;
    }
    rest = slice_skip(all, w->at);
    w->token.kind = kind_of(rest.ptr[0]);
    if (w->token.kind == TOKEN_STRING) {
        len = string_len(rest);
    } else if (w->token.kind == TOKEN_WORD) {
        len = word_len(rest);
    }
    w->token.text = slice_of(rest.ptr, len);
    w->at += len;
    w->token.to = w->at;
}

static bool
is_value(const struct token *t)
{
    return t->kind == TOKEN_WORD || t->kind == TOKEN_STRING;
}

static struct slice
unquoted(struct slice s)
{
    if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'')) {
        return slice_of(s.ptr + 1, s.len - 2);
    }
    return s;
}

static void
suggest_from(
    struct slice name, const char *candidate, unsigned *best, const char **out)
{
    if (conf_is_nearer(name, slice_of_str(candidate), best)) {
        *out = candidate;
    }
}

/* The name that resembles `name` most: one that may stand here, else an
   option of any section. NULL: none is near. */
static const char *
suggest(const struct walk *w, struct slice name)
{
    enum conf_section rows = conf_sections[w->section].options;
    unsigned best = 99;
    const char *found = NULL;

    for (size_t i = 0; i < conf_options_count; i++) {
        if (conf_options[i].section == rows) {
            suggest_from(name, conf_options[i].name, &best, &found);
        }
    }
    for (unsigned i = CONF_TOP + 1;
         w->section == CONF_TOP && i < CONF_SECTION_COUNT; i++) {
        suggest_from(name, conf_sections[i].name, &best, &found);
    }
    for (size_t i = 0; found == NULL && i < conf_options_count; i++) {
        suggest_from(name, conf_options[i].name, &best, &found);
    }
    return found;
}

/* The option of that name in another section, or NULL. */
static const struct conf_option *
elsewhere(struct slice name)
{
    for (size_t i = 0; i < conf_options_count; i++) {
        if (slice_eq(slice_of_str(conf_options[i].name), name)) {
            return &conf_options[i];
        }
    }
    return NULL;
}

static void
tell_unknown(struct walk *w, const struct token *name)
{
    const char *near = suggest(w, name->text);
    const struct conf_option *home = elsewhere(name->text);

    if (home != NULL && home->section == CONF_TOP) {
        TELL(w, name->line,
            "option '%.*s' does not belong in '%s'; it stands outside of all "
            "sections",
            SLICE_FMT(name->text), conf_sections[w->section].name);
    } else if (home != NULL) {
        TELL(w, name->line, "option '%.*s' belongs in a section '%s'",
            SLICE_FMT(name->text), conf_sections[home->section].name);
    } else if (near != NULL) {
        TELL(w, name->line, "unknown option '%.*s'; did you mean '%s'?",
            SLICE_FMT(name->text), near);
    } else {
        TELL(w, name->line, "unknown option '%.*s'", SLICE_FMT(name->text));
    }
}

/* Eats '{' and all up to its '}'. False: the text ended first. */
static bool
skip_braces(struct walk *w)
{
    unsigned depth = 0;
    unsigned begin = w->token.line;

    do {
        if (w->token.kind == TOKEN_END) {
            TELL(w, begin,
                "the '{' on this line is not closed; a '}' is "
                "missing");
            return false;
        }
        depth += w->token.kind == TOKEN_OPEN;
        depth -= w->token.kind == TOKEN_CLOSE;
        w->value_line = w->token.line;
        advance(w);
    } while (depth > 0);
    return true;
}

/* Eats `[ '=' ] value` or `[ title ] '{' ... '}'` behind a name that is no
   good, and blanks all of it. RC_BAD: a '}' is missing. */
static enum rc
skip_statement(struct walk *w, const struct token *name)
{
    if (w->token.kind == TOKEN_EQUALS) {
        advance(w);
    }
    if (is_value(&w->token)) {
        w->value_line = w->token.line;
        advance(w);
    }
    if (w->token.kind == TOKEN_OPEN && !skip_braces(w)) {
        return RC_BAD;
    }
    conf_text_blank(w->text, name->from, w->token.from);
    return RC_OK;
}

/* Does what stands next belong to the name before it? */
static bool
has_company(const struct walk *w, const struct token *name)
{
    return w->token.kind == TOKEN_EQUALS || w->token.kind == TOKEN_OPEN ||
           (is_value(&w->token) && w->token.line == name->line);
}

/* name was eaten and is nothing we know. */
static enum rc
walk_unknown(struct walk *w, const struct token *name)
{
    if (has_company(w, name)) {
        tell_unknown(w, name);
        return skip_statement(w, name);
    }
    if (name->line == w->value_line) {
        TELL(w, name->line,
            "unexpected '%.*s' behind a value; a list is written { a, b }, a "
            "text with blanks in quotes",
            SLICE_FMT(name->text));
    } else {
        tell_unknown(w, name);
    }
    conf_text_blank(w->text, name->from, name->to);
    return RC_OK;
}

/* '{' was met. Eats the list. RC_BAD: it is not one. */
static enum rc
walk_list(struct walk *w, const struct token *name)
{
    size_t count = 0;

    advance(w);
    while (w->token.kind != TOKEN_CLOSE) {
        if (!is_value(&w->token)) {
            TELL(w, name->line,
                "the list of '%.*s' is not closed, or has a comma too many; "
                "it is written { a, b }",
                SLICE_FMT(name->text));
            return RC_BAD;
        }
        count++;
        advance(w);
        if (w->token.kind == TOKEN_COMMA) {
            advance(w);
        } else if (w->token.kind != TOKEN_CLOSE && w->token.kind != TOKEN_END) {
            TELL(w, w->token.line,
                "in the list of '%.*s' a ',' or '}' is missing before '%.*s'",
                SLICE_FMT(name->text), SLICE_FMT(w->token.text));
            return RC_BAD;
        }
    }
    w->value_line = w->token.line;
    advance(w);
    if (count > CONF_ITEMS_MAX) {
        TELL(w, name->line, "'%.*s' has %zu items; at most %d",
            SLICE_FMT(name->text), count, CONF_ITEMS_MAX);
        conf_text_blank(w->text, name->from, w->token.from);
    }
    return RC_OK;
}

/* A secret spelt out in a file that others may read. */
static void
check_secret(struct walk *w, const struct token *name, struct slice value)
{
    const char *variable = memmem(value.ptr, value.len, "${", 2);
    bool is_literal = value.ptr[0] == '\'' || variable == NULL ||
                      (variable > value.ptr && variable[-1] == '\\');
    const struct conf_file *file = conf_text_file(w->text, name->line);

    if (!slice_eq(name->text, SLICE("password")) || !is_literal ||
        file->is_private) {
        return;
    }
    TELL(w, name->line,
        "a password stands in a file that others may read; use password_file "
        "or ${VAR}, or let only its owner read %s (chmod 600)",
        file->path);
}

/* Does something else begin where the value of `name` should be? */
static bool
is_next_statement(const struct walk *w, const struct token *name)
{
    struct walk ahead = *w;

    if (!is_value(&w->token)) {
        return w->token.kind != TOKEN_OPEN;
    }
    advance(&ahead);
    return w->token.line != name->line && w->token.kind == TOKEN_WORD &&
           ahead.token.line == w->token.line &&
           (ahead.token.kind == TOKEN_EQUALS || ahead.token.kind == TOKEN_OPEN);
}

/* The value of a known option; `name` was eaten. RC_BAD: no going on. */
static enum rc
walk_value(
    struct walk *w, const struct token *name, const struct conf_option *option)
{
    if (w->token.kind != TOKEN_EQUALS) {
        TELL(w, name->line, "'=' is missing after '%s'", option->name);
        if (has_company(w, name)) {
            return skip_statement(w, name);
        }
        conf_text_blank(w->text, name->from, name->to);
        return RC_OK;
    }
    advance(w);
    if (is_next_statement(w, name)) {
        TELL(w, name->line, "the value of '%s' is missing", option->name);
        conf_text_blank(w->text, name->from, w->token.from);
        return RC_OK;
    }
    if (is_value(&w->token)) {
        check_secret(w, name, w->token.text);
        w->value_line = w->token.line;
        advance(w);
        return RC_OK;
    }
    if (conf_kind_is_list(option->kind)) {
        return walk_list(w, name);
    }
    TELL(w, name->line, "'%s' takes one value, not a list", option->name);
    if (!skip_braces(w)) {
        return RC_BAD;
    }
    conf_text_blank(w->text, name->from, w->token.from);
    return RC_OK;
}

static enum rc
walk_option(
    struct walk *w, const struct token *name, const struct conf_option *option)
{
    unsigned *seen = &w->seen[conf_option_index(option)];
    enum rc rc = walk_value(w, name, option);

    if (rc == RC_OK && *seen != 0) {
        const struct conf_line *first = &w->text->lines[*seen - 1];

        TELL(w, name->line, "'%s' is set twice; first in %s:%u", option->name,
            w->text->files[first->file].path, first->line);
        conf_text_blank(w->text, name->from, w->token.from);
    }
    if (*seen == 0) {
        *seen = name->line;
    }
    return rc;
}

static const struct conf_opening *
opening_find(
    const struct walk *w, enum conf_section section, struct slice title)
{
    for (size_t i = 0; i < w->out->openings_count; i++) {
        const struct conf_opening *o = &w->out->openings[i];

        if (o->section == section && slice_eq(o->title, title)) {
            return o;
        }
    }
    return NULL;
}

/* Takes over opening.options. */
static enum rc
opening_add(struct walk *w, struct conf_opening opening)
{
    struct conf_walk *out = w->out;
    size_t count = out->openings_count;
    struct conf_opening *openings = out->openings;

    if (count == CONF_SECTIONS_MAX) {
        TELL(w, opening.line, "more than %d sections", CONF_SECTIONS_MAX);
        free(opening.options);
        return RC_BAD;
    }
    /* Powers of two: grow whenever one is reached. */
    if ((count & (count - 1)) == 0) {
        openings = realloc(
            out->openings, (count == 0 ? 1 : count * 2) * sizeof(*openings));
        if (openings == NULL) {
            free(opening.options);
            return RC_NOMEM;
        }
        out->openings = openings;
    }
    openings[out->openings_count++] = opening;
    return RC_OK;
}

/* Title and '{' of a section. RC_BAD: one is missing. */
static enum rc
walk_head(struct walk *w, const struct token *name, struct slice *title)
{
    const struct conf_section_info *info =
        &conf_sections[conf_section_find(name->text)];

    *title = slice_of("", 0);
    if (info->has_title && !is_value(&w->token)) {
        TELL(w, name->line, "the title is missing: %s",
            info->options == CONF_ROUTE ? "route \"/products/:id\" { ... }"
                                        : "origin NAME { ... }");
        return RC_BAD;
    }
    if (info->has_title) {
        *title = unquoted(w->token.text);
        advance(w);
    }
    if (w->token.kind != TOKEN_OPEN) {
        TELL(w, name->line, "'%s' is a section; it is written %s%s { ... }",
            info->name, info->name, info->has_title ? " TITLE" : "");
        return RC_BAD;
    }
    advance(w);
    return RC_OK;
}

static enum rc walk_statements(struct walk *w);

/* What stands between '{' and '}'; *out_seen is the caller's, also when the
   grammar is broken. */
static enum rc
walk_body(struct walk *w, const struct token *name, unsigned **out_seen)
{
    unsigned *outer = w->seen;
    enum rc rc;

    *out_seen = calloc(conf_options_count, sizeof(**out_seen));
    if (*out_seen == NULL) {
        return RC_NOMEM;
    }
    w->seen = *out_seen;
    w->section = conf_section_find(name->text);
    w->opened = name->line;
    rc = walk_statements(w);
    w->section = CONF_TOP;
    w->seen = outer;
    return rc;
}

static void
tell_twice(
    struct walk *w, const struct token *name, const struct conf_opening *first)
{
    const struct conf_line *line = &w->text->lines[first->line - 1];
    struct slice title = first->title;

    TELL(w, name->line, "%s%s%.*s%s stands twice; first in %s:%u",
        conf_sections[first->section].name, title.len > 0 ? " \"" : "",
        SLICE_FMT(title), title.len > 0 ? "\"" : "",
        w->text->files[line->file].path, line->line);
}

/* The section's name was eaten, outside of any section. */
static enum rc
walk_section(struct walk *w, const struct token *name)
{
    struct conf_opening opening = {
        .section = conf_section_find(name->text), .line = name->line};
    const struct conf_opening *first;
    enum rc rc = walk_head(w, name, &opening.title);

    if (rc == RC_OK) {
        rc = walk_body(w, name, &opening.options);
    }
    if (rc != RC_OK) {
        free(opening.options);
        return rc;
    }
    first = opening_find(w, opening.section, opening.title);
    if (first == NULL) {
        return opening_add(w, opening);
    }
    tell_twice(w, name, first);
    conf_text_blank(w->text, name->from, w->token.from);
    free(opening.options);
    return RC_OK;
}

static enum rc
walk_statement(struct walk *w)
{
    struct token name = w->token;
    const struct conf_option *option;

    if (name.kind != TOKEN_WORD) {
        TELL(w, name.line,
            "unexpected '%.*s'; here the name of an option is "
            "wanted%s",
            SLICE_FMT(name.text),
            name.kind == TOKEN_STRING ? ", without quotes" : "");
        return RC_BAD;
    }
    advance(w);
    option = conf_option_find(w->section, name.text);
    /* A route's option `origin` has the name of a section: what follows
       tells them apart, inside a section only the option can be meant. */
    if (option == NULL && conf_section_find(name.text) != CONF_TOP) {
        if (w->section == CONF_TOP) {
            return walk_section(w, &name);
        }
        TELL(w, name.line,
            "section '%.*s' cannot stand inside of '%s'; is a '}' missing "
            "before it?",
            SLICE_FMT(name.text), conf_sections[w->section].name);
        return RC_BAD;
    }
    if (option == NULL) {
        return walk_unknown(w, &name);
    }
    return walk_option(w, &name, option);
}

/* Up to the end of the section, or of the text. */
static enum rc
walk_statements(struct walk *w)
{
    while (w->token.kind != TOKEN_END && w->token.kind != TOKEN_CLOSE) {
        enum rc rc = walk_statement(w);

        if (rc != RC_OK) {
            return rc;
        }
    }
    if (w->token.kind == TOKEN_CLOSE && w->section == CONF_TOP) {
        TELL(w, w->token.line, "a '}' too many");
        return RC_BAD;
    }
    if (w->token.kind == TOKEN_END && w->section != CONF_TOP) {
        TELL(w, w->opened, "section '%s' is not closed; a '}' is missing",
            conf_sections[w->section].name);
        return RC_BAD;
    }
    w->value_line = w->token.line;
    advance(w);
    return RC_OK;
}

enum rc
conf_walk(
    struct conf_text *t, struct conf_errors *errors, struct conf_walk *out)
{
    struct walk w = {.text = t, .errors = errors, .out = out, .line = 1};
    enum rc rc;

    *out = (struct conf_walk){.openings = NULL};
    w.seen = calloc(conf_options_count, sizeof(*w.seen));
    if (w.seen == NULL) {
        return RC_NOMEM;
    }
    rc = opening_add(&w, (struct conf_opening){.options = w.seen});
    if (rc == RC_OK) {
        advance(&w);
        rc = walk_statements(&w);
    }
    return rc;
}

void
conf_walk_fini(struct conf_walk *walk)
{
    for (size_t i = 0; i < walk->openings_count; i++) {
        free(walk->openings[i].options);
    }
    free(walk->openings);
    *walk = (struct conf_walk){.openings = NULL};
}
