/*
 * Decides which fields of a request the origin gets. Left out are those that
 * end at this hop, those that we write ourselves, and whatever anyone but a
 * trusted proxy says of hosts, addresses and schemes.
 */
#include "nearside/rules/sending.h"

#include "nearside/base/check.h"
#include "nearside/http/forwarding.h"
#include "nearside/http/uri.h"

/* May the sender say that? A trusted proxy may, except in the fields that we
   write ourselves; nobody may name another method or target. Forwarded has host
   and scheme beside each address, so it cannot be keyed and must not shape what
   is stored. */
static bool
is_believed(const struct sending *s, const struct field *field)
{
    switch (forwarding_of(field)) {
    case FORWARDING_NONE:
        return true;
    case FORWARDING_OVERRIDE:
        return false;
    case FORWARDING_SITE:
        return s->is_trusted && field->id != FIELD_X_FORWARDED_PROTO;
    case FORWARDING_ADDRESS:
        return s->is_trusted && field->id != FIELD_X_FORWARDED_FOR &&
               !(s->for_cache && field->id == FIELD_FORWARDED);
    }
    return false;
}

static bool
is_condition(enum field_id id)
{
    return id == FIELD_IF_MATCH || id == FIELD_IF_MODIFIED_SINCE ||
           id == FIELD_IF_NONE_MATCH || id == FIELD_IF_RANGE ||
           id == FIELD_IF_UNMODIFIED_SINCE || id == FIELD_RANGE;
}

static bool
is_ignored(const struct route *route, enum field_id id)
{
    return route != NULL &&
           ((id == FIELD_COOKIE && route->cookie == ROUTE_CREDENTIAL_IGNORE) ||
               (id == FIELD_AUTHORIZATION &&
                   route->authorization == ROUTE_CREDENTIAL_IGNORE));
}

/* Does it name the host's name, and does no other field of its kind? */
static bool
names_name(const struct sending *s, const struct field *field)
{
    return slice_ieq(uri_host_name(field->value), uri_host_name(s->host)) &&
           field == head_find(s->head, field->id) &&
           head_find_next(s->head, field) == NULL;
}

bool
sending_merges(const struct sending *s, const struct field *field)
{
    if (s->route == NULL || s->route->key_host == ROUTE_KEY_HOST_FULL) {
        return false;
    }
    if (field->id == FIELD_X_FORWARDED_HOST) {
        return s->route->key_host == ROUTE_KEY_HOST_NONE ||
               names_name(s, field);
    }
    return field->id == FIELD_X_FORWARDED_PORT;
}

struct slice
sending_host(const struct route *route, struct slice host, struct slice spelled,
    struct slice fixed)
{
    MUST(route != NULL);
    switch (route->key_host) {
    case ROUTE_KEY_HOST_FULL:
        break;
    case ROUTE_KEY_HOST_NAME:
        return uri_host_name(host);
    case ROUTE_KEY_HOST_NONE:
        MUST(fixed.len > 0); /* the conf's check has seen to it */
        return fixed;
    }
    return spelled;
}

bool
sending_has(const struct sending *s, const struct field *field)
{
    MUST(s->head != NULL);
    if (field->id == FIELD_HOST || field->id == FIELD_CONTENT_LENGTH ||
        field->id == FIELD_EXPECT ||
        (s->for_cache && is_condition(field->id)) ||
        is_ignored(s->route, field->id) || sending_merges(s, field)) {
        return false;
    }
    return is_believed(s, field) && !head_is_hop_by_hop(s->head, field);
}

bool
sending_is_more(const struct sending *s, const struct sending *than)
{
    MUST(s->head == than->head);
    for (size_t i = 0; i < s->head->field_count; i++) {
        const struct field *field = &s->head->fields[i];
        if (sending_has(s, field) && !sending_has(than, field)) {
            return true;
        }
    }
    return false;
}
