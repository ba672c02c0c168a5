/*
 * The check of vary_on: a field is of use there only if clients send it, if the
 * origin gets it with what may be stored, and if it is not keyed anyway.
 */
#include "app/conf/check.h"

#include "nearside/base/check.h"
#include "nearside/http/forwarding.h"
#include "nearside/http/vary.h"
#include "nearside/rules/sending.h"

static bool
is_credential(const struct route *o, struct slice name)
{
    for (size_t i = 0; i < o->credential_fields_len; i++) {
        if (slice_eq(o->credential_fields[i], name)) {
            return true;
        }
    }
    return slice_eq(name, SLICE("proxy-authorization"));
}

/* Even from a trusted proxy, whom we believe most? */
static bool
is_sent(const struct route *o, const struct field *field)
{
    struct head head = {.field_count = 0};
    const struct sending sending = {
        .head = &head, .route = o, .is_trusted = true, .for_cache = true};

    head_add(&head, field);
    return sending_has(&sending, &head.fields[0]);
}

static bool
is_of_responses(enum field_id id)
{
    static const enum field_id ids[] = {FIELD_ACCEPT_RANGES, FIELD_AGE,
        FIELD_ALLOW, FIELD_CACHE_STATUS, FIELD_CDN_CACHE_CONTROL, FIELD_ETAG,
        FIELD_EXPIRES, FIELD_LAST_MODIFIED, FIELD_LOCATION, FIELD_PROXY_STATUS,
        FIELD_RETRY_AFTER, FIELD_SERVER, FIELD_SET_COOKIE, FIELD_VARY};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static const char *
why_not_forwarding(const struct field *field)
{
    switch (forwarding_of(field)) {
    case FORWARDING_NONE:
    case FORWARDING_OVERRIDE:
        break;
    case FORWARDING_SITE:
        return "what a trusted proxy says of host, scheme, port and path is "
               "keyed anyway, and the origin is not sent what others say";
    case FORWARDING_ADDRESS:
        return "it differs with each client";
    }
    return NULL;
}

/* Why answers cannot vary by it; NULL: they can. */
static const char *
why_not_varied_by(const struct route *o, struct slice name)
{
    const struct field field = {.name = name, .id = field_id_of(name)};

    if (is_credential(o, name)) {
        return "a credential, which makes an answer for each client";
    }
    if (slice_eq(name, SLICE("*"))) {
        return "not the name of a header field";
    }
    if (slice_find(name, '_') >= 0) {
        return "fields with '_' in their names are dropped";
    }
    if (field.id == FIELD_HOST) {
        return "the host is keyed anyway; see 'key_host'";
    }
    if (slice_starts(name, SLICE("content-"))) {
        return "a request with content is never answered from the cache";
    }
    if (is_of_responses(field.id)) {
        return "a field of responses, not of requests";
    }
    if (why_not_forwarding(&field) != NULL) {
        return why_not_forwarding(&field);
    }
    return is_sent(o, &field)
               ? NULL
               : "the origin does not get it with what may be stored";
}

static void
check_room(struct conf_build *build, const struct route *o, unsigned line)
{
    size_t bytes = 0;

    for (size_t i = 0; i < o->vary_on_len; i++) {
        bytes += o->vary_on[i].len + 1;
    }
    if (o->vary_on_len > VARY_LIST_MAX) {
        TELL(build, line, "'vary_on' names more than %d fields", VARY_LIST_MAX);
    } else if (bytes > VARY_LIST_TEXT_MAX) {
        TELL(build, line, "the names in 'vary_on' have more than %d bytes",
            VARY_LIST_TEXT_MAX - VARY_LIST_MAX);
    }
}

/* Is it one by what the route says, and not by what `defaults` do? */
static bool
is_made_credential(
    const struct conf_build *build, const struct route *o, struct slice name)
{
    return is_credential(o, name) &&
           !is_credential(&build->defaults.opts, name);
}

/* What `defaults` say wrong is told there. Where the route only adds
   credential_fields, a name may have become a credential by that. */
void
conf_check_vary_on(struct conf_build *build, const struct route *o,
    const struct conf_where *where)
{
    unsigned line = conf_set_in(where, "vary_on");
    unsigned credentials = conf_set_in(where, "credential_fields");

    MUST(o->vary_on != NULL || o->vary_on_len == 0);
    if (line != 0) {
        check_room(build, o, line);
    }
    for (size_t i = 0; i < o->vary_on_len && line + credentials != 0; i++) {
        struct slice name = o->vary_on[i];
        const char *why = why_not_varied_by(o, name);

        if (why != NULL && (line != 0 || is_made_credential(build, o, name))) {
            TELL(build, line != 0 ? line : credentials,
                "'vary_on' = '%.*s': %s", SLICE_FMT(name), why);
        }
    }
}
