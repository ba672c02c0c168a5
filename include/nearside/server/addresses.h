/*
 * The addresses of a server, and what all workers know of each.
 *
 * A set is immutable and counted, and holds its addresses by reference: one
 * that stays when the set changes is the same object in both.
 */
#ifndef NEARSIDE_SERVER_ADDRESSES_H
#define NEARSIDE_SERVER_ADDRESSES_H

#include "nearside/base/check.h"
#include "nearside/net/addresses.h"

#define ORIGIN_ADDRESS_MAGIC   UINT32_C(0x6f616464)
#define ORIGIN_ADDRESSES_MAGIC UINT32_C(0x6f616473)

struct origin_address {
    uint32_t magic;
    atomic_uint refs;
    struct address address; /* immutable; with its port */
    /* It has left the server's set: its connections end after their present
       answer. Never false again. */
    atomic_bool is_gone;
    /* Until then others are dialled first. 0: its last dial did not fail. */
    _Atomic int64_t rest_until_ms;
    /* Under the server's lock. */
    unsigned failures; /* in a row; those of one rest are one */
    int64_t failed_ms; /* when the last one was counted */
};

struct origin_addresses {
    uint32_t magic;
    atomic_uint refs;
    unsigned count; /* from 1 to ADDRESSES_MAX */
    struct origin_address *items[];
};

struct origin_address *origin_address_ref(struct origin_address *a);

/* Clears the caller's pointer. */
void origin_address_unref(struct origin_address **a);

/*
 * A set of what was found, each address once, at `port` (0: the addresses have
 * one). Those that `before` (or NULL) has too are taken from there, with all
 * that is known of them. Its first reference is the caller's. NULL: no memory.
 */
struct origin_addresses *origin_addresses_new(const struct addresses *found,
    uint16_t port, const struct origin_addresses *before);

struct origin_addresses *origin_addresses_ref(struct origin_addresses *set);

/* Clears the caller's pointer; harmless when that is NULL. */
void origin_addresses_unref(struct origin_addresses **set);

/* Is it that very object? */
bool origin_addresses_have(
    const struct origin_addresses *set, const struct origin_address *a);

/* Have both the same objects, in whatever order? */
bool origin_addresses_are_same(
    const struct origin_addresses *one, const struct origin_addresses *other);

/*
 * The next to dial: from `from` on round the set, the first that is not in
 * `but` (bit i: item i) and does not rest; if all of these rest, the one whose
 * rest ends first. -1: none is left. Who is given an address whose rest is over
 * has it for himself: it rests for others until try_ms have passed.
 */
int origin_addresses_next(struct origin_addresses *set, unsigned from,
    uint64_t but, int64_t now_ms, int64_t try_ms);

/* A mask of items of `from`, as a mask of `to`; those that `to` lacks are
   gone from it. */
uint64_t origin_addresses_mask(uint64_t bits,
    const struct origin_addresses *from, const struct origin_addresses *to);

#endif
