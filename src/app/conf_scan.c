/*
 * From files to one text that libconfuse reads without surprises: comments
 * are left out, includes are put in, and each line of the result remembers
 * the file and line it came from (libconfuse loses count over comments and
 * the file's name inside sections).
 *
 * What the lexer of libconfuse would swallow in silence is refused here: a
 * variable that is not set, a character it skips ('*', '+'), a string that
 * runs on over its line, a NUL or an unknown escape in a string.
 *
 * Mistakes do not end the reading; the text stays such that the rest can be
 * looked at too.
 */
#include "conf_inside.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nearside/base/check.h"

enum {
    VARIABLE_MAX = 128, /* bytes of a variable's name */
};

/* One file under way. */
struct scan {
    struct conf_text *text;
    struct conf_errors *errors;
    struct slice in;
    size_t at;
    unsigned file;
    unsigned line;
    unsigned depth;
    enum rc rc; /* RC_NOMEM or RC_LIMIT ends it */
};

static void
emit(struct scan *s, struct slice bytes)
{
    if (s->rc == RC_OK) {
        s->rc = buf_append(&s->text->bytes, bytes);
    }
}

/* Says where the line that begins now comes from. */
static void
line_begin(struct scan *s)
{
    struct conf_text *t = s->text;

    if (s->rc != RC_OK) {
        return;
    }
    if (t->lines_count == CONF_LINES_MAX) {
        s->rc = RC_LIMIT;
        return;
    }
    if (t->lines_count == t->lines_cap) {
        size_t cap = t->lines_cap == 0 ? 256 : t->lines_cap * 2;
        struct conf_line *lines = realloc(t->lines, cap * sizeof(*lines));

        if (lines == NULL) {
            s->rc = RC_NOMEM;
            return;
        }
        t->lines = lines;
        t->lines_cap = cap;
    }
    t->lines[t->lines_count++] = (struct conf_line){s->file, s->line};
}

static void
line_end(struct scan *s)
{
    emit(s, SLICE("\n"));
    line_begin(s);
}

#define TELL(s, ...)                                                           \
    conf_errors_add(                                                           \
        (s)->errors, (s)->text, (unsigned)(s)->text->lines_count, __VA_ARGS__)

static char
peek(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->in.len ? s->in.ptr[s->at + ahead] : '\0';
}

/* The '\r' of a line that ends in "\r\n"? */
static bool
is_line_end(const struct scan *s)
{
    return peek(s, 0) == '\r' && peek(s, 1) == '\n';
}

static void
eat_newline(struct scan *s)
{
    s->at++;
    s->line++;
    line_end(s);
}

static void
eat_line_comment(struct scan *s)
{
    while (s->at < s->in.len && s->in.ptr[s->at] != '\n') {
        s->at++;
    }
}

static void
eat_block_comment(struct scan *s)
{
    unsigned begin = (unsigned)s->text->lines_count;

    s->at += 2;
    while (s->at < s->in.len) {
        if (peek(s, 0) == '*' && peek(s, 1) == '/') {
            s->at += 2;
            emit(s, SLICE(" "));
            return;
        }
        if (peek(s, 0) == '\n') {
            eat_newline(s);
        } else {
            s->at++;
        }
    }
    conf_errors_add(s->errors, s->text, begin,
        "the comment that begins here has no end; '*/' is missing");
}

/* in: from "${" on. The whole of it, or 0: no '}' on this line. */
static size_t
variable_len(struct slice in)
{
    for (size_t i = 2; i < in.len && in.ptr[i] != '\n' && in.ptr[i] != '"';
         i++) {
        if (in.ptr[i] == '}') {
            return i + 1;
        }
    }
    return 0;
}

static bool
is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_') {
        return false;
    }
    while (isalnum((unsigned char)*name) || *name == '_') {
        name++;
    }
    return *name == '\0';
}

/* Looks at the ${VAR} or ${VAR:-text} that begins here; its length, at
   least 2. libconfuse puts the value in. */
