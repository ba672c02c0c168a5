/*
 * Finding and deleting what a write makes stale. The targets that its answer
 * names are keyed as a GET for them by the same client would be.
 */
#include "nearside/write/made_stale.h"

#include "nearside/base/check.h"
#include "nearside/http/invalidate.h"
#include "nearside/http/write.h"

enum {
    /* A URI reference of a response, resolved. */
    RESOLVED_MAX = 8192,
};

struct made_stale {
    size_t len;
    struct {
        struct key key;
        struct slice entry_key;
    } more[INVALIDATE_MORE_MAX];
};

const struct made_stale *
made_stale_find(
    const struct question *q, const struct head *response, struct arena *arena)
{
    static const struct made_stale nothing_more;
    const struct invalidate_base base = {
        .scheme = q->client.scheme, .host = q->host, .target = q->normal};
    struct slice targets[INVALIDATE_MORE_MAX];
    size_t size = INVALIDATE_MORE_MAX * (q->normal.len + RESOLVED_MAX);
    struct made_stale *stale;
    struct writer w;
    size_t count;
    char *text;

    MUST_OBJ(q, QUESTION_MAGIC);
    if (!invalidate_is_due(q->head->method, response->status)) {
        return NULL;
    }
    stale = arena_zalloc(arena, sizeof(*stale));
    text = arena_alloc(arena, size);
    if (stale == NULL || text == NULL) {
        return &nothing_more;
    }
    w = writer_of(text, size);
    count = invalidate_more(response, &base, &w, targets);
    for (size_t i = 0; i < count; i++) {
        if (question_keys_of(q, targets[i], arena, &stale->more[stale->len].key,
                &stale->more[stale->len].entry_key) == RC_OK) {
            stale->len++;
        }
    }
    return stale;
}

struct deletion *
made_stale_delete(struct worker *w, const struct question *q,
    const struct made_stale *stale, const struct deletion_opts *opts)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->key.full.len > 0);
    for (size_t i = 0; stale != NULL && i < stale->len; i++) {
        deletion_start(w, &stale->more[i].key, stale->more[i].entry_key,
            &(struct deletion_opts){0});
    }
    return deletion_start(w, &q->key, q->entry_key, opts);
}
