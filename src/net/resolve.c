/*
 * Looking names up in threads, since getaddrinfo blocks and cannot be
 * cancelled.
 *
 *     resolve_start --> look-up --> name --(queue)--> a thread
 *            on_done <-- message <----/
 *
 * Laws.
 * - A name is looked up once at a time, whoever and however many ask for it,
 *   and each name in a thread of its own: one that is never answered keeps
 *   nobody else waiting. A thread that has nothing to do ends.
 * - A look-up that is cancelled is gone at once, and so is a name in the queue
 *   that nobody asks for any more. What a thread finds for nobody is kept as
 *   the name's last good answer, and told to nobody.
 * - A name that had addresses before has them again after PATIENCE_MS at the
 *   latest, or when its look-up fails for want of a name server: those it had.
 *   That the name does not exist is an answer, and is told. Who asks anew waits
 *   for the look-up and hears how it ended.
 * - A thread may outlive the resolver: the last one to end frees it.
 */
#include "nearside/net/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>

#define RESOLVE_MAGIC  UINT32_C(0x6e726573)
#define RESOLVER_MAGIC UINT32_C(0x6e726572)
#define NAME_MAGIC     UINT32_C(0x6e6e616d)

enum {
    /* Names that are never answered take a thread each; more than these are
       not expected at once while others still are answered. */
    THREADS_MAX = 32,
    /* Names whose last good answer is kept though nobody asks just now. */
    NAMES_KEPT = 256,
    /* A name server that is well answers in some 50 ms. */
    PATIENCE_MS = 250,
};

enum name_state {
    NAME_IDLE,    /* nobody waits */
    NAME_QUEUED,  /* for a thread */
    NAME_RUNNING, /* in a thread; perhaps nobody waits any more */
};

struct name {
    uint32_t magic;
    enum name_state state;
    struct list link;    /* resolver's names; the one asked for last is last */
    struct list queued;  /* resolver's queue */
    struct list lookups; /* those who wait for it */
    int64_t asked_ms;    /* when it was queued */
    struct addresses *addresses; /* the last that were found; NULL: none */
    char host[];                 /* NUL-terminated */
};

struct resolve {
    uint32_t magic;
    bool is_anew;     /* what the name had before is of no use */
    bool is_answered; /* its message is on its way; under the lock */
    struct list link; /* the name's lookups */
    struct resolver *resolver;
    struct name *name; /* NULL once it is off the list */
    struct loop *loop;
    struct loop_timer patience;
    struct loop_message answered;
    void (*on_done)(void *ctx, const struct resolve_answer *answer);
    void *ctx;
    struct resolve_answer answer; /* with a reference of its own */
};

/* The lock guards all of it, and the names. */
struct resolver {
    uint32_t magic;
    bool is_ending;
    pthread_mutex_t lock;
    struct list queue;
    struct list names;
    unsigned names_len;
    unsigned threads;
};

static void
lock(struct resolver *resolver)
{
    MUST_OBJ(resolver, RESOLVER_MAGIC);
    MUST(pthread_mutex_lock(&resolver->lock) == 0);
}

static void
unlock(struct resolver *resolver)
{
    MUST(pthread_mutex_unlock(&resolver->lock) == 0);
}

/* ---- names -------------------------------------------------------------- */

static void
name_free(struct resolver *resolver, struct name *name)
{
    MUST_OBJ(name, NAME_MAGIC);
    MUST(list_is_empty(&name->lookups));
    list_remove(&name->link);
    list_remove(&name->queued);
    resolver->names_len--;
    addresses_unref(&name->addresses);
    name->magic = 0;
    free(name);
}

static bool
name_is_idle(const struct name *name)
{
    MUST_OBJ(name, NAME_MAGIC);
    return name->state == NAME_IDLE && list_is_empty(&name->lookups);
}

/* Nobody asks for it, or nobody any more. */
static void
name_rest(struct resolver *resolver, struct name *name)
{
    if (name->state == NAME_QUEUED) {
        list_remove(&name->queued);
        name->state = NAME_IDLE;
    }
    if (name_is_idle(name) && name->addresses == NULL) {
        name_free(resolver, name);
    }
}

/* Forgets those that nobody has asked for the longest. */
static void
names_trim(struct resolver *resolver)
{
    LIST_EACH (it, &resolver->names) {
        struct name *name = CONTAINER_OF(it, struct name, link);

        if (resolver->names_len <= NAMES_KEPT) {
            return;
        }
        if (name_is_idle(name)) {
            name_free(resolver, name);
        }
    }
}

static struct name *
name_new(struct resolver *resolver, struct slice host)
{
    struct name *name = calloc(1, sizeof(*name) + host.len + 1);

    if (name == NULL) {
        return NULL;
    }
    name->magic = NAME_MAGIC;
    list_init(&name->link);
    list_init(&name->queued);
    list_init(&name->lookups);
    memcpy(name->host, host.ptr, host.len);
    resolver->names_len++;
    return name;
}

