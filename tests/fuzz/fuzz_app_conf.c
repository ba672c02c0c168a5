/*
 * The reader of the conf file, on any text. Whatever comes, it ends; a conf
 * is given exactly when no mistake was told, and every mistake is told with a
 * place: its file and line, or the file alone where it is about no line.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The path of a file in memory, which only its owner may read. */
static const char *
file_given(struct slice text)
{
    static char path[32];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
        MUST(fd >= 0);
        MUST(fchmod(fd, 0600) == 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    MUST(ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
    return path;
}

/* "path:12: what is wrong", of a line that is there. */
static void
must_have_place(const struct conf_error *e, const char *path, unsigned lines)
{
    const char *at = e->text + strlen(path);
    char *end;

    MUST(strncmp(e->text, path, strlen(path)) == 0);
    MUST(*at == ':');
    at++;
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
    struct conf_flags flags = {.path = NULL};
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    if (names_a_file(text)) {
        return -1;
    }
    conf_errors_init(&errors);
    flags.path = file_given(text);
    rc = conf_load(&flags, &errors, &conf);
    MUST((rc == RC_OK) == (conf != NULL));
    MUST((rc == RC_OK) == (errors.mistakes == 0));
    for (size_t i = 0; i < errors.count; i++) {
        must_have_place(&errors.items[i], flags.path, lines_of(text));
    }
    conf_free(&conf);
    MUST(conf == NULL);
    conf_errors_fini(&errors);
    return 0;
}
