/*
 * Making questions. Each part is found once and in this order: who asks, which
 * host and target in their one spelling, which route, what its policy says,
 * which keys.
 */
#include "rules/question_inside.h"

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/http/parse.h"
#include "nearside/http/uri.h"
#include "nearside/rules/cookies.h"

enum {
    /* The head's copy, its keys and the head for the origin: a head of 32 KiB
       takes some 150 KiB. */
    QUESTION_ARENA_MAX = 512 * 1024,
};

/* --- life -------------------------------------------------------------- */

void
question_pool_init(struct question_pool *pool, const struct hash_key *hash_key)
{
    MUST(hash_key != NULL);
    *pool = (struct question_pool){.hash_key = hash_key};
    spare_init(&pool->free);
}

static void
question_free(struct question *q)
{
    arena_fini(&q->arena);
    free(q);
}

void
question_pool_fini(struct question_pool *pool)
{
    struct list *link;

    while ((link = spare_take(&pool->free)) != NULL) {
        question_free(CONTAINER_OF(link, struct question, link));
    }
}

struct question *
question_take(struct question_pool *pool)
{
    struct list *link = spare_take(&pool->free);
    struct question *q;

    if (link != NULL) {
        q = CONTAINER_OF(link, struct question, link);
        MUST(q->magic == 0);
        return q;
    }
    q = malloc(sizeof(*q));
    if (q != NULL) {
        q->magic = 0;
        arena_init(&q->arena, QUESTION_ARENA_MAX);
    }
    return q;
}

static void
give_back(struct question_pool *pool, struct question *q)
{
    q->magic = 0;
    arena_reset(&q->arena);
    if (!spare_keep(&pool->free, &q->link)) {
        question_free(q);
    }
}

/* Of the copy, whose bytes begin with the method. */
static struct slice
lines_of(const struct head *head, const struct question_opts *opts)
{
    struct slice target, lines;
    struct slice copy = {head->method_text.ptr, opts->raw.len};

    if (opts->head->method_text.ptr != opts->raw.ptr ||
        !parse_plain_line(copy, &target, &lines)) {
        return slice_of(NULL, 0);
    }
    return lines;
}

struct question *
question_new(struct question_pool *pool, struct proxy_conf *conf,
    const struct question_opts *opts)
{
    struct question *q;
    struct head *head;
    struct arena arena;

    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    MUST(opts->head != NULL);
    q = question_take(pool);
    if (q == NULL) {
        return NULL;
    }
    if (head_copy(opts->head, opts->raw, &q->arena, &head) != RC_OK) {
        give_back(pool, q);
        return NULL;
    }
    arena = q->arena;
    *q = (struct question){
        .magic = QUESTION_MAGIC,
        .refs = 1,
        .pool = pool,
        .arena = arena,
        .conf = proxy_conf_ref(conf),
        .head = head,
        .lines = lines_of(head, opts),
        .has_body = opts->has_body,
        .client = {.peer = opts->peer,
            .version = opts->head->minor == 0 ? SLICE("1.0") : SLICE("1.1")},
        .row = -1,
    };
    return q;
}

struct question *
question_ref(struct question *q)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->refs > 0);
    q->refs++;
    return q;
}

void
question_unref(struct question **pq)
{
    struct question *q = *pq;

    if (q == NULL) {
        return;
    }
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->refs > 0);
    *pq = NULL;
    if (--q->refs > 0) {
        return;
    }
    entry_unref(&q->record);
    proxy_conf_unref(&q->conf);
    question_unref(&q->base);
    question_unref(&q->of);
    give_back(q->pool, q);
}

/* --- host and target --------------------------------------------------- */

static bool
is_host_allowed(const struct question *q)
{
    const struct proxy_conf_opts *opts = &q->conf->opts;

    for (size_t i = 0; i < opts->hosts_len; i++) {
        if (route_host_matches(slice_of_str(opts->hosts[i]), q->host)) {
            return true;
        }
    }
    return opts->hosts_len == 0;
}

/* The next question will often have the same host. With a port its spelling
   would depend on the scheme. */
