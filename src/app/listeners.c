/* The sockets that a server listens on. It opens all of them before it says
   that it is ready, and tells each address in a line of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/server_inside.h"
#include "nearside/base/say.h"

enum {
    /* Anyone on this machine may be a client; only the owner an operator. */
    MODE_CLIENTS = 0666,
    MODE_ADMIN = 0600,
};

static bool
is_ipv4_on(const char *text, uint16_t port)
{
    struct address at;

    return text != NULL && address_parse(slice_of_str(text), &at) == RC_OK &&
           at.u.any.sa_family == AF_INET && address_port(&at) == port;
}

/* Does the conf name an address of IPv4 with that port? */
static bool
has_ipv4_on(const struct conf *conf, uint16_t port)
{
    for (size_t i = 0; i < conf->listen_len; i++) {
        if (is_ipv4_on(conf->listen[i], port)) {
            return true;
        }
    }
    return is_ipv4_on(conf->metrics, port) || is_ipv4_on(conf->admin, port);
}

/* [::] takes IPv4 too, as people expect who write it alone; those who write
   0.0.0.0 beside it expect that it does not. */
static bool
open_one(const struct conf *conf, const char *text, unsigned mode,
    const char *what, struct listener *out)
{
    char shown[ADDRESS_TEXT_MAX];
    struct address at;
    struct listen_opts opts = {.mode = mode};
    enum rc rc = address_parse(slice_of_str(text), &at);

    MUST(text != NULL);
    if (rc == RC_OK) {
        opts.is_ipv6_only = has_ipv4_on(conf, address_port(&at));
        rc = listen_open(&at, &opts, out);
    }
    if (rc != RC_OK) {
        say("nearside: cannot listen on %s: %s", text,
            rc == RC_BAD ? rc_text(rc) : strerror(errno));
        return false;
    }
    say("listening on %s (%s)", address_text(&out->bound, shown), what);
    return true;
}

bool
server_open_listeners(struct server *s)
{
    const struct conf *conf = s->conf;

    MUST_OBJ(s, SERVER_MAGIC);
    MUST(s->listeners == NULL);
    s->listeners = calloc(conf->listen_len, sizeof(*s->listeners));
    if (s->listeners == NULL) {
        return false;
    }
    for (size_t i = 0; i < conf->listen_len; i++) {
        struct listener *l = &s->listeners[i];
        if (!open_one(conf, conf->listen[i], MODE_CLIENTS, "http", l)) {
            return false;
        }
        listen_limit_unsent(l->fd, conf->proxy.conf.limits.buffer_max);
        s->listeners_len++;
    }
    if (conf->metrics != NULL && !open_one(conf, conf->metrics, MODE_CLIENTS,
                                     "metrics", &s->metrics_at)) {
        return false;
    }
    if (conf->admin != NULL &&
        !open_one(conf, conf->admin, MODE_ADMIN, "admin", &s->admin_at)) {
        if (!conf->admin_is_auto) {
            return false;
        }
        say("nearside: serving without an admin socket");
    }
    return true;
}

void
server_hold_listeners(struct server *s)
{
    MUST_OBJ(s, SERVER_MAGIC);
    MUST(s->is_draining);
    for (size_t i = 0; i < s->listeners_len; i++) {
        listen_hold(&s->listeners[i]);
    }
    listen_unlink(&s->metrics_at);
    listen_unlink(&s->admin_at);
}

void
server_close_listeners(struct server *s)
{
    MUST_OBJ(s, SERVER_MAGIC);
    for (size_t i = 0; i < s->listeners_len; i++) {
        listen_close(&s->listeners[i]);
    }
    free(s->listeners);
    s->listeners = NULL;
    s->listeners_len = 0;
    listen_close(&s->metrics_at);
    listen_close(&s->admin_at);
}