static size_t
check_variable(struct scan *s)
{
    struct slice rest = slice_skip(s->in, s->at);
    size_t len = variable_len(rest);
    char name[VARIABLE_MAX];
    char *colon;

    if (len == 0) {
        TELL(s, "'${' without '}'; a variable is written ${NAME}");
        return 2;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(len - 3), rest.ptr + 2);
    colon = strchr(name, ':');
    if (colon != NULL && colon[1] == '-') {
        *colon = '\0';
    }
    if (!is_variable_name(name)) {
        TELL(s, "'%.*s' names no variable; write ${NAME} or ${NAME:-default}",
            (int)len, rest.ptr);
    } else if (getenv(name) == NULL && colon == NULL) {
        TELL(s,
            "the variable '%s' is not set in the environment; set it, or "
            "write ${%s:-default}",
            name, name);
    }
    return len;
}

static bool
is_hex(char c)
{
    return isxdigit((unsigned char)c) != 0;
}

/* The length of the escape that begins here; 0: not one. */
static size_t
escape_len(const struct scan *s)
{
    char c = peek(s, 1);

    if (c != '\0' && strchr("\\\"$ntr", c) != NULL) {
        return 2;
    }
    if (c == 'x' && is_hex(peek(s, 2)) && is_hex(peek(s, 3)) &&
        !(peek(s, 2) == '0' && peek(s, 3) == '0')) {
        return 4;
    }
    return 0;
}

/* One step inside a string in double quotes: how many bytes belong
   together. */
static size_t
string_step(struct scan *s)
{
    size_t n;

    if (peek(s, 0) == '$' && peek(s, 1) == '{') {
        return check_variable(s);
    }
    if (peek(s, 0) != '\\') {
        return 1;
    }
    n = escape_len(s);
    if (n == 0) {
        TELL(s, "'\\%c' is no escape; a backslash itself is written '\\\\'",
            isprint((unsigned char)peek(s, 1)) ? peek(s, 1) : '?');
        /* Left out, so that it cannot hide the closing quote. */
        s->at++;
    }
    return n;
}

static void
eat_string(struct scan *s)
{
    char quote = peek(s, 0);

    emit(s, slice_of(&quote, 1));
    s->at++;
    while (s->at < s->in.len && peek(s, 0) != '\n' && peek(s, 0) != quote) {
        size_t n = 1;

        if (iscntrl((unsigned char)peek(s, 0))) {
            TELL(s, "a control byte in a string; write \\xHH instead");
            n = 0;
            s->at++;
        } else if (quote == '"') {
            n = string_step(s);
        } else if (peek(s, 0) == '\\') {
            TELL(s, "a backslash has no meaning in single quotes; use double "
                    "quotes");
            n = 0;
            s->at++;
        }
        emit(s, slice_of(s->in.ptr + s->at, n));
        s->at += n;
    }
    emit(s, slice_of(&quote, 1));
    if (peek(s, 0) == quote) {
        s->at++;
        return;
    }
    TELL(s, "the string is not closed on its line; a %c is missing", quote);
}

static bool
is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_.:%/@~-", c));
}

/* Bytes that are neither a word's nor of the grammar. */
static bool
is_stray(char c)
{
    return !is_word_byte(c) &&
           (c == '\0' || strchr(" \t\n{}=,\"'#", c) == NULL);
}

static void include(struct scan *s);

/* A word with what is glued to it; told when it ought to be quoted. */
static void
eat_word(struct scan *s)
{
    size_t from = s->at;
    struct slice word;
    bool is_wrong = false;

    while (s->at < s->in.len && !is_line_end(s) &&
           (is_word_byte(peek(s, 0)) || is_stray(peek(s, 0)))) {
        struct slice rest = slice_skip(s->in, s->at);
        size_t n = slice_starts(rest, SLICE("${")) ? variable_len(rest) : 1;

        is_wrong |= is_stray(peek(s, 0));
        s->at += n == 0 ? 1 : n;
    }
    word = slice_of(s->in.ptr + from, s->at - from);
    if (word.ptr[word.len - 1] == ';') {
        TELL(s, "a ';' behind a value or a name is not wanted");
        word.len--;
    } else if (is_wrong || memmem(word.ptr, word.len, "//", 2) != NULL) {
        char shown[64];

        log_escape(word, shown, sizeof(shown));
        TELL(s, "'%s' must stand in quotes", shown);
        word = SLICE("\"\"");
    }
    emit(s, word);
}

