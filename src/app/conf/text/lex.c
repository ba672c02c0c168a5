/*
 * The lexer. A mistake does not end the reading: the lexer tells of it, leaves
 * out what is wrong and goes on. A word that is no good becomes an empty
 * string.
 *
 * It lets nothing pass in silence: a variable that is not set, a byte that
 * ought to be quoted, a string that is not closed on its line and an unknown
 * escape are all mistakes.
 */
#include "nearside/app/conf/text/lex.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/log.h"

enum {
    VARIABLE_MAX = 128, /* bytes of a variable's name, with its NUL */
};

#define INCLUDE SLICE("include")

/* Tells of a mistake in this line, and marks the token under way. */
#define TELL(l, ...)                                                           \
    (conf_errors_add((l)->errors, (l)->text, (l)->line, __VA_ARGS__),          \
        (l)->ahead.is_told = true)

static struct slice
rest_of(const struct conf_lexer *l)
{
    return l->sources[l->depth].rest;
}

static char
peek(const struct conf_lexer *l, size_t at)
{
    return at < rest_of(l).len ? rest_of(l).ptr[at] : '\0';
}

static bool
is_end(const struct conf_lexer *l)
{
    return rest_of(l).len == 0;
}

static void
eat(struct conf_lexer *l, size_t n)
{
    struct conf_source *s = &l->sources[l->depth];

    MUST(n <= s->rest.len);
    for (size_t i = 0; i < n; i++) {
        s->line += s->rest.ptr[i] == '\n';
        l->line += s->rest.ptr[i] == '\n';
    }
    s->rest = slice_skip(s->rest, n);
}

/* Eats up to the byte, or to the end. */
static void
eat_to(struct conf_lexer *l, char c)
{
    ptrdiff_t n = slice_find(rest_of(l), c);

    eat(l, n < 0 ? rest_of(l).len : (size_t)n);
}

static void
eat_comment(struct conf_lexer *l)
{
    struct slice rest = slice_skip(rest_of(l), 2);
    const char *end = memmem(rest.ptr, rest.len, "*/", 2);

    if (end == NULL) {
        TELL(l, "the comment that begins here has no end; '*/' is missing");
    }
    eat(l, end == NULL ? rest.len + 2 : (size_t)(end - rest.ptr) + 4);
}

static void
append(struct conf_lexer *l, struct slice bytes)
{
    if (l->rc == RC_OK) {
        l->rc = buf_append(&l->value, bytes);
        if (l->rc == RC_LIMIT) {
            TELL(l, "a string of more than %d MB", CONF_TEXT_MAX >> 20);
        }
    }
}

/* --- Variables: ${NAME} or ${NAME:-text} -------------------------------- */

/* in begins with "${". The length up to its '}'; 0: none on this line. */
static size_t
variable_len(struct slice in)
{
    for (size_t i = 2; i < in.len; i++) {
        if (in.ptr[i] == '}') {
            return i + 1;
        }
        if (in.ptr[i] == '\n' || in.ptr[i] == '"') {
            break;
        }
    }
    return 0;
}

/* whole is "${...}"; appends what stands for it. */
static void
put_variable(struct conf_lexer *l, struct slice whole)
{
    struct slice name = slice_of(whole.ptr + 2, whole.len - 3);
    const char *preset = memmem(name.ptr, name.len, ":-", 2);
    char own_name[VARIABLE_MAX];
    const char *value;

    name.len = preset == NULL ? name.len : (size_t)(preset - name.ptr);
    if (!conf_text_is_name(name) || name.len >= VARIABLE_MAX) {
        TELL(l, "'%.*s' names no variable; write ${NAME} or ${NAME:-default}",
            SLICE_FMT(whole));
        return;
    }
    snprintf(own_name, sizeof(own_name), "%.*s", SLICE_FMT(name));
    value = getenv(own_name);
    if (value != NULL) {
        append(l, slice_of_str(value));
        l->ahead.has_variable = true;
    } else if (preset != NULL) {
        append(l, slice_of(preset + 2, whole.len - 5 - name.len));
    } else {
        TELL(l,
            "the variable '%s' is not set in the environment; set it, or "
            "write ${%s:-default}",
            own_name, own_name);
    }
}

/* "${" is what comes next. */
static void
eat_variable(struct conf_lexer *l)
{
    size_t len = variable_len(rest_of(l));

    if (len == 0) {
        TELL(l, "'${' without '}'; a variable is written ${NAME}");
        append(l, SLICE("${"));
    } else {
        put_variable(l, slice_of(rest_of(l).ptr, len));
    }
    eat(l, len == 0 ? 2 : len);
}

