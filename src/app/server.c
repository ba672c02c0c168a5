/*
 * The daemon's life. The main thread becomes the control thread: signals,
 * the small listeners, the cluster's map. Each worker has a thread, and so has
 * what says whether entries may be used (nearside/redis/near.h).
 *
 *     start -> serving
 *      TERM -> /readyz says 503, and each answer ends its connection; others
 *              are still accepted (drain_delay)
 *           -> held: nobody new comes into the listen queues (HOLD_MS)
 *           -> draining: what is queued is accepted, idle connections are
 *              closed, answers are finished
 *           -> the last connection has gone, drain_timeout, or TERM again
 *           -> ended, in the reverse order of the start; the log's last line
 *              says so
 */
#include "app/server.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "app/auto.h"
#include "app/machine.h"
#include "app/server_inside.h"
#include "nearside/app/access.h"
#include "nearside/base/say.h"

enum {
    /* Fds that are not connections: listeners, logs, Redis, epoll. */
    FDS_RESERVED = 256,
    /* With fewer than this the server does not start. */
    FDS_MIN = 128,
    /* No machine has memory for more connections than that. */
    FDS_USED_MAX = 1000000,
    /* The end of drain_delay: how long a handshake may take that has begun.
       With a shorter delay nobody is waited for. */
    HOLD_MS = 200,
};

/* --- ending ------------------------------------------------------------ */

static void
on_all_drained(void *ctx)
{
    loop_stop(OBJ_OF(struct server, ctx, SERVER_MAGIC)->control);
}

/* On a worker's thread. */
static void
on_worker_drained(void *ctx)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);
    unsigned undrained = atomic_fetch_sub(&s->undrained, 1);

    MUST(undrained > 0);
    if (undrained == 1) {
        loop_post(s->control, &s->drained);
    }
}

static void
on_drain_timeout(void *ctx)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);

    MUST(s->is_draining);
    log_event(s->ring, LOG_LEVEL_WARN, "drain_timeout", "connections=\"%u\"",
        proxy_connections(s->proxy));
    loop_stop(s->control);
}

static void
on_drain_begin(void *ctx)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);

    MUST(s->is_draining);
    MUST(atomic_load(&s->undrained) == 0);
    loop_timer_init(&s->drain_timer, s->control, on_drain_timeout, s);
    loop_timer_arm(&s->drain_timer,
        loop_now_ms(s->control) + s->conf->drain_timeout_ms + 1);
    atomic_store(&s->undrained, s->threads_len);
    for (unsigned i = 0; i < s->threads_len; i++) {
        proxy_worker_drain(s->threads[i].worker, on_worker_drained, s);
    }
}

static void
on_drain_hold(void *ctx)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);

    MUST(s->is_draining);
    server_hold_listeners(s);
    loop_timer_init(&s->drain_timer, s->control, on_drain_begin, s);
    loop_timer_arm(
        &s->drain_timer, loop_now_ms(s->control) + s->drain_hold_ms + 1);
}

static void
server_drain(struct server *s, int64_t delay_ms)
{
    MUST(!s->is_draining);
    MUST(delay_ms >= 0);
    log_event(s->ring, LOG_LEVEL_INFO, "draining", "connections=\"%u\"",
        proxy_connections(s->proxy));
    s->is_draining = true;
    s->drain_begun_ms = loop_now_ms(s->control);
    s->drain_hold_ms = delay_ms < HOLD_MS ? 0 : HOLD_MS;
    for (unsigned i = 0; i < s->threads_len; i++) {
        proxy_worker_say_close(s->threads[i].worker);
    }
    loop_timer_init(&s->drain_timer, s->control, on_drain_hold, s);
    loop_timer_arm(&s->drain_timer,
        loop_now_ms(s->control) + delay_ms - s->drain_hold_ms + 1);
}

static void
on_signal(void *ctx, int number)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);

    switch (number) {
    case SIGUSR1:
        log_reopen(s->log);
        break;
    case SIGHUP:
        log_event(s->ring, LOG_LEVEL_WARN, "reload_refused",
            "cause=\"not in this version: restart to read the conf\"");
        break;
    default:
        if (s->is_draining) {
            loop_stop(s->control);
        } else {
            /* Somebody who presses Ctrl-C has no balancer to wait for. */
            server_drain(s, number == SIGINT ? 0 : s->conf->drain_delay_ms);
        }
        break;
    }
}

static bool
is_ready(void *ctx)
{
    return !OBJ_OF(struct server, ctx, SERVER_MAGIC)->is_draining;
}

/* --- starting ---------------------------------------------------------- */

