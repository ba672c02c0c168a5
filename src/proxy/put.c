/*
 * What a worker has under way to Redis and nobody waits for: what the answer
 * to a HEAD makes of a stored response, what a POST answered, its lease.
 */
#include "proxy/put.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/tier.h"

#define PUT_MAGIC UINT32_C(0x6e707574)

enum {
    PUT_TIMEOUT_MS = 1000, /* as for any store: it is larger than a question */
    ARGS_MAX = 5,
};

struct put {
    uint32_t magic;
    struct list link; /* worker's */
    struct worker *worker;
    struct redis_call call;
    struct value value;
    struct slice argv[ARGS_MAX];
    char px[24];
    char bytes[]; /* keys and guard */
};

static void
put_end(struct put *put)
{
    redis_call_cancel(&put->call);
    list_remove(&put->link);
    value_free(&put->value);
    put->magic = 0;
    free(put);
}

static void
count_store(struct put *put, enum rc rc, const struct redis_reply *reply)
{

    if (rc != RC_OK || reply->type != REDIS_INTEGER) {
        worker_count(put->worker, COUNTER_STORES_FAILED);
    } else {
        worker_count(put->worker,
            reply->integer == 1 ? COUNTER_STORES : COUNTER_STORES_FENCED);
    }
}

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct put *put = OBJ_OF(struct put, ctx, PUT_MAGIC);

    /* A lease that is not given back ends by itself. */
    if (put->value.bytes != NULL) {
        count_store(put, rc, reply);
    }
    put_end(put);
}

static struct slice
copy(char **at, struct slice s)
{
    struct slice out = slice_of(*at, s.len);

    memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return out;
}

static void
put_send(struct put *put, const struct put_opts *opts)
{
    char *at = put->bytes;
    unsigned n = 0;
    unsigned keys;
    int px_len =
        snprintf(put->px, sizeof(put->px), "%lld", (long long)opts->px_ms);

    put->argv[n++] = copy(&at, opts->keys[0]);
    if (opts->keys[1].len > 0) {
        put->argv[n++] = copy(&at, opts->keys[1]);
    }
    keys = n;
    put->argv[n++] = copy(&at, opts->guard);
    if (put->value.bytes != NULL) {
        put->argv[n++] = value_slice(&put->value);
        put->argv[n++] = slice_of(put->px, (size_t)px_len);
    }
    MUST(n <= ARGS_MAX);
    put->call = (struct redis_call){
        .on_reply = on_reply,
        .ctx = put,
        .deadline_ms = worker_now_ms(put->worker) + PUT_TIMEOUT_MS,
    };
    redis_eval(
        put->worker->redis, &put->call, opts->script, put->argv, keys, n);
}

void
put_start(
    struct worker *worker, const struct put_opts *opts, struct value own_value)
{
    size_t size = opts->keys[0].len + opts->keys[1].len + opts->guard.len;
    struct put *put = calloc(1, sizeof(*put) + size);

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST(worker->redis != NULL);
    if (put == NULL) {
        worker_count_limit(worker, LIMIT_MEMORY);
        value_free(&own_value);
        return;
    }
    put->magic = PUT_MAGIC;
    put->worker = worker;
    put->value = own_value;
    list_init(&put->link);
    list_push_back(&worker->tier->puts, &put->link);
    put_send(put, opts);
}

void
puts_free(struct worker *worker)
{
    struct list *link;

    while ((link = list_first(&worker->tier->puts)) != NULL) {
        put_end(CONTAINER_OF(link, struct put, link));
    }
}
