/*
 * The admin and metrics listeners, over real sockets. Everything runs on one
 * thread: who waits for an answer turns the loop meanwhile. Timeouts are met
 * by moving the loop's clock.
 */
#include "heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/clock_advance.h"
#include "app/admin_answer.h"
#include "nearside/app/admin.h"
#include "nearside/base/check.h"
#include "nearside/base/log.h"
#include "nearside/base/metric.h"
#include "../support/listening.h"
#include "nearside/net/loop.h"
#include "patience.h"

enum {
    CLIENTS_MAX = 64, /* as admin.c has it */
    BIG = 8 * 1024 * 1024,
    TEXT_MAX = BIG + 4096,
};

struct rig {
    struct loop *loop;
    struct admin *admin;
    struct metric_registry *registry;
    struct admin_sources sources;
    struct address bound;
    int listen_fd;
    char dir[32]; /* of the unix socket; "" without */
    struct log *log;
    char log_path[32];
    bool is_ready;
    size_t status_len; /* bytes of 's' in the status */
    enum rc status_rc;
    bool is_rung;
    size_t text_len;
    char *text; /* the answer read last */
};

static bool
on_is_ready(void *ctx)
{
    return ((struct rig *)ctx)->is_ready;
}

static enum rc
on_status(void *ctx, struct buf *out)
{
    struct rig *rig = ctx;
    char *room = buf_reserve(out, rig->status_len);

    if (room == NULL) {
        return RC_NOMEM;
    }
    memset(room, 's', rig->status_len);
    buf_commit(out, rig->status_len);
    return rig->status_rc;
}

#define until(rig, claim) TURN_UNTIL((rig)->loop, 1, claim)

static void
turns(struct rig *rig)
{
    for (int i = 0; i < 20; i++) {
        loop_turn(rig->loop, 0);
    }
}

static struct log *
log_of(struct rig *rig)
{
    const struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = rig->log_path},
        .access = {.target = LOG_TARGET_NONE},
        .level = LOG_LEVEL_INFO,
        .rate_max = 1000,
    };

    strcpy(rig->log_path, "/tmp/nearside-admin-log-XXXXXX");
    close(mkstemp(rig->log_path));
    assert_int_equal(log_open(&opts, &rig->log, NULL), RC_OK);
    return rig->log;
}

static void
rig_start(struct rig *rig, enum admin_kind kind, const char *at)
{
    struct address want;
    metric_id id;

    *rig = (struct rig){.is_ready = true, .status_len = 10};
    rig->loop = loop_new();
    rig->registry = metric_registry_new();
    id = metric_add(
        rig->registry, METRIC_COUNTER, "tests_total", "Tests.", NULL);
    metric_inc(metric_block_new(rig->registry), id);
    rig->sources = (struct admin_sources){
        .registry = rig->registry,
        .is_ready = on_is_ready,
        .status = on_status,
        .ctx = rig,
    };
    rig->text = malloc(TEXT_MAX);
    assert_int_equal(address_parse(slice_of_str(at), &want), RC_OK);
    assert_int_equal(listen_at(&want, &rig->listen_fd, &rig->bound), RC_OK);
    rig->admin = admin_new(rig->loop, rig->listen_fd, kind, &rig->sources,
        log_ring_new(log_of(rig)));
    assert_non_null(rig->admin);
}

static void
rig_start_unix(struct rig *rig, enum admin_kind kind)
{
    char dir[] = "/tmp/nearside-admin-XXXXXX";
    char at[64];

    assert_non_null(mkdtemp(dir));
    snprintf(at, sizeof(at), "unix:%s/s", dir);
    rig_start(rig, kind, at);
    memcpy(rig->dir, dir, sizeof(dir));
}

static void
rig_stop(struct rig *rig)
{
    admin_free(&rig->admin);
    assert_null(rig->admin);
    turns(rig);
    close(rig->listen_fd);
    loop_free(&rig->loop);
    metric_registry_free(&rig->registry);
    free(rig->text);
    if (rig->log != NULL) {
        log_close(&rig->log);
    }
    unlink(rig->log_path);
    if (rig->dir[0] != '\0') {
        unlink(rig->bound.u.unix_.sun_path);
        rmdir(rig->dir);
    }
}

