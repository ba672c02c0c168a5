/*
 * The sample API: a products service as a team would have one, slow on
 * purpose, to put behind nearside. On libevent's evhttp, over a SQLite file.
 *
 *   /products/:id   GET HEAD PUT PATCH POST DELETE; each takes --latency-ms
 *   /products       POST: creates one, its id in Location
 *   /stats          counts of requests and database queries, as JSON
 *   /control        ?latency_ms=N  ?cache_control=VALUE  ?hold=METHOD
 *                   change what runs; `hold` keeps back the answers of the
 *                   products' METHOD, already read from the database, until
 *                   another ?hold= names something else or nothing
 *
 * and for tests, each also answering with the fields of its query
 * (`/header?cache-control=max-age=5&vary=accept`):
 *
 *   /header         200 and a body that differs every time
 *   /status/CODE    that status
 *   /sleep/MS       200 after that time
 *   /bytes/N        N bytes of a pattern (upload.h); ?chunked=1
 *   /echo           the head of the request as text, as evhttp read it
 *   /upload         counts the request's body; evhttp holds it in memory
 *                   whole, so large ones go to --upload-port (upload.h)
 *
 * One thread. A request is answered by a job: made when it arrives, run when
 * its time has come. evhttp does not read on while a request is open, so a
 * client that leaves is noticed when its job writes; evhttp then takes the
 * connection from the request, and on_closed buries both.
 */
#include "products.h"
#include "upload.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>

#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

enum {
    BACKLOG = 4096,
    CACHE_CONTROL_MAX = 256,
    HTTP_DATE_MAX = 30, /* Sun, 06 Nov 1994 08:49:37 GMT */
};

/* The methods there are; the bits are evhttp's. */
static const struct method {
    enum evhttp_cmd_type bit;
    const char *name;
} METHODS[] = {
    {EVHTTP_REQ_GET, "GET"},
    {EVHTTP_REQ_HEAD, "HEAD"},
    {EVHTTP_REQ_PUT, "PUT"},
    {EVHTTP_REQ_PATCH, "PATCH"},
    {EVHTTP_REQ_POST, "POST"},
    {EVHTTP_REQ_DELETE, "DELETE"},
    {EVHTTP_REQ_OPTIONS, "OPTIONS"},
};
enum {
    METHOD_COUNT = sizeof(METHODS) / sizeof(METHODS[0]),
};

struct opts {
    const char *host;
    const char *db;
    uint16_t port;
    int upload_port; /* -1: no upload listener */
    int64_t products;
    int64_t latency_ms;
    int idle_s;
    const char *cache_control;
};

struct job {
    TAILQ_ENTRY(job) in_all;
    struct origin *origin;
    struct evhttp_request *req;
    struct event *timer;
    bool is_held; /* its time has come, but ?hold= keeps it back */
    int code;
    struct evbuffer *body; /* NULL: none */
    int64_t stream_left;   /* of /bytes; -1: no stream */
    int64_t stream_at;
};

struct origin {
    TAILQ_HEAD(, job) jobs;
    struct event_base *base;
    struct evhttp *http;
    struct uploads *uploads;
    struct products *products;
    struct event *on_term;
    struct event *on_int;
    int64_t latency_ms;
    int held;                              /* bits of the methods kept back */
    char cache_control[CACHE_CONTROL_MAX]; /* of products; empty: none */
    uint64_t requests;                     /* but /stats and /control */
    uint64_t not_modified;
    uint64_t by_method[METHOD_COUNT];
    unsigned char pattern[PATTERN_LEN];
};

/* --- Jobs ---------------------------------------------------------------- */

/* The job's end; whoever calls it has answered or freed the request. */
static void
job_free(struct job *job)
{
    TAILQ_REMOVE(&job->origin->jobs, job, in_all);
    event_free(job->timer);
    if (job->body != NULL) {
        evbuffer_free(job->body);
    }
    free(job);
}

