/* Hashes. Tables that a stranger can fill use the keyed one. */
#ifndef NEARSIDE_BASE_HASH_H
#define NEARSIDE_BASE_HASH_H

#include "nearside/base/slice.h"

struct hash_key {
    uint64_t k0;
    uint64_t k1;
};

/* A random key from the kernel; ends the process if there is none. */
void hash_key_random(struct hash_key *out);

/* SipHash-1-3 (Aumasson and Bernstein 2012, reduced rounds). */
uint64_t hash_keyed(const struct hash_key *key, struct slice s);

/* Uniform random numbers for jitter; not for secrets. State is the
   caller's, seeded once by random_seed. */
struct random {
    uint64_t state;
};
void random_seed(struct random *r);
uint64_t random_next(struct random *r);
/* In [0, below); 0 when below is 0. */
uint64_t random_below(struct random *r, uint64_t below);

#endif