/* --- Strings ------------------------------------------------------------- */

static unsigned
hex_of(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(ascii_lower(c) - 'a') + 10;
}

/* "\x" is what comes next. */
static void
eat_hex(struct conf_lexer *l)
{
    char byte;

    if (!isxdigit((unsigned char)peek(l, 2)) ||
        !isxdigit((unsigned char)peek(l, 3))) {
        TELL(l, "'\\x' is written with two hex digits, as '\\x41'");
        eat(l, 2);
        return;
    }
    byte = (char)(hex_of(peek(l, 2)) << 4 | hex_of(peek(l, 3)));
    if (byte == '\0') {
        TELL(l, "'\\x00' is a NUL byte, which no text may hold");
    } else {
        append(l, slice_of(&byte, 1));
    }
    eat(l, 4);
}

/* A backslash is what comes next, in double quotes. */
static void
eat_escape(struct conf_lexer *l)
{
    static const char written[] = "\\\"$ntr", meant[] = "\\\"$\n\t\r";
    char c = peek(l, 1);
    const char *found = c == '\0' ? NULL : strchr(written, c);

    if (c == 'x') {
        eat_hex(l);
        return;
    }
    if (found == NULL) {
        TELL(l, "'\\%c' is no escape; a backslash itself is written '\\\\'",
            isprint((unsigned char)c) ? c : '?');
        eat(l, 1);
        return;
    }
    append(l, slice_of(meant + (found - written), 1));
    eat(l, 2);
}

/* One step inside of a string. */
static void
eat_string_part(struct conf_lexer *l, char quote)
{
    char c = peek(l, 0);

    if (c == '\\' && quote == '"') {
        eat_escape(l);
        return;
    }
    if (c == '$' && peek(l, 1) == '{' && quote == '"') {
        eat_variable(l);
        return;
    }
    if (c == '\\') {
        TELL(l, "a backslash has no meaning in single quotes; use double "
                "quotes");
    } else if (iscntrl((unsigned char)c)) {
        TELL(l, "a control byte in a string; write \\xHH instead");
    } else {
        append(l, slice_of(&c, 1));
    }
    eat(l, 1);
}

/* Moves what was appended to the arena, as the token's value. */
static void
value_take(struct conf_lexer *l)
{
    if (l->rc == RC_OK) {
        l->rc = arena_copy(l->arena, buf_slice(&l->value), &l->ahead.value);
    }
    buf_clear(&l->value);
}

static void
lex_string(struct conf_lexer *l)
{
    char quote = peek(l, 0);

    l->ahead.kind = CONF_TOKEN_STRING;
    eat(l, 1);
    while (!is_end(l) && peek(l, 0) != '\n' && peek(l, 0) != quote) {
        eat_string_part(l, quote);
    }
    if (peek(l, 0) == quote) {
        eat(l, 1);
    } else {
        TELL(l, "the string is not closed on its line; a %c is missing", quote);
    }
    value_take(l);
}

/* --- Words --------------------------------------------------------------- */

/* Of a word that is no good an empty string is left. */
static void
refuse_word(struct conf_lexer *l)
{
    l->ahead.kind = CONF_TOKEN_STRING;
    l->ahead.text = SLICE("\"\"");
    l->ahead.value = SLICE("");
}

/* "+=" is known from other languages; who knows the option tells of it. */
static bool
is_plus_equals(const struct conf_lexer *l, size_t at)
{
    return peek(l, at) == '+' && peek(l, at + 1) == '=';
}

/* A word ends where the grammar or the line goes on. */
static bool
is_in_word(const struct conf_lexer *l, size_t at)
{
    char c = peek(l, at);

    return at < rest_of(l).len &&
           (c == '\0' || strchr(" \t\n{}=,\"'#", c) == NULL) &&
           !(c == '\r' && peek(l, at + 1) == '\n') &&
           !(is_plus_equals(l, at) && l->token.kind != CONF_TOKEN_EQUALS);
}

/* Does a variable come next that is a whole value? With something glued to it
   it is a word that ought to be quoted. */
static bool
is_variable(const struct conf_lexer *l)
{
    size_t len;

    if (!slice_starts(rest_of(l), SLICE("${"))) {
        return false;
    }
    len = variable_len(rest_of(l));
    return len == 0 || !is_in_word(l, len);
}