/* How often that stands in the log. Nothing comes in any more. */
static unsigned
told(struct rig *rig, const char *part)
{
    char text[16384];
    int fd = open(rig->log_path, O_RDONLY | O_CLOEXEC);
    unsigned count = 0;
    ssize_t len;

    admin_free(&rig->admin);
    turns(rig);
    log_close(&rig->log);
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(len >= 0);
    text[len] = '\0';
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void
on_rung(void *ctx)
{
    ((struct rig *)ctx)->is_rung = true;
}

static struct clock *
stop_clock(struct rig *rig)
{
    struct clock *clock = (struct clock *)(uintptr_t)loop_clock(rig->loop);

    clock->is_manual = true;
    return clock;
}

/*
 * Moves the loop's time. A timer armed just before is due at once, and when
 * the kernel wakes the wheel for it, all others are looked at too. At least
 * 8 ms, two of the wheel's ticks: less may not reach the bell's.
 */
static void
advance(struct rig *rig, int64_t ms)
{
    struct clock *clock = stop_clock(rig);
    struct loop_timer bell;

    assert_true(ms >= 8);
    rig->is_rung = false;
    loop_timer_init(&bell, rig->loop, on_rung, rig);
    loop_timer_arm(&bell, loop_now_ms(rig->loop) + 1);
    clock_advance(clock, ms);
    until(rig, rig->is_rung);
    turns(rig);
}

/* --- the client's side --------------------------------------------------- */

static int
dial(struct rig *rig)
{
    int fd = socket(rig->bound.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &rig->bound.u.any, rig->bound.len), 0);
    return fd;
}

/* Sends all of it, or as much as the other side lets in. */
static void
say(struct rig *rig, int fd, struct slice bytes)
{
    int64_t until_ms = real_ms() + PATIENCE_MS;

    while (bytes.len > 0 && real_ms() < until_ms) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            return;
        }
        bytes = slice_skip(bytes, n < 0 ? 0 : (size_t)n);
        loop_turn(rig->loop, 0);
    }
    assert_int_equal(bytes.len, 0);
}

/* Reads until the answer has ended, at most `gulp` bytes a turn. */
static void
hear(struct rig *rig, int fd, size_t gulp)
{
    int64_t until_ms = real_ms() + PATIENCE_MS;
    size_t room;
    ssize_t n = -1;

    rig->text_len = 0;
    while (n != 0) {
        assert_true(real_ms() < until_ms);
        room = TEXT_MAX - 1 - rig->text_len;
        n = recv(fd, rig->text + rig->text_len, room < gulp ? room : gulp,
            MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN); /* and never a reset */
        }
        rig->text_len += n < 0 ? 0 : (size_t)n;
        loop_turn(rig->loop, n < 0 ? 1 : 0);
    }
    rig->text[rig->text_len] = '\0';
}

/* The whole answer to these bytes. */
static const char *
ask_slice(struct rig *rig, struct slice request)
{
    int fd = dial(rig);

    say(rig, fd, request);
    hear(rig, fd, TEXT_MAX);
    close(fd);
    turns(rig);
    return rig->text;
}

static const char *
ask(struct rig *rig, const char *request)
{
    return ask_slice(rig, slice_of_str(request));
}