/* The client has gone: evhttp has let go of the request. */
static void
on_closed(struct evhttp_connection *conn, void *ctx)
{
    struct job *job = ctx;
    struct evhttp_request *req = job->req;

    (void)conn;
    job_free(job);
    evhttp_request_free(req);
}

/* No more on_closed for this job. */
static void
forget_connection(struct job *job)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(job->req);

    if (conn != NULL) {
        evhttp_connection_set_closecb(conn, NULL, NULL);
    }
}

/*
 * The next run of the pattern. Called again when the socket has taken the
 * one before, so a slow reader costs one run of memory.
 */
static void
stream_on(struct evhttp_connection *conn, void *ctx)
{
    struct job *job = ctx;
    struct evhttp_request *req = job->req;
    int64_t at = job->stream_at % PATTERN_LEN;
    int64_t n = PATTERN_LEN - at;

    (void)conn;
    if (job->stream_left == 0) {
        forget_connection(job);
        job_free(job);
        evhttp_send_reply_end(req);
        return;
    }
    n = n > job->stream_left ? job->stream_left : n;
    job->stream_at += n;
    job->stream_left -= n;
    evbuffer_add_reference(
        job->body, job->origin->pattern + at, (size_t)n, NULL, NULL);
    evhttp_send_reply_chunk_with_cb(req, job->body, stream_on, job);
}

static void
job_run(struct job *job)
{
    struct evhttp_request *req = job->req;
    bool has_body = evhttp_request_get_command(req) != EVHTTP_REQ_HEAD;

    if (job->stream_left >= 0 && has_body) {
        evhttp_send_reply_start(req, job->code, NULL);
        stream_on(NULL, job);
        return;
    }
    forget_connection(job);
    evhttp_send_reply(req, job->code, NULL, has_body ? job->body : NULL);
    job_free(job);
}

static bool
is_product(const struct evhttp_request *req)
{
    return strncmp(evhttp_request_get_uri(req), "/products", 9) == 0;
}

static void
on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct job *job = ctx;

    (void)fd;
    (void)what;
    job->is_held =
        is_product(job->req) &&
        ((int)evhttp_request_get_command(job->req) & job->origin->held) != 0;
    if (!job->is_held) {
        job_run(job);
    }
}

/*
 * Answers req after `delay_ms`. own_body may be NULL. The body's length is
 * stated for a HEAD too.
 */
static struct job *
answer_later(struct origin *o, struct evhttp_request *req, int code,
    struct evbuffer *own_body, int64_t delay_ms)
{
    const struct timeval delay = {
        .tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    struct job *job = calloc(1, sizeof(*job));
    char length[24];

    if (job == NULL) {
        abort();
    }
    job->origin = o;
    job->req = req;
    job->code = code;
    job->body = own_body;
    job->stream_left = -1;
    job->timer = event_new(o->base, -1, 0, on_time, job);
    TAILQ_INSERT_TAIL(&o->jobs, job, in_all);
    if (own_body != NULL &&
        evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
        snprintf(length, sizeof(length), "%zu", evbuffer_get_length(own_body));
        evhttp_add_header(
            evhttp_request_get_output_headers(req), "Content-Length", length);
    }
    evhttp_connection_set_closecb(
        evhttp_request_get_connection(req), on_closed, job);
    event_add(job->timer, &delay);
    return job;
}

static void
add_field(struct evhttp_request *req, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static struct evbuffer *
text(const char *s, size_t len)
{
    struct evbuffer *b = evbuffer_new();

    evbuffer_add(b, s, len);
    return b;
}

static void
answer_error(struct origin *o, struct evhttp_request *req, int code,
    const char *what, int64_t delay_ms)
{
    struct evbuffer *body = evbuffer_new();

    evbuffer_add_printf(body, "{\"error\":\"%s\"}", what);
    add_field(req, "Content-Type", "application/json");
    answer_later(o, req, code, body, delay_ms);
}

/* --- Products ------------------------------------------------------------ */

static void
http_date(int64_t seconds, char out[HTTP_DATE_MAX])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Weak comparison (RFC 9110 8.8.3.2) of tag with each in the list. */
static bool
etag_is_in(const char *list, const char *tag)
{
    const char *at = strstr(list, tag);

    return strcmp(list, "*") == 0 || at != NULL;
}

static bool
is_not_modified(
    struct evhttp_request *req, const char *etag, const struct product *product)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req);
    const char *list = evhttp_find_header(in, "If-None-Match");
    const char *since = evhttp_find_header(in, "If-Modified-Since");
    struct tm tm = {0};