static void
lex_variable(struct conf_lexer *l)
{
    bool has_end = variable_len(rest_of(l)) > 0;

    l->ahead.kind = CONF_TOKEN_WORD;
    eat_variable(l);
    value_take(l);
    if (!has_end) {
        while (!is_end(l) && !isspace((unsigned char)peek(l, 0))) {
            eat(l, 1); /* its name, most likely */
        }
        refuse_word(l);
    }
}

static bool
is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_.:%/@~-", c));
}

/* A word with what is glued to it; told when it ought to be quoted. */
static void
lex_word(struct conf_lexer *l)
{
    struct slice word = rest_of(l);
    bool is_wrong = false;
    char shown[64];

    l->ahead.kind = CONF_TOKEN_WORD;
    while (is_in_word(l, 0)) {
        size_t n = slice_starts(rest_of(l), SLICE("${"))
                       ? variable_len(rest_of(l))
                       : 1;

        is_wrong |= !is_word_byte(peek(l, 0));
        eat(l, n == 0 ? 1 : n);
    }
    word.len -= rest_of(l).len;
    if (word.ptr[word.len - 1] == ';') {
        TELL(l, "a ';' behind a value or a name is not wanted");
        word.len--;
    } else if (is_wrong || memmem(word.ptr, word.len, "//", 2) != NULL) {
        if (l->is_secret || l->line == l->secret_line) {
            TELL(l, "the value of '" CONF_SECRET "' must stand in quotes");
        } else {
            TELL(l, "'%s' must stand in quotes",
                log_escape(word, shown, sizeof(shown)));
        }
        refuse_word(l);
        return;
    }
    l->ahead.text = l->ahead.value = word;
}

/* --- Includes ------------------------------------------------------------ */

static size_t
blanks_end(const struct conf_lexer *l, size_t from)
{
    while (peek(l, from) == ' ' || peek(l, from) == '\t') {
        from++;
    }
    return from;
}

static bool
is_include(const struct conf_lexer *l)
{
    char next = peek(l, blanks_end(l, INCLUDE.len));

    return slice_starts(rest_of(l), INCLUDE) &&
           (next == '(' || next == '"' || next == '\'');
}

/* The name in `include("name")`, and the length of all of it; 0: broken. */
static size_t
include_name(const struct conf_lexer *l, struct slice *out)
{
    size_t open = blanks_end(l, INCLUDE.len);
    size_t from = blanks_end(l, open + 1) + 1;
    size_t n = from;
    char quote = peek(l, from - 1);

    if (peek(l, open) != '(' || (quote != '"' && quote != '\'')) {
        return 0;
    }
    while (peek(l, n) != quote) {
        if (peek(l, n) == '\0' || strchr("\n\\$", peek(l, n)) != NULL) {
            return 0;
        }
        n++;
    }
    *out = slice_of(rest_of(l).ptr + from, n - from);
    n = blanks_end(l, n + 1);
    return peek(l, n) == ')' && out->len > 0 ? n + 1 : 0;
}

/* Goes on in the text's last file, in a new line of the text. */
static void
source_push(struct conf_lexer *l, unsigned depth)
{
    unsigned file = l->text->files_len - 1;
    struct slice rest = buf_slice(&l->text->files[file].bytes);

    MUST(depth <= CONF_DEPTH_MAX);
    if (slice_starts(rest, SLICE("\xef\xbb\xbf"))) {
        rest = slice_skip(rest, 3); /* some editors begin a file with a BOM */
    }
    l->depth = depth;
    l->sources[depth].rest = rest;
    l->sources[depth].file = file;
    l->sources[depth].line = 1;
    conf_text_run(l->text, ++l->line, file, 1);
}

/* Goes on behind the include, in a new line of the text. */
static void
source_pop(struct conf_lexer *l)
{
    const struct conf_source *s = &l->sources[--l->depth];

    conf_text_run(l->text, ++l->line, s->file, s->line);
}

/* Goes on in the next file of the include that was met last at this depth.
   False: there is none left. What cannot be read is told in the line of the
   include. */
static bool
include_next(struct conf_lexer *l)
{
    struct conf_included *included = &l->sources[l->depth].included;
    char *own_path;

    while ((own_path = conf_include_take(included)) != NULL) {
        if (l->text->files_len == CONF_FILES_MAX) {
            TELL(l, "more than %d files are included", CONF_FILES_MAX);
            free(own_path);
            break;
        }
        if (conf_text_add_file(l->text, own_path) == RC_OK) {
            source_push(l, l->depth + 1);
            return true;
        }
        TELL(l, "include of '%s': %s", own_path, strerror(errno));
    }
    conf_include_fini(included);
    return false;
}