static const char *
get(struct rig *rig, const char *path)
{
    char request[256];

    snprintf(request, sizeof(request),
        "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return ask(rig, request);
}

static unsigned
status_of(const char *answer)
{
    unsigned status = 0;

    if (sscanf(answer, "HTTP/1.1 %3u ", &status) != 1) {
        fail_msg("not an answer: '%.100s'", answer);
    }
    return status;
}

static const char *
body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* --- pages --------------------------------------------------------------- */

static void
answer_is_whole_and_closes(void **state)
{
    struct rig rig;
    const char *answer;
    const char *date;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    answer = get(&rig, "/livez");
    date = strstr(answer, "\r\nDate: ");
    assert_non_null(date);
    assert_memory_equal(date + 8 + 25, " GMT\r\n", 6);
    rig.text[date + 8 - answer] = '\0';
    assert_string_equal(answer, "HTTP/1.1 200 OK\r\nDate: ");
    assert_string_equal(date + 8 + 31,
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 3\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n"
        "\r\n"
        "ok\n");
    rig_stop(&rig);
}

static void
readyz_says_whether_requests_are_welcome(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "[::1]:0");
    assert_int_equal(status_of(get(&rig, "/readyz")), 200);
    assert_string_equal(body_of(rig.text), "ready\n");
    rig.is_ready = false;
    assert_int_equal(status_of(get(&rig, "/readyz")), 503);
    assert_string_equal(body_of(rig.text), "draining\n");
    assert_int_equal(status_of(get(&rig, "/livez")), 200);
    rig_stop(&rig);
}