/* Raises the limit of open files as far as it may be raised. False: that is
   too few. */
static bool
start_fds(struct server *s)
{
    struct rlimit limit;

    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    s->fds_max =
        limit.rlim_cur > FDS_USED_MAX ? FDS_USED_MAX : (unsigned)limit.rlim_cur;
    if (s->fds_max < FDS_MIN) {
        say("nearside: %u open files are allowed, %d are needed", s->fds_max,
            FDS_MIN);
        return false;
    }
    return true;
}

/* How many connections the open files leave room for. */
static unsigned
connections_allowed(const struct server *s)
{
    unsigned others =
        s->fds_max / 2 < FDS_RESERVED ? s->fds_max / 2 : FDS_RESERVED;

    MUST(s->fds_max >= FDS_MIN);
    /* A connection may need a second fd, to the origin. */
    return (s->fds_max - others) / 2;
}

/* The conf's word counts even if it allows more than there are files for:
   many connections never need a second one. */
static unsigned
connections_max(const struct server *s)
{
    unsigned allowed = connections_allowed(s);
    unsigned wanted = s->conf->proxy.conf.limits.connections_max;

    if (wanted > allowed) {
        log_event(s->ring, LOG_LEVEL_WARN, "open_files_few",
            "allowed=\"%u\" connections_max=\"%u\" advised=\"%u\"", s->fds_max,
            wanted, allowed);
    }
    return wanted == 0 ? allowed : wanted;
}

static bool
start_log(struct server *s)
{
    char why[256];

    MUST(s->log == NULL);
    if (log_open(&s->conf->log, &s->log, why) != RC_OK) {
        say("nearside: %s", why);
        return false;
    }
    s->ring = log_ring_new(s->log);
    return s->ring != NULL;
}

static bool
start_origins(struct server *s)
{
    MUST(s->groups == NULL);
    MUST(s->conf->origins_len > 0);
    s->groups = calloc(s->conf->origins_len, sizeof(struct origin_group *));
    if (s->groups == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->conf->origins_len; i++) {
        const struct origin_opts *opts = &s->conf->origins[i];

        if (origin_group_new(opts, &s->groups[i]) != RC_OK) {
            say("nearside: origin %s: bad server address", opts->name);
            return false;
        }
        s->groups_len++;
    }
    origin_groups_measure(s->groups, (unsigned)s->groups_len, s->registry);
    return true;
}

static bool
start_redis(struct server *s)
{
    struct redis_opts opts = s->conf->redis;

    MUST(s->redis == NULL);
    if (s->conf->redis.mode == REDIS_MODE_OFF) {
        return true;
    }
    opts.prefix = s->conf->proxy.conf.prefix;
    s->redis = redis_new(&opts, s->resolver, s->registry);
    return s->redis != NULL;
}

static bool
start_proxy(struct server *s)
{
    struct proxy_opts opts = s->conf->proxy;

    MUST(s->proxy == NULL);
    MUST(s->groups_len == s->conf->origins_len);
    MUST(s->threads_len > 0);
    opts.groups = s->groups;
    opts.conf.groups_len = s->groups_len;
    opts.redis = s->redis;
    opts.workers = s->threads_len;
    opts.fds_max = s->fds_max;
    opts.conf.limits.connections_max = connections_max(s);
    opts.conf.limits.held_max = auto_held_max(
        s->conf->proxy.conf.limits.held_max, machine_memory(&s->limits));
    opts.memory_size =
        auto_memory_size(s->conf->memory.size, machine_memory(&s->limits));
    if (s->conf->log.access.target != LOG_TARGET_NONE) {
        opts.on_access = s->conf->access_format == CONF_ACCESS_JSON
                             ? access_json
                             : access_combined;
    }
    log_event(s->ring, LOG_LEVEL_INFO, "started",
        "version=\"" NEARSIDE_VERSION
        "\" workers=\"%u\" connections_max=\"%u\" open_files=\"%u\""
        " held_max=\"%" PRIu64 "\" memory=\"%" PRIu64 "\" memory_size=\"%zu\"",
        s->threads_len, opts.conf.limits.connections_max, s->fds_max,
        opts.conf.limits.held_max, machine_memory(&s->limits),
        opts.memory_size);
    s->proxy = proxy_new(&opts, s->registry);
    return s->proxy != NULL;
}

static void
start_lookups(struct server *s)
{
    for (size_t i = 0; i < s->groups_len; i++) {
        origin_group_start(
            s->groups[i], s->control, s->resolver, s->ring, s->block);
    }
}