/* The file has ended; so the include, if it named more files, goes on. */
static void
source_end(struct conf_lexer *l)
{
    source_pop(l);
    (void)include_next(l);
}

static void
include(struct conf_lexer *l)
{
    struct conf_source *s = &l->sources[l->depth];
    struct slice name;
    size_t len = include_name(l, &name);
    enum rc rc;

    if (len == 0) {
        TELL(l, "an include is written include(\"file\")");
        eat_to(l, '\n');
        return;
    }
    eat(l, len);
    if (l->depth == CONF_DEPTH_MAX) {
        TELL(l,
            "includes are nested more than %d deep; does a file include "
            "itself?",
            CONF_DEPTH_MAX);
        return;
    }
    rc = conf_include_find(&s->included, l->text->files[s->file].path, name);
    if (rc == RC_IO) {
        TELL(l, "include of '%.*s': %s", SLICE_FMT(name), strerror(errno));
    } else if (rc != RC_OK) {
        l->rc = rc;
    } else if (s->included.own_other != NULL) {
        conf_errors_warn(l->errors, l->text, l->line,
            "include of '%.*s': no file matches, though there is '%s'",
            SLICE_FMT(name), s->included.own_other);
    }
    (void)include_next(l);
}

/* --- The tokens ---------------------------------------------------------- */

/* Eats what stands between two tokens. False: the text ends here. */
static bool
eat_between(struct conf_lexer *l)
{
    while (l->rc == RC_OK && !(is_end(l) && l->depth == 0)) {
        char c = peek(l, 0);

        if (is_end(l)) {
            source_end(l);
        } else if (c == ' ' || c == '\t' || c == '\n' ||
                   (c == '\r' && peek(l, 1) == '\n')) {
            eat(l, 1);
        } else if (c == '#' || (c == '/' && peek(l, 1) == '/')) {
            eat_to(l, '\n');
        } else if (c == '/' && peek(l, 1) == '*') {
            eat_comment(l);
        } else if (is_include(l)) {
            include(l);
        } else {
            return true;
        }
    }
    return false;
}

/* Makes the next token `ahead`; its text is empty when nothing is left of a
   word. */
static void
lex(struct conf_lexer *l)
{
    static const char signs[] = "{}=,";
    bool is_more = eat_between(l);
    struct slice rest = rest_of(l);
    char c = peek(l, 0);
    const char *sign = c == '\0' ? NULL : strchr(signs, c);

    l->ahead = (struct conf_token){.line = l->line};
    if (!is_more) {
        return;
    }
    if (is_plus_equals(l, 0)) {
        l->ahead.kind = CONF_TOKEN_PLUS_EQUALS;
        eat(l, 2);
    } else if (sign != NULL) {
        l->ahead.kind =
            (enum conf_token_kind)(CONF_TOKEN_OPEN + (sign - signs));
        eat(l, 1);
    } else if (c == '"' || c == '\'') {
        lex_string(l);
    } else if (is_variable(l)) {
        lex_variable(l);
    } else {
        lex_word(l);
        return;
    }
    if (l->ahead.text.ptr == NULL) {
        l->ahead.text = slice_of(rest.ptr, rest.len - rest_of(l).len);
    }
}

void
conf_lexer_next(struct conf_lexer *l)
{
    l->is_secret = l->ahead.kind == CONF_TOKEN_EQUALS &&
                   slice_eq(l->token.text, SLICE(CONF_SECRET));
    l->token = l->ahead;
    do {
        lex(l);
    } while (l->ahead.kind != CONF_TOKEN_END && l->ahead.text.len == 0);
    if (l->is_secret) {
        l->secret_line = l->ahead.line;
    }
}

void
conf_lexer_init(struct conf_lexer *l, struct conf_text *text,
    struct conf_errors *errors, struct arena *arena)
{
    MUST(text->files_len == 1);
    *l = (struct conf_lexer){.text = text, .errors = errors, .arena = arena};
    buf_init(&l->value, CONF_TEXT_MAX);
    source_push(l, 0);
    conf_lexer_next(l);
    conf_lexer_next(l);
}

void
conf_lexer_fini(struct conf_lexer *l)
{
    while (l->ahead.kind != CONF_TOKEN_END) {
        conf_lexer_next(l);
    }
    for (unsigned i = 0; i < ARRAY_LEN(l->sources); i++) {
        conf_include_fini(&l->sources[i].included); /* without memory */
    }
    if (l->value.data != NULL) {
        explicit_bzero(l->value.data, l->value.cap);
    }
    buf_fini(&l->value);
}
