/*
 * The answer to a POST, stored for GETs to come (RFC 9110 9.3.3): where it
 * states its freshness and names its own target in Content-Location. Only
 * where the route says so (store_post).
 */
#ifndef NEARSIDE_WRITE_STORED_POST_H
#define NEARSIDE_WRITE_STORED_POST_H

#include "nearside/body/fetch.h"
#include "nearside/tier/deletion.h"

struct stored_post;

/* May the answer to this write be stored? */
bool stored_post_is_due(const struct worker *w, const struct question *q);

struct stored_post_opts {
    struct worker *worker;
    struct question *q;  /* outlives it */
    struct arena *arena; /* what it lives in */
    void (*on_ready)(void *ctx);
    void *ctx;
};

/*
 * Takes the lease of the target before the POST is sent, so that what other
 * writers do meanwhile keeps its answer from being stored. on_ready comes
 * once, whether it was had or not, and not from inside this call. NULL: no
 * memory, or nothing can be stored now; then nothing will come.
 */
struct stored_post *stored_post_begin(const struct stored_post_opts *opts);

/* --- harmless with NULL --- */

/* The answer's head is there: is its content to be kept, to be stored? */
struct fetch_plan stored_post_on_head(
    struct stored_post *p, const struct head *response);

/* Its lease, while the answer is to be stored under it; or NULL. */
struct lease *stored_post_lease(const struct stored_post *p);

/* The answer is complete. It is stored once the deletion has ended. */
void stored_post_on_complete(struct stored_post *p, struct fill *fill);

/*
 * What the POST has made stale is deleted, or not yet: then its answer is not
 * stored, since a further attempt would delete that too. False: it will not be
 * stored, and stored_post_drop may follow.
 */
bool stored_post_on_deleted(struct stored_post *p, enum deletion_end end);

/* The answer is not stored, as its head says or its size, or the request
   ends: gives back a lease that nothing was stored under. Clears the pointer.
 */
void stored_post_drop(struct stored_post **p);

#endif
