/* Signals by a signalfd: no handler runs anywhere, so nothing has to be
   reentrant. */
#include "nearside/net/signals.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/loop_inside.h"

#define SIGNALS_MAGIC UINT32_C(0x6e736967)

struct signals {
    uint32_t magic;
    int fd;
    struct loop *loop;
    struct event event;
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

static void
set_make(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

void
signals_block(void)
{
    sigset_t set;

    set_make(&set);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct signals *s = OBJ_OF(struct signals, ctx, SIGNALS_MAGIC);
    struct signalfd_siginfo info;

    (void)what;
    loop_enter(s->loop);
    if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        s->on_signal(s->ctx, (int)info.ssi_signo);
    }
}

struct signals *
signals_new(
    struct loop *loop, void (*on_signal)(void *ctx, int number), void *ctx)
{
    struct signals *s = calloc(1, sizeof(*s));
    sigset_t set;

    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(on_signal != NULL);
    if (s == NULL) {
        return NULL;
    }
    set_make(&set);
    s->magic = SIGNALS_MAGIC;
    s->loop = loop;
    s->on_signal = on_signal;
    s->ctx = ctx;
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    event_assign(
        &s->event, loop->base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
    MUST(event_add(&s->event, NULL) == 0);
    return s;
}

void
signals_free(struct signals **psignals)
{
    struct signals *s = *psignals;

    if (s == NULL) {
        return;
    }
    MUST_OBJ(s, SIGNALS_MAGIC);
    *psignals = NULL;
    event_del(&s->event);
    close(s->fd);
    s->magic = 0;
    free(s);
}
