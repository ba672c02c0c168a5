/*
 * The fetch leases that are held in this process, with memory alone. As in
 * Redis, a lease that nobody renews ends by itself, and a write ends those of
 * its key.
 *
 * The table has a place for each of some hashes. Where another key has the
 * place already, a lease is held without being seen: then two may fetch the
 * same, and nothing worse.
 */
#ifndef LEASE_HELD_H
#define LEASE_HELD_H

#include "nearside/lease/leases.h"

void held_init(struct held *h);
void held_fini(struct held *h);

/* One of number `number`, which is not 0. False: somebody else has it. */
bool held_take(struct held *h, uint64_t hash, uint64_t number, int64_t now_ms);

/* If it is seen, it lasts as long again. */
void held_renew(struct held *h, uint64_t hash, uint64_t number, int64_t now_ms);

/* Harmless if it is not that one's. */
void held_release(struct held *h, uint64_t hash, uint64_t number);

/* Any lease of the key but that one. */
void held_end(struct held *h, uint64_t hash, uint64_t but_number);

#endif
