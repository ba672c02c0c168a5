/*
 * The text of the conf: all files in one, and where each line of it came
 * from.
 */
#include "conf_inside.h"

#include <stdlib.h>

#include "nearside/base/check.h"

void
conf_text_init(struct conf_text *t)
{
    *t = (struct conf_text){.lines = NULL};
    buf_init(&t->bytes, CONF_FILE_MAX);
}

void
conf_text_fini(struct conf_text *t)
{
    if (t->bytes.data != NULL) {
        explicit_bzero(t->bytes.data, t->bytes.cap);
    }
    buf_fini(&t->bytes);
    free(t->lines);
    for (unsigned i = 0; i < t->files_count; i++) {
        free(t->files[i].path);
    }
    conf_text_init(t);
}

const struct conf_file *
conf_text_file(const struct conf_text *t, unsigned line)
{
    MUST(line > 0);
    MUST(line <= t->lines_count);
    return &t->files[t->lines[line - 1].file];
}

void
conf_text_blank(struct conf_text *t, size_t from, size_t to)
{
    char *bytes = t->bytes.data + t->bytes.start;

    MUST(to <= buf_len(&t->bytes));
    for (size_t i = from; i < to; i++) {
        if (bytes[i] != '\n') {
            bytes[i] = ' ';
        }
    }
}
