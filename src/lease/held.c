/* Leases that are held (held.h): one lock, since they are as rare as misses. */
#include "lease/held.h"

#include "nearside/lease/lease.h"

void
held_init(struct held *h)
{
    *h = (struct held){.magic = HELD_MAGIC};
    MUST(pthread_mutex_init(&h->lock, NULL) == 0);
}

void
held_fini(struct held *h)
{
    MUST_OBJ(h, HELD_MAGIC);
    MUST(pthread_mutex_destroy(&h->lock) == 0);
    h->magic = 0;
}

static struct held_lease *
place_lock(struct held *h, uint64_t hash)
{
    MUST_OBJ(h, HELD_MAGIC);
    MUST(pthread_mutex_lock(&h->lock) == 0);
    return &h->leases[hash % HELD_MAX];
}

static void
unlock(struct held *h)
{
    MUST(pthread_mutex_unlock(&h->lock) == 0);
}

bool
held_take(struct held *h, uint64_t hash, uint64_t number, int64_t now_ms)
{
    struct held_lease *place = place_lock(h, hash);
    bool is_free = place->number == 0 || now_ms >= place->until_ms;
    bool is_taken = !is_free && place->hash == hash;

    MUST(number != 0);
    if (is_free) {
        *place = (struct held_lease){
            .hash = hash, .number = number, .until_ms = now_ms + LEASE_MS};
    }
    unlock(h);
    return !is_taken;
}

/* Under the lock. */
static bool
is_of(const struct held_lease *place, uint64_t hash, uint64_t number)
{
    return place->hash == hash && place->number == number;
}

void
held_renew(struct held *h, uint64_t hash, uint64_t number, int64_t now_ms)
{
    struct held_lease *place = place_lock(h, hash);

    if (is_of(place, hash, number)) {
        place->until_ms = now_ms + LEASE_MS;
    }
    unlock(h);
}

void
held_release(struct held *h, uint64_t hash, uint64_t number)
{
    struct held_lease *place = place_lock(h, hash);

    if (is_of(place, hash, number)) {
        *place = (struct held_lease){.number = 0};
    }
    unlock(h);
}

void
held_end(struct held *h, uint64_t hash, uint64_t but_number)
{
    struct held_lease *place = place_lock(h, hash);

    if (place->hash == hash && place->number != but_number) {
        *place = (struct held_lease){.number = 0};
    }
    unlock(h);
}