/* Becomes the one asked for last. NULL: no memory. */
static struct name *
name_of(struct resolver *resolver, struct slice host)
{
    struct name *name = NULL;

    LIST_EACH (it, &resolver->names) {
        struct name *one = CONTAINER_OF(it, struct name, link);

        MUST_OBJ(one, NAME_MAGIC);
        if (slice_eq(slice_of_str(one->host), host)) {
            name = one;
            list_remove(&name->link);
            break;
        }
    }
    if (name == NULL) {
        name = name_new(resolver, host);
    }
    if (name != NULL) {
        list_push_back(&resolver->names, &name->link);
    }
    return name;
}

/* What one who waits for the name is told of an answer. */
static void
resolve_answer(struct resolve *r, const struct resolve_answer *answer)
{
    struct addresses *had = r->name->addresses;

    r->answer = *answer;
    if (answer->rc == RC_IO && had != NULL && !r->is_anew) {
        r->answer = (struct resolve_answer){.rc = RC_OK, .addresses = had};
    }
    if (r->answer.addresses != NULL) {
        (void)addresses_ref(r->answer.addresses);
    }
    r->name = NULL;
}

/* Tells all who wait for it. */
static void
name_answer(struct name *name, const struct resolve_answer *answer)
{
    struct list *link;

    while ((link = list_pop(&name->lookups)) != NULL) {
        struct resolve *r = CONTAINER_OF(link, struct resolve, link);

        MUST_OBJ(r, RESOLVE_MAGIC);
        MUST(!r->is_answered);
        resolve_answer(r, answer);
        r->is_answered = true;
        loop_post(r->loop, &r->answered);
    }
}

/* ---- threads ------------------------------------------------------------ */

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

/* NULL: no memory. */
static struct addresses *
addresses_of(const struct addrinfo *found)
{
    struct address items[ADDRESSES_MAX];
    unsigned count = 0;

    for (const struct addrinfo *ai = found; ai != NULL && count < ADDRESSES_MAX;
         ai = ai->ai_next) {
        struct address *a = &items[count++];

        memset(a, 0, sizeof(*a));
        a->len = ai->ai_addrlen;
        memcpy(&a->u, ai->ai_addr, ai->ai_addrlen);
    }
    return addresses_new(items, count);
}

static struct resolve_answer
look_up(const char *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct resolve_answer answer = {
        .rc = rc_of_lookup(getaddrinfo(host, NULL, &hints, &found))};

    if (answer.rc == RC_OK) {
        answer.addresses = addresses_of(found);
        answer.rc = answer.addresses != NULL ? RC_OK : RC_IO;
        freeaddrinfo(found);
    }
    return answer;
}

/* A thread has looked the name up; what it has found becomes the name's. */
static void
name_found(struct resolver *resolver, struct name *name,
    const struct resolve_answer *own_answer)
{
    MUST(name->state == NAME_RUNNING);
    name->state = NAME_IDLE;
    name_answer(name, own_answer);
    if (own_answer->rc == RC_OK) {
        addresses_unref(&name->addresses);
        name->addresses = own_answer->addresses;
    }
    name_rest(resolver, name);
}

/* Nobody refers to it any more. */
static void
resolver_bury(struct resolver *resolver)
{
    MUST(resolver->is_ending);
    MUST(resolver->threads == 0);
    LIST_EACH (it, &resolver->names) {
        name_free(resolver, CONTAINER_OF(it, struct name, link));
    }
    MUST(pthread_mutex_destroy(&resolver->lock) == 0);
    resolver->magic = 0;
    free(resolver);
}

static void *
thread_main(void *ctx)
{
    struct resolver *resolver = OBJ_OF(struct resolver, ctx, RESOLVER_MAGIC);
    struct list *link;
    bool is_last;

    lock(resolver);
    while ((link = list_pop(&resolver->queue)) != NULL) {
        struct name *name = CONTAINER_OF(link, struct name, queued);
        struct resolve_answer answer;

        MUST(name->state == NAME_QUEUED);
        name->state = NAME_RUNNING; /* from here it stays where it is */
        unlock(resolver);
        answer = look_up(name->host);
        lock(resolver);
        name_found(resolver, name, &answer);
    }
    resolver->threads--;
    is_last = resolver->is_ending && resolver->threads == 0;
    unlock(resolver);
    if (is_last) {
        resolver_bury(resolver);
    }
    return NULL;
}

/* Without a new thread those that there are will come to it. */
static void
thread_start(struct resolver *resolver)
{
    pthread_t thread;

    if (resolver->threads < THREADS_MAX &&
        pthread_create(&thread, NULL, thread_main, resolver) == 0) {
        pthread_detach(thread);
        resolver->threads++;
    }
}

/* It is looked up, if it is not yet. */
static void
name_ask(struct resolver *resolver, struct name *name, int64_t now_ms)
{
    const struct resolve_answer none = {.rc = RC_IO};

    if (name->state != NAME_IDLE) {
        return;
    }
    name->state = NAME_QUEUED;
    name->asked_ms = now_ms;
    list_push_back(&resolver->queue, &name->queued);
    thread_start(resolver);
    if (resolver->threads == 0) {
        name_answer(name, &none);
        name_rest(resolver, name);
    }
}

/* ---- look-ups ----------------------------------------------------------- */

