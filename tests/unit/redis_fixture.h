/*
 * Real redis-servers for the tests of the redis room: started on free ports
 * in a directory of their own, killed by pid when the test ends, however it
 * ends. hiredis' blocking calls serve as the second opinion.
 */
#ifndef TESTS_REDIS_FIXTURE_H
#define TESTS_REDIS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "passing.h"
#include "redis_opts.h"

#include "nearside/base/buf.h"
#include "nearside/base/metric.h"
#include "nearside/net/loop.h"
#include "nearside/net/resolve.h"
#include "nearside/redis/near.h"
#include "nearside/redis/redis.h"
#include "nearside/redis/slot.h"

enum {
    SERVERS_MAX = 8,
    SERVER_ARGS_MAX = 32,
    CLAIMS_MAX = 64,
};

struct server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char id[41]; /* in a cluster */
    char dir[64];
};

struct fixture {
    struct server servers[SERVERS_MAX];
    unsigned servers_len;
    int claims[CLAIMS_MAX]; /* of ports; see port_claim */
    unsigned claims_len;
};

static struct fixture fixture;

static inline void
pause_ms(int ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&ts, NULL);
}

static inline int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void
server_kill(struct server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGCONT);
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
}

/* It stands still when this returns; SIGCONT lets it go on. */
static inline void
server_stop(const struct server *s)
{
    int status = 0;

    kill(s->pid, SIGSTOP);
    assert_int_equal(waitpid(s->pid, &status, WUNTRACED), s->pid);
    assert_true(WIFSTOPPED(status));
}

static inline void
servers_end(void)
{
    for (unsigned i = 0; i < fixture.servers_len; i++) {
        server_kill(&fixture.servers[i]);
        if (fixture.servers[i].dir[0] != '\0') {
            nftw(fixture.servers[i].dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        }
    }
    for (unsigned i = 0; i < fixture.claims_len; i++) {
        close(fixture.claims[i]);
    }
    memset(&fixture, 0, sizeof(fixture));
}

/* Not safe in a handler by the book; the alternative is leaving servers and
   directories behind. */
static inline void
on_fatal_signal(int number)
{
    signal(number, SIG_DFL);
    servers_end();
    raise(number);
}

static inline void
servers_guard(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGABRT};

    atexit(servers_end);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        signal(numbers[i], on_fatal_signal);
    }
    signal(SIGPIPE, SIG_IGN);
}

static inline bool
port_is_free(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    bool is_free;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    is_free = bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
    close(fd);
    return is_free;
}

/* No other test has taken the port, whether it listens there already or not:
   the flow tests use the same names (tests/flow/lib/ports.py). */
static inline bool
port_claim(uint16_t port)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int len = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1,
        "nearside-test-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fixture.claims_len < CLAIMS_MAX);
    if (bind(fd, (struct sockaddr *)&un,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                        (size_t)len)) != 0) {
        close(fd);
        return false;
    }
    fixture.claims[fixture.claims_len++] = fd;
    return true;
}

/* Free, and so is the cluster bus's, 10,000 above, which is nobody's port;
   below the range that the kernel gives away by itself. It is ours until
   servers_end. */
static inline uint16_t
port_pick(void)
{
    static unsigned seed;

    if (seed == 0) {
        seed = (unsigned)getpid() * 2654435761u ^ (unsigned)real_ms();
    }
    for (;;) {
        uint16_t port = (uint16_t)(12000 + rand_r(&seed) % 8000);

        if (port_is_free(port) && port_is_free((uint16_t)(port + 10000)) &&
            port_claim(port)) {
            return port;
        }
    }
}

/* Listens, and never says a word. */
static inline int
listener(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* A blocking connection for asking the server itself. */
static inline redisContext *
direct(const struct server *s)
{
    struct timeval tv = {.tv_sec = 2};
    redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, tv);

    if (c == NULL || c->err != 0) {
        if (c != NULL) {
            redisFree(c);
        }
        return NULL;
    }
    redisSetTimeout(c, tv);
    return c;
}

