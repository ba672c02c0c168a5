/*
 * The flight table. Laws: shards, each with a lock; a shard's lock guards
 * its buckets, the waiters of its flights and the moment of resolution. No
 * callback is made with a lock held. A waiter on another loop is told by a
 * message that lives in the waiter.
 */
#include "nearside/collapse/flight_table.h"

#include <pthread.h>
#include <stdlib.h>

#include "nearside/body/fill.h"
#include "nearside/cache/entry.h"

#define FLIGHT_MAGIC UINT32_C(0x6e666c69)
#define TABLE_MAGIC  UINT32_C(0x6e66746c)

enum {
    SHARDS = 16,
    BUCKETS = 256,
};

struct shard {
    pthread_mutex_t lock;
    struct list buckets[BUCKETS];
};

struct flight_table {
    uint32_t magic;
    unsigned max;
    atomic_uint len;
    const struct written *written;
    struct shard shards[SHARDS];
};

struct flight_table *
flight_table_new(unsigned max, const struct written *written)
{
    struct flight_table *table = calloc(1, sizeof(*table));

    if (table == NULL) {
        return NULL;
    }
    table->magic = TABLE_MAGIC;
    table->max = max;
    table->written = written;
    for (size_t i = 0; i < SHARDS; i++) {
        MUST(pthread_mutex_init(&table->shards[i].lock, NULL) == 0);
        for (size_t j = 0; j < BUCKETS; j++) {
            list_init(&table->shards[i].buckets[j]);
        }
    }
    return table;
}

void
flight_table_free(struct flight_table **ptable)
{
    struct flight_table *table = *ptable;

    if (table == NULL) {
        return;
    }
    MUST_OBJ(table, TABLE_MAGIC);
    *ptable = NULL;
    MUST(atomic_load(&table->len) == 0);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&table->shards[i].lock);
    }
    table->magic = 0;
    free(table);
}

static struct shard *
shard_of(struct flight_table *table, uint64_t hash)
{
    return &table->shards[hash % SHARDS];
}

static struct list *
bucket_of(struct shard *shard, uint64_t hash)
{
    return &shard->buckets[(hash / SHARDS) % BUCKETS];
}

static void
flight_unlink(struct flight_table *table, struct flight *flight)
{
    if (list_is_linked(&flight->link)) {
        MUST(atomic_load(&table->len) > 0);
        list_remove(&flight->link);
        atomic_fetch_sub_explicit(&table->len, 1, memory_order_relaxed);
    }
}

bool
flight_is_outdated(
    const struct flight_table *table, const struct flight *flight)
{
    MUST_OBJ(table, TABLE_MAGIC);
    MUST_OBJ(flight, FLIGHT_MAGIC);
    return written_count(table->written, flight->hash) != flight->written;
}

void
flight_join_until(struct flight *flight, int64_t until_ms)
{
    MUST_OBJ(flight, FLIGHT_MAGIC);
    atomic_store_explicit(&flight->until_ms, until_ms, memory_order_relaxed);
}

/* Whoever only looks whether there is one does not join it. */
static bool
is_over_for(struct flight *flight, const struct flight_waiter *waiter)
{
    return waiter != NULL &&
           loop_now_ms(waiter->loop) >=
               atomic_load_explicit(&flight->until_ms, memory_order_relaxed);
}

/* With the lock held. One that a write has outdated is found by nobody, nor is
   one that is too old for the waiter. */
static struct flight *
flight_find(struct flight_table *table, const struct key *key,
    struct slice form, const struct flight_waiter *waiter)
{
    LIST_EACH (link, bucket_of(shard_of(table, key->hash), key->hash)) {
        struct flight *flight = CONTAINER_OF(link, struct flight, link);
        MUST_OBJ(flight, FLIGHT_MAGIC);
        if (flight->hash != key->hash || !slice_eq(flight->key, key->full) ||
            !slice_eq(flight->form, form)) {
            continue;
        }
        if (!flight_is_outdated(table, flight) &&
            !is_over_for(flight, waiter)) {
            return flight;
        }
        flight_unlink(table, flight);
    }
    return NULL;
}

static struct flight *
flight_ref(struct flight *flight)
{
    MUST_OBJ(flight, FLIGHT_MAGIC);
    atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    return flight;
}

