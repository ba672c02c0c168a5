/*
 * The two small HTTP listeners on the control thread. `metrics` is read-
 * only and needs no token: /livez, /readyz, /metrics. `admin` is for what
 * may be known and changed by the operator alone: /status. Both use the
 * same strict parser as the front, answer one request a connection, and
 * hold no more than a few dozen connections.
 */
#ifndef NEARSIDE_APP_ADMIN_H
#define NEARSIDE_APP_ADMIN_H

#include <stdbool.h>

#include "nearside/base/buf.h"

struct admin;
struct log_ring;
struct loop;
struct metric_registry;

enum admin_kind {
    ADMIN_METRICS, /* /livez /readyz /metrics */
    ADMIN_ADMIN,   /* those and /status */
};

/* Where the answers come from; called on the control thread. */
struct admin_sources {
    struct metric_registry *registry;
    /* True while requests are welcome: false from SIGTERM on. */
    bool (*is_ready)(void *ctx);
    /* Brings the registry up to date, before it is shown. NULL: it is. */
    void (*measure)(void *ctx);
    /* Appends the status as JSON text. */
    enum rc (*status)(void *ctx, struct buf *out);
    void *ctx;
};

/* Watches the listening fd (borrowed). sources is borrowed for the admin's
   life. NULL: no memory. */
struct admin *admin_new(struct loop *loop, int fd, enum admin_kind kind,
    const struct admin_sources *sources, struct log_ring *ring);
void admin_free(struct admin **admin);

#endif
