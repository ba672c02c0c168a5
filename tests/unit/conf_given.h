/* What the tests of the conf stand on: files in a folder of their own, and
   what is told of them. */
#ifndef TESTS_CONF_GIVEN_H
#define TESTS_CONF_GIVEN_H

#include "nearside/app/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define API "origin api { servers = { \"http://127.0.0.1:3000\" } }\n"

struct folder {
    char path[64];
};

static inline int
folder_make(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->path, "/tmp/nearside-conf-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(chdir(f->path), 0);
    *state = f;
    return 0;
}

static inline int
folder_remove(void **state)
{
    struct folder *f = *state;
    char command[128];

    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -r '%s'", f->path);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static inline void
file_write(const char *name, mode_t mode, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_not_equal(fputs(text, f), EOF);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(name, mode), 0);
}

/* All that is printed about a file. */
static inline char *
told_of(const char *path, enum rc want)
{
    const struct conf_flags flags = {.path = path};
    struct conf_errors errors;
    struct conf *conf = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    conf_errors_init(&errors);
    assert_int_equal(conf_load(&flags, &errors, &conf), want);
    assert_true((conf == NULL) == (want != RC_OK));
    conf_errors_print(&errors, to);
    assert_int_equal(fclose(to), 0);
    conf_errors_fini(&errors);
    conf_free(&conf);
    return text;
}

/* Exactly these lines are told of the text. */
static inline void
refuses(const char *text, const char *want)
{
    char *told;

    file_write("t", 0644, text);
    told = told_of("t", RC_BAD);
    assert_string_equal(told, want);
    free(told);
}

struct refusal {
    const char *text;
    const char *want;
};

static inline void
refuse_all(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];

        /* In front, so that a broken grammar does not hide it. */
        snprintf(text, sizeof(text), API "%s\n", cases[i].text);
        refuses(text, cases[i].want);
    }
}

/* What the files of the tests take from the environment. */
static inline void
given_environment(void)
{
    setenv("T_S", "s3cret", 1);
    setenv("T_NUMBER", "12", 1);
    setenv("T_EMPTY", "", 1);
    unsetenv("T_UNSET");
}

#endif