static void
remember_host(struct question_pool *pool, struct slice host)
{
    if (host.len <= QUESTION_HOST_MAX && slice_find(host, ':') < 0) {
        slice_put(pool->host, host);
        pool->host_len = host.len;
    }
}

/* RC_NOMEM. */
static enum rc
read_host(struct question *q)
{
    struct question_pool *pool = q->pool;
    struct slice host = q->head->host;
    char *text;

    q->host = host;
    q->sent_host = host;
    if (slice_eq(host, slice_of(pool->host, pool->host_len))) {
        return RC_OK;
    }
    text = arena_alloc(&q->arena, host.len + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    q->host =
        slice_of(text, uri_authority_normalise(host, q->client.scheme, text));
    /* The normal form of an absolute name lacks its dot, which is sent. */
    q->sent_host =
        q->host.len < host.len && uri_is_absolute_name(host) ? host : q->host;
    if (slice_eq(q->host, host)) {
        remember_host(pool, host);
    }
    return RC_OK;
}

/* Host and target, as they are keyed and as they are sent. RC_NOMEM. */
static enum rc
read_target(struct question *q)
{
    if (read_host(q) != RC_OK) {
        return RC_NOMEM;
    }
    q->target = q->head->target;
    return keys_normalise(&q->arena, q->target, &q->normal);
}

/* --- route and policy -------------------------------------------------- */

static void
find_route(struct question *q)
{
    const struct proxy_conf_opts *opts = &q->conf->opts;

    q->row = route_match(opts->routes, opts->routes_len, q->head->method_text,
        q->host, uri_path(q->normal));
    q->group = opts->default_group;
    if (q->row >= 0) {
        q->route = &opts->routes[q->row];
        q->group = q->route->group;
    }
    MUST(q->group <= opts->groups_len);
}

const struct route *
question_read_route(const struct question *q, struct slice target)
{
    const struct proxy_conf_opts *opts = &q->conf->opts;
    ptrdiff_t at = route_match(opts->routes, opts->routes_len, SLICE("GET"),
        q->host, uri_path(target));

    return at >= 0 && opts->routes[at].read != ROUTE_READ_PASS
               ? &opts->routes[at]
               : NULL;
}

static enum question_kind
kind_of(const struct question *q)
{
    if (!method_is_safe(q->head->method)) {
        return QUESTION_WRITE;
    }
    if (q->head->method == METHOD_OPTIONS) {
        return QUESTION_OPTIONS;
    }
    return q->route == NULL ? QUESTION_PASS : QUESTION_READ;
}

static void
read_policy(struct question *q)
{
    switch (q->kind) {
    case QUESTION_READ:
        q->reads = q->route;
        policy_read(q->route, q->head, q->has_body, &q->policy);
        break;
    case QUESTION_WRITE:
        if (q->route == NULL || q->route->write != ROUTE_WRITE_PASS) {
            q->reads = question_read_route(q, q->normal);
        }
        break;
    case QUESTION_PASS:
        reuse_read_request(q->head, false, &q->policy.reuse);
        break;
    case QUESTION_OPTIONS:
        break;
    }
}

/* --- keys -------------------------------------------------------------- */

static struct keys_from
from_of(
    const struct question *q, const struct route *reads, struct slice target)
{
    return (struct keys_from){
        .hash_key = q->pool->hash_key,
        .route = reads,
        .head = q->head,
        .is_trusted = q->client.is_trusted,
        .scheme = q->client.scheme,
        .host = q->host,
        .target = target,
        .origin = reads == NULL ? slice_of(NULL, 0)
                                : q->conf->opts.group_names[reads->group],
    };
}

/* What the route keeps of the target is sent. */
static enum rc
keep_target(struct question *q)
{
    return keys_keep(
        &q->arena, q->reads, q->normal, q->head->target, &q->target);
}

/* A write is sent as it came. */
static enum rc
make_sent_target(struct question *q)
{
    if (q->kind == QUESTION_WRITE) {
        return RC_OK;
    }
    if (q->normal.ptr == q->head->target.ptr) {
        q->target = q->keys.target;
        return RC_OK;
    }
    return keep_target(q);
}

enum rc
question_make_entry_key(struct question *q)
{
    return key_redis(&q->arena, q->conf->prefix, &q->key, &q->entry_key);
}

static enum rc
make_keys(struct question *q)
{
    const struct keys_from from = from_of(q, q->reads, q->normal);
    enum rc rc = keys_make(&q->arena, &from, &q->keys);

    if (rc == RC_OK) {
        rc = make_sent_target(q);
    }
    q->key = q->keys.base;
    q->policy.is_odd = (q->target.ptr != q->keys.target.ptr &&
                           !slice_eq(q->target, q->keys.target)) ||
                       (q->reads->key_host == ROUTE_KEY_HOST_FULL &&
                           q->sent_host.ptr != q->host.ptr);
    return rc;
}

/* What is not looked up has no keys, but where they are shown. */
static bool
needs_keys(const struct question *q)
{
    return q->policy.bypass == NULL ||
           q->reads->cache_status == ROUTE_CACHE_STATUS_KEY;
}

enum rc
question_keys_of(const struct question *q, struct slice target,
    struct arena *arena, struct key *out_key, struct slice *out_entry_key)
{
    const struct route *reads = question_read_route(q, target);
    const struct keys_from from = from_of(q, reads, target);
    struct keys keys;
    enum rc rc = RC_MISS;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(out_key != &q->key);
    if (reads != NULL) {
        rc = keys_make(arena, &from, &keys);
    }
    if (rc == RC_OK) {
        rc = key_redis(arena, q->conf->prefix, &keys.base, out_entry_key);
    }
    if (rc == RC_OK) {
        *out_key = keys.base;
    }
    return rc;
}

/* --- reading ----------------------------------------------------------- */

static struct question_refusal
refuse(unsigned status, const char *detail)
{
    return (struct question_refusal){status, detail};
}

static struct question_refusal
find_host(struct question *q)
{
    uint64_t body_max = q->conf->opts.limits.body_max;

    if (q->head->framing == FRAMING_LENGTH && body_max > 0 &&
        q->head->content_length > body_max) {
        return refuse(413, "body_max");
    }
    client_read(q->conf, q->head, &q->client);
    if (q->head->is_https && !q->client.is_trusted) {
        return refuse(421, "scheme"); /* it came in plain text */
    }
    if (read_target(q) != RC_OK) {
        return refuse(503, "no-memory");
    }
    return is_host_allowed(q) ? refuse(0, NULL) : refuse(421, "host");
}

struct question_refusal
question_ask(struct question *q)
{
    struct question_refusal refusal;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->refs == 1);
    MUST(q->normal.ptr == NULL); /* once */
    refusal = find_host(q);
    if (refusal.status != 0) {
        return refusal;
    }
    find_route(q);
    if (q->route != NULL && !route_allows(q->route, q->head->method_text)) {
        return refuse(405, "method");
    }
    q->kind = kind_of(q);
    if (!question_has_origin(q) && q->kind != QUESTION_OPTIONS) {
        return refuse(404, QUESTION_NO_ROUTE);
    }
    if (q->kind != QUESTION_WRITE && q->route != NULL) {
        q->sent_host = sending_host(q->route, q->host, q->sent_host,
            q->conf->opts.group_hosts[q->route->group]);
        if (cookies_keep(&q->arena, q->route, q->head, &q->head) != RC_OK) {
            return refuse(503, "no-memory");
        }
    }
    read_policy(q);
    if (q->reads != NULL &&
        (needs_keys(q) ? make_keys(q) : keep_target(q)) != RC_OK) {
        return refuse(503, "no-memory");
    }
    return refuse(0, NULL);
}

enum rc
question_name(struct question *q)
{
    enum rc rc = RC_OK;

    MUST_OBJ(q, QUESTION_MAGIC);
    if (q->base != NULL) {
        rc = question_name(q->base);
    }
    if (rc == RC_OK && q->key.full.len > 0 && q->entry_key.len == 0) {
        rc = question_make_entry_key(q);
    }
    return rc;
}

struct question_refusal
question_read(struct question *q)
{
    const struct question_refusal refusal = question_ask(q);

    return refusal.status == 0 && question_name(q) != RC_OK
               ? refuse(503, "no-memory")
               : refusal;
}
