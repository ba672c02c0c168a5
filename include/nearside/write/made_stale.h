/*
 * What a write that has succeeded makes stale (RFC 9111 4.4): its target, and
 * what its answer names in Location and Content-Location.
 */
#ifndef NEARSIDE_WRITE_MADE_STALE_H
#define NEARSIDE_WRITE_MADE_STALE_H

#include "nearside/rules/question.h"
#include "nearside/tier/deletion.h"

struct made_stale;

/* In the arena; NULL: nothing is made stale by a write with that answer. Out of
   memory only the target itself is. */
const struct made_stale *made_stale_find(
    const struct question *q, const struct head *response, struct arena *arena);

/*
 * Deletes all that is stored for the target, in all its forms, and what else
 * was made stale (NULL: nothing else). What it answers, and opts, are
 * deletion_start's, for the target.
 */
struct deletion *made_stale_delete(struct worker *w, const struct question *q,
    const struct made_stale *stale, const struct deletion_opts *opts);

#endif
