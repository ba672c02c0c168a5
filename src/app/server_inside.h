/* The server, opened up for the files that make it. */
#ifndef APP_SERVER_INSIDE_H
#define APP_SERVER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/cgroup.h"
#include "nearside/app/admin.h"
#include "nearside/app/conf/conf.h"
#include "nearside/base/metric.h"
#include "nearside/net/listen.h"
#include "nearside/net/resolve.h"
#include "nearside/net/signals.h"
#include "nearside/origin/group.h"
#include "nearside/proxy/proxy.h"
#include "nearside/redis/redis.h"

#define SERVER_MAGIC UINT32_C(0x6e737276)

struct server_thread {
    pthread_t thread;
    bool is_running;
    struct loop *loop;
    struct proxy_worker *worker;
};

/* The thread that hears of changes in Redis, and of nothing else; without Redis
   there is none. */
struct server_coherence {
    pthread_t thread;
    bool is_running;
    struct redis_thread own; /* its loop is ours */
};

struct server {
    uint32_t magic;
    const struct conf *conf;
    struct log *log;
    struct log_ring *ring; /* the control thread's */
    struct metric_registry *registry;
    struct metric_block *block;
    metric_id build_info; /* always 1 */
    struct resolver *resolver;
    struct loop *control;
    struct signals *signals;
    struct redis *redis;
    struct server_coherence coherence;
    unsigned fds_max; /* open files allowed */
    struct cgroup_limits limits;
    struct origin_group **groups;
    size_t groups_len;
    struct proxy *proxy;
    struct server_thread *threads;
    unsigned threads_len;
    struct listener *listeners; /* for clients */
    size_t listeners_len;
    struct admin *metrics;
    struct listener metrics_at; /* its fd is -1: none */
    struct admin *admin;
    struct listener admin_at;
    struct admin_sources sources;
    int64_t start_ms;

    /* Ending. */
    bool is_draining;
    struct loop_timer drain_timer;
    int64_t drain_begun_ms;
    int64_t drain_hold_ms; /* of drain_delay */
    atomic_uint undrained; /* workers with connections */
    struct loop_message drained;
    unsigned connections_cut; /* open when the drain was over */
    unsigned requests_cut;    /* of these connections */
};

/* Opens all listening sockets and says where they are. */
bool server_open_listeners(struct server *s);

/* Keeps new clients out, and leaves the paths of all unix sockets to whoever
   comes next. What is connected goes on, and the small listeners do. */
void server_hold_listeners(struct server *s);
void server_close_listeners(struct server *s);

/* The status as JSON; an admin_sources callback. */
enum rc server_status(void *ctx, struct buf *out);

#endif
