/*
 * Keys. What is keyed is what is sent: the query option changes both the
 * key and the target that the origin sees. What else may change the answer
 * and is passed on (credentials that the route keys, what a trusted proxy
 * says of the client's view) goes into the key as a digest.
 */
#include "nearside/http/uri.h"
#include "nearside/http/write.h"
#include "nearside/memory/digest.h"
#include "nearside/memory/key.h"
#include "proxy/request.h"

/* --- the query --------------------------------------------------------- */

static bool
is_listed(const struct route *route, struct slice parameter)
{
    ptrdiff_t equals = slice_find(parameter, '=');
    struct slice name = parameter;

    if (equals >= 0) {
        name.len = (size_t)equals;
    }
    for (size_t i = 0; i < route->query_names_len; i++) {
        if (slice_eq(route->query_names[i], name)) {
            return true;
        }
    }
    return false;
}

static enum rc
make_target(struct request *r)
{
    struct slice query = uri_query(r->head.target);
    struct slice parameter;
    struct writer w;
    char separator = '?';
    char *text;

    r->target = r->head.target;
    if (query.ptr == NULL || r->route_opts->query == ROUTE_QUERY_ALL) {
        return RC_OK;
    }
    text = arena_alloc(&r->arena, r->head.target.len + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, r->head.target.len + 1);
    write_slice(&w, uri_path(r->head.target));
    while (r->route_opts->query == ROUTE_QUERY_LIST &&
           slice_split(&query, '&', &parameter)) {
        if (is_listed(r->route_opts, parameter)) {
            write_slice(&w, slice_of(&separator, 1));
            write_slice(&w, parameter);
            separator = '&';
        }
    }
    MUST(!w.is_full);
    r->target = writer_slice(&w);
    return RC_OK;
}

/* --- the variant ------------------------------------------------------- */

static bool
is_keyed_field(struct request *r, enum field_id id)
{
    switch ((int)id) {
    case FIELD_COOKIE:
        return r->route_opts->cookie == ROUTE_CREDENTIAL_KEY;
    case FIELD_AUTHORIZATION:
        return r->route_opts->authorization == ROUTE_CREDENTIAL_KEY;
    case FIELD_X_FORWARDED_HOST:
    case FIELD_X_FORWARDED_PORT:
    case FIELD_X_FORWARDED_SCHEME:
    case FIELD_X_FORWARDED_SERVER:
        return r->client.is_trusted;
    default:
        return false;
    }
}

static size_t
variant_size(struct request *r)
{
    size_t size = 0;

    for (size_t i = 0; i < r->head.field_count; i++) {
        const struct field *field = &r->head.fields[i];
        if (is_keyed_field(r, field->id)) {
            size += field->name.len + field->value.len + 4;
        }
    }
    return size;
}

static enum rc
make_variant(struct request *r)
{
    size_t size = variant_size(r);
    struct writer w;
    char *text;

    if (size == 0) {
        return RC_OK;
    }
    text = arena_alloc(&r->arena, size + DIGEST_LEN);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text + DIGEST_LEN, size);
    for (size_t i = 0; i < r->head.field_count; i++) {
        const struct field *field = &r->head.fields[i];
        if (is_keyed_field(r, field->id)) {
            write_field_lower(&w, field->name, field->value);
        }
    }
    MUST(!w.is_full);
    digest_hex(writer_slice(&w), text);
    r->variant = slice_of(text, DIGEST_LEN);
    return RC_OK;
}

/* The full key as flights and entries compare it: the variant behind it. */
static enum rc
add_variant(struct request *r, struct slice full)
{
    struct writer w;
    char *text;

    r->key = full;
    if (r->variant.len == 0) {
        return RC_OK;
    }
    text = arena_alloc(&r->arena, full.len + 1 + r->variant.len);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, full.len + 1 + r->variant.len);
    write_slice(&w, full);
    write_slice(&w, SLICE(" "));
    write_slice(&w, r->variant);
    r->key = writer_slice(&w);
    return RC_OK;
}

enum rc
request_make_keys(struct request *r)
{
    struct slice prefix = r->worker->proxy->prefix;
    struct slice full;
    enum rc rc;

    MUST(r->route_opts != NULL);
    rc = make_target(r);
    if (rc == RC_OK) {
        rc = make_variant(r);
    }
    if (rc == RC_OK) {
        rc = key_full(&r->arena, r->client.scheme, r->host, r->target, &full);
    }
    if (rc == RC_OK) {
        rc = key_redis(
            &r->arena, prefix, KEY_ENTRY, full, r->variant, &r->entry_key);
    }
    return rc == RC_OK ? add_variant(r, full) : rc;
}

struct invalidation *
request_invalidate(
    struct request *r, void (*on_done)(void *ctx, bool is_acknowledged))
{
    size_t tail = r->variant.len + 1;

    MUST(r->key.len > 0);
    /* One slot, one connection: done before the one that is waited for. */
    if (r->variant.len > 0) {
        struct slice key = slice_of(r->key.ptr, r->key.len - tail);
        struct slice entry =
            slice_of(r->entry_key.ptr, r->entry_key.len - tail);
        struct invalidation *all =
            invalidation_start(r->worker, key, entry, NULL, NULL);
        invalidation_forget(&all);
    }
    return invalidation_start(r->worker, r->key, r->entry_key, on_done, r);
}
