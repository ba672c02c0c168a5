/*
 * The store: shards, each behind its lock. An entry is looked for, asked for
 * and referenced in one hold of the lock; memory is given back after it.
 *
 * The upper bits of a key's hash choose the shard, the lower 32 are what the
 * shard knows of it.
 */
#include "nearside/cache/store.h"

#include <pthread.h>
#include <stdlib.h>

#include "nearside/base/check.h"

#include "shard.h"

#define STORE_MAGIC UINT32_C(0x6e73746f)

enum {
    LINE = 64, /* bytes that two cores do not share */
    ENTRY_SHARE = 4,
};

/* A shard should hold many times its largest entry, or the one would push out
   all others; and few enough seats that its table grows in a millisecond. */
#define SHARD_SIZE ((size_t)8 << 20)

struct place {
    _Alignas(LINE) pthread_mutex_t lock;
    struct shard shard; /* under the lock */
};

struct store {
    uint32_t magic;
    unsigned places_len; /* a power of two */
    size_t entry_max;
    struct place *places;
};

static unsigned
shards_for(const struct store_opts *opts)
{
    unsigned shards = 1;

    if (opts->shards != 0) {
        return opts->shards;
    }
    while (shards < STORE_SHARDS_MAX && opts->size / shards > SHARD_SIZE) {
        shards *= 2;
    }
    return shards;
}

static bool
make_places(struct store *store, size_t size)
{
    unsigned len = store->places_len;
    void *places;

    if (posix_memalign(&places, LINE, len * sizeof(struct place)) != 0) {
        return false;
    }
    store->places = places;
    for (unsigned i = 0; i < len; i++) {
        struct place *place = &store->places[i];

        if (shard_init(&place->shard, size / len) != RC_OK) {
            store->places_len = i;
            return false;
        }
        MUST(pthread_mutex_init(&place->lock, NULL) == 0);
    }
    return true;
}

struct store *
store_new(const struct store_opts *opts)
{
    struct store *store = calloc(1, sizeof(*store));

    MUST(opts->size > 0);
    MUST(opts->shards <= STORE_SHARDS_MAX);
    MUST((opts->shards & (opts->shards - 1)) == 0);
    if (store == NULL) {
        return NULL;
    }
    store->magic = STORE_MAGIC;
    store->places_len = shards_for(opts);
    store->entry_max = opts->size / store->places_len / ENTRY_SHARE;
    if (opts->entry_max != 0 && opts->entry_max < store->entry_max) {
        store->entry_max = opts->entry_max;
    }
    if (!make_places(store, opts->size)) {
        store_free(&store);
    }
    return store;
}

void
store_free(struct store **pstore)
{
    struct store *store = *pstore;

    if (store == NULL) {
        return;
    }
    MUST_OBJ(store, STORE_MAGIC);
    *pstore = NULL;
    for (unsigned i = 0; store->places != NULL && i < store->places_len; i++) {
        shard_fini(&store->places[i].shard);
        MUST(pthread_mutex_destroy(&store->places[i].lock) == 0);
    }
    free(store->places);
    store->magic = 0;
    free(store);
}

static struct place *
place_lock(struct store *store, uint64_t hash)
{
    struct place *place;

    MUST_OBJ(store, STORE_MAGIC);
    place = &store->places[(hash >> 32) & (store->places_len - 1)];
    MUST(pthread_mutex_lock(&place->lock) == 0);
    return place;
}

static void
place_unlock(struct place *place)
{
    MUST(pthread_mutex_unlock(&place->lock) == 0);
}

enum rc
store_get(struct store *store, const struct key *key, struct entry **out_entry,
    struct store_note *out_note)
{
    struct place *place = place_lock(store, key->hash);
    struct seat *seat;

    MUST(key->full.len > 0);
    seat = shard_find(&place->shard, (uint32_t)key->hash, key->full);

