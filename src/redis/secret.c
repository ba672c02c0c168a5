/*
 * A password in memory that is wiped when it goes, and its file.
 */
#include "redis/secret.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define SECRET_MAGIC UINT32_C(0x73656372)

struct secret {
    uint32_t magic;
    const char *path; /* NULL: none */
    pthread_mutex_t lock;
    size_t len; /* 0: no password */
    char text[REDIS_PASSWORD_MAX];
};

enum rc
redis_password_parse(struct slice file, struct slice *out)
{
    if (file.len > 0 && file.ptr[file.len - 1] == '\n') {
        file.len--;
    }
    if (file.len == 0 || file.len > REDIS_PASSWORD_MAX ||
        slice_find(file, '\0') >= 0 || slice_find(file, '\n') >= 0) {
        return RC_BAD;
    }
    *out = file;
    return RC_OK;
}

struct secret *
secret_new(const struct redis_opts *opts)
{
    struct slice text = slice_of_str(opts->password);
    struct secret *secret = calloc(1, sizeof(*secret));

    MUST(text.len <= REDIS_PASSWORD_MAX);
    if (secret == NULL) {
        return NULL;
    }
    secret->magic = SECRET_MAGIC;
    secret->path = opts->password_file;
    MUST(pthread_mutex_init(&secret->lock, NULL) == 0);
    secret->len = text.len;
    (void)slice_put(secret->text, text);
    return secret;
}

void
secret_free(struct secret **psecret)
{
    struct secret *secret = *psecret;

    if (secret == NULL) {
        return;
    }
    MUST_OBJ(secret, SECRET_MAGIC);
    *psecret = NULL;
    MUST(pthread_mutex_destroy(&secret->lock) == 0);
    explicit_bzero(secret, sizeof(*secret));
    free(secret);
}

size_t
secret_get(struct secret *secret, char out[REDIS_PASSWORD_MAX])
{
    size_t len;

    MUST_OBJ(secret, SECRET_MAGIC);
    MUST(pthread_mutex_lock(&secret->lock) == 0);
    len = secret->len;
    memcpy(out, secret->text, len);
    MUST(pthread_mutex_unlock(&secret->lock) == 0);
    return len;
}

/* RC_MISS: it is the same. */
static enum rc
secret_set(struct secret *secret, struct slice text)
{
    enum rc rc = RC_MISS;

    MUST(text.len <= REDIS_PASSWORD_MAX);
    MUST(pthread_mutex_lock(&secret->lock) == 0);
    if (!slice_eq(slice_of(secret->text, secret->len), text)) {
        secret->len = text.len;
        (void)slice_put(secret->text, text);
        rc = RC_OK;
    }
    MUST(pthread_mutex_unlock(&secret->lock) == 0);
    return rc;
}

enum rc
secret_read(struct secret *secret)
{
    char bytes[REDIS_PASSWORD_MAX + 2]; /* its newline, and one too many */
    struct slice text;
    enum rc rc;
    ssize_t n;
    int fd;

    MUST_OBJ(secret, SECRET_MAGIC);
    if (secret->path == NULL) {
        return RC_MISS;
    }
    fd = open(secret->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return RC_IO;
    }
    n = read(fd, bytes, sizeof(bytes));
    close(fd);
    if (n < 0) {
        return RC_IO;
    }
    rc = redis_password_parse(slice_of(bytes, (size_t)n), &text);
    rc = rc == RC_OK ? secret_set(secret, text) : rc;
    explicit_bzero(bytes, sizeof(bytes));
    return rc;
}