static void
resolve_free(struct resolve *r)
{
    loop_timer_cancel(&r->patience);
    addresses_unref(&r->answer.addresses);
    r->magic = 0;
    free(r);
}

static void
resolve_tell(struct resolve *r)
{
    MUST(r->name == NULL);
    MUST((r->answer.rc == RC_OK) == (r->answer.addresses != NULL));
    if (r->on_done != NULL) {
        r->on_done(r->ctx, &r->answer);
    }
    resolve_free(r);
}

static void
on_answered(void *ctx)
{
    resolve_tell(OBJ_OF(struct resolve, ctx, RESOLVE_MAGIC));
}

/* It takes long: the addresses that the name had will do. */
static void
on_patience(void *ctx)
{
    const struct resolve_answer none = {.rc = RC_IO};
    struct resolve *r = OBJ_OF(struct resolve, ctx, RESOLVE_MAGIC);
    bool is_told_here;

    lock(r->resolver);
    is_told_here = !r->is_answered;
    if (is_told_here) {
        MUST(r->name->addresses != NULL);
        list_remove(&r->link);
        resolve_answer(r, &none);
    }
    unlock(r->resolver);
    if (is_told_here) {
        resolve_tell(r);
    }
}

/* NULL: no memory. */
static struct resolve *
resolve_new(struct resolver *resolver, struct loop *loop,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx)
{
    struct resolve *r = calloc(1, sizeof(*r));

    MUST(on_done != NULL);
    if (r == NULL) {
        return NULL;
    }
    r->magic = RESOLVE_MAGIC;
    r->resolver = resolver;
    r->loop = loop;
    r->on_done = on_done;
    r->ctx = ctx;
    loop_message_init(&r->answered, on_answered, r);
    loop_timer_init(&r->patience, loop, on_patience, r);
    list_init(&r->link);
    return r;
}

static void
resolve_join(struct resolve *r, struct name *name)
{
    int64_t now_ms = loop_now_ms(r->loop);
    int64_t asked_ms = name->state == NAME_IDLE ? now_ms : name->asked_ms;
    bool is_patient = r->is_anew || name->addresses == NULL;

    r->name = name;
    list_push_back(&name->lookups, &r->link);
    name_ask(r->resolver, name, now_ms); /* which may have been its end */
    if (!r->is_answered && !is_patient) {
        int64_t due_ms = asked_ms + PATIENCE_MS;

        loop_timer_arm(&r->patience, due_ms > now_ms ? due_ms : now_ms + 1);
    }
}

/* NULL: no memory; r, which may be NULL, is gone then. */
static struct resolve *
resolve_begin(struct resolve *r, struct slice host)
{
    struct resolver *resolver;
    struct name *name;

    if (r == NULL) {
        return NULL;
    }
    resolver = r->resolver;
    lock(resolver);
    name = name_of(resolver, host);
    if (name != NULL) {
        resolve_join(r, name);
        names_trim(resolver);
    }
    unlock(resolver);
    if (name == NULL) {
        resolve_free(r);
        return NULL;
    }
    return r;
}

struct resolve *
resolve_start(struct resolver *resolver, struct loop *loop, struct slice host,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx)
{
    return resolve_begin(resolve_new(resolver, loop, on_done, ctx), host);
}

struct resolve *
resolve_anew(struct resolver *resolver, struct loop *loop, struct slice host,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx)
{
    struct resolve *r = resolve_new(resolver, loop, on_done, ctx);

    if (r != NULL) {
        r->is_anew = true;
    }
    return resolve_begin(r, host);
}

void
resolve_cancel(struct resolve **presolve)
{
    struct resolve *r = *presolve;
    bool is_answered;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, RESOLVE_MAGIC);
    *presolve = NULL;
    lock(r->resolver);
    is_answered = r->is_answered;
    if (!is_answered) {
        list_remove(&r->link);
        if (list_is_empty(&r->name->lookups)) {
            name_rest(r->resolver, r->name);
        }
    }
    unlock(r->resolver);
    loop_timer_cancel(&r->patience);
    r->on_done = NULL; /* its message, if any, finds nobody */
    if (!is_answered) {
        resolve_free(r);
    }
}

/* ---- the resolver ------------------------------------------------------- */

struct resolver *
resolver_new(void)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL) {
        return NULL;
    }
    resolver->magic = RESOLVER_MAGIC;
    list_init(&resolver->queue);
    list_init(&resolver->names);
    MUST(pthread_mutex_init(&resolver->lock, NULL) == 0);
    return resolver;
}

void
resolver_free(struct resolver **presolver)
{
    struct resolver *resolver = *presolver;
    bool is_last;

    if (resolver == NULL) {
        return;
    }
    *presolver = NULL;
    lock(resolver);
    resolver->is_ending = true;
    LIST_EACH (it, &resolver->names) {
        struct name *name = CONTAINER_OF(it, struct name, link);

        MUST(list_is_empty(&name->lookups));
        name_rest(resolver, name);
    }
    is_last = resolver->threads == 0;
    unlock(resolver);
    if (is_last) {
        resolver_bury(resolver);
    }
}
