/*
 * A request's keys, by keys.h, and what they are good for after a write.
 */
#include "nearside/http/uri.h"
#include "nearside/http/write.h"
#include "nearside/memory/key.h"
#include "proxy/claim.h"
#include "proxy/request.h"

const struct route *
request_read_route(struct request *r, struct slice target)
{
    const struct proxy_conf_opts *opts = &r->conf->opts;
    ptrdiff_t at = route_match(opts->routes, opts->routes_len, SLICE("GET"),
        r->host, uri_path(target));

    return at >= 0 && opts->routes[at].read != ROUTE_READ_PASS
               ? &opts->routes[at]
               : NULL;
}

static struct keys_from
from_of(const struct request *r, const struct route *reads, struct slice target)
{
    return (struct keys_from){
        .route = reads,
        .head = r->head,
        .is_trusted = r->client.is_trusted,
        .scheme = r->client.scheme,
        .host = r->host,
        .target = target,
    };
}

/* The full key as flights and entries compare it: the variant behind it. */
static enum rc
add_variant(struct arena *arena, struct slice full, struct slice variant,
    struct slice *out)
{
    struct writer w;
    char *text = arena_alloc(arena, full.len + 1 + variant.len);

    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, full.len + 1 + variant.len);
    write_slice(&w, full);
    write_slice(&w, SLICE(" "));
    write_slice(&w, variant);
    *out = writer_slice(&w);
    return RC_OK;
}

static enum rc
make_entry_key(struct request *r, struct slice full, struct slice variant,
    struct slice *out)
{
    return key_redis(
        &r->arena, r->conf->prefix, KEY_ENTRY, full, variant, out);
}

/* A write is sent as it came. */
static enum rc
make_sent_target(struct request *r)
{
    if (r->result == RESULT_WRITE) {
        return RC_OK;
    }
    if (r->normal.ptr == r->head->target.ptr) {
        r->target = r->keys.target;
        return RC_OK;
    }
    return keys_keep(
        &r->arena, r->reads, r->normal, r->head->target, &r->target);
}

enum rc
request_make_keys(struct request *r)
{
    const struct keys_from from = from_of(r, r->reads, r->normal);
    enum rc rc = keys_make(&r->arena, &from, &r->keys);

    if (rc == RC_OK) {
        rc = make_sent_target(r);
    }
    if (rc == RC_OK) {
        rc = make_entry_key(
            r, r->keys.full, slice_of(NULL, 0), &r->base_entry_key);
    }
    r->policy.is_odd =
        !slice_eq(r->target, r->keys.target) || r->sent_host.ptr != r->host.ptr;
    r->key = r->keys.full;
    r->entry_key = r->base_entry_key;
    return rc;
}

enum rc
request_choose_variant(struct request *r, struct entry *record)
{
    const struct sending sending = request_sending(r, true);
    const struct keys_record names = {record->note, record->body};
    struct slice variant;
    enum rc rc;

    MUST(r->record == NULL);
    rc = keys_choose(&r->arena, &r->keys, &sending, &names, &variant);
    if (rc == RC_OK) {
        rc = add_variant(&r->arena, r->keys.full, variant, &r->key);
    }
    if (rc == RC_OK) {
        rc = make_entry_key(r, r->keys.full, variant, &r->entry_key);
    }
    if (rc == RC_OK) {
        r->record = entry_ref(record);
    }
    return rc;
}

/* --- after a write (RFC 9111 4.4) -------------------------------------- */

/* A further target: keyed as a request for it would be. */
static void
add_stale(struct request *r, struct slice target)
{
    static const struct route none; /* of no route: all of it */
    const struct route *reads = request_read_route(r, target);
    const struct keys_from from =
        from_of(r, reads == NULL ? &none : reads, target);
    struct keys keys;
    enum rc rc = keys_make(&r->arena, &from, &keys);

    if (rc == RC_OK) {
        rc = make_entry_key(
            r, keys.full, slice_of(NULL, 0), &r->more[r->more_len].entry_key);
    }
    if (rc == RC_OK) {
        r->more[r->more_len++].key = keys.full;
    }
}

void
request_find_stale(struct request *r, const struct head *response)
{
    const struct invalidate_base base = {
        .scheme = r->client.scheme, .host = r->host, .target = r->normal};
    struct slice targets[INVALIDATE_MORE_MAX];
    size_t size = INVALIDATE_MORE_MAX * (r->normal.len + 8192);
    char *text = arena_alloc(&r->arena, size);
    struct writer w;
    size_t count;

    r->is_invalidation_due =
        invalidate_is_due(r->head->method, response->status);
    if (!r->is_invalidation_due || text == NULL) {
        return;
    }
    w = writer_of(text, size);
    count = invalidate_more(response, &base, &w, targets);
    for (size_t i = 0; i < count; i++) {
        add_stale(r, targets[i]);
    }
}

struct invalidation *
request_invalidate(
    struct request *r, void (*on_done)(void *ctx, bool is_acknowledged))
{
    const struct invalidation_opts none = {0};
    const struct invalidation_opts opts = {
        .token = claim_token(r), .on_done = on_done, .ctx = r};

    MUST(r->keys.full.len > 0);
    for (unsigned i = 0; i < r->more_len; i++) {
        struct invalidation *more = invalidation_start(
            r->worker, r->more[i].key, r->more[i].entry_key, &none);
        invalidation_forget(&more);
    }
    return invalidation_start(
        r->worker, r->keys.full, r->base_entry_key, &opts);
}
