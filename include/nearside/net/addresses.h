/*
 * The addresses that one name stands for: never empty, immutable, counted, so
 * that all who asked for the name share one. Any thread.
 */
#ifndef NEARSIDE_NET_ADDRESSES_H
#define NEARSIDE_NET_ADDRESSES_H

#include <stdatomic.h>

#include "nearside/net/address.h"

enum {
    ADDRESSES_MAX = 64, /* of one name */
};

struct addresses {
    uint32_t magic;
    atomic_uint refs;
    unsigned count; /* from 1 to ADDRESSES_MAX */
    struct address items[];
};

/* Copies them; its first reference is the caller's. NULL: no memory. */
struct addresses *addresses_new(const struct address *items, unsigned count);

struct addresses *addresses_ref(struct addresses *addresses);

/* Clears the caller's pointer; harmless when that is NULL. */
void addresses_unref(struct addresses **addresses);

#endif
