/*
 * The reader of the conf file, on any text. Whatever comes, it ends; a conf
 * is given exactly when no mistake was told, and every mistake is told with a
 * place: its file and line, or the file alone where it is about no line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/app/conf.h"
#include "nearside/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An include would read whatever file the fuzzer thinks of. */
static int
has_include(const uint8_t *data, size_t size)
{
    return size > 0 && memmem(data, size, "include", 7) != NULL;
}

static unsigned
lines_of(const uint8_t *data, size_t size)
{
    unsigned count = 1;

    for (size_t i = 0; i < size; i++) {
        count += data[i] == '\n';
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
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    if (has_include(data, size)) {
        return -1;
    }
    conf_errors_init(&errors);
    rc = conf_load_text(
        slice_of((const char *)data, size), "fuzz.conf", &errors, &conf);
    MUST((rc == RC_OK) == (conf != NULL));
    MUST((rc == RC_OK) == (errors.mistakes == 0));
    for (size_t i = 0; i < errors.count; i++) {
        must_have_place(&errors.items[i], lines_of(data, size));
    }
    conf_free(&conf);
    MUST(conf == NULL);
    conf_errors_fini(&errors);
    return 0;
}
