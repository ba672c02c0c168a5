/*
 * Finding and deleting what a write makes stale. The targets that its answer
 * names are keyed as a GET for them by the same client would be. One that no
 * route answers from the cache is left out: nothing is stored for it.
 */
#include "nearside/write/made_stale.h"

#include "nearside/base/check.h"
#include "nearside/http/write.h"
#include "nearside/work/worker.h"

enum {
    /* A URI reference of a response, resolved. */
    RESOLVED_MAX = 8192,
};

struct made_stale_more {
    size_t len;
    struct {
        struct key key;
        struct slice entry_key;
    } targets[INVALIDATE_MORE_MAX];
};

/* --- finding ----------------------------------------------------------- */

static void
add_target(struct made_stale_more *more, const struct question *q,
    struct slice target, struct arena *arena)
{
    MUST(more->len < INVALIDATE_MORE_MAX);
    if (question_keys_of(q, target, arena, &more->targets[more->len].key,
            &more->targets[more->len].entry_key) == RC_OK) {
        more->len++;
    }
}

static const struct made_stale_more *
find_more(
    const struct question *q, const struct head *response, struct arena *arena)
{
    const struct invalidate_base base = {
        .scheme = q->client.scheme, .host = q->host, .target = q->normal};
    struct slice targets[INVALIDATE_MORE_MAX];
    size_t size = INVALIDATE_MORE_MAX * (q->normal.len + RESOLVED_MAX);
    struct made_stale_more *more = arena_zalloc(arena, sizeof(*more));
    char *text = arena_alloc(arena, size);
    struct writer w;
    size_t count;

    if (more == NULL || text == NULL) {
        return NULL;
    }
    w = writer_of(text, size);
    count = invalidate_more(response, &base, &w, targets);
    for (size_t i = 0; i < count; i++) {
        add_target(more, q, targets[i], arena);
    }
    return more->len > 0 ? more : NULL;
}

void
made_stale_find(struct made_stale *stale, const struct question *q,
    const struct head *response, struct arena *arena)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(!stale->is_due);
    if (!invalidate_is_due(q->head->method, response->status)) {
        return;
    }
    if (head_has(response, FIELD_LOCATION) ||
        head_has(response, FIELD_CONTENT_LOCATION)) {
        stale->more = find_more(q, response, arena);
    }
    stale->is_due = q->key.full.len > 0 || stale->more != NULL;
}

/* --- deleting ---------------------------------------------------------- */

bool
made_stale_is_awaited(const struct made_stale *stale)
{
    for (size_t i = 0; i < MADE_STALE_MAX; i++) {
        if (stale->waits[i].deletion != NULL) {
            return true;
        }
    }
    return false;
}

static void
on_deleted(void *ctx, enum deletion_end end)
{
    struct made_stale_wait *wait = ctx;
    struct made_stale *stale = wait->stale;

    MUST(wait->deletion != NULL);
    wait->deletion = NULL;
    if (wait == &stale->waits[0]) {
        stale->own_end = end;
    }
    if (!made_stale_is_awaited(stale)) {
        stale->on_done(stale->ctx);
    }
}

static void
start(struct made_stale_wait *wait, struct worker *w, const struct key *key,
    struct slice entry_key, struct lease *own_lease)
{
    const struct deletion_opts opts = {
        .own_lease = own_lease,
        .on_done = wait->stale->on_done == NULL ? NULL : on_deleted,
        .ctx = wait,
    };

    MUST(wait->deletion == NULL);
    wait->deletion = deletion_start(w, key, entry_key, &opts);
    if (wait->stale->on_done == NULL) {
        wait->deletion = NULL;
    }
}

bool
made_stale_delete(struct made_stale *stale, struct worker *w,
    const struct question *q, const struct made_stale_opts *opts)
{
    const struct made_stale_more *more = stale->more;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(!made_stale_is_awaited(stale));
    stale->on_done = opts->on_done;
    stale->ctx = opts->ctx;
    stale->own_end = DELETION_FAILED;
    for (size_t i = 0; i < MADE_STALE_MAX; i++) {
        stale->waits[i].stale = stale;
    }
    for (size_t i = 0; more != NULL && i < more->len; i++) {
        start(&stale->waits[1 + i], w, &more->targets[i].key,
            more->targets[i].entry_key, NULL);
    }
    if (w->redis == NULL) { /* what is deleted in memory is so at once */
        stale->own_end = DELETION_DONE;
    }
    if (q->key.full.len > 0) {
        start(&stale->waits[0], w, &q->key, q->entry_key, opts->own_lease);
    }
    return made_stale_is_awaited(stale);
}

void
made_stale_forget(struct made_stale *stale)
{
    for (size_t i = 0; i < MADE_STALE_MAX; i++) {
        deletion_forget(&stale->waits[i].deletion);
    }
}