static void *
thread_main(void *loop)
{
    MUST(loop != NULL);
    loop_run(loop);
    return NULL;
}

static bool
make_worker(struct server *s, unsigned index)
{
    struct server_thread *thread = &s->threads[index];
    struct proxy_worker_opts opts = {.proxy = s->proxy, .index = index};

    MUST(index < s->threads_len);
    MUST(thread->loop == NULL);
    thread->loop = loop_new();
    opts.loop = thread->loop;
    opts.ring = log_ring_new(s->log);
    opts.block = metric_block_new(s->registry);
    if (thread->loop == NULL || opts.ring == NULL || opts.block == NULL) {
        return false;
    }
    thread->worker = proxy_worker_new(&opts);
    if (thread->worker == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->listeners_len; i++) {
        if (proxy_worker_listen(thread->worker, s->listeners[i].fd) != RC_OK) {
            return false;
        }
    }
    return true;
}

static bool
start_workers(struct server *s)
{
    for (unsigned i = 0; i < s->threads_len; i++) {
        if (!make_worker(s, i)) {
            return false;
        }
    }
    for (unsigned i = 0; i < s->threads_len; i++) {
        struct server_thread *thread = &s->threads[i];
        MUST(!thread->is_running);
        thread->is_running = pthread_create(&thread->thread, NULL, thread_main,
                                 thread->loop) == 0;
        if (!thread->is_running) {
            return false;
        }
    }
    return true;
}

static void
measure(void *ctx)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);

    proxy_measure(s->proxy, s->block);
}

static bool
start_control(struct server *s)
{
    MUST(s->proxy != NULL);
    MUST(s->listeners_len == s->conf->listen_len);
    MUST(s->signals == NULL);
    s->sources = (struct admin_sources){
        .registry = s->registry,
        .is_ready = is_ready,
        .measure = measure,
        .status = server_status,
        .ctx = s,
    };
    loop_message_init(&s->drained, on_all_drained, s);
    s->signals = signals_new(s->control, on_signal, s);
    if (s->metrics_at.fd >= 0) {
        s->metrics = admin_new(
            s->control, s->metrics_at.fd, ADMIN_METRICS, &s->sources, s->ring);
    }
    if (s->admin_at.fd >= 0) {
        s->admin = admin_new(
            s->control, s->admin_at.fd, ADMIN_ADMIN, &s->sources, s->ring);
    }
    s->start_ms = loop_now_ms(s->control);
    return s->signals != NULL && (s->metrics_at.fd < 0 || s->metrics != NULL) &&
           (s->admin_at.fd < 0 || s->admin != NULL);
}

static bool
start_parts(struct server *s)
{
    unsigned workers;

    MUST(s->registry == NULL);
    s->limits = cgroup_limits_read("");
    s->registry = metric_registry_new();
    s->resolver = resolver_new();
    s->control = loop_new();
    workers =
        s->conf->workers > 0 ? s->conf->workers : machine_cpus(&s->limits);
    s->threads = calloc(workers, sizeof(*s->threads));
    s->threads_len = s->threads == NULL ? 0 : workers;
    return s->registry != NULL && s->resolver != NULL && s->control != NULL &&
           s->threads != NULL && start_fds(s) && start_log(s) &&
           server_open_listeners(s) && start_origins(s) && start_redis(s) &&
           start_proxy(s);
}

/* Redis, with its thread. */
static bool
start_coherence(struct server *s)
{
    struct redis_thread control = {s->control, s->ring, s->block};
    struct redis_thread *own = &s->coherence.own;

    MUST(own->loop == NULL);
    own->loop = loop_new();
    own->ring = log_ring_new(s->log);
    own->block = metric_block_new(s->registry);
    if (own->loop == NULL || own->ring == NULL || own->block == NULL) {
        return false;
    }
    redis_start(s->redis, &control, own);
    s->coherence.is_running =
        pthread_create(&s->coherence.thread, NULL, thread_main, own->loop) == 0;
    return s->coherence.is_running;
}

static bool
server_start(struct server *s)
{
    MUST_OBJ(s, SERVER_MAGIC);
    if (!start_parts(s)) {
        return false;
    }
    s->build_info = metric_add(s->registry, METRIC_GAUGE, "nearside_build_info",
        "1; its labels say what runs.", "version=\"" NEARSIDE_VERSION "\"");
    s->block = metric_block_new(s->registry);
    if (s->block == NULL || !start_control(s)) {
        return false;
    }
    metric_inc(s->block, s->build_info);
    start_lookups(s);
    if (s->redis != NULL) {
        return start_coherence(s) && start_workers(s);
    }
    if (s->conf->memory.size == 0) {
        log_event(s->ring, LOG_LEVEL_WARN, "nothing_cached",
            "cause=\"no redis is named, and memory has no size\" "
            "cure=\"a section redis, or memory { size = auto }\"");
    }
    return start_workers(s);
}

