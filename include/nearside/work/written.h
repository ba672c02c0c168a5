/*
 * Keys that have been written: a count for each of some thousand groups of
 * keys, by their hash. Whoever begins a lookup or a fetch notes the count of
 * its key; when the count is another one later, a write came meanwhile, to
 * this key or, rarely, to one of its group, and what was fetched before must
 * neither be stored nor given to anybody who comes now.
 *
 * Writes of this process alone are counted; those of other instances are told
 * by the fetch lease.
 */
#ifndef NEARSIDE_WORK_WRITTEN_H
#define NEARSIDE_WORK_WRITTEN_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    /* 64 KiB; of a thousand writes during a fetch, one in sixteen fetches is
       taken for an outdated one. */
    WRITTEN_GROUPS = 16384,
};

struct written {
    _Atomic uint32_t counts[WRITTEN_GROUPS];
};

static inline uint32_t
written_count(const struct written *w, uint64_t hash)
{
    return atomic_load(
        &((struct written *)(uintptr_t)w)->counts[hash % WRITTEN_GROUPS]);
}

static inline void
written_mark(struct written *w, uint64_t hash)
{
    atomic_fetch_add(&w->counts[hash % WRITTEN_GROUPS], 1);
}

#endif
