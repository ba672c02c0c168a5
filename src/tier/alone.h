/*
 * Without Redis: what store.h and deletion.h promise, by memory alone. It
 * stores and deletes at once. All workers have one memory.
 */
#ifndef TIER_ALONE_H
#define TIER_ALONE_H

#include "nearside/tier/deletion.h"
#include "nearside/tier/store.h"

/* As store_write. */
void alone_store(struct worker *w, const struct store *own_store);

/* Drops what is stored under that key. own_lease or NULL: as in
   deletion_opts. */
void alone_delete(
    struct worker *w, const struct key *key, struct lease *own_lease);

#endif
