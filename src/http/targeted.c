/*
 * Targeted cache control (RFC 9213). Laws: the first valid field of the list
 * decides alone; an invalid one counts as absent. A valid one is read as
 * Cache-Control is: a restriction holds whatever its value, a permission only
 * if it is true, and a duration that is no integer is over.
 */
#include "nearside/http/targeted.h"

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

/* --- directives ---------------------------------------------------------- */

enum kind {
    RESTRICTION,
    PERMISSION,
    DURATION,
};

struct directive {
    struct slice key;
    enum kind kind;
    size_t at; /* offset in struct cache_control */
};

#define DIRECTIVE(key, kind, member)                                           \
    {                                                                          \
        {key, sizeof(key) - 1}, kind, offsetof(struct cache_control, member)   \
    }

static const struct directive directives[] = {
    DIRECTIVE("max-age", DURATION, max_age),
    DIRECTIVE("s-maxage", DURATION, s_maxage),
    DIRECTIVE("stale-while-revalidate", DURATION, stale_while_revalidate),
    DIRECTIVE("stale-if-error", DURATION, stale_if_error),
    DIRECTIVE("no-store", RESTRICTION, no_store),
    DIRECTIVE("no-cache", RESTRICTION, no_cache),
    DIRECTIVE("private", RESTRICTION, private_),
    DIRECTIVE("must-revalidate", RESTRICTION, must_revalidate),
    DIRECTIVE("proxy-revalidate", RESTRICTION, proxy_revalidate),
    DIRECTIVE("no-transform", RESTRICTION, no_transform),
    DIRECTIVE("public", PERMISSION, public_),
    DIRECTIVE("must-understand", PERMISSION, must_understand),
    DIRECTIVE("immutable", PERMISSION, immutable),
};

static int64_t
seconds_of(const struct sf_item *item)
{
    if (item->type != SF_INTEGER || item->number < 0) {
        return 0;
    }
    return item->number > DELTA_MAX ? DELTA_MAX : item->number;
}

/* The last of equal keys counts, so what was there is overwritten. */
static void
set(struct cache_control *cc, const struct directive *d,
    const struct sf_item *item)
{
    char *at = (char *)cc + d->at;
    bool flag = d->kind == RESTRICTION ||
                (item->type == SF_BOOLEAN && item->number == 1);
    int64_t seconds = seconds_of(item);

    if (d->kind == DURATION) {
        memcpy(at, &seconds, sizeof(seconds));
    } else {
        memcpy(at, &flag, sizeof(flag));
    }
}

static void
add_member(
    struct cache_control *cc, struct slice key, const struct sf_item *item)
{
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (slice_eq(directives[i].key, key)) {
            set(cc, &directives[i], item);
            return;
        }
    }
}

/* --- fields -------------------------------------------------------------- */

/* RC_MISS: the value is empty. RC_BAD: it is no dictionary. */
static enum rc
add_value(struct cache_control *cc, struct slice value)
{
    struct sf_item item;
    struct slice key;
    enum rc rc, result = RC_MISS;
    struct sf s;

    sf_start(&s, value);
    while ((rc = sf_next_member(&s, &key, &item)) == RC_OK) {
        add_member(cc, key, &item);
        result = RC_OK;
    }
    return rc == RC_BAD ? RC_BAD : result;
}

/*
 * All lines of one field. Joined, an empty one among several would make an
 * empty member, which no dictionary has (RFC 9651 4.2).
 */
static bool
read_field(
    const struct head *response, struct slice name, struct cache_control *out)
{
    const struct field *f = head_find_name(response, name);

    if (f == NULL) {
        return false;
    }
    cache_control_init(out);
    for (; f != NULL; f = head_find_next(response, f)) {
        if (add_value(out, f->value) != RC_OK) {
            return false;
        }
    }
    return true;
}

bool
targeted_read(const struct head *response, const struct targeted_list *list,
    struct cache_control *out)
{
    for (size_t i = 0; i < list->count; i++) {
        if (read_field(response, list->names[i], out)) {
            return true;
        }
    }
    cache_control_parse(response, FIELD_CACHE_CONTROL, out);
    return false;
}

bool
targeted_has(const struct targeted_list *list, struct slice name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->names[i].len == name.len && slice_ieq(list->names[i], name)) {
            return true;
        }
    }
    return false;
}
