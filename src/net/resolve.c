/*
 * Looking names up in a thread, since getaddrinfo blocks. A lookup is one
 * object: its loop queues it, the thread answers it and posts it back, its
 * loop frees it. Cancelling only forgets the callback; the object goes the
 * rest of its way.
 */
#include "nearside/net/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RESOLVE_MAGIC  UINT32_C(0x6e726573)
#define RESOLVER_MAGIC UINT32_C(0x6e726572)

struct resolve {
    uint32_t magic;
    struct list link; /* resolver's queue */
    struct loop *loop;
    struct loop_message answered;
    void (*on_done)(void *ctx, const struct resolve_answer *answer);
    void *ctx;
    struct resolve_answer answer;
    char port[6];
    char host[]; /* NUL-terminated */
};

struct resolver {
    uint32_t magic;
    bool is_ending;
    pthread_t thread;
    pthread_mutex_t lock; /* guards queue and is_ending */
    pthread_cond_t wake;
    struct list queue;
};

static enum rc
rc_of_lookup(int error)
{
    switch (error) {
    case 0:
        return RC_OK;
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
        return RC_MISS;
    default:
        return RC_IO;
    }
}

static void
resolve_run(struct resolve *r)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    r->answer.rc = rc_of_lookup(getaddrinfo(r->host, r->port, &hints, &found));
    if (r->answer.rc != RC_OK) {
        return;
    }
    for (struct addrinfo *ai = found;
         ai != NULL && r->answer.count < RESOLVE_MAX; ai = ai->ai_next) {
        struct address *a = &r->answer.addresses[r->answer.count++];
        memset(a, 0, sizeof(*a));
        a->len = ai->ai_addrlen;
        memcpy(&a->u, ai->ai_addr, ai->ai_addrlen);
    }
    freeaddrinfo(found);
}

static void *
resolver_main(void *ctx)
{
    struct resolver *resolver = OBJ_OF(struct resolver, ctx, RESOLVER_MAGIC);

    pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_ending) {
        struct list *link = list_pop(&resolver->queue);
        struct resolve *r;
        if (link == NULL) {
            pthread_cond_wait(&resolver->wake, &resolver->lock);
            continue;
        }
        pthread_mutex_unlock(&resolver->lock);
        r = CONTAINER_OF(link, struct resolve, link);
        MUST_OBJ(r, RESOLVE_MAGIC);
        resolve_run(r);
        loop_post(r->loop, &r->answered);
        pthread_mutex_lock(&resolver->lock);
    }
    pthread_mutex_unlock(&resolver->lock);
    return NULL;
}

struct resolver *
resolver_new(void)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL) {
        return NULL;
    }
    resolver->magic = RESOLVER_MAGIC;
    list_init(&resolver->queue);
    MUST(pthread_mutex_init(&resolver->lock, NULL) == 0);
    pthread_cond_init(&resolver->wake, NULL);
    if (pthread_create(&resolver->thread, NULL, resolver_main, resolver) != 0) {
        pthread_mutex_destroy(&resolver->lock);
        pthread_cond_destroy(&resolver->wake);
        free(resolver);
        return NULL;
    }
    return resolver;
}

void
resolver_free(struct resolver **presolver)
{
    struct resolver *resolver = *presolver;
    struct list *link;

    if (resolver == NULL) {
        return;
    }
    MUST_OBJ(resolver, RESOLVER_MAGIC);
    *presolver = NULL;
    pthread_mutex_lock(&resolver->lock);
    resolver->is_ending = true;
    pthread_cond_signal(&resolver->wake);
    pthread_mutex_unlock(&resolver->lock);
    pthread_join(resolver->thread, NULL);
    while ((link = list_pop(&resolver->queue)) != NULL) {
        free(CONTAINER_OF(link, struct resolve, link));
    }
    pthread_mutex_destroy(&resolver->lock);
    pthread_cond_destroy(&resolver->wake);
    resolver->magic = 0;
    free(resolver);
}

static void
on_answered(void *ctx)
{
    struct resolve *r = OBJ_OF(struct resolve, ctx, RESOLVE_MAGIC);

    if (r->on_done != NULL) {
        r->on_done(r->ctx, &r->answer);
    }
    r->magic = 0;
    free(r);
}

static struct resolve *
resolve_new(struct loop *loop, struct slice host, uint16_t port)
{
    struct resolve *r = calloc(1, sizeof(*r) + host.len + 1);

    if (r == NULL) {
        return NULL;
    }
    r->magic = RESOLVE_MAGIC;
    r->loop = loop;
    loop_message_init(&r->answered, on_answered, r);
    list_init(&r->link);
    memcpy(r->host, host.ptr, host.len);
    snprintf(r->port, sizeof(r->port), "%u", (unsigned)port);
    return r;
}

struct resolve *
resolve_start(struct resolver *resolver, struct loop *loop, struct slice host,
    uint16_t port,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx)
{
    struct resolve *r = resolve_new(loop, host, port);

    MUST_OBJ(resolver, RESOLVER_MAGIC);
    MUST(on_done != NULL);
    if (r == NULL) {
        return NULL;
    }
    r->on_done = on_done;
    r->ctx = ctx;
    pthread_mutex_lock(&resolver->lock);
    list_push_back(&resolver->queue, &r->link);
    pthread_cond_signal(&resolver->wake);
    pthread_mutex_unlock(&resolver->lock);
    return r;
}

void
resolve_cancel(struct resolve **presolve)
{
    if (*presolve != NULL) {
        MUST_OBJ(*presolve, RESOLVE_MAGIC);
        (*presolve)->on_done = NULL;
        *presolve = NULL;
    }
}