void
flight_unref(struct flight **pflight)
{
    struct flight *flight = *pflight;

    if (flight == NULL) {
        return;
    }
    MUST_OBJ(flight, FLIGHT_MAGIC);
    *pflight = NULL;
    if (atomic_fetch_sub_explicit(&flight->refs, 1, memory_order_acq_rel) !=
        1) {
        return;
    }
    MUST(!list_is_linked(&flight->link));
    MUST(list_is_empty(&flight->waiters));
    entry_unref(&flight->result.entry);
    entry_unref(&flight->result.record);
    fill_unref(&flight->result.fill);
    flight->magic = 0;
    free(flight);
}

static void
waiter_tell(struct flight_waiter *waiter)
{
    MUST(waiter->has_result);
    MUST_OBJ(waiter->flight, FLIGHT_MAGIC);
    waiter->on_result(waiter->ctx, &waiter->flight->result);
}

static void
on_waiter_message(void *ctx)
{
    waiter_tell(ctx);
}

/* On no list; one reference is the owner's. NULL: no memory. */
static struct flight *
flight_new(
    const struct flight_table *table, const struct key *key, struct slice form)
{
    struct flight *flight = malloc(sizeof(*flight) + key->full.len + form.len);

    if (flight == NULL) {
        return NULL;
    }
    *flight = (struct flight){
        .magic = FLIGHT_MAGIC,
        .hash = key->hash,
        .written = written_count(table->written, key->hash),
    };
    memcpy(flight->key_bytes, key->full.ptr, key->full.len);
    flight->key = slice_of(flight->key_bytes, key->full.len);
    flight->form = slice_of(flight->key_bytes + key->full.len, form.len);
    if (form.len > 0) {
        memcpy(flight->key_bytes + key->full.len, form.ptr, form.len);
    }
    atomic_init(&flight->refs, 1);
    atomic_init(&flight->until_ms, INT64_MAX);
    list_init(&flight->link);
    list_init(&flight->waiters);
    return flight;
}

/* With the lock held. */
static struct flight *
flight_add(struct flight_table *table, const struct key *key, struct slice form)
{
    struct flight *flight;

    if (atomic_load_explicit(&table->len, memory_order_relaxed) >= table->max) {
        return NULL;
    }
    flight = flight_new(table, key, form);
    if (flight != NULL) {
        list_push_front(
            bucket_of(shard_of(table, key->hash), key->hash), &flight->link);
        atomic_fetch_add_explicit(&table->len, 1, memory_order_relaxed);
    }
    return flight;
}

static void
waiter_init(struct flight_waiter *waiter, struct flight *flight)
{
    MUST(waiter->loop != NULL);
    MUST(waiter->on_result != NULL);
    waiter->flight = flight;
    waiter->is_leader = false;
    waiter->is_late = false;
    waiter->has_result = false;
    list_init(&waiter->link);
    loop_message_init(&waiter->message, on_waiter_message, waiter);
}

static void
waiter_lead(struct flight_waiter *waiter, struct flight *flight)
{
    MUST(flight->leader == NULL);
    waiter_init(waiter, flight_ref(flight));
    waiter->is_leader = true;
    flight->leader = waiter;
    list_push_back(&flight->waiters, &waiter->link);
}

/* With the lock held. */
static void
waiter_join(struct flight_waiter *waiter, struct flight *flight)
{
    waiter_init(waiter, flight_ref(flight));
    if (flight->result.outcome == FLIGHT_PENDING) {
        list_push_back(&flight->waiters, &waiter->link);
    } else {
        waiter->is_late = true;
        waiter->has_result = true;
        loop_post(waiter->loop, &waiter->message);
    }
}

enum flight_entry
flight_enter(struct flight_table *table, const struct key *key,
    struct slice form, struct flight_waiter *waiter, struct flight **out_own)
{
    struct shard *shard = shard_of(table, key->hash);
    enum flight_entry entry = FLIGHT_JOINED;
    struct flight *flight;