static void
metrics_are_what_the_registry_renders(void **state)
{
    static const char want[] = "# HELP tests_total Tests.\n"
                               "# TYPE tests_total counter\n"
                               "tests_total 1\n"
                               "# HELP process_cpu_seconds_total ";
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    assert_int_equal(status_of(get(&rig, "/metrics?name=x")), 200);
    assert_memory_equal(body_of(rig.text), want, sizeof(want) - 1);
    assert_non_null(strstr(rig.text,
        "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    rig_stop(&rig);
}

static void
status_is_shown_by_the_admin_listener_alone(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    assert_int_equal(status_of(get(&rig, "/status")), 404);
    rig_stop(&rig);
    rig_start_unix(&rig, ADMIN_ADMIN);
    assert_int_equal(status_of(get(&rig, "/status")), 200);
    assert_string_equal(body_of(rig.text), "ssssssssss");
    assert_non_null(strstr(rig.text, "\r\nContent-Type: application/json\r\n"));
    assert_int_equal(status_of(get(&rig, "/metrics")), 200);
    assert_int_equal(status_of(get(&rig, "/livez")), 200);
    rig_stop(&rig);
}

static void
status_that_cannot_be_made_is_a_500_without_half_of_it(void **state)
{
    struct rig rig;

    (void)state;
    rig_start_unix(&rig, ADMIN_ADMIN);
    rig.status_rc = RC_NOMEM;
    assert_int_equal(status_of(get(&rig, "/status")), 500);
    assert_null(strstr(body_of(rig.text), "ss"));
    rig.status_rc = RC_OK;
    assert_int_equal(status_of(get(&rig, "/status")), 200);
    rig_stop(&rig);
}

static void
head_tells_the_length_and_sends_no_body(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    ask(&rig, "HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(status_of(rig.text), 200);
    assert_non_null(strstr(rig.text, "\r\nContent-Length: 3\r\n"));
    assert_string_equal(body_of(rig.text), "");
    ask(&rig, "HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(status_of(rig.text), 404);
    assert_string_equal(body_of(rig.text), "");
    rig_stop(&rig);
}

static void
unknown_path_is_a_404_with_a_short_text(void **state)
{
    static const char *const paths[] = {
        "/", "/livez/", "/LIVEZ", "/live", "/livezz", "//livez", "/metrics/x"};
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(status_of(get(&rig, paths[i])), 404);
        assert_string_equal(body_of(rig.text),
            "here are /livez, /readyz and /metrics; /status is at admin\n");
    }
    rig_stop(&rig);
}

/* --- what is refused ----------------------------------------------------- */

struct refused {
    const char *request;
    unsigned status;
};

#define HOST "Host: a\r\n"

static void
request_that_is_not_in_order_is_refused(void **state)
{
    static const struct refused cases[] = {
        {"POST /livez HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405},
        {"POST /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 405},
        {"DELETE /metrics HTTP/1.1\r\n" HOST "\r\n", 405},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405},
        {"BREW /nowhere HTTP/1.1\r\n" HOST "\r\n", 405},
        {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501},
        {"GET /livez HTTP/1.1\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET /livez HTTP/1.1\nHost: a\n\n", 400},
        {"GET /livez\r\n\r\n", 400},
        {"GET /livez HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET /livez HTTP/1.1\r\n" HOST "Bad Name: x\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400}, /* TLS */
        {"GET /livez HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
         "Transfer-Encoding: chunked\r\n\r\n",
            400},
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %.40s\n", cases[i].request);
        ask(&rig, cases[i].request);
        assert_int_equal(status_of(rig.text), cases[i].status);
        assert_non_null(strstr(rig.text, "\r\nConnection: close\r\n"));
        assert_true(strlen(body_of(rig.text)) > 5);
        assert_int_equal(strstr(rig.text, "\r\nAllow: GET, HEAD\r\n") != NULL,
            cases[i].status == 405);
    }
    rig_stop(&rig);
}

/* The log is told of what was no request, and by whom. */
static void
what_cannot_be_read_is_told(void **state)
{
    struct rig rig;
    char want[256];

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    ask(&rig, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    ask(&rig, "GET /livez HTTP/2.0\r\n" HOST "\r\n");
    assert_int_equal(status_of(rig.text), 505);
    rig.text[rig.text_len - 1] = '\0'; /* the body's newline */
    snprintf(want, sizeof(want),
        " info admin_refused status=505 cause=\"%s\" peer=\"127.0.0.1\"\n",
        body_of(rig.text));
    assert_int_equal(told(&rig, want), 1);
    rig_stop(&rig);
}

/* Then the status alone must do. */
static void
a_refusal_without_memory_has_no_text(void **state)
{
    struct admin_answer answer;

    (void)state;
    for (unsigned nth = 1; nth <= 2; nth++) {
        admin_answer_init(&answer);
        assert_int_equal(buf_append(&answer.body, SLICE("half a page")), RC_OK);
        heap_refuse(nth, 0);
        admin_answer_refusal(&answer, 500, "no memory", 0);
        if (heap_refused()) {
            assert_int_equal(buf_len(&answer.body), 0);
        } else {
            assert_true(
                slice_eq(buf_slice(&answer.body), SLICE("no memory\n")));
        }
        answer.head[answer.head_len] = '\0';
        assert_memory_equal(answer.head, "HTTP/1.1 500 ", 13);
        assert_int_equal(
            strstr(answer.head, "\r\nContent-Length: 0\r\n") != NULL,
            buf_len(&answer.body) == 0);
        admin_answer_fini(&answer);
    }
}

/* A head of `size` bytes in all. */
static struct slice
head_sized(char *room, size_t size)
{
    int len = sprintf(room, "GET /livez HTTP/1.1\r\n" HOST "X-Long: ");
    size_t second = size / 2;

    memset(room + len, 'a', size - (size_t)len);
    memcpy(room + second, "\r\nY: ", 5); /* no line is too long by itself */
    memcpy(room + size - 4, "\r\n\r\n", 4);
    return slice_of(room, size);
}

static void
head_may_have_8_kib_and_no_byte_more(void **state)
{
    static char room[80 * 1024];
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    ask_slice(&rig, head_sized(room, 8192));
    assert_int_equal(status_of(rig.text), 200);
    ask_slice(&rig, head_sized(room, 8193));
    assert_int_equal(status_of(rig.text), 431);
    /* Who has more under way still gets the answer, not a reset. */
    ask_slice(&rig, head_sized(room, 15000));
    assert_int_equal(status_of(rig.text), 431);
    memset(room, 'a', sizeof(room));
    memcpy(room, "GET /", 5);
    ask_slice(&rig, slice_of(room, 60000));
    assert_int_equal(status_of(rig.text), 414);
    rig_stop(&rig);
}

/* Whom a name leads here is not ours to know: admin over TCP takes none. */
static void
admin_over_tcp_is_asked_by_number_or_as_localhost(void **state)
{
    static const struct {
        const char *host;
        bool is_ours;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.0.0.1:9146", true},
        {"10.1.2.3", true},
        {"[::1]", true},
        {"[::1]:9146", true},
        {"localhost", true},
        {"LocalHost:80", true},
        {"evil.example", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example:80", false},
        {"1", false},
        {"nearside-1:9145", false},
    };
    struct rig rig;
    char request[256];

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 2) {
            rig_start_unix(&rig, ADMIN_ADMIN);
        } else {
            rig_start(&rig, kind ? ADMIN_ADMIN : ADMIN_METRICS, "127.0.0.1:0");
        }
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            bool is_ours = cases[i].is_ours || kind != 1;

            snprintf(request, sizeof(request),
                "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host);
            assert_int_equal(
                status_of(ask(&rig, request)), is_ours ? 200 : 421);
        }
        rig_stop(&rig);
    }
}

static void
probe_without_host_is_answered_in_http_1_0(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    assert_int_equal(status_of(ask(&rig, "GET /livez HTTP/1.0\r\n\r\n")), 200);
    rig_stop(&rig);
}

/* --- how it comes -------------------------------------------------------- */

static void
head_may_come_byte_by_byte(void **state)
{
    static const char request[] = "GET /livez HTTP/1.1\r\n" HOST "\r\n";
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    fd = dial(&rig);
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say(&rig, fd, slice_of(request + i, 1));
        turns(&rig);
    }
    hear(&rig, fd, 1);
    assert_int_equal(status_of(rig.text), 200);
    assert_string_equal(body_of(rig.text), "ok\n");
    close(fd);
    rig_stop(&rig);
}

static void
what_follows_a_request_gets_no_answer(void **state)
{
    static const char *const tails[] = {
        "GET /readyz HTTP/1.1\r\n" HOST "\r\n",
        "\x01\x02garbage\r\n\r\n",
        "\r\n\r\n",
    };
    struct rig rig;
    char request[256];

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        snprintf(request, sizeof(request),
            "GET /livez HTTP/1.1\r\n" HOST "\r\n%s", tails[i]);
        ask(&rig, request);
        assert_int_equal(status_of(rig.text), 200);
        assert_string_equal(body_of(rig.text), "ok\n");
    }
    rig_stop(&rig);
}

static void
client_that_ends_its_side_first_is_answered(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    fd = dial(&rig);
    say(&rig, fd, SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    shutdown(fd, SHUT_WR);
    hear(&rig, fd, TEXT_MAX);
    assert_int_equal(status_of(rig.text), 200);
    close(fd);
    rig_stop(&rig);
}

static void
half_a_head_and_an_end_is_no_request(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    fd = dial(&rig);
    say(&rig, fd, SLICE("GET /livez HTTP/1.1\r\n"));
    shutdown(fd, SHUT_WR);
    hear(&rig, fd, TEXT_MAX);
    assert_string_equal(rig.text, "");
    close(fd);
    rig_stop(&rig);
}

/* --- time ---------------------------------------------------------------- */

static bool
is_silent(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void
head_has_five_seconds_in_all(void **state)
{
    struct rig rig;
    int slow;
    int mute;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    slow = dial(&rig);
    mute = dial(&rig);
    say(&rig, slow, SLICE("GET /livez HT"));
    turns(&rig);
    advance(&rig, 2500);
    say(&rig, slow, SLICE("TP/1.1\r\n")); /* earns no time */
    advance(&rig, 2400);
    assert_true(is_silent(slow));
    assert_true(is_silent(mute));
    advance(&rig, 110);
    hear(&rig, slow, TEXT_MAX);
    assert_int_equal(status_of(rig.text), 408);
    hear(&rig, mute, TEXT_MAX);
    assert_string_equal(rig.text, "");
    close(slow);
    close(mute);
    assert_int_equal(told(&rig, " info admin_refused status=408 cause=\"head "
                                "timeout\" peer=\"127.0.0.1\"\n"),
        1);
    rig_stop(&rig);
}

/* Does sending meet a reset? It takes a few bytes and a moment to be told,
   far fewer than any limit here: a claim that it does may wait for many, a
   claim that it does not should not take long. */
static bool
is_left(struct rig *rig, int fd, int tries)
{
    for (int i = 0; i < tries; i++) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) {
            return true;
        }
        for (int turn = 0; turn < 10; turn++) {
            loop_turn(rig->loop, 1);
        }
    }
    return false;
}

static void
client_that_never_hangs_up_is_left_after_a_second(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    fd = dial(&rig);
    say(&rig, fd, SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    hear(&rig, fd, TEXT_MAX);
    advance(&rig, 900);
    assert_false(is_left(&rig, fd, 5));
    advance(&rig, 110);
    assert_true(is_left(&rig, fd, 200));
    close(fd);
    rig_stop(&rig);
}

static void
client_that_goes_on_sending_is_left_after_64_kib(void **state)
{
    static const char flood[60 * 1024];
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    advance(&rig, 10); /* from here on time stands still */
    fd = dial(&rig);
    say(&rig, fd, SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    hear(&rig, fd, TEXT_MAX);
    say(&rig, fd, slice_of(flood, sizeof(flood)));
    assert_false(is_left(&rig, fd, 5));
    say(&rig, fd, slice_of(flood, 5 * 1024));
    assert_true(is_left(&rig, fd, 200));
    close(fd);
    rig_stop(&rig);
}

/* A client with a small window, so that a big answer has to wait for it. */
static int
dial_narrow(struct rig *rig)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size = 4096;

    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    assert_int_equal(connect(fd, &rig->bound.u.any, rig->bound.len), 0);
    return fd;
}

static const struct slice big_request = {
    "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 41};

static void
big_answer_reaches_a_slow_reader_whole(void **state)
{
    struct rig rig;
    const char *body;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    rig.status_len = BIG;
    fd = dial_narrow(&rig);
    say(&rig, fd, big_request);
    turns(&rig);
    assert_int_equal(status_of(get(&rig, "/livez")), 200); /* meanwhile */
    hear(&rig, fd, 65536);
    assert_int_equal(status_of(rig.text), 200);
    body = body_of(rig.text);
    assert_int_equal(rig.text + rig.text_len - body, BIG);
    assert_int_equal(strspn(body, "s"), BIG);
    close(fd);
    rig_stop(&rig);
}

/* What it says meanwhile is left where it is until the answer is out. */
static void
who_goes_on_sending_gets_the_whole_answer(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    rig.status_len = BIG;
    fd = dial_narrow(&rig);
    say(&rig, fd, big_request);
    turns(&rig);
    say(&rig, fd, big_request);
    turns(&rig);
    hear(&rig, fd, 65536);
    assert_int_equal(status_of(rig.text), 200);
    assert_int_equal(strspn(body_of(rig.text), "s"), BIG);
    close(fd);
    rig_stop(&rig);
}

static void
answer_that_is_not_read_in_ten_seconds_is_broken_off(void **state)
{
    struct rig rig;
    ssize_t n;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    rig.status_len = BIG;
    (void)get(&rig, "/livez"); /* the loop has what it needs for one */
    heap_begins();
    fd = dial_narrow(&rig);
    say(&rig, fd, big_request);
    turns(&rig);
    advance(&rig, 9900);
    assert_int_equal(recv(fd, rig.text, 1, MSG_DONTWAIT), 1);
    advance(&rig, 110);
    do {
        n = recv(fd, rig.text, TEXT_MAX, 0);
    } while (n > 0);
    /* With a reset: it must not look like a whole answer. */
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    heap_ends();
    close(fd);
    rig_stop(&rig);
}

/* --- many ---------------------------------------------------------------- */

static void
hundred_clients_at_once_are_all_answered(void **state)
{
    struct rig rig;
    int fds[100];

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    stop_clock(&rig); /* else some are too late to speak, and give way */
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(&rig);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        say(&rig, fds[i], SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        hear(&rig, fds[i], TEXT_MAX);
        assert_int_equal(status_of(rig.text), 200);
        close(fds[i]);
    }
    rig_stop(&rig);
}

static void
livez(struct rig *rig)
{
    int fd = dial(rig);

    say(rig, fd, SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    hear(rig, fd, TEXT_MAX);
    assert_int_equal(status_of(rig->text), 200);
    close(fd);
}

/* It waits for as long as those may need to speak who have only just come. */
static void
a_probe_does_not_wait_for_clients_that_want_nothing(void **state)
{
    static const struct slice heads[] = {{NULL, 0}, {"GET /li", 7}};
    struct rig rig;
    int fds[CLIENTS_MAX + 6];

    (void)state;
    for (size_t what = 0; what < ARRAY_LEN(heads); what++) {
        rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            fds[i] = dial(&rig);
            if (heads[what].len > 0) {
                say(&rig, fds[i], heads[what]);
            }
        }
        turns(&rig);
        advance(&rig, 110);
        for (int i = 0; i < 3; i++) {
            livez(&rig);
        }
        /* Who came first has gone first, and the last one is there. */
        assert_false(is_silent(fds[0]));
        assert_true(is_silent(fds[ARRAY_LEN(fds) - 1]));
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            close(fds[i]);
        }
        /* Six for the last six, and one for all probes together. */
        assert_int_equal(told(&rig, " warn admin_full connections=64 "
                                    "gone=\"127.0.0.1\"\n"),
            7);
        rig_stop(&rig);
    }
}

/* While all are being answered, one more waits until one of them ends. */
static void
nobody_who_is_being_answered_gives_way(void **state)
{
    struct rig rig;
    int fds[CLIENTS_MAX];
    int fd;

    (void)state;
    rig_start_unix(&rig, ADMIN_ADMIN); /* its buffers do not grow */
    rig.status_len = BIG / 8;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(&rig);
        say(&rig, fds[i], big_request);
    }
    turns(&rig);
    fd = dial(&rig);
    say(&rig, fd, SLICE("GET /livez HTTP/1.1\r\n" HOST "\r\n"));
    turns(&rig);
    assert_true(is_silent(fd));
    close(fds[7]);
    hear(&rig, fd, TEXT_MAX);
    assert_int_equal(status_of(rig.text), 200);
    close(fd);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (i != 7) {
            close(fds[i]);
        }
    }
    rig_stop(&rig);
}

static void
reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

/* More of them than there is room for: each must give its place back. */
static void
clients_that_vanish_leave_nothing_behind(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    rig.status_len = BIG;
    for (int i = 0; i < 3 * CLIENTS_MAX; i++) {
        int fd = dial(&rig);

        if (i % 3 == 1) {
            say(&rig, fd, SLICE("GET /li"));
        } else if (i % 3 == 2) {
            say(&rig, fd, big_request);
            until(&rig, recv(fd, rig.text, 1000, MSG_DONTWAIT) > 0);
        }
        reset(fd);
    }
    rig.status_len = 10;
    assert_int_equal(status_of(get(&rig, "/status")), 200);
    rig_stop(&rig);
}

/* And nothing of it is kept until the end. */
static void
a_client_that_is_gone_leaves_no_block(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    (void)get(&rig, "/livez"); /* the loop has what it needs for one */
    heap_begins();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(status_of(get(&rig, "/livez")), 200);
        assert_int_equal(status_of(get(&rig, "/nowhere")), 404);
    }
    heap_ends();
    rig_stop(&rig);
}

static void
a_client_that_there_is_no_memory_for_is_left(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    (void)get(&rig, "/livez");
    heap_begins();
    for (unsigned nth = 1; nth <= 2; nth++) {
        int fd = dial(&rig);

        heap_refuse(nth, 0);
        turns(&rig);
        assert_true(heap_refused());
        hear(&rig, fd, TEXT_MAX);
        assert_string_equal(rig.text, "");
        close(fd);
    }
    heap_ends();
    assert_int_equal(status_of(get(&rig, "/livez")), 200);
    rig_stop(&rig);
}

static void
admin_may_be_freed_with_clients_in_every_state(void **state)
{
    struct rig rig;
    int fds[5];

    (void)state;
    rig_start(&rig, ADMIN_ADMIN, "127.0.0.1:0");
    rig.status_len = BIG;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial_narrow(&rig);
    }
    say(&rig, fds[1], SLICE("GET /"));
    say(&rig, fds[2], big_request);
    say(&rig, fds[3], SLICE("GET /livez HTTP/1.0\r\n\r\n"));
    close(fds[4]);
    turns(&rig);
    admin_free(&rig.admin);
    advance(&rig, 20000); /* none of their times comes any more */
    rig_stop(&rig);
    for (size_t i = 0; i < 4; i++) {
        close(fds[i]);
    }
}

