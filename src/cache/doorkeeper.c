/*
 * The doorkeeper: a count of new keys a second, and beyond its limit a Bloom
 * filter of the keys that were turned away (as in TinyLFU: Einziger,
 * Friedman, Manes 2017, where it stands before a cache).
 *
 * Two filters take turns: one is written, both are read. When the written
 * one has taken its fill of keys it becomes the old one, and what was the
 * old one is forgotten. So a key is remembered for at least FILTER_KEYS
 * others, 13 seconds of a flood of 20,000 a second, and memory is bounded.
 *
 * A false "seen before" lets in a key too early: at worst about one in 200
 * of a flood. The hash is keyed (key.h), so nobody can aim for that.
 *
 * One lock: this is asked once a miss, which has a round trip to an origin
 * before it.
 */
#include "nearside/cache/doorkeeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"

#define DOORKEEPER_MAGIC UINT32_C(0x6e646f6f)

enum {
    FILTER_BITS = 1 << 22, /* 512 KiB each; touched only in a flood */
    FILTER_KEYS = FILTER_BITS / 16,
    FILTER_PROBES = 4, /* 16 bits a key: 0.24 % false when it is full */
    SECOND_MS = 1000,
};

struct filter {
    unsigned keys;
    uint64_t bits[FILTER_BITS / 64];
};

struct doorkeeper {
    uint32_t magic;
    unsigned new_max;
    pthread_mutex_t lock;
    int64_t second; /* the one that new_len counts in */
    unsigned new_len;
    unsigned written; /* which filter */
    struct filter filters[2];
};

struct doorkeeper *
doorkeeper_new(unsigned new_max)
{
    struct doorkeeper *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    d->magic = DOORKEEPER_MAGIC;
    d->new_max = new_max;
    MUST(pthread_mutex_init(&d->lock, NULL) == 0);
    return d;
}

void
doorkeeper_free(struct doorkeeper **pd)
{
    struct doorkeeper *d = *pd;

    if (d == NULL) {
        return;
    }
    MUST_OBJ(d, DOORKEEPER_MAGIC);
    *pd = NULL;
    MUST(pthread_mutex_destroy(&d->lock) == 0); /* nobody asks any more */
    d->magic = 0;
    free(d);
}

/* The bits of a key: one hash, walked by a step of its own (Kirsch and
   Mitzenmacher 2006). */
static unsigned
probe(uint64_t hash, unsigned i)
{
    uint32_t step = (uint32_t)(hash >> 32) | 1;

    MUST(i < FILTER_PROBES);
    return ((uint32_t)hash + i * step) % FILTER_BITS;
}

static bool
filter_has(const struct filter *f, uint64_t hash)
{
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        unsigned bit = probe(hash, i);
        if ((f->bits[bit / 64] >> (bit % 64) & 1) == 0) {
            return false;
        }
    }
    return true;
}

static void
filter_add(struct filter *f, uint64_t hash)
{
    MUST(f->keys < FILTER_KEYS);
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        unsigned bit = probe(hash, i);
        f->bits[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    f->keys++;
}

static void
remember(struct doorkeeper *d, uint64_t hash)
{
    MUST(d->written < ARRAY_LEN(d->filters));
    if (d->filters[d->written].keys == FILTER_KEYS) {
        d->written = 1 - d->written;
        memset(&d->filters[d->written], 0, sizeof(d->filters[0]));
    }
    filter_add(&d->filters[d->written], hash);
}

/* One more new key within this second, unless that would be too many. */
static bool
count_new(struct doorkeeper *d, int64_t now_ms)
{
    MUST(d->new_len <= d->new_max);
    if (d->second != now_ms / SECOND_MS) {
        d->second = now_ms / SECOND_MS;
        d->new_len = 0;
    }
    if (d->new_len >= d->new_max) {
        return false;
    }
    d->new_len++;
    return true;
}

/* With the lock held. A key that came before does not use up the limit, or
   a flood could keep it out. */
static bool
admits(struct doorkeeper *d, uint64_t hash, int64_t now_ms)
{
    if (filter_has(&d->filters[0], hash) || filter_has(&d->filters[1], hash) ||
        count_new(d, now_ms)) {
        return true;
    }
    remember(d, hash);
    return false;
}

bool
doorkeeper_admits(struct doorkeeper *d, uint64_t hash, int64_t now_ms)
{
    bool is_admitted;

    MUST_OBJ(d, DOORKEEPER_MAGIC);
    MUST(now_ms >= 0);
    if (d->new_max == 0) {
        return true;
    }
    pthread_mutex_lock(&d->lock);
    is_admitted = admits(d, hash, now_ms);
    pthread_mutex_unlock(&d->lock);
    return is_admitted;
}
