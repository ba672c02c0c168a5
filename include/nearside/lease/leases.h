/*
 * What the process has for its leases, and each worker for its own: tokens that
 * are like no others, the scripts that end them, and the leases that are held
 * here where there is no Redis.
 */
#ifndef NEARSIDE_LEASE_LEASES_H
#define NEARSIDE_LEASE_LEASES_H

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/cache/memory.h"
#include "nearside/redis/redis.h"
#include "nearside/work/worker.h"

#define LEASES_MAGIC       UINT32_C(0x6e6c6573)
#define LEASE_WORKER_MAGIC UINT32_C(0x6e6c6577)
#define HELD_MAGIC         UINT32_C(0x6e68656c)

struct lease_scripts {
    struct redis_script renew;
    struct redis_script release;
    struct redis_script fence;
};

/* Fetch leases with memory alone (lease/held.h). */
enum {
    HELD_MAX = 1024, /* places; as many misses at once are rare */
};

struct held_lease {
    uint64_t hash;   /* of its key */
    uint64_t number; /* 0: none is held here */
    int64_t until_ms;
};

struct held {
    uint32_t magic;
    pthread_mutex_t lock;
    struct held_lease leases[HELD_MAX]; /* under the lock */
};

struct leases {
    uint32_t magic;
    uint64_t instance; /* random; part of every token */
    atomic_ullong tokens;
    atomic_ullong made;    /* how many leases, of all workers */
    struct memory *memory; /* a loan; NULL: none */
    struct held held;
    struct lease_scripts scripts;
};

/* A worker's part. */
struct lease_worker {
    uint32_t magic;
    struct leases *leases;
    const struct lease_scripts *scripts; /* of the leases */
    struct list releases; /* release.c: tokens that are given back */
    unsigned releases_len;
};

enum {
    TOKEN_MAX = 40,
};

/* memory: lent for as long as the leases live, or NULL. */
void leases_init(struct leases *leases, struct memory *memory);
void leases_fini(struct leases *leases);

/* Sets worker->lease, for as long as the worker lives. */
void lease_worker_init(struct lease_worker *lease_worker, struct leases *leases,
    struct worker *worker);

/* A token that nobody else in the fleet has, nor this process at another
   time; its length. */
size_t lease_make_token(struct worker *w, char out[TOKEN_MAX]);

#endif