/* --- ends -------------------------------------------------------------- */

/* The listening fd is the caller's and stays open: who comes to it then is
   accepted by nobody. None at all is freed as well. */
static void
one_that_is_freed_accepts_nobody(void **state)
{
    struct rig rig;
    struct admin *none = NULL;
    int late;
    int fd;

    (void)state;
    rig_start(&rig, ADMIN_METRICS, "127.0.0.1:0");
    admin_free(&rig.admin);
    late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, &rig.bound.u.any, rig.bound.len), 0);
    turns(&rig);
    fd = accept(rig.listen_fd, NULL, NULL);
    assert_true(fd >= 0);
    close(fd);
    close(late);
    admin_free(&none);
    rig_stop(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_is_whole_and_closes),
        cmocka_unit_test(one_that_is_freed_accepts_nobody),
        cmocka_unit_test(readyz_says_whether_requests_are_welcome),
        cmocka_unit_test(metrics_are_what_the_registry_renders),
        cmocka_unit_test(status_is_shown_by_the_admin_listener_alone),
        cmocka_unit_test(
            status_that_cannot_be_made_is_a_500_without_half_of_it),
        cmocka_unit_test(head_tells_the_length_and_sends_no_body),
        cmocka_unit_test(unknown_path_is_a_404_with_a_short_text),
        cmocka_unit_test(request_that_is_not_in_order_is_refused),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(a_refusal_without_memory_has_no_text),
        cmocka_unit_test(head_may_have_8_kib_and_no_byte_more),
        cmocka_unit_test(admin_over_tcp_is_asked_by_number_or_as_localhost),
        cmocka_unit_test(probe_without_host_is_answered_in_http_1_0),
        cmocka_unit_test(head_may_come_byte_by_byte),
        cmocka_unit_test(what_follows_a_request_gets_no_answer),
        cmocka_unit_test(client_that_ends_its_side_first_is_answered),
        cmocka_unit_test(half_a_head_and_an_end_is_no_request),
        cmocka_unit_test(head_has_five_seconds_in_all),
        cmocka_unit_test(client_that_never_hangs_up_is_left_after_a_second),
        cmocka_unit_test(client_that_goes_on_sending_is_left_after_64_kib),
        cmocka_unit_test(big_answer_reaches_a_slow_reader_whole),
        cmocka_unit_test(who_goes_on_sending_gets_the_whole_answer),
        cmocka_unit_test(answer_that_is_not_read_in_ten_seconds_is_broken_off),
        cmocka_unit_test(hundred_clients_at_once_are_all_answered),
        cmocka_unit_test(a_probe_does_not_wait_for_clients_that_want_nothing),
        cmocka_unit_test(nobody_who_is_being_answered_gives_way),
        cmocka_unit_test(clients_that_vanish_leave_nothing_behind),
        cmocka_unit_test(a_client_that_is_gone_leaves_no_block),
        cmocka_unit_test(a_client_that_there_is_no_memory_for_is_left),
        cmocka_unit_test(admin_may_be_freed_with_clients_in_every_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