    if (list != NULL) {
        return etag_is_in(list, etag);
    }
    return since != NULL &&
           strptime(since, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL &&
           product->modified <= (int64_t)timegm(&tm);
}

static void
answer_product(struct origin *o, struct evhttp_request *req, int code,
    const struct product *product)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    bool is_read = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    char etag[64];
    char date[HTTP_DATE_MAX];

    snprintf(etag, sizeof(etag), "\"%" PRId64 "-%" PRId64 "\"", product->id,
        product->version);
    http_date(product->modified, date);
    add_field(req, "ETag", etag);
    add_field(req, "Last-Modified", date);
    if (o->cache_control[0] != '\0') {
        add_field(req, "Cache-Control", o->cache_control);
    }
    if (is_read && is_not_modified(req, etag, product)) {
        o->not_modified++;
        answer_later(o, req, 304, NULL, o->latency_ms);
        return;
    }
    add_field(req, "Content-Type", "application/json");
    answer_later(
        o, req, code, text(product->json, product->json_len), o->latency_ms);
}

static void
answer_outcome(struct origin *o, struct evhttp_request *req, enum product_rc rc,
    const struct product *product)
{
    switch (rc) {
    case PRODUCT_OK:
        answer_product(o, req, 200, product);
        break;
    case PRODUCT_CREATED:
        answer_product(o, req, 201, product);
        break;
    case PRODUCT_MISSING:
        answer_error(o, req, 404, "no such product", o->latency_ms);
        break;
    case PRODUCT_EXISTS:
        answer_error(o, req, 409, "this product exists", o->latency_ms);
        break;
    case PRODUCT_BAD:
        answer_error(o, req, 400, "expected an object with a name and a price",
            o->latency_ms);
        break;
    case PRODUCT_BROKEN:
        answer_error(o, req, 500, "the database failed", o->latency_ms);
        break;
    }
}

/* An If-Match that names another version: answered with 412. */
static bool
is_refused(struct origin *o, struct evhttp_request *req, int64_t id)
{
    const char *list =
        evhttp_find_header(evhttp_request_get_input_headers(req), "If-Match");
    struct product now;
    char etag[64];

    if (list == NULL) {
        return false;
    }
    if (products_get(o->products, id, &now) == PRODUCT_OK) {
        snprintf(etag, sizeof(etag), "\"%" PRId64 "-%" PRId64 "\"", now.id,
            now.version);
        if (etag_is_in(list, etag)) {
            return false;
        }
    }
    answer_error(o, req, 412, "it has changed since", o->latency_ms);
    return true;
}

static void
on_create(struct origin *o, struct evhttp_request *req, int64_t id,
    struct product_body body)
{
    struct product product;
    enum product_rc rc = products_post(o->products, id, body, &product);
    char where[48];

    if (rc == PRODUCT_CREATED) {
        snprintf(where, sizeof(where), "/products/%" PRId64, product.id);
        add_field(req, "Location", where);
    }
    answer_outcome(o, req, rc, &product);
}

static void
on_delete(struct origin *o, struct evhttp_request *req, int64_t id)
{
    enum product_rc rc = products_delete(o->products, id);

    if (rc == PRODUCT_OK) {
        answer_later(o, req, 204, NULL, o->latency_ms);
    } else {
        answer_outcome(o, req, rc, NULL);
    }
}

