/*
 * The list of a conf's mistakes. All are collected, told at once and in the
 * order of the file: whoever mends a conf should not learn of one mistake a
 * run. Also the distance by which a misspelt name finds the one that was
 * meant.
 */
#include "conf_inside.h"

#include "nearside/base/check.h"

#include <stdarg.h>
#include <stdlib.h>

enum {
    DISTANCE_MAX = 99,
    DISTANCE_LEN_MAX = 64, /* longer names resemble nothing */
};

void
conf_errors_init(struct conf_errors *errors)
{
    MUST(errors != NULL);
    *errors = (struct conf_errors){.count = 0};
}

void
conf_errors_fini(struct conf_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->items[i].text);
    }
    conf_errors_init(errors);
}

/* What a line of the list is about. */
struct place {
    const struct conf_text *text;
    unsigned line;
    bool is_warning;
};

/* "dir/file.conf:12: " */
static enum rc
place_write(struct buf *out, const struct place *place)
{
    const struct conf_text *text = place->text;

    if (text == NULL) {
        return buf_append(out, SLICE("command line: "));
    }
    if (place->line == 0 || place->line > text->lines_count) {
        return text->files_count == 0
                   ? RC_OK
                   : buf_printf(out, "%s: ", text->files[0].path);
    }
    return buf_printf(out, "%s:%u: ", conf_text_file(text, place->line)->path,
        text->lines[place->line - 1].line);
}

/* A string of a slice: one line, whatever it quotes of the file, and nothing
   that a terminal obeys. NULL: no memory. */
static char *
line_of(struct slice s)
{
    char *text = malloc(s.len + 1);

    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s.len; i++) {
        bool is_control = (unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f;

        text[i] = is_control ? '?' : s.ptr[i];
    }
    text[s.len] = '\0';
    return text;
}

__attribute__((format(printf, 3, 0))) static void
add(struct conf_errors *errors, struct place place, const char *fmt, va_list ap)
{
    struct buf out;
    char what[1024];
    struct conf_error *e;

    errors->mistakes += !place.is_warning;
    if (errors->count == CONF_ERRORS_MAX) {
        return;
    }
    vsnprintf(what, sizeof(what), fmt, ap);
    buf_init(&out, CONF_FILE_MAX);
    if (place_write(&out, &place) != RC_OK ||
        buf_printf(&out, "%s%s", place.is_warning ? "warning: " : "", what) !=
            RC_OK) {
        buf_fini(&out);
        return; /* counted; a line less is all that no memory costs */
    }
    e = &errors->items[errors->count];
    e->text = line_of(buf_slice(&out));
    e->line = place.line;
    e->is_warning = place.is_warning;
    errors->count += e->text != NULL;
    buf_fini(&out);
}

void
conf_errors_add(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(errors, (struct place){text, line, false}, fmt, ap);
    va_end(ap);
}

void
conf_errors_warn(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(errors, (struct place){text, line, true}, fmt, ap);
    va_end(ap);
}

bool
conf_errors_has(const struct conf_errors *errors, unsigned line)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (errors->items[i].line == line && !errors->items[i].is_warning) {
            return true;
        }
    }
    return false;
}

static bool
is_before(const struct conf_error *a, const struct conf_error *b)
{
    return a->line != 0 && (b->line == 0 || a->line < b->line);
}

void
conf_errors_sort(struct conf_errors *errors)
{
    /* By insertion: what stands on one line keeps its order. */
    for (size_t i = 1; i < errors->count; i++) {
        struct conf_error e = errors->items[i];
        size_t at = i;

        while (at > 0 && is_before(&e, &errors->items[at - 1])) {
            errors->items[at] = errors->items[at - 1];
            at--;
        }
        errors->items[at] = e;
    }
}

void
conf_errors_print(const struct conf_errors *errors, FILE *to)
{
    size_t told = 0;

    for (size_t i = 0; i < errors->count; i++) {
        fprintf(to, "%s\n", errors->items[i].text);
        told += !errors->items[i].is_warning;
    }
    if (told < errors->mistakes) {
        fprintf(to, "and %zu more\n", errors->mistakes - told);
    }
}

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

unsigned
conf_distance(struct slice a, struct slice b)
{
    unsigned rows[3][DISTANCE_LEN_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (a.len > DISTANCE_LEN_MAX || b.len > DISTANCE_LEN_MAX) {
        return DISTANCE_MAX;
    }
    for (unsigned j = 0; j <= b.len; j++) {
        last[j] = j;
        before[j] = 0;
    }
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *free_row = before;

        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned cost = a.ptr[i - 1] != b.ptr[j - 1];

            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
                a.ptr[i - 2] == b.ptr[j - 1] && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.len];
}

bool
conf_is_nearer(struct slice name, struct slice candidate, unsigned *best)
{
    unsigned distance = conf_distance(name, candidate);
    /* A third of the letters may be wrong: beyond, a guess misleads. */
    unsigned enough = name.len < 3 ? 1 : (unsigned)(name.len + 2) / 3;

    if (distance > enough || distance >= *best) {
        return false;
    }
    *best = distance;
    return true;
}