/* One command, its reply's text copied to out; false: no such reply. */
static inline bool
ask(const struct server *s, char *out, size_t cap, const char *fmt, ...)
{
    redisContext *c = direct(s);
    redisReply *reply = NULL;
    bool is_ok = false;
    va_list ap;

    if (c == NULL) {
        return false;
    }
    va_start(ap, fmt);
    reply = redisvCommand(c, fmt, ap);
    va_end(ap);
    if (reply != NULL && reply->type != REDIS_REPLY_ERROR) {
        is_ok = true;
        snprintf(out, cap, "%s", reply->str != NULL ? reply->str : "");
        if (reply->type == REDIS_REPLY_INTEGER) {
            snprintf(out, cap, "%lld", reply->integer);
        }
    } else if (reply != NULL) {
        snprintf(out, cap, "%s", reply->str);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    redisFree(c);
    return is_ok;
}

static inline void
server_exec(const struct server *s, const char *const extra[])
{
    const char *argv[SERVER_ARGS_MAX];
    char port[8];
    unsigned n = 0;
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof(port), "%u", s->port);
    argv[n++] = "redis-server";
    argv[n++] = "--port";
    argv[n++] = port;
    argv[n++] = "--bind";
    argv[n++] = "127.0.0.1";
    argv[n++] = "--dir";
    argv[n++] = s->dir;
    argv[n++] = "--save";
    argv[n++] = "";
    argv[n++] = "--enable-debug-command";
    argv[n++] = "yes";
    for (unsigned i = 0; extra != NULL && extra[i] != NULL; i++) {
        argv[n++] = extra[i];
    }
    argv[n] = NULL;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Starts (or starts again) the server and waits until it accepts. */
static inline void
server_up(struct server *s, const char *const extra[])
{
    int64_t until = real_ms() + PATIENCE_MS;

    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        server_exec(s, extra);
    }
    while (real_ms() < until) {
        redisContext *c = direct(s);

        if (c != NULL) {
            redisFree(c);
            return;
        }
        pause_ms(10);
    }
    fail_msg("redis-server did not start");
}

