/*
 * Keys. What is keyed is what is sent: the query option changes both the
 * key and the target that the origin sees. What else may change the answer
 * and is passed on (credentials that the route keys, what a trusted proxy
 * says of the client's view) goes into the key as a digest.
 */
#include "nearside/http/hearsay.h"
#include "nearside/http/uri.h"
#include "nearside/http/write.h"
#include "nearside/memory/digest.h"
#include "nearside/memory/key.h"
#include "proxy/claim.h"
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

/* Of what is passed on. X-Forwarded-Proto is in the key as the scheme. */
static bool
is_keyed_field(struct request *r, const struct field *field)
{
    switch ((int)field->id) {
    case FIELD_COOKIE:
        return r->route_opts->cookie == ROUTE_CREDENTIAL_KEY;
    case FIELD_AUTHORIZATION:
        return r->route_opts->authorization == ROUTE_CREDENTIAL_KEY;
    case FIELD_X_FORWARDED_PROTO:
        return false;
    default:
        return r->client.is_trusted && hearsay_of(field) == HEARSAY_VIEW;
    }
}

static size_t
variant_size(struct request *r)
{
    size_t size = 0;

    for (size_t i = 0; i < r->head.field_count; i++) {
        const struct field *field = &r->head.fields[i];
        if (is_keyed_field(r, field)) {
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
        if (is_keyed_field(r, field)) {
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
add_variant(struct arena *arena, struct slice full, struct slice variant,
    struct slice *out)
{
    struct writer w;
    char *text;

    *out = full;
    if (variant.len == 0) {
        return RC_OK;
    }
    text = arena_alloc(arena, full.len + 1 + variant.len);
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

/* Key and entry key of a variant of `full`. */
static enum rc
make_pair(struct request *r, struct slice full, struct slice variant,
    struct slice *out_key, struct slice *out_entry_key)
{
    enum rc rc = add_variant(&r->arena, full, variant, out_key);

    return rc == RC_OK ? key_redis(&r->arena, r->worker->proxy->prefix,
                             KEY_ENTRY, full, variant, out_entry_key)
                       : rc;
}

enum rc
request_make_keys(struct request *r)
{
    enum rc rc;

    MUST(r->route_opts != NULL);
    rc = make_target(r);
    if (rc == RC_OK) {
        rc = make_variant(r);
    }
    if (rc == RC_OK) {
        rc =
            key_full(&r->arena, r->client.scheme, r->host, r->target, &r->full);
    }
    if (rc == RC_OK) {
        rc =
            make_pair(r, r->full, r->variant, &r->base_key, &r->base_entry_key);
    }
    r->key = r->base_key;
    r->entry_key = r->base_entry_key;
    return rc;
}

/* --- variants by Vary (RFC 9111 4.1) ----------------------------------- */

/* The names, a bit each, whose field the client sends and the origin does
   not get: one that Connection names must not choose what others are
   answered. */
static unsigned
unsent(struct request *r, const struct vary *vary)
{
    unsigned names = 0;

    for (unsigned i = 0; i < vary->count; i++) {
        const struct field *field =
            head_find_name(&r->head, vary_name(vary, i));
        if (field != NULL && !request_sends(r, field, true)) {
            names |= 1U << i;
        }
    }
    return names;
}

/* What the request says for the record's names, with what the route keys and
   the record's generation before it. */
static enum rc
write_choice(struct request *r, struct entry *record, struct writer *w)
{
    /* What the route allows was asked when the record was made. */
    const struct vary_opts opts = {true, true, true};
    struct vary vary;
    enum rc rc = vary_parse(record->note, &opts, &vary);

    if (rc != RC_OK) {
        return RC_BAD;
    }
    write_slice(w, r->variant);
    write_slice(w, SLICE("\n"));
    write_slice(w, record->body);
    write_slice(w, SLICE("\n"));
    vary.unsent = unsent(r, &vary);
    return vary_write_variant(&vary, &r->head, w);
}

/* Room for all fields of the head joined, and normal forms, which are not
   longer. */
static size_t
choice_size(struct request *r, struct entry *record)
{
    size_t size = r->variant.len + record->body.len + record->note.len + 256;

    for (size_t i = 0; i < r->head.field_count; i++) {
        size += r->head.fields[i].name.len + r->head.fields[i].value.len + 4;
    }
    return size;
}

enum rc
request_choose_variant(struct request *r, struct entry *record)
{
    size_t size = choice_size(r, record);
    char *text = arena_alloc(&r->arena, size);
    char *digest = arena_alloc(&r->arena, DIGEST_LEN);
    struct writer w;
    enum rc rc;

    MUST(r->record == NULL);
    if (text == NULL || digest == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    rc = write_choice(r, record, &w);
    if (rc != RC_OK) {
        return rc;
    }
    digest_hex(writer_slice(&w), digest);
    rc = make_pair(
        r, r->full, slice_of(digest, DIGEST_LEN), &r->key, &r->entry_key);
    if (rc == RC_OK) {
        r->record = entry_ref(record);
    }
    return rc;
}

/* --- after a write (RFC 9111 4.4) -------------------------------------- */

/* A further target: keyed as a request for it would be, the query option and
   what the route keys included. */
static void
add_stale(struct request *r, struct slice target)
{
    struct slice full;
    enum rc rc = key_full(&r->arena, r->client.scheme, r->host, target, &full);

    if (rc == RC_OK) {
        rc = make_pair(r, full, r->variant, &r->more[r->more_len].key,
            &r->more[r->more_len].entry_key);
    }
    if (rc == RC_OK) {
        r->more_len++;
    }
}

void
request_find_stale(struct request *r, const struct head *response)
{
    const struct invalidate_base base = {
        .scheme = r->client.scheme, .host = r->host, .target = r->target};
    struct slice targets[INVALIDATE_MORE_MAX];
    size_t size = INVALIDATE_MORE_MAX * (r->target.len + 8192);
    char *text = arena_alloc(&r->arena, size);
    struct writer w;
    size_t count;

    r->is_invalidation_due =
        invalidate_is_due(r->head.method, response->status);
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
        .keeps_lease = claim_holds(r), .on_done = on_done, .ctx = r};
    struct slice key;
    struct slice entry_key;

    MUST(r->base_key.len > 0);
    for (unsigned i = 0; i < r->more_len; i++) {
        struct invalidation *more = invalidation_start(
            r->worker, r->more[i].key, r->more[i].entry_key, &none);
        invalidation_forget(&more);
    }
    /* One slot, one connection: done before the one that is waited for. */
    if (r->variant.len > 0 &&
        make_pair(r, r->full, slice_of(NULL, 0), &key, &entry_key) == RC_OK) {
        struct invalidation *all =
            invalidation_start(r->worker, key, entry_key, &none);
        invalidation_forget(&all);
    }
    return invalidation_start(r->worker, r->base_key, r->base_entry_key, &opts);
}
