/* A server's inside, for the files of this room. */
#ifndef SERVER_SERVER_INSIDE_H
#define SERVER_SERVER_INSIDE_H

#include <pthread.h>

#include "nearside/base/list.h"
#include "nearside/base/log.h"
#include "nearside/http/uri.h"
#include "nearside/net/resolve.h"
#include "nearside/server/server.h"

#define SERVER_MAGIC UINT32_C(0x6f737276)

enum {
    SERVER_TEXT_MAX = 128,
    /* Between two look-ups that dials have asked for. */
    LOOKUP_PAUSE_MS = 1000,
};

/* Its look-ups. What is not marked is the control thread's alone. */
struct server_lookup {
    int64_t interval_ms;
    struct loop *loop; /* NULL: not started, or stopped */
    struct resolver *resolver;
    struct log_ring *ring;
    struct metric_block *block;
    struct resolve *resolve; /* NULL: none under way */
    struct loop_timer timer;
    struct loop_message ask; /* any thread posts it */
    bool is_asked;           /* a dial has asked for the next one */
    bool is_failing;         /* the log has been told */
    int64_t looked_up_s;     /* as the metrics show it */

    /* Under the server's lock. */
    bool is_under_way;
    int64_t began_ms; /* that, or the last one */
    int64_t asked_ms; /* when the last one began that was asked for */
    struct origin_looked_up last;
};

struct origin_server {
    uint32_t magic;
    bool is_fixed;    /* at one address; nothing is looked up */
    bool is_measured; /* metrics are in a registry */
    char *own_text;
    struct uri_server uri; /* loans into own_text */
    char text[SERVER_TEXT_MAX];
    struct origin_server_metrics metrics;
    struct server_lookup lookup;
    pthread_mutex_t lock;               /* guards what follows */
    struct origin_addresses *addresses; /* NULL: never known */
    struct list news;                   /* of pools, to be told of look-ups */
    /* When the first of the dials failed that have failed since the last one
       that did not; 0: none. Read without the lock, too. */
    _Atomic int64_t failing_ms;
};

/* --- lookup.c ---------------------------------------------------------- */

/* With the server; it can be asked for from then on. */
void server_lookup_init(struct origin_server *server);

/* --- news.c ------------------------------------------------------------ */

/* Posts news to all who have joined. Under the lock. */
void server_tell(struct origin_server *server);

/* ----------------------------------------------------------------------- */

static inline void
server_lock(struct origin_server *server)
{
    MUST_OBJ(server, SERVER_MAGIC);
    MUST(pthread_mutex_lock(&server->lock) == 0);
}

static inline void
server_unlock(struct origin_server *server)
{
    MUST(pthread_mutex_unlock(&server->lock) == 0);
}

#endif
