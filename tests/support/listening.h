/* A listening socket as tests want it: the fd, and where it listens. */
#ifndef TESTS_SUPPORT_LISTENING_H
#define TESTS_SUPPORT_LISTENING_H

#include "nearside/net/listen.h"

static inline enum rc
listen_at(const struct address *at, int *out_fd, struct address *out_bound)
{
    const struct listen_opts opts = {.mode = 0600};
    struct listener listener;
    enum rc rc = listen_open(at, &opts, &listener);

    if (rc == RC_OK) {
        *out_fd = listener.fd;
        *out_bound = listener.bound;
    }
    return rc;
}

#endif
