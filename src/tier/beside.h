/*
 * Memory beside Redis. What a lookup has found in Redis is put into memory, if
 * nothing can have changed it meanwhile; what this process changes in Redis is
 * dropped from memory, and so is what a server tells of. A value that this
 * process writes is never put: it comes with the first lookup after it.
 */
#ifndef TIER_BESIDE_H
#define TIER_BESIDE_H

#include "nearside/tier/lookup.h"

/* Before Redis is asked for the value of the lookup's question. */
void beside_watch(struct lookup *lookup);

/* Redis has that entry, and none of the lookup's calls is under way. It is put
   into memory, or not. */
void beside_put(const struct lookup *lookup, struct entry *entry);

/* What has that hash is going to be changed in Redis, or may have been: it
   leaves memory, and no lookup that has begun puts it there again. */
void beside_drop(struct worker *w, uint64_t hash);

/* The same by the entry's key in Redis. */
void beside_drop_name(struct worker *w, struct slice redis_key);

/* How long ago the note's entry was read from Redis, at most. */
int64_t beside_age_ms(const struct worker *w, const struct memory_note *note);

/* Is it known to be void? */
bool beside_is_void(const struct worker *w, const struct memory_note *note);

/* May the note's entry be used now, as far as it is known? look: near_look,
   before memory was looked into. If it never may again it is dropped. */
bool beside_is_usable(struct worker *w, uint64_t hash, uint32_t look,
    const struct memory_note *note);

#endif
