/*
 * What a write that has succeeded makes stale (RFC 9111 4.4): its target, and
 * what its answer names in Location and Content-Location.
 */
#include "nearside/http/write.h"
#include "proxy/claim.h"
#include "proxy/request.h"

struct stale_targets {
    size_t len;
    struct {
        struct key key;
        struct slice entry_key;
    } more[INVALIDATE_MORE_MAX];
};

void
request_find_stale(struct request *r, const struct head *response)
{
    const struct question *q = r->q;
    const struct invalidate_base base = {
        .scheme = q->client.scheme, .host = q->host, .target = q->normal};
    struct slice targets[INVALIDATE_MORE_MAX];
    size_t size = INVALIDATE_MORE_MAX * (q->normal.len + 8192);
    struct stale_targets *stale;
    struct writer w;
    size_t count = 0;
    char *text;

    r->is_invalidation_due =
        invalidate_is_due(q->head->method, response->status);
    if (!r->is_invalidation_due) {
        return;
    }
    stale = arena_zalloc(&r->arena, sizeof(*stale));
    text = arena_alloc(&r->arena, size);
    if (stale != NULL && text != NULL) {
        w = writer_of(text, size);
        count = invalidate_more(response, &base, &w, targets);
    }
    r->made_stale = stale;
    for (size_t i = 0; i < count; i++) {
        if (question_keys_of(q, targets[i], &r->arena,
                &stale->more[stale->len].key,
                &stale->more[stale->len].entry_key) == RC_OK) {
            stale->len++;
        }
    }
}

struct invalidation *
request_invalidate(
    struct request *r, void (*on_done)(void *ctx, bool is_acknowledged))
{
    const struct stale_targets *stale = r->made_stale;
    const struct invalidation_opts none = {0};
    const struct invalidation_opts opts = {
        .token = claim_token(r), .on_done = on_done, .ctx = r};

    MUST(r->q->key.full.len > 0);
    for (size_t i = 0; stale != NULL && i < stale->len; i++) {
        struct invalidation *more = invalidation_start(
            r->worker, &stale->more[i].key, stale->more[i].entry_key, &none);
        invalidation_forget(&more);
    }
    return invalidation_start(r->worker, &r->q->key, r->q->entry_key, &opts);
}
