/*
 * Makes keys: finds what of a request chooses the stored response.
 *
 * Law: a response is stored under a key only if its request was sent in the
 * key's spelling. A request in another spelling may be answered from what is
 * stored, and its own response is not stored. The query option changes both the
 * key and the target that the origin sees.
 *
 * Law: all forms of a target hang under one base key, so that a write deletes
 * them all at once. Whatever else is sent on and may change the answer chooses
 * a variant of the Vary record under that key: the fields that the response
 * varies by, the view (what a trusted proxy says of the site that its client
 * sees), and the credentials that the route keys.
 */
#include "nearside/rules/keys.h"

#include "nearside/base/check.h"
#include "nearside/http/forwarding.h"
#include "nearside/http/uri.h"
#include "nearside/http/vary.h"
#include "nearside/cache/key.h"

/* --- the target -------------------------------------------------------- */

enum rc
keys_normalise(struct arena *arena, struct slice target, struct slice *out)
{
    char *text;

    MUST(target.len > 0);
    /* Dot segments that are not encoded were refused by the parser. */
    if (memchr(target.ptr, '%', target.len) == NULL) {
        *out = target;
        return RC_OK;
    }
    text = arena_alloc(arena, target.len);
    if (text == NULL) {
        return RC_NOMEM;
    }
    *out = slice_of(text, uri_normalise(target, text));
    return RC_OK;
}

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

/* Both spellings have the same parameters, since '&' is reserved. */
static void
write_listed(struct writer *w, const struct route *route, struct slice normal,
    struct slice spelled)
{
    struct slice name, parameter;
    char separator = '?';

    while (slice_split(&normal, '&', &name) &&
           slice_split(&spelled, '&', &parameter)) {
        if (is_listed(route, name)) {
            write_slice(w, slice_of(&separator, 1));
            write_slice(w, parameter);
            separator = '&';
        }
    }
}

enum rc
keys_keep(struct arena *arena, const struct route *route, struct slice normal,
    struct slice spelled, struct slice *out)
{
    struct writer w;
    char *text;

    MUST(route != NULL);
    *out = spelled;
    if (route->query == ROUTE_QUERY_ALL || uri_query(spelled).ptr == NULL) {
        return RC_OK;
    }
    text = arena_alloc(arena, spelled.len + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, spelled.len + 1);
    write_slice(&w, uri_path(spelled));
    if (route->query == ROUTE_QUERY_LIST) {
        write_listed(&w, route, uri_query(normal), uri_query(spelled));
    }
    MUST(!w.is_full);
    *out = writer_slice(&w);
    return RC_OK;
}

/* --- view and credentials ---------------------------------------------- */

typedef bool (*is_digested_fn)(
    const struct keys_from *from, const struct field *field);

/* Does it name the key's host, and does no other field of its name? The origin
   is told the same when no proxy has named one. */
static bool
names_host(const struct keys_from *from, const struct field *field)
{
    return field->id == FIELD_X_FORWARDED_HOST &&
           slice_eq(field->value, from->host) &&
           field == head_find(from->head, field->id) &&
           head_find_next(from->head, field) == NULL;
}

/* X-Forwarded-Proto is in the key as the scheme. */
static bool
is_view(const struct keys_from *from, const struct field *field)
{
    const struct sending sending = {
        .head = from->head, .route = from->route, .host = from->host};

    return field->id != FIELD_X_FORWARDED_PROTO &&
           forwarding_of(field) == FORWARDING_SITE &&
           !names_host(from, field) && !sending_merges(&sending, field);
}

static bool
is_keyed_credential(const struct keys_from *from, const struct field *field)
{
    return (field->id == FIELD_COOKIE &&
               from->route->cookie == ROUTE_CREDENTIAL_KEY) ||
           (field->id == FIELD_AUTHORIZATION &&
               from->route->authorization == ROUTE_CREDENTIAL_KEY);
}

static size_t
digested_size(const struct keys_from *from, is_digested_fn is_digested)
{
    size_t size = 0;

    for (size_t i = 0; i < from->head->field_count; i++) {
        const struct field *field = &from->head->fields[i];
        if (is_digested(from, field)) {
            size += field->name.len + field->value.len + 4;
        }
    }
    return size;
}

/* A digest of those lines of the head. */
static enum rc
make_digest(struct arena *arena, const struct keys_from *from,
    is_digested_fn is_digested, size_t size, struct slice *out)
{
    char *text = arena_alloc(arena, size + DIGEST_LEN);
    struct writer w;

    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text + DIGEST_LEN, size);
    for (size_t i = 0; i < from->head->field_count; i++) {
        const struct field *field = &from->head->fields[i];
        if (is_digested(from, field)) {
            write_field_lower(&w, field->name, field->value);
        }
    }
    MUST(!w.is_full);
    digest_hex(writer_slice(&w), text);
    *out = slice_of(text, DIGEST_LEN);
    return RC_OK;
}

