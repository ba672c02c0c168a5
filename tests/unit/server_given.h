/* What the tests of a whole server stand on: it runs on the test's own thread,
   while another one, the story, asks it and sends the signal that ends it. */
#ifndef TESTS_SERVER_GIVEN_H
#define TESTS_SERVER_GIVEN_H

#include "conf_given.h"

#include "app/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "nearside/base/clock.h"
#include "nearside/net/signals.h"

enum {
    /* How often something is looked at that is to come, 5 ms apart. */
    LOOKS_MAX = 6000,
};

#define TO_NOWHERE                                                             \
    "origin api { servers = { \"http://127.0.0.1:1\" } }\n"                    \
    "route \"/a\" { ttl = 1s }\n"

/* It listens on l, m and a of the folder; all else is the text's. */
static inline struct conf *
conf_made(const struct folder *f, const char *rest)
{
    const struct conf_flags flags = {.path = "c"};
    struct conf_errors errors;
    struct conf *conf = NULL;
    char text[2048];

    snprintf(text, sizeof(text),
        "listen = { \"unix:%1$s/l\" }\n"
        "metrics = \"unix:%1$s/m\"\n"
        "admin = \"unix:%1$s/a\"\n"
        "%2$s",
        f->path, rest);
    file_write("c", 0644, text);
    conf_errors_init(&errors);
    if (conf_load(&flags, &errors, &conf) != RC_OK) {
        conf_errors_print(&errors, stderr);
        fail();
    }
    conf_errors_fini(&errors);
    return conf;
}

/* Its status; all that it says goes to the file "told". */
static inline int
run_told(const struct conf *conf)
{
    int was = dup(STDERR_FILENO);
    int to = open("told", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int status;

    fflush(stderr);
    dup2(to, STDERR_FILENO);
    close(to);
    status = server_run(conf);
    fflush(stderr);
    dup2(was, STDERR_FILENO);
    close(was);
    return status;
}

static inline bool
file_has(const char *name, const char *part)
{
    char text[16384];
    FILE *f = fopen(name, "r");
    size_t len;

    if (f == NULL) {
        return false;
    }
    len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    return strstr(text, part) != NULL;
}

static inline bool
was_told(const char *part)
{
    return file_has("told", part);
}

/* It comes as soon as the server looks. */
static inline void
end_is_pending(void)
{
    signals_block();
    kill(getpid(), SIGTERM);
}

static inline int64_t
monotonic_ms(void)
{
    struct clock clock;

    clock_init(&clock);
    return clock_now_ms(&clock);
}

/* A connection to a unix socket of the folder; or -1. */
static inline int
dial_unix(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", name);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* All that comes on it until its end; "" without one. */
static inline void
hear(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    while (len + 1 < cap && (n = read(fd, out + len, cap - 1 - len)) > 0) {
        len += (size_t)n;
    }
    out[len] = '\0';
}

/* It may be that nobody hears it. */
static inline void
tell(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static inline void
ask(const char *name, const char *path, char *out, size_t cap)
{
    int fd = dial_unix(name);
    char request[256];

    snprintf(request, sizeof(request),
        "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        path);
    tell(fd, request);
    hear(fd, out, cap);
    close(fd);
}

/* Until `claim` is true; a story goes on without it in the end, and the
   test's thread claims what has come of it. */
#define LOOK_UNTIL(claim)                                                      \
    for (int look_ = 0; look_ < LOOKS_MAX && !(claim); look_++) {              \
        usleep(5000);                                                          \
    }

#endif