static inline struct server *
server_new(const char *const extra[])
{
    struct server *s = &fixture.servers[fixture.servers_len++];

    assert_true(fixture.servers_len <= SERVERS_MAX);
    s->port = port_pick();
    strcpy(s->dir, "/tmp/nearside-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    server_up(s, extra);
    return s;
}

/* ---- clusters ----------------------------------------------------------- */

static const char *const cluster_args[] = {"--cluster-enabled", "yes",
    "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf",
    "--cluster-allow-replica-migration", "no",
    /* Else the first replica waits 5 s, in case that others come. */
    "--repl-diskless-sync-delay", "0", NULL};

static inline bool
cluster_is_ok(void)
{
    for (unsigned i = 0; i < fixture.servers_len; i++) {
        char text[2048];
        char nodes[32];

        snprintf(nodes, sizeof(nodes), "cluster_known_nodes:%u",
            fixture.servers_len);
        if (fixture.servers[i].pid == 0) {
            continue;
        }
        if (!ask(&fixture.servers[i], text, sizeof(text), "CLUSTER INFO") ||
            strstr(text, "cluster_state:ok") == NULL ||
            strstr(text, nodes) == NULL) {
            return false;
        }
    }
    return true;
}

static inline void
await_cluster_ok(void)
{
    int64_t until = real_ms() + PATIENCE_MS;

    while (!cluster_is_ok()) {
        assert_true(real_ms() < until);
        pause_ms(20);
    }
}

/* All replicas have what their primaries have. */
static inline bool
replicas_are_up(unsigned primaries)
{
    for (unsigned i = primaries; i < fixture.servers_len; i++) {
        static char text[16384];

        if (!ask(&fixture.servers[i], text, sizeof(text), "INFO replication") ||
            strstr(text, "master_link_status:up") == NULL) {
            return false;
        }
    }
    return true;
}

/* `primaries` servers with the slots dealt evenly, each with `replicas`
   behind it: servers[primaries + i] follows servers[i % primaries]. */
static inline void
cluster_new(unsigned primaries, unsigned replicas)
{
    unsigned total = primaries * (1 + replicas);
    char text[2048];

    for (unsigned i = 0; i < total; i++) {
        struct server *s = server_new(cluster_args);

        assert_true(ask(s, text, sizeof(text), "CLUSTER MYID"));
        memcpy(s->id, text, 40);
        assert_true(
            ask(s, text, sizeof(text), "CLUSTER SET-CONFIG-EPOCH %u", i + 1));
        if (i < primaries) {
            assert_true(ask(s, text, sizeof(text),
                "CLUSTER ADDSLOTSRANGE %u %u", SLOT_COUNT * i / primaries,
                SLOT_COUNT * (i + 1) / primaries - 1));
        }
    }
    for (unsigned i = 1; i < total; i++) {
        assert_true(ask(&fixture.servers[0], text, sizeof(text),
            "CLUSTER MEET 127.0.0.1 %u", fixture.servers[i].port));
    }
    await_cluster_ok();
    for (unsigned i = primaries; i < total; i++) {
        int64_t until = real_ms() + PATIENCE_MS;

        while (!ask(&fixture.servers[i], text, sizeof(text),
            "CLUSTER REPLICATE %s", fixture.servers[i % primaries].id)) {
            assert_true(real_ms() < until);
            pause_ms(20);
        }
    }
    await_cluster_ok();
    for (int64_t until = real_ms() + PATIENCE_MS;
         !replicas_are_up(primaries);) {
        assert_true(real_ms() < until);
        pause_ms(20);
    }
}

/* ---- a client on a loop ------------------------------------------------- */

struct rig {
    struct loop *loop;
    struct log_ring *ring; /* set before rig_open, or NULL */
    bool has_no_time;      /* set before rig_open: its clock stands still */
    near_changed_fn on_changed; /* likewise: who hears of changes; or NULL */
    struct metric_registry *registry;
    struct resolver *resolver;
    struct redis *redis;
    struct redis_client *client;
    char seeds[SERVERS_MAX][64];
    const char *seed_ptrs[SERVERS_MAX];
};

static inline struct clock *
rig_clock(struct rig *rig)
{
    return loop_own_clock(rig->loop);
}

/* From now on time passes when the test says so. */
static inline void
rig_stop_clock(struct rig *rig)
{
    time_stop(rig->loop);
}

/* All threads share a loop here; test_redis_threads.c parts them. */
static inline void
rig_open(struct rig *rig, struct redis_opts opts)
{
    struct redis_thread thread;

    *rig = (struct rig){.ring = rig->ring,
        .has_no_time = rig->has_no_time,
        .on_changed = rig->on_changed};
    for (unsigned i = 0; i < fixture.servers_len; i++) {
        snprintf(rig->seeds[i], sizeof(rig->seeds[i]), "127.0.0.1:%u",
            fixture.servers[i].port);
        rig->seed_ptrs[i] = rig->seeds[i];
    }
    if (opts.seeds == NULL) {
        opts.seeds = rig->seed_ptrs;
        opts.seeds_len = fixture.servers_len;
    }
    rig->loop = loop_new();
    rig_clock(rig)->is_manual = rig->has_no_time;
    rig->resolver = resolver_new();
    rig->registry = metric_registry_new();
    opts = redis_opts_filled(opts);
    rig->redis = redis_new(&opts, rig->resolver, rig->registry);
    assert_non_null(rig->redis);
    if (rig->on_changed != NULL) {
        near_listen(rig->redis, rig->on_changed, rig);
    }
    thread = (struct redis_thread){
        rig->loop, rig->ring, metric_block_new(rig->registry)};
    redis_start(rig->redis, &thread, &thread);
    rig->client = redis_client_new(
        rig->redis, rig->loop, rig->ring, metric_block_new(rig->registry));
    assert_non_null(rig->client);
}

static inline void
rig_close(struct rig *rig)
{
    redis_client_free(&rig->client);
    redis_stop(rig->redis);
    redis_free(&rig->redis);
    loop_free(&rig->loop);
    resolver_free(&rig->resolver);
    metric_registry_free(&rig->registry);
}

/* The value of "nearside_redis_<row>", its labels included. */
static inline long long
rig_metric(struct rig *rig, const char *row)
{
    char line[160];
    struct buf text;
    long long value = -1;
    const char *at;

    snprintf(line, sizeof(line), "\nnearside_redis_%s ", row);
    buf_init(&text, 1000000);
    assert_int_equal(metric_render(rig->registry, &text), RC_OK);
    assert_int_equal(buf_append(&text, slice_of("", 1)), RC_OK);
    at = strstr(buf_slice(&text).ptr, line);
    assert_non_null(at);
    value = atoll(at + strlen(line));
    buf_fini(&text);
    return value;
}

static inline bool
rig_map_is_whole(struct rig *rig)
{
    struct redis_status status;

    redis_status(rig->redis, &status);
    return status.slots_known == SLOT_COUNT;
}

/* Turns the loop until the condition holds. */
#define AWAIT(rig, condition) TURN_UNTIL((rig)->loop, 20, condition)

/* Turns the loop for so long. */
static inline void
spin(struct rig *rig, int64_t ms)
{
    int64_t until = real_ms() + ms;

    while (real_ms() < until) {
        loop_turn(rig->loop, 5);
    }
}

/* A call whose end is kept. */
struct told {
    struct redis_call call;
    unsigned times;
    enum rc rc;
    enum redis_type type;
    int64_t integer;
    size_t elements;
    char text[128]; /* the reply's, cut */
    size_t len;
    int64_t at_ms;
};

static inline void
on_told(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct told *t = ctx;
    size_t n;

    t->times++;
    t->rc = rc;
    t->at_ms = real_ms();
    t->text[0] = '\0';
    if (reply == NULL) {
        return;
    }
    t->type = reply->type;
    t->integer = reply->integer;
    t->elements = reply->elements_len;
    t->len = reply->len;
    n = reply->len < sizeof(t->text) - 1 ? reply->len : sizeof(t->text) - 1;
    if (n > 0) {
        memcpy(t->text, reply->str, n);
    }
    t->text[n] = '\0';
}

/* Sends words parted by spaces; the second one is the key. */
static inline void
send_words(struct rig *rig, struct told *t, const char *words)
{
    struct slice argv[REDIS_ARGS_MAX];
    struct slice rest = slice_of_str(words);
    unsigned argc = 0;

    while (argc < REDIS_ARGS_MAX && slice_split(&rest, ' ', &argv[argc])) {
        argc++;
    }
    t->call.on_reply = on_told;
    t->call.ctx = t;
    t->times = 0;
    redis_send(rig->client, &t->call, argv[argc > 1 ? 1 : 0], argc, argv);
}

static inline void
run_begin(
    struct rig *rig, struct told *t, const char *words, int64_t timeout_ms)
{
    memset(t, 0, sizeof(*t));
    loop_turn(rig->loop, 0); /* the clock may be old */
    t->call.deadline_ms = loop_now_ms(rig->loop) + timeout_ms;
    t->call.retries = true;
    send_words(rig, t, words);
    assert_int_equal(t->times, 0);
}

static inline enum rc
run_end(struct told *t)
{
    assert_int_equal(t->times, 1);
    assert_false(redis_call_is_active(&t->call));
    return t->rc;
}

/* Sends, waits for the end, gives it. */
static inline enum rc
run(struct rig *rig, struct told *t, const char *words, int64_t timeout_ms)
{
    run_begin(rig, t, words, timeout_ms);
    AWAIT(rig, t->times > 0);
    return run_end(t);
}

/* The same. It is told no later than the turn in which the loop's clock shows
   that its time is over, however long the process had to wait for that turn. */
static inline enum rc
run_in_time(
    struct rig *rig, struct told *t, const char *words, int64_t timeout_ms)
{
    run_begin(rig, t, words, timeout_ms);
    while (t->times == 0) {
        /* A timer is a tick late, or two. */
        assert_true(loop_now_ms(rig->loop) < t->call.deadline_ms + 10);
        loop_turn(rig->loop, 20);
    }
    return run_end(t);
}

/* ---- a clock of the test's own ------------------------------------------ */

/* Time goes on by itself again. It never goes back: if it has been moved ahead,
   the kernel's catches up. */
static inline void
rig_start_clock(struct rig *rig)
{
    struct clock kernels;

    clock_init(&kernels);
    while (clock_now_us(&kernels) < clock_now_us(rig_clock(rig))) {
        pause_ms(5);
        clock_update(&kernels);
    }
    rig_clock(rig)->is_manual = false;
    loop_turn(rig->loop, 0);
}

/* As time_pass. */
static inline void
rig_pass(struct rig *rig, int64_t ms)
{
    time_pass(rig->loop, ms);
}

/* As run, but a millisecond passes with each turn and no other time. */
static inline enum rc
run_slowly(
    struct rig *rig, struct told *t, const char *words, int64_t timeout_ms)
{
    run_begin(rig, t, words, timeout_ms);
    while (t->times == 0) {
        loop_turn(rig->loop, 5);
        clock_advance(rig_clock(rig), 1);
    }
    return run_end(t);
}

#endif