static size_t
blanks_len(const struct scan *s, size_t ahead)
{
    size_t n = ahead;

    while (peek(s, n) == ' ' || peek(s, n) == '\t') {
        n++;
    }
    return n;
}

static bool
is_include(const struct scan *s)
{
    const size_t len = sizeof("include") - 1;
    char next = peek(s, blanks_len(s, len));

    return slice_starts(slice_skip(s->in, s->at), SLICE("include")) &&
           (next == '(' || next == '"' || next == '\'');
}

/* A variable that is a whole value. */
static void
eat_variable(struct scan *s)
{
    size_t n = check_variable(s);

    emit(s, n > 2 ? slice_of(s->in.ptr + s->at, n) : SLICE("\"\""));
    s->at += n;
    while (n == 2 && s->at < s->in.len && !isspace((unsigned char)peek(s, 0))) {
        s->at++; /* its name, most likely */
    }
}

static void
scan_step(struct scan *s)
{
    char c = peek(s, 0);

    if (c == '\n') {
        eat_newline(s);
    } else if (is_line_end(s)) {
        s->at++;
    } else if (c == '#' || (c == '/' && peek(s, 1) == '/')) {
        eat_line_comment(s);
    } else if (c == '/' && peek(s, 1) == '*') {
        eat_block_comment(s);
    } else if (c == '"' || c == '\'') {
        eat_string(s);
    } else if (c == '$' && peek(s, 1) == '{') {
        eat_variable(s);
    } else if (c == '+' && peek(s, 1) == '=') {
        TELL(s, "'+=' is not known here; write '=' and the whole list");
        s->at++;
    } else if (is_include(s)) {
        include(s);
    } else if (c != '\0' && strchr(" \t{}=,", c) != NULL) {
        emit(s, slice_of(&c, 1));
        s->at++;
    } else {
        eat_word(s);
    }
}

static void
scan(struct scan *s)
{
    while (s->at < s->in.len && s->rc == RC_OK) {
        scan_step(s);
    }
}

/* Reads all of a file. errno says what was wrong. */
static enum rc
file_read(const char *path, struct buf *out, bool *out_private)
{
    struct stat st;
    ssize_t n = -1;
    char *room;
    int error;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        return RC_IO;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
    } else {
        *out_private = (st.st_mode & (S_IRGRP | S_IROTH)) == 0;
        do {
            room = buf_reserve(out, 4096);
            errno = room == NULL ? EFBIG : 0;
            n = room == NULL ? -1 : read(fd, room, 4096);
            buf_commit(out, n > 0 ? (size_t)n : 0);
        } while (n > 0);
    }
    error = errno;
    close(fd);
    errno = error;
    return n == 0 ? RC_OK : RC_IO;
}

/* Scans one file's bytes into the text. own_path is the text's from here. */
static enum rc
scan_bytes(struct scan *s, struct slice in, char *own_path, bool is_private)
{
    struct conf_text *t = s->text;

    s->file = t->files_count;
    t->files[t->files_count++] = (struct conf_file){own_path, is_private};
    s->in = in;
    s->at = 0;
    s->line = 1;
    line_begin(s);
    scan(s);
    return s->rc;
}

/* Relative to the folder of the file that includes; owned by the caller. */
static char *
include_path(const struct scan *s, struct slice name)
{
    const char *from = s->text->files[s->file].path;
    const char *slash = strrchr(from, '/');
    char *path = NULL;

    if (name.ptr[0] == '/' || slash == NULL) {
        return strndup(name.ptr, name.len);
    }
    if (asprintf(&path, "%.*s/%.*s", (int)(slash - from), from,
            SLICE_FMT(name)) < 0) {
        return NULL;
    }
    return path;
}