static enum rc
make_view(struct arena *arena, const struct keys_from *from, struct slice *out)
{
    size_t size = digested_size(from, is_view);

    return size == 0 ? RC_OK : make_digest(arena, from, is_view, size, out);
}

/* A request without credentials gets a digest too where the route keys them:
   its entries are not shared with anyone who has some. */
static enum rc
make_credentials(
    struct arena *arena, const struct keys_from *from, struct slice *out)
{
    if (from->route->cookie != ROUTE_CREDENTIAL_KEY &&
        from->route->authorization != ROUTE_CREDENTIAL_KEY) {
        return RC_OK;
    }
    return make_digest(arena, from, is_keyed_credential,
        digested_size(from, is_keyed_credential), out);
}

/*
 * The host of the key: all of it, or its name, or nothing of it. Where some of
 * it is left out, the origin's name tells apart the targets of two origins. No
 * host has an '@'.
 */
static enum rc
make_host(struct arena *arena, const struct keys_from *from, struct slice *out)
{
    struct slice name = from->route->key_host == ROUTE_KEY_HOST_NAME
                            ? uri_host_name(from->host)
                            : slice_of(NULL, 0);
    size_t size = name.len + 1 + from->origin.len;
    struct writer w;
    char *text;

    *out = from->host;
    if (from->route->key_host == ROUTE_KEY_HOST_FULL) {
        return RC_OK;
    }
    MUST(from->origin.len > 0);
    text = arena_alloc(arena, size);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    write_slice(&w, name);
    write_slice(&w, SLICE("@"));
    write_slice(&w, from->origin);
    *out = writer_slice(&w);
    return RC_OK;
}

enum rc
keys_make(struct arena *arena, const struct keys_from *from, struct keys *out)
{
    struct slice host;
    enum rc rc;

    MUST(from->route != NULL);
    MUST(from->head != NULL);
    MUST(from->hash_key != NULL);
    rc = make_host(arena, from, &host);
    *out = (struct keys){.target = from->target};
    if (rc == RC_OK && from->route->query != ROUTE_QUERY_ALL) {
        rc = keys_keep(
            arena, from->route, from->target, from->target, &out->target);
    }
    if (rc == RC_OK && from->is_trusted) {
        rc = make_view(arena, from, &out->view);
    }
    if (rc == RC_OK) {
        rc = make_credentials(arena, from, &out->credentials);
    }
    if (rc == RC_OK) {
        const struct key_uri uri = {from->scheme, host, out->target};
        rc = key_make(arena, from->hash_key, &uri, &out->base);
    }
    return rc;
}

/* --- variants by Vary (RFC 9111 4.1) ----------------------------------- */

/* A bit for each name whose field the client sends and the origin does not get.
   A field that Connection names must not choose what others are answered. */
static unsigned
unsent(const struct sending *sending, const struct vary *vary)
{
    unsigned names = 0;

    MUST(vary->count <= VARY_NAMES_MAX);
    for (unsigned i = 0; i < vary->count; i++) {
        const struct field *field =
            head_find_name(sending->head, vary_name(vary, i));
        if (field != NULL && !sending_has(sending, field)) {
            names |= 1U << i;
        }
    }
    return names;
}

static enum rc
write_choice(struct writer *w, const struct keys *keys,
    const struct sending *sending, const struct keys_record *record)
{
    /* What the route allows was asked when the record was made. */
    const struct vary_opts opts = {true, true, true};
    struct vary vary;
    enum rc rc = vary_parse(record->names, &opts, &vary);

    if (rc != RC_OK) {
        return RC_BAD;
    }
    write_slice(w, keys->view);
    write_slice(w, keys->credentials);
    write_slice(w, SLICE("\n"));
    write_slice(w, record->generation);
    write_slice(w, SLICE("\n"));
    vary.unsent = unsent(sending, &vary);
    return vary_write_variant(&vary, sending->head, w);
}

enum rc
keys_choose(struct arena *arena, const struct keys *keys,
    const struct sending *sending, const struct keys_record *record,
    struct slice *out_digest)
{
    /* Values are joined, and their normal forms are not longer. */
    size_t size = keys->view.len + keys->credentials.len + record->names.len +
                  record->generation.len + head_lines_size(sending->head) + 256;
    char *text = arena_alloc(arena, size);
    char *digest = arena_alloc(arena, DIGEST_LEN);
    struct writer w;
    enum rc rc;

    MUST(record->generation.len > 0);
    if (text == NULL || digest == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    rc = write_choice(&w, keys, sending, record);
    if (rc == RC_OK) {
        digest_hex(writer_slice(&w), digest);
        *out_digest = slice_of(digest, DIGEST_LEN);
    }
    return rc;
}
