/* The list of mistakes: where each is, and in which order they are told. */
#include "nearside/app/conf/text/errors.h"

#include <stdarg.h>
#include <stdlib.h>

#include "nearside/app/conf/text/text.h"
#include "nearside/base/check.h"

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

/* One line, whatever it quotes of the file, and nothing that a terminal
   obeys. */
static void
defuse(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

/* e has its line. No memory costs no more than this line of the list. */
__attribute__((format(printf, 4, 0))) static void
add(struct conf_errors *errors, const struct conf_text *text,
    struct conf_error e, const char *fmt, va_list ap)
{
    const char *path = "command line";
    char line[16] = "";
    char what[1024];

    errors->mistakes += !e.is_warning;
    if (errors->count == CONF_ERRORS_MAX) {
        return;
    }
    if (text != NULL && e.line == 0) {
        path = text->files[0].path;
    } else if (text != NULL) {
        struct conf_place place = conf_text_place(text, e.line);
        path = place.file->path;
        snprintf(line, sizeof(line), ":%u", place.line);
    }
    vsnprintf(what, sizeof(what), fmt, ap);
    if (asprintf(&e.text, "%s%s: %s%s", path, line,
            e.is_warning ? "warning: " : "", what) >= 0) {
        defuse(e.text);
        errors->items[errors->count++] = e;
    }
}

void
conf_errors_add(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(errors, text, (struct conf_error){.line = line}, fmt, ap);
    va_end(ap);
}

void
conf_errors_warn(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(errors, text, (struct conf_error){.line = line, .is_warning = true},
        fmt, ap);
    va_end(ap);
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