/* The included file's lines, between two lines of ours. */
static void
include_file(struct scan *s, char *own_path)
{
    struct scan inner = {.text = s->text,
        .errors = s->errors,
        .depth = s->depth + 1,
        .rc = s->rc};
    struct buf bytes;
    bool is_private = false;

    buf_init(&bytes, CONF_FILE_MAX);
    if (file_read(own_path, &bytes, &is_private) != RC_OK) {
        TELL(s, "include of '%s': %s", own_path, strerror(errno));
        free(own_path);
    } else {
        /* Not line_end: the line that begins here is the file's first. */
        emit(s, SLICE("\n"));
        inner.rc = s->rc;
        s->rc = scan_bytes(&inner, buf_slice(&bytes), own_path, is_private);
        line_end(s);
    }
    if (bytes.data != NULL) {
        explicit_bzero(bytes.data, bytes.cap);
    }
    buf_fini(&bytes);
}

/* The name in `include("name")`, and the length of all of it; 0: broken. */
static size_t
include_name(const struct scan *s, struct slice *out)
{
    size_t n = blanks_len(s, sizeof("include") - 1);
    char quote;
    size_t from;

    if (peek(s, n) != '(') {
        return 0;
    }
    n = blanks_len(s, n + 1);
    quote = peek(s, n);
    if (quote != '"' && quote != '\'') {
        return 0;
    }
    from = ++n;
    while (peek(s, n) != quote) {
        if (peek(s, n) == '\0' || peek(s, n) == '\n' || peek(s, n) == '\\' ||
            peek(s, n) == '$') {
            return 0;
        }
        n++;
    }
    *out = slice_of(s->in.ptr + s->at + from, n - from);
    n = blanks_len(s, n + 1);
    return peek(s, n) == ')' && out->len > 0 ? n + 1 : 0;
}

static void
include(struct scan *s)
{
    struct slice name;
    size_t len = include_name(s, &name);
    char *path;

    if (len == 0) {
        TELL(s, "an include is written include(\"file\")");
        eat_line_comment(s);
        return;
    }
    if (s->depth == CONF_DEPTH_MAX) {
        TELL(s,
            "includes are nested more than %d deep; does a file include "
            "itself?",
            CONF_DEPTH_MAX);
    } else if (s->text->files_count == CONF_FILES_MAX) {
        TELL(s, "more than %d files are included", CONF_FILES_MAX);
    } else {
        path = include_path(s, name);
        if (path == NULL) {
            s->rc = RC_NOMEM;
            return;
        }
        include_file(s, path);
    }
    s->at += len;
}

static enum rc
text_end(struct conf_text *t, enum rc rc, struct conf_errors *errors)
{
    if (rc == RC_OK) {
        rc = buf_append(&t->bytes, slice_of("", 1));
    }
    if (rc == RC_LIMIT) {
        conf_errors_add(errors, t, 0, "more than %d MB or %d lines of text",
            CONF_FILE_MAX / 1024 / 1024, CONF_LINES_MAX);
        return RC_BAD;
    }
    if (rc == RC_OK) {
        t->bytes.end--; /* the NUL stays behind the text */
    }
    return rc;
}

enum rc
conf_scan_text(struct conf_text *t, struct slice bytes, const char *name,
    struct conf_errors *errors)
{
    struct scan s = {.text = t, .errors = errors};
    char *path = strdup(name);

    MUST(t->files_count == 0);
    if (path == NULL) {
        return RC_NOMEM;
    }
    return text_end(t, scan_bytes(&s, bytes, path, true), errors);
}

enum rc
conf_scan_file(
    struct conf_text *t, const char *path, struct conf_errors *errors)
{
    struct scan s = {.text = t, .errors = errors};
    struct buf bytes;
    bool is_private = false;
    char *own_path = strdup(path);
    enum rc rc;

    MUST(t->files_count == 0);
    if (own_path == NULL) {
        return RC_NOMEM;
    }
    buf_init(&bytes, CONF_FILE_MAX);
    rc = file_read(path, &bytes, &is_private);
    if (rc == RC_OK) {
        rc = text_end(
            t, scan_bytes(&s, buf_slice(&bytes), own_path, is_private), errors);
    } else {
        t->files[t->files_count++] = (struct conf_file){own_path, false};
        conf_errors_add(errors, t, 0, "cannot be read: %s", strerror(errno));
    }
    if (bytes.data != NULL) {
        explicit_bzero(bytes.data, bytes.cap);
    }
    buf_fini(&bytes);
    return rc;
}