static void
on_write(struct origin *o, struct evhttp_request *req, int64_t id)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(in);
    struct product_body body = {(const char *)evbuffer_pullup(in, -1), len};
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    struct product product;

    if (is_refused(o, req, id)) {
        return;
    }
    if (method == EVHTTP_REQ_PUT) {
        answer_outcome(
            o, req, products_put(o->products, id, body, &product), &product);
    } else if (method == EVHTTP_REQ_PATCH) {
        answer_outcome(
            o, req, products_patch(o->products, id, body, &product), &product);
    } else if (method == EVHTTP_REQ_POST) {
        on_create(o, req, id, body);
    } else if (method == EVHTTP_REQ_DELETE) {
        on_delete(o, req, id);
    } else {
        add_field(req, "Allow", "GET, HEAD, PUT, PATCH, POST, DELETE");
        answer_error(o, req, 405, "no such method here", o->latency_ms);
    }
}

/* The id behind /products/, 0 for none, -1 for what is not a number. */
static int64_t
product_id(const char *path)
{
    const char *s = path + strlen("/products");
    size_t len = strlen(s);

    if (len == 0 || strcmp(s, "/") == 0) {
        return 0;
    }
    if (s[0] != '/' || len > 19 || strspn(s + 1, "0123456789") != len - 1) {
        return -1;
    }
    return strtoll(s + 1, NULL, 10) > 0 ? strtoll(s + 1, NULL, 10) : -1;
}

static void
on_products(struct origin *o, struct evhttp_request *req, const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    int64_t id = product_id(path);
    struct product product;

    if (id < 0 || (id == 0 && method != EVHTTP_REQ_POST)) {
        answer_error(o, req, 404, "no such product", o->latency_ms);
    } else if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) {
        answer_outcome(
            o, req, products_get(o->products, id, &product), &product);
    } else {
        on_write(o, req, id);
    }
}

/* --- What runs, and what it counted -------------------------------------- */

static size_t
held_count(const struct origin *o)
{
    const struct job *job;
    size_t n = 0;

    TAILQ_FOREACH(job, &o->jobs, in_all)
    {
        n += job->is_held;
    }
    return n;
}

static void
on_stats(struct origin *o, struct evhttp_request *req)
{
    struct evbuffer *body = evbuffer_new();

    evbuffer_add_printf(body,
        "{\"requests\":%" PRIu64 ",\"queries\":%" PRIu64
        ",\"not_modified\":%" PRIu64 ",\"held\":%zu,\"latency_ms\":%" PRId64
        ",\"methods\":{",
        o->requests, products_queries(o->products), o->not_modified,
        held_count(o), o->latency_ms);
    for (int i = 0; i < METHOD_COUNT; i++) {
        evbuffer_add_printf(body, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",",
            METHODS[i].name, o->by_method[i]);
    }
    evbuffer_add_printf(body, "}}");
    add_field(req, "Content-Type", "application/json");
    add_field(req, "Cache-Control", "no-store");
    answer_later(o, req, 200, body, 0);
}

static void
set_hold(struct origin *o, const char *name)
{
    struct job *job;
    struct job *next;

    o->held = 0;
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (strcasecmp(METHODS[i].name, name) == 0) {
            o->held = (int)METHODS[i].bit;
        }
    }
    for (job = TAILQ_FIRST(&o->jobs); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_all);
        if (job->is_held) {
            on_time(-1, 0, job);
        }
    }
}

static void
on_control(
    struct origin *o, struct evhttp_request *req, const struct evkeyvalq *query)
{
    const struct evkeyval *kv;

    TAILQ_FOREACH(kv, query, next)
    {
        if (strcmp(kv->key, "latency_ms") == 0) {
            o->latency_ms = strtoll(kv->value, NULL, 10);
        } else if (strcmp(kv->key, "cache_control") == 0) {
            snprintf(
                o->cache_control, sizeof(o->cache_control), "%s", kv->value);
        } else if (strcmp(kv->key, "hold") == 0) {
            set_hold(o, kv->value);
        } else {
            answer_error(o, req, 400, "no such control", 0);
            return;
        }
    }
    on_stats(o, req);
}

