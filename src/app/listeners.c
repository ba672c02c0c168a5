/* The sockets that a server listens on. It opens all of them before it says
   that it is ready, and tells each address in a line of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/server_inside.h"

enum {
    /* Anyone on this machine may be a client; only the owner an operator. */
    MODE_CLIENTS = 0666,
    MODE_ADMIN = 0600,
};

static bool
open_one(const char *text, unsigned mode, const char *what, int *out_fd)
{
    char shown[ADDRESS_TEXT_MAX];
    struct address at;
    struct address bound;
    enum rc rc = address_parse(slice_of_str(text), &at);

    if (rc == RC_OK) {
        rc = listen_open(&at, mode, out_fd, &bound);
    }
    if (rc != RC_OK) {
        fprintf(stderr, "nearside: cannot listen on %s: %s\n", text,
            rc == RC_BAD ? rc_text(rc) : strerror(errno));
        return false;
    }
    fprintf(
        stderr, "listening on %s (%s)\n", address_text(&bound, shown), what);
    return true;
}

bool
server_open_listeners(struct server *s)
{
    const struct conf *conf = s->conf;

    MUST_OBJ(s, SERVER_MAGIC);
    MUST(s->fds == NULL);
    s->fds = calloc(conf->listen_len, sizeof(*s->fds));
    if (s->fds == NULL) {
        return false;
    }
    for (size_t i = 0; i < conf->listen_len; i++) {
        if (!open_one(conf->listen[i], MODE_CLIENTS, "http", &s->fds[i])) {
            return false;
        }
        listen_limit_unsent(s->fds[i], conf->proxy.conf.limits.buffer_max);
        s->fds_len++;
    }
    if (conf->metrics != NULL &&
        !open_one(conf->metrics, MODE_CLIENTS, "metrics", &s->metrics_fd)) {
        return false;
    }
    if (conf->admin != NULL &&
        !open_one(conf->admin, MODE_ADMIN, "admin", &s->admin_fd)) {
        if (!conf->admin_is_auto) {
            return false;
        }
        fputs("nearside: serving without an admin socket\n", stderr);
    }
    return true;
}

static void
close_one(int *fd)
{
    struct address at;

    if (*fd < 0) {
        return;
    }
    if (address_of_socket(*fd, &at) == RC_OK && at.u.any.sa_family == AF_UNIX) {
        (void)unlink(at.u.unix_.sun_path);
    }
    close(*fd);
    *fd = -1;
}

void
server_close_listeners(struct server *s)
{
    for (size_t i = 0; i < s->fds_len; i++) {
        close_one(&s->fds[i]);
    }
    free(s->fds);
    close_one(&s->metrics_fd);
    close_one(&s->admin_fd);
}
