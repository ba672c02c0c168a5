/*
 * Keys. What is keyed is what is sent: the query option changes both the
 * key and the target that the origin sees. What else may change the answer
 * and is passed on goes into the key as a digest: what a trusted proxy says
 * of the client's view, by which the target is another one to the client; and
 * the credentials that the route keys, as if the response varied by them, so
 * that a write puts everybody's out of reach (flight_store.c).
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

/* The target as readers have it by that route. RC_NOMEM. */
static enum rc
make_target(struct request *r, const struct route *route, struct slice target,
    struct slice *out)
{
    struct slice query = uri_query(target);
    struct slice parameter;
    struct writer w;
    char separator = '?';
    char *text;

    *out = target;
    if (query.ptr == NULL || route->query == ROUTE_QUERY_ALL) {
        return RC_OK;
    }
    text = arena_alloc(&r->arena, target.len + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, target.len + 1);
    write_slice(&w, uri_path(target));
    while (route->query == ROUTE_QUERY_LIST &&
           slice_split(&query, '&', &parameter)) {
        if (is_listed(route, parameter)) {
            write_slice(&w, slice_of(&separator, 1));
            write_slice(&w, parameter);
            separator = '&';
        }
    }
    MUST(!w.is_full);
    *out = writer_slice(&w);
    return RC_OK;
}

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

/* --- view and credentials ---------------------------------------------- */

typedef bool (*is_digested_fn)(
    const struct request *r, const struct field *field);

/* X-Forwarded-Proto is in the key as the scheme. */
static bool
is_view(const struct request *r, const struct field *field)
{
    return r->client.is_trusted && field->id != FIELD_X_FORWARDED_PROTO &&
           hearsay_of(field) == HEARSAY_VIEW;
}

static bool
is_keyed_credential(const struct request *r, const struct field *field)
{
    return (field->id == FIELD_COOKIE &&
               r->reads->cookie == ROUTE_CREDENTIAL_KEY) ||
           (field->id == FIELD_AUTHORIZATION &&
               r->reads->authorization == ROUTE_CREDENTIAL_KEY);
}

static size_t
digested_size(const struct request *r, is_digested_fn is_digested)
{
    size_t size = 0;

    for (size_t i = 0; i < r->head->field_count; i++) {
        const struct field *field = &r->head->fields[i];
        if (is_digested(r, field)) {
            size += field->name.len + field->value.len + 4;
        }
    }
    return size;
}

/* A digest of those lines of the head. */
static enum rc
make_digest(struct request *r, is_digested_fn is_digested, size_t size,
    struct slice *out)
{
    char *text = arena_alloc(&r->arena, size + DIGEST_LEN);
    struct writer w;

    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text + DIGEST_LEN, size);
    for (size_t i = 0; i < r->head->field_count; i++) {
        const struct field *field = &r->head->fields[i];
        if (is_digested(r, field)) {
            write_field_lower(&w, field->name, field->value);
        }
    }
    MUST(!w.is_full);
    digest_hex(writer_slice(&w), text);
    *out = slice_of(text, DIGEST_LEN);
    return RC_OK;
}

static enum rc
make_view(struct request *r)
{
    size_t size = digested_size(r, is_view);

    return size == 0 ? RC_OK : make_digest(r, is_view, size, &r->view);
}

/* Of none too, where the route keys them: no one's credentials are a kind of
   their own. */
static enum rc
make_credentials(struct request *r)
{
    if (r->reads->cookie != ROUTE_CREDENTIAL_KEY &&
        r->reads->authorization != ROUTE_CREDENTIAL_KEY) {
        return RC_OK;
    }
    return make_digest(r, is_keyed_credential,
        digested_size(r, is_keyed_credential), &r->credentials);
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

    return rc == RC_OK ? key_redis(&r->arena, r->conf->prefix, KEY_ENTRY, full,
                             variant, out_entry_key)
                       : rc;
}

enum rc
request_make_keys(struct request *r)
{
    struct slice target;
    enum rc rc;

    MUST(r->reads != NULL);
    rc = make_target(r, r->reads, r->head->target, &target);
    if (rc == RC_OK && r->result != RESULT_WRITE) {
        r->target = target;
    }
    if (rc == RC_OK) {
        rc = make_view(r);
    }
    if (rc == RC_OK) {
        rc = make_credentials(r);
    }
    if (rc == RC_OK) {
        rc = key_full(&r->arena, r->client.scheme, r->host, target, &r->full);
    }
    if (rc == RC_OK) {
        rc = make_pair(r, r->full, r->view, &r->base_key, &r->base_entry_key);
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
        const struct field *field = head_find_name(r->head, vary_name(vary, i));
        if (field != NULL && !request_sends(r, field, true)) {
            names |= 1U << i;
        }
    }
    return names;
}

/* What the request says for the record's names, with view, credentials and
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
    write_slice(w, r->view);
    write_slice(w, r->credentials);
    write_slice(w, SLICE("\n"));
    write_slice(w, record->body);
    write_slice(w, SLICE("\n"));
    vary.unsent = unsent(r, &vary);
    return vary_write_variant(&vary, r->head, w);
}

/* Room for all fields of the head joined, and normal forms, which are not
   longer. */
static size_t
choice_size(struct request *r, struct entry *record)
{
    size_t size = r->view.len + r->credentials.len + record->body.len +
                  record->note.len + 256;

    for (size_t i = 0; i < r->head->field_count; i++) {
        size += r->head->fields[i].name.len + r->head->fields[i].value.len + 4;
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

/* A further target: keyed as a request for it would be. */
static void
add_stale(struct request *r, struct slice target)
{
    const struct route *reads = request_read_route(r, target);
    struct slice full;
    enum rc rc = RC_OK;

    if (reads != NULL) {
        rc = make_target(r, reads, target, &target);
    }
    if (rc == RC_OK) {
        rc = key_full(&r->arena, r->client.scheme, r->host, target, &full);
    }
    if (rc == RC_OK) {
        rc = make_pair(r, full, r->view, &r->more[r->more_len].key,
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
    struct slice key;
    struct slice entry_key;

    MUST(r->base_key.len > 0);
    for (unsigned i = 0; i < r->more_len; i++) {
        struct invalidation *more = invalidation_start(
            r->worker, r->more[i].key, r->more[i].entry_key, &none);
        invalidation_forget(&more);
    }
    /* One slot, one connection: done before the one that is waited for. */
    if (r->view.len > 0 &&
        make_pair(r, r->full, slice_of(NULL, 0), &key, &entry_key) == RC_OK) {
        struct invalidation *all =
            invalidation_start(r->worker, key, entry_key, &none);
        invalidation_forget(&all);
    }
    return invalidation_start(r->worker, r->base_key, r->base_entry_key, &opts);
}