/* --- The tests' paths ---------------------------------------------------- */

static void
on_bytes(struct origin *o, struct evhttp_request *req, int64_t n,
    const struct evkeyvalq *query)
{
    const char *chunked = evhttp_find_header(query, "chunked");
    struct job *job;
    char length[24];

    add_field(req, "Content-Type", "application/octet-stream");
    if (chunked == NULL || strcmp(chunked, "0") == 0) {
        snprintf(length, sizeof(length), "%" PRId64, n);
        add_field(req, "Content-Length", length);
    }
    job = answer_later(o, req, 200, NULL, 0);
    job->body = evbuffer_new();
    job->stream_left = n;
}

static void
on_echo(struct origin *o, struct evhttp_request *req, const char *method)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req);
    struct evbuffer *body = evbuffer_new();
    const struct evkeyval *kv;

    evbuffer_add_printf(body, "%s %s HTTP/%d.%d\n", method,
        evhttp_request_get_uri(req), req->major, req->minor);
    TAILQ_FOREACH(kv, in, next)
    {
        evbuffer_add_printf(body, "%s: %s\n", kv->key, kv->value);
    }
    add_field(req, "Content-Type", "text/plain");
    answer_later(o, req, 200, body, 0);
}

static void
on_upload(struct origin *o, struct evhttp_request *req)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(in);
    const unsigned char *bytes = evbuffer_pullup(in, -1);
    bool is_pattern = true;
    struct evbuffer *body = evbuffer_new();

    for (size_t i = 0; i < len && is_pattern; i++) {
        is_pattern = bytes[i] == o->pattern[i % PATTERN_LEN];
    }
    evbuffer_add_printf(body, "{\"bytes\":%zu,\"is_pattern\":%s}", len,
        is_pattern ? "true" : "false");
    add_field(req, "Content-Type", "application/json");
    answer_later(o, req, 200, body, 0);
}

/* Answers `what` with a body that no other answer has. */
static void
on_status(
    struct origin *o, struct evhttp_request *req, int code, int64_t delay_ms)
{
    struct evbuffer *body = evbuffer_new();

    if (code < 200 || code > 599) {
        evbuffer_free(body);
        answer_error(o, req, 400, "a final status, please", 0);
        return;
    }
    if (code == 204 || code == 304) {
        evbuffer_free(body);
        body = NULL;
    } else {
        evbuffer_add_printf(body, "{\"answer\":%" PRIu64 "}", o->requests);
        add_field(req, "Content-Type", "application/json");
    }
    answer_later(o, req, code, body, delay_ms);
}

static void
add_query_fields(struct evhttp_request *req, const struct evkeyvalq *query)
{
    const struct evkeyval *kv;

    TAILQ_FOREACH(kv, query, next)
    {
        if (strcmp(kv->key, "chunked") != 0) {
            add_field(req, kv->key, kv->value);
        }
    }
}

/* The number behind a prefix such as "/bytes/"; -1: path is another. */
static int64_t
number_after(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(path, prefix, len) != 0 || path[len] == '\0' ||
        strspn(path + len, "0123456789") != strlen(path + len)) {
        return -1;
    }
    return strtoll(path + len, NULL, 10);
}

static void
on_test_path(struct origin *o, struct evhttp_request *req, const char *path,
    const struct evkeyvalq *query)
{
    add_query_fields(req, query);
    if (number_after(path, "/bytes/") >= 0) {
        on_bytes(o, req, number_after(path, "/bytes/"), query);
    } else if (number_after(path, "/status/") >= 0) {
        on_status(o, req, (int)number_after(path, "/status/"), 0);
    } else if (number_after(path, "/sleep/") >= 0) {
        on_status(o, req, 200, number_after(path, "/sleep/"));
    } else if (strcmp(path, "/header") == 0) {
        on_status(o, req, 200, 0);
    } else if (strcmp(path, "/upload") == 0) {
        on_upload(o, req);
    } else {
        answer_error(o, req, 404, "no such path", 0);
    }
}

