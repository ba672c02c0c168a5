/*
 * The reader of the conf file, on any text. Whatever comes, it ends; a conf
 * is given exactly when no mistake was told, and every mistake is told with a
 * place: its file and line, or the file alone where it is about no line.
 */
#include "fuzz.h"
#include "nearside/app/conf/conf.h"

/* It would be read, whatever it is. */
static bool
names_a_file(struct slice text)
{
    if (text.len == 0) {
        return false;
    }
    return memmem(text.ptr, text.len, "include", 7) != NULL ||
           (memmem(text.ptr, text.len, "password_file", 13) != NULL &&
               slice_find(text, '/') >= 0);
}

static unsigned
lines_of(struct slice text)
{
    unsigned count = 1;

    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == '\n';
    }
    return count;
}

/* "fuzz.conf:12: what is wrong", of a line that is there. */
static void
must_have_place(const struct conf_error *e, unsigned lines)
{
    const char *at = e->text;
    char *end;

    MUST(strncmp(at, "fuzz.conf:", 10) == 0);
    at += 10;
    if (e->line > 0) {
        unsigned long line = strtoul(at, &end, 10);
        MUST(*at >= '1' && *at <= '9');
        MUST(line == e->line && line <= lines);
        MUST(*end == ':');
        at = end + 1;
    }
    MUST(at[0] == ' ' && at[1] != '\0');
    for (; *at != '\0'; at++) {
        MUST((unsigned char)*at >= ' ' && *at != 0x7f);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    if (names_a_file(text)) {
        return -1;
    }
    conf_errors_init(&errors);
    rc = conf_load_text(text, "fuzz.conf", &errors, &conf);
    MUST((rc == RC_OK) == (conf != NULL));
    MUST((rc == RC_OK) == (errors.mistakes == 0));
    for (size_t i = 0; i < errors.count; i++) {
        must_have_place(&errors.items[i], lines_of(text));
    }
    conf_free(&conf);
    MUST(conf == NULL);
    conf_errors_fini(&errors);
    return 0;
}