/* --- stopping, in reverse ---------------------------------------------- */

/* What the end of the workers will cut. Their loops run no more. */
static void
count_cut(struct server *s)
{
    MUST(s->is_draining);
    s->connections_cut = proxy_connections(s->proxy);
    for (unsigned i = 0; i < s->threads_len; i++) {
        s->requests_cut += proxy_worker_requests(s->threads[i].worker);
    }
    MUST(s->requests_cut <= s->connections_cut);
}

/* The last line: whoever has stopped the daemon sees that it came to its end,
   and at whose expense. */
static void
tell_end(const struct server *s)
{
    struct clock clock;
    int64_t took_ms;

    clock_init(&clock);
    took_ms = clock_now_ms(&clock) - s->drain_begun_ms;
    MUST(took_ms >= 0);
    log_event_last(s->log, LOG_LEVEL_INFO, "ended",
        "seconds=\"%" PRId64 ".%03d\" connections_cut=\"%u\""
        " requests_cut=\"%u\"",
        took_ms / 1000, (int)(took_ms % 1000), s->connections_cut,
        s->requests_cut);
}

static void
stop_workers(struct server *s)
{
    for (unsigned i = 0; i < s->threads_len; i++) {
        if (s->threads[i].is_running) {
            loop_stop(s->threads[i].loop);
        }
    }
    for (unsigned i = 0; i < s->threads_len; i++) {
        if (s->threads[i].is_running) {
            pthread_join(s->threads[i].thread, NULL);
            s->threads[i].is_running = false;
        }
    }
    if (s->is_draining) {
        count_cut(s);
    }
    for (unsigned i = 0; i < s->threads_len; i++) {
        proxy_worker_free(&s->threads[i].worker);
    }
}

static void
stop_coherence(struct server *s)
{
    if (s->coherence.is_running) {
        loop_stop(s->coherence.own.loop);
        pthread_join(s->coherence.thread, NULL);
        s->coherence.is_running = false;
    }
    if (s->redis != NULL) {
        redis_stop(s->redis);
    }
}

/* What one loop's last messages ask of another is done before any of them
   is freed. */
static void
free_loops(struct server *s)
{
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < s->threads_len; i++) {
            if (s->threads[i].loop != NULL) {
                loop_turn(s->threads[i].loop, 0);
            }
        }
        if (s->coherence.own.loop != NULL) {
            loop_turn(s->coherence.own.loop, 0);
        }
    }
    loop_free(&s->coherence.own.loop);
    for (unsigned i = 0; i < s->threads_len; i++) {
        MUST(!s->threads[i].is_running);
        MUST(s->threads[i].worker == NULL);
        loop_free(&s->threads[i].loop);
    }
    loop_free(&s->control);
}

static void
server_stop(struct server *s)
{
    MUST_OBJ(s, SERVER_MAGIC);
    stop_workers(s);
    if (s->control != NULL) {
        loop_timer_cancel(&s->drain_timer);
    }
    admin_free(&s->admin);
    admin_free(&s->metrics);
    signals_free(&s->signals);
    stop_coherence(s);
    for (size_t i = 0; i < s->groups_len; i++) {
        origin_group_stop(s->groups[i]);
    }
    resolver_free(&s->resolver);
    free_loops(s);
    proxy_free(&s->proxy);
    redis_free(&s->redis);
    for (size_t i = 0; i < s->groups_len; i++) {
        origin_group_free(&s->groups[i]);
    }
    free(s->groups);
    free(s->threads);
    server_close_listeners(s);
    if (s->is_draining) {
        tell_end(s);
    }
    if (s->log != NULL) {
        log_close(&s->log);
    }
    metric_registry_free(&s->registry);
    s->magic = 0;
}

int
server_run(const struct conf *conf)
{
    struct server s = {
        .magic = SERVER_MAGIC,
        .conf = conf,
        .metrics_at = {.fd = -1},
        .admin_at = {.fd = -1},
    };
    bool is_started;

    MUST_OBJ(conf, CONF_MAGIC);
    signals_block();
    is_started = server_start(&s);
    if (is_started) {
        say("ready");
        loop_run(s.control);
    } else {
        say("nearside: cannot start");
    }
    server_stop(&s);
    return is_started ? 0 : 1;
}