/* --- Dispatch ------------------------------------------------------------ */

static const char *
count(struct origin *o, const struct evhttp_request *req)
{
    o->requests++;
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (METHODS[i].bit == evhttp_request_get_command(req)) {
            o->by_method[i]++;
            return METHODS[i].name;
        }
    }
    return "OTHER";
}

static void
dispatch(struct origin *o, struct evhttp_request *req, const char *path,
    const struct evkeyvalq *query)
{
    const char *method;

    if (strcmp(path, "/stats") == 0) {
        on_stats(o, req);
        return;
    }
    if (strcmp(path, "/control") == 0) {
        on_control(o, req, query);
        return;
    }
    method = count(o, req);
    if (strncmp(path, "/products", 9) == 0) {
        on_products(o, req, path);
    } else if (strcmp(path, "/echo") == 0) {
        on_echo(o, req, method);
    } else {
        on_test_path(o, req, path, query);
    }
}

static void
on_request(struct evhttp_request *req, void *ctx)
{
    struct origin *o = ctx;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = evhttp_uri_get_path(uri);
    const char *raw = evhttp_uri_get_query(uri);
    struct evkeyvalq query = {0};

    if (evhttp_parse_query_str(raw == NULL ? "" : raw, &query) != 0) {
        answer_error(o, req, 400, "not a query", 0);
        return;
    }
    dispatch(o, req, path == NULL ? "/" : path, &query);
    evhttp_clear_headers(&query);
}

/* --- Start and end ------------------------------------------------------- */

static void
on_signal(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(ctx);
}