    if (seat != NULL) {
        shard_ask(seat);
        *out_entry = entry_ref(seat->entry);
        *out_note =
            (struct store_note){.stamp = seat->stamp, .slot = seat->slot};
    }
    place_unlock(place);
    return seat == NULL ? RC_MISS : RC_OK;
}

/* --- watches --------------------------------------------------------------
 */

static struct list *
watches_of(struct place *place, uint64_t hash)
{
    return &place->shard.watches[hash % SHARD_WATCH_LISTS];
}

void
store_watch(
    struct store *store, struct store_watch *watch, const struct key *key)
{
    struct place *place = place_lock(store, key->hash);

    MUST(!list_is_linked(&watch->link));
    *watch = (struct store_watch){.hash = key->hash};
    list_push_back(watches_of(place, key->hash), &watch->link);
    place_unlock(place);
}

/* The lock that guards a watch's link is that of its hash; who made it is the
   only one who looks whether there is one. */
void
store_unwatch(struct store *store, struct store_watch *watch)
{
    struct place *place = place_lock(store, watch->hash);

    list_remove(&watch->link);
    place_unlock(place);
}

static void
tell_watches(struct place *place, uint64_t hash)
{
    struct list *watches = watches_of(place, hash);

    for (struct list *l = watches->next; l != watches; l = l->next) {
        struct store_watch *watch = CONTAINER_OF(l, struct store_watch, link);

        watch->is_changed |= watch->hash == hash;
    }
}

/* --- changes --------------------------------------------------------------
 */

enum rc
store_put(struct store *store, struct store_watch *watch, struct entry *entry,
    const struct store_note *note)
{
    struct parting parting = {.len = 0};
    struct place *place = place_lock(store, watch->hash);
    enum rc rc = RC_MISS;

    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST(list_is_linked(&watch->link));
    list_remove(&watch->link);
    if (!watch->is_changed) {
        rc = entry_size(entry) > store->entry_max
                 ? RC_LIMIT
                 : shard_put(&place->shard, (uint32_t)watch->hash, entry, note,
                       &parting);
        if (rc != RC_OK) {
            (void)shard_drop(&place->shard, (uint32_t)watch->hash, &parting);
        }
    }
    place_unlock(place);
    parting_end(&parting);
    return rc;
}

unsigned
store_drop(struct store *store, uint64_t hash)
{
    struct parting parting = {.len = 0};
    struct place *place = place_lock(store, hash);
    unsigned dropped = shard_drop(&place->shard, (uint32_t)hash, &parting);

    tell_watches(place, hash);
    place_unlock(place);
    parting_end(&parting);
    return dropped;
}

void
store_drop_all(struct store *store)
{
    MUST_OBJ(store, STORE_MAGIC);
    for (unsigned i = 0; i < store->places_len; i++) {
        struct place *place = &store->places[i];

        MUST(pthread_mutex_lock(&place->lock) == 0);
        shard_drop_all(&place->shard);
        for (unsigned n = 0; n < SHARD_WATCH_LISTS; n++) {
            struct list *watches = &place->shard.watches[n];

            for (struct list *l = watches->next; l != watches; l = l->next) {
                CONTAINER_OF(l, struct store_watch, link)->is_changed = true;
            }
        }
        place_unlock(place);
    }
}

void
store_count(struct store *store, struct store_counts *out)
{
    struct store_counts sum = {.bytes = sizeof(*store)};

    MUST_OBJ(store, STORE_MAGIC);
    for (unsigned i = 0; i < store->places_len; i++) {
        struct place *place = &store->places[i];
        const struct store_counts *counts = &place->shard.counts;

        MUST(pthread_mutex_lock(&place->lock) == 0);
        sum.entries += shard_len(&place->shard);
        sum.bytes += shard_bytes(&place->shard) + sizeof(*place);
        sum.puts += counts->puts;
        sum.drops += counts->drops;
        sum.evicted_small += counts->evicted_small;
        sum.evicted_main += counts->evicted_main;
        sum.ghost_returns += counts->ghost_returns;
        place_unlock(place);
    }
    *out = sum;
}