    MUST_OBJ(table, TABLE_MAGIC);
    pthread_mutex_lock(&shard->lock);
    flight = flight_find(table, key, form, waiter);
    if (flight == NULL) {
        *out_own = flight_add(table, key, form);
        entry = *out_own == NULL ? FLIGHT_REFUSED : FLIGHT_OPENED;
    }
    if (waiter != NULL && flight != NULL) {
        waiter_join(waiter, flight);
    } else if (waiter != NULL && entry == FLIGHT_OPENED) {
        waiter_lead(waiter, *out_own);
    }
    pthread_mutex_unlock(&shard->lock);
    return entry;
}

bool
flight_enter_alone(struct flight_table *table, const struct key *key,
    struct flight_waiter *waiter)
{
    struct flight *flight = flight_new(table, key, slice_of(NULL, 0));

    MUST_OBJ(table, TABLE_MAGIC);
    if (flight == NULL) {
        return false;
    }
    waiter_lead(waiter, flight);
    return true;
}

void
flight_interim(struct flight *flight, const struct head *head)
{
    struct flight_waiter *leader = flight->leader;

    MUST_OBJ(flight, FLIGHT_MAGIC);
    if (leader != NULL && leader->on_interim != NULL) {
        leader->on_interim(leader->ctx, head);
    }
}

void
flight_resolve(struct flight_table *table, struct flight *flight,
    const struct flight_result *own_result, bool keeps_open)
{
    struct shard *shard = shard_of(table, flight->hash);
    struct flight_waiter *leader = flight->leader;
    struct list *link;

    MUST_OBJ(flight, FLIGHT_MAGIC);
    MUST(flight->result.outcome == FLIGHT_PENDING);
    MUST(own_result->outcome != FLIGHT_PENDING);
    MUST((own_result->outcome == FLIGHT_ENTRY) == (own_result->entry != NULL));
    MUST((own_result->outcome == FLIGHT_FILL) == (own_result->fill != NULL));
    pthread_mutex_lock(&shard->lock);
    flight->result = *own_result;
    if (!keeps_open) {
        flight_unlink(table, flight);
    }
    while ((link = list_pop(&flight->waiters)) != NULL) {
        struct flight_waiter *waiter =
            CONTAINER_OF(link, struct flight_waiter, link);
        waiter->has_result = true;
        if (!waiter->is_leader) {
            loop_post(waiter->loop, &waiter->message);
        }
    }
    pthread_mutex_unlock(&shard->lock);
    flight->leader = NULL;
    if (leader != NULL) {
        waiter_tell(leader);
    }
}

void
flight_close(struct flight_table *table, struct flight *flight)
{
    struct shard *shard = shard_of(table, flight->hash);

    MUST_OBJ(table, TABLE_MAGIC);
    MUST_OBJ(flight, FLIGHT_MAGIC);
    pthread_mutex_lock(&shard->lock);
    flight_unlink(table, flight);
    pthread_mutex_unlock(&shard->lock);
}

bool
flight_leave(struct flight_table *table, struct flight_waiter *waiter)
{
    struct shard *shard = shard_of(table, waiter->flight->hash);
    bool is_waiting;

    MUST_OBJ(table, TABLE_MAGIC);
    MUST_OBJ(waiter->flight, FLIGHT_MAGIC);
    pthread_mutex_lock(&shard->lock);
    is_waiting = !waiter->has_result;
    list_remove(&waiter->link);
    pthread_mutex_unlock(&shard->lock);
    if (is_waiting && waiter->is_leader) {
        waiter->flight->leader = NULL;
    }
    if (is_waiting) {
        flight_unref(&waiter->flight);
    }
    return is_waiting;
}

unsigned
flight_table_len(const struct flight_table *table)
{
    MUST_OBJ(table, TABLE_MAGIC);
    return atomic_load_explicit(&table->len, memory_order_relaxed);
}

void
flight_describe(const struct flight *flight, FILE *to)
{
    static const char *const outcomes[] = {
        [FLIGHT_PENDING] = "pending",
        [FLIGHT_ENTRY] = "entry",
        [FLIGHT_FILL] = "fill",
        [FLIGHT_ALONE] = "alone",
        [FLIGHT_ERROR] = "error",
    };

    fprintf(to, "flight %.*s: %s, %u references\n", SLICE_FMT(flight->key),
        outcomes[flight->result.outcome],
        atomic_load(&((struct flight *)(uintptr_t)flight)->refs));
}