/* Binds, and says on stdout where. */
static bool
listen_on(struct origin *o, const struct opts *opts)
{
    struct evhttp_bound_socket *bound =
        evhttp_bind_socket_with_handle(o->http, opts->host, opts->port);
    struct sockaddr_storage at;
    socklen_t at_len = sizeof(at);
    uint16_t port = 0;
    int one = 1;
    int fd;

    if (bound == NULL) {
        perror("sample-origin: the listener");
        return false;
    }
    fd = evhttp_bound_socket_get_fd(bound);
    /* Accepted sockets inherit it; evhttp's backlog is 128. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &at_len) != 0) {
        perror("sample-origin: the listener");
        return false;
    }
    if (opts->upload_port >= 0) {
        o->uploads = uploads_open(
            o->base, opts->host, (uint16_t)opts->upload_port, &port);
        if (o->uploads == NULL) {
            return false;
        }
        printf("uploads %s:%u\n", opts->host, port);
    }
    port = ntohs(at.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)&at)->sin6_port
                     : ((const struct sockaddr_in *)&at)->sin_port);
    printf("listening %s:%u\n", opts->host, port);
    fflush(stdout);
    return true;
}

static bool
origin_open(struct origin *o, const struct opts *opts)
{
    TAILQ_INIT(&o->jobs);
    pattern_fill(o->pattern);
    o->latency_ms = opts->latency_ms;
    snprintf(
        o->cache_control, sizeof(o->cache_control), "%s", opts->cache_control);
    o->products = products_open(opts->db, opts->products);
    o->base = event_base_new();
    if (o->products == NULL || o->base == NULL) {
        return false;
    }
    o->http = evhttp_new(o->base);
    o->on_term = evsignal_new(o->base, SIGTERM, on_signal, o->base);
    o->on_int = evsignal_new(o->base, SIGINT, on_signal, o->base);
    if (o->http == NULL || event_add(o->on_term, NULL) != 0 ||
        event_add(o->on_int, NULL) != 0) {
        return false;
    }
    evhttp_set_allowed_methods(o->http, UINT16_MAX);
    evhttp_set_default_content_type(o->http, NULL);
    evhttp_set_timeout(o->http, opts->idle_s);
    evhttp_set_gencb(o->http, on_request, o);
    return listen_on(o, opts);
}

static void
origin_close(struct origin *o)
{
    struct job *job;

    while ((job = TAILQ_FIRST(&o->jobs)) != NULL) {
        forget_connection(job);
        job_free(job);
    }
    uploads_close(&o->uploads);
    if (o->http != NULL) {
        evhttp_free(o->http);
    }
    if (o->on_term != NULL) {
        event_free(o->on_term);
    }
    if (o->on_int != NULL) {
        event_free(o->on_int);
    }
    if (o->base != NULL) {
        event_base_free(o->base);
    }
    products_close(&o->products);
    libevent_global_shutdown();
}

static void
usage(FILE *out)
{
    fputs("usage: sample-origin [option ...]\n"
          "  --port N             3000; 0: any free one\n"
          "  --host ADDRESS       127.0.0.1\n"
          "  --db FILE            products.db\n"
          "  --latency-ms N       100: what an answer about products takes\n"
          "  --cache-control TEXT of answers about products; none\n"
          "  --products N         100000: made when the file has none\n"
          "  --idle-s N           50: an idle connection is closed then\n"
          "  --upload-port N      reads bodies of any size; 0: any free one\n"
          "When it is ready it says `listening ADDRESS:PORT`.\n",
        out);
}

/* The value of an option that is a number from 0 to max; exits if not. */
static int64_t
number_or_exit(const char *name, const char *value, int64_t max)
{
    char *end;
    long long n = strtoll(value, &end, 10);

    if (*value == '\0' || *end != '\0' || n < 0 || n > max) {
        fprintf(stderr,
            "sample-origin: --%s: a number from 0 to %" PRId64 ", not '%s'\n",
            name, max, value);
        exit(2);
    }
    return n;
}

static struct opts
opts_or_exit(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'h'},
        {"db", required_argument, NULL, 'd'},
        {"latency-ms", required_argument, NULL, 'l'},
        {"cache-control", required_argument, NULL, 'c'},
        {"products", required_argument, NULL, 'n'},
        {"idle-s", required_argument, NULL, 'i'},
        {"upload-port", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, '?'},
        {NULL, 0, NULL, 0},
    };
    struct opts opts = {.host = "127.0.0.1",
        .db = "products.db",
        .port = 3000,
        .upload_port = -1,
        .products = 100000,
        .latency_ms = 100,
        .idle_s = 50,
        .cache_control = ""};
    int at = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", known, &at)) != -1) {
        const char *name = c == '?' ? "" : known[at].name;

        if (c == 'p') {
            opts.port = (uint16_t)number_or_exit(name, optarg, UINT16_MAX);
        } else if (c == 'h') {
            opts.host = optarg;
        } else if (c == 'd') {
            opts.db = optarg;
        } else if (c == 'l') {
            opts.latency_ms = number_or_exit(name, optarg, 3600000);
        } else if (c == 'c') {
            opts.cache_control = optarg;
        } else if (c == 'n') {
            opts.products = number_or_exit(name, optarg, 100000000);
        } else if (c == 'i') {
            opts.idle_s = (int)number_or_exit(name, optarg, 86400);
        } else if (c == 'u') {
            opts.upload_port = (int)number_or_exit(name, optarg, UINT16_MAX);
        } else {
            bool is_asked = optopt == 0;

            usage(is_asked ? stdout : stderr);
            exit(is_asked ? 0 : 2);
        }
    }
    if (optind != argc) {
        usage(stderr);
        exit(2);
    }
    return opts;
}

int
main(int argc, char **argv)
{
    struct opts opts = opts_or_exit(argc, argv);
    struct origin *o = calloc(1, sizeof(*o));
    int status = 1;

    signal(SIGPIPE, SIG_IGN);
    if (o != NULL && origin_open(o, &opts)) {
        status = event_base_dispatch(o->base) == 0 ? 0 : 1;
    }
    if (o != NULL) {
        origin_close(o);
    }
    free(o);
    return status;
}
